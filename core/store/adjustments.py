"""Queries on points given or taken by hand, and on what was said of it in words."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from core.db import Connection, Row, reading

_COLUMNS = (
    "holder_id, event_id, at, booked_at, currency_id, seq, points, reason, cause_id, counts, "
    "partner_id, role, caller"
)
# What matches a report: reason, partner, from, until (exclusive).
_MATCHES = """($1::text IS NULL OR a.reason = $1) AND ($2::int IS NULL OR a.partner_id = $2)
    AND ($3::timestamptz IS NULL OR a.at >= $3) AND ($4::timestamptz IS NULL OR a.at < $4)"""
# A purchase came back whole where what came back of it is worth what its last revision came to.
_CAME_BACK = """
    SELECT (SELECT e.kind = 1 FROM event e WHERE e.id = a.cause_id) AS is_purchase, EXISTS (
        SELECT FROM event c WHERE c.purchase_id = a.cause_id AND c.kind = 9
    ) OR coalesce((SELECT sum(c.total) FROM event c WHERE c.purchase_id = a.cause_id AND c.kind = 8)
        >= (SELECT e.total FROM event e WHERE e.kind IN (1, 10)
            AND (e.id = a.cause_id OR e.purchase_id = a.cause_id)
            ORDER BY e.booked_at DESC LIMIT 1), false) AS came_back
"""
_TOLD = f"""
SELECT a.*, n.note, x.is_purchase, CASE WHEN x.is_purchase THEN x.came_back END
FROM a LEFT JOIN adjustment_note n USING (holder_id, event_id)
LEFT JOIN LATERAL ({_CAME_BACK}) x ON true
"""
_PAGE = f"""
WITH p AS (
    SELECT {_COLUMNS} FROM adjustment a WHERE {_MATCHES}
        AND ($5::timestamptz IS NULL OR (a.at, a.event_id) < ($5, $6::bigint))
    ORDER BY a.at DESC, a.event_id DESC LIMIT $7
), before AS (
    SELECT a.reason, a.currency_id, sum(a.points) AS points FROM adjustment a WHERE {_MATCHES}
        AND (a.at, a.event_id) < (SELECT p.at, p.event_id FROM p ORDER BY 1, 2 LIMIT 1)
    GROUP BY 1, 2
), a AS (
    SELECT p.*, (coalesce(b.points, 0) + sum(p.points) OVER (
        PARTITION BY p.reason, p.currency_id ORDER BY p.at, p.event_id))::bigint AS running
    FROM p LEFT JOIN before b USING (reason, currency_id)
)
{_TOLD} ORDER BY a.at DESC, a.event_id DESC
"""
_GET = f"""
WITH a AS (
    SELECT {_COLUMNS}, NULL::bigint AS running FROM adjustment
    WHERE holder_id = $1 AND event_id = $2
)
{_TOLD}
"""
_TOTALS = f"""
SELECT a.reason, a.currency_id, count(*), coalesce(sum(a.points) FILTER (WHERE a.points > 0), 0)::bigint,
    coalesce(-sum(a.points) FILTER (WHERE a.points < 0), 0)::bigint
FROM adjustment a WHERE {_MATCHES} GROUP BY 1, 2 ORDER BY 1, 2
"""


class AdjustmentRow(NamedTuple):
    """A row of `adjustment`. `partner` 0: the programme's own; `cause` None: no event is named."""

    holder: int
    event: int
    at: datetime
    booked_at: datetime
    currency: int
    seq: int
    points: int
    reason: str
    cause: int | None
    counts: bool
    partner: int
    role: str
    caller: str


class Told(NamedTuple):
    """An adjustment as a report tells it.

    `running` sums its reason in its currency up to it, within what was asked for; None where it
    was read alone. `came_back`: whether the purchase that it was for came back whole; None where
    it was for none.
    """

    row: AdjustmentRow
    running: int | None
    note: str | None
    for_purchase: bool
    came_back: bool | None


class Total(NamedTuple):
    """What was adjusted for one reason in one currency: how often, and points either way."""

    reason: str
    currency: int
    times: int
    added: int
    taken: int


class Filter(NamedTuple):
    """Which adjustments a report is about; None: all. `until` is exclusive."""

    reason: str | None = None
    partner: int | None = None
    since: datetime | None = None
    until: datetime | None = None


async def add(connection: Connection, row: AdjustmentRow, note: str) -> None:
    """Add an adjustment, and what was said of it."""
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO adjustment ({_COLUMNS}) VALUES ({places})", *row)
    if note:
        await connection.execute(
            "INSERT INTO adjustment_note (holder_id, event_id, note) VALUES ($1, $2, $3)",
            row.holder,
            row.event,
            note,
        )


async def erase_notes(connection: Connection, holder: int) -> None:
    """Erase what was said in words of a holder's adjustments; the books stand."""
    await connection.execute("DELETE FROM adjustment_note WHERE holder_id = $1", holder)


async def alone_today(connection: Connection, caller: str, currency: int) -> None:
    """Wait for others that adjust as this caller: of two, the second must see what the first did."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('adjust|' || $1 || '|' || $2::int, 7))",
        caller,
        currency,
    )


async def adjusted(
    connection: Connection, caller: str, currency: int, since: datetime, until: datetime
) -> int:
    """The points that a caller gave and took of a currency in [since, until), all counted up."""
    return int(
        await connection.fetchval(
            "SELECT coalesce(sum(abs(points)), 0)::bigint FROM adjustment "
            "WHERE caller = $1 AND currency_id = $2 AND at >= $3 AND at < $4",
            caller,
            currency,
            since,
            until,
        )
    )


async def is_event_of(connection: Connection, holder: int, event: int) -> bool:
    """Whether something happened to this holder under this event."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM event WHERE id = $2 AND holder_id = $1)", holder, event
        )
    )


async def get(connection: Connection, holder: int, event: int) -> Told | None:
    """One adjustment."""
    row = await connection.fetchrow(_GET, holder, event)
    return None if row is None else _told(row)


async def read(holder: int, event: int) -> Told | None:
    """Like `get`, on a connection of its own."""
    async with reading() as connection:
        return await get(connection, holder, event)


async def report(
    wanted: Filter, before: tuple[datetime, int] | None, limit: int
) -> tuple[list[Told], list[Total]]:
    """Adjustments, newest first, before (at, event) of the last one seen; and all totals."""
    async with reading() as connection:
        rows = await connection.fetch(_PAGE, *wanted, *(before or (None, None)), limit)
        totals = await connection.fetch(_TOTALS, *wanted)
    return [_told(row) for row in rows], [Total(*row) for row in totals]


def _told(row: Row) -> Told:
    return Told(AdjustmentRow(*row[:13]), row[13], row[14], bool(row[15]), row[16])
