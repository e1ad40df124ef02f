"""The GraphQL face under test: an application on a fresh database, with brands, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest_asyncio

from app.asgi import create_app
from app.tokens import issue
from core.posting import Engine
from core.rulebook import Rulebook
from tests.core.counter import open_counter
from tests.core.market import open_market
from tests.core.pantry import open_pantry
from tests.core.webshop import open_webshop
from tests.schema.client import SECRET, Client, Clock
from tests.support import NOW


@pytest_asyncio.fixture(loop_scope="session")
async def api(coalition: Rulebook) -> AsyncIterator[Client]:
    """A client of the application, with tokens of every role and a clock that it can move."""
    partners = ("grocer", "cafe", "outfitter", "nobody")
    async with _client(Engine(coalition), datetime(2026, 11, 22, 12, tzinfo=UTC), partners) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def market(database: str) -> AsyncIterator[Client]:
    """The same with the one brand of `tests.core.market`: currencies of every kind of life."""
    async with _client(await open_market(), NOW, ("market",)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def counter(database: str) -> AsyncIterator[Client]:
    """The same with the shop of `tests.core.counter`: rewards of every kind, and a rival."""
    async with _client(await open_counter(), NOW, ("grocer", "rival")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def pantry(database: str) -> AsyncIterator[Client]:
    """The same with the coalition of `tests.core.pantry`, whose rules may change."""
    async with _client(await open_pantry(), NOW, ("grocer", "cafe")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def webshop(database: str) -> AsyncIterator[Client]:
    """The same with the brand of `tests.core.webshop`, whose shop sends webhooks."""
    async with _client(await open_webshop(), NOW, ("webshop", "nobody")) as made:
        yield made


@asynccontextmanager
async def _client(engine: Engine, at: datetime, partners: Iterable[str]) -> AsyncIterator[Client]:
    clock = Clock(at)
    app = create_app(engine, SECRET, now=clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://laurels.test") as http:
        subjects = [("admin", "root"), *(("partner", partner) for partner in partners)]
        tokens = {
            f"{role}:{subject}": issue(SECRET, role, subject, timedelta(days=3650), clock())
            for role, subject in subjects
        }
        yield Client(http, clock, tokens, engine)
