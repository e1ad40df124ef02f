"""Orders ahead: what a member wants to find ready, with its rewards held until it is collected.

Laurels is no shop: it keeps what was ordered, holds the points in the same transaction, and the
shop records the purchase by the order's external id (`core.collecting`). An order that is called
off gives its points back; one that nobody collects in time does so when its hold runs out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from core.collecting import name_of
from core.db import Connection, transaction
from core.errors import BadInput, IdempotencyConflict, UnknownReference, WrongState
from core.members import IdentifierKind, MemberRef
from core.posting import Engine, write
from core.pricing import MOST_PIECES, RedeemRequest, priced
from core.purchases import (
    Incoming,
    LineInput,
    PurchaseInput,
    check_purchase,
    check_text,
    find_partner,
)
from core.redeemed import Status, from_row
from core.redemptions import opened, take, write_all
from core.rulebook import PartnerTerms
from core.settling import digest, fold, taken_lots
from core.store import ahead as store
from core.store import redemptions
from core.store.ahead import OrderRow
from core.store.lots import open_lots
from laurels.durations import Duration
from laurels.purchase import Purchase

#: So long after it is to be ready an order may still be collected; so far ahead it may be placed.
COLLECT = timedelta(hours=2)
FARTHEST = timedelta(days=7)
#: As many rewards as one order takes, and as many lines as it has.
MOST_REWARDS = 10
MOST_LINES = 100
_HOUR = timedelta(hours=1)
_NOBODY = MemberRef(IdentifierKind.CARD, "")


class State(StrEnum):
    """Where an order stands."""

    PLACED = "placed"
    COLLECTED = "collected"
    CANCELLED = "cancelled"
    NOT_COLLECTED = "not-collected"


class Wanted(NamedTuple):
    """A reward that an order takes; `currency` may stay None where it has one price only."""

    reward: str
    quantity: int = 1
    currency: str | None = None


class OrderRequest(NamedTuple):
    """What a member orders."""

    caller: str
    key: str
    partner: str
    holder: int
    store: str
    pickup_at: datetime
    money: str
    lines: Sequence[LineInput]
    tender: str = ""
    redeem: Sequence[Wanted] = ()


def state_of(order: OrderRow, now: datetime) -> State:
    """Where an order stands at an instant."""
    if order.closed_at is not None:
        return State.CANCELLED if order.purchase is None else State.COLLECTED
    return State.NOT_COLLECTED if order.until <= now else State.PLACED


def as_purchase(partner: PartnerTerms, order: OrderRow) -> Incoming:
    """The purchase that an order would be, were it collected when it is to be ready."""
    purchase = Purchase(
        partner.code, name_of(order.id), order.pickup_at, order.money, order.lines, order.store,
        partner.time_zone, tender=order.tender,
    )  # fmt: skip
    at = partner.at(order.pickup_at).on(purchase.trigger)
    return Incoming(at, _NOBODY, purchase, holder=order.holder)


async def place(engine: Engine, request: OrderRequest, now: datetime) -> tuple[OrderRow, bool]:
    """Place an order and hold its rewards; whether that was done before under this key, too.

    Raises UnknownReference, BadInput, NotAllowed, NotEligible or IdempotencyConflict; then there is
    no order, and nothing is held.
    """
    check_text(request.key, "key", 255, least=1)
    partner = find_partner(engine.rulebook, request.partner)
    numbers = await engine.ids.take(1 + 2 * len(request.redeem))
    # Of what was sent, before it is judged: a first outcome outlives the time it was for.
    asked = digest("orderAhead", *request[2:])
    async with transaction() as connection:
        outcome = (request.holder, numbers[0])
        before = await redemptions.claim_key(
            connection, request.caller, request.key, asked, outcome, now
        )
        if before is not None:
            return await _first(connection, asked, before), True
        order = _checked(partner, request, numbers[0], now)
        if request.redeem:
            await _hold(connection, engine, partner, request, order, numbers[1:], now)
        else:
            await opened(connection, engine, request.holder, now)
        await store.add(connection, order)
    return order, False


def _checked(partner: PartnerTerms, request: OrderRequest, number: int, now: datetime) -> OrderRow:
    """The order, each field of which could be a purchase's."""
    if len(request.lines) > MOST_LINES:
        raise BadInput(f"an order has at most {MOST_LINES} lines", "lines")
    if len(request.redeem) > MOST_REWARDS:
        raise BadInput(f"an order takes at most {MOST_REWARDS} rewards", "redeem")
    for n, wanted in enumerate(request.redeem):
        if not 1 <= wanted.quantity <= MOST_PIECES:
            raise BadInput(f"from 1 to {MOST_PIECES} pieces", "redeem", n, "quantity")
    given = PurchaseInput(
        name_of(number), _NOBODY, request.pickup_at, request.money, request.lines, request.store,
        tender=request.tender,
    )  # fmt: skip
    bought = check_purchase(partner, given).purchase
    if not now <= bought.occurred_at <= now + FARTHEST:
        raise BadInput(f"from now to {FARTHEST.days} days ahead", "pickupAt")
    return OrderRow(
        request.holder, number, partner.id, bought.store, now, bought.occurred_at,
        bought.occurred_at + COLLECT, bought.currency, bought.tender, bought.lines,
    )  # fmt: skip


