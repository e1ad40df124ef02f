"""What a purchase entitles to, and what a return of it takes away: DESIGN, "Returns".

A part of `tests.oracle`; knows nothing of the engine. Money is in minor units; quantities and
shares are exact fractions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from math import floor
from typing import NamedTuple

from tests.oracle_ledger import Key, Lot, Refused


@dataclass(frozen=True, slots=True)
class Award:
    """What a rule gave on each line. A multiplier's has the points that it multiplied as `base`.

    `pending` replaces the currency's own. `again` is what a re-evaluated rule gives on what remains
    of each line (minor units).
    """

    currency: str
    rule: str
    by_line: tuple[int, ...]
    base: int | None = None
    pending: str | None = None
    again: Callable[[Sequence[Fraction]], int] | None = None

    @property
    def points(self) -> int:
        """What it gave in all."""
        return sum(self.by_line)


class LineBought(NamedTuple):
    """A line of a receipt."""

    quantity: Fraction
    amount: int


class Back(NamedTuple):
    """What comes back: of a line (from 0) a quantity or an amount; or, with no line, an amount."""

    line: int | None
    quantity: Fraction | None = None
    amount: int | None = None


@dataclass(slots=True)
class Bought:
    """A purchase and all that came back of it so far.

    `fractions` is what came back of each line, `off` what came back of the receipt as a whole;
    `uncollected` what revisions no longer gave and wasn't taken back, by currency.
    """

    key: Key
    holder: int
    at: datetime
    lines: Sequence[LineBought]
    awards: Sequence[Award]
    entitled: list[int]
    fractions: list[Fraction]
    off: Fraction = Fraction(0)
    cancelled: bool = False
    shipped_at: datetime | None = None
    uncollected: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    charged: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def left(self) -> list[Fraction]:
        """The money of each line that didn't come back by itself."""
        return [x.amount * (1 - f) for x, f in zip(self.lines, self.fractions, strict=True)]

    @property
    def kept(self) -> Fraction:
        """What share of that money the receipt's own returns left; 0: everything came back."""
        if all(f == 1 for f in self.fractions):
            return Fraction(0)
        return 1 - self.off / sum(self.left) if self.off else Fraction(1)

    def take(self, items: Sequence[Back]) -> None:
        """Add what comes back. Raises Refused where more comes back than there is."""
        for line, quantity, amount in items:
            if line is None:
                share = Fraction(amount or 0)
                self.off += share
            elif line >= len(self.lines):
                raise Refused("there is no such line")
            else:
                of, part = self.lines[line], Fraction(amount or 0)
                if quantity is None and not of.amount:
                    raise Refused("the line cost nothing")
                share = part / of.amount if quantity is None else quantity / of.quantity
                self.fractions[line] += share
            if share <= 0:
                raise Refused("nothing comes back")
        if any(f > 1 for f in self.fractions) or self.off > sum(self.left):
            raise Refused("more comes back than was left")

    def judge(self) -> list[int]:
        """What each award entitles to, less all that came back."""
        kept = self.kept
        due = []
        for award, before in zip(self.awards, self.entitled, strict=True):
            if award.again is not None:
                due.append(min(before, award.again([m * kept for m in self.left]) if kept else 0))
            else:
                shares = (
                    zip(award.by_line, self.fractions, strict=True) if award.base is None else ()
                )
                due.append(floor(sum(p * (1 - f) for p, f in shares) * kept))
        for n, award in enumerate(self.awards):
            if award.base is not None:
                base = sum(
                    e
                    for e, other in zip(due, self.awards, strict=True)
                    if other.base is None and other.currency == award.currency
                )
                due[n] = self.multiplied(award, base)
        return due

    def multiplied(self, award: Award, base: int) -> int:
        """What a multiplier gives on what is left of its base."""
        return award.points * base // award.base if award.base else 0


@dataclass(slots=True)
class Redeemed:
    """A redemption: `state` is held, completed, cancelled, timed out or reversed."""

    holder: int
    currency: str
    points: int
    taken: list[tuple[Lot, int]]
    state: str
    hold_until: datetime | None
    order: Key | None


class Waits(NamedTuple):
    """What was told of a purchase before it: `what` is cancel, return or shipped."""

    at: datetime
    told: datetime
    what: str
    items: Sequence[Back] | None = None
