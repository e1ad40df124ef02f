"""Plans, fees and perks: what is taken, and by which word each fault is named."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from laurels import (
    Currency,
    DeclarationError,
    Fee,
    Ladder,
    MembershipPlan,
    Money,
    Partner,
    Perk,
    Tier,
    hookimpl,
    visits,
)
from laurels.durations import Duration
from laurels.plugin.loading import load
from laurels.plugin.refusal import RefusalError

COIN = Currency("COIN", "Coins")
MONTH = Fee("month", "1M", "12.99 USD")


def plan(**more: Any) -> MembershipPlan:
    """One that is right, but for what is given."""
    given: dict[str, Any] = {"code": "plus", "title": "Plus", "fees": [MONTH], **more}
    return MembershipPlan(**given)


def test_a_fee_is_money_points_or_both() -> None:
    both = Fee("half", "1Y", "6.50 USD", (COIN, 650))
    assert (both.price, both.currency, both.amount) == (Money(650, "USD"), "COIN", 650)
    assert both.length == Duration(1, "Y")
    assert (MONTH.price, MONTH.currency, MONTH.amount) == (Money(1299, "USD"), None, 0)
    coins = Fee("coins", "30D", points=("COIN", 5))
    assert (coins.price, coins.currency, coins.amount) == (None, "COIN", 5)


def test_a_plan_finds_its_fees_and_perks() -> None:
    delivery = Perk("delivery", "Free delivery", "5.99 USD")
    made = plan(perks=[delivery], trial="30D", grace="7D", tier=("club", "gold"))
    assert (made.fee("month"), made.fee("none")) == (MONTH, None)
    assert (made.perk("delivery"), made.perk("none")) == (delivery, None)
    assert (delivery.saves, Perk("early", "Early").saves) == (Money(599, "USD"), None)
    assert (made.tried, made.spared) == (Duration(30, "D"), Duration(7, "D"))
    assert (plan().tried, plan().spared, plan().tier) == (None, None, None)
    assert isinstance(made.fees, tuple)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Fee("a b", "1M", "1 USD"), "fee"),
        (lambda: Fee("x", "1M"), "fee x: money, points or both are wanted"),
        (lambda: Fee("x", "soon", "1 USD"), "fee x: per"),
        (lambda: Fee("x", "1M_U", "1 USD"), "without rounding"),
        (lambda: Fee("x", 1, "1 USD"), "fee x: per: a duration"),  # type: ignore[arg-type]
        (lambda: Fee("x", "1M", "0 USD"), "fee x: money: it is above zero"),
        (lambda: Fee("x", "1M", 5), "fee x: money: a text"),  # type: ignore[arg-type]
        (lambda: Fee("x", "1M", points=(COIN, 0)), "fee x: points"),
        (lambda: Fee("x", "1M", points=COIN), "fee x: points: it is"),  # type: ignore[arg-type]
        (lambda: Fee("x", "1M", points=("a b", 1)), "fee x: points"),
        (lambda: Perk("a b", "A"), "perk"),
        (lambda: Perk("x", " "), "perk x: title"),
        (lambda: Perk("x", "X", "-1 USD"), "perk x: worth"),
        (lambda: plan(code="x" * 51), "at most 50 characters"),
        (lambda: plan(title=""), "plan plus: title"),
        (lambda: plan(fees=[]), "plan plus: fees: at least one"),
        (lambda: plan(fees=[MONTH, MONTH]), "plan plus: fees: month stands there twice"),
        (lambda: plan(fees=["month"]), "plan plus: fees"),
        (lambda: plan(perks=[Perk("x", "X"), Perk("x", "Y")]), "plan plus: perks: x stands"),
        (lambda: plan(trial="for ever"), "plan plus: trial"),
        (lambda: plan(grace="1D_D"), "plan plus: grace"),
        (lambda: plan(tier="gold"), "plan plus: tier"),
    ],
)
def test_a_fault_is_named(make: Callable[[], object], words: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        make()
    assert words in str(refused.value)


def brand(*plans: object) -> SimpleNamespace:
    """A plugin with these plans."""
    ladder = Ladder("club", visits(), [Tier("guest", 0), Tier("gold", 5)])
    return SimpleNamespace(
        laurels_partner=hookimpl(
            lambda: Partner("club", "The Club", currencies=[COIN], trades_in=["USD"])
        ),
        laurels_ladders=hookimpl(lambda: [ladder]),
        laurels_plans=hookimpl(lambda: list(plans)),
    )


def test_the_host_takes_what_fits() -> None:
    fits = plan(tier=("club", "gold"), perks=[Perk("x", "X", "1 USD")])
    assert load("club", brand(fits)).plans == (fits,)
    # Another's ladder is the programme's affair.
    assert load("club", brand(plan(tier=("shared", "gold")))).plans


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (plan(fees=[Fee("x", "1M", "1 EUR")]), "is in EUR, in which the partner doesn't trade"),
        (plan(fees=[Fee("x", "1M", points=("STAR", 1))]), "is in 'STAR'"),
        (plan(perks=[Perk("x", "X", "1 EUR")]), "perk 'x' is in EUR"),
        (plan(tier=("club", "none")), "names tier 'none'"),
        (plan(tier=("club", "guest")), "which everybody has anyway"),
        ("plus", "plan 1 is str"),
    ],
)
def test_the_host_names_what_does_not_fit(made: object, words: str) -> None:
    with pytest.raises(RefusalError) as refused:
        load("club", brand(made))
    assert refused.value.hook == "laurels_plans"
    assert words in refused.value.reason


def test_a_plan_stands_once() -> None:
    with pytest.raises(RefusalError, match="plan 'plus' is declared twice"):
        load("club", brand(plan(), plan(title="Other")))
