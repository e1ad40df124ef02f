"""What time itself brings, as jobs of procrastinate: holds that ran out, the night, what was left.

Every job may run twice, late, or in several processes at once: each step locks what it changes and
books only what has already happened. So the queue decides who works and when, never what is true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision, exceptions
from procrastinate.jobs import Job, Status

from core import endpoints, nightly, simulating, surveys
from core.digests import DigestKey
from core.inbound import work as inbound_work
from core.issuing import issue
from core.nightly import Night
from core.occasions import keep_days, tell
from core.personal import make_offers
from core.posting import Engine
from core.redemptions import time_out
from core.returning import match_waiting
from core.store import exports as exporting
from core.store import passcodes
from core.store.jobs import alone_tonight, one_at_a_time
from core.store.shadows import prune
from laurels.durations import start_of

P = ParamSpec("P")
T = TypeVar("T")
#: Told the name of a step, how much of it is done, and how much there is (0: not known).
Progress = Callable[[str, int, int], None]

_EVERY_MINUTE = "* * * * *"
#: Without a sign of life for so long, a worker counts as dead; it gives one every ten seconds.
DEAD_AFTER = timedelta(seconds=40)
#: What failed for good stays to be looked at for so long.
_KEPT = timedelta(days=3)
_log = structlog.get_logger("laurels.jobs")


@dataclass(frozen=True, slots=True)
class Work:
    """What the jobs work on, by which clock, and with which key a night is sealed."""

    engine: Engine
    clock: Callable[[], datetime]
    seal: DigestKey | None = None


def silent(step: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


async def run_night(
    engine: Engine, now: datetime, progress: Progress = silent, seal: DigestKey | None = None
) -> Night:
    """The nightly run, in one process at a time; with a key it ends with a digest."""
    async with alone_tonight():
        return await nightly.run(engine, now, progress, seal)


async def run_occasions(engine: Engine, now: datetime) -> int:
    """What is due of birthdays, schedules and personal offers; returns how many rules were told of.

    In one process at a time: where another is at it, nothing is done.
    """
    async with one_at_a_time("occasions") as mine:
        if not mine:
            return 0
        await keep_days(engine, now)
        await make_offers(engine, now)
        return await tell(engine, now)


def last_midnight(work: Work) -> datetime:
    """The last start of a day where the programme is, of which the night is due."""
    return start_of(work.clock(), "D", work.engine.rulebook.time_zone)


class Backoff(BaseRetryStrategy):
    """Again and again, ever later up to an hour; at once where only the worker was stopped."""

    first = timedelta(seconds=5)
    longest = timedelta(hours=1)

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        """When to try again."""
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_in={"seconds": 0})
        wait = min(self.longest, self.first * 2 ** min(job.attempts, 10))
        return RetryDecision(retry_in={"seconds": int(wait.total_seconds())})


def told(job: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Log a job's failure in our words: procrastinate tells of one that is retried in a whisper."""

    @wraps(job)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await job(*args, **kwargs)
        except Exception:
            _log.exception("a job failed; it is tried again", job=job.__name__)
            raise

    return run