async def _first(connection: Connection, asked: bytes, before: tuple[bytes, list[int]]) -> OrderRow:
    if before[0] != asked:
        raise IdempotencyConflict("this key was used before for another request", "key")
    found = await store.get(connection, before[1][0], before[1][1])
    if found is None:
        raise UnknownReference("the order of this key was erased since", "key")
    return found


async def _hold(
    connection: Connection,
    engine: Engine,
    partner: PartnerTerms,
    request: OrderRequest,
    order: OrderRow,
    numbers: Sequence[int],
    now: datetime,
) -> None:
    """Hold the points of all rewards, or of none."""
    # Whole hours, the last one full: a hold outlives the time to collect, and is over soon after.
    hours = -(-(order.until - now) // _HOUR)
    hold = Duration.parse(f"{hours}h")
    asked = [
        RedeemRequest(
            request.caller, request.key, partner.code, request.holder, x.reward, x.currency, hold,
            x.quantity, name_of(order.id),
        )
        for x in request.redeem
    ]  # fmt: skip
    found = [(one, *priced(partner, one)) for one in asked]
    batch = await opened(connection, engine, request.holder, now)
    currencies = sorted({currency.id for _, _, currency in found})
    batch.place(await open_lots(connection, [request.holder], currencies))
    ids = zip(numbers[::2], numbers[1::2], strict=True)
    folded = [
        (take(batch, partner, reward, currency, one, pair, now), pair[1], reward.reward.title)
        for (one, reward, currency), pair in zip(found, ids, strict=True)
    ]
    await write_all(connection, batch, folded)


async def call_off(
    engine: Engine, holder: int, number: int, caller: str, key: str, now: datetime
) -> tuple[OrderRow, bool]:
    """An order isn't wanted any more: its points go back; whether that was done before, too.

    Raises WrongState once it is collected, called off, or over; UnknownReference.
    """
    check_text(key, "key", 255, least=1)
    asked = digest("cancelOrderAhead", holder, number)
    async with transaction() as connection:
        before = await redemptions.claim_key(connection, caller, key, asked, (holder, number), now)
        if before is not None:
            return await _first(connection, asked, before), True
        batch = await opened(connection, engine, holder, now)
        order = await store.get(connection, holder, number)
        if order is None:
            raise UnknownReference("no such order", "order")
        state = state_of(order, now)
        if state is not State.PLACED:
            raise WrongState(f"it is {state.replace('-', ' ')} already", "order")
        rows = await redemptions.of_orders(connection, [(order.partner, name_of(number))])
        mine = [found for row in rows if (found := from_row(row)).holder == holder]
        held = [found for found in mine if found.status is Status.HELD]
        if held:
            taken = await taken_lots(connection, batch, held)
            events = await engine.ids.take(len(held))
            for found, event in zip(held, events, strict=True):
                fold(batch, found, taken, Status.CANCELLED, event, now)
            await write(connection, batch)
        await store.close(connection, holder, number, now)
        return order._replace(closed_at=now), False
