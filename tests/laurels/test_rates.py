"""Rates: plain decimals only, exact, and printed as they were meant."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.errors import DeclarationError
from laurels.rates import rate, rate_text

relaxed = settings(deadline=None)


@pytest.mark.parametrize(
    ("value", "exact", "text"),
    [
        (0, Fraction(0), "0"),
        (2, Fraction(2), "2"),
        ("1.5", Fraction(3, 2), "1.5"),
        ("1.50", Fraction(3, 2), "1.5"),
        ("007", Fraction(7), "7"),
        ("10", Fraction(10), "10"),
        ("0.000001", Fraction(1, 10**6), "0.000001"),
        ("1000000", Fraction(10**6), "1000000"),
    ],
)
def test_reads_and_prints_a_rate(value: Any, exact: Fraction, text: str) -> None:
    assert rate("rule x: rate", value) == exact
    assert rate_text(exact) == text


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        True,
        None,
        Fraction(3, 2),
        "",
        "1/3",
        "-1",
        "+1",
        "1e3",
        "1e999999999",
        " 1",
        "1\n",
        "1_0",
        "1.",
        ".5",
        "1,5",
        "٣",
        "nan",
        "1.0000001",
        "9999999999",
    ],
)
def test_refuses_what_is_no_plain_decimal(value: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        rate("rule x: rate", value)
    assert str(caught.value) == (
        "rule x: rate: a whole number or a decimal text such as '1.5' is wanted, of at most six "
        f"places, not {value!r}"
    )


@pytest.mark.parametrize("value", [-1, 0, "0.999999", "1000.000001", 1001])
def test_refuses_what_is_out_of_bounds(value: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        rate("rule x: factor", value, 1, 1000)
    assert str(caught.value) == f"rule x: factor: from 1 to 1000, not {value!r}"


@relaxed
@given(st.integers(0, 10**12))
def test_what_is_printed_reads_back_exactly(millionths: int) -> None:
    exact = Fraction(millionths, 10**6)
    assert rate("x", rate_text(exact)) == exact
