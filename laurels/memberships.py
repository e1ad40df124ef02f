"""Paid memberships: plans with fees, and the perks that hold while one lasts. Frozen, checked.

Knows nothing of who holds one. A plan may give a tier of a ladder while it lasts, so that whatever
goes by tiers (multipliers, rewards, explanations) goes by it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from laurels.declarations import (
    Currency,
    check_all,
    check_distinct,
    check_optional,
    check_points,
    currency_code,
)
from laurels.durations import Duration
from laurels.errors import DeclarationError, check_code, check_title, shown, within
from laurels.money import Money
from laurels.rewards import check_pair

#: A plan's code stands in the reason of the tier that it gives, behind `membership.`.
MOST_CODE = 50


def _length(what: str, text: object) -> Duration:
    if not isinstance(text, str):
        raise DeclarationError(f"{what}: a duration such as '1M' is wanted, not {shown(text)}")
    length = within(what, Duration.parse, text)
    if length.count < 1 or length.rounding:
        raise DeclarationError(f"{what}: at least one whole unit without rounding: {shown(text)}")
    return length


def _money(what: str, text: object) -> Money:
    if not isinstance(text, str):
        raise DeclarationError(f"{what}: a text such as '12.99 USD' is wanted, not {shown(text)}")
    money = within(what, Money.parse, text)
    if money.minor <= 0:
        raise DeclarationError(f"{what}: it is above zero")
    return money


def _pair(what: str, points: object) -> tuple[Currency | str, object]:
    if not isinstance(points, tuple) or len(points) != 2:
        raise DeclarationError(f"{what}: it is (currency, points)")
    return points


@dataclass(frozen=True, slots=True)
class Fee:
    """What one term of a membership costs, and how long it lasts (`per`, such as `1M` or `1Y`).

    `money` (`"12.99 USD"`) is taken by the partner, who says that it was paid; `points`
    (`(COIN, 1299)`) by the engine. Both: the member pays both. A membership that renews by a fee of
    points alone renews by itself, as far as the points suffice.
    """

    code: str
    per: str
    money: str | None = None
    points: tuple[Currency | str, int] | None = None
    title: str = ""
    length: Duration = field(init=False, repr=False, compare=False)
    price: Money | None = field(init=False, repr=False, compare=False)
    currency: str | None = field(init=False, repr=False, compare=False)
    amount: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        what = f"fee {check_code('fee', self.code)}"
        check_optional(f"{what}: title", self.title, 500)
        if self.money is None and self.points is None:
            raise DeclarationError(f"{what}: money, points or both are wanted")
        currency, amount = None, 0
        if self.points is not None:
            unit, points = _pair(f"{what}: points", self.points)
            currency = within(f"{what}: points", currency_code, unit)
            amount = check_points(f"{what}: points", points, 1)
        frozen = {
            "length": _length(f"{what}: per", self.per),
            "price": None if self.money is None else _money(f"{what}: money", self.money),
            "currency": currency,
            "amount": amount,
        }
        for name, value in frozen.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class Perk:
    """Something that a member of a plan has at the checkout while the membership lasts.

    `worth` (`"5.99 USD"`) is what using it saves the member where the checkout says nothing else;
    None: only the checkout knows, or it isn't a matter of money.
    """

    code: str
    title: str
    worth: str | None = None
    description: str = ""
    saves: Money | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        what = f"perk {check_code('perk', self.code)}"
        check_title(f"{what}: title", self.title)
        check_optional(f"{what}: description", self.description, 4000)
        saves = None if self.worth is None else _money(f"{what}: worth", self.worth)
        object.__setattr__(self, "saves", saves)


@dataclass(frozen=True, slots=True)
class MembershipPlan:
    """A membership to be had for a fee, with perks while it lasts.

    `trial` (`30D`) is a first term without a fee, once for each member who never had the plan;
    `grace` (`7D`) is how long a membership that is to be renewed goes on after its term, unpaid.
    `tier` is `(ladder, tier)`, held at least as long as it lasts. One that names no other renews by
    the fee that paid it, after a trial by the first one.
    """

    code: str
    title: str
    fees: Sequence[Fee]
    perks: Sequence[Perk] = ()
    trial: str | None = None
    grace: str | None = None
    tier: tuple[str, str] | None = None
    description: str = ""
    tried: Duration | None = field(init=False, repr=False, compare=False)
    spared: Duration | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        what = f"plan {check_code('plan', self.code)}"
        if len(self.code) > MOST_CODE:
            raise DeclarationError(f"{what}: at most {MOST_CODE} characters")
        check_title(f"{what}: title", self.title)
        check_optional(f"{what}: description", self.description, 4000)
        fees = check_all(f"{what}: fees", self.fees, Fee)
        if not fees:
            raise DeclarationError(f"{what}: fees: at least one is wanted")
        perks = check_all(f"{what}: perks", self.perks, Perk)
        for name, some in (("fees", fees), ("perks", perks)):
            check_distinct(f"{what}: {name}", [x.code for x in some])
        if self.tier is not None:
            check_pair(f"{what}: tier", self.tier)
        lengths = {
            name: None if text is None else _length(f"{what}: {given}", text)
            for name, given, text in (
                ("tried", "trial", self.trial), ("spared", "grace", self.grace),
            )
        }  # fmt: skip
        for name, value in {"fees": fees, "perks": perks, **lengths}.items():
            object.__setattr__(self, name, value)

    def fee(self, code: str) -> Fee | None:
        """The fee of this code, if there is one."""
        return next((fee for fee in self.fees if fee.code == code), None)

    def perk(self, code: str) -> Perk | None:
        """The perk of this code, if there is one."""
        return next((perk for perk in self.perks if perk.code == code), None)
