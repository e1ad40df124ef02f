"""Nudges as clients see them. Knows nothing of how one is found."""

from __future__ import annotations

import strawberry

from core.nudging import Nudge as CoreNudge
from schema.money import Money
from schema.partners import Currency
from schema.scalars import BigInt


@strawberry.type(description="What a little more on a cart would bring.")
class Nudge:
    """Spend 4.20 more for 50 points."""

    text: str = strawberry.field(description="As a member reads it.")
    missing: Money = strawberry.field(description="How much more.")
    points: BigInt = strawberry.field(description="How many points more it would be.")
    currency: Currency = strawberry.field(description="Of which unit.")

    @classmethod
    def of(cls, told: CoreNudge) -> Nudge:
        """From the engine's."""
        return cls(
            text=told.text,
            missing=Money.of(told.missing),
            points=BigInt(told.points),
            currency=Currency.of(told.currency),
        )
