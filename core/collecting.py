"""An order ahead is collected: its purchase is recorded, and what it held is redeemed with it.

In the very transaction that books the purchase. Knows nothing of how an order is placed.
"""

from __future__ import annotations

from core.db import Connection
from core.events import EventKind
from core.folding import Batch
from core.redeemed import Status, from_row
from core.settling import fold
from core.store import ahead as store
from core.store import fulfilments, redemptions
from core.store.ids import Ids

_PREFIX = "ahead-"


def name_of(order: int) -> str:
    """The external id of an order, by which the shop records its purchase."""
    return f"{_PREFIX}{order}"


def number_of(external_id: str) -> int | None:
    """The order of which this is the external id, if it has the form of one."""
    text = external_id.removeprefix(_PREFIX)
    if text == external_id or not (text.isascii() and text.isdigit()) or len(text) > 18:
        return None
    return int(text)


async def collect(connection: Connection, ids: Ids, batch: Batch) -> None:
    """Redeem what is held for the orders that this batch's purchases are, if there are any.

    A purchase is an order's where its own member made that order at this partner. What was held
    beyond its time is let go already, and stays so; what waits for a person's approval still does.
    """
    bought = [
        (e.holder, number, e.partner, e.id)
        for e in batch.writes.events
        if e.kind == EventKind.PURCHASE and (number := number_of(e.external_id)) is not None
    ]
    if not bought:
        return
    orders = await store.collected(connection, sorted(bought), batch.now)
    if not orders:
        return
    owners = {(partner, name_of(order)): holder for holder, partner, order in sorted(orders)}
    gone = {(s.holder, s.redemption) for s in batch.writes.settled}
    held = [
        found
        for row in await redemptions.of_orders(connection, list(owners))
        if (found := from_row(row)).status is Status.HELD
        and (found.holder, found.id) not in gone
        # Anybody may name an order: of others nobody is locked here, and theirs stays held.
        and found.order is not None
        and owners[found.partner, found.order] == found.holder
    ]
    if held:
        waits = await fulfilments.undecided_of(connection, [(x.holder, x.id) for x in held])
        held = [found for found in held if (found.holder, found.id) not in waits]
        events = await ids.take(len(held))
        for found, event in zip(held, events, strict=True):
            fold(batch, found, {found.id: []}, Status.COMPLETED, event, batch.now)
