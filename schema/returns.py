"""Returns and cancels: batches with an answer for each item, safe to send again.

What comes before its purchase waits (`schema.waiting`). Knows nothing of what a return takes back.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core import returns as engine
from core.errors import Refusal
from core.rulebook import PartnerTerms
from schema.access import SERVICE, allow_change
from schema.context import Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import answer, change
from schema.money import Money
from schema.purchase_events import MOST_ITEMS, PurchaseChanged, failed, run, stands
from schema.waiting import ReturnWaiting


@strawberry.input(description="Part of a receipt's line that comes back.")
class ReturnedLineInput:
    """A quantity or an amount."""

    line: int = strawberry.field(description="The line's place on the receipt, from 1.")
    quantity: strawberry.Maybe[str] = strawberry.field(
        description='How many come back, or how much of weighed goods: "1", "0.250".'
    )
    amount: strawberry.Maybe[str] = strawberry.field(
        description='How much of the line\'s money comes back, such as "3.49".'
    )


@strawberry.input(description="A return, as the till sends it: lines, or an amount.")
class ReturnsItemInput:
    """Its natural key is the partner with `externalId`."""

    external_id: str = strawberry.field(description="The partner's own number of the return.")
    purchase: str = strawberry.field(description="The number of the purchase it belongs to.")
    occurred_at: datetime = strawberry.field(description="When it happened, with its zone.")
    lines: list[ReturnedLineInput] = strawberry.field(
        description="What comes back, line by line.", default_factory=list
    )
    amount: strawberry.Maybe[str] = strawberry.field(
        description="In place of lines: how much of the whole receipt's money comes back."
    )


@strawberry.input(description="A batch of returns of one partner.")
class RecordReturnsInput:
    """Each item stands for itself."""

    partner: str = strawberry.field(description="The code of the partner that sold.")
    returns: list[ReturnsItemInput] = strawberry.field(
        description=f"The returns, at most {MOST_ITEMS}."
    )


@strawberry.input(description="A purchase to cancel.")
class CancelsItemInput:
    """Its natural key is the purchase's own."""

    purchase: str = strawberry.field(description="The number of the purchase.")
    occurred_at: datetime = strawberry.field(description="When it happened, with its zone.")


@strawberry.input(description="A batch of cancels of one partner.")
class CancelPurchasesInput:
    """Each item stands for itself."""

    partner: str = strawberry.field(description="The code of the partner that sold.")
    cancels: list[CancelsItemInput] = strawberry.field(
        description=f"The cancels, at most {MOST_ITEMS}."
    )


@strawberry.type(description="The return stands in the books.")
class ReturnRecorded(PurchaseChanged):
    """Now, or since before."""

    external_id: str = strawberry.field(description="The partner's own number of the return.")

    @answer("The money that came back.")
    async def money(self, info: Info) -> Money:
        return await self._money(info)


@strawberry.type(description="The purchase is cancelled: all that was left of it came back.")
class PurchaseCancelled(PurchaseChanged):
    """Now, or since before."""

    @answer("The money that came back.")
    async def money(self, info: Info) -> Money:
        return await self._money(info)


ReturnResult = Annotated[
    ReturnRecorded
    | ReturnWaiting
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | WrongStateError,
    strawberry.union("ReturnResult", description="What became of one return of a batch."),
]
CancelResult = Annotated[
    PurchaseCancelled
    | ReturnWaiting
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | WrongStateError,
    strawberry.union("CancelResult", description="What became of one cancel of a batch."),
]


@strawberry.type(description="A batch of returns was worked through.")
class RecordReturnsPayload:
    """Items that failed may be sent again, with the rest or alone."""

    results: list[ReturnResult] = strawberry.field(
        description="An answer for each return, in the order of the input."
    )


@strawberry.type(description="A batch of cancels was worked through.")
class CancelPurchasesPayload:
    """Items that failed may be sent again, with the rest or alone."""

    results: list[CancelResult] = strawberry.field(
        description="An answer for each cancel, in the order of the input."
    )


def _return(partner: PartnerTerms, item: ReturnsItemInput) -> engine.Unit:
    lines = [
        engine.ReturnedLine(
            x.line, None if x.quantity is None else x.quantity.value,
            None if x.amount is None else x.amount.value,
        )
        for x in item.lines
    ]  # fmt: skip
    amount = None if item.amount is None else item.amount.value
    given = engine.ReturnInput(item.external_id, item.purchase, item.occurred_at, lines, amount)
    return engine.check_return(partner, given)


def _cancel(partner: PartnerTerms, item: CancelsItemInput) -> engine.Unit:
    return engine.check_cancel(partner, item.purchase, item.occurred_at)


@strawberry.type(description="Commands by which purchases come back.")
class ReturnMutations:
    """Root fields."""

    @change(
        "Record returns, with an answer for each. Safe to send again.",
        extensions=allow_change(partner="purchases:write", admin=SERVICE),
    )
    async def record_returns(
        self,
        info: Info,
        input: Annotated[RecordReturnsInput, strawberry.argument(description="The batch.")],
    ) -> RecordReturnsPayload | None:
        given = input.returns
        outcomes = await run(info, input.partner, given, _return, "returns", "externalId")
        results: list[ReturnResult] = []
        for item, outcome in zip(given, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                results.append(failed(outcome))
            elif isinstance(outcome, ReturnWaiting):
                results.append(outcome)
            else:
                results.append(
                    ReturnRecorded(external_id=item.external_id, **stands(item.purchase, outcome))
                )
        return RecordReturnsPayload(results=results)

    @change(
        "Cancel purchases, with an answer for each: all that is left of them comes back. Safe to "
        "send again.",
        extensions=allow_change(partner="purchases:write", admin=SERVICE),
    )
    async def cancel_purchases(
        self,
        info: Info,
        input: Annotated[CancelPurchasesInput, strawberry.argument(description="The batch.")],
    ) -> CancelPurchasesPayload | None:
        given = input.cancels
        outcomes = await run(info, input.partner, given, _cancel, "cancels", "purchase")
        results: list[CancelResult] = []
        for item, outcome in zip(given, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                results.append(failed(outcome))
            elif isinstance(outcome, ReturnWaiting):
                results.append(outcome)
            else:
                results.append(PurchaseCancelled(**stands(item.purchase, outcome)))
        return CancelPurchasesPayload(results=results)
