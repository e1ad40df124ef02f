"""The GraphQL face under test: an application on a fresh database, with three brands, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest_asyncio

from app.asgi import create_app
from app.tokens import issue
from core.posting import Engine
from core.rulebook import Rulebook
from tests.schema.client import SECRET, Client, Clock


@pytest_asyncio.fixture(loop_scope="session")
async def api(coalition: Rulebook) -> AsyncIterator[Client]:
    """A client of the application, with tokens of every role and a clock that it can move."""
    clock = Clock(datetime(2026, 11, 22, 12, tzinfo=UTC))
    app = create_app(Engine(coalition), SECRET, now=clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://laurels.test") as http:
        tokens = {
            f"{role}:{subject}": issue(SECRET, role, subject, timedelta(days=3650), clock())
            for role, subject in (
                ("admin", "root"),
                ("partner", "grocer"),
                ("partner", "cafe"),
                ("partner", "outfitter"),
                ("partner", "nobody"),
            )
        }
        yield Client(http, clock, tokens)
