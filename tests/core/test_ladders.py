"""Ladders of every policy on the real books, by figures that the field's systems document.

Silver from 60 and gold from 200 where nothing else is said; a star a dollar.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from core.bought import Returned
from core.check import prove
from core.errors import BadInput
from core.members import Enrolment, enrol
from core.posting import Engine
from core.programme import LadderSettings
from core.purchases import find_partner
from core.returning import record
from core.returns import check_cancel
from core.reviews import review_tiers
from core.store.ids import Ids
from laurels.errors import DeclarationError
from tests.core.clubs import (
    TICK,
    Move,
    ladder,
    member,
    moves,
    nights,
    open_club,
    rank,
    reopen,
    status,
    utc,
)
from tests.core.shop import earn
from tests.support import NEW_YORK, NOW, card, scalar


@pytest.mark.parametrize(
    ("late", "dated", "kept"),
    [
        ("10000.00", utc(2026, 12, 20), True),
        ("5000.00", utc(2026, 12, 31, 23, 59), True),
        ("4999.00", utc(2026, 12, 20), False),
        ("10000.00", utc(2027, 1, 1), False),
    ],
)
async def test_a_late_purchase_in_a_closed_year_keeps_the_tier_it_earned(
    database: str, late: str, dated: datetime, kept: bool
) -> None:
    """Siebel's example: 55,000 of 60,000, and 10,000 that come late; points still begin anew."""
    shop = await open_club(ladder("calendar 1Y", 60_000))
    holder = await member()
    await earn(shop, "R1", "60000.00", at=utc(2025, 6, 1), now=utc(2025, 6, 1))
    await earn(shop, "R2", "55000.00", at=utc(2026, 6, 1), now=utc(2026, 6, 1))
    await nights(shop, utc(2026, 12, 30), utc(2027, 1, 9))
    fallen = [(utc(2025, 6, 1), 0, 1), (utc(2027, 1, 1), 1, 0)]
    assert await moves(holder) == fallen
    now = utc(2027, 1, 10, 9)
    await earn(shop, "LATE", late, at=dated, now=now)
    found = await status(shop, holder, now)
    if kept:
        # Dated at the review that was wrong, booked now: visibly.
        assert await moves(holder) == [*fallen, (utc(2027, 1, 1), 0, 1)]
        assert await scalar("SELECT max(booked_at) FROM tier_change") == now
        assert (found.rank, found.value, found.since) == (1, 0, utc(2025, 6, 1))
        assert (found.until, found.keep_missing) == (utc(2028, 1, 1), 60_000)
    else:
        assert await moves(holder) == fallen
        assert (found.rank, found.since) == (0, utc(2027, 1, 1))
    assert await prove() == []


@pytest.mark.parametrize(
    ("policy", "falls"),
    [
        ({}, [(utc(2026, 7, 1), 2, 0)]),
        ({"grace": "10D_UM"}, [(utc(2026, 8, 1), 2, 0)]),
        ({"grace": "15D"}, [(utc(2026, 7, 16), 2, 0)]),
        ({"soft_landing": True}, [(utc(2026, 7, 1), 2, 1), (utc(2026, 10, 1), 1, 0)]),
        (
            {"soft_landing": True, "grace": "10D_UM"},
            [(utc(2026, 8, 1), 2, 1), (utc(2026, 11, 1), 1, 0)],
        ),
        ({"kept": [1]}, [(utc(2026, 7, 1), 2, 1)]),
        ({"kept": [2]}, []),
    ],
    ids=["many levels", "grace to the month's end", "grace", "soft", "soft, grace", "never below 1",
         "never down"],
)  # fmt: skip
@pytest.mark.parametrize("every", [1, 45])
async def test_gold_without_a_purchase_falls_as_the_policy_says(
    database: str, policy: dict[str, Any], falls: list[Move], every: int
) -> None:
    """Voucherify's cases, quarter by quarter; whether the review runs nightly or long after."""
    shop = await open_club(ladder("calendar 1Q", **policy))
    holder = await member()
    await earn(shop, "R1", "250.00", at=utc(2026, 2, 10, 8), now=utc(2026, 2, 10, 8))
    await nights(shop, utc(2026, 2, 11), utc(2026, 12, 27), every)
    assert await moves(holder) == [(utc(2026, 2, 10, 8), 0, 2), *falls]
    for n, (at, before, after) in enumerate(falls):
        assert await rank(shop, holder, at - TICK) == before
        found = await status(shop, holder, at)
        assert (found.rank, found.since) == (after, at)
        assert found.until == (falls[n + 1][0] if n + 1 < len(falls) else None)
    assert await prove() == []


