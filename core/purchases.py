"""A purchase as it comes in, checked field by field, and its content as one hash.

Knows nothing of how it is booked (`core.posting`). Every refusal names the field.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import orjson

from core.errors import BadInput, NotAllowed, UnknownReference
from core.events import EventKind
from core.lines import said_of
from core.members import MemberRef
from core.rulebook import PartnerTerms, Rulebook
from laurels.money import MoneyError, to_major, to_minor
from laurels.purchase import Line, LineKind, Purchase, PurchaseError, check_tender
from laurels.rounding import spread

MAX_LINES = 10_000
_MAX_QUANTITY = 10**12


@dataclass(frozen=True, slots=True)
class LineInput:
    """A line as a till sends it: money in decimal major units, quantity up to three places.

    Of `points_paid` None leaves open what of a payment for the whole receipt falls on the line.
    """

    product_type: str
    amount: str
    quantity: str = "1"
    sku: str = ""
    discount: str = "0"
    tax: str = "0"
    points_paid: str | None = None
    kind: str = "goods"

    @property
    def plain(self) -> bool:
        """Whether it says no more than what, how many and how much."""
        return (self.discount, self.tax, self.points_paid, self.kind) == _PLAIN


_PLAIN = ("0", "0", None, "goods")


@dataclass(frozen=True, slots=True)
class PurchaseInput:
    """A purchase as a till sends it; `points_paid` is what of it all points paid."""

    external_id: str
    member: MemberRef
    occurred_at: datetime
    currency: str
    lines: Sequence[LineInput]
    store: str = ""
    points_paid: str | None = None
    tender: str = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A purchase, or an activity, that passed all checks which need no database.

    `supposed` are tiers, by ladder, that a quote takes in place of those that the member holds.
    An occasion's is known by its number, the `holder`; its `member` says nothing. What was
    `received_at` an instant before it is booked is as late as it was then.
    """

    partner: PartnerTerms
    member: MemberRef
    purchase: Purchase
    supposed: Mapping[str, str] = field(default_factory=dict)
    kind: EventKind = EventKind.PURCHASE
    holder: int | None = None
    received_at: datetime | None = None


def find_partner(rulebook: Rulebook, code: str) -> PartnerTerms:
    """The partner of this code. Raises UnknownReference."""
    partner = rulebook.partners.get(code)
    if partner is None:
        raise UnknownReference(f"no partner '{code[:64]}' is installed", "partner")
    return partner


def check_text(value: str, field: str, longest: int, *, least: int = 0) -> str:
    """Return `value` if PostgreSQL can keep it and a person could have meant it."""
    if not least <= len(value) <= longest:
        raise BadInput(f"{field} has {least} to {longest} characters, not {len(value)}", field)
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise BadInput(f"{field} holds a character that is no text", field)
    return value


def check_purchase(partner: PartnerTerms, given: PurchaseInput) -> Incoming:
    """Make an `Incoming` of what a till sent. Raises BadInput or NotAllowed naming the field."""
    external_id = check_text(given.external_id, "externalId", 200, least=1)
    if given.occurred_at.tzinfo is None:
        raise BadInput("occurredAt needs a time zone, such as +03:00 or Z", "occurredAt")
    if not 1970 <= given.occurred_at.year <= 9000:
        raise BadInput("occurredAt is no year of trade", "occurredAt")
    if given.currency not in partner.trades_in:
        traded = ", ".join(sorted(partner.trades_in))
        raise NotAllowed(
            f"partner '{partner.code}' trades in {traded}, not {given.currency[:20]!r}", "currency"
        )
    lines = parse_lines(given.lines, given.currency, given.points_paid)
    return Incoming(
        partner,
        given.member,
        Purchase(
            partner.code,
            external_id,
            given.occurred_at.astimezone(UTC),
            given.currency,
            lines,
            check_text(given.store, "store", 100),
            partner.time_zone,
            tender=parse_tender(given.tender),
        ),
    )


def parse_tender(given: str) -> str:
    """How a purchase was paid, in one word; empty where that isn't said. Raises BadInput."""
    try:
        return given and check_tender(given)
    except PurchaseError as error:
        raise BadInput(str(error), "tender") from None


