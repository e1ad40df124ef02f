"""What a partner declares: itself, its currencies, ladders and rewards. Frozen, checked when made.

Knows nothing of how the engine stores or serves them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeVar

from laurels.basis import Basis
from laurels.durations import Duration, zone
from laurels.errors import DeclarationError, check_code, check_title, shown, storable, within
from laurels.money import check_money_code
from laurels.policies import Policy, Returns
from laurels.windows import Window, WindowKind

#: The most points that one award, price or threshold may name.
MAX_POINTS = 10**15
T = TypeVar("T")


def _frozen(self: object, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(self, name, value)


def check_all(what: str, values: object, kind: type[T]) -> tuple[T, ...]:
    """Return `values` as a tuple if each is a `kind`. A refusal names the first other."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise DeclarationError(
            f"{what}: a sequence of {kind.__name__} is wanted, not {shown(values)}"
        )
    for value in values:
        if not isinstance(value, kind):
            raise DeclarationError(f"{what}: {shown(value)} is no {kind.__name__}")
    return tuple(values)


def check_mapping(what: str, values: object, kinds: str) -> Mapping[Any, Any]:
    """Return `values` if it is a mapping; `kinds` says of what to what."""
    if not isinstance(values, Mapping):
        raise DeclarationError(f"{what}: a mapping of {kinds} is wanted, not {shown(values)}")
    return values


def check_points(what: str, points: object, least: int = 0) -> int:
    """Return `points` if it is a whole number from `least` to 10**15."""
    if isinstance(points, bool) or not isinstance(points, int) or not least <= points <= MAX_POINTS:
        raise DeclarationError(
            f"{what}: a whole number from {least} to {MAX_POINTS}, not {shown(points)}"
        )
    return points


def check_distinct(what: str, codes: Sequence[str]) -> None:
    """Raise DeclarationError if a code stands twice among these."""
    for code in codes:
        if codes.count(code) > 1:
            raise DeclarationError(f"{what}: {code} stands there twice")


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

    def __post_init__(self) -> None:
        try:
            kind = MeasureKind(self.kind)
        except ValueError:
            raise DeclarationError(
                f"measure: {shown(self.kind)} is none: earned:CURRENCY, spend:MONEY or visits"
            ) from None
        if kind is MeasureKind.SPEND:
            within("measure spend", check_money_code, self.unit)
        elif kind is MeasureKind.EARNED:
            check_code("measure earned", self.unit)
        elif self.unit:
            raise DeclarationError(f"measure visits: has no unit, not {shown(self.unit)}")
        _frozen(self, kind=kind)

    def __str__(self) -> str:
        return f"{self.kind}:{self.unit}" if self.unit else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> Measure:
        """Read `earned:STAR`, `spend:EUR` or `visits`. Raises DeclarationError."""
        if not isinstance(text, str):
            raise DeclarationError(f"measure: a text is wanted, not {shown(text)}")
        kind, _, unit = text.partition(":")
        return cls(kind, unit)  # type: ignore[arg-type]  # __post_init__ makes it a MeasureKind


def check_optional(what: str, text: object, longest: int) -> None:
    """Raise DeclarationError unless it is a text that may be empty, fit to be stored."""
    if not isinstance(text, str) or len(text) > longest or not storable(text):
        raise DeclarationError(
            f"{what}: a text of at most {longest} characters is wanted, not {shown(text)}"
        )


def spend(currency: str) -> Measure:
    """A ladder's measure: money spent, in minor units of this ISO 4217 currency."""
    return Measure.parse(f"spend:{currency}")


def visits() -> Measure:
    """A ladder's measure: the number of purchases."""
    return Measure(MeasureKind.VISITS)


