"""Money as clients see it: decimal text and its ISO 4217 code, never a float."""

from __future__ import annotations

import strawberry

from laurels import money


@strawberry.type(description="An amount of money.")
class Money:
    """Shown as a person writes it."""

    amount: str = strawberry.field(description='A decimal text in major units, such as "3.49".')
    currency: str = strawberry.field(description="The ISO 4217 code, such as EUR.")

    @classmethod
    def of(cls, given: money.Money) -> Money:
        """The SDK's money, told."""
        return cls(amount=money.to_major(given.minor, given.currency), currency=given.currency)
