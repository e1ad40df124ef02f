"""Rules on a basis: what they give on which line, and never on one that doesn't count."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from laurels import (
    Award,
    Basis,
    Cap,
    Challenge,
    DeclarationError,
    EarnRule,
    Effects,
    Facts,
    FirstPurchaseBonus,
    FunctionRule,
    Group,
    Line,
    LineKind,
    Partner,
    PointsPerAmount,
    PointsPerVisit,
    ProductTypeRewardCalculator,
    Purchase,
    Rounding,
    TierMultiplier,
    award,
    based,
    capped,
    deny,
    earn_rule,
    evaluate,
    grouped,
    multiply,
    pending,
    set_attribute,
)
from laurels.based import basis_of_rule, on_basis
from laurels.rounding import spread
from laurels.testing import NOW
from tests.laurels.baskets import (
    CARD,
    DELIVERY,
    FEE,
    SHIRT,
    STEP,
    any_basis,
    any_lines,
    bought,
    by_line,
    judged,
)

# -- what rules give on one ------------------------------------------------------------------------


def test_the_rules_of_the_box_count_on_a_basis_unchanged() -> None:
    lines = (SHIRT, DELIVERY, CARD, FEE)
    goods: dict[str, Any] = {"of": "net-of-points", "without": ["delivery", "gift-cards", "fees"]}
    rules: dict[str, tuple[EarnRule, list[int]]] = {
        "step": (STEP, [6, 0, 0, 0]),
        "type": (ProductTypeRewardCalculator("P", {}, default=2), [12, 0, 0, 0]),
        "receipt": (
            ProductTypeRewardCalculator("P", {}, default=1, rounding=Rounding.RECEIPT_UP),
            [6, 0, 0, 0],
        ),
        "visit": (PointsPerVisit("P", 3, minimum="6.00 USD"), [3, 0, 0, 0]),
        "first": (FirstPurchaseBonus("P", 7), [7, 0, 0, 0]),
        "units": (Challenge("P", 5, units=1), [5, 0, 0, 0]),
        "spend": (Challenge("P", 5, spend="6.00 USD"), [5, 0, 0, 0]),
    }
    for name, (rule, expected) in rules.items():
        assert by_line(based(rule, **goods), *lines) == expected, name
    (refused,) = judged([based(PointsPerVisit("P", minimum="6.01 USD"), **goods)], *lines).refused
    assert refused.because == "needs at least 6.01 USD, this was 6.00 USD"
    (refused,) = judged([based(Challenge("P", 5, units=2), **goods)], *lines).refused
    assert refused.because == "1 unit more to go"


def test_a_receipt_of_which_nothing_counts_gives_nothing_and_says_so() -> None:
    given = judged(
        [
            based(FirstPurchaseBonus("P", 7), without=["gift-cards", "fees"]),
            based(Challenge("P", 5, purchases=2), except_types=["gift card", "bag"]),
            based(STEP, "gross"),
        ],
        CARD,
        FEE,
    )
    assert [(r.rule, r.because) for r in given.refused] == [
        (0, "nothing here counts: it is for what was paid, without gift cards and fees"),
        (1, "nothing here counts: it is for what was paid, except bag and gift card"),
    ]
    assert [g.rule for g in given.granted] == [2]
    assert given.carried == {}


def test_what_points_paid_for_altogether_leaves_a_visit_a_visit() -> None:
    """The goods count; their money is nought."""
    free = Line("tea", 300, points_paid=300)
    rules = [based(STEP, "net-of-points"), based(PointsPerVisit("P", 2), "net-of-points")]
    given = judged(rules, free)
    assert [(g.rule, g.points) for g in given.granted] == [(1, 2)]
    assert [r.because for r in given.refused] == ["spend 1.00 USD more"]


def test_points_never_fall_on_a_line_that_does_not_count() -> None:
    """Whatever a brand's own rule says, and also where all that counts is free."""

    @earn_rule("flat", "Ten on the first line")
    def first_line(purchase: Purchase, facts: Facts) -> Award:
        return award("P", 10, lines=[10] + [0] * (len(purchase.lines) - 1))

    @earn_rule("spread", "Ten")
    def anywhere(purchase: Purchase, facts: Facts) -> Award:
        return award("P", 10)

    goods: dict[str, Any] = {"without": ["gift-cards"]}
    free = Line("tea", 0)
    for rule in (first_line, anywhere):
        assert by_line(based(rule, **goods), CARD, SHIRT, Line("tea", 3000)) == [0, 3, 7]
        assert by_line(based(rule, **goods), CARD, free, free) == [0, 5, 5]
    assert by_line(first_line, CARD, SHIRT) == [10, 0]
    assert by_line(based(first_line, **goods), SHIRT, CARD) == [10, 0]
    assert by_line(based(first_line, "gross"), CARD, SHIRT) == [10, 0]


