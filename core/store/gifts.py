"""Queries on gifts among members, and on what was said with them; the tables, and their proof.

A gift joins two postings, one of each member. What was said in words stands apart and can be
erased while the books stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Connection, reading

GIFT_TABLES = """
-- Of the giver's event (id) and the receiver's (receipt_id), and what both moved.
CREATE TABLE gift (
    giver_id bigint NOT NULL REFERENCES holder (id),
    id bigint NOT NULL,
    receiver_id bigint NOT NULL REFERENCES holder (id),
    receipt_id bigint NOT NULL,
    partner_id integer NOT NULL,
    out_id integer NOT NULL,
    in_id integer NOT NULL,
    points bigint NOT NULL CHECK (points > 0),
    value text CHECK (length(value) BETWEEN 1 AND 64),
    at timestamptz NOT NULL,
    PRIMARY KEY (giver_id, id),
    CONSTRAINT gift_to_another CHECK (giver_id <> receiver_id)
);
CREATE INDEX gift_by_time ON gift (partner_id, at, id);
CREATE INDEX gift_given ON gift (giver_id, partner_id, at);
CREATE INDEX gift_received ON gift (receiver_id, partner_id, at);
CREATE TRIGGER gift_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON gift
    FOR EACH STATEMENT EXECUTE FUNCTION laurels_refuse();
GRANT SELECT, INSERT ON gift TO laurels_app;
CREATE TABLE gift_message (
    giver_id bigint NOT NULL,
    gift_id bigint NOT NULL,
    message text NOT NULL CHECK (length(message) BETWEEN 1 AND 1000),
    PRIMARY KEY (giver_id, gift_id)
);
GRANT SELECT, INSERT, DELETE ON gift_message TO laurels_app;
"""
#: What must stand, for `laurels check`.
GIFT_CONSTRAINTS = {
    "gift": "pkey giver_id_fkey receiver_id_fkey points_check value_check to_another",
    "gift_message": "pkey message_check",
}
# Points of one currency go through the account in transit (16), and none stay there; where the
# currency changes, those given are redeemed (11), and as many are issued (10).
GIFT_QUESTIONS = {
    "gifts = both their postings": """
        WITH moved AS (
            SELECT event_id, holder_id, currency_id, source, target, sum(amount) AS n
            FROM transfer WHERE kind = 12 GROUP BY 1, 2, 3, 4, 5
        )
        SELECT 'gift ' || coalesce(g.giver_id, e.holder_id) || '/' || coalesce(g.id, e.id), format(
            '%s points from %s to %s at %s; its events are %s and %s, which moved %s and %s', g.points, g.giver_id,
            g.receiver_id, g.at, e.id, r.id, o.n, i.n)
        FROM gift g FULL JOIN (SELECT * FROM event WHERE kind = 31) e ON e.id = g.id
        LEFT JOIN event r ON r.id = g.receipt_id AND r.kind = 32
        LEFT JOIN moved o ON o.event_id = g.id LEFT JOIN moved i ON i.event_id = g.receipt_id
        WHERE (e.holder_id, e.partner_id, e.occurred_at, e.external_id, r.holder_id, r.partner_id, r.occurred_at,
                r.external_id) IS DISTINCT FROM (g.giver_id, g.partner_id, g.at, g.id::text, g.receiver_id,
                g.partner_id, g.at, g.id::text)
            OR (o.holder_id, o.currency_id, o.source, o.target, o.n) IS DISTINCT FROM (g.giver_id, g.out_id,
                1::smallint, CASE WHEN g.out_id = g.in_id THEN 16 ELSE 11 END::smallint, g.points::numeric)
            OR (i.holder_id, i.currency_id, i.source, i.target, i.n) IS DISTINCT FROM (g.receiver_id, g.in_id,
                CASE WHEN g.out_id = g.in_id THEN 16 ELSE 10 END::smallint, 1::smallint, g.points::numeric)
        UNION ALL
        SELECT 'event ' || r.id, 'something was received that nobody gave'
        FROM event r LEFT JOIN gift g ON g.receipt_id = r.id WHERE r.kind = 32 AND g.id IS NULL
        UNION ALL
        SELECT 'message ' || m.giver_id || '/' || m.gift_id, 'there is no gift that it goes with'
        FROM gift_message m LEFT JOIN gift g ON g.giver_id = m.giver_id AND g.id = m.gift_id WHERE g.id IS NULL
        ORDER BY 1 LIMIT 20""",
    "nothing stays in transit": """
        SELECT 'currency ' || currency_id, format('%s points are in transit',
            sum(CASE WHEN target = 16 THEN amount ELSE -amount END))
        FROM transfer WHERE target = 16 OR source = 16 GROUP BY currency_id
        HAVING sum(CASE WHEN target = 16 THEN amount ELSE -amount END) <> 0
        ORDER BY 1 LIMIT 20""",
}
_COLUMNS = "giver_id, id, receiver_id, receipt_id, partner_id, out_id, in_id, points, value, at"
#: What stands of the attribute that makes a member a colleague, at an instant.
TEAM = """
    SELECT CASE WHEN a.until_at IS NULL OR {at} < a.until_at THEN a.value END AS team
    FROM attribute a WHERE a.holder_id = {holder} AND a.partner_id = {partner} AND a.name = {name}
        AND a.at <= {at} ORDER BY a.at DESC, a.id DESC LIMIT 1
