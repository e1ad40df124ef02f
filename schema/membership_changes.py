"""Commands on memberships: join, renew, cancel, resume; and the use of a perk at the checkout.

Money is confirmed by whoever took it: a member's token begins a trial, or pays by points. Knows
nothing of what follows from a term: `core.memberships` does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core import memberships as engine
from core import perks
from core.errors import NotAllowed
from core.purchases import check_text
from laurels import money
from schema.access import SERVICE, allow_change, partner_for
from schema.context import Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    NotEligibleError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import answer, change
from schema.inputs import MemberBy, parse_money
from schema.memberships import Membership, MembershipTerm
from schema.money import Money
from schema.redemptions import LazyMember, dealt_with, redeemer


@strawberry.input(description="A fee in money that the partner has taken.")
class FeePaidInput:
    """Held against the plan."""

    amount: str = strawberry.field(description='In major units, such as "12.99".')
    currency: str = strawberry.field(description="The ISO 4217 code.")
    reference: str = strawberry.field(
        description="By what the payment is known to the partner: it pays one term, once."
    )


@strawberry.input(description="Which plan, for whom, and how it is paid.")
class JoinPlanInput:
    """Without a fee it is the trial."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    partner: str = strawberry.field(description="The code of the partner whose plan it is.")
    plan: str = strawberry.field(description="The plan's code.")
    member: strawberry.Maybe[MemberBy] = strawberry.field(
        description="Who joins. A member's token joins itself and leaves it out."
    )
    fee: strawberry.Maybe[str] = strawberry.field(
        description="The code of the fee that pays the term; left out: the trial."
    )
    paid: strawberry.Maybe[FeePaidInput] = strawberry.field(
        description="The money of the fee, where it has any: that it was taken."
    )
    renews: strawberry.Maybe[str | None] = strawberry.field(
        description="The code of the fee by which it is to be renewed; null: not at all; left out: "
        "by the one that pays it, after a trial by the plan's first."
    )


@strawberry.input(description="Which membership, and how its next term is paid.")
class RenewMembershipInput:
    """One that is over begins anew."""

    key: str = strawberry.field(
        description="The idempotency key: sent again with it, the first outcome is answered."
    )
    partner: str = strawberry.field(description="The code of the partner whose plan it is.")
    plan: str = strawberry.field(description="The plan's code.")
    member: strawberry.Maybe[MemberBy] = strawberry.field(
        description="Whose. A member's token renews its own and leaves it out."
    )
    fee: strawberry.Maybe[str] = strawberry.field(
        description="The code of the fee that pays the term; left out: the one that was agreed."
    )
    paid: strawberry.Maybe[FeePaidInput] = strawberry.field(
        description="The money of the fee, where it has any: that it was taken."
    )
    renews: strawberry.Maybe[str | None] = strawberry.field(
        description="The code of the fee of the terms to come; null: none; left out: as agreed."
    )


@strawberry.input(description="A membership that isn't to be renewed.")
class CancelMembershipInput:
    """It ends with its term."""

    key: str = strawberry.field(description="The idempotency key.")
    partner: str = strawberry.field(description="The code of the partner whose plan it is.")
    plan: str = strawberry.field(description="The plan's code.")
    member: strawberry.Maybe[MemberBy] = strawberry.field(
        description="Whose. A member's token cancels its own and leaves it out."
    )


@strawberry.input(description="A membership that is to be renewed after all, or by another fee.")
class ResumeMembershipInput:
    """Before it ends."""

    key: str = strawberry.field(description="The idempotency key.")
    partner: str = strawberry.field(description="The code of the partner whose plan it is.")
    plan: str = strawberry.field(description="The plan's code.")
    member: strawberry.Maybe[MemberBy] = strawberry.field(
        description="Whose. A member's token resumes its own and leaves it out."
    )
    renews: strawberry.Maybe[str] = strawberry.field(
        description="The code of the fee of the terms to come; left out: as agreed before."
    )


