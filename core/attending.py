"""Checking in at a meetup: with a fresh code of one's own, in its time, at its place, once.

In the same transaction rules are to be told of it as of any occasion (`core.occasions`), so that
nobody was there whose points are lost. Knows nothing of what attending earns.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from core.check_in_codes import CheckInCodes, Scanned
from core.db import transaction
from core.entries import AHEAD
from core.errors import BadInput, NotAllowed, NotEligible, UnknownReference, WrongState
from core.meetups import Registered, place_of
from core.noted import Occasion
from core.occasions import follow
from core.places import Point, check_point, metres_between
from core.posting import Engine
from core.rulebook import PartnerTerms
from core.store import attributes
from core.store import meetups as store
from core.store.meetups import MeetupRow, RegistrationRow
from core.store.posting import lock_holders
from laurels.activities import ATTENDED, Value
from laurels.collecting import MEETUP, TAG


@dataclass(frozen=True, slots=True)
class CheckInRequest:
    """A code that was scanned at a place. `at` None: now; before it: told later."""

    partner: PartnerTerms
    code: str
    latitude: float
    longitude: float
    at: datetime | None = None


def occasion_of(meetup: int, holder: int) -> str:
    """By what name rules are told that a member was there."""
    return f"{MEETUP}:{meetup}:{holder}"


def is_open(meetup: MeetupRow, at: datetime) -> bool:
    """Whether one may check in: from `opens_at` (inclusive) until `ends_at` (exclusive)."""
    return meetup.opens_at <= at < meetup.ends_at


async def check_in(
    engine: Engine, codes: CheckInCodes, request: CheckInRequest, now: datetime
) -> Registered:
    """Note that a member is there, and tell rules. The same call again answers as the first did.

    Raises BadInput for what is no code, or no point; UnknownReference for another partner's code;
    NotAllowed for a time too long ago, or ahead; NotEligible for a code that is too old, at another
    time or place; WrongState for who checked in before, or isn't registered.
    """
    point = check_point(request.latitude, request.longitude)
    at = _when(request, now)
    scanned = codes.read(request.code)
    if scanned is None:
        raise BadInput("this is no check-in code of ours", "code")
    holder = request.partner.pseudonyms.holder(scanned.name)
    if holder is None:
        raise UnknownReference("this code is for another partner's meetup", "code")
    async with transaction() as connection:
        await lock_holders(connection, [holder])
        meetup = await store.held(connection, scanned.meetup)
        row = await store.registration(connection, holder, scanned.meetup)
        if meetup is None or row is None or meetup.partner != request.partner.id:
            raise UnknownReference("this code is for another partner's meetup", "code")
        if row.attended_at is not None:
            if row.code == scanned.digest:
                return Registered(row, replayed=True)
            raise WrongState(f"checked in already, at {row.attended_at.isoformat()}", "code")
        _check(meetup, row, scanned, point, at)
        row = row._replace(attended_at=at, code=scanned.digest)
        await store.keep(connection, row)
        await attributes.occur(connection, [_occasion(meetup, holder, at)], now)
    await follow(engine, now, [holder])
    return Registered(row)


def _when(request: CheckInRequest, now: datetime) -> datetime:
    at = now if request.at is None else request.at.astimezone(UTC)
    if at > now + AHEAD:
        raise NotAllowed("it lies more than five minutes ahead of our clock", "at")
    if at < now - request.partner.late:
        days = request.partner.late.days
        raise NotAllowed(f"'{request.partner.code}' may tell up to {days} days late", "at")
    return min(at, now)  # a steward's clock that is a little ahead


def _check(
    meetup: MeetupRow, row: RegistrationRow, scanned: Scanned, point: Point, at: datetime
) -> None:
    """Raise unless the member may check in by this code, here and at this instant."""
    if meetup.cancelled_at is not None:
        raise WrongState(f"meetup {meetup.code} is cancelled", "code")
    if row.cancelled_at is not None:
        raise WrongState("the registration was cancelled", "code")
    if not scanned.fresh(at):
        raise NotEligible("this code has run out: the member's app shows a fresh one", "code")
    if not is_open(meetup, at):
        first, last = meetup.opens_at.isoformat(), meetup.ends_at.isoformat()
        raise NotEligible(f"check-in is open from {first} until {last}", "at")
    metres = metres_between(place_of(meetup), point)
    if metres > meetup.radius:
        raise NotEligible(
            f"{metres:.0f} m from {meetup.place}: at most {meetup.radius} m are allowed", "latitude"
        )


def _occasion(meetup: MeetupRow, holder: int, at: datetime) -> Occasion:
    told: dict[str, Value] = {MEETUP: meetup.code, **{f"{TAG}{tag}": True for tag in meetup.tags}}
    return Occasion(
        meetup.partner, occasion_of(meetup.id, holder), holder, ATTENDED, told, at
    )  # fmt: skip
