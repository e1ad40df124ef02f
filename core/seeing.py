"""What expressions see of a purchase or an activity: the facts, their types, gathered once for all.

Amounts are decimals of major units: each is the double nearest to its exact figure. Knows no
condition but by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from cel_expr_python import cel

from laurels.activities import Activity
from laurels.purchase import Facts, Line, Purchase

if TYPE_CHECKING:
    from core.expressions import Condition
    from core.together import Together

#: Each fact's type, and what it is for whoever writes a condition.
_FACTS: Final[Mapping[str, tuple[cel.Type, str]]] = {
    "purchase.total": (cel.Type.DOUBLE, "what was paid in all, in major units: 49.9"),
    "purchase.gross": (cel.Type.DOUBLE, "what it would have cost without discounts"),
    "purchase.discount": (cel.Type.DOUBLE, "the discounts of all lines added up"),
    "purchase.points_paid": (cel.Type.DOUBLE, "what of the total points paid"),
    "purchase.currency": (cel.Type.STRING, "the ISO 4217 code of the receipt's money"),
    "purchase.store": (cel.Type.STRING, "the shop; may be empty"),
    "purchase.tender": (cel.Type.STRING, "how it was paid, such as card; empty: not said"),
    "purchase.at": (cel.Type.TIMESTAMP, "when it happened, an instant"),
    "purchase.items": (cel.Type.DOUBLE, "the quantities of all lines added up"),
    "local.year": (cel.Type.INT, "the year on the partner's own calendar"),
    "local.month": (cel.Type.INT, "from 1 to 12"),
    "local.day": (cel.Type.INT, "of the month, from 1"),
    "local.hour": (cel.Type.INT, "on the partner's own clock, from 0 to 23"),
    "local.minute": (cel.Type.INT, "from 0 to 59"),
    "local.weekday": (cel.Type.STRING, "monday to sunday"),
    "local.date": (cel.Type.STRING, "the local day as 2026-12-31: texts compare as days do"),
    "member.visits": (cel.Type.INT, "purchases of the member at this partner before this one"),
    "member.tiers": (
        cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
        "by ladder the tier held just before: member.tiers.club",
    ),
    "member.balances": (
        cel.Type.Map(cel.Type.STRING, cel.Type.INT),
        "by currency the points that it could spend just before: member.balances.STAR >= 100",
    ),
    "member.attributes": (
        cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
        "what the partner has noted of the member: has(member.attributes.vip)",
    ),
    "member.segments": (cel.Type.List(cel.Type.STRING), "the partner's segments that it is in"),
    "member.offers": (cel.Type.List(cel.Type.STRING), "the partner's rules that are offered to it"),
    "activity": (
        cel.Type.Map(cel.Type.STRING, cel.Type.DYN),
        "on anything but a purchase, what was told of it: activity.stars >= 4",
    ),
    "lines": (
        cel.Type.List(cel.Type.Map(cel.Type.STRING, cel.Type.DYN)),
        "each with type, sku, kind, amount, quantity, discount, tax and points_paid: "
        "lines.exists(x, x.type == 'TEA')",
    ),
    "line.type": (cel.Type.STRING, "the type of product"),
    "line.sku": (cel.Type.STRING, "the article; may be empty"),
    "line.kind": (cel.Type.STRING, "goods, delivery, gift-card or fee"),
    "line.amount": (cel.Type.DOUBLE, "what was due for the line, in major units"),
    "line.discount": (cel.Type.DOUBLE, "what had been taken off before"),
    "line.tax": (cel.Type.DOUBLE, "the part of the amount that is tax"),
    "line.points_paid": (cel.Type.DOUBLE, "the part of the amount that points paid"),
    "line.quantity": (cel.Type.DOUBLE, "how many, or how much of weighed goods"),
    "line.number": (cel.Type.INT, "the line's place on the receipt, from 1"),
}
#: What each fact is; those of a `line.` may be named only where lines are chosen.
FACTS: Final[Mapping[str, str]] = {name: told for name, (_, told) in _FACTS.items()}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NAMES_OF_LINES = [name for name in FACTS if name != "activity"]
NAMES_OF_RECEIPTS = [name for name in NAMES_OF_LINES if not name.startswith("line.")]
NAMES_OF_ACTIVITIES = [n for n in FACTS if n.startswith(("activity", "local.", "member."))]


def _env(names: Sequence[str]) -> cel.Env:
    return cel.NewEnv(variables={name: _FACTS[name][0] for name in names})


LINES = _env(NAMES_OF_LINES)
RECEIPTS = _env(NAMES_OF_RECEIPTS)
ACTIVITIES = _env(NAMES_OF_ACTIVITIES)


class Seen:
    """What expressions see of one purchase, gathered once for all of a partner's rules.

    And what conditions that are judged `together` come to.
    """

    __slots__ = (
        "_each_line", "_facts", "_lines", "_member", "_numbers", "_purchase", "_receipts",
        "_together",
    )  # fmt: skip

    def __init__(self, purchase: Purchase, member: Facts, together: Together | None = None) -> None:
        self._purchase = purchase
        self._member = member
        self._together = together
        self._numbers: list[int | None] | None = None
        self._each_line: list[list[int] | None] | None = None
        self._facts: dict[str, object] | None = None
        self._receipts: dict[bool, cel.Activation] = {}
        self._lines: dict[bool, list[cel.Activation]] = {}

    def is_of(self, purchase: Purchase, member: Facts) -> bool:
        """Whether it is of these very two."""
        return self._purchase is purchase and self._member is member

    @property
    def facts(self) -> Mapping[str, object]:
        """By name, as expressions call them, but for the lines."""
        if self._facts is None:
            self._facts = _facts(self._purchase, self._member)
        return self._facts

    def receipt(self, *, lines: bool) -> cel.Activation:
        """For conditions on the receipt; with all of its lines, or without."""
        found = self._receipts.get(lines)
        if found is None:
            if isinstance(self._purchase, Activity):
                found = ACTIVITIES.Activation(dict(self.facts))
            else:
                found = RECEIPTS.Activation(self._all(lines=lines))
            self._receipts[lines] = found
        return found

    def held(self, condition: Condition) -> int | None:
        """How many parts of a condition hold, from the first on; None: judge it by itself."""
        together = self._together
        place = None if together is None else together.receipts.places.get(condition.text)
        if together is None or place is None:
            return None
        if self._numbers is None:
            self._numbers = together.receipts.judged(self.receipt(lines=False))
        number = self._numbers[place.number]
        return None if number is None else place.count(number)

    def chosen(self, condition: Condition) -> list[bool] | None:
        """Of each line whether a condition holds of it; None: judge it by itself."""
        together = self._together
        place = None if together is None else together.lines.places.get(condition.text)
        if together is None or place is None:
            return None
        if self._each_line is None:
            self._each_line = self._judged_lines(together)
        numbers = self._each_line[place.number] if self._each_line else None
        return None if numbers is None else place.held(numbers)

    def _judged_lines(self, together: Together) -> list[list[int] | None]:
        if not together.worth(sum(self._may_hold(when) for when, _ in together.pairs)):
            return []
        facts, major = self.facts, self._purchase.minor_per_major
        named = {name: facts[name] for name in together.named if name in facts}
        return together.lines.judged_each(
            LINES.Activation({**named, **_line(line, n, major)})
            for n, line in enumerate(self._purchase.lines, 1)
        )

    def _may_hold(self, condition: Condition | None) -> bool:
        """Whether it does, or it isn't known yet."""
        held = None if condition is None else self.held(condition)
        return condition is None or held is None or held == condition.count

    def _all(self, *, lines: bool) -> dict[str, object]:
        return {**self.facts, "lines": _told(self._purchase) if lines else ()}

    def lines(self, *, lines: bool) -> list[cel.Activation]:
        """For conditions on a line, one for each; with all the others, or without."""
        found = self._lines.get(lines)
        if found is None:
            major, facts = self._purchase.minor_per_major, self._all(lines=lines)
            found = self._lines[lines] = [
                LINES.Activation({**facts, **_line(line, n, major)})
                for n, line in enumerate(self._purchase.lines, 1)
            ]
        return found


