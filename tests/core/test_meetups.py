"""Meetups: never more members than places, one check-in each, and nobody's points lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

import core.erasing
from core.attending import CheckInRequest, check_in, occasion_of
from core.check import prove
from core.check_in_codes import CheckInCodes
from core.erasing import EraseRequest, erase
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotAllowed,
    NotEligible,
    UnknownReference,
    WrongState,
)
from core.meetups import MeetupRequest, Registered, cancel, create, give_up, register
from core.occasions import tell
from core.posting import Engine
from core.purchases import find_partner
from core.rulebook import PartnerTerms
from core.signing import Secrets
from laurels import Activity, Effects, Facts, PointsPerVisit, award, earn_rule, on
from tests.core.club import all_at_once, balance, forge, open_club, waiting
from tests.support import DAY, NOW, blocked, books, enrol_cards, scalar

pytestmark = pytest.mark.asyncio

ATTEND = on("attended", PointsPerVisit("POINT", 100, code="come", title="A hundred for coming"))
CODES = CheckInCodes(Secrets("a secret of these tests, long enough"))
HERE = (40.0, -105.0)
WALK = MeetupRequest(
    "walk", "A walk", "The gate", *HERE, 200, NOW, NOW + timedelta(hours=3), tags=["ridge"]
)
PLACES = "places taken = registrations"
THERE = "who was there = what rules are told"


async def opened(*rules: Any, **terms: Any) -> tuple[Engine, PartnerTerms]:
    """The club with a walk that begins now."""
    engine = await open_club(*(rules or (ATTEND,)))
    club = find_partner(engine.rulebook, "club")
    await create(engine, club, replace(WALK, **terms), NOW - DAY)
    return engine, club


async def code_of(club: PartnerTerms, holder: int, at: datetime = NOW) -> str:
    """What the member's app shows."""
    number = await scalar("SELECT id FROM meetup WHERE code = 'walk'")
    return CODES.make(number, club.pseudonyms.of(holder), at).text


async def scanned(
    engine: Engine, club: PartnerTerms, code: str, now: datetime = NOW, **more: Any
) -> Registered:
    """A steward scans it, at the gate unless told otherwise."""
    given = {"latitude": HERE[0], "longitude": HERE[1], **more}
    return await check_in(engine, CODES, CheckInRequest(club, code, **given), now)


# -- places --------------------------------------------------------------------------------------


async def test_sixteen_at_once_for_five_places_are_five(wide: str) -> None:
    engine, club = await opened(capacity=5)
    holders = await enrol_cards([str(n) for n in range(16)])
    found = await all_at_once(*(register(engine, h, club, "walk", NOW) for h in holders))
    assert Counter(type(x) for x in found) == {Registered: 5, NotEligible: 11}
    assert await scalar("SELECT taken FROM meetup") == 5
    assert await scalar("SELECT count(*) FROM registration") == 5
    assert await prove() == []
    with pytest.raises(asyncpg.CheckViolationError):  # by the database alone, too
        await forge(wide, "UPDATE meetup SET taken = 6")
    with pytest.raises(asyncpg.CheckViolationError):
        await forge(wide, "UPDATE meetup SET taken = -1")


async def test_one_member_sixteen_times_at_once_takes_one_place(wide: str) -> None:
    engine, club = await opened(capacity=5)
    [ada] = await enrol_cards(["1"])
    found = await all_at_once(*(register(engine, ada, club, "walk", NOW) for _ in range(16)))
    assert Counter(x.replayed for x in found) == {True: 15, False: 1}
    assert await scalar("SELECT taken FROM meetup") == 1
    # And gives up one, however often; then the place is free for another.
    found = await all_at_once(*(give_up(ada, club, "walk", NOW) for _ in range(16)))
    assert Counter(x.replayed for x in found) == {True: 15, False: 1}
    assert await scalar("SELECT taken FROM meetup") == 0
    assert not (await register(engine, ada, club, "walk", NOW)).replayed
    assert await prove() == []


async def test_places_given_up_and_taken_at_once_add_up(wide: str) -> None:
    engine, club = await opened(capacity=4)
    holders = await enrol_cards([str(n) for n in range(8)])
    for holder in holders[:4]:
        await register(engine, holder, club, "walk", NOW)
    await all_at_once(
        *(give_up(h, club, "walk", NOW) for h in holders[:4]),
        *(register(engine, h, club, "walk", NOW) for h in holders[4:]),
        cancel(club, "walk", NOW),
    )
    assert await scalar("SELECT cancelled_at FROM meetup") == NOW
    assert await prove() == []
    with pytest.raises(WrongState):
        await register(engine, holders[0], club, "walk", NOW)


