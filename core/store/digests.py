"""Queries on the digests of all ledgers' heads, and on the heads as they were at an instant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import NamedTuple

from core.db import Connection

#: Rows that a cursor asks for at a time.
_PREFETCH = 10_000
# A holder that was booked on since is told from its decisions, all others from their ledgers.
_HEADS = """
SELECT * FROM (
    SELECT g.holder_id, g.currency_id, CASE WHEN h.booked_at <= $1 THEN g.head ELSE (
        SELECT substr(d.heads, 20 * n + 5, 16)
        FROM decision d CROSS JOIN generate_series(0, length(d.heads) / 20 - 1) AS n
        WHERE d.holder_id = g.holder_id AND d.booked_at <= $1
            AND substr(d.heads, 20 * n + 1, 4) = int4send(g.currency_id)
        ORDER BY d.booked_at DESC LIMIT 1) END AS head
    FROM ledger g JOIN holder h ON h.id = g.holder_id
) x WHERE head IS NOT NULL ORDER BY 1, 2
"""
_DECIDED = "SELECT holder_id, booked_at, heads FROM decision ORDER BY holder_id, booked_at"


class HeadDigest(NamedTuple):
    """A row of `head_digest`: what the heads of so many ledgers came to, as of `at`."""

    at: datetime
    ledgers: int
    digest: bytes
    key_id: str
    rulebook: int


async def heads(connection: Connection, at: datetime) -> AsyncIterator[tuple[int, int, bytes]]:
    """(holder, currency, head) of every ledger as of an instant of booking, in this order."""
    async for row in connection.cursor(_HEADS, at, prefetch=_PREFETCH):
        yield row[0], row[1], row[2]


async def decided(connection: Connection) -> AsyncIterator[tuple[int, datetime, bytes]]:
    """(holder, booked at, heads) of every decision, in this order."""
    async for row in connection.cursor(_DECIDED, prefetch=_PREFETCH):
        yield row[0], row[1], row[2]


async def add(connection: Connection, row: HeadDigest) -> HeadDigest:
    """Add a digest; returns the one that stands for its instant, which may be an earlier one."""
    await connection.execute(
        "INSERT INTO head_digest (at, ledgers, digest, key_id, rulebook) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        *row,
    )
    stands = await connection.fetchrow(
        "SELECT at, ledgers, digest, key_id, rulebook FROM head_digest WHERE at = $1", row.at
    )
    assert stands is not None
    return HeadDigest(*stands)


async def stored(connection: Connection, limit: int | None = None) -> list[HeadDigest]:
    """The stored digests, oldest first; of them only the last `limit`."""
    rows = await connection.fetch(
        "SELECT at, ledgers, digest, key_id, rulebook FROM head_digest ORDER BY at DESC LIMIT $1",
        limit,
    )
    return [HeadDigest(*row) for row in reversed(rows)]
