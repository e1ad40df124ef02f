"""What a member can have now: yes or no, the exact points missing, and the reasons in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from core.eligibility import Eligibility, eligibility
from core.posting import Engine
from core.redemptions import cancel, redeem
from tests.core.shop import days, earn, open_shop, wish
from tests.support import NOW, enrol_cards


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.shop` on a fresh database."""
    return await open_shop()


@pytest.fixture
async def ada(shop: Engine) -> int:
    """A member without a past."""
    (holder,) = await enrol_cards(["1"])
    return holder


async def told(engine: Engine, holder: int, reward: str, at: datetime = NOW) -> Eligibility:
    """What is told of one reward."""
    (number,) = [
        p.rewards[reward].id for p in engine.rulebook.partners.values() if reward in p.rewards
    ]
    return (await eligibility(engine, [holder], at))[holder, number]


YES = Eligibility(True, {}, ())


@pytest.mark.parametrize(("spent", "missing"), [("0.50", 100), ("1.00", 99), ("99.99", 1)])
async def test_the_points_missing_to_the_point(
    shop: Engine, ada: int, spent: str, missing: int
) -> None:
    await earn(shop, "A", spent)
    reasons = (f"{missing} more Stars needed",)
    assert await told(shop, ada, "bag") == Eligibility(False, {"STAR": missing}, reasons)


async def test_enough_is_enough_until_the_points_die(shop: Engine, ada: int) -> None:
    await earn(shop, "A", "100.00")
    assert await told(shop, ada, "bag") == YES
    dies = NOW + days(90)
    assert await told(shop, ada, "bag", dies - days(1) / 86400) == YES
    assert (await told(shop, ada, "bag", dies)).missing == {"STAR": 100}
    assert (await told(shop, ada, "bag", NOW - days(1))).missing == {"STAR": 100}


async def test_what_is_reserved_does_not_pay_and_comes_back(shop: Engine, ada: int) -> None:
    await earn(shop, "A", "120.00")
    held = await redeem(shop, wish(ada, "coffee", partner="cafe", hold="1D"), NOW)
    assert (await told(shop, ada, "bag")).missing == {"STAR": 10}
    await cancel(shop, ada, held.id, "till", "c", NOW)
    assert await told(shop, ada, "bag") == YES


async def test_any_one_of_several_prices_will_do(shop: Engine, ada: int) -> None:
    await earn(shop, "A", "10.00")
    await earn(shop, "B", "2.00", partner="cafe")
    assert await told(shop, ada, "cake") == Eligibility(
        False, {"STAR": 30, "BEAN": 3}, ("30 more Stars needed", "3 more Beans needed")
    )
    await earn(shop, "C", "3.00", partner="cafe")
    assert await told(shop, ada, "cake") == Eligibility(True, {"STAR": 30}, ())


async def test_every_reason_is_told(shop: Engine, ada: int) -> None:
    assert await told(shop, ada, "tasting") == Eligibility(
        False, {"STAR": 10}, ("10 more Stars needed", "for tier Silver and above")
    )
    await earn(shop, "A", "59.00")
    assert await told(shop, ada, "tasting") == Eligibility(
        False, {}, ("for tier Silver and above",)
    )
    await earn(shop, "B", "1.00")
    assert await told(shop, ada, "tasting") == YES
    assert await told(shop, ada, "lost") == Eligibility(False, {}, ("for tier gold and above",))


async def test_a_tier_counts_as_long_as_it_is_held(shop: Engine, ada: int) -> None:
    await earn(shop, "A", "60.00")
    # Noon of 14 April is thirty days on; the review is the midnight after.
    assert await told(shop, ada, "tasting", NOW + days(30.4)) == YES
    lapsed = await told(shop, ada, "tasting", NOW + days(30.5))
    assert lapsed.reasons == ("for tier Silver and above",)


async def test_stock_for_everybody(shop: Engine, ada: int) -> None:
    (bob,) = await enrol_cards(["2"])
    await earn(shop, "A", "100.00")
    assert await told(shop, ada, "mug") == YES
    assert (await told(shop, bob, "mug")).reasons == ("50 more Stars needed",)
    for key in ("1", "2"):
        await redeem(shop, wish(ada, "mug", key=key), NOW)
    both = ("50 more Stars needed", "out of stock")
    assert await told(shop, bob, "mug") == Eligibility(False, {"STAR": 50}, both)


async def test_a_currency_that_the_partner_does_not_take(shop: Engine, ada: int) -> None:
    await earn(shop, "A", "500.00")
    reasons = ("The Café accepts none of the currencies that it costs",)
    assert await told(shop, ada, "ring") == Eligibility(False, {}, reasons)


async def test_each_member_and_reward_has_an_answer(shop: Engine, ada: int) -> None:
    (bob,) = await enrol_cards(["2"])
    offered = [r.id for p in shop.rulebook.partners.values() for r in p.rewards.values()]
    answers = await eligibility(shop, [ada, bob], NOW)
    assert set(answers) == {(h, r) for h in (ada, bob) for r in offered}
    assert not any(answer.can for answer in answers.values())
    assert await eligibility(shop, [], NOW) == {}
    closed = Engine(replace(shop.rulebook, partners={}))
    assert await eligibility(closed, [ada], NOW) == {}
