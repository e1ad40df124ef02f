"""Deliveries of webhooks in SQL: added, claimed by their state, finished, listed.

A delivery that is due is claimed by moving the instant at which it is due: who claimed it and died
loses it to another then. Knows nothing of how one is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from core.db import Connection, Row, reading
from core.store.posting import columns
from core.store.writes import ChangeRow

#: Endpoints that take something, with which of these members their partners have dealt. They stay
#: as they are until the transaction ends.
_LISTENING = """
SELECT e.id, e.partner_id, e.topics, ARRAY (
    SELECT r.holder_id FROM relation r WHERE r.holder_id = ANY ($2) AND r.partner_id = e.partner_id)
FROM webhook_endpoint e WHERE e.state = 1 AND (e.partner_id = ANY ($1) OR cardinality($2) > 0)
FOR KEY SHARE OF e
"""
_ADD = """
INSERT INTO webhook_delivery (endpoint_id, event_id, holder_id, redemption_id, topics, created_at,
    next_at)
SELECT n.a, n.b, n.c, n.d, n.e::smallint[], $6, $6
FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) AS n (a, b, c, d, e)
"""
#: So few of each endpoint and of each partner, what is due longest first; endpoints whose last attempt
#: failed come after the others. So no slow or dead one, and no partner, keeps others waiting.
_CLAIM = """
WITH candidates AS (
    SELECT d.id, d.next_at, e.partner_id, $6 - coalesce(b.busy, 0) AS room,
        coalesce(e.failed_at > e.took_at, e.failed_at IS NOT NULL) AS failed
    FROM webhook_endpoint e
    LEFT JOIN unnest($7::int[], $8::int[]) AS b (partner, busy) ON b.partner = e.partner_id
    CROSS JOIN LATERAL (
        SELECT d.id, d.next_at FROM webhook_delivery d
        WHERE d.endpoint_id = e.id AND d.state = 1 AND d.next_at <= $1
        ORDER BY d.next_at, d.id LIMIT $4 FOR UPDATE SKIP LOCKED
    ) d
    WHERE e.state = 1 AND e.id <> ALL ($2) AND coalesce(b.busy, 0) < $6
), due AS (
    SELECT id FROM (
        SELECT *, row_number() OVER (PARTITION BY partner_id ORDER BY failed, next_at, id) AS place
        FROM candidates
    ) c WHERE place <= room ORDER BY failed, next_at, id LIMIT $5
), claimed AS (
    UPDATE webhook_delivery d SET next_at = $1 + $3::interval, claims = d.claims + 1
    FROM due WHERE d.id = due.id RETURNING d.*
)
SELECT c.id, c.endpoint_id, c.event_id, c.holder_id, c.redemption_id, c.topics, c.created_at,
    c.claims, c.attempts, c.faults, e.partner_id, e.url,
    -- Whose key has ended is told no more than ids.
    CASE WHEN k.revoked_at IS NULL AND coalesce(k.expires_at > $1, true) THEN e.query END, e.scopes, v.kind, v.purchase_id, v.booked_at,
    ARRAY (SELECT s.secret FROM webhook_secret s WHERE s.endpoint_id = e.id
        AND (s.ends_at IS NULL OR s.ends_at > $1) ORDER BY s.number DESC)
FROM claimed c JOIN webhook_endpoint e ON e.id = c.endpoint_id
    LEFT JOIN api_key k ON k.id = e.saved_by LEFT JOIN event v ON v.id = c.event_id
ORDER BY c.id
"""
#: What became of attempts. One whose delivery was claimed anew since (it took longer than it may, and
#: another began) is noted and decides nothing.
_FINISH = """
WITH n AS (
    SELECT * FROM unnest($1::bigint[], $2::int[], $3::smallint[], $4::timestamptz[],
        $5::timestamptz[], $6::smallint[], $7::int[], $8::text[], $9::smallint[], $10::bool[], $11::text[])
        AS n (id, claim, state, next_at, at, status, milliseconds, problem, ends, ours, url)
), d AS (
    UPDATE webhook_delivery d SET state = n.state, next_at = n.next_at,
        done_at = CASE WHEN n.state <> 1 THEN n.at END,
        attempts = d.attempts + (NOT n.ours)::int, faults = d.faults + n.ours::int
    FROM n WHERE d.id = n.id AND d.claims = n.claim AND d.state = 1
    RETURNING d.id, d.endpoint_id, d.created_at, n.state, n.at, n.ends, n.ours, n.url
), a AS (
    INSERT INTO webhook_attempt (delivery_id, number, at, status, milliseconds, problem)
    SELECT w.id, coalesce((SELECT max(number) FROM webhook_attempt x WHERE x.delivery_id = w.id), 0)
            + row_number() OVER (PARTITION BY w.id ORDER BY n.claim),
        n.at, n.status, n.milliseconds, n.problem
    FROM n JOIN webhook_delivery w ON w.id = n.id
)
UPDATE webhook_endpoint e SET took_at = coalesce(o.took, e.took_at),
    failed_at = coalesce(o.failed, e.failed_at),
    state = CASE WHEN e.url = o.url THEN coalesce(o.ends, e.state) ELSE e.state END,
    disabled_at = CASE WHEN e.url = o.url AND o.ends IS NOT NULL THEN o.at ELSE e.disabled_at END
