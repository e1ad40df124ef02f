"""Who opens sockets and streams: by which credentials, how many at once. Knows no protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from app.tokens import TokenError
from core.posting import Engine
from schema.context import ANONYMOUS, Context, Viewer
from schema.feed import Feed

#: Sockets and streams of one caller: a member's devices, a partner's tills.
MOST_EACH = 200
#: Of all callers in one process.
MOST_OPEN = 10_000
#: Finds out who is asking. Raises TokenError.
Ask: TypeAlias = Callable[[], Awaitable[Viewer]]


class Knows(Protocol):
    """Whatever tells from credentials who is asking; both raise TokenError."""

    async def viewer(self, headers: Mapping[str, str]) -> Viewer:
        """By the headers of a request; without credentials: nobody."""

    async def of_bearer(self, token: str) -> Viewer:
        """By a token or a key."""


@dataclass
class Callers:
    """What all ways to follow something share."""

    engine: Engine
    knows: Knows
    now: Callable[[], datetime]
    feed: Feed
    most_each: int = MOST_EACH
    most_open: int = MOST_OPEN
    _open: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many are open."""
        return self._open.total()

    def enter(self, viewer: Viewer) -> bool:
        """Count one more; False where there are too many already."""
        if self._open[viewer.caller] >= self.most_each or self.count >= self.most_open:
            return False
        self._open[viewer.caller] += 1
        return True

    def leave(self, viewer: Viewer) -> None:
        """Count one less."""
        self._open[viewer.caller] -= 1
        if not self._open[viewer.caller]:
            del self._open[viewer.caller]

    async def context(self, ask: Ask) -> Context:
        """The context of one operation of whoever this is now; nobody, once that has ended."""

        async def again() -> Viewer:
            try:
                return await ask()
            except TokenError:
                return ANONYMOUS

        return Context(self.engine, await again(), self.now, self.feed, again)
