"""The earn rules in the box: golden figures, an oracle in fractions, and what they refuse."""

import math
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.declarations import Currency
from laurels.earning import (
    FirstPurchaseBonus,
    PointsPerAmount,
    PointsPerVisit,
    ProductTypeRewardCalculator,
    TierMultiplier,
)
from laurels.errors import DeclarationError
from laurels.evaluator import evaluate
from laurels.purchase import Facts, Line, Purchase
from laurels.rounding import Rounding
from laurels.rules import Award, EarnRule, Multiply, Nothing

relaxed = settings(deadline=None)
STAR = Currency("STAR", "Stars")
MOST = 10**15
CODE = "a code is a text of 1 to 64 characters, not"
ISO = "a money currency is an ISO 4217 code such as EUR, not"
RATE = "a whole number or a decimal text such as '1.5' is wanted, of at most six places, not"


def bought(*lines: Line | int, currency: str = "EUR") -> Purchase:
    """A purchase of lines, or of plain amounts in minor units."""
    made = tuple(line if isinstance(line, Line) else Line("thing", line) for line in lines)
    return Purchase("shop", "r1", datetime(2025, 1, 1, tzinfo=UTC), currency, made)


def test_square_105_dollars_at_1_per_10_gives_10() -> None:
    rule = PointsPerAmount(STAR, 1, "10.00 USD")
    effect = rule.evaluate(bought(10500, currency="USD"), Facts())
    assert effect == Award("STAR", 10, [10])


def test_square_4_points_times_one_and_a_half_gives_6() -> None:
    rules: list[EarnRule] = [
        PointsPerAmount(STAR, 1, "10.00 USD"),
        TierMultiplier(STAR, "club", {"gold": "1.5"}),
    ]
    done = evaluate(rules, bought(4000, currency="USD"), Facts(tiers={"club": "gold"}))
    assert done.points("STAR") == 6
    assert [g.points for g in done.granted] == [4, 2]


def test_odoo_100_less_30_percent_at_1_per_euro_gives_70() -> None:
    # An amount is what was paid: the discount is taken off the lines before the rule sees them.
    rule = PointsPerAmount(STAR, 1, "1.00 EUR")
    assert rule.evaluate(bought(4200, 2800), Facts()) == Award("STAR", 70, [42, 28])


@pytest.mark.parametrize(
    ("total", "per_step", "points"),
    [
        (999, True, 0),
        (1000, True, 3),
        (1999, True, 3),
        (2000, True, 6),
        (1999, False, 5),
        (334, False, 1),
    ],
)
def test_steps_and_proportion(total: int, per_step: bool, points: int) -> None:
    rule = PointsPerAmount(STAR, 3, "10.00 EUR", per_step=per_step)
    assert evaluate([rule], bought(total), Facts()).points("STAR") == points


@pytest.mark.parametrize(
    ("points", "per_step", "total", "because"),
    [
        (1, True, 250, "spend 7.50 EUR more"),
        (5, True, 0, "spend 10.00 EUR more"),
        (3, False, 333, "spend 0.01 EUR more"),
        (3, False, 0, "spend 3.34 EUR more"),
        (100, False, 5, "spend 0.05 EUR more"),
    ],
)
def test_tells_what_is_missing(points: int, per_step: bool, total: int, because: str) -> None:
    rule = PointsPerAmount(STAR, points, "10.00 EUR", per_step=per_step)
    assert rule.evaluate(bought(total), Facts()) == Nothing(because)
    # And it is the truth: so much more earns, one cent less doesn't.
    more = int(Fraction(because.split()[1]) * 100)
    assert isinstance(rule.evaluate(bought(total + more), Facts()), Award)
    assert isinstance(rule.evaluate(bought(total + more - 1), Facts()), Nothing)


