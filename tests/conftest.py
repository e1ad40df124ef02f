"""What every test may ask for: a server, a fresh database, engines with rules.

The server is `LAURELS_TEST_SERVER` (the URL of a database of an administrator) where that is set,
else the embedded one. A template is migrated once, and each test gets a copy of its own.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from app.postgres import throwaway
from core.db import connected
from core.posting import Engine
from core.programme import ContractSettings, CurrencySettings, Programme
from core.rulebook import Rulebook
from core.store.reference import Declared, install
from plugins.host import collect
from tests.support import CONNECTIONS, NOW, Databases, small_rulebook


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of an administrator's database on the server under test."""
    given = os.environ.get("LAURELS_TEST_SERVER")
    if given:
        yield given
        return
    with throwaway() as server:
        yield server.url


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def databases(server_url: str) -> AsyncIterator[Databases]:
    """Makes fresh databases; for tests that need several or none yet migrated."""
    made = Databases(server_url)
    try:
        yield made
    finally:
        await made.close()


@pytest_asyncio.fixture(loop_scope="session")
async def database(databases: Databases) -> AsyncIterator[str]:
    """The URL of an empty, migrated database; this process is connected to it."""
    async with databases.migrated() as url, connected(url):
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def wide(databases: Databases) -> AsyncIterator[str]:
    """A fresh database with room for CONNECTIONS of this process at once."""
    async with databases.migrated() as url, connected(url, pool=CONNECTIONS):
        yield url


@pytest.fixture
def rulebook() -> Rulebook:
    """The hand-made rulebook of `tests.support`."""
    return small_rulebook()


@pytest.fixture
def engine(database: str, rulebook: Rulebook) -> Engine:
    """An engine with the hand-made rulebook on a fresh database."""
    return Engine(rulebook)


@pytest.fixture(scope="session")
def brands() -> list[Declared]:
    """What the brands that are installed declare; asked for once, for they are frozen."""
    collected = collect()
    assert not collected.refused, [str(r) for r in collected.refused]
    return [
        Declared(
            p.name, p.version, p.partner, p.earn_rules, p.redeem_rules, p.rewards, p.ladders,
            giving=p.giving, plans=p.plans, surveys=p.surveys, personal=p.personal,
        )
        for p in collected.installed
    ]  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def coalition(database: str, brands: list[Declared]) -> Rulebook:
    """The rulebook of the brands that are installed, on a fresh database."""
    return await install(_shared(brands), brands, NOW)


def _shared(declared: list[Declared]) -> Programme:
    """A programme that owns whatever the brands ask for and none of them declares."""
    own = {c.code for d in declared for c in d.partner.currencies}
    asked = {c for d in declared for c in (*d.partner.issues, *d.partner.accepts)}
    contracts = {d.partner.code: ContractSettings() for d in declared}
    return Programme(
        currencies=tuple(
            CurrencySettings(code=c, name=c.capitalize(), expires="12M")
            for c in sorted(asked - own)
        ),
        contracts=contracts,
    )
