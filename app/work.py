"""The jobs that time itself brings: holds that ran out, the nightly review of tiers.

Both may run twice, late, or in several processes at once: each step locks what it changes and
books only what has already happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from app.runtime import running
from app.settings import Settings
from core.posting import Engine
from core.redemptions import time_out
from core.reviews import review_tiers
from laurels.durations import Duration, start_of

_log = structlog.get_logger()
_TICK = timedelta(seconds=30)


def _clock() -> datetime:
    return datetime.now(UTC)


async def do_due(engine: Engine, now: datetime) -> dict[str, int]:
    """Do everything that is due at `now`; returns what was done."""
    released = 0
    while step := await time_out(engine, now):
        released += step
    return {"holds released": released, "ranks taken": await review_tiers(engine, now)}


async def jobs(engine: Engine, clock: Callable[[], datetime] = _clock) -> None:
    """Release holds as they run out, review tiers after each local midnight; until cancelled."""
    review_due = clock()
    while True:
        now = clock()
        # A job that fails is told and tried again: it must not end the ones after it.
        try:
            await time_out(engine, now)
        except Exception:
            _log.exception("releasing holds failed; it is tried again")
        try:
            if now >= review_due:
                await review_tiers(engine, now)
                zone = engine.rulebook.time_zone
                review_due = Duration(1, "D").after(start_of(now, "D", zone), zone)
        except Exception:
            _log.exception("the review failed; it is tried again")
        await asyncio.sleep(_TICK.total_seconds())


async def work(settings: Settings, name: str | None, *, once: bool) -> None:
    """The worker as a process of its own."""
    async with running(settings, name=name) as runtime:
        if once:
            done = await do_due(runtime.engine, _clock())
            _log.info("done", **done)
        else:
            await jobs(runtime.engine)
