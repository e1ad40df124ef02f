"""The nightly review: what the window took is booked once, at its own midnight, however late."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import reviews
from core.check import prove
from core.db import reading
from core.folding import Batch
from core.posting import Engine, write
from core.reviews import review_tiers
from core.rulebook import LadderTerms
from core.standings import standings
from laurels import Ladder, Tier
from tests.core.shop import days, earn, open_shop
from tests.support import NOW, enrol_cards, scalar

Move = tuple[datetime, int, int]
FIVE = timedelta(minutes=5)


def utc(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant of the tests' year."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.shop` on a fresh database."""
    return await open_shop()


def ladder(engine: Engine, code: str = "coalition") -> LadderTerms:
    """A ladder of the shop."""
    return next(x for x in engine.rulebook.ladders.values() if x.ladder.code == code)


async def moves(engine: Engine, holder: int, code: str = "coalition") -> list[Move]:
    """(when, from, to) of each change of rank that stands in the books."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT at, from_rank, to_rank FROM tier_change WHERE holder_id = $1 "
            "AND ladder_id = $2 ORDER BY booked_at, at",
            holder,
            ladder(engine, code).id,
        )
    return [tuple(row) for row in rows]


async def rank(engine: Engine, holder: int, at: datetime) -> int:
    """The rank on the coalition's ladder, as of an instant."""
    found = (await standings(engine, [holder], at))[holder]
    return next(x.rank for x in found if x.ladder.ladder.code == "coalition")


async def gold(engine: Engine) -> int:
    """A member who is gold until 1 April and silver until 5 April."""
    (holder,) = await enrol_cards(["1"])
    await earn(engine, "A", "150.00", at=utc(3, 1, 12))
    await earn(engine, "B", "100.00", at=utc(3, 5, 12))
    return holder


CLIMB: list[Move] = [(utc(3, 1, 12), 0, 1), (utc(3, 5, 12), 1, 2)]
FALL: list[Move] = [(utc(4, 1), 2, 1), (utc(4, 5), 1, 0)]


async def test_a_rank_is_held_until_midnight_and_taken_there_once(shop: Engine) -> None:
    holder = await gold(shop)
    # 150 stars leave at noon of 31 March.
    assert await review_tiers(shop, utc(3, 31, 23, 59)) == 0
    assert await moves(shop, holder) == CLIMB
    assert await review_tiers(shop, utc(4, 1)) == 1
    assert await moves(shop, holder) == CLIMB + FALL[:1]
    assert await review_tiers(shop, utc(4, 1)) == 0
    assert await review_tiers(shop, utc(4, 1, 0, 5)) == 0
    assert await prove() == []


