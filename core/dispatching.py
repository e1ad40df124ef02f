"""Sends on what was booked: from the outbox to all who listen.

Several processes may do so at once: each takes what no other is at. Told is at least once where a
process dies, and a change that commits late is told late, never skipped. Knows no GraphQL and no
HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from core.db import Connection, transaction
from core.outbox import notices
from core.store import outbox as store
from core.store.writes import ChangeRow

#: On which all processes hear what was booked: JSON arrays of changes, as `ChangeRow` has them.
CHANNEL = "laurels_changes"
#: Changes in one transaction.
BATCH = 500
#: Is handed what is told, in the transaction that tells it.
Also: TypeAlias = Callable[[Connection, Sequence[ChangeRow]], Awaitable[object]]


async def dispatch(also: Also | None = None) -> int:
    """Send on some of what is unsent; returns how much that was, BATCH where there may be more.

    `also` does with it what stands and falls with the telling.
    """
    if not await store.waits():
        return 0
    async with transaction() as connection:
        changes = await store.claim(connection, BATCH)
        if changes:
            if also is not None:
                await also(connection, changes)
            await store.notify(connection, CHANNEL, notices(changes))
    return len(changes)
