"""Readiness against a server that keeps what it commits, one that may not, and one that is gone."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from starlette.requests import Request

from app import postgres_places
from app.health import problems, ready
from app.postgres import start
from core import db, dispatching
from core.posting import Engine
from tests.support import Databases, enrol_cards, receipt, small_rulebook


@pytest.fixture
def root() -> Iterator[Path]:
    """A server's folder; not pytest's tmp_path, which is closed to the user that root drops to."""
    folder = Path(tempfile.mkdtemp(prefix="laurels-pg-"))
    yield folder
    postgres_places.remove(folder)


def test_what_must_not_be_lost(root: Path) -> None:
    server = start(root)

    async def told() -> list[str]:
        async with db.connected(server.url):
            return await problems()

    async def migrated() -> list[str]:
        await db.migrate(server.url)
        return await told()

    async def forget() -> None:
        connection = await asyncpg.connect(server.url)
        await connection.execute("ALTER DATABASE postgres SET synchronous_commit = off")
        await connection.close()

    assert asyncio.run(migrated()) == []
    asyncio.run(forget())
    assert asyncio.run(told()) == ["synchronous_commit is off: what is booked may be lost"]
    server.stop()
    assert asyncio.run(told()) == ["the database doesn't answer"]


def test_what_waits_to_be_sent_on_is_told_and_takes_nobody_out_of_service(root: Path) -> None:
    server = start(root)
    asyncio.run(_untold(server.url))
    server.stop()


async def _untold(url: str) -> None:
    databases = Databases(url)
    async with databases.migrated() as one, db.connected(one):
        engine, now = Engine(small_rulebook()), datetime.now(UTC)
        await enrol_cards(["1"])
        assert await _ready() == {"status": "ready"}
        await engine.record_purchases([receipt(engine, "R1", at=now)], now)
        assert await _ready() == {"status": "ready"}  # it has just been booked
        assert await dispatching.dispatch() == 1
        long_ago = now - timedelta(days=1)
        await enrol_cards(["2"])
        await engine.record_purchases([receipt(engine, "R2", "2", at=long_ago)], long_ago)
        told = await _ready()
        assert told.pop("status") == "ready"
        [words] = told.pop("warnings")
        assert re.fullmatch(r"what was booked 86\d{3} seconds ago isn't sent on: .*", words)
        assert told == {}
        assert await dispatching.dispatch() == 1
        assert await _ready() == {"status": "ready"}
    await databases.close()


async def _ready() -> dict[str, Any]:
    response = await ready(Request({"type": "http"}))
    assert response.status_code == 200
    found: dict[str, Any] = orjson.loads(response.body)
    return found
