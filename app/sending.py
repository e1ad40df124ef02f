"""Sends on what was booked, for as long as the worker runs, whatever becomes of its database.

What is sent, and to whom, is `core.dispatching`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from core import db, dispatching

#: Seconds between looks where nothing is to be sent: a change waits that long to be told at most.
_LOOK = 0.1
#: Seconds between attempts where it failed: the first, and the longest.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_log = structlog.get_logger("laurels.sending")


async def send() -> None:
    """Send until cancelled."""
    await _again(_dispatch)


async def _dispatch() -> bool:
    return await dispatching.dispatch() == dispatching.BATCH


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
