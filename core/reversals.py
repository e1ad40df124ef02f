"""Reversal: a completed redemption is taken back, by its terms or by an admin.

Points go back to the lots that they came from, stock to its shelf unless it is written off, and
the codes are void. What stands on an order goes back with the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from core.db import Connection, transaction
from core.errors import BadInput, NotAllowed, WrongState
from core.folding import Batch
from core.posting import Engine, write
from core.purchases import check_text
from core.redeemed import Redemption, Status, from_row
from core.redemptions import check_in_time, opened
from core.settling import (
    TakenLots,
    digest,
    find,
    first_outcome,
    fold,
    made_lots,
    settled_already,
    taken_lots,
)
from core.store import redemptions as store
from laurels.errors import DeclarationError, check_code

#: The reason of what goes back with its order.
ORDER_CANCELLED = "order-cancelled"


@dataclass(frozen=True, slots=True)
class ReverseRequest:
    """What is to be reversed, and why: `reason` is a code such as `damaged`.

    `write_off` where the thing doesn't come back into stock. `by_admin` goes beyond the terms.
    """

    caller: str
    key: str
    holder: int
    redemption: int
    reason: str
    write_off: bool = False
    by_admin: bool = False


async def reverse_redemption(engine: Engine, request: ReverseRequest, now: datetime) -> Redemption:
    """Take a completed redemption back, whole.

    Raises BadInput, UnknownReference, WrongState, NotAllowed (the terms don't, or no longer, let
    the partner) or IdempotencyConflict; then nothing was booked.
    """
    check_text(request.key, "key", 255, least=1)
    check_reason(request.reason)
    holder, number = request.holder, request.redemption
    asked = digest("reverse", holder, number, request.reason, request.write_off)
    async with transaction() as connection:
        (event,) = await engine.ids.take(1)
        before = await store.claim_key(
            connection, request.caller, request.key, asked, (holder, number), now
        )
        if before is not None:
            return await first_outcome(connection, asked, before)
        batch = await opened(connection, engine, holder, now, living=False)
        found = await find(connection, holder, number)
        _check_completed(found, now)
        if not request.by_admin:
            _check_terms(engine, found, now)
        taken = await taken_lots(connection, batch, [found])
        made = await made_lots(connection, batch, found)
        done = fold(
            batch, found, taken, Status.REVERSED, event, now, request.reason,
            write_off=request.write_off, made=made,
        )  # fmt: skip
        await write(connection, batch)
        return done


def check_reason(reason: str) -> None:
    """Raise BadInput unless it is a code: free words might name people, and the books stay."""
    try:
        check_code("reason", reason)
    except DeclarationError as error:
        raise BadInput(str(error), "reason") from None


def _check_completed(found: Redemption, now: datetime) -> None:
    check_in_time(found, now)
    if found.status is Status.HELD:
        raise WrongState("it is held still: cancel it instead", "redemption")
    if found.status is not Status.COMPLETED:
        raise settled_already(found)


def _check_terms(engine: Engine, found: Redemption, now: datetime) -> None:
    partner = engine.rulebook.partner_by_id(found.partner)
    until = found.reversible_until("UTC" if partner is None else partner.time_zone)
    if until is None:
        raise NotAllowed("by its terms it can't be reversed; an admin may", "redemption")
    if until <= now:
        raise NotAllowed(
            f"it could be reversed until {until.isoformat()}; an admin still may", "redemption"
        )


#: An order: its partner's id, and the external id of its purchase.
Order = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent on some orders, loaded to be given back; `events` are numbers for that."""

    found: dict[Order, list[Redemption]]
    taken: TakenLots
    events: Iterator[int]


async def lock_orders(connection: Connection, orders: Sequence[Order]) -> list[int]:
    """Keep others from spending on these orders until the commit; who has spent on one.

    Comes before any holder is locked; theirs are to be locked next.
    """
    if not orders:
        return []
    await store.lock_orders(connection, orders)
    return await store.spenders(connection, orders)


async def spent_on(
    connection: Connection, engine: Engine, batch: Batch, orders: Sequence[Order]
) -> Spent:
    """Load what was spent on orders that are locked, by spenders that are loaded into `batch`."""
    found: dict[Order, list[Redemption]] = {}
    ended = {settled.redemption for settled in batch.writes.settled}  # their time ran out
    for row in await store.of_orders(connection, orders) if orders else ():
        redemption = from_row(row)
        if redemption.id in ended:
            continue
        found.setdefault((redemption.partner, redemption.order or ""), []).append(redemption)
    every = [redemption for some in found.values() for redemption in some]
    if not every:
        return Spent({}, {}, iter(()))
    taken = await taken_lots(connection, batch, every)
    return Spent(found, taken, iter(await engine.ids.take(len(every))))


def reverse_for_order(batch: Batch, spent: Spent, order: Order, now: datetime) -> list[Redemption]:
    """Reverse what was completed and release what is held on an order that is cancelled.

    Whoever spent it: an order may be paid with the points of another. Folds into a batch, each as
    a posting of its own, whatever the terms say; `write` then writes it with the rest, stock and
    codes too. An order is given back once.
    """
    ended: list[Redemption] = []
    for redemption in spent.found.pop(order, ()):
        held = redemption.status is Status.HELD
        status = Status.CANCELLED if held else Status.REVERSED
        reason = None if held else ORDER_CANCELLED
        event = next(spent.events)
        ended.append(fold(batch, redemption, spent.taken, status, event, now, reason))
    return ended
