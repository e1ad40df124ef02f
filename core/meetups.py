"""Meetups: what a partner invites members to, with a place, a time and room for so many.

Made once by the partner's own code; who is registered has a place, never more than there are. A
meetup may be for a tier, or for that tier first. Knows nothing of how one checks in
(`core.attending`), nor of points.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from core.db import Connection, reading, transaction
from core.eligibility import rank_needed
from core.errors import BadInput, IdempotencyConflict, NotEligible, UnknownReference, WrongState
from core.places import Point, check_point
from core.posting import Engine
from core.purchases import check_text
from core.rulebook import PartnerTerms
from core.standings import standings
from core.store import meetups as store
from core.store.meetups import MeetupRow, RegistrationRow
from core.store.posting import lock_holders
from laurels.collecting import TAG
from laurels.errors import DeclarationError, check_code

#: So long before the start check-in opens, unless a meetup says otherwise.
EARLY = timedelta(minutes=30)
LONGEST = timedelta(days=store.LONGEST)
MOST_PLACES, LONGEST_RADIUS = 1_000_000, 100_000


@dataclass(frozen=True, slots=True)
class MeetupRequest:
    """A meetup to make. `opens_at` None: half an hour before the start.

    `tier` (ladder, tier) is needed to register: until `all_from`, or for good. `capacity` None: for
    any number.
    """

    code: str
    title: str
    place: str
    latitude: float
    longitude: float
    radius: int
    starts_at: datetime
    ends_at: datetime
    opens_at: datetime | None = None
    capacity: int | None = None
    tier: tuple[str, str] | None = None
    all_from: datetime | None = None
    tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A meetup as it stands; `replayed` where it stood so before."""

    meetup: MeetupRow
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration as it stands; `replayed` where it stood so before."""

    registration: RegistrationRow
    replayed: bool = False


async def create(
    engine: Engine, partner: PartnerTerms, request: MeetupRequest, now: datetime
) -> Made:
    """Make a meetup. Raises BadInput, UnknownReference, IdempotencyConflict."""
    row = _row(engine, partner, request, now)
    (number,) = await engine.ids.take(1)
    async with transaction() as connection:
        before = await store.find(connection, partner.id, row.code)
        if before is None and row.ends_at <= now:
            raise BadInput("it would be over already", "endsAt")
        found = before or await store.add(connection, row._replace(id=number))
    if found.content_hash != row.content_hash:
        raise IdempotencyConflict(f"meetup {row.code} was made before with other content", "code")
    return Made(found, replayed=found.id != number)


def _row(engine: Engine, partner: PartnerTerms, request: MeetupRequest, now: datetime) -> MeetupRow:
    """What is to be stored, checked field by field; its id is still to come."""
    try:
        check_code("meetup", request.code)
    except DeclarationError as error:
        raise BadInput(str(error), "code") from None
    check_text(request.title, "title", 200, least=1)
    _check_place(request)
    point = check_point(request.latitude, request.longitude, "place")
    starts, ends = request.starts_at.astimezone(UTC), request.ends_at.astimezone(UTC)
    opens = starts - EARLY if request.opens_at is None else request.opens_at.astimezone(UTC)
    if not starts < ends <= starts + LONGEST:
        raise BadInput(f"a meetup ends after it starts, within {LONGEST.days} days", "endsAt")
    if opens > starts:
        raise BadInput("check-in opens before the start, or with it", "checkInFrom")
    if request.capacity is not None and not 1 <= request.capacity <= MOST_PLACES:
        raise BadInput(f"there is room for 1 to {MOST_PLACES}", "capacity")
    ladder, tier, all_from = _tier(engine, partner, request)
    tags = _tags(request.tags)
    content = [
        request.title, request.place, *point, request.radius, starts, ends, opens,
        request.capacity, ladder, tier, all_from, tags,
    ]  # fmt: skip
    digest = hashlib.blake2b(orjson.dumps(content), digest_size=16).digest()
    return MeetupRow(
        0, partner.id, request.code, request.title, request.place, *point, request.radius, starts,
        ends, opens, request.capacity, ladder, tier, all_from, tags, digest, now,
    )  # fmt: skip


def _check_place(request: MeetupRequest) -> None:
    try:
        check_text(request.place, "name", 200, least=1)
    except BadInput as error:
        raise error.under("place") from None
    if not 1 <= request.radius <= LONGEST_RADIUS:
        raise BadInput(f"a radius is 1 to {LONGEST_RADIUS} metres", "place", "radius")


def _tier(
    engine: Engine, partner: PartnerTerms, request: MeetupRequest
) -> tuple[str | None, str | None, datetime | None]:
    """The ladder and tier needed, and from when on none is."""
    if request.tier is None:
        if request.all_from is not None:
            raise BadInput("it is for all anyhow: no tier is named", "openToAllAt")
        return None, None, None
    ladder, tier = request.tier
    check_text(ladder, "ladder", 64)
    check_text(tier, "tier", 64)
    seen = {x.ladder.code for x in engine.rulebook.ladders_of(partner)}
    if ladder not in seen or not rank_needed(engine.rulebook, ladder, tier)[0]:
        raise UnknownReference("there is no such tier that this partner may use", "tier")
    return ladder, tier, None if request.all_from is None else request.all_from.astimezone(UTC)


def _tags(given: Sequence[str]) -> list[str]:
    tags = sorted(set(given))
    if len(tags) != len(given) or len(tags) > store.MOST_TAGS:
        raise BadInput(f"at most {store.MOST_TAGS} tags, each once", "tags")
    for tag in tags:
        try:
            check_code("tag", f"{TAG}{tag}")  # under this name rules find it
        except DeclarationError as error:
            raise BadInput(str(error), "tags") from None
    return tags


async def cancel(partner: PartnerTerms, code: str, now: datetime) -> Made:
    """A meetup doesn't take place. Raises UnknownReference; WrongState once it is over."""
    async with transaction() as connection:
        found = await _found(connection, partner, code, "code")
        if found.cancelled_at is not None:
            return Made(found, replayed=True)
        if found.ends_at <= now:
            raise WrongState(f"meetup {found.code} is over", "code")
        await store.cancel(connection, found.id, now)
        return Made(await _found(connection, partner, code, "code"))


