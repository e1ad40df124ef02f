"""How long requests wait for the database, and that jobs beside them may take their time."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from core import db
from tests.support import Databases

WAITS = {"statement_timeout": "20s", "lock_timeout": "20ms"}


async def _shown() -> tuple[str, str]:
    async with db.transaction() as connection:
        statement = await connection.fetchval("SHOW statement_timeout")
        return statement, await connection.fetchval("SHOW lock_timeout")


async def test_a_request_gives_up_a_lock_and_a_job_waits_for_it(databases: Databases) -> None:
    async with databases.migrated() as url, db.connected(url, waits=WAITS):
        lock = await asyncpg.connect(url)
        held = lock.transaction()
        await held.start()
        await lock.execute("LOCK TABLE member IN ACCESS EXCLUSIVE MODE")

        async def read() -> int:
            async with db.transaction() as connection:
                count: int = await connection.fetchval("SELECT count(*) FROM member")
                return count

        with pytest.raises(db.TOO_SLOW):
            await read()
        with db.patiently():
            job = asyncio.create_task(read())
        with pytest.raises(db.TOO_SLOW):  # which takes as long again as the job was given before
            await read()
        assert not job.done()
        await held.rollback()
        await lock.close()
        assert await job == 0
        assert await read() == 0


async def test_only_who_serves_is_in_a_hurry(databases: Databases) -> None:
    """An import and a worker of its own have no limits; those of serving are the ones set."""
    async with databases.migrated() as url:
        async with db.connected(url):
            assert await _shown() == ("0", "0")
            with db.patiently():
                assert await _shown() == ("0", "0")
        async with db.connected(url, waits=db.SERVING):
            assert await _shown() == ("30s", "10s")
            with db.patiently():
                assert await _shown() == ("0", "0")
            assert await _shown() == ("30s", "10s")


async def test_a_request_doesnt_wait_for_ever_for_a_connection(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor holds what came too late; a job beside it has connections of its own."""
    monkeypatch.setattr(db, "LONGEST_WAIT", 0.01)
    async with databases.migrated() as url, db.connected(url, pool=1, waits=WAITS):
        async with db.reading() as held:
            for way in (db.reading, db.transaction, db.session):
                with pytest.raises(db.BusyError):
                    async with way():
                        pass
            with db.patiently():
                async with db.reading() as other:
                    assert await other.fetchval("SELECT 1") == 1
            assert await held.fetchval("SELECT 1") == 1
        async with db.transaction() as connection:
            assert await connection.fetchval("SELECT 1") == 1
