"""The worker: runs the jobs until it is stopped, whatever becomes of its database meanwhile.

In the serving process by default, alone with `laurels worker`. Which jobs there are is `app.jobs`'.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import structlog
from procrastinate import PsycopgConnector, exceptions
from psycopg_pool import AsyncConnectionPool

from app.jobs import Progress, Work, jobs_app, run_night, silent
from app.runtime import Runtime, running, up_to_date
from app.sending import send
from app.settings import Settings
from app.watchdog import watched
from core import db, simulating
from core.entries import AHEAD
from core.nightly import Night
from core.store.jobs import SCHEMA
from core.store.simulations import CHANNEL

#: Jobs at a time: a long night must not keep holds waiting.
_CONCURRENCY = 3
#: Seconds that a stopped worker leaves its jobs; cut short, they go back to the queue.
_GRACE = 5.0
#: Seconds to wait for a connection before the database counts as away.
_PATIENCE = 5.0
#: Seconds between attempts to find the database again: the first, and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_log = structlog.get_logger("laurels.worker")


def clock() -> datetime:
    """The time."""
    return datetime.now(UTC)


def credentials(url: str) -> dict[str, Any]:
    """How psycopg connects: as asyncpg does, as the application's role, to the jobs' schema."""
    known = db.config(url)["connections"]["default"]["credentials"]
    given = {
        "host": known["host"],
        "port": known["port"],
        "user": known["user"],
        "password": known["password"],
        "dbname": known["database"],
        "sslmode": known.get("ssl"),
    }
    options = f"-c role=laurels_app -c search_path={SCHEMA} -c timezone=UTC"
    return {k: v for k, v in given.items() if v is not None} | {"options": options}


@asynccontextmanager
async def connector(url: str) -> AsyncIterator[PsycopgConnector]:
    """A few connections for the queue. Raises psycopg's errors where there are none to be had."""
    pool = AsyncConnectionPool(
        kwargs=credentials(url),
        min_size=1,
        max_size=_CONCURRENCY,
        timeout=_PATIENCE,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    async with pool:
        await pool.wait(_PATIENCE)
        queue = PsycopgConnector()
        await queue.open_async(pool)
        yield queue


async def _work_once(work: Work, url: str) -> None:
    """Work until cancelled, or until the database is lost."""
    async with connector(url) as queue:
        _log.info("the worker runs")
        await jobs_app(work, queue).run_worker_async(
            concurrency=_CONCURRENCY,
            install_signal_handlers=False,
            # Jobs come by the clock, so looking every few seconds does, and saves a connection.
            listen_notify=False,
            shutdown_graceful_timeout=_GRACE,
            delete_jobs="successful",
        )


async def _simulate(runtime: Runtime) -> None:
    """Do what-if runs as they are asked for, until cancelled."""

    async def tell() -> None:
        try:
            await simulating.work(runtime.engine, clock())
        except db.PASSING:
            raise
        except Exception:  # the next one may do better
            _log.exception("simulations couldn't be done")

    await db.heard(runtime.url, CHANNEL, tell)


async def work(runtime: Runtime) -> None:
    """Work until cancelled; find the database again where it was lost."""
    beside = [
        asyncio.create_task(_simulate(runtime), name="simulations"),
        asyncio.create_task(send(runtime.engine, clock), name="sending"),
    ]
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(_told)
    try:
        await _work(runtime)
    finally:
        loop.set_exception_handler(before)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def _told(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Of a job whose end couldn't be noted, for the database was lost in that very moment.

    The queue leaves its task behind with the error: nobody else would tell it in our words.
    """
    if isinstance(context.get("exception"), exceptions.ConnectorException):
        _log.warning("a job's end couldn't be noted; it is queued again")
    else:
        loop.default_exception_handler(context)


async def _work(runtime: Runtime) -> None:
    # They would tell every single attempt; what matters is told here.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    me = asyncio.current_task()
    assert me is not None
    pause = _FIRST_PAUSE
    while True:
        began = asyncio.get_running_loop().time()
        try:
            await _work_once(Work(runtime.engine, clock, runtime.seal), runtime.url)
            _log.warning("the worker stopped; it starts again")
        except Exception as error:
            cause = error.__cause__ or error
            _log.warning("the worker lost its database; it tries again", error=repr(cause))
        if me.cancelling():  # lost while stopping: that came as an error instead
            raise asyncio.CancelledError
        if asyncio.get_running_loop().time() - began > _LONGEST_PAUSE:
            pause = _FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


@asynccontextmanager
async def working(runtime: Runtime, *, wanted: bool = True) -> AsyncIterator[None]:
    """The worker beside something else in this process, if it is wanted."""
    with db.patiently():
        background = asyncio.create_task(work(runtime), name="worker") if wanted else None
    try:
        yield
    finally:
        if background is not None:
            background.cancel()
            with suppress(asyncio.CancelledError):
                await background


@contextmanager
def stopped_gently() -> Iterator[None]:
    """SIGTERM does what Ctrl+C does: it cancels, so that everything is taken down in order.

    Also where Ctrl+C is ignored, as in what a script starts in the background.
    """
    me = asyncio.current_task()
    if me is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, told = asyncio.get_running_loop(), False

    def stop(*_: object) -> None:
        nonlocal told
        told = True
        loop.call_soon_threadsafe(me.cancel)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except asyncio.CancelledError:
        if told:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


async def run_worker(settings: Settings, name: str | None) -> None:
    """The worker as a process of its own, until a signal stops it."""
    with stopped_gently(), suppress(asyncio.CancelledError):
        async with running(settings, name=name) as runtime, watched(), up_to_date(runtime):
            await work(runtime)


async def run_once(
    settings: Settings, name: str | None, now: datetime, progress: Progress = silent
) -> Night:
    """Do what is due, then stop."""
    with stopped_gently():
        async with running(settings, name=name, now=now) as runtime:
            # A seal that lies ahead would date whatever is booked until then behind it.
            seal = runtime.seal if now <= datetime.now(UTC) + AHEAD else None
            return await run_night(runtime.engine, now, progress, seal)
