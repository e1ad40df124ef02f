"""What a partner declares: itself, its currencies, ladders and rewards. Frozen, checked when made.

Knows nothing of how the engine stores or serves them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from laurels.durations import Duration, zone
from laurels.errors import DeclarationError, check_code, check_title
from laurels.money import Money, check_money_code

#: The most points that one award, price or threshold may name.
MAX_POINTS = 10**15
T = TypeVar("T")


def _frozen(self: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(self, name, value)


def check_all(what: str, values: object, kind: type[T]) -> tuple[T, ...]:
    """Return `values` as a tuple if each is a `kind`. Raises DeclarationError naming the first other."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise DeclarationError(f"{what}: a sequence of {kind.__name__} is wanted, not {values!r:.60}")
    for value in values:
        if not isinstance(value, kind):
            raise DeclarationError(f"{what}: {value!r:.60} is no {kind.__name__}")
    return tuple(values)


def check_points(what: str, points: object, least: int = 0) -> int:
    """Return `points` if it is a whole number from `least` to 10**15."""
    if isinstance(points, bool) or not isinstance(points, int) or not least <= points <= MAX_POINTS:
        raise DeclarationError(
            f"{what}: whole points from {least} to {MAX_POINTS}, not {points!r:.40}"
        )
    return points


class MeasureKind(StrEnum):
    """What a ladder counts."""

    EARNED = "earned"
    SPEND = "spend"
    VISITS = "visits"


@dataclass(frozen=True, slots=True)
class Measure:
    """What a ladder counts: points earned in a currency, money spent (minor units), or visits.

    Never the spendable balance: spending costs nobody a tier (DESIGN, "Tiers").
    """

    kind: MeasureKind
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.unit}" if self.unit else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> Measure:
        """Read `earned:STAR`, `spend:EUR` or `visits`. Raises DeclarationError."""
        kind, _, unit = text.partition(":")
        try:
            measure = cls(MeasureKind(kind), unit)
        except ValueError:
            raise DeclarationError(
                f"{text!r:.60} is no measure: earned:CURRENCY, spend:MONEY or visits"
            ) from None
        if measure.kind is MeasureKind.SPEND:
            check_money_code(unit)
        elif measure.kind is MeasureKind.EARNED:
            check_code("measure", unit)
        elif unit:
            raise DeclarationError(f"{text!r:.60}: visits have no unit")
        return measure


def spend(currency: str) -> Measure:
    """A ladder's measure: money spent, in minor units of this ISO 4217 currency."""
    return Measure.parse(f"spend:{currency}")


def visits() -> Measure:
    """A ladder's measure: the number of purchases."""
    return Measure(MeasureKind.VISITS)


@dataclass(frozen=True, slots=True)
class Currency:
    """A separately balanced unit: points, stars, stamps.

    `expires` is a duration from earning (`90D`, `12M_U`), or None for never. `time_zone` defaults
    to its owner's.
    """

    code: str
    name: str
    symbol: str = ""
    expires: str | None = None
    time_zone: str | None = None

    def __post_init__(self) -> None:
        check_code("currency", self.code)
        check_title(f"currency {self.code}", self.name, 100)
        if not isinstance(self.symbol, str) or len(self.symbol) > 16:
            raise DeclarationError(f"currency {self.code}: a symbol has at most 16 characters")
        if self.expires is not None:
            Duration.parse(self.expires)
        if self.time_zone is not None:
            zone(self.time_zone)

    @property
    def earned(self) -> Measure:
        """A ladder's measure: points of this currency earned, pending ones too."""
        return Measure(MeasureKind.EARNED, self.code)


def currency_code(currency: Currency | str) -> str:
    """The code of a currency given whole or, where the programme owns it, by its code."""
    return currency.code if isinstance(currency, Currency) else check_code("currency", currency)


@dataclass(frozen=True, slots=True)
class Tier:
    """A rank on a ladder, reached at `at` (points, minor units or visits) and above."""

    code: str
    at: int
    name: str = ""
    benefits: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_code("tier", self.code)
        check_points(f"tier {self.code}", self.at)
        _frozen(
            self,
            name=check_title(f"tier {self.code}", self.name or self.code.capitalize(), 100),
            benefits=tuple(
                check_title(f"tier {self.code}: benefit", b)
                for b in check_all(f"tier {self.code}: benefits", self.benefits, str)
            ),
        )


