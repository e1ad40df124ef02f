"""Enrolment by one field and one code: whoever reads what is sent to an address is its owner.

* A code has six digits, is good once, for ten minutes and five attempts; a later one takes its
  place. It is kept as a keyed digest together with the address's, so that it opens no other one.
* No answer tells whether somebody is known: nobody is looked up before the right code has come, and
  whatever else comes is refused alike.
* So many codes are sent to an address in an hour and in a day, and asked for from one place in an
  hour: else a stranger could guess on, or have strangers written to.

Who confirms is the member that is known by the address, for it is verified now; or a new one. How a
code is sent is handed in. Knows neither GraphQL nor HTTP.
"""

from __future__ import annotations

import hmac
import secrets as randomness
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

from core.cards import give_card
from core.db import transaction
from core.errors import NotAllowed, WrongState
from core.members import Enrolment, MemberRef, Telling, check_people, enrol_by
from core.signing import Secrets
from core.store import members
from core.store import passcodes as store
from core.store.ids import Ids

LIFE = timedelta(minutes=10)
#: Codes that are sent to one address in an hour, in a day; and from one place in an hour.
PER_HOUR, PER_DAY, FROM_THERE = 3, 10, 100
_DIGITS = 6
_USE = b"laurels passcodes"
_REFUSED = "this code isn't good, or not any more: ask for another"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: to whom, by which channel (email or phone), in which language."""

    to: str
    channel: str
    code: str
    language: str


class Confirmed(NamedTuple):
    """Who confirmed: the member, whether new, and the number of its card."""

    holder: int
    created: bool
    card: str


#: Sends a message; False: it couldn't.
Send: TypeAlias = Callable[[Message], Awaitable[bool]]


class Passcodes:
    """The codes of a deployment, under its secrets, and how they are sent."""

    def __init__(self, secrets: Secrets, send: Send) -> None:
        self._keys = secrets.keys(_USE)
        self._send = send

    async def request(
        self, address: MemberRef, language: str, origin: str, now: datetime
    ) -> datetime:
        """Send a code to an address; until when it is good. `origin` is where the request is from.

        Raises NotAllowed where too many were asked for, WrongState where it can't be sent.
        """
        known, places = self._all(_told(address)), self._all(b"from " + origin.encode())
        code = f"{randomness.randbelow(10**_DIGITS):0{_DIGITS}}"
        until = now + LIFE
        async with transaction() as connection:
            await store.lock(connection, known[0])
            sent = await store.count(connection, known, places, now)
            if sent.hour >= PER_HOUR or sent.day >= PER_DAY:
                raise NotAllowed("enough codes were sent there: try again later")
            if sent.from_there >= FROM_THERE:
                raise NotAllowed("too many codes were asked for from here: try again later")
            digest = self._keys[0].mac(_said(known[0], code))
            number = await store.add(connection, known[0], places[0], digest, now, until)
        channel = address.kind.name.lower()
        if not await self._send(Message(address.value, channel, code, language)):
            await store.drop(number)
            raise WrongState("the code couldn't be sent: try again in a moment")
        return until

    async def confirm(
        self, ids: Ids, address: MemberRef, code: str, person: Enrolment, now: datetime
    ) -> Confirmed:
        """The member whose address this is from now on, with a card.

        `person` is what a newcomer says of itself. Raises BadInput where that can't stand, whoever
        it is; NotAllowed, the same whatever is wrong with the code (every attempt counts), and for
        who has a login at the identity provider.
        """
        own = replace(person, identifiers=[address], telling=Telling.SURE)
        check_people([own])
        known = self._all(_told(address))
        async with transaction() as connection:
            await store.lock(connection, known[0])
            found = await store.latest(connection, known, now)
            digests = [key.mac(_said(x, code)) for key, x in zip(self._keys, known, strict=True)]
            stored = b"" if found is None else found.digest
            right = any(hmac.compare_digest(digest, stored) for digest in digests)
            good = right and found is not None and found.good
            if found is not None and found.good:
                await store.tried(connection, found.id, now if good else None)
            if good:
                [(holder, new)] = await enrol_by(connection, ids, [own], now)
                if not new and await members.has_login(connection, holder):
                    # A number that changed hands must not open by another door what `core.joining`
                    # keeps shut: who has a login comes by it, or asks the staff to part it.
                    raise NotAllowed("this member signs in with its own account", "code")
                return Confirmed(holder, new, await give_card(connection, holder))
        raise NotAllowed(_REFUSED, "code")

    def _all(self, text: bytes) -> list[bytes]:
        """Its digest under each key, that of the key in force first."""
        return [key.mac(text) for key in self._keys]


def _told(address: MemberRef) -> bytes:
    return b"to %d %b" % (address.kind, address.value.encode())


def _said(identifier: bytes, code: str) -> bytes:
    return b"code " + identifier + code.encode("utf-8", "surrogatepass")
