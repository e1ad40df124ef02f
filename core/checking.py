"""What the passes of `laurels check` have in common: what they answer, and sorted cursors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from core.db import Connection, Row

#: (where, problem) of each difference, as a pass comes upon it.
Found = AsyncIterator[tuple[str, str]]
#: Told how many rows a pass has read.
Count = Callable[[int], None]
Pass = Callable[[Connection, Count], Found]
PREFETCH = 5000


class Peek:
    """Two sorted cursors read side by side: the rows of one that belong to a key of the other."""

    def __init__(self, cursor: Any) -> None:  # asyncpg's cursor factory has no public type
        self._rows = cursor.__aiter__()
        self._next: Row | None = None
        self._ended = False

    async def until(self, key: Any) -> AsyncIterator[Row]:  # an event's id, or holder and time
        """The rows that begin with this key; those before it are passed over."""
        width = len(key) if isinstance(key, tuple) else 0
        while not self._ended:
            if self._next is None:
                try:
                    self._next = await self._rows.__anext__()
                except StopAsyncIteration:
                    self._ended = True
                    return
            own = tuple(self._next[:width]) if width else self._next[0]
            if own > key:
                return
            row, self._next = self._next, None
            if own == key:
                yield row
