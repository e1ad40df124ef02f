"""Orders ahead: one mutation that orders, holds rewards, and says what the order will earn.

Laurels is no shop: the shop reads what was ordered, and records the purchase by its external id.
Knows nothing of how points are held.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core import ahead as engine
from core.ahead import OrderRequest, State, Wanted, as_purchase, state_of
from core.collecting import name_of
from core.errors import UnknownReference
from core.purchases import check_text
from core.redeemed import from_row
from core.store import ahead as store
from core.store.ahead import OrderRow
from laurels.money import Money as Amount
from laurels.money import to_major
from schema.access import STAFF, allow, allow_change, may_see, partner_for
from schema.context import Info
from schema.enums import words
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    NotEligibleError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import answer, change
from schema.ids import HolderNode, parse_numbers
from schema.money import Money
from schema.paging import NEWEST, After, First, check_first, cursor, page, read_number
from schema.partners import Partner, partner_of
from schema.purchases import QuoteResult, quoted
from schema.receipt_lines import PurchaseLineInput, lines_of
from schema.receipts import Purchase, visible_purchase
from schema.redemptions import LazyMember, Redemption

words(
    State,
    "Where an order ahead stands.",
    name="AheadOrderState",
    PLACED="It is to be collected; its points are held.",
    COLLECTED="Its purchase is recorded; its rewards are redeemed.",
    CANCELLED="It was called off; its points went back.",
    NOT_COLLECTED="Its time is over; its points went back.",
)


@strawberry.type(description="A line of an order.")
class AheadOrderLine:
    """As it was ordered."""

    product_type: str = strawberry.field(description="The type of product; may be empty.")
    sku: str = strawberry.field(description="The article; may be empty.")
    quantity: str = strawberry.field(description='How many, or how much: "2", "1.250".')
    amount: Money = strawberry.field(description="What is due for the line.")


@strawberry.type(description="What a member wants to find ready, where and when.")
class AheadOrder(HolderNode):
    """As it stands now."""

    key: relay.NodeID[str]
    row: strawberry.Private[OrderRow]

    @classmethod
    def of(cls, row: OrderRow) -> AheadOrder:
        """From the engine."""
        return cls(key=f"{row.holder}.{row.id}", row=row)

    @answer("The external id by which the shop records the purchase that this becomes.")
    def external_id(self) -> str:
        return name_of(self.row.id)

    @answer("Where it stands.")
    def state(self, info: Info) -> State:
        return state_of(self.row, info.context.instant)

    @answer("The shop that makes it ready.")
    def store(self) -> str:
        return self.row.store

    @answer("When it was ordered.")
    def placed_at(self) -> datetime:
        return self.row.placed_at

    @answer("When it is to be ready.")
    def pickup_at(self) -> datetime:
        return self.row.pickup_at

    @answer("Before when it is to be collected: then it is over.")
    def collect_before(self) -> datetime:
        return self.row.until

    @answer("How it is to be paid, in the partner's own word; may be empty.")
    def tender(self) -> str:
        return self.row.tender

    @answer("What was ordered.")
    def lines(self) -> list[AheadOrderLine]:
        money = self.row.money
        return [
            AheadOrderLine(
                product_type=x.product_type, sku=x.sku, quantity=f"{x.units.normalize():f}",
                amount=Money(amount=to_major(x.amount, money), currency=money),
            )
            for x in self.row.lines
        ]  # fmt: skip

    @answer("What is due for all of it.")
    def total(self) -> Money:
        return Money.of(Amount(sum(x.amount for x in self.row.lines), self.row.money))

    @answer("The partner that makes it ready.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.row.partner)

    @answer("Whose it is. Null where the viewer may not read that member.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # members list orders: a circle, closed here

        return await visible_member(info, self.row.holder)

    @answer("The rewards taken with it, as they stand.")
    async def redemptions(self, info: Info) -> list[Redemption]:
        key = (self.row.holder, self.row.partner, name_of(self.row.id))
        return [Redemption.of(from_row(r)) for r in await info.context.loaders.on_order.load(key)]

    @answer("The purchase that it became. Null until then, or where the viewer may not read it.")
    async def purchase(self, info: Info) -> Purchase | None:
        return (
            None if self.row.purchase is None else await visible_purchase(info, self.row.purchase)
        )


@strawberry.input(description="A reward that an order takes.")
class OrderedRewardInput:
    """Its points are held until the order is collected."""

    reward: str = strawberry.field(description="The reward's code.")
    quantity: int = strawberry.field(description="How many pieces, 1 to 100.", default=1)
    currency: strawberry.Maybe[str] = strawberry.field(
        description="The code of the currency to pay with, where the reward has several prices."
    )


@strawberry.input(description="An order ahead. Personal notes don't belong in it.")
class OrderAheadInput:
    """By a member, for itself."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    partner: str = strawberry.field(description="The code of the partner that makes it ready.")
    store: str = strawberry.field(description="The shop that makes it ready; may be empty.")
    pickup_at: datetime = strawberry.field(
        description=f"When it is to be ready, at most {engine.FARTHEST.days} days ahead."
    )
    currency: str = strawberry.field(description="The ISO 4217 code of its money.")
    lines: list[PurchaseLineInput] = strawberry.field(
        description=f"What is wanted, at most {engine.MOST_LINES} lines."
    )
    tender: str = strawberry.field(
        description="How it is to be paid, in the partner's own word; may be empty.", default=""
    )
    redeem: list[OrderedRewardInput] = strawberry.field(
        description=f"Rewards to take with it, at most {engine.MOST_REWARDS}: all of them or none.",
        default_factory=list,
    )


