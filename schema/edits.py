"""Edits and fulfilments of purchases: batches with an answer for each item, safe to send again.

Knows nothing of how a difference is booked, or of what waits for an event.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core import returns as engine
from core.errors import PartnerRuleFailed, Refusal
from core.rulebook import PartnerTerms
from schema.access import SERVICE, allow_change
from schema.context import Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    PartnerRuleFailedError,
    UnknownReferenceError,
    WrongStateError,
    as_error,
)
from schema.fields import answer, change
from schema.money import Money
from schema.purchase_events import MOST_ITEMS, PurchaseChanged, failed, run, stands
from schema.receipt_lines import PurchaseLineInput, lines_of
from schema.waiting import ReturnWaiting


@strawberry.input(description="A new revision of a purchase: all its lines as they are now.")
class EditsItemInput:
    """Its natural key is the purchase's with the revision."""

    purchase: str = strawberry.field(description="The number of the purchase.")
    revision: int = strawberry.field(description="2 for the first change, then one by one.")
    occurred_at: datetime = strawberry.field(description="When it was changed, with its zone.")
    currency: str = strawberry.field(description="The ISO 4217 code of the receipt's money.")
    lines: list[PurchaseLineInput] = strawberry.field(description="All lines, at least one.")
    points_paid: strawberry.Maybe[str] = strawberry.field(
        description="What of it all points paid, as in a purchase."
    )


@strawberry.input(description="A batch of edits of one partner.")
class EditPurchasesInput:
    """Each item stands for itself."""

    partner: str = strawberry.field(description="The code of the partner that sold.")
    edits: list[EditsItemInput] = strawberry.field(description=f"The edits, at most {MOST_ITEMS}.")


@strawberry.input(description="An event of a purchase that pending points may wait for.")
class FulfilmentsItemInput:
    """Its natural key is the purchase's with the event's name."""

    purchase: str = strawberry.field(description="The number of the purchase.")
    event: str = strawberry.field(description="What came to pass, such as shipped.")
    occurred_at: datetime = strawberry.field(description="When it came, with its zone.")


@strawberry.input(description="A batch of fulfilments of one partner.")
class FulfilPurchasesInput:
    """Each item stands for itself."""

    partner: str = strawberry.field(description="The code of the partner that sold.")
    fulfilments: list[FulfilmentsItemInput] = strawberry.field(
        description=f"The fulfilments, at most {MOST_ITEMS}."
    )


@strawberry.type(description="The new revision of the purchase stands in the books.")
class PurchaseEdited(PurchaseChanged):
    """Now, or since before."""

    revision: int = strawberry.field(description="The revision's number.")

    @answer("The total of the revision.")
    async def total(self, info: Info) -> Money:
        return await self._money(info)


@strawberry.type(description="The event stands in the books: what waited for it became active.")
class PurchaseFulfilled(PurchaseChanged):
    """Now, or since before."""

    event: str = strawberry.field(description="What came to pass.")


EditResult = Annotated[
    PurchaseEdited
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | WrongStateError
    | PartnerRuleFailedError,
    strawberry.union("EditResult", description="What became of one edit of a batch."),
]
FulfilResult = Annotated[
    PurchaseFulfilled
    | ReturnWaiting
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | WrongStateError,
    strawberry.union("FulfilResult", description="What became of one fulfilment of a batch."),
]


@strawberry.type(description="A batch of edits was worked through.")
class EditPurchasesPayload:
    """Items that failed may be sent again, with the rest or alone."""

    results: list[EditResult] = strawberry.field(
        description="An answer for each edit, in the order of the input."
    )


@strawberry.type(description="A batch of fulfilments was worked through.")
class FulfilPurchasesPayload:
    """Items that failed may be sent again, with the rest or alone."""

    results: list[FulfilResult] = strawberry.field(
        description="An answer for each fulfilment, in the order of the input."
    )


def _edit(partner: PartnerTerms, item: EditsItemInput) -> engine.Unit:
    paid = None if item.points_paid is None else item.points_paid.value
    return engine.check_edit(
        partner, item.purchase, item.revision, item.occurred_at, lines_of(item.lines),
        item.currency, paid,
    )  # fmt: skip


def _fulfilment(partner: PartnerTerms, item: FulfilmentsItemInput) -> engine.Unit:
    return engine.check_fulfilment(partner, item.purchase, item.event, item.occurred_at)


def _not_edited(refusal: Refusal) -> EditResult:
    if isinstance(refusal, PartnerRuleFailed):
        error = as_error(refusal)
        assert isinstance(error, PartnerRuleFailedError)
        return error
    return failed(refusal)


@strawberry.type(description="Commands by which purchases change without coming back.")
class EditMutations:
    """Root fields."""

    @change(
        "Replace the lines of purchases by new revisions, with an answer for each: what differs is "
        "booked. Only while nothing came back. Safe to send again.",
        extensions=allow_change(partner="purchases:write", admin=SERVICE),
    )
    async def edit_purchases(
        self,
        info: Info,
        input: Annotated[EditPurchasesInput, strawberry.argument(description="The batch.")],
    ) -> EditPurchasesPayload | None:
        given = input.edits
        outcomes = await run(info, input.partner, given, _edit, "edits", "purchase")
        results: list[EditResult] = []
        for item, outcome in zip(given, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                results.append(_not_edited(outcome))
                continue
            assert not isinstance(outcome, ReturnWaiting)  # an edit never waits
            results.append(PurchaseEdited(revision=item.revision, **stands(item.purchase, outcome)))
        return EditPurchasesPayload(results=results)

    @change(
        "Report events of purchases, such as shipped, with an answer for each: points that waited "
        "for them become active. Safe to send again.",
        extensions=allow_change(partner="purchases:write", admin=SERVICE),
    )
    async def fulfil_purchases(
        self,
        info: Info,
        input: Annotated[FulfilPurchasesInput, strawberry.argument(description="The batch.")],
    ) -> FulfilPurchasesPayload | None:
        given = input.fulfilments
        outcomes = await run(info, input.partner, given, _fulfilment, "fulfilments", "purchase")
        results: list[FulfilResult] = []
        for item, outcome in zip(given, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                results.append(failed(outcome))
            elif isinstance(outcome, ReturnWaiting):
                results.append(outcome)
            else:
                results.append(
                    PurchaseFulfilled(event=item.event, **stands(item.purchase, outcome))
                )
        return FulfilPurchasesPayload(results=results)