"""
_TEAMS = f"""
SELECT h.id, t.team FROM unnest($1::bigint[]) AS h (id)
JOIN relation r ON r.holder_id = h.id AND r.partner_id = $2
CROSS JOIN LATERAL ({TEAM.format(holder="h.id", partner="$2", name="$3", at="$4::timestamptz")}) t
WHERE t.team IS NOT NULL
"""
_USED = """
SELECT coalesce(sum(points) FILTER (WHERE giver_id = $1 AND at >= $4), 0)::bigint,
    coalesce(sum(points) FILTER (WHERE giver_id = $1 AND receiver_id = $2 AND at >= $5), 0)::bigint,
    coalesce(sum(points) FILTER (WHERE giver_id = $1 AND receiver_id = $2 AND at >= $6), 0)::bigint,
    coalesce(bool_or(giver_id = $2 AND at >= $6), false)
FROM gift WHERE partner_id = $3 AND (giver_id = $1 OR giver_id = $2 AND receiver_id = $1)
    AND at >= least($4, $5, $6)
"""
_PAGE = f"""
SELECT {", ".join(f"g.{x}" for x in _COLUMNS.split(", "))}, m.message
FROM gift g LEFT JOIN gift_message m ON m.giver_id = g.giver_id AND m.gift_id = g.id
LEFT JOIN LATERAL ({TEAM.format(holder="g.giver_id", partner="g.partner_id", name="$5", at="g.at")}) f
    ON $4::text IS NOT NULL
LEFT JOIN LATERAL ({TEAM.format(holder="g.receiver_id", partner="g.partner_id", name="$5", at="g.at")}) t
    ON $4::text IS NOT NULL
WHERE g.partner_id = $1 AND ($2::bigint IS NULL OR $2 IN (g.giver_id, g.receiver_id))
    AND ($3::text IS NULL OR g.value = $3) AND ($4::text IS NULL OR $4 IN (f.team, t.team))
    AND ($6::timestamptz IS NULL OR (g.at, g.id) < ($6, $7::bigint))
