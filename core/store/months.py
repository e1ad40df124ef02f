"""What happened in a span of time, summed over all members, and what is outstanding: for reports."""

from __future__ import annotations

from datetime import datetime

from core.db import reading

# A night books what fell due up to its own midnight, so a span ends with that instant, and the
# next one begins after it.
_TRANSFERS = """
SELECT kind, sum(amount)::bigint FROM transfer
WHERE occurred_at > $1 AND occurred_at <= $2 GROUP BY kind
"""
_EVENTS = """
SELECT kind, count(*) FROM event WHERE occurred_at > $1 AND occurred_at <= $2 GROUP BY kind
"""
_RANKS = """
SELECT count(*) FILTER (WHERE to_rank > from_rank), count(*) FILTER (WHERE to_rank < from_rank)
FROM tier_change WHERE at > $1 AND at <= $2
"""
_NOTICES = "SELECT count(*) FROM notice WHERE at > $1 AND at <= $2"
_OUTSTANDING = """
SELECT c.code, sum(g.active + g.pending + g.reserved)::bigint
FROM ledger g JOIN currency c ON c.id = g.currency_id GROUP BY c.code ORDER BY c.code
"""


async def transfers(after: datetime, until: datetime) -> dict[int, int]:
    """Points by kind of transfer in (after, until], by when it happened; of all currencies."""
    async with reading() as connection:
        rows = await connection.fetch(_TRANSFERS, after, until)
    return {row[0]: row[1] for row in rows}


async def events(after: datetime, until: datetime) -> dict[int, int]:
    """How many events of each kind happened in (after, until]."""
    async with reading() as connection:
        rows = await connection.fetch(_EVENTS, after, until)
    return {row[0]: row[1] for row in rows}


async def ranks(after: datetime, until: datetime) -> tuple[int, int]:
    """How often a rank was reached, and lost, in (after, until]."""
    async with reading() as connection:
        row = await connection.fetchrow(_RANKS, after, until)
    assert row is not None
    return row[0], row[1]


async def notices(after: datetime, until: datetime) -> int:
    """How many notices were written in (after, until]."""
    async with reading() as connection:
        return int(await connection.fetchval(_NOTICES, after, until))


async def outstanding() -> dict[str, int]:
    """The points that members hold as booked, by the currency's code; reserved ones too."""
    async with reading() as connection:
        rows = await connection.fetch(_OUTSTANDING)
    return {row[0]: row[1] for row in rows}
