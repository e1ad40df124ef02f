"""What an earn rule is and may answer: one protocol, and the effects.

A rule is pure: a purchase and facts in, effects out. It reads no clock and no database, and it
books nothing: the engine alone rounds, caps and books.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType
from typing import Protocol, TypeAlias, runtime_checkable

from laurels.declarations import Currency, currency_code
from laurels.errors import DeclarationError, check_code, check_title
from laurels.purchase import Facts, Purchase

#: What may stand in a rule's terms: plain data, so that it can be stored and read for ever.
Terms: TypeAlias = Mapping[str, "str | int | bool | None | Mapping[str, str | int] | Sequence[str]"]


@dataclass(frozen=True, slots=True)
class Award:
    """Points for this purchase.

    `lines` says which line gave how many, in the receipt's order; without it the engine spreads
    the points over the lines by their amounts. `because` is a member's reason where the rule's
    title alone doesn't say it. `wanted` is the figure before the rule's own cap cut it.
    """

    currency: str
    points: int
    lines: Sequence[int] | None = None
    because: str = ""
    wanted: int | None = None


@dataclass(frozen=True, slots=True)
class Multiply:
    """An award of floor(base x factor) - base, where base is what all awards of the currency gave."""

    currency: str
    factor: Fraction
    because: str = ""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No points, and why: the first condition that failed, in a member's words."""

    because: str


Effect: TypeAlias = Award | Multiply | Nothing
Effects: TypeAlias = Effect | Sequence[Effect] | None


def award(
    currency: Currency | str, points: int, *, lines: Sequence[int] | None = None, because: str = ""
) -> Award:
    """Give `points` (a whole number, at least 0) of `currency`, perhaps line by line."""
    return Award(currency_code(currency), points, lines, because)


def multiply(currency: Currency | str, factor: str | int, *, because: str = "") -> Multiply:
    """Multiply what the other rules gave of `currency`: `multiply(STARS, "1.5")` adds half of it."""
    return Multiply(currency_code(currency), _factor(factor), because)


def nothing(because: str) -> Nothing:
    """Give nothing and say why, so that the member can be told."""
    return Nothing(because)


def _factor(value: str | int) -> Fraction:
    if isinstance(value, bool | float):
        raise DeclarationError(f"a factor is a decimal text such as '1.5', never a float: {value!r}")
    try:
        factor = Fraction(value)
    except (ValueError, TypeError, ZeroDivisionError):
        raise DeclarationError(f"{value!r:.40} is no factor; a decimal text such as '1.5' is") from None
    if not 1 <= factor <= 1000:
        raise DeclarationError(f"a factor lies between 1 and 1000, not {value}")
    return factor


@runtime_checkable
class EarnRule(Protocol):
    """What a partner implements to give points by a rule of its own.

    `code` names the rule for ever within its partner; `title` is what a member reads; `terms` are
    the rule's figures as plain data: stored with each version, shown to members, compared to tell
    one version from the next.
    """

    @property
    def code(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def terms(self) -> Terms: ...

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """What this purchase gets. Raising fails this purchase, and no other."""


@dataclass(frozen=True, slots=True)
class FunctionRule:
    """A rule made of one function by `@earn_rule`."""

    code: str
    title: str
    function: Callable[[Purchase, Facts], Effects]
    terms: Terms = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_code("earn rule", self.code)
        check_title(f"earn rule {self.code}", self.title)

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """What the function says."""
        return self.function(purchase, facts)


def earn_rule(
    code: str, title: str, terms: Terms | None = None
) -> Callable[[Callable[[Purchase, Facts], Effects]], FunctionRule]:
    """Make an earn rule of a function of a purchase and facts. Raises DeclarationError."""

    def make(function: Callable[[Purchase, Facts], Effects]) -> FunctionRule:
        return FunctionRule(code, title, function, MappingProxyType(dict(terms or {})))

    return make
