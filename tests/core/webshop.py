"""A brand with a web shop that sends webhooks in the shape of Shopify's. Holds no test."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from core.errors import PartnerRuleFailed
from core.inbound import keep, named, work
from core.posting import Engine
from core.programme import Programme
from core.store.inbound import Arrived, Inbound, read
from core.store.reference import Declared, install
from laurels import (
    Adapter,
    CancelPurchase,
    Command,
    Currency,
    Delivery,
    DeliveryError,
    EditPurchase,
    Enrol,
    FulfilPurchase,
    Hmac,
    Ignore,
    MemberBy,
    Message,
    Partner,
    PointsPerAmount,
    PointsPerVisit,
    Received,
    RecordActivity,
    RecordPurchase,
    RecordReturn,
    ReturnedLine,
    SoldLine,
    WithdrawActivity,
    instant,
    on,
)
from tests.support import NOW, figures, scalar

SECRET, OLD_SECRET = "whsec-new", "whsec-old"
POINT = Currency("POINT", "Points")
TOPIC, NAME, SIGNATURE = "x-shopify-topic", "x-shopify-webhook-id", "x-shopify-hmac-sha256"


def lines(order: Mapping[str, Any]) -> list[SoldLine]:
    """An order's lines."""
    return [
        SoldLine(
            x["product_type"],
            x["price"],
            str(x["quantity"]),
            x["sku"],
            tax=x.get("tax", ""),
            kind="delivery" if x["product_type"] == "delivery" else "goods",
        )
        for x in order["line_items"]
    ]


def order_of(topic: str, said: Mapping[str, Any]) -> Sequence[Command]:
    """What a topic says of an order."""
    at, order = instant(said["updated_at"]), str(said.get("order_id", said["id"]))
    match topic:
        case "reviews/create":
            who = MemberBy(reference=str(said["customer"]))
            return [RecordActivity(str(said["id"]), who, at, "review", {"stars": said["stars"]})]
        case "reviews/delete":
            return [WithdrawActivity(str(said["id"]), at)]
        case "orders/create":
            who = MemberBy(reference=str(said["customer"]["id"]))
            return [RecordPurchase(order, who, at, said["currency"], lines(said))]
        case "orders/edited":
            return [EditPurchase(order, at, said["currency"], lines(said))]
        case "orders/cancelled":
            return [CancelPurchase(order, at)]
        case "orders/fulfilled":
            return [FulfilPurchase(order, "shipped", at)]
        case "refunds/create":
            back = [ReturnedLine(x["line"], str(x["quantity"])) for x in said["refund_line_items"]]
            return [RecordReturn(str(said["id"]), order, at, back)]
    return [Ignore(f"{topic} doesn't matter")]


def understand(message: Message) -> Received:
    """A message in the shape of Shopify's; a `sequence` is ours, and orders all of an order."""
    topic, said = message.headers[TOPIC], message.json
    if not isinstance(said, dict):
        raise DeliveryError("an order is wanted")
    if topic == "shop/update":
        return Ignore("the shop itself")
    name = message.headers[NAME]
    if topic == "customers/create":
        who = Enrol(said["name"], email=said["email"], reference=str(said["id"]))
        return Delivery(name, f"customer {said['id']}", instant(said["updated_at"]), [who])
    sequence: int | None = said.get("sequence")
    return Delivery(
        name, str(said.get("order_id", said["id"])), sequence or instant(said["updated_at"]),
        order_of(topic, said), None if not sequence or sequence == 1 else sequence - 1,
    )  # fmt: skip


ADAPTER = Adapter(
    "shopify", Hmac([SECRET, OLD_SECRET], SIGNATURE), understand, headers=(TOPIC, NAME)
)
WEBSHOP = Declared(
    "webshop",
    "1",
    Partner("webshop", "The Web Shop", currencies=[POINT], trades_in=["USD"]),
    earn_rules=[
        PointsPerAmount(POINT, 1, "1.00 USD"),
        on("review", PointsPerVisit(POINT, 5, code="review")),
    ],
    adapters=[ADAPTER],
)


