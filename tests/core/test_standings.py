"""Where a member stands, to the point and to the midnight, by figures worked out by hand.

The coalition's ladder: silver from 60 stars, gold from 200, in 30 days, reviewed at midnight UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from core.posting import Engine
from core.standings import standings
from tests.core.shop import earn, open_shop
from tests.support import NOW, enrol_cards


class Figures(NamedTuple):
    """What a standing tells, without the ladder that it is on."""

    rank: int
    value: int
    next_rank: int | None
    missing_to_next: int | None
    keep_until: datetime | None
    keep_missing: int | None


def utc(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant of the tests' year."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.shop` on a fresh database."""
    return await open_shop()


@pytest.fixture
async def ada(shop: Engine) -> int:
    """A member without a past."""
    (holder,) = await enrol_cards(["1"])
    return holder


async def figures(engine: Engine, holder: int, at: datetime, ladder: str = "coalition") -> Figures:
    """One member on one ladder at an instant."""
    for x in (await standings(engine, [holder], at))[holder]:
        if x.ladder.ladder.code == ladder:
            return Figures(
                x.rank, x.value, x.next_rank, x.missing_to_next, x.keep_until, x.keep_missing
            )
    raise LookupError(ladder)


async def test_everybody_starts_at_the_foot_and_nothing_threatens_it(
    shop: Engine, ada: int
) -> None:
    assert await figures(shop, ada, NOW) == (0, 0, 1, 60, None, None)
    assert await figures(shop, ada, NOW, "spender") == (0, 0, 1, 10_000, None, None)
    assert await figures(shop, ada, NOW, "regulars") == (0, 0, 1, 3, None, None)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (utc(2, 23, 11, 59), (0, 0, 1, 60, None, None)),
        # A hundred keep silver for thirty days and until the midnight after.
        (utc(2, 23, 12), (1, 100, 2, 100, utc(3, 26), 60)),
        (utc(3, 10, 11, 59), (1, 100, 2, 100, utc(3, 26), 60)),
        # With fifty more, ten are missing then.
        (utc(3, 10, 12), (1, 150, 2, 50, utc(3, 26), 10)),
        (utc(3, 25, 11, 59), (1, 150, 2, 50, utc(3, 26), 10)),
        # The hundred left the window: silver is kept until the review, and no longer carried.
        (utc(3, 25, 12), (1, 50, 2, 150, utc(3, 26), 10)),
        (utc(3, 25, 23, 59), (1, 50, 2, 150, utc(3, 26), 10)),
        (utc(3, 26), (0, 50, 1, 10, None, None)),
        (utc(4, 9, 11, 59), (0, 50, 1, 10, None, None)),
        (utc(4, 9, 12), (0, 0, 1, 60, None, None)),
    ],
)
async def test_a_rank_through_its_whole_life(
    shop: Engine, ada: int, at: datetime, expected: tuple[object, ...]
) -> None:
    await earn(shop, "A", "100.00", at=utc(2, 23, 12))
    await earn(shop, "B", "50.00", at=utc(3, 10, 12))
    assert await figures(shop, ada, at) == expected


async def test_all_that_leaves_before_one_review_is_missing_there(shop: Engine, ada: int) -> None:
    await earn(shop, "A", "150.00", at=utc(2, 23, 12))
    await earn(shop, "B", "15.00", at=utc(2, 23, 13))
    await earn(shop, "C", "10.00", at=utc(3, 10, 12))
    # 175 now; on 26 March 10 are left of them, whatever was left an hour after the first went.
    assert await figures(shop, ada, NOW) == (1, 175, 2, 25, utc(3, 26), 50)


async def test_what_is_spare_may_leave_first(shop: Engine, ada: int) -> None:
    await earn(shop, "A", "40.00", at=utc(2, 20, 12))
    await earn(shop, "B", "60.00", at=utc(3, 1, 12))
    assert await figures(shop, ada, NOW) == (1, 100, 2, 100, utc(4, 1), 60)


async def test_a_rank_lost_by_the_window_is_kept_by_what_comes_before_the_review(
    shop: Engine, ada: int
) -> None:
    await earn(shop, "A", "100.00", at=utc(2, 23, 12))
    await earn(shop, "B", "59.00", at=utc(3, 25, 18))
    assert await figures(shop, ada, utc(3, 25, 20)) == (1, 59, 2, 141, utc(3, 26), 1)
    await earn(shop, "C", "1.00", at=utc(3, 25, 22))
    assert await figures(shop, ada, utc(3, 25, 23)) == (1, 60, 2, 140, utc(4, 25), 60)
    assert (await figures(shop, ada, utc(3, 26))).rank == 1


async def test_the_top_asks_for_nothing_more(shop: Engine, ada: int) -> None:
    await earn(shop, "A", "250.00")
    assert await figures(shop, ada, NOW) == (2, 250, None, None, utc(4, 15), 200)


async def test_visits_count_where_the_ladder_is_and_end_by_its_clock(
    shop: Engine, ada: int
) -> None:
    # Half past midnight in Istanbul is the evening before in UTC.
    for n, at in enumerate([utc(3, 10, 21, 30), utc(3, 11, 12), utc(3, 12, 12)]):
        await earn(shop, f"V{n}", "1.00", at=at, partner="cafe")
        await earn(shop, f"G{n}", "1.00", at=at, partner="grocer")
    # Ten days on it is 00:30 of the 21st there: the review is the next midnight, 21:00 UTC,
    # by when the second visit has left as well.
    until = utc(3, 21, 21)
    assert await figures(shop, ada, NOW, "regulars") == (1, 3, None, None, until, 2)
    dropped = utc(3, 20, 21, 30)
    assert await figures(shop, ada, dropped, "regulars") == (1, 2, None, None, until, 2)
    assert await figures(shop, ada, until, "regulars") == (0, 1, 1, 2, None, None)


async def test_a_month_from_the_end_of_february_ends_with_march(shop: Engine, ada: int) -> None:
    bought = utc(2, 28, 15)  # 10:00 in New York
    await earn(shop, "A", "100.00", at=bought)
    # A month before the midnights of 29, 30 and 31 March is 28 February 0:00: it still counts.
    until = utc(4, 1, 4)
    assert await figures(shop, ada, utc(3, 1), "spender") == (
        1, 10_000, None, None, until, 10_000,
    )  # fmt: skip
    gone_for_the_day = await figures(shop, ada, utc(3, 30, 20), "spender")
    assert gone_for_the_day == (1, 0, None, None, until, 10_000)
    second = timedelta(seconds=1)
    assert (await figures(shop, ada, until - second, "spender")).rank == 1
    assert await figures(shop, ada, until, "spender") == (0, 0, 1, 10_000, None, None)


async def test_spending_costs_nobody_a_tier_and_each_member_stands_alone(
    shop: Engine, ada: int
) -> None:
    (bob,) = await enrol_cards(["2"])
    await earn(shop, "A", "70.00")
    await earn(shop, "B", "9.99", "2")
    both = await standings(shop, [ada, bob], NOW)
    assert list(both) == [ada, bob]
    told = {h: {s.ladder.ladder.code: s.value for s in found} for h, found in both.items()}
    assert told[ada] == {"coalition": 70, "spender": 7000, "regulars": 0}
    assert told[bob] == {"coalition": 9, "spender": 999, "regulars": 0}
