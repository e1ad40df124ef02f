"""Rewards that rules issue for purchases, and what came of each.

Knows nothing of how one is redeemed.
"""

from __future__ import annotations

import strawberry

from core.redeemed import from_row
from core.store.issues import Issue
from schema.context import Info
from schema.fields import answer
from schema.redemptions import Redemption


@strawberry.type(description="A reward that a rule issued for a purchase.")
class IssuedReward:
    """Taken at once, for the member's points; or not, and why."""

    holder: strawberry.Private[int]
    number: strawberry.Private[int | None]
    reward: str = strawberry.field(description="The reward's code.")
    quantity: int = strawberry.field(description="How many pieces.")
    problem: str = strawberry.field(
        description="Why it wasn't taken; empty where it was, or is about to be."
    )

    @answer("The redemption, with its codes; null where it wasn't taken, or isn't yet.")
    async def redemption(self, info: Info) -> Redemption | None:
        if self.number is None:
            return None
        row = await info.context.loaders.redemption.load((self.holder, self.number))
        return None if row is None else Redemption.of(from_row(row))

    @classmethod
    def of(cls, holder: int, row: Issue) -> IssuedReward:
        """From the store."""
        return cls(
            holder=holder, number=row.redemption, reward=row.reward, quantity=row.quantity,
            problem=row.problem,
        )  # fmt: skip

    @classmethod
    async def of_event(cls, info: Info, holder: int, event: int) -> list[IssuedReward]:
        """All that one event issued."""
        rows = await info.context.loaders.issued.load((holder, event))
        return [cls.of(holder, row) for row in rows]