FROM (
    SELECT d.endpoint_id, f.url, max(d.at) FILTER (WHERE d.state = 2) AS took, max(d.at) AS at,
        max(d.at) FILTER (WHERE d.state <> 2 AND NOT d.ours) AS failed,
        -- Given up: the endpoint is too, unless it took something since the delivery was made. What
        -- became of an address that it had before is no matter.
        min(d.ends) FILTER (WHERE d.url = f.url AND (d.ends = 3 OR d.ends = 4 AND NOT EXISTS (
            SELECT FROM d x WHERE x.endpoint_id = d.endpoint_id AND x.state = 2)
            AND coalesce(f.took_at < d.created_at, true))) AS ends
    FROM d JOIN webhook_endpoint f ON f.id = d.endpoint_id GROUP BY 1, 2
) o
WHERE e.id = o.endpoint_id AND e.state = 1
    AND (o.took IS NOT NULL OR o.failed IS NOT NULL)
RETURNING e.id, e.partner_id, e.state
"""


class Listener(NamedTuple):
    """An endpoint that takes something; `dealt`: members of its partner's among those asked for."""

    endpoint: int
    partner: int
    topics: frozenset[int]
    dealt: frozenset[int]


class Room(NamedTuple):
    """How many are claimed at most: of an endpoint, of a partner with what it has, of all."""

    endpoint: int
    partner: int
    all: int


class Claimed(NamedTuple):
    """A delivery to be tried now, with all that is needed for it.

    `claim` tells it from who claimed it before; `attempts` failed so far by its receiver, `faults`
    here. `purchase` is the event of the purchase that it is about; `secrets`, the newest first.
    """

    id: int
    endpoint: int
    event: int | None
    holder: int | None
    redemption: int | None
    topics: tuple[int, ...]
    created_at: datetime
    claim: int
    attempts: int
    faults: int
    partner: int
    url: str
    query: str | None
    scopes: tuple[str, ...]
    kind: int | None
    purchase: int | None
    booked_at: datetime | None
    secrets: tuple[bytes, ...]


class Finished(NamedTuple):
    """How an attempt went: what becomes of the delivery, and of its endpoint (`ends`: its state).

    `ours`: what went wrong did so here, and is no failure of the receiver's. `url`: where it went.
    """

    id: int
    claim: int
    state: int
    next_at: datetime | None
    at: datetime
    status: int | None
    milliseconds: int
    problem: str
    ends: int | None
    ours: bool
    url: str


class Ended(NamedTuple):
    """An endpoint that is sent nothing more, and its state."""

    endpoint: int
    partner: int
    state: int


class Attempt(NamedTuple):
    """One attempt, as it is kept."""

    number: int
    at: datetime
    status: int | None
    milliseconds: int
    problem: str


class Delivery(NamedTuple):
    """A delivery and its attempts."""

    id: int
    endpoint: int
    partner: int
    event: int | None
    topics: tuple[int, ...]
    created_at: datetime
    state: int
    next_at: datetime | None
    done_at: datetime | None
    attempts: tuple[Attempt, ...]


class Filter(NamedTuple):
    """Which deliveries are listed; None: any."""

    partner: int | None = None
    endpoint: int | None = None
    state: int | None = None


async def listening(
    connection: Connection, partners: Sequence[int], holders: Sequence[int]
) -> list[Listener]:
    """Who is to be told of what happened at these partners, or of these members by itself."""
    rows = await connection.fetch(_LISTENING, list(partners), list(holders))
    return [Listener(row[0], row[1], frozenset(row[2]), frozenset(row[3])) for row in rows]


