"""What is still earned after returns: worked examples; the order of returns never shows."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.entitlement import Given, Item, Remains
from core.errors import NotAllowed
from laurels import Line, Purchase
from laurels.purchase import check_receipt

LINES = (Line("BREAD", 1000, 3000), Line("MILK", 500, 1000), Line("GIFT", 0, 2000))
GIVEN = (
    Given(1, 1, (10, 5, 0), None),
    Given(2, 1, (0, 0, 4), None),
    Given(3, 1, (5, 3, 2), 19),
    Given(1, 2, (1, 1, 0), None),
)


def test_all_of_it_is_earned_while_nothing_came_back() -> None:
    whole = Remains.whole(LINES)
    assert whole.entitled(GIVEN) == (15, 4, 10, 2)
    assert whole.untouched
    assert not whole.nothing
    assert whole.returned == 0
    assert whole.receipt() == LINES


def test_a_line_that_comes_back_takes_exactly_its_points() -> None:
    after = Remains.whole(LINES).less([Item(1, quantity=1000)], 0)
    # The multiplier had 10 on 19; 14 of them are left: 10 * 14 // 19.
    assert after.entitled(GIVEN) == (10, 4, 7, 1)
    assert after.returned == 500
    assert after.receipt() == (LINES[0], LINES[2])


def test_part_of_a_line_by_quantity_and_by_amount() -> None:
    one = Remains.whole(LINES).less([Item(0, quantity=1000)], 0)
    assert one.gone[0] == Fraction(1, 3)
    assert one.entitled(GIVEN)[0] == 11  # 10 * 2/3 + 5 = 11.67
    assert one.returned == 333
    money = Remains.whole(LINES).less([Item(0, amount=250)], 0)
    assert money.entitled(GIVEN)[0] == 12  # 7.5 + 5
    assert money.returned == 250


def test_an_amount_of_the_whole_receipt_shrinks_every_award_alike() -> None:
    after = Remains.whole(LINES).less([], 750)
    assert after.share == Fraction(1, 2)
    assert after.entitled(GIVEN) == (7, 2, 4, 1)
    assert after.returned == 750
    assert [line.amount for line in after.receipt()] == [500, 250, 0]


def test_nothing_is_earned_once_all_came_back() -> None:
    for after in (
        Remains.whole(LINES).emptied(),
        Remains.whole(LINES).less([], 1500),
        Remains.whole(LINES).less([Item(0, 3000), Item(1, 1000), Item(2, 2000)], 0),
    ):
        assert after.entitled(GIVEN) == (0, 0, 0, 0)
        assert after.nothing
        assert after.returned == 1500
        assert after.receipt() == ()


@pytest.mark.parametrize(
    ("items", "amount", "path", "words"),
    [
        ([Item(0, 3001)], 0, ("lines", 0, "quantity"), "quantity 3, amount 1000"),
        ([Item(1, 1000), Item(1, 1)], 0, ("lines", 1, "quantity"), "of line 2 there is left"),
        ([Item(1, amount=501)], 0, ("lines", 0, "amount"), "amount 500"),
        ([Item(2, amount=1)], 0, ("lines", 0, "amount"), "of line 3"),
        ([], 1501, ("amount",), "1500 in minor units"),
    ],
)
def test_more_than_is_left_is_refused(
    items: list[Item], amount: int, path: tuple[object, ...], words: str
) -> None:
    whole = Remains.whole(LINES)
    with pytest.raises(NotAllowed, match=words) as refused:
        whole.less(items, amount)
    assert refused.value.path == path
    assert whole.untouched


def test_what_was_judged_again_counts_and_never_more_than_was_given() -> None:
    whole = Remains.whole(LINES)
    assert whole.entitled(GIVEN, {0: 3}) == (3, 4, 3, 2)
    assert whole.entitled(GIVEN, {0: 99}) == (15, 4, 10, 2)


@st.composite
def purchases(draw: st.DrawFn) -> tuple[tuple[Line, ...], tuple[Given, ...]]:
    """A receipt and what rules gave for it."""
    n = draw(st.integers(1, 4))
    lines = tuple(
        Line("X", draw(st.integers(1, 5000)), draw(st.integers(1, 5000))) for _ in range(n)
    )
    points = st.lists(st.integers(0, 500), min_size=n, max_size=n).map(tuple)
    base = Given(1, 1, draw(points), None)
    extra = Given(2, 1, draw(points), base.points)
    return lines, (base, extra) if base.points else (base,)


@given(purchases(), st.randoms(use_true_random=False))
@settings(max_examples=100)
def test_any_order_of_returns_ends_at_the_same(
    bought: tuple[tuple[Line, ...], tuple[Given, ...]], rng: random.Random
) -> None:
    lines, given_ = bought
    parts: list[tuple[list[Item], int]] = []
    for i, line in enumerate(lines):
        left = line.quantity
        while left and rng.random() < 0.7:
            n = rng.randint(1, left)
            left -= n
            parts.append(([Item(i, n)], 0))
    kept = Remains.whole(lines)
    for items, _ in parts:
        kept = kept.less(items, 0)
    if int(kept.worth) and rng.random() < 0.5:
        parts.append(([], rng.randint(1, int(kept.worth))))
    ends = set()
    for _ in range(4):
        rng.shuffle(parts)
        after = Remains.whole(lines)
        earned = [sum(after.entitled(given_))]
        for items, amount in parts:
            after = after.less(items, amount)
            earned.append(sum(after.entitled(given_)))
        assert earned == sorted(earned, reverse=True), "a return never gives points"
        ends.add((after.entitled(given_), after.returned))
    assert len(ends) == 1


@st.composite
def said(draw: st.DrawFn) -> Line:
    """A line that says all there is to say."""
    amount = draw(st.integers(0, 5000))
    part, units = st.integers(0, amount), draw(st.integers(1, 5000))
    return Line("X", amount, units, "", draw(st.integers(0, 900)), draw(part), draw(part))


@given(st.lists(said(), min_size=1, max_size=4), st.data())
def test_of_what_is_left_the_parts_are_in_proportion_and_fit_its_amounts(
    lines: list[Line], data: st.DataObject
) -> None:
    after = Remains.whole(lines)
    items = [Item(n, data.draw(st.integers(0, x.quantity))) for n, x in enumerate(lines)]
    after = after.less([item for item in items if item.quantity], 0)
    after = after.less([], data.draw(st.integers(0, int(after.worth))))
    left = after.receipt()
    if left:
        check_receipt(Purchase("p", "r", datetime(2026, 1, 1, tzinfo=UTC), "USD", left))
    whole = [x for x, gone in zip(lines, after.gone, strict=True) if gone < 1]
    for was, now in zip(whole, left, strict=False):
        assert now.discount <= was.discount
        for before, then in ((was.tax, now.tax), (was.points_paid, now.points_paid)):
            # Rounded down, by less than one.
            assert then * was.amount <= before * now.amount < (then + 1) * max(1, was.amount)
    plain = tuple(Line(*line[:4]) for line in lines)
    without = Remains(plain, after.gone, after.amount).receipt()
    assert [Line(*x[:4]) for x in left] == list(without)


def test_a_line_that_was_free_for_its_discount_keeps_its_share_of_it() -> None:
    free = Line("X", 0, 2000, "", 900)
    (left,) = Remains.whole([free]).less([Item(0, 1000)], 0).receipt()
    assert left == Line("X", 0, 1000, "", 450)


def test_a_rule_that_rounds_each_return_by_itself_would_show_the_order() -> None:
    """The control: what each return takes, rounded alone, depends on how it is cut."""
    lines = (Line("X", 1000, 3000),)
    whole = 11
    at_once = whole - whole * 2 // 3
    one_by_one = whole - sum(whole * 1 // 3 for _ in range(2))
    assert at_once != one_by_one
    twice = Remains.whole(lines).less([Item(0, 1000)], 0).less([Item(0, 1000)], 0)
    once = Remains.whole(lines).less([Item(0, 2000)], 0)
    assert twice.entitled((Given(1, 1, (11,), None),)) == once.entitled((Given(1, 1, (11,), None),))
