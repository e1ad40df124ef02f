"""A plan judges as its rules do: it keeps nothing of them that may change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.caps import Cap
from laurels.errors import RuleError
from laurels.evaluation import Evaluation, Granted, Refused
from laurels.evaluator import evaluate
from laurels.lasting import LastingRule, capped
from laurels.plan import Plan
from laurels.purchase import Facts, Line, Purchase
from laurels.rules import (
    Award,
    EarnRule,
    Effects,
    FunctionRule,
    Multiply,
    Nothing,
    Terms,
)

relaxed = settings(deadline=None)
AT = datetime(2026, 3, 15, 12, tzinfo=UTC)
BOUGHT = Purchase("p", "r", AT, "EUR", (Line("A", 100), Line("B", 200)))


def rule(effects: Any, code: str = "odd") -> FunctionRule:
    """A rule that answers just this."""
    return FunctionRule(code, "Odd", lambda purchase, facts: effects)


class Own:
    """A rule of a class of a partner's own."""

    code = title = "own"
    terms: Terms = MappingProxyType({})

    def __init__(self, points: int) -> None:
        self.points = points

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """So many points."""
        return Award("S", self.points)


class Twice(FunctionRule):
    """A function's rule that does something else than its function."""

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """The function's effects, twice."""
        found = self.function(purchase, facts)
        assert isinstance(found, Award)
        return [found, found]


def points(rules: Sequence[EarnRule]) -> list[tuple[int, int]]:
    """Which rule gave how much."""
    return [(g.rule, g.points) for g in evaluate(rules, BOUGHT, Facts()).granted]


def test_each_rule_judges_itself_also_one_derived_and_one_that_changes() -> None:
    own = Own(3)
    twice = Twice("t", "T", lambda purchase, facts: Award("S", 7))
    rules: list[EarnRule] = [rule(Award("S", 1)), LastingRule(LastingRule(own)), twice]
    plan = Plan(rules)
    assert points(plan) == points(rules) == [(0, 1), (1, 3), (2, 7), (2, 7)]
    own.points = 5
    assert points(plan) == [(0, 1), (1, 5), (2, 7), (2, 7)]
    own.evaluate = lambda purchase, facts: Award("S", 9)  # type: ignore[method-assign]  # as a test may
    assert points(plan) == [(0, 1), (1, 9), (2, 7), (2, 7)]


def test_a_sequence_that_changes_is_planned_anew() -> None:
    rules: list[EarnRule] = [rule(Award("S", 1))]
    assert points(rules) == [(0, 1)]
    rules[0] = rule(Award("S", 2))
    rules.append(capped(rule(Award("S", 30)), Cap(points=10)))
    assert points(rules) == points(tuple(rules)) == points(Plan(rules)) == [(0, 2), (1, 10)]


def test_what_is_no_rule_fails_when_it_judges_and_by_name() -> None:
    class Bare:
        code = title = "bare"

    plan = Plan([rule(Award("S", 1)), Bare()])  # type: ignore[list-item]  # on purpose
    with pytest.raises(RuleError, match="rule 'bare': raised AttributeError"):
        evaluate(plan, BOUGHT, Facts())


def test_an_effect_is_one_effect_though_it_is_a_tuple_and_a_tuple_is_several() -> None:
    class Mine(Award):
        """Derived by a partner."""

    done = evaluate(
        [
            rule(Mine("S", 3)),
            rule((Award("S", 1), Nothing("no"))),
            rule([Mine("S", 2)]),
            rule(()),
            rule(None),
        ],
        BOUGHT,
        Facts(),
    )
    silent = "its conditions weren't met"
    assert done == Evaluation(
        (Granted(0, "S", 3, [1, 2]), Granted(1, "S", 1, [0, 1]), Granted(2, "S", 2, [1, 1])),
        (Refused(1, "no"), Refused(3, silent), Refused(4, silent)),
    )
    for nonsense, kind in ((("S", 3), "str"), (Award("S", 1) + Award("S", 2), "str"), ({}, "dict")):
        with pytest.raises(RuleError, match=f"returned {kind}, which is no effect"):
            evaluate([rule(nonsense)], BOUGHT, Facts())


@pytest.mark.parametrize("effect", [Award("S", 1), Multiply("S", Fraction(2)), Nothing("no")])
def test_an_effect_stays_as_it_was_made(effect: Any) -> None:
    for name in effect._fields:
        with pytest.raises(AttributeError):
            setattr(effect, name, None)


def naive(effects: Sequence[Any], amounts: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """Awards, then what multiplies them, by fractions and one line after another."""
    granted: list[Any] = []
    refused: list[Any] = []
    for place, effect in enumerate(effects):
        if isinstance(effect, Nothing):
            refused.append((place, effect.because))
        elif isinstance(effect, Award) and effect.points:
            granted.append((place, effect.currency, effect.points, shares(effect.points, amounts)))
        elif isinstance(effect, Award):
            refused.append((place, "it came to no whole point"))
        elif effect is None:
            refused.append((place, "its conditions weren't met"))
    base = list(granted)
    for place, effect in enumerate(effects):
        if isinstance(effect, Multiply):
            given_ = [g[3] for g in base if g[1] == effect.currency]
            lines = [sum(g[n] for g in given_) for n in range(len(amounts))]
            extra = int(sum(lines) * effect.factor) - sum(lines)
            if extra:
                granted.append((place, effect.currency, extra, shares(extra, lines)))
            else:
                why = "it came to no whole point" if sum(lines) else "there was nothing to multiply"
                refused.append((place, why))
    return granted, refused


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """Largest remainder: a point at a time to whom most of one is missing, the earlier first."""
    whole = sum(weights)
    if not whole:
        return [total] + [0] * (len(weights) - 1)
    quotas = [Fraction(total * weight, whole) for weight in weights]
    found = [int(quota) for quota in quotas]
    while sum(found) < total:
        missing = [quota - n for quota, n in zip(quotas, found, strict=True)]
        found[missing.index(max(missing))] += 1
    return found


answers = st.one_of(
    st.none(),
    st.sampled_from([Nothing(""), Nothing("spend more")]),
    st.tuples(st.sampled_from("ST"), st.integers(0, 500)).map(lambda x: Award(*x)),
    st.tuples(st.sampled_from("ST"), st.fractions(1, 4, max_denominator=7)).map(
        lambda x: Multiply(*x)
    ),
)


@relaxed
@given(st.lists(answers, max_size=12), st.lists(st.integers(0, 900), min_size=1, max_size=6))
def test_a_plan_judges_as_a_naive_evaluator_does(effects: list[Any], amounts: list[int]) -> None:
    bought = Purchase("p", "r", AT, "EUR", tuple(Line("A", n) for n in amounts))
    rules = [rule(effect, f"r{n}") for n, effect in enumerate(effects)]
    done = evaluate(Plan(rules), bought, Facts())
    assert done == evaluate(rules, bought, Facts())
    granted, refused = naive(effects, amounts)
    assert [(g.rule, g.currency, g.points, list(g.lines)) for g in done.granted] == granted
    assert [tuple(r) for r in done.refused] == refused


def test_the_naive_evaluator_tells_a_point_from_its_neighbour() -> None:
    """The control."""
    effects = [Award("S", 10), Multiply("S", Fraction(3, 2)), Award("T", 1)]
    assert naive(effects, [1, 1, 1]) == (
        [(0, "S", 10, [4, 3, 3]), (2, "T", 1, [1, 0, 0]), (1, "S", 5, [2, 2, 1])], [],
    )  # fmt: skip