@dataclass(frozen=True, slots=True)
class Currency:
    """A separately balanced unit: points, stars, stamps.

    `pending` says how long points can't be spent yet (`14D`, `on 04-01 10-01`, `until shipped
    within 30D`), `expires` how long they last from then on (`90D`, `12M_U`, `on 12-31`, `sliding
    6M on earning`; None: for ever). `returns` is how far a return may reach: `pending` points
    only, `within-balance`, or into `arrears`. `grace` is how long points last that come back after
    their time. `notices` are lead times at which members are told of what will expire. Points of a
    currency that isn't `redeemable` count for tiers only. A `badge` is shown as one, as often as it
    was earned, and buys nothing; `capped(rule, Cap(times=1))` gives it once. `time_zone` defaults
    to its owner's.
    """

    code: str
    name: str
    symbol: str = ""
    expires: str | None = None
    time_zone: str | None = None
    pending: str | None = None
    returns: str = Returns.ARREARS
    grace: str | None = None
    notices: Sequence[str] = ()
    redeemable: bool = True
    badge: bool = False

    def __post_init__(self) -> None:
        check_code("currency", self.code)
        what = f"currency {self.code}"
        check_title(f"{what}: name", self.name, 100)
        check_optional(f"{what}: symbol", self.symbol, 16)
        if self.time_zone is not None:
            within(f"{what}: time_zone", zone, self.time_zone)
        if not isinstance(self.redeemable, bool):
            raise DeclarationError(f"{what}: redeemable: yes or no, not {shown(self.redeemable)}")
        if not isinstance(self.badge, bool):
            raise DeclarationError(f"{what}: badge: yes or no, not {shown(self.badge)}")
        if self.badge:
            _frozen(self, redeemable=False)
        within(what, lambda _: self.policy(self.time_zone or "UTC"), None)
        notices = check_all(f"{what}: notices", self.notices, str)
        for notice in notices:
            within(f"{what}: notices", Duration.parse, notice)
        _frozen(self, notices=notices)

    def policy(self, time_zone: str) -> Policy:
        """What it says of the life of its points; `time_zone` is its own or its owner's."""
        return Policy.parse(self.pending, self.expires, self.returns, self.grace, time_zone)

    @property
    def earned(self) -> Measure:
        """A ladder's measure: points of this currency earned, pending ones too."""
        return Measure(MeasureKind.EARNED, self.code)


def currency_code(currency: Currency | str) -> str:
    """The code of a currency given whole or, where the programme owns it, by its code."""
    if type(currency) is str:
        return _checked_code(currency)
    return currency.code if isinstance(currency, Currency) else check_code("currency", currency)


@lru_cache(maxsize=1024)
def _checked_code(code: str) -> str:
    # Remembered: rules name the same few with every award.
    return check_code("currency", code)


@dataclass(frozen=True, slots=True)
class Tier:
    """A rank on a ladder, reached at `at` (points, minor units or visits) and above.

    Who has reached a tier that is `never_down` never falls below it.
    """

    code: str
    at: int
    name: str = ""
    benefits: Sequence[str] = ()
    never_down: bool = False

    def __post_init__(self) -> None:
        check_code("tier", self.code)
        check_points(f"tier {self.code}: at", self.at)
        _check_flag(f"tier {self.code}: never_down", self.never_down)
        _frozen(
            self,
            name=check_title(f"tier {self.code}: name", self.name or self.code.capitalize(), 100),
            benefits=tuple(
                check_title(f"tier {self.code}: benefits", b)
                for b in check_all(f"tier {self.code}: benefits", self.benefits, str)
            ),
        )


def _check_flag(what: str, value: object) -> None:
    if not isinstance(value, bool):
        raise DeclarationError(f"{what}: it is True or False, not {shown(value)}")