def test_a_rule_of_ones_own_is_shown_the_basis_and_can_look_behind_it() -> None:
    seen: list[Purchase] = []

    @earn_rule("own", "Own")
    def own(purchase: Purchase, facts: Facts) -> None:
        seen.append(purchase)

    judged([based(own, "gross", without=["delivery"]), own], SHIRT, DELIVERY)
    view, whole = seen
    assert str(view.total) == "12.00 USD"
    assert str(view.whole.total) == str(whole.total) == "14.90 USD"


def test_one_view_is_made_for_all_rules_of_a_basis() -> None:
    seen: list[Purchase] = []

    @earn_rule("own", "Own")
    def own(purchase: Purchase, facts: Facts) -> None:
        seen.append(purchase)

    rules: list[EarnRule] = [
        based(own, "gross"),
        based(own, "gross"),
        based(own),
        own,
        based(own, "net-of-points"),
    ]
    purchase = bought(SHIRT)
    evaluate(rules, purchase, Facts())
    assert seen[0] is seen[1]
    assert seen[2] is seen[3] is purchase
    assert seen[4] is not seen[0]


def test_a_multiplier_multiplies_whatever_others_counted() -> None:
    rules: list[EarnRule] = [
        based(STEP, without=["gift-cards"]),
        TierMultiplier("P", "club", {"gold": 2}),
    ]
    given = judged(rules, Line("tea", 700), CARD, tiers={"club": "gold"})
    assert [(g.points, list(g.lines)) for g in given.granted] == [(7, [7, 0]), (7, [7, 0])]
    with pytest.raises(DeclarationError) as refused:
        based(rules[1], "gross")
    assert str(refused.value) == (
        "earn rule tier-multiplier: based: it multiplies what others count"
    )
    with pytest.raises(DeclarationError) as refused:
        based(TierMultiplier)  # type: ignore[arg-type]  # on purpose
    assert str(refused.value).startswith("based: an earn rule is wanted, not")


def test_a_basis_goes_with_caps_groups_and_pending_in_any_order() -> None:
    group = Group("g")
    (one,) = grouped(group, based(capped(pending("14D", STEP), Cap(points=5)), "gross"))
    other = pending("14D", based(capped(grouped(group, STEP)[0], Cap(points=5)), "gross"))
    assert one == other
    given = judged([one], SHIRT)
    assert [(g.points, g.wanted) for g in given.granted] == [(5, 12)]


def test_a_partners_usual_basis_is_taken_by_rules_that_name_none_and_count() -> None:
    usual = Basis("net-of-points", ["tax"])
    own, factor = based(STEP, "gross"), TierMultiplier("P", "club", {"gold": 2})
    taken = on_basis(STEP, usual)
    assert basis_of_rule(taken) == usual
    assert taken.terms["basis"] == "net-of-points"
    assert on_basis(taken, Basis("gross")) is taken
    assert on_basis(own, usual) is own
    assert on_basis(factor, usual) is factor
    assert on_basis(STEP, None) is STEP
    assert Partner("shop", "Shop", basis=usual).basis == usual


# -- what systems of the field do ------------------------------------------------------------------


def test_square_counts_neither_tax_nor_tips() -> None:
    """105.00 with 5.00 of tax, and a tip of 20.00: 10 at 1 for each 10.00."""
    rule = based(PointsPerAmount("P", 1, "10.00 USD"), without=["tax", "fees"])
    lines = (Line("food", 10_500, tax=500), Line("tip", 2_000, kind=LineKind.FEE))
    assert by_line(rule, *lines) == [10, 0]
    assert sum(by_line(rule.rule, *lines)) == 12