def _line(line: Line, number: int, major: int) -> dict[str, object]:
    return {
        "line.type": line.product_type,
        "line.sku": line.sku,
        "line.kind": str(line.kind),
        "line.amount": line.amount / major,
        "line.discount": line.discount / major,
        "line.tax": line.tax / major,
        "line.points_paid": line.points_paid / major,
        "line.quantity": line.quantity / 1000,
        "line.number": number,
    }


def _told(purchase: Purchase) -> list[dict[str, object]]:
    major = purchase.minor_per_major
    return [
        {
            "type": line.product_type,
            "sku": line.sku,
            "kind": str(line.kind),
            "amount": line.amount / major,
            "quantity": line.quantity / 1000,
            "discount": line.discount / major,
            "tax": line.tax / major,
            "points_paid": line.points_paid / major,
        }
        for line in purchase.lines
    ]


def _facts(purchase: Purchase, member: Facts) -> dict[str, object]:
    if isinstance(purchase, Activity):
        return {"activity": dict(purchase.attributes), **_common(purchase, member)}
    major = purchase.minor_per_major
    discount = sum(line.discount for line in purchase.lines)
    return {
        "purchase.total": purchase.total_minor / major,
        "purchase.gross": (purchase.total_minor + discount) / major,
        "purchase.discount": discount / major,
        "purchase.points_paid": sum(line.points_paid for line in purchase.lines) / major,
        "purchase.currency": purchase.currency,
        "purchase.store": purchase.store,
        "purchase.tender": purchase.tender,
        "purchase.at": purchase.occurred_at,
        "purchase.items": sum(line.quantity for line in purchase.lines) / 1000,
        **_common(purchase, member),
    }


def _common(purchase: Purchase, member: Facts) -> dict[str, object]:
    local = purchase.local_time
    return {
        "local.year": local.year,
        "local.month": local.month,
        "local.day": local.day,
        "local.hour": local.hour,
        "local.minute": local.minute,
        "local.weekday": _WEEKDAYS[local.weekday()],
        "local.date": local.date().isoformat(),
        "member.visits": member.visits,
        "member.tiers": dict(member.tiers),
        "member.balances": dict(member.balances),
        **(_noted(member) if member.attributes else _NOTHING_NOTED),
    }


_NOTHING_NOTED: Mapping[str, object] = {
    "member.attributes": {}, "member.segments": [], "member.offers": [],
}  # fmt: skip


def _noted(member: Facts) -> dict[str, object]:
    return {
        "member.attributes": {k: v for k, v in member.attributes.items() if ":" not in k},
        "member.segments": sorted(member.segments),
        "member.offers": sorted(member.offers),
    }