def test_an_amount_is_capped_and_says_so() -> None:
    rule = PointsPerAmount(STAR, 1, "1.00 EUR", at_most=10)
    assert rule.evaluate(bought(3000, 1500), Facts()) == Award("STAR", 10, [7, 3], wanted=45)
    assert rule.evaluate(bought(1000), Facts()) == Award("STAR", 10, [10])


def test_an_amount_in_other_money_earns_nothing() -> None:
    effect = PointsPerAmount(STAR, 1, "1.00 EUR").evaluate(bought(500, currency="USD"), Facts())
    assert effect == Nothing("earns on EUR, this receipt is in USD")


def test_by_product_type() -> None:
    rule = ProductTypeRewardCalculator(STAR, {"coffee": "1.5", "gift card": 0}, default=1)
    purchase = bought(Line("coffee", 450), Line("gift card", 5000), Line("tea", 199), Line("", 100))
    assert rule.evaluate(purchase, Facts()) == Award("STAR", 8, [6, 0, 1, 1])


@pytest.mark.parametrize(
    ("rounding", "lines"),
    [
        (Rounding.LINE_DOWN, [0, 0, 0]),
        (Rounding.LINE_HALF_UP, [1, 1, 0]),
        (Rounding.LINE_UP, [1, 1, 1]),
        (Rounding.RECEIPT_DOWN, [1, 0, 0]),
        (Rounding.RECEIPT_HALF_UP, [1, 0, 0]),
        (Rounding.RECEIPT_UP, [1, 1, 0]),
    ],
)
def test_each_rounding_exactly(rounding: Rounding, lines: list[int]) -> None:
    rule = ProductTypeRewardCalculator(STAR, {}, default=1, rounding=rounding)
    effect = rule.evaluate(bought(60, 50, 30), Facts())
    if any(lines):
        assert effect == Award("STAR", sum(lines), lines)
    else:
        assert effect == Nothing("nothing on this receipt earns a whole point")


def test_a_cap_falls_on_the_lines_in_proportion() -> None:
    rule = ProductTypeRewardCalculator(STAR, {"a": 1, "b": 2}, at_most=5)
    effect = rule.evaluate(bought(Line("a", 600), Line("b", 150), Line("c", 900)), Facts())
    assert effect == Award("STAR", 5, [3, 2, 0], wanted=9)
    # A receipt that comes to just the cap wasn't cut, and says nothing of a cap.
    assert rule.evaluate(bought(Line("a", 500)), Facts()) == Award("STAR", 5, [5])


def oracle(lines: list[Line], rates: dict[str, str], rounding: Rounding) -> int:
    """The points of a receipt, reckoned in fractions from the rates' own text."""
    rounded = {
        "down": math.floor,
        "half-up": lambda exact: math.floor(exact + Fraction(1, 2)),
        "up": math.ceil,
    }[rounding.value.split("-", 1)[1]]
    exact = [Fraction(rates.get(line.product_type, "0.3")) * line.amount / 100 for line in lines]
    return rounded(sum(exact)) if rounding.per_receipt else sum(map(rounded, exact))


LINES = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", ""]), st.integers(0, 10**6)).map(lambda t: Line(*t)),
    min_size=1,
    max_size=8,
)
RATES = {"a": "1.5", "b": "0.333333", "c": "2"}


@relaxed
@given(LINES, st.sampled_from(Rounding))
def test_agrees_with_fractions(lines: list[Line], rounding: Rounding) -> None:
    rule = ProductTypeRewardCalculator(STAR, RATES, default="0.3", rounding=rounding)
    done = evaluate([rule], bought(*lines), Facts())
    assert done.points("STAR") == oracle(lines, RATES, rounding)
    for granted in done.granted:
        assert sum(granted.lines) == granted.points
        assert min(granted.lines) >= 0


def test_the_oracle_tells_the_roundings_apart() -> None:
    lines = [Line("a", 60), Line("a", 61), Line("b", 100)]
    assert [oracle(lines, RATES, r) for r in Rounding] == [0, 2, 3, 2, 2, 3]


