"""The programme's statistics: figures worked out by hand, and the trial balance as a witness."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import asyncpg
import pytest

from core.adjustments import AdjustRequest, adjust
from core.entries import Account
from core.errors import BadInput
from core.nightly import run
from core.posting import Engine
from core.redemptions import redeem
from core.sheet import trial_balance
from core.statistics import (
    ACTS,
    MOST_PERIODS,
    Flow,
    MembersPeriod,
    PeriodLength,
    Statistics,
    periods,
    statistics,
)
from tests.core import market
from tests.core.shop import days, earn, open_shop, wish
from tests.support import ISTANBUL, NOW, enrol_cards

HELD = (Account.ACTIVE, Account.PENDING, Account.RESERVED)


def at(text: str) -> datetime:
    """An instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def asked(engine: Engine, bounds: list[datetime], now: datetime) -> Statistics:
    """The statistics, as the schema asks for them."""
    tiers = {number: len(x.ladder.tiers) for number, x in engine.rulebook.ladders.items()}
    return await statistics(bounds, now, tiers)


def flows(engine: Engine, found: Statistics, code: str) -> list[dict[str, int]]:
    """Of one currency: each period's figures that aren't zero."""
    [sums] = [
        x for x in found.currencies if engine.rulebook.currencies[x.currency].code == code
    ]  # fmt: skip
    return [{k: v for k, v in x.flow._asdict().items() if v} for x in sums.periods]


def test_periods_begin_by_the_local_clock() -> None:
    """Istanbul is three hours ahead: its month begins on the evening before."""
    found = periods(at("2026-09-15"), at("2026-10-31T21:00"), PeriodLength.MONTH, ISTANBUL)
    assert found == tuple(
        at(x) for x in ("2026-08-31T21:00", "2026-09-30T21:00", "2026-10-31T21:00",
                        "2026-11-30T21:00")
    )  # fmt: skip
    found = periods(None, at("2026-11-26"), PeriodLength.MONTH, "UTC")
    assert (len(found), found[0], found[-1]) == (13, at("2025-12-01"), at("2026-12-01"))
    found = periods(None, at("2026-11-26"), PeriodLength.WEEK, "UTC")
    assert (found[0], found[-1]) == (at("2026-09-07"), at("2026-11-30"))  # Mondays
    # A day of 25 hours and one of 23.
    found = periods(at("2026-10-24"), at("2026-10-26"), PeriodLength.DAY, "Europe/Rome")
    assert [b - a for a, b in pairwise(found)] == [timedelta(hours=x) for x in (24, 25, 24)]
    one = periods(at("2026-11-02"), at("2026-11-26"), PeriodLength.MONTH, "UTC")
    assert one == (at("2026-11-01"), at("2026-12-01"))


@pytest.mark.parametrize(
    ("since", "until"),
    [("2026-12-01", "2026-11-30"), ("1950-01-01", "2026-11-30"), ("2026-07-01", "2026-11-30")],
)
def test_periods_that_there_are_not(since: str, until: str) -> None:
    """None, and too many; one fewer is told."""
    length = PeriodLength.DAY if since == "2026-07-01" else PeriodLength.MONTH
    with pytest.raises(BadInput) as caught:
        periods(at(since), at(until), length, "UTC")
    assert caught.value.path == ("from",)
    most = at("2026-11-30") - timedelta(days=MOST_PERIODS - 1)
    assert len(periods(most, at("2026-11-30"), PeriodLength.DAY, "UTC")) == MOST_PERIODS + 1


async def test_nothing_yet(database: str) -> None:
    shop = await open_shop()
    found = await asked(shop, [NOW, NOW + days(1), NOW + days(2)], NOW)
    assert found.members == (MembersPeriod(0, 0, 0),) * 2
    assert (found.currencies, found.cohorts) == ((), ((0, 0), (0,)))
    assert all(set(held) <= {(0,) * len(held[0])} for held in found.ladders.values())


