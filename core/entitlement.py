"""What a member is entitled to of a purchase, as a function of all that came back of it so far.

Pure: no ORM, no clock. Exact fractions, and only sums over what came back, so that any order of
returns ends at the same points (DESIGN, "Returns").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from core.errors import NotAllowed, WrongState
from laurels.purchase import Line
from laurels.rounding import spread


class Given(NamedTuple):
    """What one rule gave for a purchase, as its decision holds it."""

    rule: int
    currency: int
    lines: tuple[int, ...]
    base: int | None

    @property
    def points(self) -> int:
        """All of it."""
        return sum(self.lines)


def given_of(content: Mapping[str, Any]) -> tuple[Given, ...]:
    """The awards of a stored decision on a purchase or on its revision."""
    return tuple(Given(g[0], g[1], tuple(g[2]), g[3]) for g in content["g"])


def changes_of(before: Sequence[Given], after: Sequence[Given]) -> dict[int, int]:
    """By how much a revision changes what is earned, of each currency in which it does."""
    changes: dict[int, int] = {}
    for sign, given in ((-1, before), (1, after)):
        for g in given:
            changes[g.currency] = changes.get(g.currency, 0) + sign * g.points
    return {currency: change for currency, change in changes.items() if change}


def standing(given: Sequence[Given], points: Sequence[int]) -> tuple[Given, ...]:
    """The awards with what of each is still earned, on no line in particular."""
    return tuple(g._replace(lines=(n,)) for g, n in zip(given, points, strict=True))


class Item(NamedTuple):
    """Part of a line that comes back: so much of its quantity (thousandths), or of its amount."""

    line: int
    quantity: int = 0
    amount: int = 0


@dataclass(frozen=True, slots=True)
class Remains:
    """A purchase less what came back. `gone` is each line's fraction, `amount` is of the whole."""

    lines: tuple[Line, ...]
    gone: tuple[Fraction, ...]
    amount: int = 0

    @classmethod
    def whole(cls, lines: Sequence[Line]) -> Remains:
        """The purchase as it was sold."""
        return cls(tuple(lines), (Fraction(0),) * len(lines))

    @property
    def worth(self) -> Fraction:
        """What the remaining parts of the lines cost, before `amount` is taken off."""
        return _total([x.amount * (1 - f) for x, f in zip(self.lines, self.gone, strict=True)])

    @property
    def share(self) -> Fraction:
        """How much of what the lines still hold is left after what came back of the whole."""
        worth = self.worth
        return (worth - self.amount) / worth if worth else Fraction(0 if self.amount else 1)

    @property
    def returned(self) -> int:
        """The money that came back so far, in whole minor units."""
        total = sum(line.amount for line in self.lines)
        return int(total - (self.worth - self.amount))

    @property
    def nothing(self) -> bool:
        """Whether all of it came back."""
        if all(f == 1 for f in self.gone):
            return True
        return bool(self.amount) and self.worth == self.amount

    @property
    def untouched(self) -> bool:
        """Whether nothing came back yet."""
        return not self.amount and not any(self.gone)

    def less(self, items: Sequence[Item], amount: int) -> Remains:
        """What remains after these came back, too. Raises NotAllowed naming what is too much."""
        gone = list(self.gone)
        for n, item in enumerate(items):
            line = self.lines[item.line]
            part = Fraction(0)
            if item.quantity:
                part += Fraction(item.quantity, line.quantity) if line.quantity else 2
            if item.amount:
                part += Fraction(item.amount, line.amount) if line.amount else 2
            gone[item.line] += part
            if gone[item.line] > 1:
                left = 1 - self.gone[item.line]
                raise NotAllowed(
                    f"of line {item.line + 1} there is left: quantity "
                    f"{_decimal(left * line.quantity, 1000)}, amount {int(left * line.amount)} "
                    "in minor units",
                    "lines", n, "quantity" if item.quantity else "amount",
                )  # fmt: skip
        after = Remains(self.lines, tuple(gone), self.amount + amount)
        if after.amount > after.worth:
            raise NotAllowed(
                f"more money comes back than is left: {int(self.worth - self.amount)} in minor "
                "units",
                "amount" if amount else "lines",
            )
        return after

    def revised(self, lines: Sequence[Line]) -> Remains:
        """What remains where these lines take the place of those that were sold.

        So much of a line as came back has come back of it still. Raises WrongState where that can't
        be told: money of the whole came back, or all of it; or a line of which something did is
        another thing, at another price, or less than came back.
        """
        if self.untouched:
            return Remains.whole(lines)
        if self.amount or self.nothing:
            raise WrongState("it came back as a whole; it can't be edited any more", "purchase")
        gone = [Fraction(0)] * len(lines)
        for n, (old, part) in enumerate(zip(self.lines, self.gone, strict=True)):
            if not part:
                continue
            size = _resized(old, lines[n]) if n < len(lines) else None
            if size is None or part / size > 1:
                raise WrongState(
                    f"of line {n + 1} part came back; it stays what it was, and as many at least",
                    "purchase",
                )
            gone[n] = part / size
        return Remains(tuple(lines), tuple(gone))

    def emptied(self) -> Remains:
        """What remains when everything came back."""
        return Remains(self.lines, (Fraction(1),) * len(self.lines), 0)

    def entitled(
        self, given: Sequence[Given], judged: Mapping[int, int] | None = None
    ) -> tuple[int, ...]:
        """The points of each award that are still earned, in whole points, rounded down.

        `judged` gives, by its place, what an award came to that was evaluated again. What a
        multiplier gave shrinks with what it multiplied.
        """
        judged = judged or {}
        share = self.share
        points: dict[int, int] = {}
        base: dict[int, int] = {}
        for place, g in enumerate(given):
            if g.base is None:
                kept = _total([p * (1 - f) for p, f in zip(g.lines, self.gone, strict=True)])
                points[place] = min(g.points, judged.get(place, int(kept * share)))
                base[g.currency] = base.get(g.currency, 0) + points[place]
        for place, g in enumerate(given):
            if g.base is not None:
                points[place] = g.points * base.get(g.currency, 0) // g.base if g.base else 0
        return tuple(points[place] for place in range(len(given)))

    def receipt(self) -> tuple[Line, ...]:
        """The lines as they would stand on a receipt of what remains; without those that went."""
        kept = [(line, 1 - f) for line, f in zip(self.lines, self.gone, strict=True) if f < 1]
        if self.nothing or not kept:
            return ()
        weights = [int(line.amount * part * 1_000_000) for line, part in kept]
        amounts = spread(int(self.worth - self.amount), weights)
        return tuple(
            _left(line, part, amount) for (line, part), amount in zip(kept, amounts, strict=True)
        )


