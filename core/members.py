"""Members: enrolment with one call, and the several identifiers by which one is known.

Names and identifiers are personal and live apart from the books, which know a holder by an opaque
number only. Knows nothing of points.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, IntEnum

from core import referrals
from core.db import Connection, transaction
from core.errors import BadInput, IdempotencyConflict, NotAllowed, WrongState
from core.noted import Occasion
from core.store import attributes
from core.store import members as store
from core.store.ids import Ids
from laurels.activities import ENROLMENT

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s.]{2,60}\Z")
_PHONE = re.compile(r"\+?[0-9]{6,15}\Z")


class IdentifierKind(IntEnum):
    """By what a member is known; the numbers are stored."""

    EMAIL = 1
    PHONE = 2
    CARD = 3
    REFERENCE = 4
    LOGIN = 5  # of an identity provider, see core.joining; nobody but the provider tells one


#: By what an identity provider's login finds its member: who adds one may let somebody in.
ADDRESSES = (IdentifierKind.EMAIL, IdentifierKind.PHONE)
#: By what others tell who is meant.
TOLD = tuple(kind for kind in IdentifierKind if kind is not IdentifierKind.LOGIN)


def has_controls(text: str) -> bool:
    """Whether a text holds what no name has: control characters or halves of surrogate pairs."""
    return any(unicodedata.category(c) in ("Cc", "Cs") for c in text)


@dataclass(frozen=True, slots=True)
class MemberRef:
    """One identifier, normalised. A reference is a partner's own and counts within it (`scope`)."""

    kind: IdentifierKind
    value: str
    scope: int = 0

    @property
    def key(self) -> tuple[int, int, str]:
        """As the table `identifier` holds it: kind, scope, value."""
        return (int(self.kind), self.scope, self.value)

    def __str__(self) -> str:
        return f"{self.kind.name.lower()} {self.value[:60]!r}"

    @classmethod
    def make(cls, kind: IdentifierKind, value: str, scope: int = 0) -> MemberRef:
        """Normalise and check. Raises BadInput naming the field."""
        field = kind.name.lower()
        text = value.strip()
        if kind is IdentifierKind.EMAIL:
            text = text.lower()
        elif kind is IdentifierKind.PHONE:
            text = re.sub(r"[\s().-]", "", text)
        if not 1 <= len(text) <= 320 or has_controls(text):
            raise BadInput(
                f"{field} has 1 to 320 characters, none of them a control", "member", field
            )
        form = {IdentifierKind.EMAIL: _EMAIL, IdentifierKind.PHONE: _PHONE}.get(kind)
        if form is not None and not form.match(text):
            raise BadInput(f"{text[:60]!r} is no {field}", "member", field)
        return cls(kind, text, scope if kind is IdentifierKind.REFERENCE else 0)


