"""Queries on webhooks as they came in: kept, taken up in the order of their subjects, finished.

Personal data: bodies, and what was said of them, are dropped a while after they are done.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from enum import IntEnum
from typing import Any, NamedTuple

import orjson

from core.db import Row, reading, session, transaction
from core.errors import IdempotencyConflict
from core.lines import line_of, said_of
from core.store.awaiting import wait_for
from core.store.members import lock_keys
from core.store.posting import columns
from core.store.redemptions import claim_key

#: With a partner's id: who processes what came for it. No other lock of this database has it.
_LOCK = 52873572
#: Deliveries that are taken up at a time, and how many of them of one subject.
_SOME, _EACH = 100, 20

_ROW = (
    "i.id, i.partner_id, i.adapter, i.delivery, i.subject, i.version, i.received_at, i.headers, "
    "i.body, i.state, i.attempts, i.problem, i.next_at, i.done_at, i.outcome, i.whole, i.conflicts, "
    "i.asked_at"
)
#: A page of them may be of many megabytes; see `bodies`.
_WITHOUT_BODY = _ROW.replace("i.body", "NULL::bytea")
_ADD = """
INSERT INTO inbound (partner_id, adapter, delivery, content_hash, subject, version, received_at,
    headers, body, next_at, asked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $7, $7)
ON CONFLICT ON CONSTRAINT inbound_delivery DO NOTHING RETURNING id
"""
_AGAIN = """
UPDATE inbound SET conflicts = conflicts + (content_hash <> $4)::int
WHERE partner_id = $1 AND adapter = $2 AND delivery = $3 RETURNING content_hash = $4
"""
_TAKE = f"""
WITH due AS (
    SELECT d.id, d.adapter, d.subject, min(d.next_at) OVER alike AS at,
        row_number() OVER (alike ORDER BY d.version NULLS LAST, d.id) AS place
    FROM (
        SELECT *, CASE subject WHEN '' THEN id ELSE 0 END AS own
        FROM inbound WHERE partner_id = $1 AND done_at IS NULL AND next_at <= $2
    ) d
    WINDOW alike AS (PARTITION BY d.adapter, d.subject, d.own)
), chosen AS (
    SELECT id FROM due WHERE place <= {_EACH} ORDER BY at, adapter, subject, place, id LIMIT {_SOME}
)
SELECT {_ROW} FROM chosen JOIN inbound i ON i.id = chosen.id ORDER BY i.id
"""
_WAKE = """
UPDATE inbound i SET next_at = $5
FROM unnest($2::text[], $3::text[]) AS k (adapter, subject)
WHERE i.partner_id = $1 AND i.adapter = k.adapter AND i.subject = k.subject
    AND i.done_at IS NULL AND i.next_at > $5 AND i.id <> ALL ($4::bigint[])
"""
_STANDING = """
SELECT k.adapter, k.subject, w.version, w.id, coalesce(f.bare, 0), coalesce(f.last, 0), f.version
FROM unnest($2::text[], $3::text[]) AS k (adapter, subject)
LEFT JOIN LATERAL (
    SELECT i.version, i.id FROM inbound i WHERE i.partner_id = $1 AND i.adapter = k.adapter
        AND i.subject = k.subject AND i.whole AND i.version IS NOT NULL
    ORDER BY i.version DESC, i.id DESC LIMIT 1
) w ON true
LEFT JOIN LATERAL (
    SELECT max(i.version) FILTER (WHERE i.done_at IS NOT NULL) AS version,
        max(i.id) FILTER (WHERE i.whole AND i.version IS NULL) AS bare,
        max(i.id) FILTER (WHERE i.whole) AS last
    FROM inbound i WHERE i.partner_id = $1 AND i.adapter = k.adapter AND i.subject = k.subject
) f ON true
"""
# Of who was erased meanwhile nothing personal is kept: what comes later may be about it, too.
_FINISH = """
UPDATE inbound i SET delivery = n.delivery, subject = n.subject, version = n.version,
    state = n.state, attempts = i.attempts + 1, next_at = n.next_at, done_at = n.done_at,
    problem = CASE WHEN gone AND n.problem <> '' THEN 'dropped with the body' ELSE n.problem END,
    outcome = CASE WHEN gone THEN '[]' ELSE n.outcome::jsonb END,
    body = CASE WHEN gone THEN NULL ELSE i.body END,
    headers = CASE WHEN gone THEN '{}' ELSE i.headers END, whole = i.whole OR n.whole, awaits = NULL
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::smallint[], $6::text[],
    $7::timestamptz[], $8::timestamptz[], $9::text[], $10::bool[])
    AS n (id, delivery, subject, version, state, problem, next_at, done_at, outcome, whole)
CROSS JOIN LATERAL (SELECT n.done_at IS NOT NULL AND EXISTS (
    SELECT FROM jsonb_array_elements(n.outcome::jsonb) x
    LEFT JOIN event e ON e.id = (x ->> 'event')::bigint
    JOIN holder h ON h.id = coalesce(e.holder_id, (x ->> 'holder')::bigint)
    WHERE h.erased_at IS NOT NULL) AS gone) erased
