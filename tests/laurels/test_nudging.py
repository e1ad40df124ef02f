"""No nudge is a lie: whatever is promised, the cart with that much more is judged to get."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels import (
    Cap,
    Challenge,
    Currency,
    EarnRule,
    Evaluation,
    Facts,
    Line,
    LineKind,
    Money,
    PointsPerAmount,
    PointsPerVisit,
    ProductTypeRewardCalculator,
    Purchase,
    TierMultiplier,
    Use,
    award,
    based,
    capped,
    earn_rule,
    evaluate,
    nothing,
)
from laurels.nudging import MOST_NUDGES, Nudge, least_more, nudges

POINT, STAR = Currency("POINT", "Points"), Currency("STAR", "Stars")
AT = datetime(2026, 3, 3, 12, tzinfo=UTC)
FACTS = Facts(3, {"club": "gold"}, carried={"spree": 1750, "rest": 320})


@earn_rule("feast", "A hundred from 50.00 on", {"minimum": "50.00 USD", "at_least": "no money"})
def feast(purchase: Purchase, facts: Facts):  # type: ignore[no-untyped-def]  # noqa: ANN201
    """A rule of one's own, which says in its terms from when on it gives."""
    if purchase.total < "50.00":
        return nothing("needs 50.00")
    return award(POINT, 100)


RULES: Sequence[EarnRule] = [
    PointsPerAmount(POINT, 1, "1.00 USD"),
    PointsPerAmount(POINT, 20, "15.00 USD", code="steps", at_most=60),
    PointsPerAmount(STAR, 1, "5.00 USD", code="rest", carries=True),
    PointsPerVisit(STAR, 5, minimum="30.00 USD", code="basket"),
    Challenge(POINT, 70, spend="60.00 USD", at_least="8.00 USD", code="spree"),
    Challenge(POINT, 9, spend="60.00 USD", of=["tea"], code="tea"),
    Challenge(POINT, 5, purchases=4, code="four"),
    ProductTypeRewardCalculator(STAR, {"tea": 2}, default="0.5", code="types"),
    based(
        PointsPerVisit(POINT, 30, minimum="25.00 USD", code="goods"), "net-of-points",
        without=["tax", "delivery", "gift-cards"],
    ),
    capped(PointsPerVisit(STAR, 8, minimum="12.00 USD", code="once"), Cap(points=3, per="7D")),
    TierMultiplier(POINT, "club", {"gold": "1.5"}),
    feast,
]  # fmt: skip


def cart(*lines: Line) -> Purchase:
    """What somebody is about to buy."""
    return Purchase("club", "R", AT, "USD", lines)


def promised(rules: Sequence[EarnRule], bought: Purchase, nudge: Nudge) -> tuple[int, int]:
    """What a cart with that much more of its dearest goods gets more; and with a cent less.

    Put together here, by hand, and judged by the evaluator itself.
    """
    goods = [line for line in bought.lines if line.kind is LineKind.GOODS]
    kind = max(goods, key=lambda line: line.amount).product_type
    before = evaluate(rules, bought, FACTS).points(nudge.currency)

    def gain(minor: int) -> int:
        if not minor:
            return 0
        after = cart(*bought.lines, Line(kind, minor, 1000))
        return evaluate(rules, after, FACTS).points(nudge.currency) - before

    return gain(nudge.missing.minor), gain(nudge.missing.minor - 1)


def told(rules: Sequence[EarnRule], bought: Purchase) -> list[Nudge]:
    """The nudges of a cart."""
    now = evaluate(rules, bought, FACTS)
    return nudges(rules, bought, now, lambda tried: evaluate(rules, tried, FACTS))


_lines = st.builds(
    Line,
    st.sampled_from(["tea", "cake", "cup"]),
    st.integers(0, 6000),
    st.just(1000),
    kind=st.sampled_from(LineKind),
    sku=st.just(""),
    discount=st.just(0),
    tax=st.just(0),
    points_paid=st.just(0),
)


@given(
    st.lists(st.sampled_from(RULES), min_size=1, max_size=6, unique_by=lambda rule: rule.code),
    st.lists(_lines, min_size=1, max_size=4),
)
def test_every_nudge_comes_true(rules: list[EarnRule], lines: list[Line]) -> None:
    bought = cart(*lines)
    found = told(rules, bought)
    assert len(found) <= MOST_NUDGES
    for nudge in found:
        gain, less = promised(rules, bought, nudge)
        assert gain == nudge.points > less
        assert 0 < nudge.missing.minor <= bought.total_minor