def jobs_app(work: Work, connector: PsycopgConnector) -> App:
    """The jobs as procrastinate knows them, on this connection.

    Those of every minute need no retry, for the next minute is one. Their queueing locks keep
    them from piling up behind a slow one. They have no other lock, which a killed worker would keep
    until `requeue` frees it, and `requeue` is one of them.
    """
    app = App(connector=connector)
    manager = app.job_manager

    _look_each_minute(app, work)
    _ask_brands_each_minute(app, work)

    # One at a time by its lock, once for each midnight by its timestamp. No queueing lock: a job
    # that has one can't be put back while another waits, and would hold the night up for good.
    @app.task(name="night", lock="night", retry=Backoff())
    @told
    async def night(timestamp: int) -> None:
        del timestamp
        done = await run_night(work.engine, work.clock(), seal=work.seal)
        _log.info("night done", **asdict(done))

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="calendar", queueing_lock="calendar")
    @told
    async def calendar(timestamp: int) -> None:
        """Local midnights are beyond cron's words, and procrastinate's memory is ten minutes."""
        del timestamp
        midnight = int(last_midnight(work).timestamp())
        job = night.configure(task_kwargs={"timestamp": midnight}).job
        await manager.defer_periodic_job(job, periodic_id="programme", defer_timestamp=midnight)

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="requeue", queueing_lock="requeue")
    @told
    async def requeue(timestamp: int) -> None:
        del timestamp
        await put_back(app)
        await manager.delete_old_jobs(
            int(_KEPT.total_seconds() // 3600),
            include_failed=True,
            include_cancelled=True,
            include_aborted=True,
        )

    return app


def _look_each_minute(app: App, work: Work) -> None:
    """What is looked at for whoever it may concern."""

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="holds", queueing_lock="holds")
    @told
    async def holds(timestamp: int) -> None:
        del timestamp
        if released := await time_out(work.engine, work.clock()):
            _log.info("holds released", count=released)

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="waiting", queueing_lock="waiting")
    @told
    async def waiting(timestamp: int) -> None:
        """A purchase and its return that come in the same moment may not have seen each other."""
        del timestamp
        if matched := await match_waiting(work.engine, work.clock()):
            _log.info("returns matched", count=matched)

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="issues", queueing_lock="issues")
    @told
    async def issues(timestamp: int) -> None:
        """Rewards that rules issued, where the process died before it took them."""
        del timestamp
        if taken := await issue(work.engine, work.clock()):
            _log.info("issued rewards taken", count=taken)

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="exports", queueing_lock="exports")
    @told
    async def exports(timestamp: int) -> None:
        """Those whose time is over: what was asked in them isn't kept longer than it is needed."""
        del timestamp
        await exporting.forget(work.clock())
        await passcodes.forget(work.clock())

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="surveys", queueing_lock="surveys")
    @told
    async def ask(timestamp: int) -> None:
        """Members whom it is time to ask."""
        del timestamp
        if invited := await surveys.invite(work.engine, work.clock()):
            _log.info("members asked", count=invited)

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="webhooks", queueing_lock="webhooks")
    @told
    async def webhooks(timestamp: int) -> None:
        """The log of what was sent is kept for a while only."""
        del timestamp
        await endpoints.forget(work.clock())


def _ask_brands_each_minute(app: App, work: Work) -> None:
    """What brands' own code is asked of."""

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="occasions", queueing_lock="occasions")
    @told
    async def occasions(timestamp: int) -> None:
        """Birthdays, schedules, personal offers that are due; what rules are still to be told."""
        del timestamp
        if booked := await run_occasions(work.engine, work.clock()):
            _log.info("occasions told", count=booked)

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="shadows", queueing_lock="shadows")
    @told
    async def shadows(timestamp: int) -> None:
        """What shadow rules came to is kept of the newest only."""
        del timestamp
        await prune()

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="inbound", queueing_lock="inbound")
    @told
    async def inbound(timestamp: int) -> None:
        """Webhooks that came too early, and those whose process died before it did them."""
        del timestamp
        if done := await inbound_work(work.engine, work.clock()):
            _log.info("webhooks done", count=done)

    @app.periodic(cron=_EVERY_MINUTE)
    @app.task(name="simulations", queueing_lock="simulations")
    @told
    async def simulations(timestamp: int) -> None:
        """Those that a worker left behind: of a new one workers hear at once."""
        del timestamp
        await simulating.work(work.engine, work.clock())


async def put_back(app: App) -> None:
    """Queue again what a dead worker had begun."""
    manager = app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=DEAD_AFTER.total_seconds()):
        _log.warning("a worker died at a job; it is queued again", job=job.task_name)
        try:
            await manager.retry_job(job)
        except exceptions.UniqueViolation:
            # Its like is waiting already: then this one isn't needed.
            await manager.finish_job(job, Status.FAILED, delete_job=True)
        except exceptions.ConnectorException:
            _log.info("another process was faster", job=job.task_name)
