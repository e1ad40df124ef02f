"""Returns, cancels, edits and fulfilments of purchases as they come in, checked field by field.

Knows nothing of how they are booked (`core.returning`). Every refusal names the field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import orjson

from core.activities import order_of_activity
from core.bought import Bought
from core.entitlement import Item
from core.errors import BadInput, UnknownReference
from core.events import EventKind
from core.lines import heard, said_of
from core.purchases import LineInput, check_text, parse_lines, parse_quantity
from core.rulebook import PartnerTerms
from laurels.errors import LaurelsError, check_code
from laurels.money import MoneyError, to_minor
from laurels.purchase import Line


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """Part of a receipt's line that comes back: `line` counts from 1; a quantity or an amount.

    Where it is 0 the line is the only one of this `sku`.
    """

    line: int
    quantity: str | None = None
    amount: str | None = None
    sku: str = ""


@dataclass(frozen=True, slots=True)
class ReturnInput:
    """A return as a till sends it: lines, or an amount of the whole receipt in major units."""

    external_id: str
    purchase: str
    occurred_at: datetime
    lines: Sequence[ReturnedLine] = ()
    amount: str | None = None


def unit_digest(purchase: str, occurred_at: datetime, content: Mapping[str, Any]) -> bytes:
    """16 bytes that stand for what came in on a purchase."""
    packed = orjson.dumps([purchase, occurred_at, content], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(packed, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Unit:
    """What came in on a purchase, checked as far as it can be without knowing the purchase.

    On an activity: `of` is what the `purchase` is. `waited`: it came before its purchase. What was
    `received_at` an instant before it is booked is as late as it was then.
    """

    partner: PartnerTerms
    kind: EventKind
    external_id: str
    purchase: str
    occurred_at: datetime
    content: Mapping[str, Any] = field(default_factory=dict)
    waited: bool = False
    of: EventKind = EventKind.PURCHASE
    received_at: datetime | None = None

    @property
    def order(self) -> str:
        """The order on which points may have been spent that it takes back."""
        return self.purchase if self.of is EventKind.PURCHASE else order_of_activity(self.purchase)

    @property
    def digest(self) -> bytes:
        """16 bytes by which it is told from another with its external id."""
        return unit_digest(self.purchase, self.occurred_at, self.content)


def check_return(partner: PartnerTerms, given: ReturnInput) -> Unit:
    """A return, checked field by field. Raises BadInput naming the field.

    Amounts are read when the purchase is known, in its money.
    """
    if bool(given.lines) == (given.amount is not None):
        raise BadInput("a return names lines, or an amount of the whole receipt", "lines")
    content: dict[str, Any] = {}
    if given.amount is not None:
        content["amount"] = check_text(given.amount, "amount", 40, least=1)
    for n, line in enumerate(given.lines):
        try:
            content.setdefault("lines", []).append(_returned_line(line))
        except BadInput as error:
            error.under("lines", n)
            raise
    return _unit(
        partner, EventKind.RETURN, given.external_id, given.purchase, given.occurred_at, content
    )


def _returned_line(given: ReturnedLine) -> list[object]:
    line: int | str = given.line
    if given.sku and not given.line:
        line = check_text(given.sku, "sku", 100)
    elif not 1 <= given.line <= 10_000:
        raise BadInput("lines are counted from 1", "line")
    if (given.quantity is None) == (given.amount is None):
        raise BadInput("a quantity or an amount of the line comes back", "quantity")
    if given.quantity is not None:
        quantity = parse_quantity(given.quantity)
        if not quantity:
            raise BadInput("nothing comes back", "quantity")
        return [line, quantity, ""]
    return [line, 0, check_text(given.amount or "", "amount", 40, least=1)]


def check_cancel(partner: PartnerTerms, purchase: str, occurred_at: datetime) -> Unit:
    """The cancel of a whole purchase: its natural key is the purchase's own."""
    return _unit(partner, EventKind.CANCEL, purchase, purchase, occurred_at, {})


