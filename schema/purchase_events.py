"""What the batches on recorded purchases share: items checked, run in one go, told one by one.

Knows nothing of what a return, a cancel, an edit or a fulfilment does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeAlias, TypedDict, TypeVar

import strawberry

from core import returning
from core import returns as engine
from core.bought import Returned
from core.errors import BadInput, Refusal
from core.rulebook import PartnerTerms
from laurels import money
from schema.access import partner_for
from schema.context import Context, Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    UnknownReferenceError,
    WrongStateError,
    as_error,
)
from schema.fields import answer
from schema.money import Money
from schema.postings import Posted
from schema.receipts import PointsTakenBack, Purchase, taken_back, visible_purchase
from schema.waiting import ReturnWaiting

MOST_ITEMS = 1000
T = TypeVar("T")
#: Makes what the engine takes of an item of the input.
Check: TypeAlias = Callable[[PartnerTerms, T], engine.Unit]
Failed: TypeAlias = (
    BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | WrongStateError
)


class Stands(TypedDict):
    """What every answer of a booked event is made with."""

    purchase: str
    replayed: bool
    booked_at: datetime
    holder: int
    purchase_event: int
    event_id: int


@strawberry.interface(description="An event of a purchase stands in the books.")
class PurchaseChanged(Posted):
    """What all of them share."""

    purchase: str = strawberry.field(description="The number of the purchase.")
    purchase_event: strawberry.Private[int]
    event_id: strawberry.Private[int]

    @answer("The purchase as it stands now. Null where the viewer may not read it.")
    async def current(self, info: Info) -> Purchase | None:
        return await visible_purchase(info, self.purchase_event)

    @answer("What it took back, in each currency in which less is earned now.")
    async def taken_back(self, info: Info) -> list[PointsTakenBack]:
        story = await info.context.loaders.story.load(self.purchase_event)
        assert story is not None
        return await taken_back(info, story, self.event_id)

    async def _money(self, info: Info) -> Money:
        story = await info.context.loaders.story.load(self.purchase_event)
        assert story is not None
        minor = story.step(self.event_id).money
        return Money.of(money.Money(minor, story.bought.money))


def stands(purchase: str, outcome: Returned) -> Stands:
    """The fields that all answers share."""
    return Stands(
        purchase=purchase, replayed=outcome.replayed, booked_at=outcome.booked_at,
        holder=outcome.holder, purchase_event=outcome.purchase, event_id=outcome.event,
    )  # fmt: skip


def failed(refusal: Refusal) -> Failed:
    """The union's member for a refusal that every batch knows."""
    error = as_error(refusal)
    assert isinstance(error, Failed)
    return error


async def run(
    info: Info, partner: str, given: Sequence[T], check: Check[T], name: str, number: str
) -> list[Returned | ReturnWaiting | Refusal]:
    """Check and book a batch, with an answer for each item in the order of the input.

    `name` is the input's list, `number` its field that holds the natural key: paths name them.
    """
    context = info.context
    if len(given) > MOST_ITEMS:
        raise BadInput(f"a batch has at most {MOST_ITEMS} items", name)
    units = [_checked(context, partner, item, check) for item in given]
    good = [unit for unit in units if isinstance(unit, engine.Unit)]
    rest = iter(await returning.record(context.engine, good, context.instant))
    answers: list[Returned | ReturnWaiting | Refusal] = []
    for n, unit in enumerate(units):
        outcome = unit if isinstance(unit, Refusal) else next(rest)
        if isinstance(outcome, Refusal):
            outcome.path = tuple(number if p == "externalId" else p for p in outcome.path)
            answers.append(outcome.under(name, n))
        elif isinstance(unit, engine.Unit) and isinstance(outcome, returning.Waiting):
            answers.append(ReturnWaiting.put(unit, outcome))
        elif isinstance(outcome, Returned):
            answers.append(outcome)
    return answers


def _checked(context: Context, code: str, item: T, check: Check[T]) -> engine.Unit | Refusal:
    try:
        partner = partner_for(context, code)
        return check(partner, item)
    except Refusal as refusal:
        return refusal
