"""The jobs on a real queue: what is deferred when, what a failure or a dead worker leaves behind.

The queue's worker runs in this process until it has caught up. It defers nothing by the real clock:
what is due is said by the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from procrastinate import App, exceptions
from procrastinate.jobs import Job, Status

from app import jobs
from app.jobs import Backoff, Work, jobs_app, last_midnight, put_back
from app.work import connector
from core import nightly
from core.db import Connection, reading, transaction
from core.nightly import Night
from core.posting import Engine
from core.returns import check_cancel
from core.store import jobs as store
from core.store.jobs import UP_TO, alone_tonight, bring_up_to_date, package_migrations
from core.store.returns import Waits, wait
from tests.support import DAY, NOW, enrol_cards, receipt, scalar, small_rulebook

MINUTELY = (
    "holds", "waiting", "issues", "occasions", "shadows", "inbound", "simulations", "exports",
    "webhooks", "surveys", "calendar", "requeue",
)  # fmt: skip


@dataclass
class Queue:
    """The application's queue, and a clock that a test may move."""

    app: App
    now: datetime = NOW
    ticks: set[tuple[str, str]] = field(default_factory=set)

    async def run(self, *names: str) -> None:
        """Defer these jobs, then work until nothing is left to do."""
        for name in names:
            await self.app.configure_task(name).defer_async(timestamp=0)
        await self.app.run_worker_async(
            wait=False, listen_notify=False, install_signal_handlers=False,
            delete_jobs="successful", concurrency=3,
        )  # fmt: skip

    async def call(self, name: str) -> None:
        """Do a job here and now, outside the queue."""
        await self.app.tasks[name](timestamp=0)

    async def jobs(self, name: str) -> list[Job]:
        """The jobs of this name that are in the queue, in any state."""
        return list(await self.app.job_manager.list_jobs_async(task=name))


@pytest_asyncio.fixture(loop_scope="session")
async def queue(engine: Engine, database: str) -> AsyncIterator[Queue]:
    """The jobs on the small rulebook, in an empty database."""
    async with connector(database) as connection:
        made = Queue(App(connector=connection))
        made.app = jobs_app(Work(engine, lambda: made.now), connection)
        periodic = made.app.periodic_registry.periodic_tasks
        made.ticks = {(task, entry.cron) for (task, _), entry in periodic.items()}
        periodic.clear()
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def owner(database: str) -> AsyncIterator[Connection]:
    """The owner of the database, who may do what the application may not."""
    connection: Connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def one_purchase(engine: Engine) -> int:
    """A member with 30 stars that live for ninety days."""
    (holder,) = await enrol_cards(["1"])
    await engine.record_purchases([receipt(engine, "r1")], NOW)
    return holder


# --- the schema -----------------------------------------------------------------------------------


def test_our_migrations_bring_in_all_of_the_installed_package() -> None:
    last = package_migrations()[-1].name
    assert last == UP_TO, f"add a migration that calls bring_up_to_date, and raise UP_TO to {last}"


async def test_the_tables_are_apart_and_the_application_may_use_them(queue: Queue) -> None:
    async with queue.app.connector.pool.connection() as connection:  # type: ignore[attr-defined]
        found = await connection.execute("SELECT current_user::text, current_schema::text")
        assert await found.fetchone() == ("laurels_app", "jobs")
    elsewhere = "SELECT count(*) FROM pg_tables WHERE tablename ~ '^procrastinate' AND schemaname "
    assert await scalar(elsewhere + "<> 'jobs'") == 0
    assert await scalar(elsewhere + "= 'jobs'") == 4


