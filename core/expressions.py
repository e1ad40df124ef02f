"""Conditions in CEL on a purchase: checked when saved, compiled once, judged in microseconds.

An expression sees typed facts of its own partner, nothing else, and can loop over the receipt's
lines only, within a bound. Amounts are decimals of major units (`purchase.total >= 50.0`): each is
the double nearest to its exact figure, as is the literal beside it, so comparisons are exact.
Knows neither rules nor books.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from cel_expr_python import cel

from core.errors import BadInput
from laurels.errors import storable
from laurels.purchase import Facts, Purchase

#: As long as one condition may be.
LONGEST = 2000
_TYPES = cel.Type
#: Each fact's type, and what it is for whoever writes a condition.
_FACTS: Final[Mapping[str, tuple[cel.Type, str]]] = {
    "purchase.total": (_TYPES.DOUBLE, "what was paid in all, in major units: 49.9"),
    "purchase.gross": (_TYPES.DOUBLE, "what it would have cost without discounts"),
    "purchase.discount": (_TYPES.DOUBLE, "the discounts of all lines added up"),
    "purchase.points_paid": (_TYPES.DOUBLE, "what of the total points paid"),
    "purchase.currency": (_TYPES.STRING, "the ISO 4217 code of the receipt's money"),
    "purchase.store": (_TYPES.STRING, "the shop; may be empty"),
    "purchase.at": (_TYPES.TIMESTAMP, "when it happened, an instant"),
    "purchase.items": (_TYPES.DOUBLE, "the quantities of all lines added up"),
    "local.year": (_TYPES.INT, "the year on the partner's own calendar"),
    "local.month": (_TYPES.INT, "from 1 to 12"),
    "local.day": (_TYPES.INT, "of the month, from 1"),
    "local.hour": (_TYPES.INT, "on the partner's own clock, from 0 to 23"),
    "local.minute": (_TYPES.INT, "from 0 to 59"),
    "local.weekday": (_TYPES.STRING, "monday to sunday"),
    "local.date": (_TYPES.STRING, "the local day as 2026-12-31: texts compare as days do"),
    "member.visits": (_TYPES.INT, "purchases of the member at this partner before this one"),
    "member.tiers": (
        _TYPES.Map(_TYPES.STRING, _TYPES.STRING),
        "by ladder the tier held just before: member.tiers.club",
    ),
    "lines": (
        _TYPES.List(_TYPES.Map(_TYPES.STRING, _TYPES.DYN)),
        "each with type, sku, kind, amount, quantity, discount, tax and points_paid: "
        "lines.exists(x, x.type == 'TEA')",
    ),
    "line.type": (_TYPES.STRING, "the type of product"),
    "line.sku": (_TYPES.STRING, "the article; may be empty"),
    "line.kind": (_TYPES.STRING, "goods, delivery, gift-card or fee"),
    "line.amount": (_TYPES.DOUBLE, "what was due for the line, in major units"),
    "line.discount": (_TYPES.DOUBLE, "what had been taken off before"),
    "line.tax": (_TYPES.DOUBLE, "the part of the amount that is tax"),
    "line.points_paid": (_TYPES.DOUBLE, "the part of the amount that points paid"),
    "line.quantity": (_TYPES.DOUBLE, "how many, or how much of weighed goods"),
    "line.number": (_TYPES.INT, "the line's place on the receipt, from 1"),
}
#: What each fact is; those of a `line.` may be named only where lines are chosen.
FACTS: Final[Mapping[str, str]] = {name: told for name, (_, told) in _FACTS.items()}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_LINES = cel.NewEnv(variables={name: kind for name, (kind, _) in _FACTS.items()})
_RECEIPTS = cel.NewEnv(
    variables={name: kind for name, (kind, _) in _FACTS.items() if not name.startswith("line.")}
)
_NAME = re.compile(r"\b(?:purchase|local|member|line)\.[a-z_]+(?:\.[A-Za-z_][\w-]*|\[[^\]]*\])?")


class Part(NamedTuple):
    """One of the parts that a condition joins by `&&`, and whether it held; None: never judged."""

    text: str
    held: bool | None
    actual: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a receipt, or on each of its lines."""

    text: str
    of_lines: bool
    _whole: cel.Expression
    _parts: tuple[tuple[str, cel.Expression], ...]
    #: Whether it asks for the receipt's lines: few do, and it costs to hand them over.
    _lines: bool

    def holds(self, seen: Seen) -> bool:
        """Whether it holds of a receipt."""
        return _is_true(self._whole, seen.receipt(lines=self._lines))

    def chosen(self, seen: Seen) -> list[bool]:
        """Of each line whether it holds of it."""
        return [_is_true(self._whole, line) for line in seen.lines(lines=self._lines)]

    def failed(self, seen: Seen) -> str:
        """The first part that doesn't hold of a receipt of which the whole doesn't."""
        for text, expression in self._parts[:-1]:
            if not _is_true(expression, seen.receipt(lines=self._lines)):
                return text
        return self._parts[-1][0]

    def parts(self, seen: Seen) -> list[Part]:
        """Every part with the facts that it was judged by, also after the first that failed."""
        return [self._judged(text, expression, seen) for text, expression in self._parts]

    def _judged(self, text: str, expression: cel.Expression, seen: Seen) -> Part:
        value = _value(expression, seen.receipt(lines=True))
        if not isinstance(value, bool):
            return Part(text, None, str(value))
        bare = _NAME.finditer(_without_texts(text))
        names = dict.fromkeys(text[found.start() : found.end()] for found in bare)
        told = [f"{name} is {_shown(seen.facts, name)}" for name in names]
        return Part(text, value, ", ".join(told))