@strawberry.input(description="An order to call off.")
class CancelOrderAheadInput:
    """Its points go back."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    order: strawberry.ID = strawberry.field(description="The order's id.")


@strawberry.type(description="The order stands.")
class OrderedAhead:
    """Now, or since before."""

    order: AheadOrder = strawberry.field(description="As it stands now.")
    replayed: bool = strawberry.field(
        description="Whether the key was used before, and this is its first outcome."
    )

    @answer(
        "What it would earn, collected when it is to be ready. Null once it is collected, called "
        "off or over."
    )
    async def quote(self, info: Info) -> QuoteResult | None:
        context, row = info.context, self.order.row
        partner = context.engine.rulebook.partner_by_id(row.partner)
        if partner is None or state_of(row, context.instant) is not State.PLACED:
            return None
        return await quoted(context, as_purchase(partner, row))


OrderResult = Annotated[
    OrderedAhead
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | NotEligibleError
    | IdempotencyConflictError,
    strawberry.union("OrderAheadResult", description="The order, or why there is none."),
]
CancelOrderResult = Annotated[
    OrderedAhead
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | WrongStateError
    | IdempotencyConflictError,
    strawberry.union("CancelOrderAheadResult", description="The order, or why it stands."),
]


async def visible_order(info: Info, holder: int, number: int) -> AheadOrder | None:
    """The order, if there is one and the viewer may read it."""
    row = await info.context.loaders.order.load((holder, number))
    own = info.context.partner
    if row is None:
        return None
    if own is not None:
        return AheadOrder.of(row) if row.partner == own.id else None
    return AheadOrder.of(row) if await may_see(info.context, holder) else None


async def orders_of(
    info: Info, holder: int, first: int, after: str | None
) -> relay.Connection[AheadOrder]:
    """A member's, the newest first; a partner is told its own, with `purchases:read` alone."""
    viewer, own = info.context.viewer, info.context.partner
    before, limit = read_number("ahead", after, NEWEST), check_first(first) + 1
    if viewer.role == "partner" and "purchases:read" not in viewer.scopes:
        rows: list[OrderRow] = []
    else:
        key = (holder, before, limit, None if own is None else own.id)
        rows = await info.context.loaders.orders.load(key)
    return page([AheadOrder.of(r) for r in rows], first, after, _cursor)


def _cursor(node: AheadOrder) -> str:
    return cursor("ahead", node.row.id)


@strawberry.type(description="Queries on orders ahead.")
class AheadQueries:
    """Root fields."""

    @answer(
        "The orders that a partner is to make ready, the oldest first.",
        extensions=allow(partner="purchases:read", admin=STAFF),
    )
    async def ahead_orders(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The partner's code.")],
        first: First = 20,
        after: After = None,
    ) -> relay.Connection[AheadOrder]:
        terms = partner_for(info.context, partner)
        limit, since = check_first(first) + 1, read_number("ahead", after, 0)
        rows = await store.open_at(terms.id, info.context.instant, since, limit)
        return page([AheadOrder.of(r) for r in rows], first, after, _cursor)


@strawberry.type(description="Commands on orders ahead.")
class AheadMutations:
    """Root fields."""

    @change(
        "Order ahead, for oneself: the rewards are held until the order is collected, called off, "
        "or over. The shop records the purchase by the order's `externalId`.",
        extensions=allow_change(member=True),
    )
    async def order_ahead(
        self,
        info: Info,
        input: Annotated[OrderAheadInput, strawberry.argument(description="What is wanted.")],
    ) -> OrderResult | None:
        context = info.context
        assert context.viewer.holder is not None  # it is a member's
        partner_for(context, input.partner)
        request = OrderRequest(
            context.viewer.caller, input.key, input.partner, context.viewer.holder, input.store,
            input.pickup_at, input.currency, lines_of(input.lines), input.tender,
            [
                Wanted(x.reward, x.quantity, None if x.currency is None else x.currency.value)
                for x in input.redeem
            ],
        )  # fmt: skip
        order, replayed = await engine.place(context.engine, request, context.instant)
        return OrderedAhead(order=AheadOrder.of(order), replayed=replayed)

    @change(
        "Call an order off: its points go back to where they came from.",
        extensions=allow_change(member=True, partner="redemptions:write"),
    )
    async def cancel_order_ahead(
        self,
        info: Info,
        input: Annotated[CancelOrderAheadInput, strawberry.argument(description="Which one.")],
    ) -> CancelOrderResult | None:
        context = info.context
        check_text(input.key, "key", 255, least=1)
        holder, number = parse_numbers(context, "AheadOrder", input.order, 2, "order")
        row = await context.loaders.order.load((holder, number))
        own, viewer = context.partner, context.viewer
        mine = viewer.holder == holder if own is None else row is not None and row.partner == own.id
        if row is None or not mine:
            raise UnknownReference("no such order", "order")
        order, replayed = await engine.call_off(
            context.engine, holder, number, viewer.caller, input.key, context.instant
        )
        return OrderedAhead(order=AheadOrder.of(order), replayed=replayed)
