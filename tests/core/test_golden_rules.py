"""Golden cases of the field's rule engines, as data rules: no code stands behind any of them.

Of Odoo's presets what they count; what they issue stands in `tests.core.test_odoo`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.data_rules import parse, rule_of
from laurels import Facts, Purchase
from laurels.evaluation import Evaluation
from laurels.evaluator import evaluate
from laurels.purchase import Line

MONDAY_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def judged(lines: list[Line], *rules: dict[str, Any], tier: str = "") -> Evaluation:
    """What these rules, in this order, make of a receipt in euros."""
    made = [
        rule_of(parse({"code": f"r{n}", "title": f"R{n}", **rule})) for n, rule in enumerate(rules)
    ]
    purchase = Purchase("shop", "1", MONDAY_NOON, "EUR", tuple(lines))
    return evaluate(made, purchase, Facts(0, {"club": tier} if tier else {}))


def points(lines: list[Line], *rules: dict[str, Any], tier: str = "") -> int:
    """All of them."""
    return judged(lines, *rules, tier=tier).points("P")


def gives(count: int, **more: Any) -> dict[str, Any]:
    """An award."""
    return {"award": {"currency": "P", "points": count, **more}}


SQUARE_STEP = gives(1, per="10.00 EUR")


def test_square_counts_full_steps_and_drops_fractions() -> None:
    """105 at 1 for 10 gives 10; 4 points times 1.5 give 6, 3 times 1.5 give 4."""
    assert points([Line("A", 10_500)], SQUARE_STEP) == 10
    half_more = {"multiply": {"currency": "P", "factor": "1.5"}}
    assert points([Line("A", 4_000)], SQUARE_STEP, half_more) == 6
    assert points([Line("A", 3_000)], SQUARE_STEP, half_more) == 4


def test_square_picks_the_one_accrual_rule_that_grants_most() -> None:
    base = {"group": {"code": "accrual"}}
    visit, item = gives(4) | base, gives(2, each_unit=True) | {"lines": "line.type == 'A'"} | base
    rules = (visit, SQUARE_STEP | base, item)
    assert points([Line("A", 5_000)], *rules) == 5
    assert points([Line("A", 1_000)], *rules) == 4
    assert points([Line("A", 1_000, 3_000)], *rules) == 6


def test_odoo_loyalty_counts_what_was_paid() -> None:
    """One for each euro on 100 less 30 %: 70."""
    rule = gives(1, per="1.00 EUR", whole_steps=False)
    assert points([Line("A", 7_000)], rule) == 70
    # Gift cards and what was paid with points are lines that don't count.
    card = Line("GIFT CARD", 5_000)
    assert points([Line("A", 7_000), card], rule | {"lines": "line.type != 'GIFT CARD'"}) == 70


@pytest.mark.parametrize(("paid", "given"), [(4_999, 0), (5_000, 1), (50_000, 1)])
def test_odoo_promotion_gives_one_an_order_from_fifty_on(paid: int, given: int) -> None:
    assert points([Line("A", paid)], {"when": "purchase.total >= 50.0", **gives(1)}) == given


@pytest.mark.parametrize(("pieces", "given"), [(1, 0), (2, 2), (5, 5)])
def test_odoo_buy_x_get_y_counts_units_from_the_second_on(pieces: int, given: int) -> None:
    """The points that then pay for the product; of the kind alone that it is for."""
    rule = {
        "when": "lines.exists(x, x.type == 'SHIRT' && x.quantity >= 2.0)",
        "lines": "line.type == 'SHIRT'", **gives(1, each_unit=True),
    }  # fmt: skip
    assert points([Line("SHIRT", 900, pieces * 1000), Line("SOCK", 300, 9000)], rule) == given


def test_odoo_gift_cards_count_each_piece() -> None:
    """Two of 50: 100 points on one line, 50 for each, so that a return of one takes 50."""
    card = Line("GIFT CARD", 10_000, 2_000)
    rule = gives(1, per="1.00 EUR", whole_steps=False) | {"lines": "line.type == 'GIFT CARD'"}
    (granted,) = judged([Line("A", 900), card], rule).granted
    assert list(granted.lines) == [0, 100]


@pytest.mark.parametrize(
    ("mode", "each_line", "expected"),
    [
        ("first", False, [10, 10, 10]),
        ("highest", False, [0, 0, 90]),
        ("lowest", False, [10, 10, 10]),
        ("highest", True, [20, 20, 90]),
        ("first", True, [10, 10, 10]),
    ],
)
def test_talon_one_evaluates_a_group_by_its_mode_on_the_receipt_or_each_item(
    mode: str, each_line: bool, expected: list[int]
) -> None:
    """Stackable groups are those without a name: they add up."""
    group = {"group": {"code": "g", "mode": mode, "each_line": each_line}}
    lines = [Line("A", 1_000), Line("A", 1_000), Line("B", 9_000)]
    rules = (
        gives(10, each_unit=True) | group,
        gives(20, each_unit=True) | {"lines": "line.type == 'A'"} | group,
        gives(90) | {"lines": "line.type == 'B'"} | group,
    )
    granted = judged(lines, *rules).granted
    assert [sum(some) for some in zip(*(g.lines for g in granted), strict=True)] == expected
    stacked = [{k: v for k, v in rule.items() if k != "group"} for rule in rules]
    assert points(lines, *stacked) == 30 + 40 + 90


def test_voucherify_multiplies_by_tier_and_caps_what_a_receipt_gets() -> None:
    """A global cap reduces: what was wanted is kept beside what was given."""
    gold = {
        "when": "has(member.tiers.club) && member.tiers.club == 'gold'",
        "multiply": {"currency": "P", "factor": "2"},
    }
    capped = gives(1, per="1.00 EUR", at_most=30)
    found = judged([Line("A", 5_000)], capped, gold, tier="gold")
    assert [(g.points, g.wanted) for g in found.granted] == [(30, 50), (30, None)]
    assert points([Line("A", 5_000)], capped, gold) == 30