WHERE i.id = n.id
"""
_PURCHASES = """
SELECT k.place, e.id, e.money, r.revisions, l.lines
FROM unnest($1::int[], $2::int[], $3::text[]) AS k (place, partner_id, external_id)
JOIN event e ON e.partner_id = k.partner_id AND e.kind = 1 AND e.external_id = k.external_id
CROSS JOIN LATERAL (
    SELECT count(*) AS revisions, (array_agg(x.id ORDER BY x.booked_at DESC))[1] AS last
    FROM event x WHERE x.purchase_id = e.id AND x.kind = 10
) r
CROSS JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_array(x.product_type, x.amount, x.quantity, x.sku, x.discount, x.tax,
        x.points_paid, x.kind) ORDER BY x.line) AS lines
    FROM event_line x WHERE x.event_id = coalesce(r.last, e.id)
) l
"""


class State(IntEnum):
    """Where a delivery stands; the numbers are stored."""

    RECEIVED = 1
    DONE = 2
    WAITING = 3
    SUPERSEDED = 4
    REFUSED = 5
    IGNORED = 6


class Inbound(NamedTuple):
    """A webhook as it came, and what became of it; `body` is None once it was dropped.

    `whole`: it was booked, and said what the whole subject is (or that it is no more). `conflicts`
    counts messages of its name that said something else. `asked_at`: when it came, or was replayed.
    """

    id: int
    partner: int
    adapter: str
    delivery: str
    subject: str
    version: int | None
    received_at: datetime
    headers: dict[str, str]
    body: bytes | None
    state: State
    attempts: int
    problem: str
    next_at: datetime | None
    done_at: datetime | None
    outcome: list[dict[str, Any]]
    whole: bool
    conflicts: int
    asked_at: datetime

    @property
    def did(self) -> list[dict[str, Any]]:
        """What a delivery that waits has done already, command by command."""
        return list(self.outcome) if self.state is State.WAITING else []


class Arrived(NamedTuple):
    """A genuine webhook to keep."""

    partner: int
    adapter: str
    delivery: str
    subject: str
    version: int | None
    headers: Mapping[str, str]
    body: bytes


class Finished(NamedTuple):
    """What became of a delivery at this attempt; `next_at` where it is tried again."""

    id: int
    delivery: str
    subject: str
    version: int | None
    state: State
    problem: str
    next_at: datetime | None
    done_at: datetime | None
    outcome: Sequence[Mapping[str, Any]]
    whole: bool
    awaits: tuple[int, int, str] | None = None


class Standing(NamedTuple):
    """How far a subject is: its newest whole deliveries in the books, the last version finished.

    `numbered` is the newest that has a version, with its number; `bare` the number of the last to
    come without one, `last` of the last to come at all (0: none).
    """

    numbered: tuple[int, int] | None
    bare: int
    last: int
    finished: int | None


#: Of a subject of which nothing is in the books.
NOTHING = Standing(None, 0, 0, None)


class Stored(NamedTuple):
    """A purchase as it stands: its money, how often it was edited, its last lines as said."""

    event: int
    money: str
    edits: int
    lines: list[list[Any]]


@asynccontextmanager
async def alone(partner: int) -> AsyncIterator[bool]:
    """Be the one process that does what came in for a partner; False: another is."""
    async with session() as connection:
        yield await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", _LOCK, partner)


def digest_of(headers: Mapping[str, str], body: bytes) -> bytes:
    """32 bytes that stand for all that is kept of a message: its topic may be in a header."""
    kept = orjson.dumps(dict(headers), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(kept + b"\0" + body).digest()


async def add(given: Arrived, now: datetime) -> bool | None:
    """Keep a delivery. False: it is kept already; None: its name is, and says otherwise (noted)."""
    headers = orjson.dumps(dict(given.headers)).decode()
    digest = digest_of(given.headers, given.body)
    async with reading() as connection:
        new = await connection.fetchval(
            _ADD, given.partner, given.adapter, given.delivery, digest, given.subject,
            given.version, now, headers, given.body,
        )  # fmt: skip
        if new is not None:
            return True
        same = await connection.fetchval(
            _AGAIN, given.partner, given.adapter, given.delivery, digest
        )
    return False if same else None


async def due(now: datetime) -> list[int]:
    """The partners for which something is to be done by now."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT partner_id FROM inbound WHERE done_at IS NULL AND next_at <= $1 "
            "ORDER BY 1",
            now,
        )
    return [row[0] for row in rows]


async def take(partner: int, now: datetime) -> list[Inbound]:
    """Some of what is due, of many subjects rather than much of one."""
    async with reading() as connection:
        return [of_row(row) for row in await connection.fetch(_TAKE, partner, now)]


async def standing(
    partner: int, subjects: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Standing]:
    """How far these subjects are, each an (adapter, subject)."""
    async with reading() as connection:
        rows = await connection.fetch(_STANDING, partner, *columns(subjects, 2))
    return {
        (row[0], row[1]): Standing(None if row[3] is None else (row[2], row[3]), *row[4:7])
        for row in rows
    }


