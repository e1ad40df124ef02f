"""Reversal: a completed redemption is taken back, by its terms or by an admin.

Points go back to the lots that they came from, stock to its shelf unless it is written off, and
the codes are void. What stands on an order goes back with the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.db import Connection, transaction
from core.errors import BadInput, NotAllowed, WrongState
from core.folding import Batch
from core.posting import Engine
from core.purchases import check_text
from core.redeemed import Redemption, Status, from_row
from core.redemptions import (
    book,
    digest,
    find,
    first_outcome,
    fold,
    open_holder,
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
        batch = await open_holder(connection, engine, holder, now)
        found = await find(connection, holder, number)
        _check_completed(found)
        if not request.by_admin:
            _check_terms(engine, found, now)
        taken = await taken_lots(connection, batch, [found])
        done = fold(
            batch, found, taken, Status.REVERSED, event, now, request.reason,
            write_off=request.write_off,
        )  # fmt: skip
        await book(connection, batch)
        return done


def check_reason(reason: str) -> None:
    """Raise BadInput unless it is a code: free words might name people, and the books stay."""
    try:
        check_code("reason", reason)
    except DeclarationError as error:
        raise BadInput(str(error), "reason") from None


def _check_completed(found: Redemption) -> None:
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


async def reverse_for_order(
    connection: Connection,
    batch: Batch,
    engine: Engine,
    holder: int,
    partner_id: int,
    order: str,
    now: datetime,
) -> list[Redemption]:
    """Reverse what was completed and release what is held on an order that is cancelled.

    Folds into a loaded batch whose holder is locked, each as a posting of its own, whatever the
    terms say; `write` then writes it with the rest, stock and codes too.
    """
    settled = {row.redemption for row in batch.writes.settled}
    found = [
        redemption
        for redemption in map(from_row, await store.of_order(connection, holder, partner_id, order))
        if redemption.id not in settled
    ]
    if not found:
        return []
    taken = await taken_lots(connection, batch, found)
    events = await engine.ids.take(len(found))
    ended: list[Redemption] = []
    for redemption, event in zip(found, events, strict=True):
        held = redemption.status is Status.HELD
        status = Status.CANCELLED if held else Status.REVERSED
        reason = None if held else ORDER_CANCELLED
        ended.append(fold(batch, redemption, taken, status, event, now, reason))
    return ended
