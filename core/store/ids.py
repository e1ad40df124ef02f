"""Ids that are made: they grow with time, taken from the database in blocks of 1,024.

A block costs one round trip and is then handed out in memory; what a stopped process had left of
one is never used. It is taken by a transaction of its own: the server doesn't keep the step of a
sequence whose transaction is rolled back, and after a crash it would hand the same block out again.
"""

from __future__ import annotations

from core.db import aside

_BLOCK = 1024


class Ids:
    """Hands out ids; one for each process and database."""

    def __init__(self) -> None:
        self._next = 0
        self._end = 0

    async def take(self, count: int) -> list[int]:
        """`count` new ids, rising. May be asked for inside a transaction."""
        taken: list[int] = []
        while len(taken) < count:
            if self._next == self._end:
                await self._refill()
            step = min(count - len(taken), self._end - self._next)
            taken.extend(range(self._next, self._next + step))
            self._next += step
        return taken

    async def _refill(self) -> None:
        async with aside() as connection:
            if self._next == self._end:  # nobody did while this one waited
                self._next = await connection.fetchval("SELECT nextval('laurels_id')")
                self._end = self._next + _BLOCK