async def names(partner: int, named: Sequence[tuple[int, str, str]]) -> set[int]:
    """Which of these (id, adapter, delivery) bear the name of another delivery that is kept."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT k.id FROM unnest($2::bigint[], $3::text[], $4::text[]) AS k (id, a, d) "
            "JOIN inbound i ON i.partner_id = $1 AND i.adapter = k.a AND i.delivery = k.d "
            "AND i.id <> k.id",
            partner,
            *columns(named, 3),
        )
    return {row[0] for row in rows}


async def finish(partner: int, done: Sequence[Finished], now: datetime) -> None:
    """Note what became of deliveries of a partner's at this attempt."""
    rows = [
        (*f[:5], f.problem[:1000], f.next_at, f.done_at, orjson.dumps(f.outcome).decode(), f.whole)
        for f in done
    ]
    async with reading() as connection:
        await connection.execute(_FINISH, *columns(rows, 10))
    if awaiting := [(f.id, *f.awaits) for f in done if f.awaits is not None]:
        async with transaction() as connection:
            # Whoever enrols them at this moment is waited for, and seen.
            await lock_keys(connection, [row[1:] for row in awaiting])
            await wait_for(connection, partner, awaiting, now)


async def wake(
    partner: int, subjects: Sequence[tuple[str, str]], but: Sequence[int], now: datetime
) -> None:
    """Try again at once what waits of these subjects, each an (adapter, subject), but these ids."""
    async with reading() as connection:
        await connection.execute(_WAKE, partner, *columns(subjects, 2), list(but), now)


async def replay(ids: Sequence[int], now: datetime, key: tuple[str, str] | None) -> bool:
    """Have these done once more, where their bodies are still there; False: `key` did before.

    Raises IdempotencyConflict where the key was used for something else.
    """
    digest = hashlib.blake2b(orjson.dumps(["replay", *ids]), digest_size=16).digest()
    async with transaction() as connection:
        if key is not None:
            known = await claim_key(connection, *key, digest, [], now)
            if known is not None and known[0] != digest:
                raise IdempotencyConflict("this key was used before for another request", "key")
            if known is not None:
                return False
        await connection.execute(
            "UPDATE inbound SET state = 1, problem = '', next_at = $2, asked_at = $2, "
            "done_at = NULL "
            "WHERE id = ANY($1) AND body IS NOT NULL",
            list(ids),
            now,
        )
    return True


async def forget(before: datetime) -> int:
    """Drop the bodies of what was done before then, and what was said of them; how many."""
    async with reading() as connection:
        done = await connection.execute(
            "UPDATE inbound SET body = NULL, headers = '{}', outcome = '[]', "
            "problem = CASE problem WHEN '' THEN '' ELSE 'dropped with the body' END "
            "WHERE body IS NOT NULL AND done_at < $1",
            before,
        )
    return int(done.rpartition(" ")[2])


async def purchases(keys: Sequence[tuple[int, int, str]]) -> dict[int, Stored]:
    """Purchases as they stand, asked for by (place, partner, external id), by place."""
    async with reading() as connection:
        rows = await connection.fetch(_PURCHASES, *columns(keys, 3))
    return {
        row[0]: Stored(row[1], row[2], row[3], [said_of(line_of(x)) for x in orjson.loads(row[4])])
        for row in rows
    }


async def read(ids: Sequence[int]) -> list[Inbound]:
    """The deliveries of these ids."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_ROW} FROM inbound i WHERE i.id = ANY($1) ORDER BY i.id", list(ids)
        )
    return [of_row(row) for row in rows]


async def bodies(ids: Sequence[int]) -> dict[int, bytes]:
    """The bodies that are still there of the deliveries of these ids."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT id, body FROM inbound WHERE id = ANY($1) AND body IS NOT NULL", list(ids)
        )
    return {row[0]: row[1] for row in rows}


class Filter(NamedTuple):
    """Which deliveries are listed; None: any."""

    partner: int | None = None
    adapter: str | None = None
    state: State | None = None
    subject: str | None = None


async def listed(wanted: Filter, before: int, limit: int) -> list[Inbound]:
    """Deliveries without their bodies, newest first, from below this id on."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_WITHOUT_BODY} FROM inbound i WHERE i.id < $5 "
            "AND ($1::int IS NULL OR i.partner_id = $1) AND ($2::text IS NULL OR i.adapter = $2) "
            "AND ($3::smallint IS NULL OR i.state = $3) AND ($4::text IS NULL OR i.subject = $4) "
            "ORDER BY i.id DESC LIMIT $6",
            *wanted,
            before,
            limit,
        )
    return [of_row(row) for row in rows]


def of_row(row: Row) -> Inbound:
    """A delivery of a row's columns."""
    values = list(row.values())
    values[7], values[14] = orjson.loads(values[7]), orjson.loads(values[14])
    values[9] = State(values[9])
    return Inbound(*values)
