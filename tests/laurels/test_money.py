"""Money: exact minor units, read and printed without loss, and what is refused."""

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laurels.money import MAX_MINOR, Money, MoneyError, exponent, to_major, to_minor

relaxed = settings(deadline=None)
CODES = st.sampled_from(["EUR", "USD", "TRY", "JPY", "KWD", "CLF"])
MINOR = st.integers(-MAX_MINOR, MAX_MINOR)


@pytest.mark.parametrize(
    ("text", "code", "minor"),
    [
        ("3.49", "EUR", 349),
        ("0", "EUR", 0),
        ("-0.00", "EUR", 0),
        ("-3.4", "EUR", -340),
        ("3.4900", "EUR", 349),
        ("000000000000000000003.49", "EUR", 349),
        ("120", "JPY", 120),
        ("120.0", "JPY", 120),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12345),
        ("100000000000.00", "EUR", 10**13),
        (5, "EUR", 500),
        (-5, "JPY", -5),
        (Decimal("3.49"), "EUR", 349),
        (Decimal("3E+2"), "EUR", 30000),
        (Decimal("0E-5"), "EUR", 0),
    ],
)
def test_reads_an_amount(text: Any, code: str, minor: int) -> None:
    assert to_minor(text, code) == minor


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 3",
        "3 ",
        "+3",
        "3.",
        ".5",
        "3,49",
        "1_000",
        "1e3",
        "NaN",
        "Infinity",
        "٣",
        "3\n",
        "--3",
    ],
)
def test_refuses_what_is_no_plain_decimal(text: str) -> None:
    with pytest.raises(MoneyError) as caught:
        to_minor(text, "EUR")
    assert str(caught.value) == f"{text!r} is no decimal amount"


@pytest.mark.parametrize("value", [1.5, True, None, b"3", Decimal("NaN"), Decimal("Infinity")])
def test_refuses_what_is_no_decimal_text(value: Any) -> None:
    with pytest.raises(MoneyError) as caught:
        to_minor(value, "EUR")
    assert str(caught.value) == f"an amount is a decimal text, never a float: {value!r}"


@pytest.mark.parametrize(
    ("text", "code", "digits"),
    [
        ("3.495", "EUR", 2),
        ("3.5", "JPY", 0),
        ("1.0001", "KWD", 3),
        # More digits than a Decimal's context keeps: rounding there would let them pass.
        ("1.0000000000000000000000000000000000001", "EUR", 2),
        (Decimal("3.495"), "EUR", 2),
    ],
)
def test_refuses_digits_that_the_money_has_not(text: Any, code: str, digits: int) -> None:
    with pytest.raises(MoneyError) as caught:
        to_minor(text, code)
    assert str(caught.value) == f"{text!r} has more than {digits} digits for {code}"


@pytest.mark.parametrize(
    "text",
    [
        "100000000000.01",
        "9" * 40,
        -(10**14),
        Decimal("1E+99999"),
        Decimal("1E-99999"),
        "-" + "9" * 20,
    ],
)
def test_refuses_the_absurd(text: Any) -> None:
    with pytest.raises(MoneyError) as caught:
        to_minor(text, "EUR")
    assert str(caught.value) == f"{text!r} is beyond what one receipt may hold"


@pytest.mark.parametrize(
    ("code", "digits"),
    [
        ("EUR", 2),
        ("TRY", 2),
        ("JPY", 0),
        ("UGX", 0),
        ("KWD", 3),
        ("TND", 3),
        ("CLF", 4),
        ("UYW", 4),
    ],
)
def test_digits_of_iso_4217(code: str, digits: int) -> None:
    assert exponent(code) == digits


@pytest.mark.parametrize(
    ("minor", "code", "text"),
    [
        (349, "EUR", "3.49"),
        (0, "EUR", "0.00"),
        (-5, "EUR", "-0.05"),
        (-1234, "KWD", "-1.234"),
        (120, "JPY", "120"),
        (10**40 + 1, "EUR", f"1{'0' * 38}.01"),
    ],
)
def test_prints_an_amount(minor: int, code: str, text: str) -> None:
    assert to_major(minor, code) == text


@relaxed
@given(MINOR, CODES)
def test_what_is_printed_reads_back(minor: int, code: str) -> None:
    money = Money(minor, code)
    assert Money.parse(str(money)) == money
    assert to_minor(to_major(minor, code), code) == minor
    assert Decimal(to_major(minor, code)) * 10 ** exponent(code) == minor


@relaxed
@given(MINOR)
def test_a_decimal_context_changes_nothing(minor: int) -> None:
    with localcontext() as context:
        context.prec = 3
        assert to_minor(to_major(minor, "EUR"), "EUR") == minor


@pytest.mark.parametrize("text", ["5.00 TRY", "5 TRY", "  5.00   TRY "])
def test_parses_money(text: str) -> None:
    assert Money.parse(text) == Money(500, "TRY")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("5.00", "a money currency is an ISO 4217 code such as EUR, not ''"),
        ("TRY 5.00", "a money currency is an ISO 4217 code such as EUR, not '5.00'"),
        ("5.00 try", "a money currency is an ISO 4217 code such as EUR, not 'try'"),
        ("5.00 EURO", "a money currency is an ISO 4217 code such as EUR, not 'EURO'"),
        ("five EUR", "'five' is no decimal amount"),
        (500, "money is a text such as '5.00 EUR', not 500"),
    ],
)
def test_refuses_to_parse(text: Any, problem: str) -> None:
    with pytest.raises(MoneyError) as caught:
        Money.parse(text)
    assert str(caught.value) == problem


@pytest.mark.parametrize("minor", [1.0, True, "5", None, Decimal(5)])
def test_is_whole_minor_units_only(minor: Any) -> None:
    with pytest.raises(MoneyError) as caught:
        Money(minor, "EUR")
    assert str(caught.value) == f"money is whole minor units, not {minor!r}"


def test_has_the_form_of_a_currency() -> None:
    with pytest.raises(MoneyError, match="ISO 4217 code such as EUR, not 'eur'"):
        Money(5, "eur")


def test_compares_with_money_and_with_text() -> None:
    five = Money(500, "EUR")
    assert five == Money(500, "EUR")
    assert hash(five) == hash(Money(500, "EUR"))
    assert five == "5.00"
    assert five == "5 EUR"
    assert five != Money(500, "USD")
    assert five != 500
    assert five < "5.01"
    assert five <= "5"
    assert five > Money(499, "EUR")
    assert five >= "5.00 EUR"
    assert not five < five
    assert not five > "5.00"
    assert not five <= "4.99"
    assert not five >= "5.01"


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (Money(1, "USD"), "EUR doesn't compare with USD"),
        ("1.000 KWD", "EUR doesn't compare with KWD"),
        ("100,00", "'100,00' is no decimal amount"),
        (5, "money compares with money or a decimal text, not 5"),
    ],
)
def test_refuses_to_compare(other: Any, problem: str) -> None:
    with pytest.raises(MoneyError) as caught:
        assert Money(1, "EUR") < other
    assert str(caught.value) == problem


def test_a_mistaken_text_is_no_quiet_false() -> None:
    with pytest.raises(MoneyError):
        assert Money(1, "EUR") == "100,00"


@relaxed
@given(MINOR, MINOR, CODES)
def test_orders_as_whole_numbers(a: int, b: int, code: str) -> None:
    left, right = Money(a, code), Money(b, code)
    assert (left < right, left <= right, left == right) == (a < b, a <= b, a == b)
    assert (left > str(right), left >= str(right)) == (a > b, a >= b)
