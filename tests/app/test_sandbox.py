"""A sandbox's life: the same twice, the same in one go or in two; and never another database's."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from app import sandbox
from app.postgres import database_url
from app.sandbox import Month, year_before
from core.check import prove
from core.db import connected
from core.errors import BadInput
from laurels.cli import commands
from tests.app.working import Books, owner, settings, told
from tests.support import Databases

BEGIN, MIDDLE, END = date(2025, 11, 20), date(2026, 2, 11), date(2026, 3, 5)


@asynccontextmanager
async def names(databases: Databases, count: int) -> AsyncIterator[list[str]]:
    """Names of databases of this run, dropped in the end."""
    given = [f"ct_sandbox_{os.getpid()}_{n}" for n in range(count)]
    try:
        yield given
    finally:
        async with owner(databases.server) as admin:
            for name in given:
                await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def live(
    databases: Databases,
    name: str,
    until: date = END,
    begin: date | None = BEGIN,
    *,
    fresh: bool = False,
    people: int = 3,
) -> list[Month]:
    """Live, and return the months."""
    lived: list[Month] = []

    def hear(done: int, total: int, month: Month | None) -> None:
        assert 0 < done <= total
        if month is not None:
            lived.append(month)

    await sandbox.live(settings(databases.server), name, begin, until, fresh, hear, people)
    return lived


async def books(databases: Databases, name: str) -> Books:
    """What a sandbox's books say."""
    return await told(database_url(databases.server, name))


async def test_the_same_days_give_the_same_books(databases: Databases) -> None:
    async with names(databases, 3) as (once, again, halves):
        months = await live(databases, once)
        assert await live(databases, again) == months
        first = await books(databases, once)
        assert await books(databases, again) == first
        await live(databases, halves, MIDDLE)
        await live(databases, halves, END, None)
        assert await books(databases, halves) == first
        # Begun again, it is as if it had never lived.
        assert await live(databases, halves, fresh=True) == months
        assert await books(databases, halves) == first


async def test_the_months_tell_what_happened(databases: Databases) -> None:
    async with names(databases, 1) as (name,):
        months = await live(databases, name, people=60)
        assert [month.month for month in months] == [
            "2025-11", "2025-12", "2026-01", "2026-02", "2026-03",
        ]  # fmt: skip
        whole = months[3]
        assert whole.purchases > 20
        assert sum(month.returns for month in months) > 0
        assert whole.earned > 0
        assert whole.redeemed > 0
        assert whole.expired > 0, "basket points live ninety days"
        assert sum(month.ranks_reached for month in months) > 0
        async with owner(database_url(databases.server, name)) as connection:
            held = await connection.fetch(
                "SELECT code, sum(active + reserved + pending)::bigint FROM ledger "
                "JOIN currency c ON c.id = currency_id GROUP BY code"
            )
            dead = await connection.fetchval(
                "SELECT count(*) FROM lot "
                "WHERE remaining > 0 AND expires_at <= $1::date::timestamptz",
                END,
            )
        assert {row[0]: row[1] for row in held} == months[-1].outstanding
        assert dead == 0
        async with connected(database_url(databases.server, name)):
            assert await prove() == []


async def test_nobody_elses_clock_is_moved(databases: Databases) -> None:
    own = urlsplit(databases.server).path.lstrip("/")
    async with names(databases, 1) as (name,), owner(databases.server) as admin:
        await admin.execute(f"CREATE DATABASE {name}")
        for fresh in (False, True):
            with pytest.raises(BadInput, match="not a sandbox"):
                await live(databases, name, fresh=fresh)
            for taken in (own, "laurels", "laurels_demo"):
                with pytest.raises(BadInput, match="in use"):
                    await live(databases, taken, fresh=fresh)
        # Nothing was made in it, and it is still there.
        async with owner(database_url(databases.server, name)) as connection:
            assert not await connection.fetchval("SELECT to_regclass('event') IS NOT NULL")


async def test_a_sandbox_only_goes_forward(databases: Databases) -> None:
    async with names(databases, 1) as (name,):
        await live(databases, name, date(2025, 11, 22))
        with pytest.raises(BadInput, match="began on 2025-11-20"):
            await live(databases, name, END, date(2026, 1, 1))
        for until in (date(2025, 11, 21), date(2025, 11, 22)):
            with pytest.raises(BadInput, match="has lived to 2025-11-22"):
                await live(databases, name, until, None)


def test_a_year_before() -> None:
    assert year_before(date(2027, 11, 23)) == date(2026, 11, 23)
    assert year_before(date(2028, 2, 29)) == date(2027, 2, 28)


async def test_the_command_shows_the_months(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAURELS_DATABASE_URL", databases.server)
    monkeypatch.setenv("LAURELS_SECRET", "s" * 40)
    monkeypatch.setenv("COLUMNS", "150")
    async with names(databases, 1) as (name,):
        words = ["sandbox", "--from", "2026-01-20", "--until", "2026-01-23", "--database", name]

        async def said() -> Result:
            return await asyncio.to_thread(lambda: CliRunner().invoke(commands, words))

        done = await said()
        assert done.exit_code == 0, done.output
        assert "2026-01" in done.output
        assert (await said()).exit_code == 1
