"""Connections go from one borrower to the next, and nothing that one began outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from core.lending import Lender

PID = "SELECT pg_backend_pid()"


@pytest_asyncio.fixture(loop_scope="session")
async def pool(database: str, server_url: str) -> AsyncIterator[asyncpg.Pool[asyncpg.Record]]:
    """Two connections."""
    del database  # it has made the server ready
    async with asyncpg.create_pool(server_url, min_size=0, max_size=2) as made:
        yield made


async def _ask(lender: Lender, sql: str, *, whole: bool = True) -> object:
    lent = await lender.take(10)
    try:
        return await lent.fetchval(sql)
    finally:
        await lender.give(lent, whole=whole)


async def test_what_comes_back_whole_is_at_hand(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    lender = Lender(pool)
    first = await _ask(lender, PID)
    assert pool.get_idle_size() == 0
    assert await _ask(lender, PID) == first
    await lender.close()
    assert (pool.get_idle_size(), pool.get_size()) == (1, 1)


async def test_what_was_broken_off_goes_to_the_pool(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    lender = Lender(pool)
    await _ask(lender, PID, whole=False)
    assert pool.get_idle_size() == 1


async def test_a_transaction_left_open_is_ended(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    lender = Lender(pool)
    lent = await lender.take(10)
    await lent.execute("BEGIN")
    await lender.give(lent, whole=True)
    assert pool.get_idle_size() == 1
    again = await lender.take(10)
    assert not again.is_in_transaction()
    await lender.give(again, whole=True)
    await lender.close()


async def test_one_is_left_to_who_asks_the_pool(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    lender = Lender(pool)
    both = [await lender.take(10) for _ in range(2)]
    for lent in both:
        await lender.give(lent, whole=True)
    assert pool.get_idle_size() == 1
    async with asyncio.timeout(10), pool.acquire() as own:
        assert await own.fetchval("SELECT 1") == 1
    await lender.close()


async def test_who_waits_comes_before_what_is_kept(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    lender = Lender(pool)
    both = [await lender.take(10) for _ in range(2)]
    waits = [asyncio.create_task(_ask(lender, PID)) for _ in range(5)]
    await asyncio.sleep(0)
    for lent in both:
        await lender.give(lent, whole=True)
    async with asyncio.timeout(10):
        assert len(await asyncio.gather(*waits)) == 5
    await lender.close()
    assert pool.get_idle_size() == pool.get_size() == 2


async def test_nobody_waits_longer_than_said(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    lender = Lender(pool)
    both = [await lender.take(10) for _ in range(2)]
    with pytest.raises(TimeoutError):
        await lender.take(0.01)
    for lent in both:
        await lender.give(lent, whole=True)
    await lender.close()


async def test_one_that_was_lost_is_not_lent(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    lender = Lender(pool)
    first = await _ask(lender, PID)
    lent = await lender.take(10)
    await lender.give(lent, whole=True)
    lent.terminate()
    assert await _ask(lender, PID) != first
    await lender.close()


async def test_what_is_lent_at_the_end_goes_to_the_pool(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    """Else the pool would wait for it in vain."""
    lender = Lender(pool)
    lent = await lender.take(10)
    await lender.close()
    await lender.give(lent, whole=True)
    assert pool.get_idle_size() == 1
