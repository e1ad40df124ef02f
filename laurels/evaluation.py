"""What rules made of a purchase: the awards that stand, and which rules gave nothing, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Granted(NamedTuple):
    """What one rule gave: `lines` add up to `points`, in the receipt's order.

    `base` is what a multiplier multiplied; `wanted` the figure before a cap.
    """

    rule: int
    currency: str
    points: int
    lines: Sequence[int]
    base: int | None = None
    wanted: int | None = None
    because: str = ""


class Refused(NamedTuple):
    """A rule that gave nothing, and its first failing condition."""

    rule: int
    because: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What all rules made of one purchase; rules are named by their place in the sequence."""

    granted: tuple[Granted, ...]
    refused: tuple[Refused, ...]

    def points(self, currency: str) -> int:
        """All points of this currency."""
        return sum(g.points for g in self.granted if g.currency == currency)
