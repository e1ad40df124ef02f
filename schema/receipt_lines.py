"""The lines of a receipt, as a till sends them and as they are read again.

Knows nothing of what becomes of a purchase.
"""

from __future__ import annotations

from collections.abc import Sequence

import strawberry

from core.purchases import LineInput
from laurels.purchase import LineKind
from schema.enums import words
from schema.money import Money

words(
    LineKind,
    "What a line of a receipt is for.",
    GOODS="What was bought.",
    DELIVERY="Bringing it.",
    GIFT_CARD="Money on a gift card.",
    FEE="A fee.",
)


@strawberry.input(description="A line of a receipt.")
class PurchaseLineInput:
    """Never negative: a return is a thing of its own."""

    amount: str = strawberry.field(
        description='What was due for the line, after discounts, with tax, such as "3.49".'
    )
    product_type: str = strawberry.field(
        description="The type of product, by which rules tell lines apart; may be empty.",
        default="",
    )
    quantity: str = strawberry.field(
        description='How many, or how much of weighed goods: "2", "1.250".', default="1"
    )
    sku: str = strawberry.field(description="The article; may be empty.", default="")
    kind: LineKind = strawberry.field(description="What it is for.", default=LineKind.GOODS)
    discount: str = strawberry.field(
        description="What had been taken off before: it isn't in the amount.", default="0"
    )
    tax: str = strawberry.field(description="The part of the amount that is tax.", default="0")
    points_paid: strawberry.Maybe[str] = strawberry.field(
        description="The part of the amount that points paid; left out: none, or its share of "
        "what the purchase says."
    )


def lines_of(given: Sequence[PurchaseLineInput]) -> list[LineInput]:
    """As the engine takes them."""
    return [
        LineInput(
            x.product_type, x.amount, x.quantity, x.sku, x.discount, x.tax,
            None if x.points_paid is None else x.points_paid.value, x.kind,
        )
        for x in given
    ]  # fmt: skip


@strawberry.type(description="A line of a receipt, as its last revision has it.")
class PurchaseLine:
    """What came back is told by quantity where goods came back, and always by money."""

    number: int = strawberry.field(description="The line's place on the receipt, from 1.")
    product_type: str = strawberry.field(description="The type of product; may be empty.")
    sku: str = strawberry.field(description="The article; may be empty.")
    quantity: str = strawberry.field(description='How many, or how much: "2", "1.250".')
    kind: LineKind = strawberry.field(description="What it is for.")
    amount: Money = strawberry.field(
        description="What was due for the line, after discounts, with tax."
    )
    discount: Money = strawberry.field(description="What had been taken off before.")
    tax: Money = strawberry.field(description="The part of the amount that is tax.")
    points_paid: Money = strawberry.field(description="The part of it that points paid.")
    returned_quantity: str = strawberry.field(
        description="How many came back. Returns of an amount of the line aren't in it."
    )
    returned_amount: Money = strawberry.field(
        description="What of the line's money came back, by its quantity or by its amount. "
        "What came back as an amount of the whole receipt is in the purchase's `returned` only."
    )
