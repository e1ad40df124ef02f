"""A receipt's line on its way into the books and back: as columns, and as what is hashed.

What most lines don't say is stored as NULL and hashed as nothing, so that a line which says no more
than it ever did is stored and hashed as ever. Pure: asks no database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from laurels.purchase import Line, LineKind

#: A line as statements select it, of `event_line` as `l`: what `line_of` takes.
COLUMNS = "l.product_type, l.amount, l.quantity, l.sku, l.discount, l.tax, l.points_paid, l.kind"
#: Kinds as they are stored; goods are NULL.
_NUMBERS: Mapping[LineKind, int] = {
    LineKind.DELIVERY: 2,
    LineKind.GIFT_CARD: 3,
    LineKind.FEE: 4,
}
_KINDS = {number: kind for kind, number in _NUMBERS.items()}
_NAMES = ("discount", "tax", "points_paid", "kind")


def more_of(line: Line) -> tuple[int | None, int | None, int | None, int | None]:
    """Discount, tax, points paid and kind as they are stored."""
    _, _, _, _, discount, tax, paid, kind = line
    return discount or None, tax or None, paid or None, _NUMBERS.get(kind)


def line_of(row: Sequence[Any]) -> Line:
    """A line from COLUMNS. A kind that is none reads as goods, and no longer hashes alike."""
    product_type, amount, quantity, sku, discount, tax, paid, kind = row
    if discount is tax is paid is kind is None:
        return Line(product_type, amount, quantity, sku)
    return Line(
        product_type, amount, quantity, sku, discount or 0, tax or 0, paid or 0,
        _KINDS.get(kind, LineKind.GOODS),
    )  # fmt: skip


def said_of(line: Line) -> list[Any]:
    """All that a line says, as plain data: what stands for it in a hash."""
    what: list[Any] = list(line[:4])
    if not line.plain:
        kind = "" if line.kind is LineKind.GOODS else str(line.kind)
        more = zip(_NAMES, (line.discount, line.tax, line.points_paid, kind), strict=True)
        what.append({name: value for name, value in more if value})
    return what


def heard(what: Sequence[Any]) -> Line:
    """The line that `said_of` tells."""
    plain, more = what[:4], dict(what[4]) if len(what) > 4 else {}
    if "kind" in more:
        more["kind"] = LineKind(more["kind"])
    return Line(*plain, **more)