@dataclass(frozen=True)
class Webhook:
    """One message of the shop."""

    topic: str
    name: str
    said: Mapping[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """As it is sent."""
        return json.dumps(self.said).encode()

    @property
    def headers(self) -> dict[str, str]:
        """What the adapter is handed."""
        return {TOPIC: self.topic, NAME: self.name}


def stamp(minutes: float) -> str:
    """So many minutes after the tests' time, less an hour."""
    return (NOW + timedelta(minutes=minutes - 60)).isoformat()


def items(*sold: tuple[str, int]) -> list[dict[str, Any]]:
    """Lines: (price, quantity)."""
    return [
        {"product_type": "book", "price": price, "quantity": n, "sku": f"B{place}"}
        for place, (price, n) in enumerate(sold)
    ]


def created(order: int, at: float, *sold: tuple[str, int], customer: int = 7) -> Webhook:
    """An order is made."""
    said = {
        "id": order, "updated_at": stamp(at), "currency": "USD", "customer": {"id": customer},
        "line_items": items(*sold),
    }  # fmt: skip
    return Webhook("orders/create", f"create-{order}-{at}", said)


def edited(order: int, at: float, *sold: tuple[str, int]) -> Webhook:
    """Its lines are others now."""
    said = {"id": order, "updated_at": stamp(at), "currency": "USD", "line_items": items(*sold)}
    return Webhook("orders/edited", f"edit-{order}-{at}", said)


def refunded(order: int, at: float, number: int, *back: tuple[int, int]) -> Webhook:
    """Lines come back: (line, quantity)."""
    said = {
        "id": number, "order_id": order, "updated_at": stamp(at),
        "refund_line_items": [{"line": line, "quantity": n} for line, n in back],
    }  # fmt: skip
    return Webhook("refunds/create", f"refund-{number}", said)


def cancelled(order: int, at: float) -> Webhook:
    """It is no more."""
    return Webhook("orders/cancelled", f"cancel-{order}", {"id": order, "updated_at": stamp(at)})


def customer(number: int, at: float = 0) -> Webhook:
    """Somebody made an account."""
    said = {
        "id": number,
        "name": "Ada",
        "email": f"ada{number}@example.com",
        "updated_at": stamp(at),
    }
    return Webhook("customers/create", f"customer-{number}", said)


def in_sequence(hooks: Sequence[Webhook]) -> list[Webhook]:
    """The same of a shop that counts what it says of an order."""
    return [replace(h, said={**h.said, "sequence": n}) for n, h in enumerate(hooks, 1)]


async def open_webshop(adapter: Adapter = ADAPTER) -> Engine:
    """Install it in the database that this process is connected to."""
    return Engine(await install(Programme(), [replace(WEBSHOP, adapters=[adapter])], NOW))


async def arrive(engine: Engine, *hooks: Webhook, now: datetime = NOW) -> list[bool | None]:
    """Keep what the shop sends, and do it; each before the next comes."""
    kept = []
    for hook in hooks:
        kept.append(await put(engine, hook, now))
        await work(engine, now)
    return kept


async def put(engine: Engine, hook: Webhook, now: datetime = NOW) -> bool | None:
    """Keep what the shop sends."""
    partner = engine.rulebook.partners["webshop"]
    message = Message(hook.headers, hook.body)
    try:
        received = engine.containment.read(
            partner, partner.adapters["shopify"], message, tentative=True
        )
    except (DeliveryError, PartnerRuleFailed):
        received = None
    name, subject, version = named(received, message)
    given = Arrived(
        partner.id, "shopify", name, subject, version, hook.headers, hook.body
    )  # fmt: skip
    return await keep(engine, given, now)


async def log() -> list[Inbound]:
    """All that is kept, in the order in which it came."""
    count = await scalar("SELECT count(*) FROM inbound")
    return await read(range(1, 10 * count + 100))


async def states() -> list[tuple[str, str]]:
    """(name, state) of all that is kept."""
    return [(row.delivery, row.state.name.lower()) for row in await log()]


async def points() -> int:
    """The one member's active points."""
    holder = await scalar("SELECT min(holder_id) FROM member")
    return sum(row[2] for row in await figures([holder], NOW))
