"""Rewards with a fixed price: what a partner offers for points. Frozen, checked when made.

Knows nothing of how one is redeemed; any number of points for money off is a redeem rule's affair
(`laurels.redeeming`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from laurels.declarations import (
    Currency,
    check_distinct,
    check_mapping,
    check_optional,
    check_points,
    currency_code,
)
from laurels.durations import Duration
from laurels.errors import DeclarationError, check_code, check_title, shown, within
from laurels.money import Money

#: For how long a partner may take a redemption back where it says nothing else.
REVERSIBLE = "30D"
#: Held points don't expire and held stock is nobody else's: so a hold is short.
LONGEST_HOLD = timedelta(days=31)
_NEW_YEAR = datetime(2001, 1, 1, tzinfo=UTC)
E = TypeVar("E", bound=StrEnum)


class RewardKind(StrEnum):
    """What a reward is to the member."""

    PRODUCT = "product"
    DISCOUNT = "discount"
    PERK = "perk"


class CodeSource(StrEnum):
    """Where the codes come from that a member shows: made when wanted, or imported ahead."""

    GENERATED = "generated"
    POOL = "pool"


def check_reversible(what: str, text: object) -> str | None:
    """Return `text` if it says how long a redemption may be reversed: `30D`; None: not at all."""
    if text is not None and not isinstance(text, str):
        raise DeclarationError(f"{what}: a duration such as '30D' or None, not {shown(text)}")
    if text is not None:
        within(what, Duration.parse, text)
    return text


def check_pair(what: str, tier: object) -> None:
    """Raise DeclarationError unless this names a tier: (ladder, tier)."""
    if not isinstance(tier, tuple) or len(tier) != 2:
        raise DeclarationError(f"{what}: it is (ladder, tier)")
    for code in tier:
        check_code(what, code)


def _check_money(what: str, text: str | None) -> None:
    if text is not None and within(what, Money.parse, text).minor <= 0:
        raise DeclarationError(f"{what}: it is above zero")


def _one_of(what: str, kinds: type[E], value: str) -> E:
    try:
        return kinds(value)
    except ValueError:
        raise DeclarationError(f"{what}: {shown(value)} is none: {', '.join(kinds)}") from None


def _check_hold(text: object) -> None:
    """Raise DeclarationError unless points can be held for so long, whenever that begins."""
    if not isinstance(text, str):
        raise DeclarationError(f"a duration such as '14D' or None, not {shown(text)}")
    # In January, which is as long as a month is.
    if not _NEW_YEAR < Duration.parse(text).after(_NEW_YEAR, "UTC") <= _NEW_YEAR + LONGEST_HOLD:
        raise DeclarationError(f"{text}: points are held for {LONGEST_HOLD.days} days at most")


@dataclass(frozen=True, slots=True)
class Reward:
    """Something to have for points.

    `price` gives the points per currency, any one of which may pay; `stock` is how many there are
    (None: no limit); `tier` is `(ladder, tier)` needed at least; `worth` (`"5.00 TRY"`) is the
    money off of a discount; `cash` (`"5.00 TRY"`) is what the till collects beside the points.
    `codes` says whether the codes that members show are generated, or come from a pool that is
    imported ahead: out of codes is then out of stock. `reversible` is how long after completion the
    partner may take a redemption back (`30D`; None: never). `gives` are points that one piece is
    made into (`{CREDIT: 500}`): the partner issues them as the price is taken, to be spent like any
    others, and has them back when it takes the redemption back. They count for no tier. `fulfilled`
    (`14D`, at most 31 days) says that a person hands it out: taken, it is a request, whose points
    are held for so long, and is approved and delivered or declined. `prices` is the price by the
    currencies' codes, `made` what it gives by these.
    """

    code: str
    title: str
    price: Mapping[Currency | str, int] = field(compare=False)
    stock: int | None = None
    tier: tuple[str, str] | None = None
    kind: RewardKind = RewardKind.PRODUCT
    worth: str | None = None
    description: str = ""
    cash: str | None = None
    codes: CodeSource | str = CodeSource.GENERATED
    reversible: str | None = REVERSIBLE
    fulfilled: str | None = None
    gives: Mapping[Currency | str, int] = field(default_factory=dict, compare=False)
    prices: Mapping[str, int] = field(init=False, repr=False, hash=False)
    made: Mapping[str, int] = field(init=False, repr=False, hash=False)

    @property
    def limited(self) -> bool:
        """Whether there may be none left: of its stock, or of the codes in its pool."""
        return self.stock is not None or self.codes is CodeSource.POOL

    def __post_init__(self) -> None:
        what = f"reward {check_code('reward', self.code)}"
        check_title(f"{what}: title", self.title)
        check_optional(f"{what}: description", self.description, 4000)
        if not check_mapping(f"{what}: price", self.price, "currency to points"):
            raise DeclarationError(f"{what}: price: at least one currency is wanted")
        codes = [within(f"{what}: price", currency_code, c) for c in self.price]
        check_distinct(f"{what}: price", codes)
        points = [check_points(f"{what}: price", p, 1) for p in self.price.values()]
        made = self._made(what, codes)
        if self.stock is not None:
            check_points(f"{what}: stock", self.stock)
        if self.tier is not None:
            check_pair(f"{what}: tier", self.tier)
        kind = _one_of(f"{what}: kind", RewardKind, self.kind)
        if (self.worth is not None) != (kind is RewardKind.DISCOUNT):
            raise DeclarationError(f"{what}: worth: a discount, and nothing else, has one")
        _check_money(f"{what}: worth", self.worth)
        _check_money(f"{what}: cash", self.cash)
        check_reversible(f"{what}: reversible", self.reversible)
        if self.fulfilled is not None:
            within(f"{what}: fulfilled", _check_hold, self.fulfilled)
            if self.gives:
                raise DeclarationError(f"{what}: fulfilled: nobody hands out points that it gives")
        frozen = {
            "kind": kind,
            "codes": _one_of(f"{what}: codes", CodeSource, self.codes),
            "price": MappingProxyType(dict(self.price)),
            "prices": MappingProxyType(dict(zip(codes, points, strict=True))),
            "gives": MappingProxyType(dict(self.gives)),
            "made": made,
        }
        for name, value in frozen.items():
            object.__setattr__(self, name, value)

    def _made(self, what: str, prices: list[str]) -> Mapping[str, int]:
        """What one piece gives, by the currencies' codes. Raises DeclarationError."""
        check_mapping(f"{what}: gives", self.gives, "currency to points")
        codes = [within(f"{what}: gives", currency_code, c) for c in self.gives]
        check_distinct(f"{what}: gives", codes)
        for code in codes:
            if code in prices:
                raise DeclarationError(f"{what}: gives: it costs {code}, too")
        points = [check_points(f"{what}: gives", p, 1) for p in self.gives.values()]
        return MappingProxyType(dict(zip(codes, points, strict=True)))
