"""Redemptions: points for a reward, at once or held; confirmed, cancelled, reversed.

Every command takes an idempotency key. Knows nothing of lots or stock: `core.redemptions` does.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeAlias

import strawberry
from strawberry import relay

from core import paying, redeemed
from core import redemptions as engine
from core.errors import BadInput, NotAllowed, UnknownReference
from core.pricing import RedeemRequest
from core.purchases import check_text
from schema.access import SERVICE, Rule, allow_change, knows, may_see, partner_for, sees_currency
from schema.acts import watch_member
from schema.context import Info
from schema.enums import words
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    NotEligibleError,
    PartnerRuleFailedError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import answer, change
from schema.ids import HolderNode, parse_numbers
from schema.inputs import MemberBy, known_holder, parse_duration, parse_money, scope_of
from schema.ledgers import Ledger
from schema.money import Money
from schema.partners import Currency, Partner, currency_of, partner_of
from schema.rewards import Reward, reward_of
from schema.scalars import BigInt

if TYPE_CHECKING:
    from schema.members import Member

words(
    redeemed.Status,
    "Where a redemption stands.",
    name="RedemptionStatus",
    HELD="Points are reserved until it is confirmed.",
    COMPLETED="The points are spent.",
    CANCELLED="The hold was called off; the points went back.",
    TIMED_OUT="The hold ran out; the points went back.",
    REVERSED="It was taken back after it was completed; the points went back.",
)
#: Whoever may book a redemption, or look one up by its code.
_OF_CODES = (
    Rule(member=True, partner="redemptions:read", admin=SERVICE),
    Rule(partner="redemptions:write"),
)
LazyMember: TypeAlias = Annotated["Member", strawberry.lazy("schema.members")]


@strawberry.type(description="Points taken for a reward, or for part of a bill.")
class Redemption(HolderNode):
    """As it stands."""

    key: relay.NodeID[str]
    found: strawberry.Private[redeemed.Redemption]

    @classmethod
    def of(cls, found: redeemed.Redemption) -> Redemption:
        """From the engine."""
        return cls(key=f"{found.holder}.{found.id}", found=found)

    @answer("Where it stands.")
    def status(self) -> redeemed.Status:
        return self.found.status

    @answer(
        "What the member shows at the till, one for each piece. Those of a pool stand here once "
        "the redemption is completed; those of one that was cancelled or reversed are void. "
        "Whoever has one has what it is worth: none are told to a partner's key without "
        "`redemptions:read` or `redemptions:write`, nor to admins who book nothing for members."
    )
    def codes(self, info: Info) -> list[str]:
        viewer = info.context.viewer
        return list(self.found.codes) if any(r.admits(viewer) for r in _OF_CODES) else []

    @answer("How many pieces of the reward were taken.")
    def quantity(self) -> int:
        return self.found.quantity

    @answer("The points taken, for all pieces.")
    def points(self) -> BigInt:
        return BigInt(self.found.points)

    @answer("The money off, for all pieces; null where a thing was taken.")
    def worth(self) -> Money | None:
        return None if self.found.worth is None else Money.of(self.found.worth)

    @answer("The money that the till collects beside the points, for all pieces; null: none.")
    def cash(self) -> Money | None:
        return None if self.found.cash is None else Money.of(self.found.cash)

    @answer(
        "The partner's external id of the purchase that it comes with: cancelled, that reverses "
        "this. Null where none was named."
    )
    def order(self) -> str | None:
        return self.found.order

    @answer("When it was asked for.")
    def requested_at(self) -> datetime:
        return self.found.requested_at

    @answer("Until when a hold lasts; null where none was asked for.")
    def hold_until(self) -> datetime | None:
        return self.found.hold_until

    @answer("When it was completed, cancelled or timed out; null while held.")
    def settled_at(self) -> datetime | None:
        return self.found.settled_at

    @answer("When it was reversed; null where it wasn't.")
    def reversed_at(self) -> datetime | None:
        return self.found.reversed_at

    @answer("Why it was reversed, as a code; null where it wasn't.")
    def reason(self) -> str | None:
        return self.found.reason

    @answer("Whether its stock was written off when it was reversed.")
    def written_off(self) -> bool:
        return self.found.written_off

    @answer(
        "Until when its partner may reverse it. Null: by its terms never, or it isn't completed."
    )
    def reversible_until(self, info: Info) -> datetime | None:
        partner = info.context.engine.rulebook.partner_by_id(self.found.partner)
        return self.found.reversible_until("UTC" if partner is None else partner.time_zone)

    @answer("What was redeemed; null where points paid part of a bill.")
    async def reward(self, info: Info) -> Reward | None:
        return None if self.found.reward is None else await reward_of(info, self.found.reward)

    @answer("By what points paid a bill: a redeem rule, or membership. and a plan; null: a reward.")
    def rule(self) -> str | None:
        return self.found.rule

    @answer("The redemption partner.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.found.partner)

    @answer("The unit that paid.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.found.currency)

    @answer("The ledger that paid. Null where the viewer may not read it.")
    async def ledger(self, info: Info) -> Ledger | None:
        seen = await may_see(info.context, self.found.holder)
        if not seen or not sees_currency(info.context, self.found.currency):
            return None
        return Ledger.of(self.found.holder, self.found.currency)

    @answer("Whose it is. Null where the viewer may not read that member.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # members list redemptions: a circle, closed here

        return await visible_member(info, self.found.holder)


@strawberry.input(description="A reward to take.")
class RedeemRewardInput:
    """Completes at once, unless a hold is asked for."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    partner: str = strawberry.field(description="The code of the partner that gives the reward.")
    reward: str = strawberry.field(description="The reward's code.")
    member: strawberry.Maybe[MemberBy] = strawberry.field(
        description="Who redeems. A member's token redeems for itself and leaves it out."
    )
    currency: strawberry.Maybe[str] = strawberry.field(
        description="The code of the currency to pay with, where the reward has several prices."
    )
    quantity: strawberry.Maybe[int] = strawberry.field(
        description="How many pieces, 1 to 100; left out: one."
    )
    order: strawberry.Maybe[str] = strawberry.field(
        description="The external id of the purchase that it comes with, if there is one."
    )
    hold: strawberry.Maybe[str] = strawberry.field(
        description="How long to hold the points, such as 2h; then confirm or cancel."
    )