def test_a_lie_would_be_found() -> None:
    """The control: a promise that is off by a point, or by a cent, fails what is asked above."""
    bought = cart(Line("cake", 4580))
    [best, *_] = told([feast], bought)
    assert best == Nudge(Money(420, "USD"), "POINT", 100)
    assert promised([feast], bought, best) == (100, 0)
    assert promised([feast], bought, best._replace(points=101))[0] != 101
    assert promised([feast], bought, best._replace(missing=Money(419, "USD")))[0] != best.points
    assert promised([feast], bought, best._replace(missing=Money(421, "USD")))[1] == best.points


def test_the_best_come_first() -> None:
    # 23.00: 23, and 20 for one step of 15.00; 30.00 is the second step and the basket's least.
    bought = cart(Line("cake", 2300))
    rules = [RULES[0], RULES[1], RULES[3]]
    assert told(rules, bought) == [
        Nudge(Money(700, "USD"), "POINT", 27),  # 7 and 20
        Nudge(Money(700, "USD"), "STAR", 5),
        # A dollar more brings no more than the 43 of 23.00 come to, less than two: nothing to say.
    ]


@pytest.mark.parametrize(
    "lines",
    [
        [Line("gift card", 4900, 1000, kind=LineKind.GIFT_CARD)],
        [Line("cake", 0)],
        [Line("cake", 10)],
    ],
)
def test_of_some_carts_there_is_nothing_to_say(lines: list[Line]) -> None:
    assert told([feast], cart(*lines)) == []


def test_what_a_cap_cuts_is_not_promised() -> None:
    rule = capped(PointsPerVisit(STAR, 8, minimum="12.00 USD", code="once"), Cap(times=1))
    used = Facts(uses={rule.ceilings[0].key("once"): [Use(AT, "STAR", 8)]})

    def judge(tried: Purchase, facts: Facts) -> Evaluation:
        return evaluate([rule], tried, facts)

    bought = cart(Line("cake", 1000))
    assert nudges([rule], bought, judge(bought, Facts()), lambda x: judge(x, Facts())) == [
        Nudge(Money(200, "USD"), "STAR", 8)
    ]
    assert nudges([rule], bought, judge(bought, used), lambda x: judge(x, used)) == []


def test_the_least_more_for_so_many_points() -> None:
    bought, rules = cart(Line("cake", 2300)), RULES[:2]
    now = evaluate(rules, bought, FACTS)

    def least(points: int) -> Nudge | None:
        return least_more(bought, now, lambda tried: evaluate(rules, tried, FACTS), "POINT", points)

    assert least(5) == Nudge(Money(500, "USD"), "POINT", 5)
    assert least(8) == Nudge(Money(700, "USD"), "POINT", 27)
    # As much again: 46 and 60 are 106, of 43 now, so 63 more and no farther.
    assert least(63) == Nudge(Money(2300, "USD"), "POINT", 63)
    assert least(64) is None


def test_a_nudge_is_of_the_same_tender() -> None:
    """What only cash would get isn't promised to who pays by card, nor what cards get forgotten."""

    @earn_rule("cash", "Fifty for cash from 20.00 on", {"minimum": "20.00 USD"})
    def cash(purchase: Purchase, facts: Facts):  # type: ignore[no-untyped-def]  # noqa: ANN202
        return award(POINT, 50) if purchase.tender != "card" else nothing("not by card")

    @earn_rule("card", "Seven by card from 15.00 on", {"minimum": "15.00 USD"})
    def card(purchase: Purchase, facts: Facts):  # type: ignore[no-untyped-def]  # noqa: ANN202
        if purchase.tender != "card" or purchase.total < "15.00":
            return nothing("by card, from 15.00 on")
        return award(POINT, 7)

    rules: list[EarnRule] = [cash, card]
    paid = Purchase("grocer", "A", AT, "USD", (Line("tea", 1200),), tender="card")
    found = nudges(rules, paid, evaluate(rules, paid, FACTS), lambda p: evaluate(rules, p, FACTS))
    assert found == [Nudge(Money(300, "USD"), "POINT", 7)]
