"""What a plugin's rule may do wrong on one purchase: it is named, and nothing else escapes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from laurels import (
    Award,
    Facts,
    Line,
    Multiply,
    Purchase,
    RuleError,
    earn_rule,
    evaluate,
)

PURCHASE = Purchase("shop", "R-1", datetime(2026, 1, 1, tzinfo=UTC), "USD", (Line("tea", 500),))


def leave() -> None:
    """What a script's author may think ends a rule."""
    raise SystemExit(2)


#: Typed as anything, for that is what a plugin without a type checker hands in.
FAULTS: dict[str, Callable[[], Any]] = {
    "exits": leave,
    "lines of a number": lambda: Award("P", 1, lines=1),  # type: ignore[arg-type]
    "lines of an iterator": lambda: Award("P", 1, lines=iter([1])),  # type: ignore[arg-type]
    "factor of a float": lambda: [Award("P", 1), Multiply("P", 1.5)],  # type: ignore[arg-type]
    "multiplies a list": lambda: Multiply([], 2),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_the_rule_at_fault_is_named(fault: Callable[[], Any]) -> None:
    rule = earn_rule("odd", "An odd rule")(lambda purchase, facts: fault())
    with pytest.raises(RuleError, match="rule 'odd'"):
        evaluate([rule], PURCHASE, Facts())
