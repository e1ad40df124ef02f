"""Logins: which member a person of the front end's identity provider is, and becoming one.

A login is the issuer's `sub`. It is kept among the identifiers, as a hash of issuer and `sub`:
neither is needed in words, and the table is personal and can be erased while the books stand.

Taking somebody's account over is what this must make impossible. So:

* A login is joined to a member by its own act alone (`join`), never by merely asking something.
* An e-mail address or telephone number counts only where the provider has verified it. One that
  isn't verified finds nobody, and isn't kept either: else whoever registers with another's address
  would wait there for what tills credit to it, or for the owner to be joined to a stranger.
* A verified one joins the login to the member known by it, once: a member has one login. A second
  login with the same address is refused, for addresses and numbers are given to others in time;
  support looks at who it is and parts the old login (`part`). A login that was parted from a member
  never joins that member again, and what let it in is dropped with it, lest another one follows.
* Two verified ones of two members join neither.
* What a partner told of a *new* member is believed here as it is everywhere. To a member who is
  known already no partner adds an address or a number, see `core.members.Telling`: else any till's
  key would let a stranger in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.db import transaction
from core.errors import IdempotencyConflict, NotAllowed, UnknownReference
from core.members import Enrolment, IdentifierKind, MemberRef, Telling, enrol
from core.store import lookups
from core.store import members as store
from core.store.ids import Ids


@dataclass(frozen=True, slots=True)
class Login:
    """Who has logged in, and what the provider has verified of them."""

    ref: MemberRef
    verified: tuple[MemberRef, ...] = ()

    @property
    def identifiers(self) -> tuple[MemberRef, ...]:
        """All by which the person is known from now on."""
        return (self.ref, *self.verified)

    @classmethod
    def of(cls, issuer: str, subject: str, verified: Sequence[MemberRef] = ()) -> Login:
        """The login of an issuer's subject; to the letter, for a `sub` tells small from capital."""
        told = f"{len(issuer)} {issuer} {subject}".encode("utf-8", "surrogatepass")
        value = hashlib.sha256(b"laurels login " + told).hexdigest()
        return cls(MemberRef(IdentifierKind.LOGIN, value), tuple(verified))


async def holder_of(login: Login) -> int | None:
    """The member that this login is, if it has joined."""
    return await lookups.holder_of(*login.ref.key)


async def join(ids: Ids, login: Login, person: Enrolment, now: datetime) -> tuple[int, bool]:
    """The member that this login is from now on: (holder, whether newly enrolled). Safe to repeat.

    `person` is what a newcomer says of itself; its identifiers are the login's. Raises
    NotAllowed where the member has another login or this one was taken away from it,
    IdempotencyConflict where two are meant.
    """
    known = await holder_of(login)
    if known is not None:
        return known, False
    try:
        own = replace(person, identifiers=login.identifiers, telling=Telling.SURE)
        [outcome] = await enrol(ids, [own], now)
    except (NotAllowed, IdempotencyConflict) as refusal:
        refusal.path = ()  # of the login, which is no field
        raise
    return outcome


async def part(holder: int, planted: Sequence[MemberRef] = ()) -> tuple[bool, int]:
    """Take a member's login away, for good, and drop what was `planted` among its identifiers.

    Whether there was a login, and how many identifiers were dropped. Safe to repeat. Raises
    UnknownReference, and changes nothing, where one of them is another member's.
    """
    keys = [ref.key for ref in planted]
    async with transaction() as connection:
        # First: who joins by one of them at this moment is then found, or finds nobody.
        await store.lock_keys(connection, keys)
        known = await store.find(connection, keys)
        for n, key in enumerate(keys):
            if known.get(key, holder) != holder:
                raise UnknownReference("this isn't an identifier of that member", "drop", n)
        await store.drop(connection, list(known))
        return await store.part_login(connection, holder), len(known)
