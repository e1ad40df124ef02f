"""Queries on surveys: what is to be asked, who was asked, who answered what; and their tables.

What members wrote stands in a table of its own, which can be erased while scores and points stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from core.db import Connection, Row, reading
from core.store.posting import columns

LONGEST_COMMENT = 2000
#: A detractor, by what was asked; as `laurels.surveys.SurveyKind` has it.
_DETRACTOR = "(a.kind = 1 AND a.score <= 6 OR a.kind = 2 AND a.score <= 2)"
SURVEY_TABLES = f"""
-- What is to be asked, and when; gone once it was, or once it turned out that it isn't.
CREATE TABLE survey_due (
    holder_id bigint NOT NULL REFERENCES holder (id),
    event_id bigint NOT NULL,
    survey text NOT NULL CHECK (length(survey) BETWEEN 1 AND 64),
    partner_id integer NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (holder_id, event_id, survey)
);
CREATE INDEX survey_due_by_at ON survey_due (at, event_id);
CREATE TABLE survey_invitation (
    holder_id bigint NOT NULL REFERENCES holder (id),
    id bigint NOT NULL,
    partner_id integer NOT NULL,
    survey text NOT NULL CHECK (length(survey) BETWEEN 1 AND 64),
    event_id bigint NOT NULL,
    at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at > at),
    PRIMARY KEY (holder_id, id),
    UNIQUE (holder_id, event_id, survey)
);
CREATE INDEX survey_invitation_by_at ON survey_invitation (partner_id, survey, at);
CREATE TABLE survey_answer (
    holder_id bigint NOT NULL,
    invitation_id bigint NOT NULL,
    partner_id integer NOT NULL,
    survey text NOT NULL CHECK (length(survey) BETWEEN 1 AND 64),
    -- 1: how likely to recommend, 2: how content, 3: words alone.
    kind smallint NOT NULL CHECK (kind BETWEEN 1 AND 3),
    score smallint,
    at timestamptz NOT NULL,
    -- When somebody spoke with a detractor.
    followed_at timestamptz,
    PRIMARY KEY (holder_id, invitation_id),
    FOREIGN KEY (holder_id, invitation_id) REFERENCES survey_invitation (holder_id, id),
    CONSTRAINT survey_answer_scored CHECK (CASE kind
        WHEN 1 THEN score IS NOT NULL AND score BETWEEN 0 AND 10
        WHEN 2 THEN score IS NOT NULL AND score BETWEEN 1 AND 5
        ELSE score IS NULL END)
);
CREATE INDEX survey_answer_by_at ON survey_answer (partner_id, survey, at, invitation_id);
CREATE TABLE survey_comment (
    holder_id bigint NOT NULL,
    invitation_id bigint NOT NULL,
    comment text NOT NULL CHECK (length(comment) BETWEEN 1 AND {LONGEST_COMMENT}),
    PRIMARY KEY (holder_id, invitation_id),
    FOREIGN KEY (holder_id, invitation_id) REFERENCES survey_answer (holder_id, invitation_id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON survey_due TO laurels_app;
GRANT SELECT, INSERT ON survey_invitation, survey_answer, survey_comment TO laurels_app;
REVOKE UPDATE, DELETE, TRUNCATE ON survey_invitation, survey_answer FROM laurels_app;
GRANT UPDATE (followed_at) ON survey_answer TO laurels_app;
REVOKE UPDATE, TRUNCATE ON survey_comment FROM laurels_app;
GRANT DELETE ON survey_comment TO laurels_app;
"""
#: What must stand, for `laurels check`.
SURVEY_CONSTRAINTS = {
    "survey_due": "pkey holder_id_fkey survey_check",
    "survey_invitation": "pkey holder_id_fkey survey_check check holder_id_event_id_survey_key",
    "survey_answer": "pkey holder_id_invitation_id_fkey survey_check kind_check scored",
    "survey_comment": "pkey holder_id_invitation_id_fkey comment_check",
}
#: What a survey may follow: purchases, activities and occasions, of which the decision has the type.
_HAPPENED = """
SELECT e.id, e.holder_id, e.partner_id, e.occurred_at,
    CASE e.kind WHEN 1 THEN 'purchase' ELSE d.content::jsonb #>> '{x,0}' END
FROM event e JOIN decision d ON d.holder_id = e.holder_id AND d.booked_at = e.booked_at
WHERE e.id = ANY($1) AND e.kind IN (1, 18, 19)
"""
_PLAN = """
INSERT INTO survey_due (holder_id, event_id, survey, partner_id, at)
SELECT n.a, n.b, n.c, n.d, n.e
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::int[], $5::timestamptz[])
    AS n (a, b, c, d, e)
WHERE NOT EXISTS (SELECT FROM survey_invitation i
    WHERE i.holder_id = n.a AND i.event_id = n.b AND i.survey = n.c)
ON CONFLICT DO NOTHING
"""
_CLAIM = """
DELETE FROM survey_due WHERE (holder_id, event_id, survey) IN (
    SELECT holder_id, event_id, survey FROM survey_due WHERE at <= $1
    ORDER BY at, event_id LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING holder_id, event_id, survey, partner_id, at
"""
_LAST = """
SELECT k.h, k.p, k.s, max(i.at) FROM unnest($1::bigint[], $2::int[], $3::text[]) AS k (h, p, s)
JOIN survey_invitation i ON i.holder_id = k.h AND i.partner_id = k.p AND i.survey = k.s
GROUP BY 1, 2, 3
"""
_INVITE = """
WITH i AS (
    INSERT INTO survey_invitation (holder_id, id, partner_id, survey, event_id, at, until_at)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::text[], $5::bigint[],
        $6::timestamptz[], $7::timestamptz[])
    ON CONFLICT (holder_id, event_id, survey) DO NOTHING
    RETURNING holder_id, id, partner_id
)
INSERT INTO outbox (event_id, holder_id, partner_id, kind, currencies, ladders)
SELECT id, holder_id, partner_id, $8, '{}', '{}' FROM i ORDER BY id
"""
_ROW = """i.holder_id, i.id, i.partner_id, i.survey, i.event_id, i.at, i.until_at,
    a.kind, a.score, a.at, a.followed_at, c.comment"""
_WITH = """LEFT JOIN survey_answer a ON a.holder_id = i.holder_id AND a.invitation_id = i.id
LEFT JOIN survey_comment c ON c.holder_id = i.holder_id AND c.invitation_id = i.id"""


class Happened(NamedTuple):
    """Something that a survey may follow; `type` is `purchase` or an activity's."""

    event: int
    holder: int
    partner: int
    at: datetime
    type: str


class DueRow(NamedTuple):
    """A row of `survey_due`."""

    holder: int
    event: int
    survey: str
    partner: int
    at: datetime


class InvitationRow(NamedTuple):
    """A row of `survey_invitation`."""

    holder: int
    id: int
    partner: int
    survey: str
    event: int
    at: datetime
    until: datetime


class AnswerRow(NamedTuple):
    """A row of `survey_answer`, with the words that came with it, as long as they are kept."""

    kind: int
    score: int | None
    at: datetime
    followed_at: datetime | None = None
    comment: str | None = None


class Asked(NamedTuple):
    """An invitation, with the answer if one came."""

    invitation: InvitationRow
    answer: AnswerRow | None


def _asked(row: Row) -> Asked:
    answer = None if row[7] is None else AnswerRow(*tuple(row)[7:])
    return Asked(InvitationRow(*tuple(row)[:7]), answer)


async def happened(connection: Connection, events: Sequence[int]) -> list[Happened]:
    """Those of these events that a survey may follow."""
    return [Happened(*row) for row in await connection.fetch(_HAPPENED, list(events))]


async def plan(connection: Connection, rows: Sequence[DueRow]) -> None:
    """Ask these when their time has come; what was asked already isn't asked again."""
    ordered = sorted(rows, key=lambda row: row[:3])
    await connection.execute(_PLAN, *columns(ordered, 5))


async def claim(connection: Connection, now: datetime, limit: int) -> list[DueRow]:
    """Take up what is to be asked by now, the earliest first: rolled back, it is there again."""
    rows = [DueRow(*row) for row in await connection.fetch(_CLAIM, now, limit)]
    return sorted(rows, key=lambda row: (row.at, row.event, row.survey))


async def last_asked(
    connection: Connection, keys: Sequence[tuple[int, int, str]]
) -> dict[tuple[int, int, str], datetime]:
    """When members were asked last, by (holder, partner, survey); who never was isn't there."""
    rows = await connection.fetch(_LAST, *columns(keys, 3))
    return {(row[0], row[1], row[2]): row[3] for row in rows}


async def invite(connection: Connection, rows: Sequence[InvitationRow], kind: int) -> None:
    """Invite members, and have it told as a change of this kind."""
    await connection.execute(_INVITE, *columns(rows, 7), kind)


async def read(connection: Connection, holder: int, invitation: int) -> Asked | None:
    """An invitation by its key."""
    row = await connection.fetchrow(
        f"SELECT {_ROW} FROM survey_invitation i {_WITH} WHERE i.holder_id = $1 AND i.id = $2",
        holder,
        invitation,
    )
    return None if row is None else _asked(row)


async def answer(
    connection: Connection, asked: InvitationRow, given: AnswerRow, change: int
) -> None:
    """Keep an answer, and have it told as a change of this kind."""
    await connection.execute(
        "INSERT INTO survey_answer (holder_id, invitation_id, partner_id, survey, kind, score, at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        asked.holder, asked.id, asked.partner, asked.survey, given.kind, given.score, given.at,
    )  # fmt: skip
    if given.comment:
        await connection.execute(
            "INSERT INTO survey_comment VALUES ($1, $2, $3)", asked.holder, asked.id, given.comment
        )
    await connection.execute(
        "INSERT INTO outbox (event_id, holder_id, partner_id, kind, currencies, ladders) "
        "VALUES ($1, $2, $3, $4, '{}', '{}')",
        -asked.id, asked.holder, asked.partner, change,  # see `core.outbox.Told`
    )  # fmt: skip


async def follow_up(connection: Connection, holder: int, invitation: int, now: datetime) -> None:
    """Somebody spoke with who answered; the first time stands."""
    await connection.execute(
        "UPDATE survey_answer SET followed_at = $3 "
        "WHERE holder_id = $1 AND invitation_id = $2 AND followed_at IS NULL",
        holder,
        invitation,
        now,
    )


async def by_key(keys: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], Asked]:
    """Invitations by (holder, id)."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_ROW} FROM unnest($1::bigint[], $2::bigint[]) AS k (h, n) "
            f"JOIN survey_invitation i ON i.holder_id = k.h AND i.id = k.n {_WITH}",
            *columns(keys, 2),
        )
    return {(row[0], row[1]): _asked(row) for row in rows}


async def of_holders(
    holders: Sequence[int], before: int, limit: int, partner: int | None, answered: bool | None
) -> Mapping[int, list[Asked]]:
    """A page of each holder's invitations, newest first below an id; all, or those (not) answered."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT x.* FROM unnest($1::bigint[]) AS k (h) CROSS JOIN LATERAL ("
            f"SELECT {_ROW} FROM survey_invitation i {_WITH} WHERE i.holder_id = k.h AND i.id < $2 "
            "AND ($4::int IS NULL OR i.partner_id = $4) "
            "AND ($5::bool IS NULL OR $5 = (a.holder_id IS NOT NULL)) "
            "ORDER BY i.id DESC LIMIT $3) x",
            list(holders), before, limit, partner, answered,
        )  # fmt: skip
    found: dict[int, list[Asked]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(_asked(row))
    return found


class Wanted(NamedTuple):
    """Which answers: of a partner's survey; detractors' alone, or all."""

    partner: int
    survey: str
    detractors: bool


async def answers(wanted: Wanted, before: tuple[datetime, int] | None, limit: int) -> list[Asked]:
    """Answered invitations, the newest answer first, before (instant, invitation) of one seen."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_ROW} FROM survey_answer a JOIN survey_invitation i "
            "ON i.holder_id = a.holder_id AND i.id = a.invitation_id "
            "LEFT JOIN survey_comment c ON c.holder_id = i.holder_id AND c.invitation_id = i.id "
            f"WHERE a.partner_id = $1 AND a.survey = $2 AND (NOT $3 OR {_DETRACTOR}) "
            "AND ($4::timestamptz IS NULL OR (a.at, a.invitation_id) < ($4, $5::bigint)) "
            "ORDER BY a.at DESC, a.invitation_id DESC LIMIT $6",
            *wanted,
            *(before or (None, None)),
            limit,
        )
    return [_asked(row) for row in rows]


class Tally(NamedTuple):
    """How many were asked in a month who answered so; `kind` None: who didn't answer."""

    month: date
    kind: int | None
    score: int | None
    times: int


async def tallied(
    partner: int, survey: str, since: datetime, until: datetime, time_zone: str
) -> list[Tally]:
    """Those who were asked in a span, by the local month, and what they answered since."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT date_trunc('month', i.at AT TIME ZONE $5)::date, a.kind, a.score, count(*) "
            "FROM survey_invitation i LEFT JOIN survey_answer a "
            "ON a.holder_id = i.holder_id AND a.invitation_id = i.id "
            "WHERE i.partner_id = $1 AND i.survey = $2 AND i.at >= $3 AND i.at < $4 "
            "GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            partner, survey, since, until, time_zone,
        )  # fmt: skip
    return [Tally(*row) for row in rows]
