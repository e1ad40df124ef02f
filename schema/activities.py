"""Activities: what members do beside buying, told by partners; recorded, quoted, withdrawn.

Idempotent by the natural key alone, as purchases are. Knows nothing of how a rule judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, NewType

import strawberry
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.types.scalar import ScalarDefinition

from core.activities import ActivityInput, check_activity
from core.errors import BadInput, Refusal
from core.outcomes import Outcome
from core.purchases import Incoming
from core.returns import Unit, check_withdrawal
from core.rulebook import PartnerTerms
from laurels.activities import Value
from schema.access import SERVICE, STAFF, allow, allow_change, partner_for
from schema.context import Context, Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    PartnerRuleFailedError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import answer, change
from schema.inputs import MemberIdentifier, identifier
from schema.issued import IssuedReward
from schema.postings import Posted, note_entries
from schema.purchase_events import MOST_ITEMS, failed, run
from schema.purchases import QuoteResult, quoted, recording_failed, tried
from schema.receipts import PointsTakenBack, taken_back
from schema.rule_inputs import DataRuleInput
from schema.waiting import ReturnWaiting

AttributeValue = NewType("AttributeValue", object)


def parse_value(value: object) -> Value:
    """A text, a whole number, true or false."""
    if not isinstance(value, str | int) or (
        isinstance(value, int) and not -(2**63) < value < 2**63
    ):
        raise StrawberryInputCoercionError(
            "an AttributeValue is a text, a whole number, true or false"
        )
    return value


ATTRIBUTE_VALUE: ScalarDefinition = strawberry.scalar(
    name="AttributeValue",
    description='A text, a whole number, true or false. A decimal is sent as a text: "4.5".',
    serialize=lambda value: value,
    parse_value=parse_value,
)


@strawberry.input(description="Something told of an activity. Nothing personal belongs there.")
class ActivityAttributeInput:
    """By name."""

    name: str = strawberry.field(description="What it is, such as stars.")
    value: AttributeValue = strawberry.field(description="Its value.")


@strawberry.input(description="An activity, as a partner tells it.")
class ActivitiesItemInput:
    """Its natural key is the partner with `externalId`."""

    external_id: str = strawberry.field(
        description="The partner's own number of it, at most 180 characters."
    )
    member: MemberIdentifier = strawberry.field(description="By what the member is known.")
    occurred_at: datetime = strawberry.field(description="When it happened, with its zone.")
    type: str = strawberry.field(
        description="What it is, in the partner's own word: review. Rules name it as their trigger."
    )
    attributes: list[ActivityAttributeInput] = strawberry.field(
        default_factory=list, description="What more is to be told of it."
    )


@strawberry.input(description="A batch of activities of one partner.")
class RecordActivitiesInput:
    """Each item stands for itself."""

    partner: str = strawberry.field(description="The code of the partner that tells them.")
    activities: list[ActivitiesItemInput] = strawberry.field(
        description=f"The activities, at most {MOST_ITEMS}."
    )


@strawberry.input(description="An activity that counts no more.")
class WithdrawalsItemInput:
    """Its natural key is the activity's own."""

    activity: str = strawberry.field(description="The number of the activity.")
    occurred_at: datetime = strawberry.field(description="When that came about, with its zone.")


@strawberry.input(description="A batch of activities of one partner that count no more.")
class WithdrawActivitiesInput:
    """Each item stands for itself."""

    partner: str = strawberry.field(description="The code of the partner that told them.")
    withdrawals: list[WithdrawalsItemInput] = strawberry.field(
        description=f"The activities, at most {MOST_ITEMS}."
    )


@strawberry.type(description="The activity stands in the books.")
class ActivityRecorded(Posted):
    """Now, or since before."""

    external_id: str = strawberry.field(description="The partner's own number of it.")
    event: strawberry.Private[int]

    @answer("The rewards that rules issued for it, taken at once for the member's points.")
    async def issued(self, info: Info) -> list[IssuedReward]:
        return await IssuedReward.of_event(info, self.holder, self.event)


@strawberry.type(description="The activity counts no more: what it had earned was taken back.")
class ActivityWithdrawn(Posted):
    """Now, or since before."""

    activity: str = strawberry.field(description="The partner's own number of it.")
    activity_event: strawberry.Private[int]
    event: strawberry.Private[int]

    @answer("What it took back, in each currency in which less is earned now.")
    async def taken_back(self, info: Info) -> list[PointsTakenBack]:
        story = await info.context.loaders.story.load(self.activity_event)
        assert story is not None
        return await taken_back(info, story, self.event)


ActivityResult = Annotated[
    ActivityRecorded
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | PartnerRuleFailedError,
    strawberry.union("ActivityResult", description="What became of one activity of a batch."),
]
WithdrawalResult = Annotated[
    ActivityWithdrawn
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError
    | WrongStateError,
    strawberry.union("WithdrawalResult", description="What became of one withdrawal of a batch."),
]


