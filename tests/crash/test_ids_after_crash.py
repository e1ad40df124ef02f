"""Ids are handed out from memory: a server that crashes must not hand the same block out again."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from app import postgres_places
from core import db
from core.errors import Refusal
from core.store.ids import Ids
from tests.crash.processes import Postgres


@pytest.fixture
def root() -> Iterator[Path]:
    """A server's folder; not pytest's tmp_path, which is closed to the user that root drops to."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="laurels-pg-", dir=memory if memory.is_dir() else None))
    yield folder
    postgres_places.remove(folder)


@pytest_asyncio.fixture
async def server(root: Path) -> AsyncIterator[Postgres]:
    """A durable server of the test's own, whose writer of the log is asleep; migrated."""
    started = Postgres(root)
    try:
        await started.start()
        connection = await asyncpg.connect(started.url)
        await connection.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()
        await db.migrate(started.url)
        yield started
    finally:
        started.stop()


async def block() -> int:
    """The first id of a new block, taken by a command that is then refused."""
    ids: list[int] = []
    try:
        async with db.transaction():
            ids = await Ids().take(1)
            raise Refusal("no")
    except Refusal:
        return ids[0]


async def test_a_block_taken_by_a_refused_command_is_not_handed_out_again(server: Postgres) -> None:
    async with db.connected(server.url, pool=1):
        before = [await block() for _ in range(40)]
    server.kill()
    await server.start()
    async with db.connected(server.url, pool=1):
        assert await block() > max(before)
