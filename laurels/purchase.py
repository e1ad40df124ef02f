"""The purchase as a partner's rule sees it, and the facts handed in with it.

Both are plain frozen data: a rule gets nothing else, and can change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from laurels.durations import zone
from laurels.errors import LaurelsError, check_code, shown
from laurels.money import Money, check_money_code, exponent


class PurchaseError(LaurelsError, ValueError):
    """A purchase or facts that the engine would never hand to a rule."""


class LineKind(StrEnum):
    """What a line of a receipt is for."""

    GOODS = "goods"
    DELIVERY = "delivery"
    GIFT_CARD = "gift-card"
    FEE = "fee"


class Line(NamedTuple):
    """One line of a receipt.

    `amount` is what was due for the whole line after discounts, with tax, before points paid any of
    it, in minor units (cents) of the purchase's money; `quantity` counts thousandths, so that
    weighed goods are exact: 1.250 kg is 1250. `discount` had been taken off before; of the amount
    `tax` is tax, and `points_paid` was paid with points. All of it in minor units, from 0.
    """

    product_type: str
    amount: int
    quantity: int = 1000
    sku: str = ""
    discount: int = 0
    tax: int = 0
    points_paid: int = 0
    kind: LineKind = LineKind.GOODS

    @property
    def plain(self) -> bool:
        """Whether it says no more than what, how many and how much: as most lines do."""
        return self[4:] == _PLAIN  # one comparison: every line of every receipt is asked

    @property
    def gross(self) -> int:
        """What it would have cost without discounts, in minor units."""
        return self.amount + self.discount

    @property
    def units(self) -> Decimal:
        """The quantity as a decimal of three places."""
        return Decimal(self.quantity).scaleb(-3)


_PLAIN = (0, 0, 0, LineKind.GOODS)


@dataclass(frozen=True, slots=True)
class Purchase:
    """A receipt: what was bought, when and for how much. Never negative, never empty.

    `tender` is how it was paid, in the partner's own word (`card`, `cash`, `stored-value` for its
    preloaded card); empty where the till doesn't say.

    Making one checks nothing: whoever proves the books rebuilds a damaged one too, to name it.

    A rule on a basis of its own (`laurels.Basis`) is shown a view of it, with the same lines in the
    same places: `whole` is the receipt as it is, `counts` says which lines count (None: all do).
    """

    partner: str
    external_id: str
    occurred_at: datetime
    currency: str
    lines: tuple[Line, ...]
    store: str = ""
    time_zone: str = "UTC"
    tender: str = field(default="", kw_only=True)
    counts: tuple[bool, ...] | None = field(default=None, kw_only=True, repr=False, compare=False)
    _whole: Purchase | None = field(default=None, kw_only=True, repr=False, compare=False)
    _amounts: tuple[int, ...] | None = field(default=None, init=False, repr=False, compare=False)
    _total: int = field(default=0, init=False, repr=False, compare=False)

    @property
    def whole(self) -> Purchase:
        """The receipt as it is, whatever of it counts for the rule that is asked."""
        return self if self._whole is None else self._whole

    @property
    def total(self) -> Money:
        """What was paid in all; compares with a text: `purchase.total >= "100.00"`."""
        return Money(self.total_minor, self.currency)

    @property
    def total_minor(self) -> int:
        """What was paid in all, in minor units."""
        if self._amounts is None:
            self.amounts  # noqa: B018  # gathers both
        return self._total

    @property
    def amounts(self) -> tuple[int, ...]:
        """What was paid for each line, in minor units."""
        amounts = self._amounts
        if amounts is None:  # gathered once: every rule asks
            amounts = tuple([line.amount for line in self.lines])
            object.__setattr__(self, "_amounts", amounts)
            object.__setattr__(self, "_total", sum(amounts))
        return amounts

    @property
    def trigger(self) -> str:
        """By which rules name what they judge; of an activity its type."""
        return "purchase"

    @property
    def minor_per_major(self) -> int:
        """Minor units in one major unit: 100 for EUR, 1 for JPY."""
        return int(10 ** exponent(self.currency))

    @property
    def local_time(self) -> datetime:
        """When it happened, by the partner's own clock on the wall."""
        return self.occurred_at.astimezone(zone(self.time_zone))


def check_receipt(purchase: Purchase) -> None:
    """Raise PurchaseError if the engine would never show this purchase to a rule.

    The evaluator asks, so that a brand's tests can't judge what production refuses at the door.
    """
    _check_time(purchase.occurred_at)
    try:
        check_money_code(purchase.currency)
        zone(purchase.time_zone)
    except LaurelsError as error:
        raise PurchaseError(f"purchase {shown(purchase.external_id)}: {error}") from None
    if purchase.tender:
        check_tender(purchase.tender)
    _check_lines(purchase.lines)


def check_tender(tender: object) -> str:
    """Return `tender` if it names a way of paying, as codes are written. Raises PurchaseError."""
    try:
        return check_code("tender", tender)
    except LaurelsError as error:
        raise PurchaseError(str(error)) from None