async def test_three_periods_worked_out_by_hand(database: str) -> None:
    """A story of two members, told in three times ten days.

    Before: Ada earns 300, for she buys for 300.00 on the day 0, the first period's own beginning.
    1st:  Bob earns 200. Ada takes a mug, 50.
    2nd:  nobody buys. Bob takes a bag, 100. 40 are given by hand, and 15 taken.
    3rd:  Ada earns 60.
    """
    shop = await open_shop()
    ada, bob = await enrol_cards(["1", "2"])
    await earn(shop, "R1", "300.00")
    await earn(shop, "R2", "200.00", "2", at=NOW + days(1))
    await redeem(shop, wish(ada, "mug", key="1"), NOW + days(2))
    await redeem(shop, wish(bob, "bag", key="2"), NOW + days(12))
    by_hand = AdjustRequest("admin:", "3", "admin", bob, "STAR", 40, "goodwill")
    await adjust(shop, by_hand, NOW + days(13))
    taken = AdjustRequest("admin:", "4", "admin", bob, "STAR", -15, "goodwill")
    await adjust(shop, taken, NOW + days(13))
    await earn(shop, "R3", "60.00", at=NOW + days(25))
    bounds = [NOW + days(n) for n in (0, 10, 20, 30)]
    found = await asked(shop, bounds, NOW + days(26))

    # Ada's 300 happened up to the first bound, so they are of the time before.
    assert flows(shop, found, "STAR") == [
        {"issued": 200, "redeemed": 50, "held": 150},
        {"redeemed": 100, "given": 40, "taken": 15, "held": -75},
        {"issued": 60, "held": 60},
    ]
    [star] = [x for x in found.currencies if shop.rulebook.currencies[x.currency].code == "STAR"]
    assert [x.outstanding for x in star.periods] == [450, 375, 435]
    partner = shop.rulebook.partners["grocer"].id
    assert dict(star.partners) == {
        0: Flow(given=40, taken=15, held=25),
        partner: Flow(issued=260, redeemed=150, held=110),
    }
    # Both joined before; active: both, then Bob, then Ada.
    assert found.members == (MembersPeriod(0, 2, 2), MembersPeriod(0, 1, 2), MembersPeriod(0, 1, 2))
    assert found.cohorts == ((0, 0, 0), (0, 0), (0,))
    # One period earlier they are a cohort: both active in the first, as the clocks go.
    early = await asked(shop, [NOW - days(10), *bounds], NOW + days(26))
    assert early.members[0] == MembersPeriod(2, 1, 2)
    assert early.cohorts[0] == (1, 2, 1, 1)
    # Base, silver from 60, gold from 200, within 30 days: gold are Ada at once and Bob.
    [ladder] = [n for n, x in shop.rulebook.ladders.items() if x.ladder.code == "coalition"]
    assert early.ladders[ladder] == ((1, 0, 1), (0, 0, 2), (0, 0, 2), (0, 0, 2))


async def test_what_the_night_has_not_booked_is_gone_all_the_same(database: str) -> None:
    """The same figures before the night and after it, of what expires and of what lapses.

    200 stars live 90 days; 50 of them are spent. So a lot of 200 ends, of which 150 expired.
    """
    shop = await open_shop()
    [ada] = await enrol_cards(["1"])
    await earn(shop, "R1", "200.00")
    await redeem(shop, wish(ada, "mug"), NOW + days(1))
    bounds = [NOW + days(n) for n in (-1, 45, 89, 90)]
    late = NOW + days(91)
    for _ in range(2):
        found = await asked(shop, bounds, late)
        [star] = found.currencies
        assert [x.outstanding for x in star.periods] == [150, 150, 0]
        assert [(x.ended, x.ended_expired, x.breakage) for x in star.periods] == [
            (0, 0, None), (0, 0, None), (200, 150, 0.75),
        ]  # fmt: skip
        assert star.periods[2].flow == Flow(expired=150, held=-150)
        await run(shop, late)
    # As of the last moment before, nothing had.
    found = await asked(shop, bounds, NOW + days(90) - timedelta(microseconds=1))
    assert [x.outstanding for x in found.currencies[0].periods] == [150, 150, 150]


async def test_the_sheet_tells_the_same(database: str) -> None:
    """What is outstanding at each period's end, whatever the night has booked: two witnesses."""
    engine = await market.open_market()
    await enrol_cards([str(n) for n in range(4)])
    for n in range(24):
        when = NOW + days(n)
        code = market.ALL[n % len(market.ALL)].code
        await market.buy(engine, f"P{n}", (code, "35.00"), at=when, member=str(n % 4))
        if n % 5 == 0:
            back = market.line(1, amount="12.00")
            await market.returned(engine, f"T{n}", f"P{n}", back, at=when)
        if n % 7 == 3:
            await run(engine, when)
    bounds = [NOW + days(n) for n in range(-3, 150, 9)]
    found = await asked(engine, bounds, bounds[-1])
    for place, bound in enumerate(bounds[1:]):
        told = {x.currency: x.periods[place].outstanding for x in found.currencies}
        sheet = {
            x.currency: sum(x.accounts[a] for a in HELD)
            for x in (await trial_balance(bound)).currencies
        }
        assert {k: v for k, v in told.items() if v} == {k: v for k, v in sheet.items() if v}
    assert any(x.flow.clawed_back for c in found.currencies for x in c.periods)
    assert any(x.flow.lapsed for c in found.currencies for x in c.periods)
    assert any(x.flow.expired for c in found.currencies for x in c.periods)


async def test_books_that_were_broken_tell_otherwise(database: str) -> None:
    """The control: a row that the application can't write changes what is outstanding."""
    shop = await open_shop()
    await enrol_cards(["1"])
    await earn(shop, "R1", "200.00")
    bounds = [NOW - days(1), NOW + days(1)]
    assert (await asked(shop, bounds, NOW)).currencies[0].periods[0].outstanding == 200
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("ALTER TABLE transfer DISABLE TRIGGER ALL")
        await connection.execute("UPDATE transfer SET amount = 199")
    finally:
        await connection.close()
    assert (await asked(shop, bounds, NOW)).currencies[0].periods[0].outstanding == 199


def test_acts_are_what_members_do_themselves() -> None:
    """Neither the night nor a return makes anybody active."""
    assert {kind.name for kind in ACTS} == {
        "PURCHASE", "ACTIVITY", "REDEMPTION", "RESERVATION", "GIFT", "PERK",
    }  # fmt: skip