async def test_who_reaches_the_tier_again_in_grace_keeps_it(database: str) -> None:
    shop = await open_club(ladder("calendar 1Q", grace="10D_UM"))
    holder = await member()
    await earn(shop, "R1", "250.00", at=utc(2026, 2, 10), now=utc(2026, 2, 10))
    await nights(shop, utc(2026, 6, 29), utc(2026, 7, 3))
    told = await status(shop, holder, utc(2026, 7, 5))
    assert (told.rank, told.value, told.keep_until) == (2, 0, utc(2026, 8, 1))
    assert (told.until, told.keep_missing, told.projected_rank) == (utc(2026, 8, 1), 200, 0)
    await earn(shop, "R2", "199.00", at=utc(2026, 7, 20), now=utc(2026, 7, 20))
    assert (await status(shop, holder, utc(2026, 7, 21))).keep_missing == 1
    await earn(shop, "R3", "1.00", at=utc(2026, 7, 31, 23), now=utc(2026, 7, 31, 23))
    await nights(shop, utc(2026, 8, 1), utc(2026, 8, 3))
    assert await moves(holder) == [(utc(2026, 2, 10), 0, 2)]
    # Carried by the third quarter, it is kept through the fourth and its grace.
    told = await status(shop, holder, utc(2026, 8, 3))
    assert (told.until, told.keep_until) == (utc(2027, 2, 1), utc(2027, 1, 1))
    assert (told.projected_at, told.projected_rank) == (utc(2026, 10, 1), 2)
    assert await prove() == []


async def test_a_rolling_rank_is_held_judged_and_held_again(database: str) -> None:
    shop = await open_club(ladder("30D", hold="3M"))
    holder = await member()
    at = utc(2026, 3, 10, 15)
    await earn(shop, "R1", "70.00", at=at, now=at)
    # The window let go of it on 9 April; the hold ends on 10 June, the review is that midnight.
    told = await status(shop, holder, utc(2026, 5, 1))
    assert (told.rank, told.value, told.since, told.until) == (1, 0, at, utc(2026, 6, 11))
    assert (told.keep_until, told.keep_missing) == (utc(2026, 6, 11), 60)
    assert (told.projected_at, told.projected_rank) == (utc(2026, 6, 11), 0)
    await earn(shop, "R2", "60.00", at=utc(2026, 6, 1), now=utc(2026, 6, 1))
    await nights(shop, utc(2026, 6, 10), utc(2026, 6, 12))
    assert await moves(holder) == [(at, 0, 1)]
    told = await status(shop, holder, utc(2026, 6, 12))
    assert (told.since, told.until) == (at, utc(2026, 9, 11))
    await nights(shop, utc(2026, 9, 9), utc(2026, 9, 12))
    assert await moves(holder) == [(at, 0, 1), (utc(2026, 9, 11), 1, 0)]
    assert await prove() == []


async def test_without_a_hold_the_window_takes_it(database: str) -> None:
    """The negative control of the one before."""
    shop = await open_club(ladder("30D"))
    holder = await member()
    await earn(shop, "R1", "70.00", at=utc(2026, 3, 10, 15), now=utc(2026, 3, 10, 15))
    await nights(shop, utc(2026, 4, 8), utc(2026, 4, 11))
    assert (await moves(holder))[1:] == [(utc(2026, 4, 10), 1, 0)]


async def test_an_anniversary_on_29_february_comes_back(database: str) -> None:
    """Years from 29 February begin on the 28th where there is no 29th, and on it where there is."""
    shop = await open_club(ladder("anniversary 12M", time_zone=NEW_YORK))
    holder = await member(utc(2024, 2, 29, 18))
    begins = [utc(2026, 2, 28, 5), utc(2027, 2, 28, 5), utc(2028, 2, 29, 5)]
    last_second = timedelta(seconds=1)
    for n, at in enumerate([begins[0] - last_second, begins[0], begins[1] - last_second]):
        await earn(shop, f"R{n}", "40.00", at=at, now=at)
    # One in the year before, two in this one: only these reach 60.
    assert await moves(holder) == [(begins[1] - last_second, 0, 1)]
    told = await status(shop, holder, begins[1])
    assert (told.value, told.projected_at, told.until) == (0, begins[2], begins[2])
    await review_tiers(shop, begins[2] - last_second)
    assert len(await moves(holder)) == 1
    await review_tiers(shop, begins[2])
    assert (await moves(holder))[1:] == [(begins[2], 1, 0)]
    assert await prove() == []


async def test_periods_reach_back_beyond_the_enrolment(database: str) -> None:
    shop = await open_club(ladder("anniversary 1M"))
    holder = await member(utc(2026, 3, 15, 12))
    await earn(shop, "R1", "70.00", at=utc(2025, 12, 15), now=NOW)
    await earn(shop, "R2", "1.00", at=utc(2025, 12, 14), now=NOW)
    await review_tiers(shop, NOW)
    assert await moves(holder) == [(utc(2025, 12, 15), 0, 1), (utc(2026, 2, 15), 1, 0)]
    assert await prove() == []


