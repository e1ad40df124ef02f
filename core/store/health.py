"""What the database says of itself, in SQL: what was applied to it, and whether commits stay.

Knows no web.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.db import Connection

# With `local` and the rest a commit is on this server's disk before it is told; with `off` it isn't.
_STATE = """
SELECT (SELECT array_agg(name) FROM tortoise_migrations WHERE app = 'core') AS applied,
    (SELECT array_agg(ARRAY[name, setting] ORDER BY name) FROM pg_settings
     WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off') AS unsafe
"""


#: Any row of the outbox will do: they are told within a second or so, and about in their order.
_UNTOLD = """
SELECT extract(epoch FROM now() - v.booked_at)::float8
FROM (SELECT event_id FROM outbox LIMIT 1) o JOIN event v ON v.id = o.event_id
"""


@dataclass(frozen=True, slots=True)
class State:
    """The migrations that were applied, and the settings with which commits may be lost."""

    applied: frozenset[str]
    unsafe: list[tuple[str, str]]


async def state(connection: Connection) -> State:
    """How it is now. Raises asyncpg's errors where it can't say."""
    row = await connection.fetchrow(_STATE)
    assert row is not None
    unsafe = [(name, value) for name, value in row["unsafe"] or ()]
    return State(frozenset(row["applied"] or ()), unsafe)


async def untold(connection: Connection) -> float:
    """For how many seconds what is booked has waited to be sent on; 0: nothing waits."""
    return float(await connection.fetchval(_UNTOLD) or 0)