@strawberry.input(description="A bill of which points pay a part.")
class PayWithPointsInput:
    """How many points are taken is the redeem rule's affair: whole steps, at most so much."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    partner: str = strawberry.field(description="The code of the partner whose bill it is.")
    rule: str = strawberry.field(description="The code of its redeem rule.")
    member: MemberBy = strawberry.field(description="Whose points pay.")
    total: str = strawberry.field(description='The bill in major units, such as "42.00".')
    currency: str = strawberry.field(description="The ISO 4217 code of the bill's money.")
    points: strawberry.Maybe[BigInt] = strawberry.field(
        description="How many points are offered at most; left out: all that there are."
    )
    order: strawberry.Maybe[str] = strawberry.field(
        description="The external id of the purchase whose bill it is, if it has one yet."
    )
    hold: strawberry.Maybe[str] = strawberry.field(
        description="How long to hold the points, such as 2h; then confirm or cancel."
    )


@strawberry.input(description="A held redemption to settle.")
class SettleRedemptionInput:
    """Sent again with the same key, the first outcome is answered."""

    key: str = strawberry.field(description="The idempotency key.")
    redemption: strawberry.ID = strawberry.field(description="The redemption's id.")


@strawberry.type(description="The redemption stands in the books.")
class RewardRedeemed:
    """Done."""

    redemption: Redemption = strawberry.field(description="As it stands now.")
    replayed: bool = strawberry.field(
        description="Whether the key was used before, and this is its first outcome."
    )

    @classmethod
    def of(cls, found: redeemed.Redemption) -> RewardRedeemed:
        """From the engine."""
        return cls(redemption=Redemption.of(found), replayed=found.replayed)


RedeemResult = Annotated[
    RewardRedeemed
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | NotEligibleError
    | IdempotencyConflictError,
    strawberry.union("RedeemRewardResult", description="The redemption, or why there is none."),
]
PayResult = Annotated[
    RewardRedeemed
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | NotEligibleError
    | PartnerRuleFailedError
    | IdempotencyConflictError,
    strawberry.union("PayWithPointsResult", description="The redemption, or why there is none."),
]
SettleResult = Annotated[
    RewardRedeemed
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | WrongStateError
    | IdempotencyConflictError,
    strawberry.union("SettleRedemptionResult", description="The redemption, or why it stays."),
]


async def redeemer(info: Info, member: strawberry.Maybe[MemberBy], partner: str) -> int:
    """Whose points are meant: a member's token means itself and nobody else."""
    viewer = info.context.viewer
    if member is None:
        if viewer.holder is None:
            raise BadInput("say whose points are redeemed", "member")
        return viewer.holder
    if viewer.role == "member":
        # Answered before any look-up, so that nobody learns who else is enrolled.
        raise NotAllowed("a member's token redeems for itself: leave the member out", "member")
    return await dealt_with(info, member.value, partner)


