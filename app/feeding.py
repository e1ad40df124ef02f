"""Tells the feed of this process what is booked anywhere, on one connection. Knows no GraphQL.

One task listens, one looks at the clock; followers have neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import structlog

from core import db
from core.dispatching import CHANNEL
from schema.feed import Feed

#: Seconds between looks at the clock: so late may somebody be told that its time is up.
_TICK = 1.0
_log = structlog.get_logger("laurels.feed")


@asynccontextmanager
async def feeding(
    url: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> AsyncIterator[Feed]:
    """A feed that is told, while inside, what is booked by any process on this database."""
    feed = Feed()
    tasks = [
        asyncio.create_task(_listen(url, feed), name="feed"),
        asyncio.create_task(_watch_the_clock(feed, now), name="feed's clock"),
    ]
    try:
        yield feed
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _listen(url: str, feed: Feed) -> None:
    def take(notice: str) -> None:
        try:
            feed.hear(notice)
        except ValueError:
            _log.exception("a notice that nobody understands; all look anew")
            feed.miss()

    while True:
        try:
            await db.overheard(url, CHANNEL, take, feed.miss)
        except Exception:  # whatever it is: followers mustn't wait in silence for ever
            _log.exception("the feed can't listen; it is tried again")
        await asyncio.sleep(_TICK)


async def _watch_the_clock(feed: Feed, now: Callable[[], datetime]) -> None:
    while True:
        await asyncio.sleep(_TICK)
        feed.expire(now())
