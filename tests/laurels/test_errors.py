"""Refusals: what may be a code or a title, and that quoting a value never fails."""

import pickle
import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from laurels.errors import (
    DeclarationError,
    LaurelsError,
    RuleError,
    check_code,
    check_title,
    shown,
    storable,
    within,
)
from laurels.money import MoneyError, check_money_code

relaxed = settings(deadline=None)


class Shy:
    """Something whose own repr fails."""

    def __repr__(self) -> str:
        raise ValueError("no")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        ("a" * 100, "'" + "a" * 59),
        (Shy(), "a Shy"),
        pytest.param(10**5000, "a int", id="huge"),
        (None, "None"),
    ],
)
def test_quotes_any_value_shortly(value: object, text: str) -> None:
    assert shown(value) == text


def test_quotes_as_long_as_asked() -> None:
    assert shown("abcdef", 3) == "'ab"


@pytest.mark.parametrize(
    ("text", "fit"),
    [("", True), ("abc", True), ("é€😀", True), ("\0", False), ("é\0", False), ("\ud800", False)],
)
def test_knows_what_a_database_takes(text: str, fit: bool) -> None:
    assert storable(text) is fit


@relaxed
@given(st.text(st.characters()))
@example("\udfff")
@example("\ue000")
def test_storable_text_is_what_utf8_takes(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        assert not storable(text)
    else:
        assert storable(text) is ("\0" not in text)


def test_a_refusal_is_told_within_its_declaration() -> None:
    with pytest.raises(DeclarationError) as caught:
        within("partner cafe: trades_in", check_money_code, "euro")
    assert str(caught.value) == (
        "partner cafe: trades_in: a money currency is an ISO 4217 code such as EUR, not 'euro'"
    )
    assert within("x", check_money_code, "EUR") == "EUR"


def test_a_rule_error_names_its_rule_and_crosses_processes() -> None:
    error = RuleError("visit", "raised KeyError: 'x'")
    again = pickle.loads(pickle.dumps(error))
    for each in (error, again):
        assert (each.rule, each.problem) == ("visit", "raised KeyError: 'x'")
        assert str(each) == "rule 'visit': raised KeyError: 'x'"
    assert type(again) is RuleError


def test_everything_refused_is_a_laurels_error() -> None:
    assert all(issubclass(e, LaurelsError) for e in (DeclarationError, RuleError, MoneyError))


@pytest.mark.parametrize("code", ["a", "A.b_c-9", "x" * 64, "0"])
def test_takes_a_code(code: str) -> None:
    assert check_code("tier", code) == code


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("", "tier: a code is a text of 1 to 64 characters, not ''"),
        (None, "tier: a code is a text of 1 to 64 characters, not None"),
        (7, "tier: a code is a text of 1 to 64 characters, not 7"),
        ("x" * 65, f"tier: a code is a text of 1 to 64 characters, not '{'x' * 59}"),
        ("a b", "tier 'a b': a code has ASCII letters, digits, '.', '_', '-' only"),
        ("é", "tier 'é': a code has ASCII letters, digits, '.', '_', '-' only"),
        ("٣", "tier '٣': a code has ASCII letters, digits, '.', '_', '-' only"),
        ("a\n", "tier 'a\\n': a code has ASCII letters, digits, '.', '_', '-' only"),
        ("a/b", "tier 'a/b': a code has ASCII letters, digits, '.', '_', '-' only"),
    ],
)
def test_refuses_a_code(code: Any, problem: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        check_code("tier", code)
    assert str(caught.value) == problem


@relaxed
@given(st.text(max_size=70))
def test_codes_are_exactly_the_plain_ones(code: str) -> None:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", code):
        assert check_code("x", code) == code
    else:
        with pytest.raises(DeclarationError):
            check_code("x", code)


@pytest.mark.parametrize("title", ["a", "Ünlü ☕", "x" * 500])
def test_takes_a_title(title: str) -> None:
    assert check_title("rule x: title", title) == title


@pytest.mark.parametrize("title", ["", "  \n", "a\0", "\ud800", 5, None, "x" * 501])
def test_refuses_a_title(title: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        check_title("rule x: title", title)
    assert str(caught.value) == (
        f"rule x: title: a text of 1 to 500 characters is wanted, not {shown(title)}"
    )
