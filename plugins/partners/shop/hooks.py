"""What the shop system tells, in the shape of Shopify's webhooks, as commands.

An order is told whole each time, so whatever comes late or twice says nothing new; what comes back
is told apart, by the ids of its lines. Pure. Imports the partner kit alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from laurels import (
    CancelPurchase,
    Command,
    Delivery,
    DeliveryError,
    EditPurchase,
    Enrol,
    Ignore,
    MemberBy,
    Message,
    Received,
    RecordActivity,
    RecordPurchase,
    RecordReturn,
    ReturnedLine,
    SoldLine,
    instant,
)

Said: TypeAlias = Mapping[str, Any]
#: Paid for, be it that some of it was given back since.
_PAID = ("paid", "partially_refunded", "refunded")


def read(message: Message, topic: str, name: str, guests: str) -> Received:
    """A message as a delivery; `guests` is how long one waits. Raises DeliveryError."""
    kind, said = message.headers.get(topic, ""), message.json
    if not isinstance(said, dict):
        raise DeliveryError("an object is wanted")
    try:
        subject, at, commands = _understood(kind, said)
    except (KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise DeliveryError(
            f"{kind}: {type(error).__name__} {error}: it is no such thing"
        ) from None
    return Delivery(message.headers[name], subject, at, commands, patience=guests)


def _understood(kind: str, said: Said) -> tuple[str, datetime, list[Command]]:
    match kind:
        case "orders/paid" | "orders/updated" | "orders/cancelled":
            at = instant(said["updated_at"])
            return f"order {said['id']}", at, _order(kind, said, at)
        case "refunds/create":
            at = instant(said["processed_at"])
            return f"order {said['order_id']}", at, [_refund(said, at)]
        case "customers/create":
            return f"customer {said['id']}", instant(said["created_at"]), [_customer(said)]
        case "reviews/create":
            at = instant(said["created_at"])
            who = MemberBy(email=said["email"])
            done = RecordActivity(
                f"review {said['id']}", who, at, "review", {"stars": said["rating"]}
            )
            return f"review {said['id']}", at, [done]
    at = instant(said.get("updated_at") or said["created_at"])
    return f"{kind} {said['id']}"[:200], at, [Ignore(f"{kind} doesn't matter")]


def _order(kind: str, said: Said, at: datetime) -> list[Command]:
    number = str(said["id"])
    if kind == "orders/cancelled" or said.get("cancelled_at"):
        return [CancelPurchase(number, instant(said["cancelled_at"]))]
    if said["financial_status"] not in _PAID:
        return [Ignore(f"it is {said['financial_status']}")]
    if kind == "orders/updated":
        return [EditPurchase(number, at, said["currency"], _lines(said))]
    bought = instant(said["created_at"])
    return [RecordPurchase(number, _buyer(said), bought, said["currency"], _lines(said))]


def _buyer(said: Said) -> MemberBy:
    """By the account that is signed in; of a guest by what may be verified of whoever claims it.

    Where there is neither, by the order's token, which stands on the receipt's page alone: a shop
    that is shown it adds it to the member as a `reference`.
    """
    customer = said.get("customer") or {}
    if customer.get("state") == "enabled":
        return MemberBy(reference=str(customer["id"]))
    if said.get("email"):
        return MemberBy(email=said["email"])
    if said.get("phone"):
        return MemberBy(phone=said["phone"])
    return MemberBy(reference=f"order {said['token']}")


def _lines(said: Said) -> list[SoldLine]:
    """The lines as they were sold, those that came back too; then delivery, and a tip.

    A line's id stands as its sku, for two lines may be of one article.
    """
    included = bool(said.get("taxes_included"))
    back = _came_back(said.get("refunds", ()))
    lines = []
    for line in said["line_items"]:
        # What an edit took off isn't sold; what was given back was, and is told as a refund.
        sold = line["current_quantity"] + back.get(line["id"], 0)
        gross = sold * Decimal(line["price"])
        kind = "gift-card" if line.get("gift_card") else "goods"
        what = str(line.get("product_type") or line["title"])
        share = Decimal(sold) / line["quantity"] if line["quantity"] else Decimal(0)
        lines.append(_line(what, gross, line, share, included, kind, sold, str(line["id"])))
    for line in said.get("shipping_lines", ()):
        gross = Decimal(line["price"])
        lines.append(_line("delivery", gross, line, Decimal(1), included, "delivery"))
    tip = Decimal(said.get("total_tip_received") or 0)
    if tip:
        lines.append(SoldLine("tip", f"{tip:.2f}", kind="fee"))
    return lines


def _line(
    what: str,
    gross: Decimal,
    line: Said,
    share: Decimal,
    included: bool,
    kind: str,
    sold: int = 1,
    sku: str = "",
) -> SoldLine:
    """Of a line's discounts and taxes counts the `share` that is sold."""
    off = _sum(line.get("discount_allocations", ()), "amount") * share
    tax = _sum(line.get("tax_lines", ()), "price") * share
    amount = gross - off + (0 if included else tax)
    return SoldLine(
        what, f"{amount:.2f}", str(sold), sku, discount=f"{off:.2f}", tax=f"{tax:.2f}", kind=kind
    )


def _sum(parts: Iterable[Said], name: str) -> Decimal:
    return sum((Decimal(part[name]) for part in parts), Decimal(0))


def _came_back(refunds: Sequence[Said]) -> dict[int, int]:
    """How many of each line were given back."""
    found: dict[int, int] = {}
    for refund in refunds:
        for part in refund["refund_line_items"]:
            number = part["line_item_id"]
            found[number] = found.get(number, 0) + part["quantity"]
    return found


def _refund(said: Said, at: datetime) -> Command:
    """Money alone that is given back, for delivery say, takes nothing back."""
    parts = [
        ReturnedLine(quantity=str(part["quantity"]), sku=str(part["line_item_id"]))
        for part in said["refund_line_items"]
    ]
    if not parts:
        return Ignore("nothing came back")
    return RecordReturn(f"refund {said['id']}", str(said["order_id"]), at, parts)


def _customer(said: Said) -> Command:
    """An address counts only where the shop has verified it: what waits for it is its owner's."""
    name = " ".join(filter(None, (said.get("first_name"), said.get("last_name"))))
    email = said["email"] if said.get("verified_email") and said.get("email") else ""
    return Enrol(name, email=email, reference=str(said["id"]))