def _resized(old: Line, new: Line) -> Fraction | None:
    """How many times as much of a thing a line holds; None where it is another, or its price is."""
    if (old.product_type, old.sku, old.kind) != (new.product_type, new.sku, new.kind):
        return None
    if not old.quantity or not new.quantity:
        return Fraction(1) if old == new else None
    if old.amount * new.quantity != new.amount * old.quantity:
        return None
    return Fraction(new.quantity, old.quantity)


def _left(line: Line, part: Fraction, amount: int) -> Line:
    """What is left of a line, with this amount: its parts in proportion to that, rounded down."""
    quantity = int(line.quantity * part)
    if line.plain:
        return line._replace(amount=amount, quantity=quantity)
    share = Fraction(amount, line.amount) if line.amount else part
    discount, tax, paid = (int(x * share) for x in (line.discount, line.tax, line.points_paid))
    return line._replace(
        amount=amount, quantity=quantity, discount=discount, tax=tax, points_paid=paid
    )


def _total(parts: Sequence[Fraction]) -> Fraction:
    """Their sum, by halves: of many odd quantities the denominators grow beyond all bounds.

    One after another, ten thousand of them would take minutes.
    """
    if len(parts) > 2:
        half = len(parts) // 2
        return _total(parts[:half]) + _total(parts[half:])
    return sum(parts, Fraction(0))


def _decimal(value: Fraction, scale: int) -> str:
    whole, rest = divmod(int(value), scale)
    return f"{whole}.{rest:03}" if rest else str(whole)
