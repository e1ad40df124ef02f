"""The queue of rewards that a person hands out: asked for, approved or declined, delivered.

To deliver one is to confirm its redemption. Knows nothing of lots: `core.fulfilments` does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core import fulfilments as engine
from core.fulfilments import FulfilmentState
from core.store import fulfilments as store
from core.store.fulfilments import Fulfilling, Wanted
from schema.access import SERVICE, STAFF, allow, allow_change, may_see, partner_for
from schema.context import Info
from schema.enums import words
from schema.fields import answer, change
from schema.ids import HolderNode, numbers
from schema.paging import After, First, check_first, moment_cursor, page, read_moment
from schema.redemptions import (
    Redemption,
    RewardRedeemed,
    SettleRedemptionInput,
    SettleResult,
    meant,
)

words(
    FulfilmentState,
    "How far a reward that a person hands out has come.",
    name="FulfilmentState",
    REQUESTED="It waits to be approved or declined; the points are held.",
    APPROVED="It waits to be delivered; the points are held.",
    DELIVERED="It was handed over; the points are spent.",
    DECLINED="It was declined; the points went back.",
    ENDED="Given up, out of time, or reversed; the points went back.",
)


@strawberry.type(description="A reward that a person hands out.")
class Fulfilment(HolderNode):
    """One redemption in the queue."""

    key: relay.NodeID[str]
    found: strawberry.Private[Fulfilling]

    @classmethod
    def of(cls, found: Fulfilling) -> Fulfilment:
        """From the store."""
        return cls(key=f"{found.redemption.holder}.{found.redemption.id}", found=found)

    @answer("How far it has come.")
    def state(self) -> FulfilmentState:
        return FulfilmentState(self.found.state)

    @answer("When it was approved or declined; null: it wasn't.")
    def decided_at(self) -> datetime | None:
        return self.found.decided_at

    @answer("Why it was declined, in words; null where it wasn't, or where that was erased.")
    def note(self) -> str | None:
        return self.found.reason

    @answer("Its redemption: whose, of what, for how many points, and until when it is held.")
    def redemption(self) -> Redemption:
        return Redemption.of(self.found.redemption)


@strawberry.input(description="A request to decline.")
class DeclineRedemptionInput:
    """Sent again with the same key, the first outcome is answered."""

    key: str = strawberry.field(description="The idempotency key.")
    redemption: strawberry.ID = strawberry.field(description="The redemption's id.")
    note: str = strawberry.field(
        description="Why, in words for the member; up to 500 characters. It can be erased later."
    )


def _cursor(node: Fulfilment) -> str:
    found = node.found.redemption
    return moment_cursor("fulfilment", found.requested_at, found.id)


async def visible_fulfilment(info: Info, key: str) -> Fulfilment | None:
    """The request of this key, if it is the viewer's affair."""
    found = numbers(key, 2)
    if found is None:
        return None
    context = info.context
    if context.viewer.role == "member" and not await may_see(context, found[0]):
        return None
    told = await store.read(found[0], found[1], context.instant)
    if told is None:
        return None
    own = context.partner
    mine = own is None or told.redemption.partner == own.id
    return Fulfilment.of(told) if mine else None


@strawberry.type(description="Queries on rewards that a person hands out.")
class FulfilmentQueries:
    """Root fields."""

    @answer(
        "Rewards that a person hands out, the longest waiting first: a partner's own; a member is "
        "told its own.",
        extensions=allow(member=True, partner="redemptions:read", admin=STAFF),
    )
    async def fulfilment_queue(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        partner: Annotated[
            str | None, strawberry.argument(description="Only those of the partner of this code.")
        ] = None,
        state: Annotated[
            FulfilmentState | None, strawberry.argument(description="Only those that are so far.")
        ] = None,
    ) -> relay.Connection[Fulfilment]:
        context, holder = info.context, info.context.viewer.holder
        terms = context.partner if partner is None else partner_for(context, partner)
        wanted = Wanted(
            None if terms is None else terms.id, holder, None if state is None else int(state)
        )
        limit, place = check_first(first) + 1, read_moment("fulfilment", after)
        if holder is not None and not await may_see(context, holder):
            found = []  # erased: the token is as good as none
        else:
            found = await store.page(wanted, context.instant, place, limit)
        return page([Fulfilment.of(x) for x in found], first, after, _cursor)


@strawberry.type(description="Commands on rewards that a person hands out.")
class FulfilmentMutations:
    """Root fields."""

    @change(
        "Approve a request: it is to be delivered, and then confirmed.",
        extensions=allow_change(partner="redemptions:write", admin=SERVICE),
    )
    async def approve_redemption(
        self,
        info: Info,
        input: Annotated[SettleRedemptionInput, strawberry.argument(description="Which one.")],
    ) -> SettleResult | None:
        return await _decided(info, input.key, input.redemption, None)

    @change(
        "Decline a request, approved or not: the points go back to where they came from.",
        extensions=allow_change(partner="redemptions:write", admin=SERVICE),
    )
    async def decline_redemption(
        self,
        info: Info,
        input: Annotated[
            DeclineRedemptionInput, strawberry.argument(description="Which one, and why.")
        ],
    ) -> SettleResult | None:
        return await _decided(info, input.key, input.redemption, input.note)


async def _decided(info: Info, key: str, redemption: str, note: str | None) -> RewardRedeemed:
    """Approved, or declined where there is a note."""
    context = info.context
    found = await meant(info, key, redemption)
    request = engine.DecideRequest(
        context.viewer.caller, key, found.holder, found.id, note is None, note or ""
    )
    return RewardRedeemed.of(await engine.decide(context.engine, request, context.instant))
