"""What a reward keeps of what it was declared with."""

from __future__ import annotations

from typing import Any

import pytest

from laurels import Currency, Reward, RewardKind

STAR = Currency("STAR", "Stars")


def test_a_reward_keeps_its_price() -> None:
    price: dict[Currency | str, int] = {STAR: 50, "CREDIT": 5}
    reward = Reward("mug", "A mug", price, stock=0, tier=("club", "gold"))
    price.clear()
    assert reward.price == {STAR: 50, "CREDIT": 5}
    assert reward.prices == {"STAR": 50, "CREDIT": 5}
    with pytest.raises(TypeError):
        reward.prices["STAR"] = 1  # type: ignore[index]  # the refusal under test


def test_rewards_are_equal_by_their_prices() -> None:
    assert Reward("mug", "A mug", {STAR: 50}) == Reward("mug", "A mug", {"STAR": 50})
    assert Reward("mug", "A mug", {STAR: 50}) != Reward("mug", "A mug", {"STAR": 51})


def test_a_discount_has_a_worth() -> None:
    kind: Any = "discount"
    reward = Reward("five", "5 off", {STAR: 50}, kind=kind, worth="5.00 TRY")
    assert reward.kind is RewardKind.DISCOUNT
