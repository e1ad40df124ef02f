"""Who opens sockets and streams: by which credentials, how many at once. Knows no protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

from starlette.requests import HTTPConnection

from app.authentication import Authenticator
from app.exports import links
from app.tokens import TokenError, issue
from core.check_in_codes import CheckInCodes
from core.passcodes import Passcodes
from core.posting import Engine
from schema.context import ANONYMOUS, Context, Viewer
from schema.feed import Feed
from schema.rates import caller

#: Sockets and streams of one caller: a member's devices, a partner's tills.
MOST_EACH = 200
#: Of all callers in one process.
MOST_OPEN = 10_000
#: How long a member's token is good who has shown a code.
SIGNED_IN = timedelta(hours=12)
_UNAVAILABLE = 503
#: Finds out who is asking. Raises TokenError.
Ask: TypeAlias = Callable[[], Awaitable[Viewer]]


@dataclass
class Callers:
    """What all ways to follow something share."""

    engine: Engine
    trust: Authenticator
    now: Callable[[], datetime]
    feed: Feed
    passcodes: Passcodes | None = None
    most_each: int = MOST_EACH
    most_open: int = MOST_OPEN
    _open: Counter[str] = field(default_factory=Counter)
    _check_ins: CheckInCodes = field(init=False)

    def __post_init__(self) -> None:
        """Derive what is made of the secrets, once."""
        self._check_ins = CheckInCodes(self.trust.secrets)

    @property
    def count(self) -> int:
        """How many are open."""
        return self._open.total()

    def enter(self, request: HTTPConnection, viewer: Viewer) -> Callable[[], None] | None:
        """Count one more, to be counted off by what this gives; None where there are too many."""
        name = caller(viewer, _address(request))
        if self._open[name] >= self.most_each or self.count >= self.most_open:
            return None
        self._open[name] += 1
        return partial(self._leave, name)

    def _leave(self, name: str) -> None:
        self._open[name] -= 1
        if not self._open[name]:
            del self._open[name]

    async def of(self, request: HTTPConnection) -> Context:
        """The context of one request, by its credentials. Raises TokenError."""
        return self._context(request, await self.trust.viewer(request.headers))

    async def following(self, request: HTTPConnection, ask: Ask) -> Context:
        """The context of one operation of whoever this is now; nobody, once that has ended."""
        known = ANONYMOUS

        async def again() -> Viewer:
            nonlocal known
            try:
                known = await ask()
            except TokenError as error:
                # Where it can't be found out now, who was known goes on, as long as that lasts.
                known = known if error.status == _UNAVAILABLE else ANONYMOUS
            return known

        return self._context(request, await again(), again)

    def _context(
        self, request: HTTPConnection, viewer: Viewer, again: Ask | None = None
    ) -> Context:
        reason = request.headers.get("x-reason", "")[:500].strip()
        return Context(
            self.engine, viewer, self.now, self.trust.keys, feed=self.feed, again=again,
            request_id=request.state.request_id, reason=reason or None,
            export_link=links(self.trust.secrets), passcodes=self.passcodes,
            member_token=self._member_token, check_ins=self._check_ins,
            address=_address(request),
        )  # fmt: skip

    def _member_token(self, holder: int, now: datetime) -> tuple[str, datetime]:
        token = issue(self.trust.secrets.current, "member", str(holder), SIGNED_IN, now)
        return token, (now + SIGNED_IN).replace(microsecond=0)


def _address(request: HTTPConnection) -> str:
    # As the server says, which knows which proxies to believe.
    return request.client.host if request.client else ""
