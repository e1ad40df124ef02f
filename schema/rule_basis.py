"""On what of a receipt a rule counts, as it is sent and as it is read.

Knows nothing of how a basis is applied (`laurels.basis`).
"""

from __future__ import annotations

from typing import Any

import strawberry

from core.rule_definitions import BasisTerms
from laurels.basis import Of, Without
from schema.enums import words

words(
    Of,
    "Which amount of a line counts.",
    name="RuleBasisOf",
    GROSS="The price before discounts.",
    PAID="What was due after discounts.",
    NET_OF_POINTS="What of that money paid, and no points.",
)
words(
    Without,
    "What of a receipt doesn't count.",
    name="RuleBasisWithout",
    TAX="The tax in each line.",
    DELIVERY="Lines for bringing it.",
    GIFT_CARDS="Lines of gift cards.",
    FEES="Lines of fees.",
)


@strawberry.input(description="On what of a receipt a rule's award counts.")
class RuleBasisInput:
    """Its conditions see the receipt as it is."""

    of: Of = strawberry.field(default=Of.PAID, description="Which amount of a line.")
    without: list[Without] = strawberry.field(
        default_factory=list, description="What doesn't count."
    )
    except_types: list[str] = strawberry.field(
        default_factory=list, description="The types of product that don't count."
    )


@strawberry.type(description="On what of a receipt a rule's award counts.")
class RuleBasis:
    """As it was saved, or its partner's usual one of then."""

    of: Of = strawberry.field(description="Which amount of a line.")
    without: list[Without] = strawberry.field(description="What doesn't count.")
    except_types: list[str] = strawberry.field(description="The types of product that don't count.")

    @classmethod
    def of_terms(cls, said: BasisTerms | None) -> RuleBasis | None:
        """From the definition."""
        if said is None:
            return None
        without = [Without(x) for x in said.without]
        return cls(of=Of(said.of), without=without, except_types=list(said.except_types))


def basis_said(given: RuleBasisInput) -> dict[str, Any]:
    """What was sent, as a definition is checked."""
    without = [str(x) for x in given.without]
    return {"of": str(given.of), "without": without, "except_types": given.except_types}
