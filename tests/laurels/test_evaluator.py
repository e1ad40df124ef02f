"""The evaluator: awards before multipliers, sums that hold, and nonsense refused by rule."""

from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.errors import RuleError
from laurels.evaluation import Evaluation, Granted, Refused
from laurels.evaluator import evaluate
from laurels.purchase import Facts, Line, Purchase, PurchaseError
from laurels.rules import Award, FunctionRule, Multiply, Nothing

relaxed = settings(deadline=None)
MOST = 10**15
SUM = "gave points by line that don't add up to 3 over 2 lines"


def bought(*amounts: int) -> Purchase:
    """A purchase of lines of these amounts."""
    lines = tuple(Line("thing", amount) for amount in amounts)
    return Purchase("shop", "r1", datetime(2025, 1, 1, tzinfo=UTC), "EUR", lines)


def rule(effects: Any, code: str = "odd") -> FunctionRule:
    """A rule that answers just this."""
    return FunctionRule(code, "Odd", lambda purchase, facts: effects)


def judged(*effects: Any, amounts: Sequence[int] = (100, 200)) -> Evaluation:
    """What rules that answer these make of a purchase."""
    return evaluate([rule(effect) for effect in effects], bought(*amounts), Facts())


def holds(done: Evaluation, count: int) -> bool:
    """Whether every award is positive, shared over all lines without loss, and capped downwards."""
    return all(
        g.points > 0
        and len(g.lines) == count
        and min(g.lines) >= 0
        and sum(g.lines) == g.points
        and (g.wanted is None or g.wanted >= g.points)
        for g in done.granted
    )


def test_spreads_what_a_rule_did_not() -> None:
    assert judged(Award("S", 10, because="Sunday")) == Evaluation(
        (Granted(0, "S", 10, [3, 7], None, None, "Sunday"),), ()
    )


def test_keeps_what_a_rule_spread() -> None:
    mine = [10, 0]
    done = judged(Award("S", 10, mine, wanted=12))
    mine[0] = 99
    assert done.granted == (Granted(0, "S", 10, [10, 0], None, 12, ""),)
    assert judged(Award("S", 10, (4, 6))).granted[0].lines == [4, 6]


def test_multiplies_after_all_awards_and_each_on_its_own() -> None:
    done = judged(
        Multiply("S", Fraction(3, 2), "gold"),
        Award("S", 4),
        Award("T", 8),
        Multiply("S", Fraction(2)),
    )
    assert done.granted == (
        Granted(1, "S", 4, [1, 3]),
        Granted(2, "T", 8, [3, 5]),
        Granted(0, "S", 2, [1, 1], 4, None, "gold"),
        Granted(3, "S", 4, [1, 3], 4),
    )
    assert (done.points("S"), done.points("T"), done.points("U")) == (10, 8, 0)


def test_one_rule_may_answer_several() -> None:
    done = judged([Award("S", 1, [0, 1]), Nothing("no cake"), Multiply("S", Fraction(2))])
    assert done.granted == (Granted(0, "S", 1, [0, 1]), Granted(0, "S", 1, [0, 1], 1))
    assert done.refused == (Refused(0, "no cake"),)


@pytest.mark.parametrize(
    ("effects", "because"),
    [
        (None, "its conditions weren't met"),
        ([], "its conditions weren't met"),
        ((), "its conditions weren't met"),
        (Nothing("too early"), "too early"),
        (Nothing("x" * 600), "x" * 500),
        (Award("S", 0), "it came to no whole point"),
        (Award("S", 0, because="no coffee"), "no coffee"),
        (Multiply("S", Fraction(2)), "there was nothing to multiply"),
        (Multiply("S", Fraction(2), "gold"), "gold"),
    ],
)
def test_every_rule_that_gives_nothing_says_why(effects: Any, because: str) -> None:
    assert judged(effects) == Evaluation((), (Refused(0, because),))


@pytest.mark.parametrize(("points", "factor"), [(5, Fraction(1)), (1, Fraction(3, 2))])
def test_a_multiple_of_less_than_a_point(points: int, factor: Fraction) -> None:
    done = judged(Award("S", points), Multiply("S", factor))
    assert done.refused == (Refused(1, "it came to no whole point"),)


def test_no_rules_give_nothing() -> None:
    assert judged() == Evaluation((), ())


