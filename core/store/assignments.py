"""Queries on ranks that were given by hand. An end before time is a row of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from core.db import Connection, Row

_COLUMNS = "holder_id, event_id, ladder_id, booked_at, kind, rank, from_at, until_at, reason, ends"
_GET = """
SELECT a.holder_id, a.event_id, a.ladder_id, a.booked_at, a.kind, a.rank, a.from_at,
    least(a.until_at, e.from_at), a.reason, e.event_id
FROM assignment a LEFT JOIN assignment e ON e.holder_id = a.holder_id AND e.ends = a.event_id
WHERE a.holder_id = $1 AND a.event_id = $2 AND a.kind <> 3
"""


class AssignmentRow(NamedTuple):
    """A row of `assignment`. As `get` answers it, `until` is the earlier end, and `ends` the event
    that brought it about before time.
    """

    holder: int
    event: int
    ladder: int
    booked_at: datetime
    kind: int
    rank: int
    since: datetime
    until: datetime | None
    reason: str
    ends: int | None


async def add(connection: Connection, row: AssignmentRow) -> None:
    """Add an assignment, or the end of one."""
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO assignment ({_COLUMNS}) VALUES ({places})", *row)


async def get(connection: Connection, holder: int, event: int) -> AssignmentRow | None:
    """An assignment as it stands."""
    row = await connection.fetchrow(_GET, holder, event)
    return None if row is None else AssignmentRow(*row)


async def changes(connection: Connection, holder: int, event: int) -> Sequence[Row]:
    """(ladder, instant, from, to) of each change of rank that an event brought about."""
    return await connection.fetch(
        "SELECT ladder_id, at, from_rank, to_rank FROM tier_change "
        "WHERE holder_id = $1 AND event_id = $2 ORDER BY booked_at, at",
        holder,
        event,
    )


async def of_event(connection: Connection, holder: int, event: int) -> Any:
    """The assignment that this event made, or ended."""
    return await connection.fetchval(
        "SELECT coalesce(ends, event_id) FROM assignment WHERE holder_id = $1 AND event_id = $2",
        holder,
        event,
    )