class Telling(Enum):
    """What becomes of an e-mail address or number that is told of a member known already.

    A login is joined to the member of its address: a partner that could add one to a member would
    hand over the account of whomever it likes.
    """

    SURE = "added"  # by an admin, or by the member's own login
    TILL = "refused"  # by a partner's call, which is told so
    ADAPTER = "ignored"  # by a webhook: the rest is done, for a refusal would end the delivery


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Someone to enrol: at least one identifier; a name is welcome and not needed.

    `partner` is the id of the partner that enrols, if one does: it then knows the member.
    `birthday` is month and day (423: 23 April), from a partner only of who is new or has dealt with
    it, and else passed over; `referred_by` is a member's code, of who is new; and
    `greeted` is whether rules of the partner's wait for new members. `telling` is who tells it.
    """

    identifiers: Sequence[MemberRef]
    name: str | None = None
    claimed: bool = True
    partner: int | None = None
    birthday: int | None = None
    referred_by: str | None = None
    greeted: bool = False
    telling: Telling = Telling.TILL


async def enrol(ids: Ids, people: Sequence[Enrolment], now: datetime) -> list[tuple[int, bool]]:
    """Enrol people: (holder, whether newly enrolled) for each. Safe to send again.

    Who is known by one of the identifiers already is that member, and gains the others; e-mail
    addresses and numbers only from whoever is sure of them, see `Telling`.
    Raises BadInput without an identifier, IdempotencyConflict where two belong to two members,
    NotAllowed where a login would be the second one of a member or was taken away from it, or
    where a till adds an address.
    """
    check_people(people)
    async with transaction() as connection:
        return await enrol_by(connection, ids, people, now)


def check_people(people: Sequence[Enrolment]) -> None:
    """Raise BadInput for what nobody can be enrolled by, before anything is looked up."""
    for n, person in enumerate(people):
        if not person.identifiers:
            raise BadInput("one of email, phone, card or reference is needed", n, "member")
        if person.name is not None and (len(person.name) > 200 or has_controls(person.name)):
            raise BadInput("a name has at most 200 characters, no controls", n, "name")
        if person.referred_by is not None and person.partner is None:
            raise BadInput("a member is referred to a partner: name it", n, "referredBy")


async def enrol_by(
    connection: Connection, ids: Ids, people: Sequence[Enrolment], now: datetime
) -> list[tuple[int, bool]]:
    """Like `enrol`, within a transaction, of people who are checked already (`check_people`)."""
    keys = sorted({ref.key for person in people for ref in person.identifiers})
    await store.lock_keys(connection, keys)
    known = await store.find(connection, keys)
    fresh = await ids.take(len(people))
    outcome: list[tuple[int, bool]] = []
    holders: list[tuple[int, str | None, bool, int | None]] = []
    identifiers: list[tuple[int, int, str, int]] = []
    logins: dict[int, str] = {}
    for n, person in enumerate(people):
        owners = {known[ref.key] for ref in person.identifiers if ref.key in known}
        if len(owners) > 1:
            raise IdempotencyConflict("these identifiers belong to two members", n, "member")
        new = not owners
        holder = fresh[n] if new else owners.pop()
        if login := _new_login(person, known):
            if not new:  # before this call, or by somebody further up in it
                await _check_login(connection, holder, login, n, taken=holder in logins)
            logins[holder] = login
        if new:
            holders.append((holder, person.name, person.claimed, person.birthday))
        for ref in _gained(n, person, known, new=new):
            known[ref.key] = holder
            identifiers.append((*ref.key, holder))
        outcome.append((holder, new))
    met = {
        (holder, person.partner)
        for (holder, new), person in zip(outcome, people, strict=True)
        if person.partner is not None and new  # to know a card is not to know the member
    }
    fresh_ones = [
        (holder, person) for (holder, new), person in zip(outcome, people, strict=True) if new
    ]
    codes = {n: p.referred_by for n, p in enumerate(people) if outcome[n][1] and p.referred_by}
    by = await referrals.referrers(connection, codes)
    referred = [
        (holder, people[n].partner or 0, by[n]) for n, (holder, _) in enumerate(outcome) if n in by
    ]
    claims = {
        holder: (person.name, person.birthday, person.telling is Telling.SURE, person.partner)
        for (holder, new), person in zip(outcome, people, strict=True)
        if person.claimed and not new
    }
    await store.add(connection, holders, identifiers, sorted(met), now)
    await store.claim(connection, claims)
    if logins:
        await store.set_logins(connection, logins)
    if referred:
        await referrals.refer(connection, ids, referred, now)
    greeted = [
        Occasion(person.partner, f"{ENROLMENT}:{holder}", holder, ENROLMENT, {}, now)
        for holder, person in fresh_ones
        if person.greeted and person.partner is not None
    ]
    if greeted:
        await attributes.occur(connection, greeted, now)
    return outcome


async def _check_login(
    connection: Connection, holder: int, login: str, n: int, *, taken: bool
) -> None:
    """Raise NotAllowed where a member that is known already can't have this login."""
    if taken or await store.has_login(connection, holder):
        raise NotAllowed("this member has another login: ask support", n, "member")
    if await store.was_parted(connection, holder, login):
        raise NotAllowed("this login was taken away: ask support", n, "member")


def _gained(
    n: int, person: Enrolment, known: Mapping[tuple[int, int, str], int], *, new: bool
) -> list[MemberRef]:
    """The identifiers that the member gains, each once. Raises NotAllowed naming the field."""
    gained = {ref.key: ref for ref in person.identifiers if ref.key not in known}
    if not new and person.telling is not Telling.SURE:
        addresses = [ref for ref in gained.values() if ref.kind in ADDRESSES]
        if addresses and person.telling is Telling.TILL:
            field = addresses[0].kind.name.lower()
            raise NotAllowed(f"a partner adds no {field} to a member: ask support", n, field)
        for ref in addresses:
            del gained[ref.key]
    return list(gained.values())


def _new_login(person: Enrolment, known: Mapping[tuple[int, int, str], int]) -> str | None:
    """The login that is joined by this, if it isn't a member's already."""
    for ref in person.identifiers:
        if ref.kind is IdentifierKind.LOGIN and ref.key not in known:
            return ref.value
    return None


def parse_birthday(text: str) -> int:
    """The month and the day of `04-23`, as a number: 423. Raises BadInput."""
    found = re.fullmatch(r"([0-9]{2})-([0-9]{2})", text)
    try:
        day = date(2000, int(found[1]), int(found[2])) if found else None  # a leap year
    except ValueError:
        day = None
    if day is None:
        raise BadInput("a birthday is month and day, such as 04-23", "birthday")
    return 100 * day.month + day.day


async def set_birthday(holder: int, birthday: int, *, anew: bool) -> None:
    """Set a member's birthday; raises WrongState where another is set, and it isn't set `anew`."""
    async with transaction() as connection:
        if not await store.set_birthday(connection, holder, birthday, anew=anew):
            raise WrongState("it is set already: an admin can set another", "birthday")