def test_a_visit_earns() -> None:
    assert PointsPerVisit(STAR).evaluate(bought(0), Facts()) == Award("STAR", 1)
    rule = PointsPerVisit(STAR, 2, minimum="3.00 EUR")
    assert rule.evaluate(bought(200, 100), Facts()) == Award("STAR", 2)
    assert rule.evaluate(bought(299), Facts()) == Nothing(
        "needs at least 3.00 EUR, this was 2.99 EUR"
    )
    assert rule.evaluate(bought(900, currency="USD"), Facts()) == Nothing("counts receipts in EUR")


def test_a_tier_multiplies() -> None:
    rule = TierMultiplier(STAR, "club", {"gold": "1.5", "platinum": 2})
    gold = rule.evaluate(bought(1), Facts(tiers={"club": "gold"}))
    assert gold == Multiply("STAR", Fraction(3, 2))
    assert rule.evaluate(bought(1), Facts(tiers={"other": "gold"})) == Nothing(
        "no tier has no multiplier"
    )
    assert rule.evaluate(bought(1), Facts(tiers={"club": "base"})) == Nothing(
        "base has no multiplier"
    )


def test_the_first_purchase_earns_once() -> None:
    rule = FirstPurchaseBonus(STAR, 50)
    assert rule.evaluate(bought(1), Facts()) == Award("STAR", 50)
    assert rule.evaluate(bought(1), Facts(visits=1)) == Nothing("this wasn't the first purchase")


BOX: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (
        ProductTypeRewardCalculator,
        {"rates": {"a": "1.50", "b": 2}},
        {"rates": {"a": "1.5", "b": "2"}, "default": "0", "rounding": "line-down", "at_most": None},
    ),
    (
        PointsPerAmount,
        {"points": 1, "per": "10 EUR"},
        {"points": 1, "per": "10.00 EUR", "per_step": True, "at_most": None},
    ),
    (PointsPerVisit, {}, {"points": 1, "minimum": None}),
    (
        TierMultiplier,
        {"ladder": "club", "factors": {"gold": "1.50"}},
        {"ladder": "club", "factors": {"gold": "1.5"}},
    ),
    (FirstPurchaseBonus, {"points": 50}, {"points": 50}),
]


@pytest.mark.parametrize(("kind", "fields", "terms"), BOX)
def test_terms_tell_the_figures(kind: Any, fields: dict[str, Any], terms: dict[str, Any]) -> None:
    rule = kind(STAR, **fields)
    assert isinstance(rule, EarnRule)
    assert rule.terms == {"kind": kind.__name__, "currency": "STAR", **terms}
    assert repr(rule) == f"{kind.__name__}({rule.code!r}, STAR)"
    with pytest.raises(TypeError):
        rule.terms["points"] = 9  # type: ignore[index]  # the refusal under test


@pytest.mark.parametrize(("kind", "fields", "terms"), BOX)
def test_rules_are_equal_by_their_terms(kind: Any, fields: Any, terms: Any) -> None:
    rule = kind(STAR, **fields)
    assert rule == kind("STAR", **fields)
    assert hash(rule) == hash(kind("STAR", **fields))
    assert rule != kind("OTHER", **fields)
    assert rule != kind(STAR, **fields, code="other")
    assert rule != kind(STAR, **fields, title="Other")
    assert rule != terms