async def test_periods_and_holds_end_by_the_local_midnight_whatever_the_clocks_do(
    database: str,
) -> None:
    """New York is five hours behind in March's first week, four from the 8th on."""
    shop = await open_club(ladder("calendar 1M", time_zone=NEW_YORK))
    holder = await member()
    await earn(shop, "R1", "70.00", at=utc(2026, 2, 1, 5), now=NOW)
    await earn(shop, "R0", "70.00", at=utc(2026, 2, 1, 4, 59), now=NOW)
    told = await status(shop, holder, utc(2026, 2, 20))
    assert (told.value, told.projected_at) == (70, utc(2026, 3, 1, 5))
    await review_tiers(shop, utc(2026, 4, 1, 3, 59))
    # January's 70 came late, at its own time.
    assert await moves(holder) == [(utc(2026, 2, 1, 5), 0, 1)]
    await review_tiers(shop, utc(2026, 4, 1, 4))
    assert (await moves(holder))[1:] == [(utc(2026, 4, 1, 4), 1, 0)]
    assert await prove() == []


async def test_a_return_lowers_the_judgments_after_it_and_no_other(database: str) -> None:
    """Bought in December, brought back in January: December's judgment stands, the next doesn't."""
    for when, kept in ((utc(2027, 1, 10), True), (utc(2026, 12, 30), False)):
        shop = await open_club(ladder("calendar 1Y"))
        ((holder, _),) = await enrol(Ids(), [Enrolment([card(str(when))])], NOW)
        name = f"R{when.year}"
        await earn(shop, name, "70.00", str(when), at=utc(2026, 12, 1), now=utc(2026, 12, 1))
        outcome = await returned_whole(shop, name, when)
        assert outcome == []
        assert await rank(shop, holder, utc(2026, 12, 31, 23)) == 1
        await review_tiers(shop, utc(2027, 1, 11))
        assert await rank(shop, holder, utc(2027, 1, 11)) == (1 if kept else 0)
        await review_tiers(shop, utc(2028, 1, 1))
        falls = utc(2028, 1, 1) if kept else utc(2027, 1, 1)
        assert await moves(holder) == [(utc(2026, 12, 1), 0, 1), (falls, 1, 0)]
        assert await prove() == []


async def returned_whole(shop: Engine, purchase: str, at: datetime) -> list[Move]:
    """Bring a purchase back; the changes of rank that were announced for it."""
    unit = check_cancel(find_partner(shop.rulebook, "grocer"), purchase, at)
    (outcome,) = await record(shop, [unit], at)
    assert isinstance(outcome, Returned), outcome
    return [(m.at, m.before, m.after) for m in outcome.moves]


async def test_a_rolling_rank_outlives_a_return_until_midnight(database: str) -> None:
    shop = await open_club(ladder("30D"))
    holder = await member()
    await earn(shop, "R1", "70.00")
    assert await returned_whole(shop, "R1", NOW + timedelta(hours=2)) == []
    assert await rank(shop, holder, NOW + timedelta(hours=3)) == 1
    assert await rank(shop, holder, utc(2026, 3, 16)) == 0
    await review_tiers(shop, utc(2026, 3, 16))
    assert await moves(holder) == [(NOW, 0, 1), (utc(2026, 3, 16), 1, 0)]
    assert await prove() == []


async def test_a_return_told_late_is_judged_at_its_own_time(database: str) -> None:
    """Yesterday's return, told after a purchase of today: last midnight should have known."""
    shop = await open_club(ladder("30D"))
    holder = await member()
    await earn(shop, "R1", "70.00", at=NOW - timedelta(days=2), now=NOW - timedelta(days=2))
    await earn(shop, "R2", "5.00")
    assert await returned_whole(shop, "R1", NOW - timedelta(days=1)) == [(utc(2026, 3, 15), 1, 0)]
    assert await rank(shop, holder, NOW) == 0
    assert await prove() == []