@strawberry.type(description="A batch of activities was worked through.")
class RecordActivitiesPayload:
    """Items that failed may be sent again, with the rest or alone."""

    results: list[ActivityResult] = strawberry.field(
        description="An answer for each activity, in the order of the input."
    )


@strawberry.type(description="A batch of withdrawals was worked through.")
class WithdrawActivitiesPayload:
    """Items that failed may be sent again, with the rest or alone."""

    results: list[WithdrawalResult] = strawberry.field(
        description="An answer for each withdrawal, in the order of the input."
    )


def _checked(context: Context, partner: str, item: ActivitiesItemInput) -> Incoming | Refusal:
    """The activity, checked field by field, or what is wrong with it."""
    try:
        terms = partner_for(context, partner)
        attributes: dict[str, Value] = {}
        for n, given in enumerate(item.attributes):
            if given.name in attributes:
                raise BadInput(f"{given.name[:64]} stands there twice", "attributes", n, "name")
            attributes[given.name] = parse_value(given.value)
        member = identifier(item.member, terms.id)
        return check_activity(
            terms,
            ActivityInput(item.external_id, member, item.occurred_at, item.type, attributes),
        )
    except Refusal as refusal:
        return refusal


def _results(
    context: Context, items: Sequence[Incoming | Refusal], outcomes: Sequence[Outcome]
) -> list[ActivityResult]:
    rest = iter(outcomes)
    results: list[ActivityResult] = []
    for n, item in enumerate(items):
        outcome = item if isinstance(item, Refusal) else next(rest)
        if isinstance(outcome, Refusal):
            results.append(recording_failed(outcome, "activities", n))
        elif isinstance(item, Incoming):
            note_entries(context, outcome)
            results.append(
                ActivityRecorded(
                    external_id=item.purchase.external_id, replayed=outcome.replayed,
                    booked_at=outcome.booked_at, holder=outcome.holder, event=outcome.event,
                )
            )  # fmt: skip
    return results


def _withdrawal(partner: PartnerTerms, item: WithdrawalsItemInput) -> Unit:
    return check_withdrawal(partner, item.activity, item.occurred_at)


@strawberry.type(description="Queries on activities.")
class ActivityQueries:
    """Root fields."""

    @answer(
        "What an activity would earn: the same code as recording it, and nothing is booked.",
        extensions=allow(partner="purchases:read", admin=STAFF),
    )
    async def quote_activity(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The code of the partner.")],
        activity: Annotated[
            ActivitiesItemInput, strawberry.argument(description="The activity to quote.")
        ],
        draft: Annotated[
            DataRuleInput | None,
            strawberry.argument(
                description="A data rule to try, saved or not, in place of one of its code."
            ),
        ] = None,
    ) -> QuoteResult:
        item = tried(_checked(info.context, partner, activity), draft)
        return await quoted(info.context, item)


@strawberry.type(description="Commands on activities.")
class ActivityMutations:
    """Root fields."""

    @change(
        "Record activities, with an answer for each. Safe to send again.",
        extensions=allow_change(partner="purchases:write", admin=SERVICE),
    )
    async def record_activities(
        self,
        info: Info,
        input: Annotated[RecordActivitiesInput, strawberry.argument(description="The batch.")],
    ) -> RecordActivitiesPayload | None:
        context = info.context
        if len(input.activities) > MOST_ITEMS:
            raise BadInput(f"a batch has at most {MOST_ITEMS} activities", "activities")
        items = [_checked(context, input.partner, given) for given in input.activities]
        good = [item for item in items if isinstance(item, Incoming)]
        outcomes = await context.engine.record_activities(good, context.instant)
        return RecordActivitiesPayload(results=_results(context, items, outcomes))

    @change(
        "Withdraw activities, with an answer for each: all that they earned is taken back. Safe to "
        "send again.",
        extensions=allow_change(partner="purchases:write", admin=SERVICE),
    )
    async def withdraw_activities(
        self,
        info: Info,
        input: Annotated[WithdrawActivitiesInput, strawberry.argument(description="The batch.")],
    ) -> WithdrawActivitiesPayload | None:
        given = input.withdrawals
        outcomes = await run(info, input.partner, given, _withdrawal, "withdrawals", "activity")
        results: list[WithdrawalResult] = []
        for item, outcome in zip(given, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                results.append(failed(outcome))
            elif not isinstance(outcome, ReturnWaiting):  # a withdrawal never waits
                results.append(
                    ActivityWithdrawn(
                        activity=item.activity, replayed=outcome.replayed,
                        booked_at=outcome.booked_at, holder=outcome.holder,
                        activity_event=outcome.purchase, event=outcome.event,
                    )
                )  # fmt: skip
        return WithdrawActivitiesPayload(results=results)
