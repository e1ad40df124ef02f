"""Lines of every kind, receipts of them, and what rules make of those; holds no assertion."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from laurels import (
    Basis,
    EarnRule,
    Facts,
    Line,
    LineKind,
    PointsPerAmount,
    Purchase,
    evaluate,
)
from laurels.basis import Of, Without
from laurels.evaluation import Evaluation

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
DELIVERY = Line("", 490, kind=LineKind.DELIVERY)
CARD = Line("gift card", 5000, 2000, kind=LineKind.GIFT_CARD)
FEE = Line("bag", 25, kind=LineKind.FEE)
#: 12.00 off to 10.00, of which 1.67 is tax and 4.00 was paid with points.
SHIRT = Line("shirt", 1000, 1000, "S1", 200, 167, 400)
STEP = PointsPerAmount("P", 1, "1.00 USD")


def bought(*lines: Line) -> Purchase:
    """A purchase of these."""
    return Purchase("shop", "R1", AT, "USD", lines)


def judged(rules: Sequence[EarnRule], *lines: Line, **facts: Any) -> Evaluation:
    """What they make of a purchase of these lines."""
    return evaluate(rules, bought(*lines), Facts(**facts))


def by_line(rule: EarnRule, *lines: Line) -> list[int]:
    """The points of one rule on each line."""
    (granted,) = judged([rule], *lines).granted
    return list(granted.lines)


@st.composite
def any_lines(draw: st.DrawFn) -> list[Line]:
    """Lines that say all there is to say."""
    found = []
    for _ in range(draw(st.integers(1, 6))):
        amount = draw(st.integers(0, 5_000))
        part = st.integers(0, amount)
        off = draw(st.integers(0, 900))
        kind, of = draw(st.sampled_from(LineKind)), draw(st.sampled_from("ABC"))
        found.append(
            Line(of, amount, draw(st.integers(0, 3_000)), "", off, draw(part), draw(part), kind)
        )
    return found


any_basis = st.builds(
    Basis,
    st.sampled_from(Of),
    st.lists(st.sampled_from(Without), max_size=4),
    st.lists(st.sampled_from("AB"), max_size=2),
)
