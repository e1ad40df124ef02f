"""The GraphQL face under test: an application on a fresh database, with brands, over HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest_asyncio

from app.asgi import create_app
from core.posting import Engine
from core.rulebook import Rulebook
from schema.build import build_schema
from schema.gate import Gate
from schema.rates import RATES, Buckets, Rate
from tests.core.counter import open_counter
from tests.core.market import open_market
from tests.core.pantry import open_pantry
from tests.core.webshop import open_webshop
from tests.schema.client import SECRET, Client, Clock, Tokens
from tests.support import NOW


@pytest_asyncio.fixture(loop_scope="session")
async def api(coalition: Rulebook) -> AsyncIterator[Client]:
    """A client of the application, with tokens of every role and a clock that it can move."""
    async with client_of(Engine(coalition), datetime(2026, 11, 22, 12, tzinfo=UTC)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def market(database: str) -> AsyncIterator[Client]:
    """The same with the one brand of `tests.core.market`: currencies of every kind of life."""
    async with client_of(await open_market(), NOW) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def counter(database: str) -> AsyncIterator[Client]:
    """The same with the shop of `tests.core.counter`: rewards of every kind, and a rival."""
    async with client_of(await open_counter(), NOW) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def pantry(database: str) -> AsyncIterator[Client]:
    """The same with the coalition of `tests.core.pantry`, whose rules may change."""
    async with client_of(await open_pantry(), NOW) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def webshop(database: str) -> AsyncIterator[Client]:
    """The same with the brand of `tests.core.webshop`, whose shop sends webhooks."""
    async with client_of(await open_webshop(), NOW) as made:
        yield made


@asynccontextmanager
async def client_of(engine: Engine, at: datetime) -> AsyncIterator[Client]:
    """A client of an engine, whose clock stands at an instant."""
    clock = Clock(at)
    # The client asks everything by two executors, which is more than callers may as a rule.
    rates = dict.fromkeys(RATES, Rate(10**9, 10**9))
    schema = build_schema(Gate(Buckets(rates, time.monotonic)))
    app = create_app(engine, SECRET, now=clock, schema=schema)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://laurels.test") as http:
        yield Client(http, clock, Tokens(clock), engine)
