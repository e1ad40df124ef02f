"""Rewards that a person hands out: taken, one is a request; approved, it is to be delivered.

In the books it is a redemption that is held: delivered, it is confirmed; declined, it is cancelled,
and the points are back. Knows nothing of who may decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from core.db import transaction
from core.errors import WrongState
from core.posting import Engine, write
from core.purchases import check_text
from core.redeemed import Redemption, Status
from core.redemptions import check_held, opened
from core.settling import digest, find, first_outcome, fold, taken_lots
from core.store import fulfilments as store
from core.store.redemptions import claim_key


class FulfilmentState(IntEnum):
    """How far a request has come; see `core.store.fulfilments`."""

    REQUESTED = 1
    APPROVED = 2
    DELIVERED = 3
    DECLINED = 4
    ENDED = 5


@dataclass(frozen=True, slots=True)
class DecideRequest:
    """To approve a request, or to decline it with a `reason` in words."""

    caller: str
    key: str
    holder: int
    redemption: int
    approved: bool
    reason: str = ""


async def decide(engine: Engine, request: DecideRequest, now: datetime) -> Redemption:
    """Approve or decline. Raises BadInput, UnknownReference, WrongState (it isn't held, or nobody
    asked for it so) or IdempotencyConflict; then nothing was booked.
    """
    check_text(request.key, "key", 255, least=1)
    check_text(request.reason, "note", 500, least=0 if request.approved else 1)
    holder, number = request.holder, request.redemption
    asked = digest("decide", holder, number, request.approved, request.reason)
    async with transaction() as connection:
        (event,) = await engine.ids.take(1)
        before = await claim_key(
            connection, request.caller, request.key, asked, (holder, number), now
        )
        if before is not None:
            return await first_outcome(connection, asked, before)
        batch = await opened(connection, engine, holder, now)
        found = await find(connection, holder, number)
        check_held(found, now)
        reason = request.reason.strip() or None
        if not await store.decide(
            connection, found, request.caller, now, approved=request.approved, reason=reason
        ):
            raise WrongState("it doesn't wait for a decision", "redemption")
        if not request.approved:
            taken = await taken_lots(connection, batch, [found])
            fold(batch, found, taken, Status.CANCELLED, event, now)
        await write(connection, batch)
        return await find(connection, holder, number)