@dataclass(frozen=True, slots=True)
class Ladder:
    """Tiers by a measure over a window: `12M` rolls and ends now, `calendar 1Y` starts anew with
    each local year (1M, 1Q …), `anniversary 12M` with the day of enrolment; None: all time.

    The first tier is where everybody starts: its threshold is 0. Upgrades happen at once,
    downgrades at review: of a rolling ladder nightly, of the others when a period ends; a rank
    that the period carried is kept through the next. `hold` (rolling ladders): a rank reached is
    kept for that long, judged then, and kept for as long again if it is still carried. `grace`: a
    fall takes effect that much after the review that found it, unless the tier is reached again by
    then. `soft_landing`: one tier down at most per review. `notices` are lead times at which
    members are told of a tier that they will lose.
    """

    code: str
    measure: Measure
    tiers: Sequence[Tier]
    window: str | None = "12M"
    name: str = ""
    time_zone: str | None = None
    hold: str | None = None
    grace: str | None = None
    soft_landing: bool = False
    notices: Sequence[str] = ()

    def __post_init__(self) -> None:
        what = f"ladder {check_code('ladder', self.code)}"
        tiers = check_all(f"{what}: tiers", self.tiers, Tier)
        if not isinstance(self.measure, Measure):
            raise DeclarationError(f"{what}: measure: it is CURRENCY.earned, spend(…) or visits()")
        if not tiers or tiers[0].at != 0:
            raise DeclarationError(f"{what}: tiers: the first starts at 0")
        if any(low.at >= high.at for low, high in pairwise(tiers)):
            raise DeclarationError(f"{what}: tiers: they rise, each strictly above the one before")
        check_distinct(f"{what}: tiers", [tier.code for tier in tiers])
        window = None
        if self.window is not None:
            window = within(f"{what}: window", Window.parse, self.window)
        if self.hold is not None:
            within(f"{what}: hold", Duration.parse, self.hold)
            if window is None or window.kind is not WindowKind.ROLLING:
                raise DeclarationError(
                    f"{what}: hold: only where the window rolls; a calendar or anniversary window "
                    "keeps a rank to the next period's end, and nothing leaves all time"
                )
        if self.grace is not None:
            within(f"{what}: grace", Duration.parse, self.grace)
        _check_flag(f"{what}: soft_landing", self.soft_landing)
        if self.time_zone is not None:
            within(f"{what}: time_zone", zone, self.time_zone)
        notices = check_all(f"{what}: notices", self.notices, str)
        for notice in notices:
            within(f"{what}: notices", Duration.parse, notice)
        name = check_title(f"{what}: name", self.name or self.code.capitalize(), 100)
        _frozen(self, tiers=tiers, name=name, notices=notices)


@dataclass(frozen=True, slots=True)
class Partner:
    """A business in the coalition.

    `trades_in` lists the ISO 4217 currencies of its receipts; `issues` and `accepts` ask for
    currencies that the programme owns (its own currencies it issues and accepts anyway). The
    programme's contract, where there is one, decides. `basis` is on what its rules count that
    name none (see `Basis`).
    """

    code: str
    name: str
    currencies: Sequence[Currency] = ()
    time_zone: str = "UTC"
    trades_in: Sequence[str] = ("USD",)
    issues: Sequence[str] = ()
    accepts: Sequence[str] = ()
    basis: Basis | None = None

    def __post_init__(self) -> None:
        what = f"partner {check_code('partner', self.code)}"
        check_title(f"{what}: name", self.name, 200)
        within(f"{what}: time_zone", zone, self.time_zone)
        trades = check_all(f"{what}: trades_in", self.trades_in, str)
        for money in trades:
            within(f"{what}: trades_in", check_money_code, money)
        if not trades:
            raise DeclarationError(f"{what}: trades_in: at least one money is wanted")
        check_distinct(f"{what}: trades_in", trades)
        currencies = check_all(f"{what}: currencies", self.currencies, Currency)
        check_distinct(f"{what}: currencies", [currency.code for currency in currencies])
        if self.basis is not None and not isinstance(self.basis, Basis):
            raise DeclarationError(f"{what}: basis: {shown(self.basis)} is no Basis")
        _frozen(
            self,
            trades_in=trades,
            currencies=currencies,
            issues=_codes(f"{what}: issues", self.issues),
            accepts=_codes(f"{what}: accepts", self.accepts),
        )


def _codes(what: str, values: object) -> tuple[str, ...]:
    codes = tuple(check_code(what, code) for code in check_all(what, values, str))
    check_distinct(what, codes)
    return codes
