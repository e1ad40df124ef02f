"""Paying with points: clamped to offer, balance, ceiling and whole steps; no rule overreaches."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from core.check import prove
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotEligible,
    PartnerRuleFailed,
    Refusal,
    UnknownReference,
)
from core.paying import PayRequest, pay
from core.posting import Engine
from core.redeemed import Status
from core.redemptions import cancel
from laurels import Checkout, Discount, Duration, Money, Nothing, PayWithPoints, RedeemRule
from laurels.rules import Terms
from tests.core.shop import active, days, dump, earn, open_shop
from tests.support import NOW, enrol_cards


class Lasting:
    """A rule that takes a point for a cent, and says how long that may be reversed."""

    code = "lasting"
    title = "Lasting"
    currency = "STAR"
    terms: Terms = {}  # noqa: RUF012  # a protocol's attribute, read only

    def __init__(self, reversible: object) -> None:
        self.reversible = reversible

    def discount(self, checkout: Checkout) -> Discount | Nothing:
        return Discount(100, Money(100, "USD"))


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.shop`; a hundred stars are five dollars at its grocer."""
    engine = await open_shop()
    return with_rule(engine, PayWithPoints("STAR", points=100, worth="5.00 USD", at_most="50%"))


def with_rule(engine: Engine, rule: RedeemRule) -> Engine:
    """The same engine, its grocer with this redeem rule."""
    grocer = replace(engine.rulebook.partners["grocer"], redeem=(rule,))
    partners = {**engine.rulebook.partners, "grocer": grocer}
    return Engine(replace(engine.rulebook, partners=partners))


def bill(
    holder: int, total: str, *, offered: int | None = None, key: str = "k", hold: str | None = None
) -> PayRequest:
    """A bill at the grocer."""
    wait = None if hold is None else Duration.parse(hold)
    money = Money.parse(f"{total} USD")
    rule = "pay-with-points"
    return PayRequest("till", key, "grocer", holder, rule, money, offered, wait)


async def refused(engine: Engine, request: PayRequest, kind: type[Refusal], at: datetime) -> str:
    """The message of a refusal that changed nothing."""
    before = await dump()
    with pytest.raises(kind) as caught:
        await pay(engine, request, at)
    assert await dump() == before
    return caught.value.message


@pytest.mark.parametrize(
    ("total", "offered", "points", "worth"),
    [
        ("100.00", None, 300, "15.00 USD"),  # 350 stars: three whole steps
        ("100.00", 250, 200, "10.00 USD"),  # two whole steps are offered
        ("21.00", None, 200, "10.00 USD"),  # half of the bill is 10.50: two steps
    ],
)
async def test_points_pay_in_whole_steps(
    shop: Engine, total: str, offered: int | None, points: int, worth: str
) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "350.00")
    paid = await pay(shop, bill(holder, total, offered=offered), NOW)
    assert (paid.points, str(paid.worth), paid.status) == (points, worth, Status.COMPLETED)
    assert (paid.reward, paid.rule) == (None, "pay-with-points")
    assert await active(shop, holder, NOW) == 350 - points
    assert await prove() == []


async def test_a_key_answers_again_and_refuses_another_bill(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "350.00")
    first = await pay(shop, bill(holder, "100.00"), NOW)
    assert await pay(shop, bill(holder, "100.00"), NOW) == replace(first, replayed=True)
    await refused(shop, bill(holder, "90.00"), IdempotencyConflict, NOW)
    assert await active(shop, holder, NOW) == 50


async def test_a_held_payment_is_cancelled_and_the_points_come_back(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "350.00")
    held = await pay(shop, bill(holder, "100.00", hold="2h"), NOW)
    assert held.status is Status.HELD
    assert await active(shop, holder, NOW) == 50
    await cancel(shop, holder, held.id, "till", "c", NOW + days(0.01))
    assert await active(shop, holder, NOW + days(0.01)) == 350
    assert await prove() == []


async def test_what_cannot_be_paid_is_refused_in_words(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "99.00")
    told = await refused(shop, bill(holder, "100.00"), NotEligible, NOW)
    assert "100 points" in told
    await refused(shop, bill(holder, "0.00"), BadInput, NOW)
    await refused(shop, bill(holder, "9.00", offered=-1), BadInput, NOW)
    other = replace(bill(holder, "9.00"), rule="nonsense")
    await refused(shop, other, UnknownReference, NOW)


@pytest.mark.parametrize(("said", "until"), [("12h", 0.5), (None, None), ("", None)])
async def test_a_rule_says_how_long_a_payment_may_be_reversed(
    shop: Engine, said: str | None, until: float | None
) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "350.00")
    request = replace(bill(holder, "100.00"), rule="lasting")
    paid = pay(with_rule(shop, Lasting(said)), request, NOW)
    if said == "":
        with pytest.raises(PartnerRuleFailed, match="'lasting': reversible: '' is no duration"):
            await paid
        return
    end = None if until is None else NOW + days(until)
    assert (await paid).reversible_until("UTC") == end
    assert await prove() == []


async def test_a_rule_that_says_nothing_of_it_is_reversible_for_thirty_days(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "350.00")
    request = replace(bill(holder, "100.00"), rule="lasting")
    rule = Lasting(None)
    del rule.reversible
    paid = await pay(with_rule(shop, rule), request, NOW)
    assert paid.reversible_until("UTC") == NOW + days(30)
