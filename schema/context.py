"""What every resolver is handed: the engine, who is asking, the instant, and the loaders.

Knows nothing of tokens or of HTTP: whoever serves the schema says who the viewer is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import strawberry

from core.check_in_codes import CheckInCodes
from core.joining import Login
from core.keys import ApiKeys
from core.passcodes import Passcodes
from core.posting import Engine
from core.rulebook import PartnerTerms
from schema.feed import Feed
from schema.loaders import Loaders
from schema.roles import Role, Scope, StaffRole


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking: a member (`holder`), a partner (`partner`, its code), an admin, or nobody.

    A member's token without a holder is somebody who isn't enrolled yet. `subject` says who it is
    among its like: a key's id, an admin's name. `scopes` are a partner's, `staff` an admin's roles.
    `until`: when these credentials end; None: never, or nobody knows. `login` is what the identity
    provider of members says of whoever isn't enrolled yet.
    """

    role: Role
    holder: int | None = None
    partner: str | None = None
    subject: str = ""
    scopes: frozenset[Scope] = frozenset()
    staff: frozenset[StaffRole] = frozenset()
    until: datetime | None = None
    login: Login | None = None

    @property
    def caller(self) -> str:
        """By what idempotency keys are told apart: one caller can't replay another's.

        All keys of a partner are one caller: a till may resend after its key was rotated.
        """
        return f"{self.role}:{self.holder or self.partner or self.subject}"


ANONYMOUS = Viewer("anonymous")


def _stay() -> None:
    pass


@dataclass
class Act:
    """What an admin is doing: its record's number, and what is looked at before and after."""

    number: int
    holders: set[int] = field(default_factory=set)
    looks: dict[str, Callable[[], Awaitable[Mapping[str, Any] | None]]] = field(
        default_factory=dict
    )
    before: dict[str, Any] = field(default_factory=dict)


@dataclass
class Context:
    """One operation's context.

    `instant` stands still within a query, within each mutation and within each message of a
    subscription. `feed` is what subscriptions follow, and `again` finds out anew who is asking, by
    the same credentials: nobody, once they have ended. `keys` are the partners' API keys, where
    they may be made and changed.
    """

    engine: Engine
    viewer: Viewer
    now: Callable[[], datetime]
    keys: ApiKeys | None = None
    #: By what logs tell the request from others, and why an admin sends it.
    request_id: str | None = None
    reason: str | None = None
    #: Makes the signed URL of an export; None: this process serves none.
    export_link: Callable[[int, datetime], str] | None = None
    #: How strangers are sent codes, and the token of a member with its end; None: not here.
    passcodes: Passcodes | None = None
    member_token: Callable[[int, datetime], tuple[str, datetime]] | None = None
    #: Makes and reads the codes by which members check in; None: not here.
    check_ins: CheckInCodes | None = None
    feed: Feed = field(default_factory=Feed)
    again: Callable[[], Awaitable[Viewer]] | None = None
    #: Where the request comes from: by this strangers are told apart.
    address: str = ""
    #: What we do on the viewer's behalf, such as an export: neither charged nor to be trusted.
    ours: bool = False
    #: What an admin is doing right now: see `schema.acts`.
    act: Act | None = field(init=False, default=None)
    #: A change has begun: it goes on, even where nobody waits for it.
    changing: bool = field(init=False, default=False)
    #: Called when the client has gone: gives a query up; a change goes on.
    leave: Callable[[], None] = field(default_factory=lambda: _stay, init=False)
    instant: datetime = field(init=False)
    loaders: Loaders = field(init=False)
    #: The terms of the partner that is asking; None for others and for one not installed. Found
    #: once, so that it stays what it was when the operation was let in.
    partner: PartnerTerms | None = field(init=False)

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take the time anew and forget what was read: each root mutation starts so."""
        self.instant = self.now()
        code = self.viewer.partner if self.viewer.role == "partner" else None
        self.partner = None if code is None else self.engine.rulebook.partners.get(code)
        self.loaders = Loaders(self.engine, self.partner)


if TYPE_CHECKING:
    Info: TypeAlias = strawberry.Info[Context, None]
else:
    Info = strawberry.Info