class Seen:
    """What expressions see of one purchase, gathered once for all of a partner's rules."""

    __slots__ = ("_facts", "_lines", "_member", "_purchase", "_receipts")

    def __init__(self, purchase: Purchase, member: Facts) -> None:
        self._purchase = purchase
        self._member = member
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
            found = self._receipts[lines] = _RECEIPTS.Activation(self._all(lines=lines))
        return found

    def _all(self, *, lines: bool) -> dict[str, object]:
        return {**self.facts, "lines": _told(self._purchase) if lines else ()}

    def lines(self, *, lines: bool) -> list[cel.Activation]:
        """For conditions on a line, one for each; with all the others, or without."""
        found = self._lines.get(lines)
        if found is None:
            major, facts = self._purchase.minor_per_major, self._all(lines=lines)
            found = self._lines[lines] = [
                _LINES.Activation(
                    {
                        **facts,
                        "line.type": line.product_type,
                        "line.sku": line.sku,
                        "line.kind": str(line.kind),
                        "line.amount": line.amount / major,
                        "line.discount": line.discount / major,
                        "line.tax": line.tax / major,
                        "line.points_paid": line.points_paid / major,
                        "line.quantity": line.quantity / 1000,
                        "line.number": n,
                    }
                )
                for n, line in enumerate(self._purchase.lines, 1)
            ]
        return found


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
    major, local = purchase.minor_per_major, purchase.local_time
    discount = sum(line.discount for line in purchase.lines)
    return {
        "purchase.total": purchase.total_minor / major,
        "purchase.gross": (purchase.total_minor + discount) / major,
        "purchase.discount": discount / major,
        "purchase.points_paid": sum(line.points_paid for line in purchase.lines) / major,
        "purchase.currency": purchase.currency,
        "purchase.store": purchase.store,
        "purchase.at": purchase.occurred_at,
        "purchase.items": sum(line.quantity for line in purchase.lines) / 1000,
        "local.year": local.year,
        "local.month": local.month,
        "local.day": local.day,
        "local.hour": local.hour,
        "local.minute": local.minute,
        "local.weekday": _WEEKDAYS[local.weekday()],
        "local.date": local.date().isoformat(),
        "member.visits": member.visits,
        "member.tiers": dict(member.tiers),
    }


@lru_cache(maxsize=4096)
def condition(text: str, field: str, *, of_lines: bool = False) -> Condition:
    """Compile a condition. Raises BadInput naming the field, the place and what is wrong."""
    if len(text) > LONGEST or not storable(text):
        raise BadInput(f"a condition is a text of at most {LONGEST} characters", field)
    env = _LINES if of_lines else _RECEIPTS
    parts = tuple((part, _compiled(env, part, text, field)) for part in _conjuncts(text))
    lines = re.search(r"(?<![\w.])lines\b", _without_texts(text)) is not None
    return Condition(text, of_lines, _compiled(env, text, text, field), parts, lines)


def _compiled(env: cel.Env, part: str, text: str, field: str) -> cel.Expression:
    try:
        expression = env.compile(part)
    except RuntimeError as error:
        raise BadInput(_said(str(error), text), field) from None
    if expression.return_type() != _TYPES.BOOL:
        raise BadInput(
            f"a condition is true or false; '{part[:100]}' is {expression.return_type()}", field
        )
    return expression


def _said(error: str, text: str) -> str:
    """The compiler's words without its frame, and what helps with the commonest slips."""
    found = re.search(r"<input>:(\d+):(\d+): (.*)", error)
    if found is None:
        return f"'{text[:100]}' isn't understood"
    line, column, what = found.groups()
    place = f"at {column}" if line == "1" else f"in line {line} at {column}"
    hint = ""
    if "'(double, int)'" in what or "'(int, double)'" in what:
        hint = "; amounts and quantities are decimals: write 50.0 for 50"
    elif what.startswith("undeclared reference"):
        hint = f"; there are {', '.join(FACTS)}"
    return f"{place}: {what.removesuffix(chr(92))}{hint}"


def _conjuncts(text: str) -> list[str]:
    """The parts joined by `&&` outside brackets and texts; one where `||` or `?` stands beside."""
    bare, depth, cuts = _without_texts(text), 0, []
    for n, c in enumerate(bare):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif depth == 0 and (bare.startswith("||", n) or c == "?"):
            return [text.strip()]
        elif depth == 0 and bare.startswith("&&", n):
            cuts.append(n)
    parts, start = [], 0
    for cut in [*cuts, len(text)]:
        parts.append(text[start:cut].strip())
        start = cut + 2
    return [part for part in parts if part] or [text.strip()]


_TEXT = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|//[^\n]*")


def _without_texts(text: str) -> str:
    """The same length, with blanks for what stands in quotes or is a comment."""
    return _TEXT.sub(lambda found: " " * len(found.group()), text)


def _is_true(expression: cel.Expression, activation: cel.Activation) -> bool:
    """What can't be judged isn't."""
    try:
        return expression.eval(activation).value() is True
    except RuntimeError:
        return False


def _value(expression: cel.Expression, activation: cel.Activation) -> object:
    """What it comes to; in words why it comes to nothing."""
    try:
        value = expression.eval(activation)
    except RuntimeError as error:
        return str(error).partition(": ")[2].partition(" [")[0] or "it can't be judged"
    if value.type() == _TYPES.ERROR:
        return str(value.value()).partition(": ")[2]
    found: object = value.value()
    return found


def _shown(facts: Mapping[str, object], name: str) -> str:
    """A fact as a person reads it."""
    if name.startswith("member.tiers"):
        tiers = facts["member.tiers"]
        assert isinstance(tiers, Mapping)
        ladder = name.removeprefix("member.tiers").strip(".[]'\"")
        return str(tiers.get(ladder, "none") if ladder else dict(tiers))
    value = facts.get(name)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