REFUSALS: list[tuple[Any, dict[str, Any], str]] = [
    *((kind, {**f, "code": ""}, f"earn rule: {CODE} ''") for kind, f, _ in BOX),
    *(
        (kind, {**f, "title": " "}, f"{c}: title: a text of 1 to 500 characters is wanted, not ' '")
        for (kind, f, _), c in zip(
            BOX,
            [
                f"earn rule {c}"
                for c in (
                    "product-type",
                    "per-amount",
                    "visit",
                    "tier-multiplier",
                    "first-purchase",
                )
            ],
            strict=True,
        )
    ),
    (
        ProductTypeRewardCalculator,
        {"rates": [("a", 1)]},
        "earn rule product-type: rates: a mapping of product type to rate is wanted, "
        "not [('a', 1)]",
    ),
    (
        ProductTypeRewardCalculator,
        {"rates": {"": 1}},
        "earn rule product-type: rates: product type: "
        "a text of 1 to 200 characters is wanted, not ''",
    ),
    (
        ProductTypeRewardCalculator,
        {"rates": {"a": 1.5}},
        f"earn rule product-type: rates: a: {RATE} 1.5",
    ),
    (
        ProductTypeRewardCalculator,
        {"rates": {"a": 1000001}},
        "earn rule product-type: rates: a: from 0 to 1000000, not 1000001",
    ),
    (
        ProductTypeRewardCalculator,
        {"rates": {}, "default": "1/3"},
        f"earn rule product-type: default: {RATE} '1/3'",
    ),
    (
        ProductTypeRewardCalculator,
        {"rates": {}, "rounding": "bankers"},
        "earn rule product-type: rounding: 'bankers' is none",
    ),
    (
        ProductTypeRewardCalculator,
        {"rates": {}, "at_most": 0},
        f"earn rule product-type: at_most: a whole number from 1 to {MOST}, not 0",
    ),
    (
        PointsPerAmount,
        {"points": 0, "per": "1 EUR"},
        f"earn rule per-amount: points: a whole number from 1 to {MOST}, not 0",
    ),
    (PointsPerAmount, {"points": 1, "per": "1"}, f"earn rule per-amount: per: {ISO} ''"),
    (PointsPerAmount, {"points": 1, "per": "0 EUR"}, "earn rule per-amount: per: it is above zero"),
    (
        PointsPerAmount,
        {"points": 1, "per": "1 EUR", "at_most": True},
        f"earn rule per-amount: at_most: a whole number from 1 to {MOST}, not True",
    ),
    (
        PointsPerVisit,
        {"points": 1.0},
        f"earn rule visit: points: a whole number from 1 to {MOST}, not 1.0",
    ),
    (PointsPerVisit, {"minimum": "x EUR"}, "earn rule visit: minimum: 'x' is no decimal amount"),
    (PointsPerVisit, {"minimum": "-1 EUR"}, "earn rule visit: minimum: it is above zero"),
    (
        TierMultiplier,
        {"ladder": "", "factors": {"gold": 2}},
        f"earn rule tier-multiplier: ladder: {CODE} ''",
    ),
    (
        TierMultiplier,
        {"ladder": "club", "factors": {}},
        "earn rule tier-multiplier: factors: at least one tier is wanted",
    ),
    (
        TierMultiplier,
        {"ladder": "club", "factors": {"": 2}},
        f"earn rule tier-multiplier: factors: {CODE} ''",
    ),
    (
        TierMultiplier,
        {"ladder": "club", "factors": {"gold": "0.5"}},
        "earn rule tier-multiplier: factors: gold: from 1 to 1000, not '0.5'",
    ),
    (
        FirstPurchaseBonus,
        {"points": -1},
        f"earn rule first-purchase: points: a whole number from 1 to {MOST}, not -1",
    ),
]


@pytest.mark.parametrize(("kind", "fields", "problem"), REFUSALS)
def test_refuses(kind: Any, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        kind(STAR, **fields)
    assert str(caught.value) == problem


@pytest.mark.parametrize(("kind", "fields", "terms"), BOX)
def test_refuses_a_currency(kind: Any, fields: dict[str, Any], terms: Any) -> None:
    code = kind(STAR, **fields).code
    with pytest.raises(DeclarationError) as caught:
        kind("", **fields)
    assert str(caught.value) == f"earn rule {code}: currency: {CODE} ''"
