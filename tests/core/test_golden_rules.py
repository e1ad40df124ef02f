"""Golden cases of the field's rule engines, as data rules: no code stands behind any of them.

Of Odoo's presets what they count; what they issue stands in `tests.core.test_odoo`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.data_rules import parse, rule_of
from laurels import Facts, Purchase, Use
from laurels.evaluation import Evaluation
from laurels.evaluator import evaluate
from laurels.purchase import Line

MONDAY_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def judged(lines: list[Line], *rules: dict[str, Any], tier: str = "", **known: Any) -> Evaluation:
    """What these rules, in this order, make of a receipt in euros, by what is known besides."""
    made = [
        rule_of(parse({"code": f"r{n}", "title": f"R{n}", **rule})) for n, rule in enumerate(rules)
    ]
    purchase = Purchase("shop", "1", MONDAY_NOON, "EUR", tuple(lines))
    return evaluate(made, purchase, Facts(0, {"club": tier} if tier else {}, **known))


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


@pytest.mark.parametrize(
    ("paid", "window", "given"),
    [(999, "monday", 0), (1_000, "monday", 1 + 5), (2_500, "monday", 2 + 5), (2_500, "sunday", 2)],
)
def test_square_adds_a_promotion_in_its_window_where_base_points_were_earned(
    paid: int, window: str, given: int
) -> None:
    """One of those in force: a condition asks what the base asks; a window is local time."""
    happy = f"local.weekday == '{window}' && local.hour >= 11 && local.hour < 13"
    earned = "purchase.total >= 10.0"
    promotion = gives(5) | {"when": f"{earned} && {happy}"}
    chosen = {"group": {"code": "promotions", "mode": "first"}}
    assert points([Line("A", paid)], SQUARE_STEP, promotion | chosen, promotion | chosen) == given


def test_square_takes_a_factor_of_nothing_where_nothing_was_earned() -> None:
    half_more = {"multiply": {"currency": "P", "factor": "1.5"}}
    assert not judged([Line("A", 999)], SQUARE_STEP, half_more).granted


def test_talon_one_flattens_lines_so_that_a_unit_can_be_returned() -> None:
    """Of three pieces and one: what each unit position gave, to be taken back by the unit."""
    each = gives(7, each_unit=True) | {"lines": "line.type == 'A'"}
    (granted,) = judged([Line("A", 3_000, 3_000), Line("B", 500)], each).granted
    assert list(granted.lines) == [21, 0]


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


def test_square_lets_another_promotion_qualify_where_one_has_reached_its_trigger_limit() -> None:
    """The most recently created one first; DAY is the calendar's day, ALL_TIME is ever."""
    promotions = {"group": {"code": "promotions", "mode": "first"}}
    newer = gives(9) | promotions | {"caps": [{"times": 1, "per": "calendar 1D"}]}
    older = gives(5) | promotions
    line = [Line("A", 1_000)]
    assert judged(line, newer, older).points("P") == 9
    used = {"r0": [Use(MONDAY_NOON - timedelta(hours=11), "P", 9)]}
    assert judged(line, newer, older, uses=used).points("P") == 5
    yesterday = {"r0": [Use(MONDAY_NOON - timedelta(hours=13), "P", 9)]}
    assert judged(line, newer, older, uses=yesterday).points("P") == 9
    ever = gives(9) | promotions | {"caps": [{"times": 1}]}
    assert judged(line, ever, older, uses=yesterday).points("P") == 5


def test_talon_one_awards_what_a_budget_has_left_and_keeps_what_was_desired() -> None:
    campaign = gives(60) | {"budget": {"code": "summer", "points": 1000}}
    (granted,) = judged([Line("A", 1_000)], campaign, budgets={"summer": 25}).granted
    assert (granted.points, granted.wanted) == (25, 60)


def test_talon_one_limits_a_profile_by_day_week_month_and_year() -> None:
    sizes = {"D": 50, "W": 90, "M": 120, "Y": 200}
    limits = [{"points": n, "per": f"calendar 1{unit}"} for unit, n in sizes.items()]
    rule = gives(60) | {"caps": limits}
    line = [Line("A", 1_000)]
    assert judged(line, rule).points("P") == 50
    for ago, used, left in (
        (timedelta(hours=11), 30, 20),  # the same day
        (timedelta(days=1), 80, 40),  # Sunday: another week, the same month
        (timedelta(days=60), 170, 30),  # the same year
        (timedelta(days=400), 200, 50),
    ):
        before = {"r0": [Use(MONDAY_NOON - ago, "P", used)]}
        assert judged(line, rule, uses=before).points("P") == left, ago


def test_voucherify_limits_of_a_period_reduce_and_strict_ones_reject() -> None:
    line = [Line("A", 1_000)]
    used = {"r0": [Use(MONDAY_NOON, "P", 70)]}
    for rejects, given in ((False, 30), (True, 0)):
        cap = {"points": 100, "per": "calendar 1M", "rejects": rejects}
        assert judged(line, gives(60) | {"caps": [cap]}, uses=used).points("P") == given


def test_voucherify_cools_a_rule_down_and_counts_how_often_it_gives() -> None:
    line = [Line("A", 1_000)]
    cooldown = gives(6) | {"caps": [{"times": 1, "per": "24h"}, {"times": 3, "per": "calendar 1W"}]}
    for ago, given in ((23, 0), (24, 6)):
        used = {"r0": [Use(MONDAY_NOON - timedelta(hours=ago), "P", 6)]}
        assert judged(line, cooldown, uses=used).points("P") == given, ago


def test_open_loyalty_and_talon_one_count_an_achievement_to_its_target() -> None:
    """Every third purchase of a week; and on sums of money, what is beyond carried on."""
    thrice = gives(50, every=3, within="calendar 1W")
    line = [Line("A", 1_000)]
    for before, given, after in ((0, 0, 1), (1, 0, 2), (2, 50, 0)):
        found = judged(line, thrice, carried={"r0": before})
        assert (found.points("P"), found.carried) == (given, {0: after})
    sums = gives(1, per="50.00 EUR", carries=True)
    found = judged([Line("A", 4_500)], sums, carried={"r0": 1_000})
    assert (found.points("P"), found.carried) == (1, {0: 500})
