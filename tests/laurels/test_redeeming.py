"""Paying with points: never beyond offer, balance or ceiling, always as much as these allow."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.declarations import Currency
from laurels.errors import DeclarationError, RuleError
from laurels.money import Money
from laurels.redeeming import Answer, Checkout, Discount, PayWithPoints, RedeemRule, ask
from laurels.rules import Nothing

relaxed = settings(deadline=None)
STAR = Currency("STAR", "Stars")
MOST = 10**15
CODE = "a code is a text of 1 to 64 characters, not"


def eur(minor: int) -> Money:
    """Cents."""
    return Money(minor, "EUR")


def test_terms_and_protocol() -> None:
    rule = PayWithPoints(STAR, 100, "1 EUR", at_most="50.0%", minimum=200)
    assert isinstance(rule, RedeemRule)
    assert rule.terms == {
        "kind": "PayWithPoints",
        "currency": "STAR",
        "points": 100,
        "worth": "1.00 EUR",
        "at_most": "50%",
        "minimum": 200,
        "reversible": "30D",
    }
    assert PayWithPoints(STAR, 1, "0.01 EUR", reversible=None).reversible is None
    with pytest.raises(DeclarationError, match="reversible: 'soon' is no duration"):
        PayWithPoints(STAR, 1, "0.01 EUR", reversible="soon")
    assert PayWithPoints(STAR, 1, "0.01 EUR", at_most="12.5%").terms["at_most"] == "12.5%"
    with pytest.raises(TypeError):
        rule.terms["points"] = 1  # type: ignore[index]  # the refusal under test


@pytest.mark.parametrize(
    ("checkout", "points", "minor"),
    [
        (Checkout(eur(1000), 10_000), 500, 500),  # half the bill
        (Checkout(eur(1000), 399), 300, 300),  # the balance, in whole steps
        (Checkout(eur(1000), 10_000, 250), 200, 200),  # the offer
        (Checkout(eur(1000), 220, 900), 200, 200),  # an offer above the balance
        (Checkout(eur(499), 10_000), 200, 200),  # half of 4.99 is 2.49
    ],
)
def test_takes_what_is_allowed(checkout: Checkout, points: int, minor: int) -> None:
    rule = PayWithPoints(STAR, 100, "1.00 EUR", at_most="50%")
    assert rule.discount(checkout) == Discount(points, eur(minor))


@pytest.mark.parametrize(
    ("minimum", "checkout", "least"),
    [
        (0, Checkout(eur(1000), 99), 100),
        (0, Checkout(eur(1000), 500, 0), 100),
        (0, Checkout(eur(1000), 500, -300), 100),
        (0, Checkout(eur(99), 500), 100),
        (0, Checkout(eur(-500), 500), 100),
        (150, Checkout(eur(1000), 199), 200),
        (200, Checkout(eur(1000), 199), 200),
    ],
)
def test_says_what_it_takes_at_least(minimum: int, checkout: Checkout, least: int) -> None:
    rule = PayWithPoints(STAR, 100, "1.00 EUR", minimum=minimum)
    assert rule.discount(checkout) == Nothing(
        f"takes at least {least} points, and only what the bill and the balance allow"
    )
    # And it is the truth: so many points are taken from a large enough bill.
    enough = rule.discount(Checkout(eur(10**6), least))
    assert enough == Discount(least, eur(least))


def test_other_money_is_refused() -> None:
    rule = PayWithPoints(STAR, 100, "1.00 EUR")
    assert rule.discount(Checkout(Money(500, "USD"), 500)) == Nothing("pays bills in EUR only")


def most_steps(step: int, worth: int, percent: int, minimum: int, total: int, points: int) -> int:
    """The most whole steps by trying each: no formula shared with the rule."""
    steps = 0
    while (steps + 1) * step <= points and (steps + 1) * worth * 100 <= total * percent:
        steps += 1
    return steps if steps * step >= minimum else 0


@relaxed
@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.integers(1, 100),
    st.integers(0, 200),
    st.integers(0, 2000),
    st.integers(0, 1000),
    st.none() | st.integers(0, 1000),
)
def test_takes_the_most_that_is_allowed(
    step: int, worth: int, percent: int, minimum: int, total: int, balance: int, offered: int | None
) -> None:
    rule = PayWithPoints(STAR, step, str(eur(worth)), at_most=f"{percent}%", minimum=minimum)
    got = rule.discount(Checkout(eur(total), balance, offered))
    points = balance if offered is None else min(balance, offered)
    steps = most_steps(step, worth, percent, minimum, total, points)
    if steps:
        assert got == Discount(steps * step, eur(steps * worth))
    else:
        assert isinstance(got, Nothing)


def test_the_oracle_minds_every_bound() -> None:
    assert most_steps(10, 10, 100, 0, 1000, 55) == 5
    assert most_steps(10, 10, 4, 0, 1000, 55) == 4
    assert most_steps(10, 10, 100, 51, 1000, 55) == 0
    assert most_steps(10, 10, 100, 0, 9, 55) == 0


PLAIN: dict[str, Any] = {"currency": STAR, "points": 100, "worth": "1.00 EUR"}
RULE = "redeem rule pay-with-points"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"code": ""}, f"redeem rule: {CODE} ''"),
        ({"title": ""}, f"{RULE}: title: a text of 1 to 500 characters is wanted, not ''"),
        ({"currency": ""}, f"{RULE}: currency: {CODE} ''"),
        ({"points": 0}, f"{RULE}: points: a whole number from 1 to {MOST}, not 0"),
        ({"points": True}, f"{RULE}: points: a whole number from 1 to {MOST}, not True"),
        (
            {"worth": "1.00"},
            f"{RULE}: worth: a money currency is an ISO 4217 code such as EUR, not ''",
        ),
        ({"worth": "0 EUR"}, f"{RULE}: worth: it is above zero"),
        ({"minimum": -1}, f"{RULE}: minimum: a whole number from 0 to {MOST}, not -1"),
        ({"at_most": "50"}, f"{RULE}: at_most: a share such as '50%' is wanted, not '50'"),
        ({"at_most": 0.5}, f"{RULE}: at_most: a share such as '50%' is wanted, not 0.5"),
        ({"at_most": "0%"}, f"{RULE}: at_most: it is above zero"),
        ({"at_most": "101%"}, f"{RULE}: at_most: from 0 to 100, not '101'"),
        (
            {"at_most": "1/3%"},
            f"{RULE}: at_most: a whole number or a decimal text such as '1.5' is wanted, of at "
            "most six places, not '1/3'",
        ),
    ],
)
def test_refuses(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        PayWithPoints(**{**PLAIN, **fields})
    assert str(caught.value) == problem


class Own:
    """A rule that answers by a function, and says nothing of taking back."""

    code = "own"
    title = "Own"
    currency = "STAR"
    terms: Mapping[str, Any] = {}

    def __init__(self, answer: Callable[[Checkout], Any]) -> None:
        self.answer = answer

    def discount(self, checkout: Checkout) -> Discount | Nothing:
        return self.answer(checkout)  # type: ignore[no-any-return]  # it may answer anything


@relaxed
@given(
    points=st.one_of(st.integers(-5, 30), st.booleans(), st.none(), st.floats(0, 30)),
    worth=st.one_of(
        st.builds(Money, st.integers(-5, 130), st.sampled_from(["EUR", "USD"])), st.none()
    ),
    balance=st.integers(0, 20),
    offered=st.none() | st.integers(1, 20),
)
def test_an_answer_is_taken_exactly_where_it_fits(
    points: Any, worth: Any, balance: int, offered: int | None
) -> None:
    checkout = Checkout(eur(100), balance, offered)
    fits = (
        type(points) is int
        and 1 <= points <= min(balance, balance if offered is None else offered)
        and worth is not None
        and worth.currency == "EUR"
        and 1 <= worth.minor <= 100
    )
    rule = Own(lambda _: Discount(points, worth))
    if fits:
        assert ask(rule, checkout) == Answer(Discount(points, worth), "30D")
    else:
        with pytest.raises(RuleError, match=r"^rule 'own': (took|gave) "):
            ask(rule, checkout)


def test_what_a_kits_rule_answers_always_fits() -> None:
    rule = PayWithPoints(STAR, 100, "1 EUR", reversible=None)
    assert ask(rule, Checkout(eur(500), 1000)) == Answer(Discount(500, eur(500)), None)
    assert ask(rule, Checkout(eur(50), 1000)).said == rule.discount(Checkout(eur(50), 1000))


def test_the_operator_can_still_interrupt() -> None:
    def interrupted(checkout: Checkout) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(Own(interrupted), Checkout(eur(1), 1))
