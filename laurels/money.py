"""Money: whole minor units with an ISO 4217 code. Never a float.

Knows nothing of exchange rates: two currencies don't compare and don't add.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from laurels.errors import LaurelsError, shown

# ISO 4217 list one: the codes whose minor unit isn't 1/100, by the digits of their minor unit.
_CODES_BY_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_EXPONENTS = {code: digits for digits, codes in _CODES_BY_DIGITS.items() for code in codes.split()}
_CODE = re.compile(r"[A-Z]{3}\Z")
_PLAIN = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?\Z")
#: The largest amount of one line or receipt, in minor units: beyond it lies a till's mistake.
MAX_MINOR = 10**13


class MoneyError(LaurelsError, ValueError):
    """A text or number that is no amount of money in its currency."""


def check_money_code(code: object) -> str:
    """Return `code` if it has the form of an ISO 4217 code (three capital letters)."""
    if not isinstance(code, str) or not _CODE.match(code):
        raise MoneyError(f"a money currency is an ISO 4217 code such as EUR, not {shown(code)}")
    return code


def exponent(code: str) -> int:
    """Digits behind the decimal point of this currency: 2 for EUR, 0 for JPY, 3 for KWD."""
    return _EXPONENTS.get(code, 2)


def to_minor(text: str | Decimal | int, code: str) -> int:
    """Whole minor units of a decimal amount in major units: `("3.49", "EUR")` gives 349.

    Raises MoneyError where the text is no plain decimal, has more digits than the currency, or
    is absurd (more than 10**13 minor units either way). Reckons in integers alone: a Decimal's
    context would round the digits that must be refused.
    """
    plain = _PLAIN.match(_plain_text(text))
    if plain is None:
        raise MoneyError(f"{shown(text)} is no decimal amount")
    sign, whole, part = plain[1], plain[2].lstrip("0"), (plain[3] or "").rstrip("0")
    digits = exponent(code)
    if len(part) > digits:
        raise MoneyError(f"{shown(text)} has more than {digits} digits for {code}")
    if len(whole) > 14 or (minor := int(f"{whole}{part:0<{digits}}" or "0")) > MAX_MINOR:
        raise MoneyError(f"{shown(text)} is beyond what one receipt may hold")
    return -minor if sign else minor


def _plain_text(text: object) -> str:
    if isinstance(text, str):
        return text
    if isinstance(text, Decimal) and text.is_finite():
        if abs(text.adjusted()) > 99:
            raise MoneyError(f"{shown(text)} is beyond what one receipt may hold")
        return f"{text:f}"
    if type(text) is int:
        if abs(text) > MAX_MINOR:
            raise MoneyError(f"{shown(text)} is beyond what one receipt may hold")
        return str(text)
    raise MoneyError(f"an amount is a decimal text, never a float: {shown(text)}")


def to_major(minor: int, code: str) -> str:
    """The decimal text of minor units: `(349, "EUR")` gives `"3.49"`."""
    digits = exponent(code)
    if not digits:
        return str(minor)
    whole, part = divmod(abs(minor), 10**digits)
    return f"{'-' if minor < 0 else ''}{whole}.{part:0{digits}}"


@dataclass(frozen=True, slots=True, eq=False)
class Money:
    """An amount: `minor` units of ISO 4217 `currency`.

    It compares with a text in major units too, `total >= "100.00"`; one that is no amount, or is
    in another currency, raises MoneyError. Don't look a text up in a set of money: they hash apart.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise MoneyError(f"money is whole minor units, not {shown(self.minor)}")
        check_money_code(self.currency)

    @classmethod
    def parse(cls, text: str) -> Money:
        """Read `"5.00 TRY"`. Raises MoneyError."""
        if not isinstance(text, str):
            raise MoneyError(f"money is a text such as '5.00 EUR', not {shown(text)}")
        amount, _, code = text.strip().partition(" ")
        code = check_money_code(code.strip())
        return cls(to_minor(amount, code), code)

    def _same(self, other: object) -> int:
        if isinstance(other, str):
            text = other.strip()
            other = Money.parse(text if " " in text else f"{text} {self.currency}")
        if not isinstance(other, Money):
            raise MoneyError(f"money compares with money or a decimal text, not {shown(other)}")
        if other.currency != self.currency:
            raise MoneyError(f"{self.currency} doesn't compare with {other.currency}")
        return other.minor

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Money):
            return self.minor == other.minor and self.currency == other.currency
        return isinstance(other, str) and self.minor == self._same(other)

    def __lt__(self, other: object) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: object) -> bool:
        return self.minor <= self._same(other)

    def __gt__(self, other: object) -> bool:
        return self.minor > self._same(other)

    def __ge__(self, other: object) -> bool:
        return self.minor >= self._same(other)

    def __hash__(self) -> int:
        return hash((self.minor, self.currency))

    def __str__(self) -> str:
        return f"{to_major(self.minor, self.currency)} {self.currency}"
