"""The worker as real processes: killed in the middle of a night, two at once, stopped, cut off.

Each works on its own copy of one database, in which some thousand lots and some hundred ranks are
due. What the books then say is compared with those of a night that nobody disturbed.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from procrastinate import exceptions
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from app import work
from app.jobs import run_night
from app.runtime import running
from app.work import credentials, run_once
from core.check import prove
from core.db import connected
from core.nightly import BATCH, Night
from laurels.cli import commands
from tests.app.working import (
    LATE,
    PATIENCE,
    Books,
    copied,
    fill,
    heard,
    once,
    owner,
    process,
    serve,
    settings,
    stay,
    told,
    until_blocked,
)
from tests.support import Databases

#: Three batches of the night, two lots each.
MEMBERS = 2 * BATCH + 400


@dataclass(frozen=True)
class Undisturbed:
    """A database before its night, and what its books say after an undisturbed one."""

    url: str
    done: Night
    books: Books


async def night(url: str, *, late: timedelta = timedelta(0)) -> Night:
    """Do in this process what is due."""
    async with running(settings(url), now=LATE) as runtime:
        return await run_night(runtime.engine, LATE + late)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def before(databases: Databases) -> AsyncIterator[Undisturbed]:
    """A coalition that nobody has looked after for a year."""
    async with databases.migrated() as url:
        await fill(url, MEMBERS)
        async with copied(databases, url, "ct_night_undisturbed") as other:
            done = await night(other)
            books = await told(other)
        yield Undisturbed(url, done, books)


async def test_the_night_has_some_thousand_lots_to_expire(before: Undisturbed) -> None:
    lots = before.books["lot"]
    assert len(lots) >= 2 * MEMBERS
    assert all(remaining == 0 for *_, remaining, _, _, _ in lots)
    assert before.done.ranks >= MEMBERS // 3
    assert before.done.expired == sum(amount for _, _, _, amount, *_ in lots)


LOCKS = {
    "waiting for a member": "SELECT FROM holder ORDER BY id DESC LIMIT 1 FOR UPDATE",
    "with half of a batch written": "SELECT FROM lot ORDER BY holder_id DESC LIMIT 1 FOR UPDATE",
    "while reviewing": "SELECT FROM standing WHERE rank > 0 ORDER BY holder_id DESC LIMIT 1 "
    "FOR UPDATE",
}


@pytest.mark.parametrize("where", LOCKS)
async def test_killed_in_the_middle_and_run_again(
    databases: Databases, before: Undisturbed, where: str
) -> None:
    async with copied(databases, before.url, "ct_night_killed") as url, owner(url) as blocker:
        async with owner(url) as watcher, process(url, once()) as worker:
            async with blocker.transaction():
                await blocker.execute(LOCKS[where])
                await until_blocked(watcher, blocker.get_server_pid(), worker)
                worker.send_signal(signal.SIGKILL)
                assert await worker.wait() == -signal.SIGKILL
            # The server notices by itself that nobody is there any more, and rolls back.
            gone = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            while await watcher.fetchval(gone + "AND pid <> pg_backend_pid()") > 1:
                pass
            some = await watcher.fetchval(
                "SELECT count(*) FROM tier_change WHERE to_rank < from_rank"
            )
            spent = await watcher.fetchval("SELECT count(*) FROM lot WHERE remaining = 0")
        assert some > 0
        assert spent < len(before.books["lot"])
        await night(url)
        assert await told(url) == before.books
        assert not await night(url), "run again, it books nothing"
        assert await told(url) == before.books
        if "half" in where:  # proving takes its time, and the books are the same each time
            async with connected(url):
                assert await prove() == []


async def test_late_it_books_the_same(databases: Databases, before: Undisturbed) -> None:
    async with copied(databases, before.url, "ct_night_late") as url:
        await night(url, late=timedelta(days=3))
        books = await told(url)
        assert {t: r for t, r in books.items() if t != "standing"} == {
            t: r for t, r in before.books.items() if t != "standing"
        }


async def test_two_processes_at_once_book_what_one_does(
    databases: Databases, before: Undisturbed
) -> None:
    async with (
        copied(databases, before.url, "ct_night_twice") as url,
        process(url, once()) as one,
        process(url, once()) as other,
    ):
        said = await asyncio.gather(one.communicate(), other.communicate())
        assert (one.returncode, other.returncode) == (0, 0), said
        assert [err for _, err in said] == [b"", b""]
        assert await told(url) == before.books


async def test_a_worker_that_is_cut_off_comes_back_and_stops_when_told(
    databases: Databases, before: Undisturbed
) -> None:
    async with (
        copied(databases, before.url, "ct_worker") as url,
        owner(databases.server) as admin,
        process(url, stay()) as worker,
    ):
        name = urlsplit(url).path.lstrip("/")
        await heard(worker, "the worker runs")
        await heard(worker, "night done")  # by the real clock, for the last midnight
        async with owner(url) as other:
            assert await other.fetchval("SELECT max(remaining) FROM lot") == 0
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
        )
        await heard(worker, "lost its database")
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        doing = "SELECT id FROM jobs.procrastinate_jobs WHERE status = 'doing'"
        async with owner(url) as other:  # what was cut off is found later, by its lost heartbeat
            cut = {row["id"] for row in await other.fetch(doing)}
        await heard(worker, "the worker runs")
        worker.terminate()
        _, err = await worker.communicate()
        assert worker.returncode == 0
        assert b"never retrieved" not in err
        async with owner(url) as other:
            assert {row["id"] for row in await other.fetch(doing)} <= cut


@pytest.mark.parametrize("program", [stay, serve])
async def test_what_a_script_starts_in_the_background_stops_when_told(
    databases: Databases, program: Callable[[], str]
) -> None:
    """There Ctrl+C is ignored; what ends it is SIGTERM alone."""
    ignoring = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    async with (
        databases.migrated() as url,
        process(url, ignoring + program(), LAURELS_PORT="0") as started,
    ):
        await heard(started, "the worker runs")
        started.terminate()
        async with asyncio.timeout(PATIENCE):
            await started.communicate()
        assert started.returncode in (0, 130)


async def test_a_worker_beside_the_application_is_stopped_with_it(
    databases: Databases, before: Undisturbed
) -> None:
    async with (
        copied(databases, before.url, "ct_serving") as url,
        process(url, serve(), LAURELS_PORT="0") as application,
    ):
        await heard(application, "the worker runs")
        application.terminate()
        await application.communicate()
        async with owner(url) as other:
            left = await other.fetchval("SELECT count(*) FROM jobs.procrastinate_workers")
            assert left == 0, "it said good-bye: nobody has to wait for its heartbeat to end"


# --- the command ----------------------------------------------------------------------------------


async def laurels(monkeypatch: pytest.MonkeyPatch, url: str, *words: str) -> Result:
    """Run the command in a thread of its own, with a loop of its own."""
    monkeypatch.setenv("LAURELS_DATABASE_URL", url)
    monkeypatch.setenv("LAURELS_SECRET", "s" * 40)
    return await asyncio.to_thread(lambda: CliRunner().invoke(commands, words))


async def test_once_does_what_is_due_and_says_what_it_did(
    databases: Databases, before: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with copied(databases, before.url, "ct_once") as url:
        words = ("worker", "--once", "--now", LATE.isoformat())
        first = await laurels(monkeypatch, url, *words)
        assert first.exit_code == 0, first.output
        assert f"{before.done.expired:,}" in first.output
        assert await told(url) == before.books
        again = await laurels(monkeypatch, url, *words)
        assert f"{before.done.expired:,}" not in again.output


async def test_a_worker_that_stays_has_the_clock(
    databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = await laurels(monkeypatch, databases.server, "worker", "--now", LATE.isoformat())
    assert refused.exit_code == 2


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://postgres@/shop?host=/run/pg&port=5433",
            {"host": "/run/pg", "port": 5433, "user": "postgres", "dbname": "shop"},
        ),
        (
            "postgresql://la%40urels:p%2Fw@db:5432/x?sslmode=require",
            {"host": "db", "port": 5432, "user": "la@urels", "password": "p/w", "dbname": "x",
             "sslmode": "require"},
        ),
    ],
)  # fmt: skip
def test_psycopg_connects_as_asyncpg_does(url: str, expected: dict[str, object]) -> None:
    given = credentials(url)
    options = given.pop("options")
    assert given == expected
    assert "role=laurels_app" in options
    assert "search_path=jobs" in options


async def test_a_night_ahead_of_the_clock_is_not_sealed(databases: Databases) -> None:
    """A seal there would date whatever is booked until then behind it; one of now is made."""
    async with databases.migrated() as url:
        for now, seals in ((datetime.now(UTC) + timedelta(days=30), 0), (datetime.now(UTC), 1)):
            await run_once(settings(url), None, now)
            async with owner(url) as connection:
                assert await connection.fetchval("SELECT count(*) FROM seal") == seals
                assert await connection.fetchval("SELECT count(*) FROM head_digest") == seals


async def test_a_job_whose_end_cant_be_noted_is_told_in_a_line_and_other_faults_whole() -> None:
    """The database may be lost in the very moment in which a job ends."""
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch, capture_logs() as logs:
        patch.setattr(loop, "default_exception_handler", told.append)
        lost = {"message": "never retrieved", "exception": exceptions.ConnectorException()}
        work._told(loop, lost)
        other = {"message": "never retrieved", "exception": ValueError("x")}
        work._told(loop, other)
    assert told == [other]
    assert [x["event"] for x in logs] == ["a job's end couldn't be noted; it is queued again"]