async def test_made_by_eight_at_once_it_is_one_and_with_other_content_refused(
    database: str,
) -> None:
    engine = await open_club(ATTEND)
    club = find_partner(engine.rulebook, "club")
    found = await all_at_once(*(create(engine, club, WALK, NOW) for _ in range(8)))
    assert Counter(x.replayed for x in found) == {True: 7, False: 1}
    assert len({x.meetup.id for x in found}) == 1
    others: list[dict[str, Any]] = [
        {"capacity": 3}, {"tags": []}, {"radius": 201}, {"title": "Another"},
    ]  # fmt: skip
    for other in others:
        with pytest.raises(IdempotencyConflict):
            await create(engine, club, replace(WALK, **other), NOW)
    # Known before, it is answered even when it would be too late to make it.
    assert (await create(engine, club, WALK, NOW + DAY)).replayed
    with pytest.raises(BadInput):
        await create(engine, club, replace(WALK, code="late"), NOW + DAY)
    assert await scalar("SELECT count(*) FROM meetup") == 1


@pytest.mark.parametrize(
    ("terms", "path"),
    [
        ({"code": "no spaces"}, ("code",)),
        ({"title": ""}, ("title",)),
        ({"place": "x" * 201}, ("place", "name")),
        ({"place": "\0"}, ("place", "name")),
        ({"latitude": 91.0}, ("place", "latitude")),
        ({"radius": 0}, ("place", "radius")),
        ({"ends_at": NOW}, ("endsAt",)),
        ({"ends_at": NOW + timedelta(days=31, microseconds=1)}, ("endsAt",)),
        ({"opens_at": NOW + timedelta(seconds=1)}, ("checkInFrom",)),
        ({"capacity": 0}, ("capacity",)),
        ({"capacity": 2**31}, ("capacity",)),
        ({"tier": ("none", "gold")}, ("tier",)),
        ({"all_from": NOW}, ("openToAllAt",)),
        ({"tags": ["a", "a"]}, ("tags",)),
        ({"tags": [f"t{n}" for n in range(21)]}, ("tags",)),
        ({"tags": ["x" * 61]}, ("tags",)),  # with its prefix it is no attribute's name
    ],
)
async def test_what_is_wrong_with_a_meetup_is_named(
    database: str, terms: dict[str, Any], path: tuple[str, ...]
) -> None:
    engine = await open_club(ATTEND)
    with pytest.raises(BadInput) as refused:
        await create(
            engine, find_partner(engine.rulebook, "club"), replace(WALK, **terms), NOW - DAY
        )
    assert refused.value.path == path
    assert await scalar("SELECT count(*) FROM meetup") == 0


async def test_who_go_at_once_free_their_places_and_wait_in_no_circle(wide: str) -> None:
    """All were registered for the same meetups, each in an order of its own."""
    engine, club = await opened()
    codes = ["walk", "a", "b", "c", "d", "e"]
    for code in codes[1:]:
        await create(engine, club, replace(WALK, code=code), NOW - DAY)
    holders = await enrol_cards([str(n) for n in range(12)])
    for n, holder in enumerate(holders):
        for code in [*codes[n % 6 :], *codes[: n % 6]][:: 1 - n % 2 * 2]:
            await register(engine, holder, club, code, NOW)
    gone = [EraseRequest("me", f"k{h}", h, "asked") for h in holders]
    await all_at_once(*(erase(engine, one, NOW) for one in gone))
    assert (await scalar("SELECT sum(taken) FROM meetup"), await prove()) == (0, [])


