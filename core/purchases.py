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
from core.members import MemberRef
from core.rulebook import PartnerTerms, Rulebook
from laurels.money import MoneyError, to_minor
from laurels.purchase import Line, Purchase

MAX_LINES = 10_000
_MAX_QUANTITY = 10**12


@dataclass(frozen=True, slots=True)
class LineInput:
    """A line as a till sends it: amount in decimal major units, quantity up to three places."""

    product_type: str
    amount: str
    quantity: str = "1"
    sku: str = ""


@dataclass(frozen=True, slots=True)
class PurchaseInput:
    """A purchase as a till sends it."""

    external_id: str
    member: MemberRef
    occurred_at: datetime
    currency: str
    lines: Sequence[LineInput]
    store: str = ""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A purchase, or an activity, that passed all checks which need no database.

    `supposed` are tiers, by ladder, that a quote takes in place of those that the member holds.
    An occasion's is known by its number, the `holder`; its `member` says nothing.
    """

    partner: PartnerTerms
    member: MemberRef
    purchase: Purchase
    supposed: Mapping[str, str] = field(default_factory=dict)
    kind: EventKind = EventKind.PURCHASE
    holder: int | None = None


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
    lines = parse_lines(given.lines, given.currency)
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
        ),
    )


def parse_lines(given: Sequence[LineInput], currency: str) -> tuple[Line, ...]:
    """A receipt's lines, checked one by one. Raises BadInput naming the line and the field."""
    if not 1 <= len(given) <= MAX_LINES:
        raise BadInput(f"a receipt has 1 to {MAX_LINES} lines, not {len(given)}", "lines")
    return tuple(_line(n, line, currency) for n, line in enumerate(given))


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
        )
    except MoneyError as error:
        raise BadInput(str(error), "lines", n, "amount") from error
    except BadInput as error:
        error.under("lines", n)
        raise


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
    content = orjson.dumps(
        [
            holder,
            purchase.external_id,
            purchase.occurred_at,
            purchase.currency,
            purchase.store,
            list(map(tuple, purchase.lines)),
        ]
    )
    return hashlib.blake2b(content, digest_size=16).digest()
