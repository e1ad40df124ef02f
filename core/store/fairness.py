"""Queries of the fairness audit: a sample of purchases, and what was given and taken by hand."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from core.db import Connection, reading

# Told apart by a digest of a seed and the event's id: the same ones each time, and nobody's choice.
_SAMPLE = """
SELECT id FROM event WHERE partner_id = $1 AND kind = 1 AND occurred_at >= $2 AND occurred_at < $3
ORDER BY sha256(convert_to($4 || ':' || id, 'UTF8')), id LIMIT $5
"""
_TOTAL = """
SELECT count(*) FROM event
WHERE partner_id = $1 AND kind = 1 AND occurred_at >= $2 AND occurred_at < $3
"""
# By people: what the programme itself let lapse is nobody's grant.
_HAND = """
FROM adjustment WHERE ($1::int IS NULL OR partner_id = $1) AND role <> 'programme' AND at >= $2 AND at < $3
"""
_BY_REASON = f"""
SELECT caller, reason, currency_id, count(*),
    coalesce(sum(points) FILTER (WHERE points > 0), 0)::bigint,
    coalesce(-sum(points) FILTER (WHERE points < 0), 0)::bigint,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY abs(points))
{_HAND} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_BY_CALLER = f"""
SELECT caller, currency_id, coalesce(sum(points) FILTER (WHERE points > 0), 0)::bigint
{_HAND} GROUP BY 1, 2 ORDER BY 2, 1
"""


class ByHand(NamedTuple):
    """What one caller gave and took for one reason in one currency; the median of each amount."""

    caller: str
    reason: str
    currency: int
    times: int
    given: int
    taken: int
    median: int


async def sample(
    connection: Connection, partner: int, begin: datetime, end: datetime, seed: str, size: int
) -> tuple[int, list[int]]:
    """How many purchases a partner has in [begin, end), and so many of them by the seed."""
    total: int = await connection.fetchval(_TOTAL, partner, begin, end)
    rows = await connection.fetch(_SAMPLE, partner, begin, end, seed, size)
    return total, [row[0] for row in rows]


async def by_hand(
    partner: int | None, begin: datetime, end: datetime
) -> tuple[list[ByHand], list[tuple[str, int, int]]]:
    """What was adjusted in a partner's name, or in whosever; and what each caller gave."""
    async with reading() as connection:
        reasons = await connection.fetch(_BY_REASON, partner, begin, end)
        callers = await connection.fetch(_BY_CALLER, partner, begin, end)
    return [ByHand(*row) for row in reasons], [(row[0], row[1], row[2]) for row in callers]