ORDER BY g.at DESC, g.id DESC LIMIT $8
"""


class GiftRow(NamedTuple):
    """A row of `gift`."""

    giver: int
    id: int
    receiver: int
    receipt: int
    partner: int
    out: int
    into: int
    points: int
    value: str | None
    at: datetime


class Told(NamedTuple):
    """A gift with what was said; None: nothing was, or it was erased."""

    row: GiftRow
    message: str | None


class Used(NamedTuple):
    """What a member gave since the limits' periods began: in all, to this one (twice, by two
    periods); and whether this one gave to the giver in the last of them."""

    in_all: int
    to_one: int
    back: int
    was_given: bool


class Wanted(NamedTuple):
    """Which gifts of a partner a feed is about; None: all. A member's: given or received."""

    partner: int
    member: int | None = None
    value: str | None = None
    team: str | None = None


async def add(connection: Connection, row: GiftRow, message: str) -> None:
    """Add a gift, and what was said with it."""
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO gift ({_COLUMNS}) VALUES ({places})", *row)
    if message:
        await connection.execute(
            "INSERT INTO gift_message (giver_id, gift_id, message) VALUES ($1, $2, $3)",
            row.giver,
            row.id,
            message,
        )


async def teams(
    connection: Connection, holders: Sequence[int], partner: int, name: str, at: datetime
) -> dict[int, str]:
    """The teams of those among these members who are a partner's colleagues at an instant."""
    rows = await connection.fetch(_TEAMS, list(holders), partner, name, at)
    return {row[0]: row[1] for row in rows}


async def teams_of(holders: Sequence[int], partner: int, name: str, at: datetime) -> dict[int, str]:
    """Like `teams`, on a connection of its own."""
    async with reading() as connection:
        return await teams(connection, holders, partner, name, at)


async def used(
    connection: Connection,
    giver: int,
    receiver: int,
    partner: int,
    since: tuple[datetime, datetime, datetime],
) -> Used:
    """What counts under the limits, since their periods (in all, to one, back) began."""
    row = await connection.fetchrow(_USED, giver, receiver, partner, *since)
    assert row is not None
    return Used(*row)


async def get(connection: Connection, giver: int, gift: int) -> Told | None:
    """One gift."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS}, (SELECT message FROM gift_message m WHERE m.giver_id = g.giver_id "
        "AND m.gift_id = g.id) FROM gift g WHERE giver_id = $1 AND id = $2",
        giver,
        gift,
    )
    return None if row is None else Told(GiftRow(*row[:10]), row[10])


async def read(giver: int, gift: int) -> Told | None:
    """Like `get`, on a connection of its own."""
    async with reading() as connection:
        return await get(connection, giver, gift)


async def page(
    wanted: Wanted, team: str, before: tuple[datetime, int] | None, limit: int
) -> list[Told]:
    """Gifts, newest first, before (at, id) of the last one seen; `team` names the attribute."""
    partner, member, value, named = wanted
    async with reading() as connection:
        rows = await connection.fetch(
            _PAGE, partner, member, value, named, team, *(before or (None, None)), limit
        )
    return [Told(GiftRow(*row[:10]), row[10]) for row in rows]


async def colleagues(
    partner: int, team: str, at: datetime, named: str | None, after: int, limit: int
) -> list[int]:
    """A partner's colleagues by number, after the last one seen; of those whose name holds a text."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT r.holder_id FROM relation r JOIN member m USING (holder_id) "
            f"CROSS JOIN LATERAL ({TEAM.format(holder='r.holder_id', partner='$1', name='$2', at='$3::timestamptz')}) t "
            "WHERE r.partner_id = $1 AND t.team IS NOT NULL AND r.holder_id > $4 "
            "AND ($5::text IS NULL OR strpos(lower(m.name), lower($5)) > 0) "
            "ORDER BY r.holder_id LIMIT $6",
            partner,
            team,
            at,
            after,
            named,
            limit,
        )
    return [row[0] for row in rows]


async def erase_message(connection: Connection, giver: int, gift: int) -> bool:
    """Erase what was said with a gift; False where there is nothing."""
    done = await connection.execute(
        "DELETE FROM gift_message WHERE giver_id = $1 AND gift_id = $2", giver, gift
    )
    return bool(done.endswith(" 1"))
