"""The model under DESIGN's promise: any order of accepted returns ends at the same balance."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle import Oracle
from tests.oracle_ledger import Balance, Key, Refused, Terms
from tests.oracle_purchases import Award, Back, LineBought

T = datetime(2026, 1, 10, 12, tzinfo=UTC)
A: Key = ("grocer", "A")
ANN = 1


def on(day: float) -> datetime:
    """That many days after the tests begin."""
    return T + timedelta(days=day)


ITEMS = st.one_of(
    st.builds(
        lambda line, n: Back(line, quantity=Fraction(n, 1000)),
        st.integers(0, 2),
        st.integers(1, 2500),
    ),
    st.builds(lambda line, n: Back(line, amount=n), st.integers(0, 2), st.integers(1, 900)),
    st.builds(lambda n: Back(None, amount=n), st.integers(1, 900)),
)
LINES = st.lists(
    st.builds(
        LineBought,
        st.sampled_from([Fraction(1), Fraction(3), Fraction("2.5")]),
        st.integers(0, 2000),
    ),
    min_size=3,
    max_size=3,
)


def receipt(lines: Sequence[LineBought]) -> list[Award]:
    """A point a dollar, a pending point a pound of 30 cents, a bonus from 20 dollars, half more."""
    dollars = tuple(x.amount // 100 for x in lines)
    held = tuple(x.amount // 30 for x in lines)
    total = sum(x.amount for x in lines)

    def bonus(remains: Sequence[Fraction]) -> int:
        return 25 if sum(remains) >= 2000 else 0

    awards = [
        Award("S", "dollars", dollars),
        Award("S", "held", held, pending="3D"),
        Award("S", "bonus", (25 if total >= 2000 else 0, 0, 0), again=bonus),
    ]
    base = sum(a.points for a in awards)
    return [*awards, Award("S", "half", (base // 2,), base=base)]


def life(
    lines: Sequence[LineBought],
    returns: Sequence[list[Back] | None],
    others: int,
    spent: int,
    bought: int = 0,
) -> Balance:
    """Points from elsewhere, returns (None: a cancel), the purchase before the one so numbered.

    Some is spent at the start, of the purchase too where it comes first.
    """
    model = Oracle({"S": Terms()})
    model.adjust(ANN, "S", others, T)
    for n, items in enumerate([*returns, []]):
        if n == bought:
            model.purchase(ANN, A, T, lines, receipt(lines), on(n))
        if n == 0:
            model.redeem("r", ANN, "S", min(spent, model.balance(ANN, "S", T, T).active), T)
        try:
            if items is None:
                model.cancel(A, on(n), on(n))
            elif items:
                model.give_back(A, items, on(n), on(n))
        except Refused:
            continue
    return model.balance(ANN, "S", on(40), on(40))


@settings(max_examples=60, deadline=None)
@given(
    LINES,
    st.lists(st.one_of(st.lists(ITEMS, min_size=1, max_size=2)), max_size=5),
    st.booleans(),
    st.integers(1, 30),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_any_order_of_accepted_returns_ends_at_the_same_balance(
    lines: list[LineBought],
    returns: list[list[Back] | None],
    cancelled: bool,
    others: int,
    spent: int,
    order: random.Random,
) -> None:
    accepted = list(accept(lines, returns))
    if cancelled:
        accepted.append(None)
    other = list(accepted)
    order.shuffle(other)
    assert life(lines, accepted, others, spent) == life(lines, other, others, spent)
    last, some = len(accepted), order.randint(1, max(1, len(accepted)))
    waited = life(lines, accepted, others, spent, last)
    if accepted:
        assert waited == life(lines, other, others, spent, some)


def accept(
    lines: Sequence[LineBought], returns: Sequence[list[Back] | None]
) -> Sequence[list[Back] | None]:
    """Those of the returns that are accepted in this order; then they are in every other."""
    model = Oracle({"S": Terms()})
    model.purchase(ANN, A, T, lines, receipt(lines), T)
    accepted = []
    for items in returns:
        try:
            model.give_back(A, items or [], T, T)
        except Refused:
            continue
        accepted.append(items)
    return accepted