@pytest.mark.parametrize(
    ("measure", "steps", "left"), [("visits", (2, 3), 2), ("spend:USD", (6000, 20_000), 10_000)]
)
async def test_visits_and_money_fall_with_what_comes_back(
    database: str, measure: str, steps: tuple[int, int], left: int
) -> None:
    shop = await open_club(ladder(None, *steps, measure=measure))
    holder = await member()
    for n in range(3):
        await earn(shop, f"R{n}", "50.00")
    before = await status(shop, holder, NOW)
    await returned_whole(shop, "R0", NOW + timedelta(hours=1))
    after = await status(shop, holder, utc(2026, 3, 16))
    assert (before.value, after.value) == (left * 3 // 2, left)
    assert (before.rank, after.rank) == ((2, 1) if measure == "visits" else (1, 1))
    assert await prove() == []


async def test_only_what_is_due_is_reviewed(database: str) -> None:
    shop = await open_club(ladder("30D"))
    await member()
    await earn(shop, "R1", "70.00", at=utc(2026, 3, 10, 15), now=utc(2026, 3, 10, 15))
    looked: list[int] = []
    for at, expected in (
        (utc(2026, 3, 10, 23), []),  # climbed today: the next midnight looks once
        (utc(2026, 3, 11), [1]),
        (utc(2026, 3, 12), []),
        (utc(2026, 4, 9, 23), []),
        (utc(2026, 4, 10), [1]),
        (utc(2026, 4, 11), []),
    ):
        looked.clear()
        await review_tiers(shop, at, looked.append)
        assert looked == expected, at
    assert await prove() == []


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (ladder("30D"), ladder("12M"), [(0, 1)]),
        (ladder("12M"), ladder("30D"), [(1, 0)]),
        (ladder("12M"), ladder("calendar 1Y"), []),
        (ladder("30D"), ladder("30D", hold="12M"), [(0, 1)]),
        (ladder("12M"), ladder("12M", 100, 200), [(1, 0)]),
        (ladder("12M"), ladder("12M", 30, 65), [(1, 2)]),
        (ladder("12M"), ladder("12M", time_zone=NEW_YORK), []),
    ],
    ids=["longer", "shorter", "a year's", "a hold", "harder", "easier", "zone"],
)
@pytest.mark.parametrize("by", ["review", "purchase"])
async def test_terms_that_change_have_everybody_measured_anew(
    database: str, before: LadderSettings, after: LadderSettings,
    expected: list[tuple[int, int]], by: str,
) -> None:  # fmt: skip
    shop = await open_club(before)
    holder = await member()
    now = utc(2026, 6, 1, 9)
    await earn(shop, "R1", "70.00", at=utc(2026, 3, 1), now=utc(2026, 3, 1))
    await review_tiers(shop, now)
    known = await moves(holder)
    shop = await reopen(after)
    held = await rank(shop, holder, now)
    assert await prove() == []
    if by == "review":
        seen: list[int] = []
        await review_tiers(shop, now, seen.append)
        assert seen == [1]
    else:
        await earn(shop, "R2", "1.00", at=now, now=now)
    added = [(a, b) for _, a, b in (await moves(holder))[len(known) :]]
    assert added == expected
    assert all(at == now for at, _, _ in (await moves(holder))[len(known) :])
    assert await rank(shop, holder, now) == held
    assert await scalar("SELECT max(terms) FROM standing") == 2
    assert await prove() == []
    seen = []
    await review_tiers(shop, now, seen.append)
    assert seen == []


async def test_words_alone_change_no_version(database: str) -> None:
    await open_club(ladder("12M"))
    await reopen(ladder("12M", name="The Club"))
    assert await scalar("SELECT version FROM ladder WHERE code = 'club'") == 1


async def test_another_measure_needs_another_ladder(database: str) -> None:
    shop = await open_club(ladder("12M"))
    await reopen(ladder("12M", measure="visits"))  # nothing was counted yet
    shop = await reopen(ladder("12M"))
    await member()
    await earn(shop, "R1", "70.00")
    with pytest.raises(BadInput, match="has counted earned:STAR so far"):
        await reopen(ladder("12M", measure="visits"))


@pytest.mark.parametrize(
    ("window", "policy", "problem"),
    [
        ("calendar 1Y", {"hold": "12M"}, "hold: only where the window rolls"),
        ("anniversary 12M", {"hold": "12M"}, "hold: only where the window rolls"),
        (None, {"hold": "12M"}, "hold: only where the window rolls"),
        ("12M", {"hold": "soon"}, "hold: 'soon' is no duration"),
        ("12M", {"grace": "0D"}, "grace: '0D' is no duration"),
        ("calendar 5M", {}, "a calendar window divides the year"),
        ("calendar 7D", {}, "a calendar window divides the year"),
        ("anniversary 12h", {}, "counted in days or longer"),
        ("monthly 1M", {}, "'monthly 1M' is no window"),
        ("12M_U", {}, "a window isn't rounded"),
    ],
)
def test_policies_that_make_no_sense_are_refused(
    window: str | None, policy: dict[str, Any], problem: str
) -> None:
    with pytest.raises(DeclarationError, match=f"ladder club: .*{problem}"):
        ladder(window, **policy).declared()