def parse_lines(
    given: Sequence[LineInput], currency: str, points_paid: str | None = None
) -> tuple[Line, ...]:
    """A receipt's lines, checked one by one. Raises BadInput naming the line and the field.

    What `points_paid` of the whole receipt falls on the lines that don't say their own, by their
    amounts.
    """
    if not 1 <= len(given) <= MAX_LINES:
        raise BadInput(f"a receipt has 1 to {MAX_LINES} lines, not {len(given)}", "lines")
    lines = tuple(_line(n, line, currency) for n, line in enumerate(given))
    if points_paid is None:
        return lines
    open_ones = [n for n, line in enumerate(given) if line.points_paid is None]
    paid = _part(points_paid, "pointsPaid", currency, sum(line.amount for line in lines))
    rest = paid - sum(line.points_paid for line in lines)
    amounts = [lines[n].amount for n in open_ones]
    if not 0 <= rest <= sum(amounts):
        raise BadInput(
            f"of the points' {points_paid} its lines name other parts: what they leave is "
            f"{to_major(rest, currency)}, and the lines that name none come to "
            f"{to_major(sum(amounts), currency)}",
            "pointsPaid",
        )
    shares = dict(zip(open_ones, spread(rest, amounts), strict=True))
    return tuple(
        line._replace(points_paid=shares[n]) if n in shares else line
        for n, line in enumerate(lines)
    )


def _line(n: int, line: LineInput, currency: str) -> Line:
    try:
        amount = to_minor(line.amount, currency)
        quantity = parse_quantity(line.quantity)
        if amount < 0:
            raise BadInput("an amount is never negative; send a return instead", "amount")
        return Line(
            check_text(line.product_type, "productType", 200),
            amount,
            quantity,
            check_text(line.sku, "sku", 100),
            *(() if line.plain else parse_parts(line, amount, currency)),
        )
    except MoneyError as error:
        raise BadInput(str(error), "lines", n, "amount") from error
    except BadInput as error:
        error.under("lines", n)
        raise


def parse_parts(line: LineInput, amount: int, currency: str) -> tuple[int, int, int, LineKind]:
    """Discount, tax, points paid and kind of a line of this amount. Raises BadInput."""
    discount = _part(line.discount, "discount", currency, None)
    tax = _part(line.tax, "tax", currency, amount)
    paid = _part(line.points_paid or "0", "pointsPaid", currency, amount)
    try:
        return discount, tax, paid, LineKind(line.kind)
    except ValueError:
        raise BadInput(f"{line.kind!r:.40} is none of {', '.join(LineKind)}", "kind") from None


def _part(text: str, field: str, currency: str, most: int | None) -> int:
    """A part of an amount, in minor units. Raises BadInput."""
    if text == "0":
        return 0
    try:
        minor = to_minor(text, currency)
    except MoneyError as error:
        raise BadInput(str(error), field) from error
    if minor < 0:
        raise BadInput("it is never negative", field)
    if most is not None and minor > most:
        raise BadInput(f"it is part of what is due, which is {to_major(most, currency)}", field)
    return minor


def parse_quantity(text: str) -> int:
    """Thousandths of a quantity given as a decimal text. Raises BadInput."""
    try:
        scaled = Decimal(text).scaleb(3)
    except (ArithmeticError, ValueError):  # an exponent may overflow, too
        raise BadInput(f"{text!r:.40} is no quantity", "quantity") from None
    if not scaled.is_finite() or not 0 <= scaled <= _MAX_QUANTITY:
        raise BadInput(f"quantity {text!r:.40} is negative or absurd", "quantity")
    whole = int(scaled)
    if whole != scaled:
        raise BadInput(f"quantity {text!r:.40} has more than three decimal places", "quantity")
    return whole


def content_hash(purchase: Purchase, holder: int) -> bytes:
    """16 bytes by which a purchase sent again is told from another one with its external id."""
    content: list[object] = [
        holder,
        purchase.external_id,
        purchase.occurred_at,
        purchase.currency,
        purchase.store,
        [line[:4] if line.plain else said_of(line) for line in purchase.lines],
    ]
    if purchase.tender:  # without it, hashed as ever
        content.append(purchase.tender)
    return hashlib.blake2b(orjson.dumps(content), digest_size=16).digest()
