"""Rates, factors and shares: exact fractions from decimal text, and back.

Only whole numbers and plain decimals are read: a float has lost what was typed, and a fraction such
as 1/3 could not be told to a member as a figure. Knows nothing of rules.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TypeAlias

from laurels.errors import DeclarationError, shown

#: A rate as a partner writes it: `2` or `"1.5"`.
Rate: TypeAlias = int | str

_FORM = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?\Z")
_UNIT = 10**6


def rate(what: str, value: object, least: int = 0, most: int = 10**6) -> Fraction:
    """The exact value of a whole number or a decimal text. Raises DeclarationError."""
    if type(value) is int or (isinstance(value, str) and _FORM.match(value)):
        exact = Fraction(value)
    else:
        raise DeclarationError(
            f"{what}: a whole number or a decimal text such as '1.5' is wanted, of at most six "
            f"places, not {shown(value)}"
        )
    # In whole numbers: a fraction compares slowly.
    if not least * exact.denominator <= exact.numerator <= most * exact.denominator:
        raise DeclarationError(f"{what}: from {least} to {most}, not {shown(value)}")
    return exact


def rate_text(exact: Fraction) -> str:
    """The decimal text of a rate, without needless zeros: `1.5`, `2`."""
    whole, part = divmod(int(exact * _UNIT), _UNIT)
    return f"{whole}.{part:06}".rstrip("0").rstrip(".")