async def register(
    engine: Engine, holder: int, partner: PartnerTerms, code: str, now: datetime
) -> Registered:
    """Give a member a place. Who has one keeps it.

    Raises UnknownReference; NotEligible where it is full, or for a tier; WrongState where it is
    cancelled or over.
    """
    async with reading() as connection:
        meetup = await _found(connection, partner, code, "meetup")
        known = await store.registration(connection, holder, meetup.id)
    if known is None or known.cancelled_at is not None:
        await _check_tier(engine, holder, meetup, now)
    async with transaction() as connection:
        living = await lock_holders(connection, [holder], living=True)
        # Once more, for of two at once the second waited.
        known = await store.registration(connection, holder, meetup.id)
        if known is not None and known.cancelled_at is None:
            return Registered(known, replayed=True)
        if now >= meetup.ends_at:
            raise WrongState(f"meetup {meetup.code} is over", "meetup")
        if not living:
            raise UnknownReference("no such member", "member")
        row = RegistrationRow(holder, meetup.id, partner.id, now)
        await store.keep(connection, row)
        # Last: others wait for it.
        if not await store.take_place(connection, meetup.id):
            await _refuse(connection, meetup)
        return Registered(row)


async def _refuse(connection: Connection, meetup: MeetupRow) -> None:
    found = await store.held(connection, meetup.id)
    if found is not None and found.cancelled_at is not None:
        raise WrongState(f"meetup {meetup.code} is cancelled", "meetup")
    raise NotEligible(f"all {meetup.capacity} places are taken", "meetup")


async def _check_tier(engine: Engine, holder: int, meetup: MeetupRow, now: datetime) -> None:
    if meetup.ladder is None or meetup.tier is None:
        return
    if meetup.all_from is not None and now >= meetup.all_from:
        return
    ladder, rank, name = rank_needed(engine.rulebook, meetup.ladder, meetup.tier)
    status = (await standings(engine, [holder], now))[holder]
    if max((s.rank for s in status if s.ladder.id == ladder), default=0) < rank:
        until = "" if meetup.all_from is None else f" until {meetup.all_from.isoformat()}"
        raise NotEligible(f"for tier {name} and above{until}", "meetup")


async def give_up(holder: int, partner: PartnerTerms, code: str, now: datetime) -> Registered:
    """Cancel a registration: its place is free again.

    Raises UnknownReference; WrongState for who was there, and once it is over.
    """
    async with transaction() as connection:
        await lock_holders(connection, [holder])
        meetup = await _found(connection, partner, code, "meetup")
        known = await store.registration(connection, holder, meetup.id)
        if known is None:
            raise UnknownReference("there is no such registration", "meetup")
        if known.cancelled_at is not None:
            return Registered(known, replayed=True)
        if known.attended_at is not None or meetup.ends_at <= now:
            raise WrongState("who was there, or might have been, keeps its place", "meetup")
        row = known._replace(cancelled_at=now)
        await store.keep(connection, row)
        await store.free_place(connection, meetup.id)
        return Registered(row)


async def _found(connection: Connection, partner: PartnerTerms, code: str, field: str) -> MeetupRow:
    found = await store.find(connection, partner.id, check_text(code, field, 1000))
    if found is None:
        raise UnknownReference(f"{partner.code} has no meetup '{code[:64]}'", field)
    return found


def place_of(meetup: MeetupRow) -> Point:
    """Where it is."""
    return Point(meetup.latitude, meetup.longitude)