def test_odoo_leaves_out_delivery_and_gift_cards() -> None:
    rule = based(
        PointsPerAmount("P", 1, "1.00 USD", per_step=False), without=["delivery", "gift-cards"]
    )
    assert by_line(rule, Line("A", 7_000), CARD, DELIVERY) == [70, 0, 0]


def test_shops_count_net_of_discounts_by_default_and_gross_where_a_rule_says_so() -> None:
    """100.00 less 30 %: 70, as Smile, Shopify and Yotpo count a subtotal after discounts."""
    line = Line("A", 7_000, discount=3_000)
    assert by_line(STEP, line) == [70]
    assert by_line(based(STEP), line) == [70]
    assert by_line(based(STEP, "gross"), line) == [100]


def test_what_is_partly_paid_with_points_earns_on_the_rest() -> None:
    lines = (Line("A", 6_000, points_paid=2_500), Line("B", 4_000))
    assert by_line(based(STEP, "net-of-points"), *lines) == [35, 40]
    assert by_line(STEP, *lines) == [60, 40]


@earn_rule("odd", "Points on every line, whatever it is")
def odd_rule(purchase: Purchase, facts: Facts) -> Award:
    return award("P", 3 * len(purchase.lines), lines=[3] * len(purchase.lines))


RULES: list[EarnRule] = [
    STEP,
    PointsPerAmount("P", 3, "2.00 USD", per_step=False, code="part"),
    ProductTypeRewardCalculator("P", {"A": 2}, default="0.5", rounding=Rounding.LINE_UP),
    PointsPerVisit("P", 5),
    FirstPurchaseBonus("P", 9),
    Challenge("P", 4, units=1),
    odd_rule,
]


@given(any_lines(), any_basis)
def test_lines_that_do_not_count_get_no_points_and_the_others_all_of_them(
    lines: list[Line], basis: Basis
) -> None:
    rules = [
        based(r, basis.of, without=basis.without, except_types=basis.except_types) for r in RULES
    ]
    given = judged(rules, *lines)
    counting = [basis.counts(line) for line in lines]
    for granted in given.granted:
        assert sum(granted.lines) == granted.points
        assert all(own or not n for n, own in zip(granted.lines, counting, strict=True))
    if not any(counting):
        assert given.granted == ()
        assert len(given.refused) == len(RULES)
    else:
        assert [g.points for g in given.granted if g.rule == 6] == [3 * len(lines)]


@given(any_lines())
def test_without_a_basis_and_on_the_usual_one_all_is_as_it_ever_was(lines: list[Line]) -> None:
    """Also where lines say more: nobody asks for it."""
    before = [Line(*line[:4]) for line in lines]
    plain = judged(RULES, *before)
    assert judged(RULES, *lines) == plain
    assert judged([based(r) for r in RULES], *lines) == plain
    assert spread(5, bought(*lines).amounts) == spread(5, bought(*before).amounts)


def test_a_veto_on_the_usual_basis_stands_where_nothing_counts() -> None:
    """And a factor, and what is noted; an award doesn't, nor what stands beside one."""
    cards = Purchase("p", "r", NOW, "USD", (Line("card", 5000, kind=LineKind.GIFT_CARD),))
    usual = Basis(without=["gift-cards"])

    def made(code: str, effects: Effects) -> EarnRule:
        rule = FunctionRule(code, code.upper(), lambda purchase, facts: effects)
        return on_basis(rule, usual)

    paid = based(PointsPerVisit("S", 10, code="paid"), "paid")
    beside = made("beside", [award("S", 5), set_attribute("a", "b")])
    noting = made("noting", set_attribute("c", "d"))
    found = evaluate([paid, beside, noting, made("double", multiply("S", 2))], cards, Facts())
    assert [(g.rule, g.points) for g in found.granted] == [(0, 10), (3, 10)]
    assert [x.name for x in found.noted] == ["c"]
    assert [r.because for r in found.refused] == [
        "nothing here counts: it is for what was paid, without gift cards"
    ]
    denied = evaluate([paid, made("veto", deny("no gift cards"))], cards, Facts())
    assert denied.granted == ()