@strawberry.input(description="An amount of money that was saved.")
class SavedMoneyInput:
    """As the checkout reckons it."""

    amount: str = strawberry.field(description='In major units, such as "5.99".')
    currency: str = strawberry.field(description="The ISO 4217 code.")


@strawberry.input(description="A perk that a member uses.")
class UsePerkInput:
    """Safe to send again: it counts once for what it was used for."""

    partner: str = strawberry.field(description="The code of the partner whose plan gives it.")
    member: MemberBy = strawberry.field(description="Who uses it.")
    perk: str = strawberry.field(description="The perk's code.")
    external_id: str = strawberry.field(
        description="The partner's external id of what it is used for, such as the purchase's."
    )
    worth: strawberry.Maybe[SavedMoneyInput] = strawberry.field(
        description="What it saves the member; left out: what the perk says, if it says anything."
    )


@strawberry.type(description="The membership stands in the books.")
class MembershipChanged:
    """Now, or since before."""

    membership: Membership = strawberry.field(description="As it stands now.")
    term: MembershipTerm | None = strawberry.field(
        description="The term that began or will begin; null where none did."
    )
    replayed: bool = strawberry.field(
        description="Whether the key was used before, and this is its first outcome."
    )
    holder: strawberry.Private[int]

    @answer("Whose it is. Null where the viewer may not read that member.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # a circle, closed here

        return await visible_member(info, self.holder)

    @classmethod
    def of(cls, info: Info, done: engine.Changed) -> MembershipChanged:
        """From the engine."""
        term = next((t for t in done.membership.terms if t.event == done.event), None)
        return cls(
            membership=Membership.of(info, done.membership),
            term=None if term is None else MembershipTerm.of(term),
            replayed=done.replayed, holder=done.membership.last.holder,
        )  # fmt: skip


@strawberry.type(description="The perk is used.")
class PerkUsed:
    """Now, or since before."""

    perk: str = strawberry.field(description="The perk's code.")
    at: datetime = strawberry.field(description="When.")
    worth: Money | None = strawberry.field(description="What it saved; null: not money.")
    replayed: bool = strawberry.field(
        description="Whether it was used for this before, and counts no second time."
    )

    @classmethod
    def of(cls, used: perks.Used) -> PerkUsed:
        """From the engine."""
        row = used.row
        worth = None
        if row.amount is not None and row.money is not None:
            worth = Money.of(money.Money(row.amount, row.money))
        return cls(perk=row.perk, at=row.at, worth=worth, replayed=used.replayed)


JoinResult = Annotated[
    MembershipChanged
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | NotEligibleError
    | WrongStateError
    | IdempotencyConflictError,
    strawberry.union("MembershipTermResult", description="The membership, or why there is none."),
]
ChangeResult = Annotated[
    MembershipChanged
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | WrongStateError
    | IdempotencyConflictError,
    strawberry.union(
        "MembershipChangeResult", description="The membership, or why it stays as it is."
    ),
]
UseResult = Annotated[
    PerkUsed
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | NotEligibleError
    | IdempotencyConflictError,
    strawberry.union("UsePerkResult", description="The use, or why there is none."),
]


async def _which(
    info: Info,
    input: JoinPlanInput | RenewMembershipInput | CancelMembershipInput | ResumeMembershipInput,
) -> engine.Which:
    """Whose membership of which plan; a member's token means its own."""
    context = info.context
    check_text(input.key, "key", 255, least=1)
    partner_for(context, input.partner)
    holder = await redeemer(info, input.member, input.partner)
    return engine.Which(context.viewer.caller, input.key, input.partner, input.plan, holder)


async def _term(
    info: Info, input: JoinPlanInput | RenewMembershipInput, *, renewal: bool
) -> engine.TermRequest:
    context = info.context
    which = await _which(info, input)
    code = None if input.fee is None else input.fee.value
    if context.viewer.role == "member":
        plan = context.engine.rulebook.partners[input.partner].plans.get(input.plan)
        fee = None if plan is None or code is None else plan.fee(code)
        if input.paid is not None or (fee is not None and fee.price is not None):
            # Whoever took the money says so: else anybody would have paid.
            raise NotAllowed("a fee in money is for the partner to confirm", "fee")
    paid = None if input.paid is None else input.paid.value
    return engine.TermRequest(
        which, renewal, code,
        None if paid is None else parse_money(paid.amount, paid.currency, "paid", "amount"),
        None if paid is None else paid.reference,
        None if input.renews is None else input.renews.value, input.renews is not None,
        _redeems(info),
    )  # fmt: skip


def _redeems(info: Info) -> bool:
    """Whether the viewer may spend a member's points: a partner's key with that scope alone."""
    viewer = info.context.viewer
    return viewer.role != "partner" or "redemptions:write" in viewer.scopes


@strawberry.type(description="Commands on memberships.")
class MembershipMutations:
    """Root fields."""

    @change(
        "Join a plan: by its trial, for points (partners' keys with `redemptions:write` alone), or "
        "for money that the partner has taken.",
        extensions=allow_change(member=True, partner="engagement:write", admin=SERVICE),
    )
    async def join_plan(
        self,
        info: Info,
        input: Annotated[JoinPlanInput, strawberry.argument(description="Which, for whom.")],
    ) -> JoinResult | None:
        request = await _term(info, input, renewal=False)
        return MembershipChanged.of(
            info, await engine.begin_term(info.context.engine, request, info.context.instant)
        )

    @change(
        "Begin a membership's next term: after the last one while it lasts or is in its grace, "
        "anew after that.",
        extensions=allow_change(member=True, partner="engagement:write", admin=SERVICE),
    )
    async def renew_membership(
        self,
        info: Info,
        input: Annotated[RenewMembershipInput, strawberry.argument(description="Which one.")],
    ) -> JoinResult | None:
        request = await _term(info, input, renewal=True)
        return MembershipChanged.of(
            info, await engine.begin_term(info.context.engine, request, info.context.instant)
        )

    @change(
        "Cancel a membership: it ends with its term, and at once in its grace.",
        extensions=allow_change(member=True, partner="engagement:write", admin=SERVICE),
    )
    async def cancel_membership(
        self,
        info: Info,
        input: Annotated[CancelMembershipInput, strawberry.argument(description="Which one.")],
    ) -> ChangeResult | None:
        which = await _which(info, input)
        return MembershipChanged.of(
            info, await engine.cancel(info.context.engine, which, info.context.instant)
        )

    @change(
        "Undo a cancel before the membership ends, or have it renewed by another fee.",
        extensions=allow_change(member=True, partner="engagement:write", admin=SERVICE),
    )
    async def resume_membership(
        self,
        info: Info,
        input: Annotated[ResumeMembershipInput, strawberry.argument(description="Which one.")],
    ) -> ChangeResult | None:
        which = await _which(info, input)
        fee = None if input.renews is None else input.renews.value
        context = info.context
        done = await engine.resume(
            context.engine, which, fee, context.instant, redeems=_redeems(info)
        )
        return MembershipChanged.of(info, done)

    @change(
        "Use a perk at the checkout: refused where the member doesn't hold it. Safe to send again.",
        extensions=allow_change(partner="engagement:write", admin=SERVICE),
    )
    async def use_perk(
        self,
        info: Info,
        input: Annotated[UsePerkInput, strawberry.argument(description="Which, for what.")],
    ) -> UseResult | None:
        context = info.context
        partner_for(context, input.partner)
        holder = await dealt_with(info, input.member, input.partner)
        worth = None if input.worth is None else input.worth.value
        request = perks.UseRequest(
            input.partner, holder, input.perk, input.external_id,
            None if worth is None else parse_money(worth.amount, worth.currency, "worth", "amount"),
        )  # fmt: skip
        return PerkUsed.of(await perks.use(context.engine, request, context.instant))
