"""Sends on what was booked, for as long as the worker runs, whatever becomes of its database.

What is sent, and to whom, is `core.dispatching`'s and `core.sender`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

import structlog

from app.outbound import Outbound
from core import db, dispatching, surveys
from core.posting import Engine
from core.sender import Payload, Sender
from core.store.webhook_deliveries import Claimed
from core.store.writes import ChangeRow
from core.telling import tell

if TYPE_CHECKING:
    from schema.build import Schema

#: Seconds between looks where nothing is to be sent: a change waits that long to be told at most.
_LOOK = 0.1
#: Seconds between attempts where it failed: the first, and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
Clock = Callable[[], datetime]
_log = structlog.get_logger("laurels.sending")


async def send(engine: Engine, clock: Clock) -> None:
    """Send until cancelled; whatever ends it otherwise is logged, and it begins anew."""

    async def once() -> bool:
        await _send(engine, clock)
        return False

    await _again(once)


async def _send(engine: Engine, clock: Clock) -> None:
    outbound = Outbound(engine.private_hosts)
    sender = Sender(payloads(engine, clock), outbound.post, clock)

    async def dispatch() -> bool:
        return await dispatching.dispatch(telling(engine, clock)) == dispatching.BATCH

    async def deliver() -> bool:
        return await sender.turn() > 0

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_again(dispatch), name="outbox")
            tasks.create_task(_again(deliver), name="webhooks")
    finally:
        await sender.stop()
        await outbound.close()


async def send_on(engine: Engine, now: datetime) -> None:
    """Tell of all that was booked, once: for a life that is lived without a worker."""
    told = dispatching.BATCH
    while told == dispatching.BATCH:
        told = await dispatching.dispatch(telling(engine, lambda: now))


def telling(engine: Engine, clock: Clock) -> dispatching.Also:
    """Has what is dispatched delivered by webhook too, and members asked after it."""

    async def also(connection: db.Connection, changes: Sequence[ChangeRow]) -> None:
        now = clock()
        await tell(connection, engine.rulebook, changes, now)
        await surveys.plan(connection, engine.rulebook, changes, now)

    return also


def payloads(engine: Engine, clock: Clock) -> Callable[[Claimed], Awaitable[Payload]]:
    """Finds what is told, by the queries of partners."""

    @cache
    def whole() -> Schema:
        # With the first one: a worker that has nothing to tell starts in half the time.
        from schema.build import build_schema

        return build_schema()

    async def found(claimed: Claimed) -> Payload:
        from schema.payloads import find

        return await find(whole(), engine, clock, claimed)

    return found


async def _again(step: Callable[[], Awaitable[bool]]) -> None:
    """Take a step again and again: at once where it says that there is more."""
    me = asyncio.current_task()
    assert me is not None
    pause = _FIRST_PAUSE
    while True:
        try:
            more = await step()
        except db.PASSING as error:
            if me.cancelling():  # lost while stopping: that came as an error instead
                raise asyncio.CancelledError from None
            _log.warning("what was booked can't be sent on; it is tried again", why=repr(error))
        except Exception:
            _log.exception("what was booked can't be sent on; it is tried again")
        else:
            pause = _FIRST_PAUSE
            await asyncio.sleep(0 if more else _LOOK)
            continue
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)
