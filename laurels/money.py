"""Money: whole minor units with an ISO 4217 code. Never a float.

Knows nothing of exchange rates: two currencies don't compare and don't add.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from laurels.errors import LaurelsError

# ISO 4217 list one: the codes whose minor unit isn't 1/100.
_EXPONENTS = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}
_CODE = re.compile(r"[A-Z]{3}\Z")
#: The largest amount of one line or receipt, in minor units: beyond it lies a till's mistake.
MAX_MINOR = 10**13


class MoneyError(LaurelsError, ValueError):
    """A text or number that is no amount of money in its currency."""


def check_money_code(code: object) -> str:
    """Return `code` if it has the form of an ISO 4217 code (three capital letters)."""
    if not isinstance(code, str) or not _CODE.match(code):
        raise MoneyError(f"a money currency is an ISO 4217 code such as EUR, not {code!r:.40}")
    return code


def exponent(code: str) -> int:
    """Digits behind the decimal point of this currency: 2 for EUR, 0 for JPY, 3 for KWD."""
    return _EXPONENTS.get(code, 2)


def to_minor(text: str | Decimal | int, code: str) -> int:
    """Whole minor units of a decimal amount in major units: `("3.49", "EUR")` gives 349.

    Raises MoneyError where the text is no plain decimal, has more digits than the currency, or
    is absurd (more than 10**13 minor units either way).
    """
    if isinstance(text, bool | float):
        raise MoneyError(f"an amount is a decimal text, never a float: {text!r}")
    try:
        scaled = Decimal(text).scaleb(exponent(code))
    except (InvalidOperation, ValueError, TypeError):
        raise MoneyError(f"{str(text)!r:.40} is no decimal amount") from None
    if not scaled.is_finite() or abs(scaled) > MAX_MINOR:
        raise MoneyError(f"{str(text)!r:.40} is beyond what one receipt may hold")
    minor = int(scaled)
    if minor != scaled:
        raise MoneyError(f"{str(text)!r:.40} has more than {exponent(code)} digits for {code}")
    return minor


def to_major(minor: int, code: str) -> str:
    """The decimal text of minor units: `(349, "EUR")` gives `"3.49"`."""
    return f"{Decimal(minor).scaleb(-exponent(code)):f}"


@dataclass(frozen=True, slots=True, eq=False)
class Money:
    """An amount: `minor` units of ISO 4217 `currency`. Compares with a text in major units too."""

    minor: int
    currency: str

    @classmethod
    def parse(cls, text: str) -> Money:
        """Read `"5.00 TRY"`. Raises MoneyError."""
        if not isinstance(text, str):
            raise MoneyError(f"money is a text such as '5.00 EUR', not {text!r:.40}")
        amount, _, code = text.strip().partition(" ")
        return cls(to_minor(amount, check_money_code(code.strip())), code.strip())

    def _same(self, other: object) -> int:
        if isinstance(other, str):
            amount, _, code = other.partition(" ")
            other = Money(to_minor(amount, self.currency), code or self.currency)
        if not isinstance(other, Money):
            raise MoneyError(f"money compares with money or a decimal text, not {other!r}")
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