@dataclass(frozen=True, slots=True)
class Ladder:
    """Tiers by a measure over a rolling window that ends now (`12M`), or over all time (None).

    The first tier is where everybody starts: its threshold is 0. Upgrades happen at once; a rank
    that the window no longer carries is taken at the nightly review (DESIGN, "Tiers").
    """

    code: str
    measure: Measure
    tiers: Sequence[Tier]
    window: str | None = "12M"
    name: str = ""
    time_zone: str | None = None

    def __post_init__(self) -> None:
        what = f"ladder {check_code('ladder', self.code)}"
        tiers = check_all(f"{what}: tiers", self.tiers, Tier)
        if not isinstance(self.measure, Measure):
            raise DeclarationError(f"{what}: measure is CURRENCY.earned, spend(…) or visits()")
        if not tiers or tiers[0].at != 0:
            raise DeclarationError(f"{what}: the first tier starts at 0")
        if any(low.at >= high.at for low, high in zip(tiers, tiers[1:], strict=False)):
            raise DeclarationError(f"{what}: tiers rise, each strictly above the one before")
        if len({tier.code for tier in tiers}) != len(tiers):
            raise DeclarationError(f"{what}: two tiers have the same code")
        if self.window is not None and Duration.parse(self.window).rounding:
            raise DeclarationError(f"{what}: a rolling window isn't rounded")
        if self.time_zone is not None:
            zone(self.time_zone)
        name = check_title(what, self.name or self.code.capitalize(), 100)
        _frozen(self, tiers=tiers, name=name)


class RewardKind(StrEnum):
    """What a reward is to the member."""

    PRODUCT = "product"
    DISCOUNT = "discount"
    PERK = "perk"


@dataclass(frozen=True, slots=True)
class Reward:
    """Something to have for points.

    `price` gives the points per currency, any one of which may pay; `stock` is how many there are
    (None: no limit); `tier` is `(ladder, tier)` needed at least; `worth` (`"5.00 TRY"`) is the
    money off of a discount.
    """

    code: str
    title: str
    price: Mapping[Currency | str, int]
    stock: int | None = None
    tier: tuple[str, str] | None = None
    kind: RewardKind = RewardKind.PRODUCT
    worth: str | None = None
    description: str = ""
    prices: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        what = f"reward {check_code('reward', self.code)}"
        check_title(what, self.title)
        if not isinstance(self.price, Mapping) or not self.price:
            raise DeclarationError(f"{what}: price is a mapping of currency to points")
        prices = {currency_code(c): check_points(what, p, 1) for c, p in self.price.items()}
        if self.stock is not None:
            check_points(f"{what}: stock", self.stock)
        if self.tier is not None and (len(self.tier) != 2 or not all(map(check_code, ("ladder", "tier"), self.tier))):
            raise DeclarationError(f"{what}: tier is (ladder, tier)")
        if (self.worth is not None) != (self.kind == RewardKind.DISCOUNT):
            raise DeclarationError(f"{what}: a discount, and nothing else, has a worth")
        if self.worth is not None and Money.parse(self.worth).minor <= 0:
            raise DeclarationError(f"{what}: worth is above zero")
        _frozen(self, prices=MappingProxyType(prices), kind=RewardKind(self.kind))


@dataclass(frozen=True, slots=True)
class Partner:
    """A business in the coalition.

    `trades_in` lists the ISO 4217 currencies of its receipts; `issues` and `accepts` ask for
    currencies that the programme owns (its own currencies it issues and accepts anyway). The
    programme's contract, where there is one, decides.
    """

    code: str
    name: str
    currencies: Sequence[Currency] = ()
    time_zone: str = "UTC"
    trades_in: Sequence[str] = ("USD",)
    issues: Sequence[str] = ()
    accepts: Sequence[str] = ()

    def __post_init__(self) -> None:
        what = f"partner {check_code('partner', self.code)}"
        check_title(what, self.name, 200)
        zone(self.time_zone)
        trades = tuple(map(check_money_code, check_all(f"{what}: trades_in", self.trades_in, str)))
        if not trades:
            raise DeclarationError(f"{what}: trades_in names at least one money")
        _frozen(
            self,
            trades_in=trades,
            currencies=check_all(f"{what}: currencies", self.currencies, Currency),
            issues=check_all(f"{what}: issues", self.issues, str),
            accepts=check_all(f"{what}: accepts", self.accepts, str),
        )
