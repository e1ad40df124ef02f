"""Queries of the review: which standings are due, a page at a time; their holders, locked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from core.db import Connection, Row, reading
from core.rulebook import Reach

_DUE = """
SELECT due_at, holder_id, ladder_id FROM standing
WHERE due_at <= $1 AND due_at < 'infinity' AND ladder_id = ANY($2)
    AND (due_at, holder_id, ladder_id) > (coalesce($3::timestamptz, '-infinity'), $4, $5)
ORDER BY due_at, holder_id, ladder_id LIMIT $6
"""
_OUTDATED = """
SELECT terms, holder_id FROM standing
WHERE ladder_id = $1 AND terms BETWEEN $2 AND $3 AND (terms, holder_id) > ($4, $5)
ORDER BY terms, holder_id LIMIT $6
"""
_MOST = 2**31 - 1


async def due(
    reaches: Sequence[Reach], now: datetime, size: int
) -> AsyncIterator[list[tuple[int, int]]]:
    """Pages of (holder, ladder): what time has perhaps changed by now, soonest first."""
    ladders = [r.ladder for r in reaches]
    instant: datetime | None = None
    holder = ladder = 0
    while True:
        async with reading() as connection:
            rows = await connection.fetch(_DUE, now, ladders, instant, holder, ladder, size)
        if not rows:
            return
        yield [(row[1], row[2]) for row in rows]
        instant, holder, ladder = rows[-1]


async def outdated(reaches: Sequence[Reach], size: int) -> AsyncIterator[list[tuple[int, int]]]:
    """Pages of (holder, ladder): what was measured by terms that the ladder no longer has."""
    for reach in reaches:
        for low, high in ((0, reach.terms - 1), (reach.terms + 1, _MOST)):
            terms = holder = -1
            while True:
                async with reading() as connection:
                    rows = await connection.fetch(
                        _OUTDATED, reach.ladder, low, high, terms, holder, size
                    )
                if not rows:
                    break
                yield [(row[1], reach.ladder) for row in rows]
                terms, holder = rows[-1]


async def last_changes(connection: Connection, holders: Sequence[int], at: datetime) -> list[Row]:
    """(holder, ladder, instant, rank) of the last change up to an instant, as the books tell it."""
    return list(
        await connection.fetch(
            "SELECT DISTINCT ON (holder_id, ladder_id) holder_id, ladder_id, at, to_rank "
            "FROM tier_change WHERE holder_id = ANY($1) AND at <= $2 "
            "ORDER BY holder_id, ladder_id, booked_at DESC, at DESC",
            list(holders),
            at,
        )
    )
