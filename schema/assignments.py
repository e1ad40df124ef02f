"""Tiers given by hand, or for a status held elsewhere. Commands of admins.

Every command takes an idempotency key. What such a tier is worth beside what a member reaches
itself is `core.assignments`' affair.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias

import strawberry

from core import assignments as engine
from core.purchases import check_text
from schema.access import MANAGERS, allow_change
from schema.acts import watch_member
from schema.context import Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import answer, change
from schema.ids import parse_numbers
from schema.inputs import MemberBy, known_holder
from schema.ladders import TierAssignment, TierChange, TierLadder

if TYPE_CHECKING:
    from schema.members import Member

LazyMember: TypeAlias = Annotated["Member", strawberry.lazy("schema.members")]


@strawberry.input(description="A tier to give.")
class AssignTierInput:
    """From now on."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    member: MemberBy = strawberry.field(description="Who is to have it.")
    ladder: str = strawberry.field(description="The ladder's code.")
    tier: str = strawberry.field(description="The tier's code; not the first, which all have.")
    until: strawberry.Maybe[datetime] = strawberry.field(
        description="Until when, exclusive; left out: for good."
    )
    reason: str = strawberry.field(
        description="Why, as a code of letters, digits, dots, dashes and underscores."
    )
    status_match: bool = strawberry.field(
        default=False, description="Whether it is for a status that the member holds elsewhere."
    )


@strawberry.input(description="A tier given, to end now.")
class EndTierAssignmentInput:
    """Before its time."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    assignment: strawberry.ID = strawberry.field(description="The assignment's id.")
    reason: str = strawberry.field(
        description="Why, as a code of letters, digits, dots, dashes and underscores."
    )


@strawberry.type(description="The tier given stands in the books, or its end does.")
class TierAssigned:
    """Done."""

    assignment: TierAssignment = strawberry.field(description="As it stands now.")
    ladder: TierLadder = strawberry.field(description="The ladder.")
    tier_changes: list[TierChange] = strawberry.field(
        description="What it changed: nothing, where as much was reached already."
    )
    replayed: bool = strawberry.field(
        description="Whether the key was used before, and this is its first outcome."
    )
    holder: strawberry.Private[int]

    @answer("Whose it is.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # members list their tiers: a circle, closed here

        return await visible_member(info, self.holder)

    @classmethod
    def of(cls, info: Info, done: engine.Assigned) -> TierAssigned:
        """From the engine."""
        return cls(
            assignment=TierAssignment.of(info, done.ladder, done.holder, done.floor),
            ladder=TierLadder.of(done.ladder),
            tier_changes=[
                TierChange.of(done.ladder, m.at, m.before, m.after) for m in done.moves
            ],
            replayed=done.replayed,
            holder=done.holder,
        )  # fmt: skip


AssignResult = Annotated[
    TierAssigned | BadInputError | UnknownReferenceError | IdempotencyConflictError,
    strawberry.union("AssignTierResult", description="The tier given, or why there is none."),
]
EndResult = Annotated[
    TierAssigned
    | BadInputError
    | UnknownReferenceError
    | WrongStateError
    | IdempotencyConflictError,
    strawberry.union("EndTierAssignmentResult", description="Its end, or why it stays."),
]


@strawberry.type(description="Commands on tiers given by hand.")
class AssignmentMutations:
    """Root fields."""

    @change(
        "Give a member a tier, for a time or for good.", extensions=allow_change(admin=MANAGERS)
    )
    async def assign_tier(
        self,
        info: Info,
        input: Annotated[AssignTierInput, strawberry.argument(description="Which, to whom.")],
    ) -> AssignResult | None:
        context = info.context
        check_text(input.key, "key", 255, least=1)
        request = engine.AssignRequest(
            context.viewer.caller,
            input.key,
            await known_holder(info.context, input.member, None),
            input.ladder,
            input.tier,
            None if input.until is None else input.until.value,
            input.reason,
            input.status_match,
        )
        return TierAssigned.of(
            info, await engine.assign_tier(context.engine, request, context.instant)
        )

    @change("End a tier that was given before its time.", extensions=allow_change(admin=MANAGERS))
    async def end_tier_assignment(
        self,
        info: Info,
        input: Annotated[EndTierAssignmentInput, strawberry.argument(description="Which one.")],
    ) -> EndResult | None:
        context = info.context
        check_text(input.key, "key", 255, least=1)
        numbers = parse_numbers(info.context, "TierAssignment", input.assignment, 2, "assignment")
        await watch_member(info.context, numbers[0])
        request = engine.EndRequest(
            context.viewer.caller, input.key, numbers[0], numbers[1], input.reason
        )
        return TierAssigned.of(
            info, await engine.end_assignment(context.engine, request, context.instant)
        )