def check_withdrawal(
    partner: PartnerTerms, activity: str, occurred_at: datetime, of: EventKind = EventKind.ACTIVITY
) -> Unit:
    """An activity, or an occasion, that counts no more: its points are taken back."""
    kind = EventKind.WITHDRAWAL
    # An occasion's name is the engine's own, and may be that of somebody's activity.
    name = activity if of is EventKind.ACTIVITY else f"occasion:{activity}"
    return replace(_unit(partner, kind, name, activity, occurred_at, {}), of=of)


def check_edit(
    partner: PartnerTerms,
    purchase: str,
    revision: int,
    occurred_at: datetime,
    lines: Sequence[LineInput],
    currency: str,
    points_paid: str | None = None,
) -> Unit:
    """A new revision of a purchase, from 2 on: all its lines as they are now."""
    if not 2 <= revision <= 10_000:
        raise BadInput("the purchase itself is revision 1; the next is 2", "revision")
    parsed = parse_lines(lines, currency, points_paid)
    content = {"revision": revision, "money": currency, "lines": [said_of(x) for x in parsed]}
    return _unit(partner, EventKind.EDIT, f"{purchase}#{revision}", purchase, occurred_at, content)


def check_fulfilment(
    partner: PartnerTerms, purchase: str, event: str, occurred_at: datetime
) -> Unit:
    """An event that pending points waited for: the order was shipped, the stay completed."""
    try:
        check_code("event", event)
    except LaurelsError as error:
        raise BadInput(str(error), "event") from error
    content = {"event": event}
    return _unit(
        partner, EventKind.FULFILMENT, f"{purchase}#{event}", purchase, occurred_at, content
    )


def _unit(
    partner: PartnerTerms,
    kind: EventKind,
    external_id: str,
    purchase: str,
    occurred_at: datetime,
    content: Mapping[str, Any],
) -> Unit:
    check_text(purchase, "purchase", 200, least=1)
    # The name of an edit or a fulfilment is the purchase's with something behind it.
    check_text(external_id, "externalId", 200 if kind is EventKind.RETURN else 300, least=1)
    if occurred_at.tzinfo is None:
        raise BadInput("occurredAt needs a time zone, such as +03:00 or Z", "occurredAt")
    if not 1970 <= occurred_at.year <= 9000:
        raise BadInput("occurredAt is no year of trade", "occurredAt")
    return Unit(partner, kind, external_id, purchase, occurred_at.astimezone(UTC), content)


def read(unit: Unit, bought: Bought) -> tuple[list[Item], int, tuple[Line, ...], str]:
    """What a unit says of a purchase, in its money: (items, amount or revision, lines, event)."""
    content, money = unit.content, bought.money
    if unit.kind is EventKind.EDIT:
        if content["money"] != money:
            raise BadInput(f"the purchase was in {money}", "currency")
        return [], content["revision"], tuple(heard(x) for x in content["lines"]), ""
    items = [_item(n, x, bought) for n, x in enumerate(content.get("lines", ()))]
    amount = content.get("amount")
    whole = 0 if amount is None else _minor(amount, money, "amount")
    return items, whole, (), content.get("event", "")


def _item(n: int, given: Sequence[Any], bought: Bought) -> Item:
    number, quantity, amount = given
    count = len(bought.remains.lines)
    if isinstance(number, str):
        number = _by_sku(n, number, bought)
    if number > count:
        raise BadInput(f"the receipt has {count} lines", "lines", n, "line")
    minor = _minor(amount, bought.money, "lines", n, "amount") if amount else 0
    return Item(number - 1, quantity, minor)


def _by_sku(n: int, sku: str, bought: Bought) -> int:
    """The number of the only line of this sku. Raises BadInput; UnknownReference: there is none."""
    found = [place for place, line in enumerate(bought.remains.lines, 1) if line.sku == sku]
    if not found:
        # An edit may bring it still.
        raise UnknownReference(f"no line of it is '{sku[:64]}'", "lines", n, "sku")
    if len(found) > 1:
        raise BadInput(f"{len(found)} lines of it are '{sku[:64]}'", "lines", n, "sku")
    return found[0]


def _minor(text: str, money: str, *path: str | int) -> int:
    try:
        minor = to_minor(text, money)
    except MoneyError as error:
        raise BadInput(str(error), *path) from error
    if minor <= 0:
        raise BadInput("what comes back is above zero", *path)
    return minor