async def dealt_with(info: Info, member: MemberBy, partner: str) -> int:
    """The member meant. By id, a partner must have dealt with it: ids can be guessed, cards not."""
    holder = await known_holder(info.context, member, scope_of(info.context, partner))
    if member.id is not None and not await knows(info.context, holder):
        raise UnknownReference("no such member", "member")
    return holder


async def meant(info: Info, key: str, redemption: str) -> redeemed.Redemption:
    """The redemption meant, if the viewer has a say in it; else there is none."""
    check_text(key, "key", 255, least=1)
    numbers = parse_numbers(info.context, "Redemption", redemption, 2, "redemption")
    row = await info.context.loaders.redemption.load((numbers[0], numbers[1]))
    if row is not None:
        found = redeemed.from_row(row)
        viewer, own = info.context.viewer, info.context.partner
        if (
            viewer.role == "admin"
            or (viewer.role == "member" and viewer.holder == found.holder)
            or (own is not None and own.id == found.partner)
        ):
            await watch_member(info.context, found.holder)
            return found
    raise UnknownReference("no such redemption", "redemption")


@strawberry.type(description="Commands on redemptions.")
class RedemptionMutations:
    """Root fields."""

    @change(
        "Take a reward for points.",
        extensions=allow_change(member=True, partner="redemptions:write", admin=SERVICE),
    )
    async def redeem_reward(
        self,
        info: Info,
        input: Annotated[RedeemRewardInput, strawberry.argument(description="What to take.")],
    ) -> RedeemResult | None:
        context = info.context
        check_text(input.key, "key", 255, least=1)
        partner_for(context, input.partner)
        hold = None if input.hold is None else parse_duration(input.hold.value, "hold")
        currency = None if input.currency is None else input.currency.value
        request = RedeemRequest(
            context.viewer.caller,
            input.key,
            input.partner,
            await redeemer(info, input.member, input.partner),
            input.reward,
            currency,
            hold,
            1 if input.quantity is None else input.quantity.value,
            None if input.order is None else input.order.value,
        )
        return RewardRedeemed.of(await engine.redeem(context.engine, request, context.instant))

    @change(
        "Pay part of a bill with points, by a redeem rule of the partner.",
        extensions=allow_change(partner="redemptions:write", admin=SERVICE),
    )
    async def pay_with_points(
        self,
        info: Info,
        input: Annotated[PayWithPointsInput, strawberry.argument(description="The bill.")],
    ) -> PayResult | None:
        context = info.context
        check_text(input.key, "key", 255, least=1)
        partner_for(context, input.partner)
        holder = await dealt_with(info, input.member, input.partner)
        request = paying.PayRequest(
            context.viewer.caller, input.key, input.partner, holder, input.rule,
            parse_money(input.total, input.currency, "total"),
            None if input.points is None else input.points.value,
            None if input.hold is None else parse_duration(input.hold.value, "hold"),
            None if input.order is None else input.order.value,
        )  # fmt: skip
        return RewardRedeemed.of(await paying.pay(context.engine, request, context.instant))

    @change(
        "The reward was handed over: what was held is redeemed.",
        extensions=allow_change(partner="redemptions:write", admin=SERVICE),
    )
    async def confirm_redemption(
        self,
        info: Info,
        input: Annotated[SettleRedemptionInput, strawberry.argument(description="Which one.")],
    ) -> SettleResult | None:
        context = info.context
        found = await meant(info, input.key, input.redemption)
        return RewardRedeemed.of(
            await engine.confirm(
                context.engine, found.holder, found.id, context.viewer.caller, input.key,
                context.instant,
            )
        )  # fmt: skip

    @change(
        "The hold is off: the points go back to where they came from.",
        extensions=allow_change(member=True, partner="redemptions:write", admin=SERVICE),
    )
    async def cancel_redemption(
        self,
        info: Info,
        input: Annotated[SettleRedemptionInput, strawberry.argument(description="Which one.")],
    ) -> SettleResult | None:
        context = info.context
        found = await meant(info, input.key, input.redemption)
        return RewardRedeemed.of(
            await engine.cancel(
                context.engine, found.holder, found.id, context.viewer.caller, input.key,
                context.instant,
            )
        )  # fmt: skip
