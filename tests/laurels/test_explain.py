"""The words a person reads, exactly, from stored terms: whatever became of the rule since."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from laurels.declarations import Currency
from laurels.earning import (
    FirstPurchaseBonus,
    PointsPerAmount,
    PointsPerVisit,
    ProductTypeRewardCalculator,
    TierMultiplier,
)
from laurels.evaluator import evaluate
from laurels.explain import LineTold, Told, tell_award
from laurels.money import Money
from laurels.purchase import Facts, Line, Purchase
from laurels.rounding import Rounding

STAR = Currency("STAR", "Stars")
LINES = (Line("coffee", 450), Line("cake", 150), Line("", 99))


def told(*rules: Any, lines: tuple[Line, ...] = LINES, tier: str = "gold") -> Told:
    """The last award of these rules in words, from terms that went through storage."""
    purchase = Purchase("cafe", "r1", datetime(2025, 1, 1, tzinfo=UTC), "EUR", lines)
    granted = evaluate(rules, purchase, Facts(tiers={"club": tier})).granted[-1]
    rule = rules[granted.rule]
    stored = json.loads(json.dumps(dict(rule.terms)))
    return tell_award(
        rule.title,
        stored,
        STAR.name,
        "EUR",
        lines,
        granted.lines,
        base=granted.base,
        wanted=granted.wanted,
        because=granted.because,
    )


def by_type(**fields: Any) -> ProductTypeRewardCalculator:
    """The rule by product type that these tests tell."""
    plain: dict[str, Any] = {"rates": {"coffee": "1.5", "cake": 2}, "default": "0.5"}
    return ProductTypeRewardCalculator(STAR, **{**plain, **fields})


def test_by_product_type() -> None:
    assert told(by_type()) == Told(
        "Points by the type of product: 9 Stars; 6 for coffee (4.50 EUR at 1.5), "
        "3 for cake (1.50 EUR at 2); rounded down, line by line.",
        (
            LineTold(1, "coffee", Money(450, "EUR"), "1.5", 6),
            LineTold(2, "cake", Money(150, "EUR"), "2", 3),
            LineTold(3, "", Money(99, "EUR"), "0.5", 0),
        ),
        "by product type, 0.5 for a full EUR otherwise",
        "rounded down, line by line",
        (),
    )


def test_a_cap_is_told() -> None:
    capped = told(by_type(at_most=5))
    assert capped.text == (
        "Points by the type of product: 5 Stars; 3 for coffee (4.50 EUR at 1.5), "
        "2 for cake (1.50 EUR at 2); rounded down, line by line; "
        "capped at 5 for one receipt; without the cap 9."
    )
    assert capped.caps == ("capped at 5 for one receipt; without the cap 9",)


def test_a_type_without_a_name_and_the_rest() -> None:
    lines = (Line("", 1000), Line("a", 400), Line("b", 300), Line("c", 200), Line("a", 100))
    rule = ProductTypeRewardCalculator(STAR, {}, default=1, rounding=Rounding.RECEIPT_UP)
    assert told(rule, lines=lines).text == (
        "Points by the type of product: 20 Stars; 10 for other (10.00 EUR at 1), "
        "5 for a (5.00 EUR at 1), 3 for b (3.00 EUR at 1), 2 for the rest; "
        "rounded up, once per receipt."
    )


@pytest.mark.parametrize(
    ("rules", "text", "rate"),
    [
        (
            [PointsPerAmount(STAR, 2, "1.00 EUR")],
            "Points for what you spend: 12 Stars; 2 for every full 1.00 EUR.",
            "2 for every full 1.00 EUR",
        ),
        (
            [PointsPerAmount(STAR, 2, "1.00 EUR", per_step=False)],
            "Points for what you spend: 13 Stars; 2 for each 1.00 EUR.",
            "2 for each 1.00 EUR",
        ),
        (
            [PointsPerAmount(STAR, 2, "1.00 EUR", at_most=5)],
            "Points for what you spend: 5 Stars; 2 for every full 1.00 EUR; "
            "capped at 5 for one receipt; without the cap 12.",
            "2 for every full 1.00 EUR",
        ),
        (
            [PointsPerVisit(STAR, 3, minimum="1.00 EUR")],
            "Points for each visit: 3 Stars; 3 a visit.",
            "3 a visit",
        ),
        (
            [PointsPerVisit(STAR, 4), TierMultiplier(STAR, "club", {"gold": "1.5"})],
            "More points for your tier: 2 Stars; 6 in place of 4.",
            None,
        ),
        (
            [FirstPurchaseBonus(STAR, 50)],
            "Welcome bonus on your first purchase: 50 Stars.",
            None,
        ),
    ],
)
def test_each_rule_in_the_box(rules: list[Any], text: str, rate: str | None) -> None:
    award = told(*rules)
    assert (award.text, award.rate, award.rounding) == (text, rate, None)
    assert {line.rate for line in award.lines} == {None}


def test_the_words_stay_right_after_the_rule_changed() -> None:
    before = by_type()
    stored = json.dumps(dict(before.terms))
    points = [6, 3, 0]
    # The rule that now bears the same code has other rates; the award is told by those of its time.
    after = by_type(rates={"coffee": 9}, default=7, rounding=Rounding.RECEIPT_UP, code=before.code)
    assert after.terms != before.terms
    old = tell_award(before.title, json.loads(stored), "Stars", "EUR", LINES, points)
    assert old == told(before)
    new = tell_award(after.title, after.terms, "Stars", "EUR", LINES, points)
    assert new.text == (
        "Points by the type of product: 9 Stars; 6 for coffee (4.50 EUR at 9), "
        "3 for cake (1.50 EUR at 7); rounded up, once per receipt."
    )


@pytest.mark.parametrize("because", ["Double on Sundays", "Double on Sundays."])
def test_a_reason_goes_before_the_figures(because: str) -> None:
    terms = {"kind": "PointsPerVisit", "points": 3}
    award = tell_award("Sundays", terms, "Stars", "EUR", LINES, [3, 0, 0], because=because)
    assert award.text == "Sundays: 3 Stars; Double on Sundays."


@pytest.mark.parametrize(
    "terms",
    [
        {},
        {"rounding": "bankers"},
        {"rounding": 5},
        {"rates": {"coffee": "9"}},
        {"rates": ["coffee"]},
        {"default": "3"},
        {"kind": "PointsPerAmount"},
        {"kind": "PointsPerVisit"},
        {"kind": ["x"]},
    ],
)
def test_a_partners_own_terms_are_never_misread(terms: dict[str, Any]) -> None:
    award = tell_award("My rule", terms, "Stars", "EUR", LINES, [1, 2, 3])
    assert (award.text, award.rate, award.rounding) == ("My rule: 6 Stars.", None, None)
    assert [line.rate for line in award.lines] == [None, None, None]


def test_an_unhindered_cap_is_no_cap() -> None:
    assert tell_award("T", {}, "Stars", "EUR", LINES, [1, 2, 3], wanted=6).caps == ()


def test_points_belong_to_lines() -> None:
    with pytest.raises(ValueError, match="shorter"):
        tell_award("T", {}, "Stars", "EUR", LINES, [1])
