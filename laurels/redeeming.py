"""Redeem rules: what points are worth at a partner's checkout. Pure, like earn rules.

Rewards with a fixed price are declarations (`Reward`); a redeem rule turns any number of points
into money off. Knows nothing of balances but the one handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

from laurels.declarations import Currency, check_points, currency_code
from laurels.errors import (
    DeclarationError,
    RuleError,
    RuleTooSlow,
    check_code,
    check_title,
    shown,
    storable,
    within,
)
from laurels.money import Money
from laurels.rates import rate, rate_text
from laurels.rewards import REVERSIBLE, check_reversible
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
    """What a partner implements to take points at its till by a rule of its own.

    It may have `reversible`, as `PayWithPoints` does; one without it is reversible for 30 days.
    """

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


class Answer(NamedTuple):
    """What a redeem rule said of a bill, and how long after completion that may be taken back.

    `reversible` None: never.
    """

    said: Discount | Nothing
    reversible: str | None


def ask(rule: RedeemRule, checkout: Checkout) -> Answer:
    """Ask a redeem rule, and hold its answer against what was handed to it.

    Raises RuleError, naming the rule, where it raises, takes more than there is or was offered,
    gives no money of the bill's or more than the bill, or answers anything else. What is returned
    is a copy: nothing of the rule's own runs when it is read.
    """
    try:
        said: object = rule.discount(checkout)
        reversible: object = getattr(rule, "reversible", REVERSIBLE)
    except (RuleTooSlow, KeyboardInterrupt):
        raise  # the clock's, and the operator's own
    except BaseException as error:  # sys.exit() or a foreign panic in a rule ends no service
        raise RuleError(rule.code, f"raised {type(error).__name__}") from error
    try:
        lasts = check_reversible("reversible", reversible)
    except DeclarationError as error:
        raise RuleError(rule.code, str(error)) from None
    if type(said) is Nothing:
        because: object = said.because
        if type(because) is not str or not storable(because):
            raise RuleError(rule.code, "gave a reason that is no text")
        return Answer(Nothing(because[:500]), lasts)
    if type(said) is not Discount:
        raise RuleError(rule.code, f"answered {type(said).__name__}, no Discount and no Nothing")
    return Answer(_held(rule, said, checkout), lasts)


def _held(rule: RedeemRule, said: Discount, checkout: Checkout) -> Discount:
    points: object = said.points
    worth: object = said.worth
    most = checkout.balance
    if checkout.offered is not None:
        most = min(most, checkout.offered)
    # type() and not isinstance: True is an int, and no number of points.
    if type(points) is not int or not 0 < points <= most:
        raise RuleError(rule.code, f"took {shown(points)} of {most} points")
    if type(worth) is not Money or type(worth.currency) is not str or type(worth.minor) is not int:
        raise RuleError(rule.code, f"gave {shown(worth)}, which is no money")
    total = checkout.total
    if worth.currency != total.currency or not 0 < worth.minor <= total.minor:
        raise RuleError(rule.code, f"gave {worth.minor} of {worth.currency[:8]} off {total}")
    return Discount(points, worth)


class PayWithPoints:
    """Pay part of a bill with points, in whole steps: `points` a step, each `worth` so much money.

    `at_most` is the share of the bill that points may pay (`"50%"`); `minimum` the fewest points
    taken at once. What is taken is clamped to the offer, the balance, the ceiling and whole steps.
    `reversible` is how long after completion the partner may take a payment back (None: never).
    """

    __slots__ = (
        "at_most", "code", "currency", "minimum", "points", "reversible", "terms", "title", "worth",
    )  # fmt: skip

    def __init__(
        self,
        currency: Currency | str,
        points: int,
        worth: str,
        *,
        at_most: str = "100%",
        minimum: int = 0,
        reversible: str | None = REVERSIBLE,
        code: str = "pay-with-points",
        title: str = "Pay with points",
    ) -> None:
        self.code = check_code("redeem rule", code)
        what = f"redeem rule {code}"
        self.title = check_title(f"{what}: title", title)
        self.currency = within(what, currency_code, currency)
        self.points = check_points(f"{what}: points", points, 1)
        self.worth = within(f"{what}: worth", Money.parse, worth)
        self.minimum = check_points(f"{what}: minimum", minimum)
        self.at_most = _share(f"{what}: at_most", at_most)
        self.reversible = check_reversible(f"{what}: reversible", reversible)
        if self.worth.minor <= 0:
            raise DeclarationError(f"{what}: worth: it is above zero")
        self.terms: Terms = MappingProxyType(
            {
                "kind": "PayWithPoints",
                "currency": self.currency,
                "points": points,
                "worth": str(self.worth),
                "at_most": f"{rate_text(self.at_most * 100)}%",
                "minimum": minimum,
                "reversible": reversible,
            }
        )

    def discount(self, checkout: Checkout) -> Discount | Nothing:
        """The clamped discount, or why there is none."""
        if checkout.total.currency != self.worth.currency:
            return Nothing(f"pays bills in {self.worth.currency} only")
        ceiling = int(checkout.total.minor * self.at_most)
        points = checkout.balance
        if checkout.offered is not None:
            points = min(points, checkout.offered)
        steps = min(points // self.points, ceiling // self.worth.minor)
        if steps < 1 or steps * self.points < self.minimum:
            # Whole steps only: with steps of 100 a minimum of 150 is met by 200.
            least = max(-(-self.minimum // self.points), 1) * self.points
            return Nothing(
                f"takes at least {least} points, and only what the bill and the balance allow"
            )
        return Discount(steps * self.points, Money(steps * self.worth.minor, self.worth.currency))


def _share(what: str, text: object) -> Fraction:
    if not isinstance(text, str) or not text.endswith("%"):
        raise DeclarationError(f"{what}: a share such as '50%' is wanted, not {shown(text)}")
    share = rate(what, text.removesuffix("%"), 0, 100) / 100
    if not share:
        raise DeclarationError(f"{what}: it is above zero")
    return share