@pytest.mark.parametrize(
    ("effects", "problem"),
    [
        (Award("S", True), f"awarded True, not whole points to {MOST}"),
        (Award("S", -1), f"awarded -1, not whole points to {MOST}"),
        (Award("S", 1.0), f"awarded 1.0, not whole points to {MOST}"),  # type: ignore[arg-type]  # refused
        (Award("S", MOST + 1), f"awarded {MOST + 1}, not whole points to {MOST}"),
        (Award("S", 10**5000), f"awarded a int, not whole points to {MOST}"),
        (Award(None, 1), "awarded in None, no currency's code"),  # type: ignore[arg-type]  # refused
        (Award("S", 3, [1, 1]), SUM),
        (Award("S", 3, [4, -1]), SUM),
        (Award("S", 3, [3]), SUM),
        (Award("S", 3, [1, 1, 1]), SUM),
        (Award("S", 3, [True, 2]), SUM),
        (Award("S", 3, [1.0, 2]), SUM),  # type: ignore[list-item]  # refused
        (Award("S", 3, 3), SUM),  # type: ignore[arg-type]  # refused
        (Award("S", 3, "12"), SUM),  # type: ignore[arg-type]  # refused
        (Award("S", 3, {1: 1, 2: 2}), SUM),  # type: ignore[arg-type]  # refused
        (Award("S", 3, wanted=2), f"wanted 2, not from the 3 awarded to {MOST}"),
        (Award("S", 3, wanted=True), f"wanted True, not from the 3 awarded to {MOST}"),
        (Award("S", 3, wanted=MOST + 1), f"wanted {MOST + 1}, not from the 3 awarded to {MOST}"),
        (Award("S", 3, because=5), "gave a reason that is no text"),  # type: ignore[arg-type]  # refused
        (Nothing("a\0"), "gave a reason that is no text"),
        (Nothing("\ud800"), "gave a reason that is no text"),
        (Nothing(None), "gave a reason that is no text"),  # type: ignore[arg-type]  # refused
        (Multiply("S", 1.5), "multiplied by 1.5, not exactly 1 to 1000"),  # type: ignore[arg-type]  # refused
        (Multiply("S", True), "multiplied by True, not exactly 1 to 1000"),  # type: ignore[arg-type]  # refused
        (Multiply("S", Fraction(1, 2)), "multiplied by Fraction(1, 2), not exactly 1 to 1000"),
        (Multiply("S", Fraction(1001)), "multiplied by Fraction(1001, 1), not exactly 1 to 1000"),
        (Multiply(5, Fraction(2)), "multiplied 5, no currency's code"),  # type: ignore[arg-type]  # refused
        ("points", "returned str, which is no effect"),
        (5, "returned int, which is no effect"),
        (0, "returned int, which is no effect"),
        ({}, "returned dict, which is no effect"),
        (Award, "returned type, which is no effect"),
        ([None], "returned NoneType, which is no effect"),
        ([Award("S", 1), 5], "returned int, which is no effect"),
    ],
)
def test_refuses_nonsense_by_rule(effects: Any, problem: str) -> None:
    with pytest.raises(RuleError) as caught:
        evaluate([rule(Award("S", 1), "good"), rule(effects, "bad")], bought(100, 200), Facts())
    assert (caught.value.rule, caught.value.problem) == ("bad", problem)
    assert str(caught.value) == f"rule 'bad': {problem}"


def test_refuses_a_multiple_beyond_all_bounds() -> None:
    with pytest.raises(RuleError) as caught:
        judged(Award("S", MOST), Multiply("S", Fraction(3)))
    assert caught.value.problem == f"multiplied {MOST} points beyond {MOST}"


class BrokenError(Exception):
    """An exception that cannot even say what is wrong."""

    def __str__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (SystemExit(2), "raised SystemExit: 2"),
        (KeyError("x"), "raised KeyError: 'x'"),
        (ValueError("v" * 400), f"raised ValueError: {'v' * 300}"),
        (BrokenError(), "raised BrokenError: no text"),
    ],
)
def test_an_exception_names_the_rule_and_keeps_its_cause(
    error: BaseException, problem: str
) -> None:
    def fails(purchase: Purchase, facts: Facts) -> None:
        raise error

    with pytest.raises(RuleError) as caught:
        evaluate([FunctionRule("bad", "Bad", fails)], bought(1), Facts())
    assert (caught.value.rule, caught.value.problem) == ("bad", problem)
    assert caught.value.__cause__ is error


AMOUNTS = st.lists(st.integers(0, 10**7), min_size=1, max_size=8)


@relaxed
@given(AMOUNTS, st.lists(st.integers(0, 10**9), max_size=4), st.integers(1000, 9999))
def test_books_hold_for_any_awards(amounts: list[int], points: list[int], milli: int) -> None:
    factor = Fraction(milli, 1000)
    done = judged(*(Award("S", n) for n in points), Multiply("S", factor), amounts=amounts)
    assert holds(done, len(amounts))
    # A multiplier is an award of its own: floor(base x factor) - base.
    assert done.points("S") == sum(points) * milli // 1000
    assert {r.rule for r in done.refused} | {g.rule for g in done.granted} == set(
        range(len(points) + 1)
    )


@pytest.mark.parametrize(
    "wrong",
    [
        Granted(0, "S", 3, [1, 1]),
        Granted(0, "S", 3, [4, -1]),
        Granted(0, "S", 3, [3]),
        Granted(0, "S", 0, [0, 0]),
        Granted(0, "S", 3, [1, 2], None, 2),
    ],
)
def test_the_oracle_refuses_books_that_do_not_hold(wrong: Granted) -> None:
    assert holds(Evaluation((Granted(0, "S", 3, [1, 2], None, 3),), ()), 2)
    assert not holds(Evaluation((wrong,), ()), 2)


def test_a_stop_by_hand_is_no_fault_of_a_rule() -> None:
    def stopped(purchase: Purchase, facts: Facts) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate([FunctionRule("bad", "Bad", stopped)], bought(1), Facts())


def test_what_no_till_sends_is_no_rules_fault() -> None:
    with pytest.raises(PurchaseError) as caught:
        evaluate([rule(Award("S", 1))], bought(), Facts())
    assert str(caught.value) == "lines: a tuple of at least one Line, not ()"
