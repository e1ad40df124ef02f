"""Taking a completed redemption back. Knows nothing of lots or stock: `core.reversals` does."""

from __future__ import annotations

from typing import Annotated

import strawberry

from core import reversals
from schema.access import SERVICE, allow_change
from schema.context import Info
from schema.fields import change
from schema.redemptions import RewardRedeemed, SettleResult, meant


@strawberry.input(description="A completed redemption to take back, whole.")
class ReverseRedemptionInput:
    """Points go back to their lots; the codes are void."""

    key: str = strawberry.field(description="The idempotency key.")
    redemption: strawberry.ID = strawberry.field(description="The redemption's id.")
    reason: str = strawberry.field(description="Why, as a code, such as damaged or wrong-item.")
    write_off: bool = strawberry.field(
        default=False,
        description="Whether the thing is lost: else it goes back into stock, where there is one.",
    )


@strawberry.type(description="Commands that take redemptions back.")
class ReversalMutations:
    """Root fields."""

    @change(
        "Take a completed redemption back: its partner while its terms allow, an admin always.",
        extensions=allow_change(partner="redemptions:write", admin=SERVICE),
    )
    async def reverse_redemption(
        self,
        info: Info,
        input: Annotated[ReverseRedemptionInput, strawberry.argument(description="Which one.")],
    ) -> SettleResult | None:
        context = info.context
        found = await meant(info, input.key, input.redemption)
        request = reversals.ReverseRequest(
            context.viewer.caller, input.key, found.holder, found.id, input.reason,
            input.write_off, context.viewer.role == "admin",
        )  # fmt: skip
        return RewardRedeemed.of(
            await reversals.reverse_redemption(context.engine, request, context.instant)
        )
