"""Challenges: points each time that purchases, units or money come to a target.

Progress is carried from receipt to receipt, and what comes back is taken off it: points that were
given for it meanwhile stay, and the next ones are that much farther.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from laurels.caps import period_of
from laurels.declarations import Currency, check_all, check_points
from laurels.earning import BoxRule, named
from laurels.errors import DeclarationError, check_title, within
from laurels.lasting import carries, unwrapped
from laurels.money import Money
from laurels.purchase import Facts, Purchase
from laurels.rounding import spread
from laurels.rules import Award, EarnRule, Effect, Nothing
from laurels.windows import Window


class Counts(StrEnum):
    """What a challenge counts."""

    PURCHASES = "purchases"
    PERIODS = "periods"
    UNITS = "units"
    MONEY = "money"
    THINGS = "things"


class Challenge(BoxRule):
    """`points` each time the target is reached: so many `purchases`, `units`, or `spend` of money.

    Of lines of the product types `of` alone, if any are named; of receipts of `at_least`
    (`"5.00 USD"`), if named. `per` is a period of the calendar (`"calendar 1W"`, by the partner's
    own clock) in which the target must be reached: with the next one progress begins anew. Without
    it progress lasts for ever. It recurs; `capped(…, Cap(times=1, per="calendar 1W"))` gives once.
    Raises DeclarationError.
    """

    __slots__ = ("_of", "at_least", "carries", "counts", "per", "points", "target", "window")

    def __init__(
        self,
        currency: Currency | str,
        points: int,
        *,
        purchases: int | None = None,
        units: int | None = None,
        spend: str | None = None,
        of: Sequence[str] = (),
        at_least: str | None = None,
        per: str | None = None,
        code: str = "challenge",
        title: str = "Points for a challenge",
    ) -> None:
        what = named(code)
        self.points = check_points(f"{what}: points", points, 1)
        self.carries = True
        self.per: Money | None = None
        if [purchases, units, spend].count(None) != 2:
            raise DeclarationError(f"{what}: purchases, units or spend, one of the three")
        if spend is not None:
            self.counts, self.per = Counts.MONEY, _money(f"{what}: spend", spend)
            self.target = self.per.minor
        elif units is not None:
            self.counts = Counts.UNITS
            self.target = 1000 * check_points(f"{what}: units", units, 1)
        else:
            self.counts = Counts.PURCHASES
            self.target = check_points(f"{what}: purchases", purchases, 1)
        self.window: Window | None = period_of(what, per)
        self._of = frozenset(
            check_title(f"{what}: of", kind, 200) for kind in check_all(f"{what}: of", of, str)
        )
        self.at_least = None if at_least is None else _money(f"{what}: at_least", at_least)
        told = {"purchases": purchases, "units": units, "spend": spend}
        super().__init__(
            code,
            title,
            currency,
            {
                "points": points,
                **{name: value for name, value in told.items() if value is not None},
                "of": tuple(sorted(self._of)),
                "at_least": None if self.at_least is None else str(self.at_least),
                "per": per,
            },
        )

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effect:
        """The points, where this receipt reaches the target; else how much is missing."""
        least = self.at_least
        for money in (self.per, least):
            if money is not None and money.currency != purchase.currency:
                return Nothing(f"counts receipts in {money.currency}")
        if least is not None and purchase.total < least:
            return Nothing(f"counts receipts of {least} or more, this was {purchase.total}")
        chosen = [not self._of or line.product_type in self._of for line in purchase.lines]
        if purchase.counts is not None:
            chosen = [yes and own for yes, own in zip(chosen, purchase.counts, strict=True)]
        if self.counts is Counts.UNITS:
            figures = [line.quantity for line in purchase.lines]
        else:
            figures = [line.amount for line in purchase.lines]
        shares = [n if yes else 0 for n, yes in zip(figures, chosen, strict=True)]
        counted = int(any(chosen)) if self.counts is Counts.PURCHASES else sum(shares)
        if not counted:
            return Nothing("nothing on this receipt counts")
        total = facts.carried.get(self.code, 0) + counted
        times = max(0, total) // self.target
        carry = total - times * self.target
        if not times:
            return Nothing(f"{self._missing(carry)} more to go", carry)
        points = times * self.points
        if not any(shares):  # all that counts is free of charge: alike
            shares = [int(yes) for yes in chosen]
        return Award(self.currency, points, spread(points, shares), carry=carry)

    def _missing(self, carry: int) -> str:
        missing = self.target - carry
        if self.per is not None:
            return str(Money(missing, self.per.currency))
        if self.counts is Counts.PURCHASES:
            return f"{missing} purchase{'' if missing == 1 else 's'}"
        whole, rest = divmod(missing, 1000)
        return f"{whole}.{rest:03} units" if rest else f"{whole} unit{'' if whole == 1 else 's'}"


class Goal(NamedTuple):
    """What a rule counts towards its next points, and how much that takes (thousandths of units).

    `money` is the code of the money that is counted; None where it isn't money.
    """

    counts: Counts
    target: int
    money: str | None


def goal_of(rule: EarnRule) -> Goal | None:
    """Of a rule that carries progress over; None where it doesn't say what it counts."""
    inner = unwrapped(rule)
    if not carries(inner):
        return None
    per = getattr(inner, "per", None)
    if isinstance(per, Money):
        return Goal(Counts.MONEY, per.minor, per.currency)
    counts, target = getattr(inner, "counts", None), getattr(inner, "target", None)
    if not isinstance(counts, Counts) or type(target) is not int:
        return None
    return Goal(counts, target, None)


def _money(what: str, text: str) -> Money:
    money = within(what, Money.parse, text)
    if money.minor <= 0:
        raise DeclarationError(f"{what}: it is above zero")
    return money
