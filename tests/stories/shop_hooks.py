"""What Clay & Kiln's shop system sends, in the shape of Shopify's webhooks. Holds no test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import httpx

from laurels import Hmac
from tests.schema.client import Client
from tests.support import NOW

SECRET = "a secret of the shop and of nobody else"
PATH = "/in/shop/orders"
BOWL, CARD, VASE = 11, 12, 13
Said: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Hook:
    """One message."""

    topic: str
    name: str
    said: dict[str, Any] = field(hash=False)

    def again(self) -> Hook:
        """Sent once more by hand, under another name."""
        return replace(self, name=f"{self.name}-again")


def at(hours: float) -> str:
    """So many hours after the tests' time, less a day."""
    return (NOW + timedelta(hours=hours - 24)).isoformat()


async def post(api: Client, hook: Hook, secret: str = SECRET) -> httpx.Response:
    """As the shop sends it."""
    body = json.dumps(hook.said).encode()
    signed = Hmac(secret, "X-Shopify-Hmac-Sha256").sign(body, datetime.now(NOW.tzinfo))
    told = {"X-Shopify-Topic": hook.topic, "X-Shopify-Webhook-Id": hook.name}
    return await api.http.post(PATH, content=body, headers={**told, **signed})


def item(number: int, price: str, sold: int, left: int | None = None, **more: Any) -> Said:
    """A line; `left` is what is on the order still."""
    return {
        "id": number, "title": "stoneware", "product_type": "stoneware", "price": price,
        "quantity": sold, "current_quantity": sold if left is None else left, **more,
    }  # fmt: skip


def bowls(left: int = 2) -> Said:
    """Two at 24.00, 4.00 off, 3.84 of tax on top."""
    return item(
        BOWL, "24.00", 2, left, discount_allocations=[{"amount": "4.00"}],
        tax_lines=[{"price": "3.84", "rate": 0.0872}],
    )  # fmt: skip


def gift_card() -> Said:
    """It earns when it is spent."""
    return item(CARD, "25.00", 1, gift_card=True)


def vase() -> Said:
    """One at 20.00, and 1.60 of tax."""
    return item(VASE, "20.00", 1, tax_lines=[{"price": "1.60", "rate": 0.08}])


def order(number: int, hours: float, lines: Sequence[dict[str, Any]], **more: Any) -> Said:
    """An order, whole, as it stands at an hour."""
    return {
        "id": number, "token": f"token{number}", "currency": "USD", "created_at": at(1),
        "updated_at": at(hours), "cancelled_at": None, "financial_status": "paid",
        "taxes_included": False, "email": None, "phone": None, "customer": None,
        "line_items": list(lines), "refunds": [], "total_tip_received": "3.00",
        "shipping_lines": [{"price": "5.00", "tax_lines": [{"price": "0.40"}]}], **more,
    }  # fmt: skip


def account(number: int) -> Said:
    """Whoever was signed in."""
    return {"customer": {"id": number, "state": "enabled"}}


def paid(number: int, **who: Any) -> Hook:
    """Two bowls and a gift card."""
    return Hook("orders/paid", f"paid-{number}", order(number, 1, [bowls(), gift_card()], **who))


def edited(number: int, **who: Any) -> Hook:
    """A vase more."""
    lines = [bowls(), gift_card(), vase()]
    return Hook("orders/updated", f"edited-{number}", order(number, 2, lines, **who))


def refund(number: int) -> Hook:
    """A bowl comes back."""
    said = {
        "id": 9000 + number, "order_id": number, "processed_at": at(3),
        "refund_line_items": [{"line_item_id": BOWL, "quantity": 1, "subtotal": "22.00"}],
    }  # fmt: skip
    return Hook("refunds/create", f"refund-{number}", said)


def refunded(number: int, **who: Any) -> Hook:
    """The whole order is told again after that."""
    lines = [bowls(1), gift_card(), vase()]
    back = [{"refund_line_items": [{"line_item_id": BOWL, "quantity": 1}]}]
    more = {"financial_status": "partially_refunded", "refunds": back, **who}
    return Hook("orders/updated", f"refunded-{number}", order(number, 3, lines, **more))


def cancelled(number: int, **who: Any) -> Hook:
    """It is no more."""
    said = order(number, 4, [bowls(0), gift_card(), vase()], cancelled_at=at(4), **who)
    return Hook("orders/cancelled", f"cancelled-{number}", said)


def customer(number: int, email: str = "", *, verified: bool = False) -> Hook:
    """Somebody made an account."""
    said = {
        "id": number, "created_at": at(0.5), "first_name": "Ada", "last_name": "Day",
        "email": email or None, "verified_email": verified,
    }  # fmt: skip
    return Hook("customers/create", f"customer-{number}", said)


def review(number: int, email: str) -> Hook:
    """Four stars."""
    said = {"id": number, "created_at": at(5), "email": email, "rating": 4}
    return Hook("reviews/create", f"review-{number}", said)