@pytest.mark.parametrize(
    "runs",
    [
        [utc(3, 16) + timedelta(days=n) + FIVE for n in range(40)],
        [utc(3, 16) + timedelta(days=n // 2) + FIVE for n in range(80)],
        [utc(4, 1), utc(4, 5)],
        [utc(4, 3, 17), utc(4, 20, 9)],
        [utc(4, 24)],
        [utc(12, 24)],
    ],
    ids=["nightly", "twice a night", "on the minute", "days late", "once", "half a year late"],
)
async def test_whenever_the_review_runs_the_books_tell_the_same(
    shop: Engine, runs: list[datetime]
) -> None:
    holder = await gold(shop)
    for now in runs:
        await review_tiers(shop, now)
    assert await moves(shop, holder) == CLIMB + FALL
    assert await prove() == []


async def test_what_a_tier_was_does_not_wait_for_the_review(shop: Engine) -> None:
    holder = await gold(shop)
    instants = [
        (utc(3, 1, 11, 59), 0), (utc(3, 1, 12), 1), (utc(3, 5, 12), 2), (utc(3, 31, 12), 2),
        (utc(3, 31, 23, 59), 2), (utc(4, 1), 1), (utc(4, 4, 12), 1), (utc(4, 4, 23, 59), 1),
        (utc(4, 5), 0), (utc(5, 1), 0),
    ]  # fmt: skip
    assert [(at, await rank(shop, holder, at)) for at, _ in instants] == instants
    await review_tiers(shop, utc(4, 24))
    assert [(at, await rank(shop, holder, at)) for at, _ in instants] == instants


async def test_by_the_ladders_own_midnight(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    for n, at in enumerate([utc(3, 10, 21, 30), utc(3, 11, 12), utc(3, 12, 12)]):
        await earn(shop, f"V{n}", "1.00", at=at, partner="cafe")
    assert await review_tiers(shop, utc(3, 21, 20, 59)) == 0
    assert await review_tiers(shop, utc(3, 21, 21)) == 1
    fallen = (utc(3, 21, 21), 1, 0)
    assert await moves(shop, holder, "regulars") == [(utc(3, 12, 12), 0, 1), fallen]


async def test_a_month_from_the_end_of_february_is_reviewed_with_march(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "100.00", at=utc(2, 28, 15))
    await review_tiers(shop, utc(4, 1, 3, 59))
    assert await moves(shop, holder, "spender") == [(utc(2, 28, 15), 0, 1)]
    await review_tiers(shop, utc(4, 9))
    assert (await moves(shop, holder, "spender"))[1:] == [(utc(4, 1, 4), 1, 0)]


async def test_a_till_whose_clock_is_ahead_loses_nobody_a_rank(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    ahead = NOW + timedelta(minutes=4)
    await earn(shop, "A", "100.00", at=ahead, now=NOW)
    assert await review_tiers(shop, NOW) == 0
    assert await moves(shop, holder) == [(ahead, 0, 1)]
    assert await prove() == []


async def test_a_late_purchase_lifts_again_what_the_review_took(shop: Engine) -> None:
    holder = await gold(shop)
    await review_tiers(shop, utc(4, 6))
    await earn(shop, "LATE", "70.00", at=utc(3, 20, 12), now=utc(4, 6, 8))
    assert (await moves(shop, holder))[4:] == [(utc(4, 6), 0, 1)]
    await review_tiers(shop, utc(4, 20))
    assert (await moves(shop, holder))[5:] == [(utc(4, 20), 1, 0)]
    assert await prove() == []


async def test_two_reviews_at_once_take_a_rank_once(shop: Engine) -> None:
    holder = await gold(shop)
    taken = await asyncio.gather(*(review_tiers(shop, utc(4, 24)) for _ in range(4)))
    assert sorted(taken) == [0, 0, 0, 3]
    assert await moves(shop, holder) == CLIMB + FALL
    assert await prove() == []


async def test_a_review_killed_between_two_batches_goes_on_where_it_was(
    shop: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    holders = await enrol_cards(["1", "2", "3"])
    for card in ("1", "2", "3"):
        await earn(shop, f"R{card}", "60.00", card)
    calls = 0

    async def dies(connection: Any, batch: Batch) -> None:
        nonlocal calls
        calls += 1
        await write(connection, batch)
        if calls == 2:
            raise ConnectionError("killed")

    monkeypatch.setattr(reviews, "_BATCH", 1)
    monkeypatch.setattr(reviews, "write", dies)
    with pytest.raises(ConnectionError):
        await review_tiers(shop, utc(6, 1))
    fallen: list[Move] = [(NOW, 0, 1), (utc(4, 15), 1, 0)]
    assert [await moves(shop, h) for h in holders] == [fallen, fallen[:1], fallen[:1]]
    assert await review_tiers(shop, utc(6, 2)) == 2
    assert [await moves(shop, h) for h in holders] == [fallen] * 3
    assert await prove() == []


@pytest.mark.parametrize("tiers", [[0, 500, 900], [0]])
async def test_where_the_tiers_were_redeclared_the_rank_goes_at_the_next_review(
    shop: Engine, tiers: list[int]
) -> None:
    holder = await gold(shop)
    terms = ladder(shop)
    steps = [Tier(f"t{n}", at) for n, at in enumerate(tiers)]
    harder = replace(terms, ladder=Ladder("coalition", terms.measure, steps, "30D"))
    book = replace(shop.rulebook, ladders={**shop.rulebook.ladders, terms.id: harder})
    assert await review_tiers(Engine(book), utc(3, 10, 9)) == 1
    booked = await moves(shop, holder)
    assert booked[0:2] == CLIMB
    assert (booked[2][1], booked[-1][2]) == (2, 0)
    assert await review_tiers(Engine(book), utc(3, 10, 9)) == 0


async def test_two_steps_down_and_one_up_in_one_posting(database: str) -> None:
    """A late purchase may find two lapses and climb again: three changes, in one booking."""
    shop = await open_shop()
    (holder,) = await enrol_cards(["1"])
    for day, amount in ((0, "150.00"), (10, "60.00"), (50, "60.00")):
        await earn(shop, f"P{day}", amount, at=NOW + days(day))
    changes = await scalar(
        "SELECT array_agg(from_rank || '>' || to_rank ORDER BY booked_at, at, from_rank DESC) "
        "FROM tier_change c JOIN ladder l ON l.id = c.ladder_id "
        "WHERE l.code = 'coalition' AND holder_id = $1",
        holder,
    )
    assert changes == ["0>1", "1>2", "2>1", "1>0", "0>1"]
    assert await prove() == []
