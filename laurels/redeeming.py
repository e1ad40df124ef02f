"""Redeem rules: what points are worth at a partner's checkout. Pure, like earn rules.

Rewards with a fixed price are declarations (`Reward`); a redeem rule turns any number of points
into money off. Knows nothing of balances but the one handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from laurels.declarations import Currency, check_points, currency_code
from laurels.errors import DeclarationError, check_code, check_title
from laurels.money import Money
from laurels.rules import Nothing, Terms


@dataclass(frozen=True, slots=True)
class Checkout:
    """What is to be paid, the member's spendable points, and how many of them the member offers."""

    total: Money
    balance: int
    offered: int | None = None


@dataclass(frozen=True, slots=True)
class Discount:
    """Money off for points: `points` are taken, `worth` is deducted from the bill."""

    points: int
    worth: Money


@runtime_checkable
class RedeemRule(Protocol):
    """What a partner implements to take points at its till by a rule of its own."""

    @property
    def code(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def currency(self) -> str: ...
    @property
    def terms(self) -> Terms: ...

    def discount(self, checkout: Checkout) -> Discount | Nothing:
        """The money off, or why there is none. Never more points than the balance or the offer."""


class PayWithPoints:
    """Pay part of a bill with points, in whole steps: `points` a step, each `worth` so much money.

    `at_most` is the share of the bill that points may pay (`"50%"`); `minimum` the fewest points
    taken at once. What is taken is clamped to the offer, the balance, the ceiling and whole steps.
    """

    __slots__ = ("at_most", "code", "currency", "minimum", "points", "terms", "title", "worth")

    def __init__(
        self,
        currency: Currency | str,
        points: int,
        worth: str,
        *,
        at_most: str = "100%",
        minimum: int = 0,
        code: str = "pay-with-points",
        title: str = "Pay with points",
    ) -> None:
        self.code = check_code("redeem rule", code)
        self.title = check_title(f"redeem rule {code}", title)
        self.currency = currency_code(currency)
        self.points = check_points(f"{code}: points", points, 1)
        self.worth = Money.parse(worth)
        self.minimum = check_points(f"{code}: minimum", minimum)
        self.at_most = _share(code, at_most)
        if self.worth.minor <= 0:
            raise DeclarationError(f"redeem rule {code}: worth is above zero")
        self.terms: Terms = MappingProxyType(
            {
                "kind": "PayWithPoints",
                "currency": self.currency,
                "points": points,
                "worth": str(self.worth),
                "at_most": at_most,
                "minimum": minimum,
            }
        )

    def discount(self, checkout: Checkout) -> Discount | Nothing:
        """The clamped discount, or why there is none."""
        if checkout.total.currency != self.worth.currency:
            return Nothing(f"pays bills in {self.worth.currency} only")
        ceiling = int(checkout.total.minor * self.at_most)
        points = checkout.balance if checkout.offered is None else min(checkout.offered, checkout.balance)
        steps = min(points // self.points, ceiling // self.worth.minor)
        if steps * self.points < max(self.minimum, 1):
            least = max(self.minimum, self.points)
            return Nothing(f"takes at least {least} points, and only what the bill and the balance allow")
        return Discount(steps * self.points, Money(steps * self.worth.minor, self.worth.currency))


def _share(code: str, text: str) -> Fraction:
    try:
        share = Fraction(text.removesuffix("%")) / 100 if text.endswith("%") else Fraction(0)
    except (AttributeError, ValueError, ZeroDivisionError):
        share = Fraction(0)
    if not 0 < share <= 1:
        raise DeclarationError(f"redeem rule {code}: at_most is a share such as '50%', not {text!r}")
    return share
