"""Readiness against a server that keeps what it commits, one that may not, and one that is gone."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from app import postgres_places
from app.health import problems
from app.postgres import start
from core import db


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
