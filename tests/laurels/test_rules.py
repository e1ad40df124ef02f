"""What an earn rule is: effects, terms that can be stored, and rules made of functions."""

from fractions import Fraction
from typing import Any

import pytest

from laurels.declarations import Currency
from laurels.errors import DeclarationError
from laurels.purchase import Facts, Purchase
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
