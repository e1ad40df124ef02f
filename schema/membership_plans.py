"""Membership plans: what partners offer for a fee, with which perks. Knows nothing of members."""

from __future__ import annotations

from typing import Annotated

import strawberry

from core.membership_desk import tier_of
from core.rulebook import PartnerTerms
from laurels import memberships as sdk
from schema.access import STAFF, allow
from schema.context import Context, Info
from schema.fields import answer
from schema.ladders import Tier, TierLadder
from schema.money import Money
from schema.partners import Currency, Partner
from schema.rewards import Price
from schema.scalars import BigInt


@strawberry.type(description="What one term of a membership costs: money, points, or both.")
class MembershipFee:
    """By its code, which is unique within the plan."""

    code: str = strawberry.field(description="The code, unique within the plan.")
    title: str = strawberry.field(description="What it is, in words for members; may be empty.")
    per: str = strawberry.field(description="How long a term lasts, such as 1M or 1Y.")
    money: Money | None = strawberry.field(
        description="The money, which the partner takes and confirms; null: none."
    )
    points: Price | None = strawberry.field(
        description="The points, which are redeemed when the term begins; null: none."
    )

    @classmethod
    def of(cls, context: Context, fee: sdk.Fee) -> MembershipFee:
        """From the rulebook."""
        known = {c.code: c for c in context.engine.rulebook.currencies.values()}
        currency = None if fee.currency is None else known.get(fee.currency)
        return cls(
            code=fee.code, title=fee.title, per=fee.per,
            money=None if fee.price is None else Money.of(fee.price),
            points=None
            if currency is None
            else Price(amount=BigInt(fee.amount), currency=Currency.of(currency)),
        )  # fmt: skip


@strawberry.type(description="Something that members of a plan have at the checkout.")
class Perk:
    """By its code, which is unique within the plan."""

    code: str = strawberry.field(description="The code, unique within the plan.")
    title: str = strawberry.field(description="What it is, in words for members.")
    description: str = strawberry.field(description="More of it, in words; may be empty.")
    worth: Money | None = strawberry.field(
        description="What using it saves where the checkout says nothing else; null: nobody knows."
    )

    @classmethod
    def of(cls, perk: sdk.Perk) -> Perk:
        """From the rulebook."""
        return cls(
            code=perk.code, title=perk.title, description=perk.description,
            worth=None if perk.saves is None else Money.of(perk.saves),
        )  # fmt: skip


@strawberry.type(description="The tier that a membership gives while it lasts.")
class MembershipTier:
    """That one at least."""

    ladder: TierLadder = strawberry.field(description="The ladder.")
    tier: Tier = strawberry.field(description="The tier.")


@strawberry.type(description="A membership to be had for a fee.")
class MembershipPlan:
    """As the rulebook in force has it."""

    code: str = strawberry.field(description="The code, unique within the partner.")
    title: str = strawberry.field(description="Its name, in words for members.")
    description: str = strawberry.field(description="More of it, in words; may be empty.")
    trial: str | None = strawberry.field(
        description="How long a first term without a fee lasts, such as 30D; null: there is none."
    )
    grace: str | None = strawberry.field(
        description="How long one that is to be renewed goes on unpaid, such as 7D; null: not."
    )
    terms: strawberry.Private[sdk.MembershipPlan]
    owner: strawberry.Private[PartnerTerms]

    @answer("Whose plan it is.")
    def partner(self) -> Partner:
        return Partner.of(self.owner)

    @answer("The fees, any one of which pays a term.")
    def fees(self, info: Info) -> list[MembershipFee]:
        return [MembershipFee.of(info.context, fee) for fee in self.terms.fees]

    @answer("The perks that hold while a membership lasts.")
    def perks(self) -> list[Perk]:
        return [Perk.of(perk) for perk in self.terms.perks]

    @answer("The tier that it gives while it lasts; null: none.")
    def tier(self, info: Info) -> MembershipTier | None:
        given = tier_of(info.context.engine.rulebook, self.terms)
        if given is None:
            return None
        return MembershipTier(ladder=TierLadder.of(given[0]), tier=Tier.at(*given))

    @classmethod
    def of(cls, owner: PartnerTerms, plan: sdk.MembershipPlan) -> MembershipPlan:
        """From the rulebook."""
        return cls(
            code=plan.code, title=plan.title, description=plan.description, trial=plan.trial,
            grace=plan.grace, terms=plan, owner=owner,
        )  # fmt: skip


@strawberry.type(description="Queries on membership plans.")
class MembershipPlanQueries:
    """What anybody with a token may know of the coalition."""

    @answer(
        "The membership plans, by partner.",
        extensions=allow(member=True, partner="any", admin=STAFF),
    )
    async def membership_plans(
        self,
        info: Info,
        partner: Annotated[
            str | None, strawberry.argument(description="Only those of this partner's code.")
        ] = None,
    ) -> list[MembershipPlan]:
        return [
            MembershipPlan.of(terms, plan)
            for code, terms in sorted(info.context.engine.rulebook.partners.items())
            if partner in (None, code)
            for plan in terms.plans.values()
        ]