async def add(
    connection: Connection, given: Sequence[tuple[int, ChangeRow, Sequence[int]]], now: datetime
) -> None:
    """Add deliveries, each of an endpoint, a change and what it is."""
    rows = [
        (endpoint, c.event, c.holder, c.redemption, f"{{{','.join(map(str, topics))}}}")
        for endpoint, c, topics in given
    ]
    await connection.execute(_ADD, *columns(rows, 5), now)


async def add_test(connection: Connection, endpoint: int, now: datetime) -> int:
    """Add a delivery that is about nothing; its number."""
    found: int = await connection.fetchval(
        "INSERT INTO webhook_delivery (endpoint_id, topics, created_at, next_at) "
        "VALUES ($1, '{}', $2, $2) RETURNING id",
        endpoint,
        now,
    )
    return found


async def drop(connection: Connection, delivery: int) -> None:
    """Take back a delivery that was added."""
    await connection.execute("DELETE FROM webhook_delivery WHERE id = $1", delivery)


async def claim(
    now: datetime, lease: timedelta, most: Room, but: Sequence[int], busy: Mapping[int, int]
) -> list[Claimed]:
    """Take up what is due of all endpoints but these; `busy`: what partners have under way."""
    async with reading() as connection:
        rows = await connection.fetch(
            _CLAIM, now, list(but), lease, most.endpoint, most.all, most.partner, list(busy),
            list(busy.values()),
        )  # fmt: skip
    found = []
    for row in rows:
        values: list[Any] = list(row.values())
        for n in (5, 13, 17):
            values[n] = tuple(values[n])
        found.append(Claimed(*values))
    return found


async def extend(delivery: int, claim: int, until: datetime) -> bool:
    """Go on with what was claimed, until then; whether nobody else has claimed it since."""
    async with reading() as connection:
        done = await connection.execute(
            "UPDATE webhook_delivery SET next_at = $3 WHERE id = $1 AND claims = $2 AND state = 1",
            delivery,
            claim,
            until,
        )
    return bool(done == "UPDATE 1")


async def finish(done: Sequence[Finished]) -> list[Ended]:
    """Note how attempts went; the endpoints that ended of it."""
    async with reading() as connection:
        rows = await connection.fetch(_FINISH, *columns(done, 11))
    return [Ended(*row) for row in rows if row[2] != 1]


_ROW = """
SELECT d.id, d.endpoint_id, e.partner_id, d.event_id, d.topics, d.created_at, d.state, d.next_at,
    d.done_at, (
        SELECT jsonb_agg(jsonb_build_array(a.number, a.at, a.status, a.milliseconds, a.problem)
            ORDER BY a.number)
        FROM webhook_attempt a WHERE a.delivery_id = d.id)
FROM webhook_delivery d JOIN webhook_endpoint e ON e.id = d.endpoint_id
"""


def _of(row: Row) -> Delivery:
    attempts = [
        Attempt(number, datetime.fromisoformat(at), *rest)
        for number, at, *rest in orjson.loads(row[9] or "[]")
    ]
    values: list[Any] = list(row.values())[:9]
    values[4] = tuple(values[4])
    values.append(tuple(attempts))
    return Delivery(*values)


async def read(ids: Sequence[int]) -> dict[int, Delivery]:
    """Deliveries by their ids."""
    async with reading() as connection:
        rows = await connection.fetch(f"{_ROW} WHERE d.id = ANY ($1)", list(ids))
    return {row[0]: _of(row) for row in rows}


async def listed(wanted: Filter, before: int, limit: int) -> list[Delivery]:
    """Deliveries, newest first, from below this id on."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"{_ROW} WHERE d.id < $4 AND ($1::int IS NULL OR e.partner_id = $1) "
            "AND ($2::int IS NULL OR d.endpoint_id = $2) "
            "AND ($3::smallint IS NULL OR d.state = $3) ORDER BY d.id DESC LIMIT $5",
            *wanted,
            before,
            limit,
        )
    return [_of(row) for row in rows]


async def replay(ids: Sequence[int], now: datetime) -> None:
    """Have these sent once more, with attempts anew."""
    async with reading() as connection:
        await connection.execute(
            "UPDATE webhook_delivery SET state = 1, attempts = 0, faults = 0, claims = claims + 1, "
            "next_at = $2, done_at = NULL "
            "WHERE id = ANY ($1)",
            list(ids),
            now,
        )


async def forget(before: datetime) -> int:
    """Drop what was made before then; how many."""
    async with reading() as connection:
        done = await connection.execute(
            "DELETE FROM webhook_delivery WHERE created_at < $1", before
        )
    return int(done.rpartition(" ")[2])