@pytest.mark.parametrize("tries", [1, core.erasing._TRIES])
async def test_who_waits_in_a_circle_goes_all_the_same(
    database: str, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    """The one that closes the circle looks for it first, so that it is the one that is refused.

    The control tries once, and is told so: there is a circle.
    """
    monkeypatch.setattr(core.erasing, "_TRIES", tries)
    engine, club = await opened()
    await create(engine, club, replace(WALK, code="late"), NOW - DAY)
    [ada] = await enrol_cards(["1"])
    for code in ("walk", "late"):
        await register(engine, ada, club, code, NOW)

    walk, late = (("SELECT FROM meetup WHERE code = $1 FOR UPDATE", c) for c in ("walk", "late"))
    gate, other = [await asyncpg.connect(database) for _ in range(2)]
    try:
        async with other.transaction():
            await other.execute("SET LOCAL deadlock_timeout = '1min'")
            await other.execute(*late)
            async with gate.transaction():
                await gate.execute(*walk)
                request = EraseRequest("me", "k", ada, "asked")
                going = asyncio.create_task(erase(engine, request, NOW))
                await blocked(1, going)
                asking = asyncio.create_task(other.execute(*walk))
                await blocked(2, going)
            await asking
    finally:
        await asyncio.gather(gate.close(), other.close())
    with pytest.raises(WrongState) if tries == 1 else nullcontext():
        assert not (await going).replayed
    assert await prove() == []


# -- check-in ------------------------------------------------------------------------------------


async def test_one_code_sixteen_times_at_once_checks_in_once(wide: str) -> None:
    engine, club = await opened()
    [ada] = await enrol_cards(["1"])
    await register(engine, ada, club, "walk", NOW)
    code = await code_of(club, ada)
    found = await all_at_once(*(scanned(engine, club, code) for _ in range(16)))
    assert Counter(x.replayed for x in found) == {True: 15, False: 1}
    assert await balance() == 100
    [event] = (await books(["event"]))["event"]
    assert event["external_id"] == occasion_of(found[0].registration.meetup, ada)
    assert await prove() == []


async def test_two_codes_of_one_member_at_once_check_in_once(wide: str) -> None:
    engine, club = await opened()
    [ada] = await enrol_cards(["1"])
    await register(engine, ada, club, "walk", NOW)
    codes = [await code_of(club, ada, NOW + n * timedelta(minutes=1)) for n in (0, 1)]
    then = NOW + timedelta(minutes=1)
    found = await all_at_once(*(scanned(engine, club, c, then) for c in codes for _ in range(4)))
    kinds = Counter(type(x) for x in found)
    assert kinds == {Registered: 4, WrongState: 4}
    assert await balance() == 100
    assert await prove() == []


async def test_what_a_rule_fails_on_is_told_again_and_nobodys_points_are_lost(
    database: str,
) -> None:
    broken = [True]

    @earn_rule("come", "A hundred for coming", on="attended")
    def come(activity: Activity, facts: Facts) -> Effects:
        if broken[0]:
            raise ValueError("not today")
        return award("POINT", 100) if activity.attributes == TOLD else None

    engine, club = await opened(come)
    [ada] = await enrol_cards(["1"])
    await register(engine, ada, club, "walk", NOW)
    done = await scanned(engine, club, await code_of(club, ada))
    assert not done.replayed
    name = occasion_of(done.registration.meetup, ada)
    [(kept, attempts, problem)] = await waiting()
    assert (kept, attempts) == (name, 1)
    assert "not today" in problem
    assert (await balance(), await prove()) == (0, [])
    broken[0] = False
    assert await tell(engine, NOW + timedelta(hours=1)) == 1
    assert await tell(engine, NOW + timedelta(hours=1)) == 0
    assert (await balance(), await waiting(), await prove()) == (100, [], [])


TOLD = {"meetup": "walk", "tag-ridge": True}


async def test_whoever_is_told_later_was_there_when_it_says(database: str) -> None:
    """A steward without a network: the code must have been good when it was scanned."""
    engine, club = await opened()
    ada, ben = await enrol_cards(["1", "2"])
    for holder in (ada, ben):
        await register(engine, holder, club, "walk", NOW)
    later, code = NOW + timedelta(hours=5), await code_of(club, ada)
    with pytest.raises(NotEligible):  # as if it were scanned now
        await scanned(engine, club, code, later)
    done = await scanned(engine, club, code, later, at=NOW)
    assert done.registration.attended_at == NOW
    assert await scalar("SELECT occurred_at FROM event") == NOW
    other = await code_of(club, ben)
    for at in (NOW + timedelta(minutes=2), NOW - timedelta(minutes=1)):
        with pytest.raises(NotEligible):
            await scanned(engine, club, other, later, at=at)
    for now, at in ((NOW, NOW + timedelta(minutes=6)), (NOW + club.late + 2 * DAY, NOW)):
        with pytest.raises(NotAllowed):
            await scanned(engine, club, other, now, at=at)
    # A clock that is a little ahead means now.
    ahead = await scanned(engine, club, other, NOW, at=NOW + timedelta(seconds=50))
    assert ahead.registration.attended_at == NOW
    assert await prove() == []


@pytest.mark.parametrize(
    ("north", "in_time"), [(0.0017, True), (0.0018, True), (0.0019, False), (1.0, False)]
)
async def test_it_is_near_enough_or_it_is_not(database: str, north: float, in_time: bool) -> None:
    """A degree of latitude is 111.195 km: 0.0018 of it are 200.15 m, here of 201 allowed."""
    engine, club = await opened(radius=201)
    [ada] = await enrol_cards(["1"])
    await register(engine, ada, club, "walk", NOW)
    code = await code_of(club, ada)
    if in_time:
        await scanned(engine, club, code, latitude=HERE[0] + north)
    else:
        with pytest.raises(NotEligible) as refused:
            await scanned(engine, club, code, latitude=HERE[0] + north)
        assert refused.value.path == ("latitude",)
    assert await balance() == (100 if in_time else 0)


async def test_a_code_is_of_its_member_its_meetup_and_its_partner(database: str) -> None:
    engine, club = await opened()
    ada, ben = await enrol_cards(["1", "2"])
    await register(engine, ada, club, "walk", NOW)
    with pytest.raises(UnknownReference):  # nobody who isn't registered
        await scanned(engine, club, await code_of(club, ben))
    for name in (club.pseudonyms.of(999), "AbCdEfGhIjKlMnOpQrStUv"):
        with pytest.raises(UnknownReference):
            await scanned(engine, club, CODES.make(1, name, NOW).text)
    with pytest.raises(BadInput):
        await scanned(engine, club, "none")
    await give_up(ada, club, "walk", NOW)
    with pytest.raises(WrongState):
        await scanned(engine, club, await code_of(club, ada))
    assert await scalar("SELECT count(*) FROM event") == 0
    assert await waiting() == []


async def test_out_of_its_time_nobody_checks_in_and_afterwards_nobody_gives_up(
    database: str,
) -> None:
    """From half an hour before until the end, which is out."""
    engine, club = await opened()
    ada, ben = await enrol_cards(["1", "2"])
    for holder in (ada, ben):
        await register(engine, holder, club, "walk", NOW - DAY)
    first, end, tick = NOW - timedelta(minutes=30), WALK.ends_at, timedelta(microseconds=1)
    for at in (first - tick, end):
        with pytest.raises(NotEligible) as refused:
            await scanned(engine, club, await code_of(club, ada, at), at)
        assert refused.value.path == ("at",)
    await scanned(engine, club, await code_of(club, ada, first), first)
    await scanned(engine, club, await code_of(club, ben, end - tick), end - tick)
    cleo, *_ = await enrol_cards(["3"])
    await register(engine, cleo, club, "walk", NOW)
    for holder, at in ((ada, NOW), (cleo, end)):
        with pytest.raises(WrongState):
            await give_up(holder, club, "walk", at)
    for late in (register(engine, 1, club, "walk", end), cancel(club, "walk", end)):
        with pytest.raises(WrongState):
            await late
    assert await scalar("SELECT taken FROM meetup") == 3


async def test_a_code_for_a_meetup_that_is_anothers_checks_nobody_in(database: str) -> None:
    engine, club = await opened()
    [ada] = await enrol_cards(["1"])
    await register(engine, ada, club, "walk", NOW)
    await forge(database, "UPDATE meetup SET partner_id = 999")
    with pytest.raises(UnknownReference):
        await scanned(engine, club, await code_of(club, ada))
    assert await waiting() == []


# -- what the check sees -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("UPDATE meetup SET taken = taken + 1", PLACES),
        ("DELETE FROM registration", PLACES),
        ("UPDATE registration SET cancelled_at = at, attended_at = NULL, code = NULL", PLACES),
        ("UPDATE registration SET attended_at = attended_at + interval '1 s'", THERE),
        ("UPDATE event SET external_id = 'x'", THERE),
    ],
)
async def test_the_check_finds_what_was_forged(database: str, fault: str, check: str) -> None:
    engine, club = await opened()
    [ada] = await enrol_cards(["1"])
    await register(engine, ada, club, "walk", NOW)
    await scanned(engine, club, await code_of(club, ada))
    assert await prove() == []
    await forge(database, fault)
    assert check in {finding.check for finding in await prove()}