async def test_what_the_package_adds_later_is_brought_in(
    queue: Queue, owner: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = tmp_path / "99.00.00_01_pre_add_a_table.sql"
    later.write_text("CREATE TABLE procrastinate_added (n int);")
    files = [*package_migrations(), later]
    monkeypatch.setattr(store, "package_migrations", lambda: files)
    for _ in range(2):
        async with owner.transaction():
            await bring_up_to_date(_Client(owner))
    # As the application: it may use what was added.
    assert await scalar("SELECT count(*) FROM jobs.procrastinate_added") == 0
    assert (await scalar("SELECT obj_description('jobs'::regnamespace)")).endswith(later.name)
    assert await owner.fetchval("SHOW search_path") == '"$user", public'


@dataclass
class _Client:
    connection: Connection

    async def execute_query_dict(self, query: str, values: list[Any]) -> list[Any]:
        return list(await self.connection.fetch(query, *values))

    async def execute_script(self, query: str) -> None:
        await self.connection.execute(query)


# --- the calendar ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "now", "midnight"),
    [
        ("UTC", "2026-03-15T12:00Z", "2026-03-15T00:00Z"),
        ("Europe/Rome", "2026-03-29T12:00Z", "2026-03-28T23:00Z"),
        ("Europe/Rome", "2026-03-29T22:30Z", "2026-03-29T22:00Z"),
        ("America/New_York", "2026-11-01T04:00Z", "2026-11-01T04:00Z"),
        ("America/New_York", "2026-11-02T04:59Z", "2026-11-01T04:00Z"),
    ],
)
def test_the_night_is_due_at_the_programmes_own_midnight(
    zone: str, now: str, midnight: str
) -> None:
    engine = Engine(replace(small_rulebook(), time_zone=zone))
    work = Work(engine, lambda: datetime.fromisoformat(now))
    assert last_midnight(work).astimezone(UTC) == datetime.fromisoformat(midnight)


async def test_the_clock_brings_what_has_to_be_looked_at_each_minute(queue: Queue) -> None:
    assert queue.ticks == {(name, "* * * * *") for name in MINUTELY}


async def test_a_midnights_night_is_deferred_once_by_however_many_workers(queue: Queue) -> None:
    await asyncio.gather(*(queue.call("calendar") for _ in range(4)))
    (night,) = await queue.jobs("night")
    assert night.task_kwargs == {"timestamp": int(datetime(2026, 3, 15, tzinfo=UTC).timestamp())}
    assert night.lock == "night"
    await queue.run()
    assert await queue.jobs("night") == []
    # Also when it is done and gone: a worker that starts again finds the night run.
    await queue.call("calendar")
    assert await queue.jobs("night") == []
    queue.now += DAY
    await queue.call("calendar")
    assert len(await queue.jobs("night")) == 1


async def test_the_night_books_what_is_due_and_once(queue: Queue, engine: Engine) -> None:
    holder = await one_purchase(engine)
    queue.now += 91 * DAY
    left = "SELECT sum(remaining) FROM lot WHERE holder_id = $1"
    assert await scalar(left, holder) == 35
    await queue.call("calendar")
    await queue.run()
    assert await scalar(left, holder) == 0
    booked = await scalar("SELECT count(*) FROM transfer")
    queue.now += DAY
    await queue.call("calendar")
    await queue.run()
    assert await scalar("SELECT count(*) FROM transfer") == booked


# --- failures -------------------------------------------------------------------------------------


def test_the_pauses_grow_to_an_hour() -> None:
    def pause(attempts: int, error: BaseException) -> float:
        job = Job(id=1, queue="q", lock=None, queueing_lock=None, task_name="t", attempts=attempts)
        decision = Backoff().get_retry_decision(exception=error, job=job)
        assert decision.retry_at is not None
        return (decision.retry_at - datetime.now(UTC)).total_seconds()

    for attempts, seconds in [(0, 5), (1, 10), (2, 20), (9, 2560), (10, 3600), (10_000, 3600)]:
        assert pause(attempts, ValueError()) == pytest.approx(seconds, abs=2)
    assert pause(5, asyncio.CancelledError()) <= 0


