"""Streaks in the books: what counts, what comes back, badges; and what a falsifier would change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.check import prove
from core.db import transaction
from core.posting import Engine
from core.purchases import find_partner
from core.returning import record
from core.returns import ReturnInput, check_cancel, check_return
from laurels import Cap, Streak, capped, on
from tests.core.club import balance, bought, forge, open_club, told
from tests.support import DAY, NOW, enrol_cards

pytestmark = pytest.mark.asyncio

WEEKS = Streak("POINT", 50, times=3, per="calendar 1W", code="weeks")
#: A Monday, at noon.
MONDAY = datetime(2026, 1, 5, 12, tzinfo=UTC)


async def week(engine: Engine, n: int, day: int = 0) -> int:
    """Buy in the nth week: the points."""
    return sum(await bought(engine, f"R-{n}-{day}", at=MONDAY + (7 * n + day) * DAY))


async def test_a_streak_is_of_periods_in_a_row_and_begins_anew_after_its_points(
    database: str,
) -> None:
    engine = await open_club(WEEKS)
    await enrol_cards(["1"])
    days = {(0, 0): 0, (0, 6): 0, (1, 2): 0, (2, 0): 50, (2, 3): 0, (3, 0): 0, (4, 0): 0}
    days |= {(5, 6): 50, (7, 0): 0, (8, 0): 0, (9, 0): 50}
    assert {day: await week(engine, *day) for day in days} == days
    assert await prove() == []


async def test_a_purchase_that_came_back_whole_breaks_the_streak(database: str) -> None:
    engine = await open_club(WEEKS)
    await enrol_cards(["1"])
    terms = find_partner(engine.rulebook, "club")
    await week(engine, 0)
    await week(engine, 1)
    await record(engine, [check_return(terms, ReturnInput("B", "R-1-0", NOW, amount="9.99"))], NOW)
    assert await week(engine, 2) == 50  # part of it counts as all of it
    await record(engine, [check_cancel(terms, "R-2-0", NOW)], NOW)
    assert await balance() == 0
    assert await week(engine, 2, 1) == 50  # now it is this one that completes it
    await week(engine, 3)
    await record(engine, [check_cancel(terms, "R-3-0", NOW)], NOW)
    assert await week(engine, 4) == 0
    assert await week(engine, 5) == 0
    assert await week(engine, 6) == 50
    assert await prove() == []


async def test_another_purchase_of_the_period_carries_the_streak(database: str) -> None:
    days = Streak("POINT", 50, times=2, per="calendar 1D", code="days")
    engine = await open_club(days)
    await enrol_cards(["1"])
    terms = find_partner(engine.rulebook, "club")
    for name in ("A", "B"):
        await bought(engine, name, at=MONDAY)
    await record(engine, [check_cancel(terms, "A", NOW)], NOW)
    assert await bought(engine, "C", at=MONDAY + DAY) == [50]
    assert await prove() == []


async def test_a_falsified_run_is_named(database: str) -> None:
    engine = await open_club(WEEKS)
    await enrol_cards(["1"])
    await week(engine, 0)
    await forge(database, "UPDATE decision SET content = replace(content, '\"k\"', '\"l\"')")
    assert "counted under caps = what was given" in {f.check for f in await prove()}


async def test_a_streak_of_activities_gives_a_badge_once(database: str) -> None:
    days = Streak("PIN", 1, times=2, per="calendar 1D", code="days")
    engine = await open_club(capped(on("check-in", days), Cap(times=1)))
    await enrol_cards(["1"])
    got = [await told(engine, f"A-{n}", "check-in", MONDAY + n * DAY) for n in range(5)]
    assert got == [[], [1], [], [], []]
    assert await balance(currency="PIN") == 1
    assert await prove() == []
    async with transaction() as connection:
        assert await connection.fetchval("SELECT badge FROM currency WHERE code = 'PIN'")
    assert not engine.rulebook.partners["club"].issues["PIN"].redeemable
