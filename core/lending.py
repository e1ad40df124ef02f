"""Connections of a pool that are kept at hand for a moment between two borrowers.

A pool looks each one over as it comes back, in a task of its own, which takes longer than a short
statement. Here what comes back whole goes to the next who asks, and to the pool within a second.
Knows no statement.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Lent: TypeAlias = PoolConnectionProxy[asyncpg.Record]

#: Seconds after which the pool gets back what nobody uses, and looks at what is used.
_MOMENT = 1.0


class Lender:
    """Lends a pool's connections, all but one: others ask the pool itself."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._most = pool.get_max_size() - 1
        self._idle: list[Lent] = []
        self._waiting = 0
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def take(self, longest: float | None) -> Lent:
        """A connection. Raises TimeoutError if none comes free in so many seconds."""
        while self._idle:
            connection = self._idle.pop()
            if not _gone(connection):
                return connection
            await self._pool.release(connection)
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=longest)
        finally:
            self._waiting -= 1

    async def give(self, connection: Lent, *, whole: bool) -> None:
        """Take one back; unless it is `whole`, something was broken off on it."""
        keep = whole and not self._waiting and not self._closed and len(self._idle) < self._most
        if not keep or _gone(connection) or connection.is_in_transaction():
            await self._pool.release(connection)
            return
        self._idle.append(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_MOMENT, self._begin)

    async def close(self) -> None:
        """Give all back to the pool, and what is lent still as soon as it comes back."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await self._task
        await self._settle()

    def _begin(self) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._settle())

    async def _settle(self) -> None:
        while self._idle:
            await self._pool.release(self._idle.pop())


def _gone(connection: Lent) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # it was lost, and the pool has it back already
        return True