async def test_a_night_that_fails_is_kept_and_ends_no_other_job(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    released: list[datetime] = []

    async def fail(*_: object) -> Night:
        raise RuntimeError("no light")

    async def release(_: Engine, now: datetime) -> int:
        released.append(now)
        return 0

    monkeypatch.setattr(nightly, "run", fail)
    monkeypatch.setattr(jobs, "time_out", release)
    await queue.call("calendar")
    await queue.run("holds")
    assert NOW in released
    (night,) = await queue.jobs("night")
    assert (night.status, night.attempts) == (Status.TODO.value, 1)
    assert night.scheduled_at is not None
    assert night.scheduled_at > datetime.now(UTC)
    assert "no light" in capsys.readouterr().out
    # The next midnight's waits behind it, and is no reason for it not to be put back.
    queue.now += DAY
    await queue.call("calendar")
    assert len(await queue.jobs("night")) == 2


async def test_holds_that_fail_are_tried_again_a_minute_later_and_end_no_night(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> int:
        raise RuntimeError("stuck")

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "time_out", fail)
        await queue.call("calendar")
        await queue.run("holds")
    assert {job.status for job in await queue.jobs("holds")} == {Status.FAILED.value}
    assert await queue.jobs("night") == []
    await queue.app.configure_task("holds").defer_async(timestamp=60)


async def test_what_a_purchase_did_not_see_wait_is_matched_within_a_minute(
    engine: Engine, queue: Queue
) -> None:
    """As where both came in the same moment: put there behind the engine's back."""
    await enrol_cards(["1"])
    item = receipt(engine, "P", "1", NOW, ("A", "10.00"))
    await engine.record_purchases([item], NOW)
    unit = check_cancel(engine.rulebook.partners["grocer"], "P", NOW)
    row = Waits(unit.partner.id, unit.kind, "P", "P", NOW, unit.digest, {}, NOW, "")
    async with transaction() as connection:
        assert await wait(connection, [row]) == 1
    await queue.run("waiting")
    assert await scalar("SELECT count(*) FROM waiting") == 0
    assert await scalar("SELECT count(*) FROM event WHERE kind = 9") == 1


async def test_jobs_of_a_minute_do_not_pile_up(queue: Queue) -> None:
    for name in MINUTELY:
        # The decorated task carries its queueing lock; a second one is refused while it waits.
        await queue.app.tasks[name].defer_async(timestamp=0)
        with pytest.raises(exceptions.AlreadyEnqueued):
            await queue.app.tasks[name].defer_async(timestamp=60)


# --- dead and stopped workers ---------------------------------------------------------------------


async def begun(queue: Queue, name: str) -> int:
    """A job of this name that a worker has begun; the worker's id."""
    manager = queue.app.job_manager
    await queue.app.tasks[name].defer_async(timestamp=0)
    worker = await manager.register_worker()
    assert await manager.fetch_job(None, worker) is not None
    return worker


async def test_what_a_dead_worker_had_begun_is_queued_again(
    queue: Queue, owner: Connection, engine: Engine
) -> None:
    holder = await one_purchase(engine)
    worker = await begun(queue, "night")
    await put_back(queue.app)
    (night,) = await queue.jobs("night")
    assert night.status == Status.DOING.value, "it is alive: nobody takes its work away"
    await owner.execute(
        "UPDATE jobs.procrastinate_workers SET last_heartbeat = now() - interval '1 hour' "
        "WHERE id = $1",
        worker,
    )
    queue.now += 91 * DAY
    await put_back(queue.app)
    await queue.run()
    assert await queue.jobs("night") == []
    assert await scalar("SELECT sum(remaining) FROM lot WHERE holder_id = $1", holder) == 0


async def test_a_dead_workers_job_whose_like_waits_already_is_dropped(
    queue: Queue, owner: Connection
) -> None:
    await begun(queue, "holds")
    await queue.app.tasks["holds"].defer_async(timestamp=60)
    await owner.execute("DELETE FROM jobs.procrastinate_workers")
    await put_back(queue.app)
    (left,) = await queue.jobs("holds")
    assert (left.status, left.task_kwargs) == (Status.TODO.value, {"timestamp": 60})


async def test_requeue_itself_is_put_back_by_the_next(queue: Queue, owner: Connection) -> None:
    await begun(queue, "requeue")
    await owner.execute("DELETE FROM jobs.procrastinate_workers")
    await queue.run("requeue")
    await queue.run()
    assert await queue.jobs("requeue") == []


async def test_a_stopped_workers_night_goes_back_to_the_queue(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = asyncio.Event()

    async def endless(*_: object) -> Night:
        started.set()
        await asyncio.Event().wait()
        return Night()

    monkeypatch.setattr(nightly, "run", endless)
    await queue.call("calendar")
    before = asyncio.all_tasks()
    worker = asyncio.create_task(
        queue.app.run_worker_async(
            listen_notify=False,
            install_signal_handlers=False,
            shutdown_graceful_timeout=0,
            concurrency=3,
        )
    )
    await started.wait()
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert asyncio.all_tasks() == before, "nothing is left running"
    (night,) = await queue.jobs("night")
    assert night.status == Status.TODO.value
    assert night.scheduled_at is not None
    assert night.scheduled_at <= datetime.now(UTC)
    monkeypatch.undo()
    # The lock was let go of too, or this would wait for ever.
    await queue.run()
    assert await queue.jobs("night") == []


async def test_nights_of_several_processes_take_turns(database: str) -> None:
    del database
    order: list[str] = []

    async def second() -> None:
        async with alone_tonight():
            order.append("second")

    async with alone_tonight():
        waiting = asyncio.create_task(second())
        async with reading() as connection:
            waits = "SELECT true FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while not await connection.fetchval(waits):
                assert not waiting.done()
        order.append("first")
    await waiting
    assert order == ["first", "second"]
