"""The purchase as a partner's rule sees it, and the facts handed in with it.

Both are plain frozen data: a rule gets nothing else, and can change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from laurels.durations import zone
from laurels.money import Money, exponent


class Line(NamedTuple):
    """One line of a receipt.

    `amount` is what was paid for the whole line, in minor units (cents) of the purchase's money;
    `quantity` counts thousandths, so that weighed goods are exact: 1.250 kg is 1250.
    """

    product_type: str
    amount: int
    quantity: int = 1000
    sku: str = ""

    @property
    def units(self) -> Decimal:
        """The quantity as a decimal of three places."""
        return Decimal(self.quantity).scaleb(-3)


@dataclass(frozen=True, slots=True)
class Purchase:
    """A receipt: what was bought, when and for how much. Never negative, never empty."""

    partner: str
    external_id: str
    occurred_at: datetime
    currency: str
    lines: tuple[Line, ...]
    store: str = ""
    time_zone: str = "UTC"

    @property
    def total(self) -> Money:
        """What was paid in all; compares with a text: `purchase.total >= "100.00"`."""
        return Money(self.total_minor, self.currency)

    @property
    def total_minor(self) -> int:
        """What was paid in all, in minor units."""
        return sum(line.amount for line in self.lines)

    @property
    def minor_per_major(self) -> int:
        """Minor units in one major unit: 100 for EUR, 1 for JPY."""
        return int(10 ** exponent(self.currency))

    @property
    def local_time(self) -> datetime:
        """When it happened, by the partner's own clock on the wall."""
        return self.occurred_at.astimezone(zone(self.time_zone))


_NO_TIERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Facts:
    """What the engine knows of the member at the purchase's own time, of this partner only.

    `visits` counts the purchases booked at this partner before this one; `tiers` gives, for each
    ladder that the partner may see, the code of the tier held just before this purchase.
    """

    visits: int = 0
    tiers: Mapping[str, str] = field(default_factory=lambda: _NO_TIERS)

    @property
    def first_purchase(self) -> bool:
        """Whether the member never bought here before."""
        return self.visits == 0
