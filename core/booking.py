"""Books commands of several kinds together: members first, then purchases, then what changes them.

A fault costs the command that has it, and no other. Knows nothing of deliveries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias, TypeVar

import structlog

from core.bought import Returned
from core.commands import Booking
from core.db import PASSING
from core.errors import IdempotencyConflict, Refusal
from core.events import EventKind
from core.members import Enrolment, enrol
from core.occasions import tell
from core.outcomes import Recorded
from core.posting import Engine
from core.purchases import Incoming
from core.returning import Waiting, record
from core.returns import Unit

B = TypeVar("B")
_log = structlog.get_logger("laurels.booking")


@dataclass(frozen=True, slots=True)
class Booked:
    """It stands in the books; `known`: it stood there before.

    `event` is 0 for an enrolment, of which `holder` says whose it was.
    """

    known: bool
    event: int = 0
    holder: int = 0

    def told(self, booking: Booking) -> dict[str, object]:
        """What is kept of it beside."""
        if isinstance(booking, Incoming):
            if booking.kind is EventKind.ACTIVITY:
                return {"activity": booking.purchase.external_id, "event": str(self.event)}
            return {"purchase": booking.purchase.external_id, "event": str(self.event)}
        if isinstance(booking, Unit):
            if booking.of is EventKind.ACTIVITY:
                return {"activity": booking.purchase, "event": str(self.event)}
            revision = booking.content.get("revision")
            more = {} if booking.kind is not EventKind.EDIT else {"revision": revision}
            return {"purchase": booking.purchase, "event": str(self.event), **more}
        # Told to nobody: by it the body is found, and dropped, when the member is erased.
        return {"holder": str(self.holder)}


Outcome: TypeAlias = Booked | Refusal
Call: TypeAlias = Callable[[Sequence[B]], Awaitable[list[Outcome]]]


async def book_together(
    engine: Engine, bookings: Sequence[Booking], now: datetime
) -> list[Outcome]:
    """Book them, each on its own: what it came to, in order. Safe to do again."""
    outcomes: dict[int, Outcome] = {}

    async def enrolled(people: Sequence[Enrolment]) -> list[Outcome]:
        return await _enrol(engine, people, now)

    async def bought(items: Sequence[Incoming]) -> list[Outcome]:
        found = await engine.record_purchases(items, now)
        return [_booked(outcome) for outcome in found]

    async def told(items: Sequence[Incoming]) -> list[Outcome]:
        found = await engine.record_activities(items, now)
        return [_booked(outcome) for outcome in found]

    async def changed(units: Sequence[Unit]) -> list[Outcome]:
        return [_booked(outcome) for outcome in await record(engine, units, now)]

    async def those(kind: type[B], call: Call[B], of: EventKind | None = None) -> None:
        chosen = [
            (n, booking)
            for n, booking in enumerate(bookings)
            if isinstance(booking, kind)
            and (not isinstance(booking, Incoming) or booking.kind is of)
        ]
        if chosen:
            places, some = zip(*chosen, strict=True)
            outcomes.update(zip(places, await _each(call, some), strict=True))

    await those(Enrolment, enrolled)
    await those(Incoming, bought, EventKind.PURCHASE)
    await those(Incoming, told, EventKind.ACTIVITY)
    await those(Unit, changed)
    if any(isinstance(x, Enrolment) and x.greeted for x in bookings):
        await tell(engine, now)
    return [outcomes[n] for n in range(len(bookings))]


def _booked(outcome: Recorded | Returned | Waiting | Refusal) -> Outcome:
    if isinstance(outcome, Refusal):
        return outcome
    if isinstance(outcome, Waiting):  # its purchase is known: so this can't be
        return Refusal("it waits for its purchase")
    return Booked(outcome.replayed, outcome.event)


async def _each(call: Call[B], items: Sequence[B]) -> list[Outcome]:
    """Together; where that fails, half and half.

    Raises what may be otherwise in a moment: the database is gone, others record the same at once.
    """
    try:
        return await call(items)
    except (*PASSING, IdempotencyConflict):
        raise
    except Exception as error:
        if len(items) > 1:
            middle = len(items) // 2
            return [x for half in (items[:middle], items[middle:]) for x in await _each(call, half)]
        _log.exception("what came in can't be booked")
        return [Refusal(f"it couldn't be booked: {type(error).__name__}, see the log")]


async def _enrol(engine: Engine, people: Sequence[Enrolment], now: datetime) -> list[Outcome]:
    """Enrol them together; one that can't be is left out, and the rest done again."""
    outcomes: dict[int, Outcome] = {}
    left = list(range(len(people)))
    while left:
        try:
            found = await enrol(engine.ids, [people[n] for n in left], now)
        except Refusal as refusal:
            place = refusal.path[0]
            assert isinstance(place, int)
            refusal.path = refusal.path[1:]
            outcomes[left.pop(place)] = refusal
        else:
            outcomes.update(
                (n, Booked(not new, holder=holder))
                for n, (holder, new) in zip(left, found, strict=True)
            )
            break
    return [outcomes[n] for n in range(len(people))]
