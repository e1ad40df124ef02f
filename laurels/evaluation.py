"""What rules made of a purchase: the awards that stand, and which rules gave nothing, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Granted(NamedTuple):
    """What one rule gave: `lines` add up to `points`, in the receipt's order.

    `base` is what a multiplier multiplied; `wanted` the figure before a cap, `cut` the words of a
    cap of a period or of a budget.
    """

    rule: int
    currency: str
    points: int
    lines: Sequence[int]
    base: int | None = None
    wanted: int | None = None
    because: str = ""
    cut: str = ""


class Refused(NamedTuple):
    """A rule that gave nothing, and its first failing condition."""

    rule: int
    because: str


class Issued(NamedTuple):
    """A reward that a rule issues, so many pieces of it."""

    rule: int
    reward: str
    quantity: int = 1
    currency: str | None = None


class Noted(NamedTuple):
    """What a rule notes of the member; see `SetAttribute`."""

    rule: int
    name: str
    value: str | None
    lasts: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What all rules made of one purchase; rules are named by their place in the sequence.

    `carried` is what rules carry on to the member's next receipt, `issued` the rewards they issue,
    `noted` what they note of the member. `thanks` are the rules that thank who referred it,
    `counted` those of whose run it is one, with points or without.
    """

    granted: tuple[Granted, ...]
    refused: tuple[Refused, ...]
    carried: Mapping[int, int] = field(default_factory=dict, hash=False)
    issued: tuple[Issued, ...] = ()
    noted: tuple[Noted, ...] = ()
    thanks: tuple[int, ...] = ()
    counted: tuple[int, ...] = ()

    def points(self, currency: str) -> int:
        """All points of this currency."""
        return sum(g.points for g in self.granted if g.currency == currency)
