"""What an earn rule is: effects, terms that can be stored, and rules made of functions."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from laurels.declarations import Currency
from laurels.durations import Duration
from laurels.earning import TierMultiplier
from laurels.errors import DeclarationError, RuleError
from laurels.evaluation import Granted, Refused
from laurels.evaluator import evaluate
from laurels.lasting import LastingRule, held_back, pending, reevaluated, reevaluates, unwrapped
from laurels.policies import Day, Pending
from laurels.purchase import Facts, Line, Purchase
from laurels.rules import (
    Award,
    EarnRule,
    FunctionRule,
    Multiply,
    Nothing,
    award,
    check_terms,
    earn_rule,
    multiply,
    nothing,
)

STAR = Currency("STAR", "Stars")


def silent(purchase: Purchase, facts: Facts) -> None:
    """Give nothing."""


def test_effects() -> None:
    assert award(STAR, 5) == Award("STAR", 5, None, "", None)
    assert award("STAR", 5, lines=[2, 3], because="Sunday") == Award("STAR", 5, [2, 3], "Sunday")
    assert multiply(STAR, "1.5", because="x") == Multiply("STAR", Fraction(3, 2), "x")
    assert multiply("STAR", 2) == Multiply("STAR", Fraction(2))
    assert nothing("too early") == Nothing("too early")


@pytest.mark.parametrize("factor", [0, "0.5", "1000.5", 1001])
def test_refuses_a_factor_out_of_bounds(factor: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        multiply(STAR, factor)
    assert str(caught.value) == f"factor: from 1 to 1000, not {factor!r}"


@pytest.mark.parametrize("factor", [1.5, True, "3/2", "1e2", None])
def test_refuses_what_is_no_factor(factor: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        multiply(STAR, factor)
    assert str(caught.value) == (
        "factor: a whole number or a decimal text such as '1.5' is wanted, of at most six places, "
        f"not {factor!r}"
    )


def test_refuses_a_currency() -> None:
    for make in (lambda: award("a b", 1), lambda: multiply("a b", 1)):
        with pytest.raises(DeclarationError, match="currency 'a b': a code has ASCII letters"):
            make()


def test_a_rule_of_a_function() -> None:
    @earn_rule("sunday", "Sundays", {"points": 5})
    def sunday(purchase: Purchase, facts: Facts) -> Award:
        return award(STAR, 5)

    assert isinstance(sunday, EarnRule)
    assert (sunday.code, sunday.title, sunday.terms) == ("sunday", "Sundays", {"points": 5})
    purchase: Any = None
    assert sunday.evaluate(purchase, Facts()) == Award("STAR", 5)
    assert earn_rule("x", "X")(silent).terms == {}


def test_what_is_no_rule() -> None:
    assert not isinstance(object(), EarnRule)
    assert not isinstance(silent, EarnRule)


@pytest.mark.parametrize(
    ("code", "title", "function", "terms", "problem"),
    [
        ("", "T", silent, {}, "earn rule: a code is a text of 1 to 64 characters, not ''"),
        (
            "x",
            "",
            silent,
            {},
            "earn rule x: title: a text of 1 to 500 characters is wanted, not ''",
        ),
        ("x", "T", 5, {}, "earn rule x: 5 is no function"),
        ("x", "T", silent, 5, "earn rule x: terms: a mapping is wanted, not 5"),
        ("x", "T", silent, {5: 1}, "earn rule x: terms: 5 is no text"),
    ],
)
def test_refuses_a_rule(code: Any, title: Any, function: Any, terms: Any, problem: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        earn_rule(code, title, terms)(function)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    "value", [1.5, 2**63, -(2**63) - 1, b"x", "\0", {"a": [1]}, {"a": 1.5}, ["a", 5], {"a"}, object]
)
def test_refuses_terms_that_cannot_be_stored(value: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        check_terms("earn rule x", {"figure": value})
    assert str(caught.value) == (
        "earn rule x: terms: figure: text, a 64 bit whole number, a mapping of these, or a list "
        f"of texts is wanted, not {repr(value)[:60]}"
    )


def test_refuses_a_key_within_terms() -> None:
    with pytest.raises(DeclarationError) as caught:
        check_terms("earn rule x", {"rates": {5: 1}})
    assert str(caught.value) == "earn rule x: terms: rates: 5 is no text"


def test_terms_are_a_frozen_copy() -> None:
    rates: dict[str, Any] = {"a": 1}
    days = ["mon"]
    given = {"s": "x", "i": 2**63 - 1, "b": True, "n": None, "rates": rates, "days": days}
    terms: Any = check_terms("earn rule x", given)
    rates["a"] = 2
    days.append("tue")
    given["s"] = "y"
    assert terms == {
        "s": "x",
        "i": 2**63 - 1,
        "b": True,
        "n": None,
        "rates": {"a": 1},
        "days": ("mon",),
    }
    with pytest.raises(TypeError):
        terms["s"] = "z"


def test_function_rules_are_equal_by_what_they_say() -> None:
    assert FunctionRule("x", "X", silent, {"a": 1}) == FunctionRule("x", "X", silent, {"a": 1})
    assert FunctionRule("x", "X", silent, {"a": 1}) != FunctionRule("x", "X", silent, {"a": 2})
    assert len({FunctionRule("x", "X", silent), FunctionRule("x", "X", silent)}) == 1


FORTNIGHT = Pending(after=Duration(14, "D"))
SUNDAY = FunctionRule("sunday", "Sundays", lambda purchase, facts: award(STAR, 5), {"points": 5})


def test_a_rule_that_holds_its_points_back() -> None:
    rule = pending("14D", SUNDAY)
    assert isinstance(rule, EarnRule)
    assert (rule.code, rule.title) == ("sunday", "Sundays")
    assert rule.terms == {"points": 5, "pending": "14D"}
    assert (held_back(rule), reevaluates(rule), unwrapped(rule)) == (FORTNIGHT, False, SUNDAY)


def test_a_rule_that_is_judged_again() -> None:
    rule = reevaluated(SUNDAY)
    assert isinstance(rule, EarnRule)
    assert rule.terms == {"points": 5, "reevaluated": True}
    assert (held_back(rule), reevaluates(rule), unwrapped(rule)) == (None, True, SUNDAY)


def test_a_plain_rule_says_nothing_on_what_becomes_of_its_points() -> None:
    assert (held_back(SUNDAY), reevaluates(SUNDAY), unwrapped(SUNDAY)) == (None, False, SUNDAY)


def test_in_either_order_both_are_kept() -> None:
    both = LastingRule(SUNDAY, FORTNIGHT, reevaluates=True)
    assert pending("14D", reevaluated(SUNDAY)) == both
    assert reevaluated(pending("14D", SUNDAY)) == both
    assert reevaluated(reevaluated(pending("14D", SUNDAY))) == both
    assert both.terms == {"points": 5, "pending": "14D", "reevaluated": True}
    assert both.rule is SUNDAY


def test_the_outer_pending_stands() -> None:
    rule = pending("on 04-01", reevaluated(pending("14D", SUNDAY)))
    assert rule == LastingRule(SUNDAY, Pending(days=(Day(4, 1),)), reevaluates=True)
    assert rule.terms["pending"] == "on 04-01"


def test_its_terms_tell_one_version_from_the_next_and_are_frozen() -> None:
    rules: list[EarnRule] = [
        SUNDAY, pending("14D", SUNDAY), pending("15D", SUNDAY), reevaluated(SUNDAY),
    ]  # fmt: skip
    assert len({repr(sorted(rule.terms.items())) for rule in rules}) == 4
    # The same terms in other words are no change.
    assert pending(" 14D", SUNDAY).terms == pending("14D", SUNDAY).terms
    terms: Any = rules[1].terms
    with pytest.raises(TypeError):
        terms["pending"] = "1D"


def test_its_own_terms_can_be_stored() -> None:
    rule = reevaluated(pending("until shipped within 30D", SUNDAY))
    assert check_terms("earn rule sunday", rule.terms) == {
        "points": 5, "pending": "until shipped within 30D", "reevaluated": True,
    }  # fmt: skip


def purchase_of(*amounts: int) -> Purchase:
    """A receipt with these amounts, in cents."""
    lines = tuple(Line("FOOD", amount, 1000, "") for amount in amounts)
    at = datetime(2025, 5, 4, 12, tzinfo=UTC)
    return Purchase("grocer", "R", at, "EUR", lines, "")


def test_evaluation_passes_through() -> None:
    def by_line(purchase: Purchase, facts: Facts) -> Award:
        return award(STAR, facts.visits, lines=[facts.visits, 0])

    def fails(purchase: Purchase, facts: Facts) -> None:
        raise ValueError("no luck")

    bought, facts = purchase_of(700, 300), Facts(4, {"club": "gold"})
    rules = [
        pending("14D", earn_rule("by-line", "By line")(by_line)),
        reevaluated(earn_rule("silent", "Nothing")(silent)),
        pending("1M", reevaluated(TierMultiplier(STAR, "club", {"gold": 3}))),
    ]
    found = evaluate(rules, bought, facts)
    assert found == evaluate([rule.rule for rule in rules], bought, facts)
    assert found.granted == (
        Granted(0, "STAR", 4, [4, 0]),
        Granted(2, "STAR", 8, [8, 0], 4),
    )
    assert found.refused == (Refused(1, "its conditions weren't met"),)
    with pytest.raises(RuleError, match=r"^rule 'bad': raised ValueError: no luck$"):
        evaluate([pending("14D", earn_rule("bad", "Bad")(fails))], bought, facts)


@pytest.mark.parametrize(
    ("until", "problem"),
    [
        ("", "'': it reads 14D, on 04-01 10-01, or until EVENT within 30D"),
        (14, "14: it reads 14D, on 04-01 10-01, or until EVENT within 30D"),
        ("on 4-1", "'4-1' is no day of the year, such as 12-31"),
        ("0D", "'0D' is no duration: from 1D to 9999D"),
    ],
)
def test_refuses_to_hold_points_back(until: Any, problem: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        pending(until, SUNDAY)
    assert str(caught.value) == f"earn rule sunday: pending: {problem}"


@pytest.mark.parametrize("rule", [None, 5, silent, TierMultiplier, FunctionRule])
def test_refuses_to_hold_back_what_is_no_rule(rule: Any) -> None:
    for what, make in (("pending", lambda r: pending("14D", r)), ("reevaluated", reevaluated)):
        with pytest.raises(DeclarationError) as caught:
            make(rule)
        assert str(caught.value) == f"{what}: an earn rule is wanted, not {repr(rule)[:60]}"
