"""Queries on the digests of all holders' heads, and on the heads as they were at an instant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import NamedTuple

from core.db import Connection, reading

#: Rows that a cursor asks for at a time.
_PREFETCH = 10_000
# A holder that was booked on since is told from its decisions.
_HEADS = """
SELECT * FROM (
    SELECT h.id, CASE WHEN h.booked_at <= $1 THEN h.head ELSE (
        SELECT d.head FROM decision d WHERE d.holder_id = h.id AND d.booked_at <= $1
        ORDER BY d.booked_at DESC LIMIT 1) END AS head
    FROM holder h
) x WHERE head IS NOT NULL ORDER BY id
"""
_DECIDED = "SELECT holder_id, booked_at, head FROM decision ORDER BY holder_id, booked_at"
# Whoever locks holders has asked for the last seal in the same statement: this lock of its comes
# before its snapshot. Those that aren't here yet will see a seal that is committed now.
_BOOKING = """
SELECT array_agg(DISTINCT virtualtransaction) FROM pg_locks
WHERE locktype = 'relation' AND relation = 'holder'::regclass AND mode = 'RowShareLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class HeadDigest(NamedTuple):
    """A row of `head_digest`: what the heads of so many holders came to, as of `at`."""

    at: datetime
    holders: int
    digest: bytes
    key_id: str
    rulebook: int


async def put_seal(connection: Connection, at: datetime) -> None:
    """From the commit on, nothing that begins books anything up to this instant."""
    await connection.execute("INSERT INTO seal (at) VALUES ($1) ON CONFLICT DO NOTHING", at)


async def booking() -> frozenset[str]:
    """The transactions that have locked holders and are under way."""
    async with reading() as connection:
        return frozenset(await connection.fetchval(_BOOKING) or ())


async def heads(connection: Connection, at: datetime) -> AsyncIterator[tuple[int, bytes]]:
    """(holder, head) of all as of an instant of booking, in this order."""
    async for row in connection.cursor(_HEADS, at, prefetch=_PREFETCH):
        yield row[0], row[1]


async def decided(connection: Connection) -> AsyncIterator[tuple[int, datetime, bytes]]:
    """(holder, booked at, head) of every decision, in this order."""
    async for row in connection.cursor(_DECIDED, prefetch=_PREFETCH):
        yield row[0], row[1], row[2]


async def add(connection: Connection, row: HeadDigest) -> HeadDigest:
    """Add a digest; returns the one that stands for its instant, which may be an earlier one."""
    await connection.execute(
        "INSERT INTO head_digest (at, holders, digest, key_id, rulebook) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        *row,
    )
    stands = await connection.fetchrow(
        "SELECT at, holders, digest, key_id, rulebook FROM head_digest WHERE at = $1", row.at
    )
    assert stands is not None
    return HeadDigest(*stands)


async def stored(connection: Connection, limit: int | None = None) -> list[HeadDigest]:
    """The stored digests, oldest first; of them only the last `limit`."""
    rows = await connection.fetch(
        "SELECT at, holders, digest, key_id, rulebook FROM head_digest ORDER BY at DESC LIMIT $1",
        limit,
    )
    return [HeadDigest(*row) for row in reversed(rows)]
