"""The watchdog: a process whose event loop is stuck tells where, and ends, to be replaced.

For what no signal can stop: a single long call in C, in some partner's rule. A thread of the
interpreter's own, which needs no lock, writes the traceback, whose last lines name the culprit, and
ends the process; whoever runs it (docker compose, systemd) starts another. Nothing is lost: what
wasn't committed was never acknowledged.
"""

from __future__ import annotations

import asyncio
import faulthandler
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

#: Seconds for which the event loop may be busy with one thing.
PATIENCE = 30.0
_STDERR = 2


@asynccontextmanager
async def watched(patience: float = PATIENCE) -> AsyncIterator[None]:
    """While inside, an event loop that is stuck for longer than this ends the process."""
    beating = asyncio.create_task(_beat(patience), name="watchdog")
    try:
        yield
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating
        faulthandler.cancel_dump_traceback_later()


async def _beat(patience: float) -> None:
    while True:
        faulthandler.dump_traceback_later(patience, exit=True, file=_STDERR)
        await asyncio.sleep(patience / 4)