def _check_time(when: object) -> None:
    if not isinstance(when, datetime) or when.tzinfo is None:
        raise PurchaseError(f"occurred_at: a time with its zone is wanted, not {shown(when)}")


def _check_lines(lines: object) -> None:
    if not isinstance(lines, tuple) or not lines:
        raise PurchaseError(f"lines: a tuple of at least one Line, not {shown(lines)}")
    for number, line in enumerate(lines, 1):
        if not isinstance(line, Line):
            raise PurchaseError(f"line {number}: {shown(line)} is no Line")
        # type() and not isinstance: True is an int, and no amount.
        if type(line.amount) is not int or line.amount < 0:
            raise PurchaseError(
                f"line {number}: amount: whole minor units from 0, not {shown(line.amount)}"
            )
        if type(line.quantity) is not int or line.quantity < 0:
            raise PurchaseError(
                f"line {number}: quantity: whole thousandths from 0, not {shown(line.quantity)}"
            )
        if not line.plain:
            _check_parts(number, line)


def _check_parts(number: int, line: Line) -> None:
    for name, most in (("discount", None), ("tax", line.amount), ("points_paid", line.amount)):
        minor = getattr(line, name)
        if type(minor) is not int or minor < 0 or (most is not None and minor > most):
            to = "" if most is None else f" to the line's {most}"
            raise PurchaseError(
                f"line {number}: {name}: whole minor units from 0{to}, not {shown(minor)}"
            )
    if not isinstance(line.kind, LineKind):
        raise PurchaseError(
            f"line {number}: kind: {shown(line.kind)} is none of {', '.join(LineKind)}"
        )


class Use(NamedTuple):
    """What a capped rule gave a member once, at an instant; below zero: what of it came back."""

    at: datetime
    currency: str
    points: int
    times: int = 1


_NO_TIERS: Mapping[str, str] = MappingProxyType({})
_NO_USES: Mapping[str, Sequence[Use]] = MappingProxyType({})
_NO_FIGURES: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Facts:
    """What the engine knows of the member at the purchase's own time, of this partner only.

    `visits` counts the purchases booked at this partner before this one; `tiers` gives, for each
    ladder that the partner may see, the code of the tier held just before this purchase.

    `balances` are the points, by currency, that the member could have spent when this was booked:
    of those that the partner issues or accepts, where one of its rules asks for them. An edit and a
    what-if find them as they were.
    `attributes` are what this partner has noted of the member, `segments` and `offers` among them.
    `uses` are what capped rules gave this member before, `budgets` what is left of them (unnamed:
    all), `carried` what a rule carries over from earlier receipts (money in minor units, purchases,
    thousandths of units); by `Cap.key`, by the budget's code and by the rule's.
    """

    visits: int = 0
    tiers: Mapping[str, str] = field(default_factory=lambda: _NO_TIERS, hash=False)
    uses: Mapping[str, Sequence[Use]] = field(default_factory=lambda: _NO_USES, hash=False)
    budgets: Mapping[str, int] = field(default_factory=lambda: _NO_FIGURES, hash=False)
    carried: Mapping[str, int] = field(default_factory=lambda: _NO_FIGURES, hash=False)
    attributes: Mapping[str, str] = field(default_factory=lambda: _NO_TIERS, hash=False)
    balances: Mapping[str, int] = field(default_factory=lambda: _NO_FIGURES, hash=False)

    def __post_init__(self) -> None:
        if type(self.visits) is not int or self.visits < 0:
            raise PurchaseError(f"visits: a whole number from 0, not {shown(self.visits)}")
        if self.tiers is not _NO_TIERS:
            # A copy: one rule must not be able to promote the member for the next.
            object.__setattr__(self, "tiers", MappingProxyType(dict(self.tiers)))
        if self.attributes is not _NO_TIERS:
            object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))
        if self.uses is not _NO_USES:
            uses = {key: tuple(some) for key, some in self.uses.items()}
            object.__setattr__(self, "uses", MappingProxyType(uses))
        if self.budgets is not _NO_FIGURES:
            object.__setattr__(self, "budgets", MappingProxyType(dict(self.budgets)))
        if self.balances is not _NO_FIGURES:
            object.__setattr__(self, "balances", MappingProxyType(dict(self.balances)))
        if self.carried is not _NO_FIGURES:
            object.__setattr__(self, "carried", MappingProxyType(dict(self.carried)))

    @property
    def first_purchase(self) -> bool:
        """Whether the member never bought here before."""
        return self.visits == 0

    @property
    def segments(self) -> frozenset[str]:
        """The codes of the partner's segments that the member is in."""
        return self._coded("segment:")

    @property
    def offers(self) -> frozenset[str]:
        """The codes of the partner's rules that are offered to the member."""
        return self._coded("offer:")

    def _coded(self, kind: str) -> frozenset[str]:
        return frozenset(x.removeprefix(kind) for x in self.attributes if x.startswith(kind))
