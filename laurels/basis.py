"""On what of a receipt a rule counts: full prices, what was paid, or what money paid; without what.

A rule is shown a view: the same lines in the same places, with their amounts on the basis, and
nothing left of the lines that don't count. Knows no rule, so that every rule works on any basis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from laurels.errors import DeclarationError, check_title, shown
from laurels.purchase import Line, LineKind, Purchase
from laurels.rounding import spread


class Of(StrEnum):
    """Which amount of a line counts."""

    GROSS = "gross"
    PAID = "paid"
    NET_OF_POINTS = "net-of-points"


class Without(StrEnum):
    """What doesn't count."""

    TAX = "tax"
    DELIVERY = "delivery"
    GIFT_CARDS = "gift-cards"
    FEES = "fees"


_WORDS = {
    Of.GROSS: "the price before discounts",
    Of.PAID: "what was paid",
    Of.NET_OF_POINTS: "what was paid with money",
}
_LEFT_OUT: Mapping[str, LineKind] = {
    Without.DELIVERY: LineKind.DELIVERY,
    Without.GIFT_CARDS: LineKind.GIFT_CARD,
    Without.FEES: LineKind.FEE,
}
#: As many product types as a basis may except.
MOST_TYPES = 200


@dataclass(frozen=True, slots=True)
class Basis:
    """On what a rule counts: by default what was paid, points or money, with all that is in it.

    `gross` is the price before discounts, `paid` what was due after them, `net-of-points` the part
    of that which money paid. Without `tax`, that part of each line doesn't count; of a line that
    was partly paid with points, each part bears its share of the tax. Lines of `delivery`,
    `gift-cards`, `fees`, and of the product types in `except_types` don't count at all. Raises
    DeclarationError.
    """

    of: str = Of.PAID
    without: Sequence[str] = ()
    except_types: Sequence[str] = ()
    _kinds: tuple[LineKind, ...] = field(init=False, repr=False, compare=False, default=())
    _types: frozenset[str] = field(init=False, repr=False, compare=False, default=frozenset())
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", _one(Of, "of", self.of))
        left_out = tuple(_one(Without, "without", x) for x in _texts("without", self.without))
        object.__setattr__(self, "without", tuple(x for x in Without if x in left_out))
        types = _texts("except_types", self.except_types)
        if len(types) > MOST_TYPES:
            raise DeclarationError(f"basis: except_types: at most {MOST_TYPES}, not {len(types)}")
        for kind in types:
            check_title("basis: except_types", kind, 200)
        object.__setattr__(self, "except_types", tuple(sorted(set(types))))
        object.__setattr__(self, "_types", frozenset(types))
        # Worked out once: the evaluator asks for each rule of each receipt, and of each line.
        kinds = tuple(_LEFT_OUT[x] for x in self.without if x in _LEFT_OUT)
        object.__setattr__(self, "_kinds", kinds)
        object.__setattr__(self, "_hash", hash((self.of, self.without, self.except_types)))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        """As a member reads it: what was paid with money, without tax and gift cards."""
        left_out = [x.replace("-", " ") for x in self.without]
        told = _WORDS[Of(self.of)]
        if left_out:
            told += f", without {_joined(left_out)}"
        if self.except_types:
            told += f", except {_joined(self.except_types)}"
        return told

    @property
    def terms(self) -> dict[str, str | Sequence[str]]:
        """As it is stored with a rule's terms."""
        told: dict[str, str | Sequence[str]] = {"basis": str(self.of)}
        if self.without:
            told["basis_without"] = tuple(str(x) for x in self.without)
        if self.except_types:
            told["basis_except_types"] = self.except_types
        return told

    def counts(self, line: Line) -> bool:
        """Whether a line counts, with whatever amount."""
        return line.kind not in self._kinds and line.product_type not in self._types

    def line(self, line: Line) -> Line:
        """The line as a rule on this basis sees it; all its parts still fit its amount."""
        if not self.counts(line):
            return line._replace(amount=0, quantity=0, discount=0, tax=0, points_paid=0)
        if line.plain:
            return line
        _, amount, _, _, discount, tax, paid, _ = line
        if self.of is Of.GROSS:
            amount, discount = amount + discount, 0
        elif self.of is Of.NET_OF_POINTS and paid:
            money = amount - paid
            amount, tax, paid = money, money * tax // amount, 0
        if tax and Without.TAX in self.without:
            net = amount - tax
            amount, tax, paid = net, 0, paid * net // amount
        return line._replace(amount=amount, discount=discount, tax=tax, points_paid=paid)

    def view(self, purchase: Purchase) -> Purchase:
        """The purchase as a rule on this basis sees it: itself, where all of it counts as it is."""
        counts = tuple(map(self.counts, purchase.lines))
        lines = tuple(map(self.line, purchase.lines))
        if lines == purchase.lines and all(counts):
            return purchase
        return Purchase(
            purchase.partner, purchase.external_id, purchase.occurred_at, purchase.currency,
            lines, purchase.store, purchase.time_zone,
            tender=purchase.tender, counts=None if all(counts) else counts, _whole=purchase.whole,
        )  # fmt: skip


def basis_of(terms: Mapping[str, object]) -> Basis | None:
    """The basis that a rule's stored terms name; None where they name none of ours."""
    of, without = terms.get("basis"), terms.get("basis_without", ())
    types = terms.get("basis_except_types", ())
    if not isinstance(of, str) or not isinstance(without, Sequence):
        return None
    try:
        return Basis(of, without, types)  # type: ignore[arg-type]  # it refuses what it isn't
    except DeclarationError:  # a partner's own rule may call anything its basis
        return None


def placed(lines: list[int], amounts: Sequence[int], counts: Sequence[bool]) -> list[int]:
    """Points line by line, with what fell on lines that don't count on those that do.

    By their amounts on the basis; alike, where all that counts is free of charge.
    """
    strayed = sum(n for n, own in zip(lines, counts, strict=True) if not own)
    if not strayed:
        return lines
    more = spread(strayed, amounts if any(amounts) else [int(own) for own in counts])
    return [(n if own else 0) + m for n, m, own in zip(lines, more, counts, strict=True)]


def _one(kind: type[Of | Without], field: str, value: str) -> str:
    try:
        return kind(value)
    except ValueError:
        raise DeclarationError(
            f"basis: {field}: {shown(value)} is none of {', '.join(kind)}"
        ) from None


def _texts(field: str, values: object) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise DeclarationError(f"basis: {field}: a list of texts is wanted, not {shown(values)}")
    for value in values:
        if not isinstance(value, str):
            raise DeclarationError(f"basis: {field}: {shown(value)} is no text")
    return tuple(values)


def _joined(words: Sequence[str]) -> str:
    """One, two and three."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
