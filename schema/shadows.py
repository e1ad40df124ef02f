"""What a partner's shadow rules came to: its next version, or drafts, beside the rules in force.

Knows nothing of how they are judged, nor of how a draft is put there (`schema.data_rules`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core import rule_changes as engine
from core.errors import BadInput
from core.rulebook import PartnerTerms, ShadowTerms
from core.store import shadows as store
from core.store.writes import Given
from schema.access import MANAGERS, allow_change, partner_for
from schema.context import Info
from schema.errors import NotAllowedError, UnknownReferenceError, WrongStateError
from schema.fields import answer, change
from schema.partners import Partner
from schema.receipts import Purchase, visible_purchase
from schema.scalars import BigInt


@strawberry.type(description="What both sets of rules gave of a currency.")
class ShadowPoints:
    """Over the purchases that the shadow rules judged without a fault."""

    currency: str = strawberry.field(
        description="Its code; the shadow may give one that isn't declared yet."
    )
    live: BigInt = strawberry.field(description="By the rules in force: what was booked.")
    shadow: BigInt = strawberry.field(description="By the shadow rules.")


@strawberry.type(description="What one rule gave a purchase.")
class ShadowAward:
    """Points, or a reward that it issues."""

    rule: str = strawberry.field(description="The rule's code.")
    title: str = strawberry.field(description="What the rule gives, in words for members.")
    points: BigInt = strawberry.field(description="The points; 0 where it issues a reward.")
    currency: str | None = strawberry.field(description="Their currency's code.")
    reward: str | None = strawberry.field(description="The code of the reward that it issues.")
    quantity: int = strawberry.field(description="How many pieces of it; 0 without one.")

    @classmethod
    def of(cls, row: Given) -> ShadowAward:
        """From the store."""
        issues = row.reward is not None
        return cls(
            rule=row.rule, title=row.title, points=BigInt(0 if issues else row.amount),
            currency=row.currency, reward=row.reward, quantity=row.amount if issues else 0,
        )  # fmt: skip


@strawberry.type(description="A purchase of which the shadow rules gave something else.")
class ShadowDifference:
    """Compared is what the member gets in all, whichever rules give it."""

    row: strawberry.Private[store.Difference]
    at: datetime = strawberry.field(description="When it was booked.")
    live: list[ShadowAward] = strawberry.field(description="What the rules in force gave: booked.")
    shadow: list[ShadowAward] = strawberry.field(description="What the shadow rules gave.")

    @answer("The purchase, as it stands now. Null where the viewer may not read it.")
    async def purchase(self, info: Info) -> Purchase | None:
        return await visible_purchase(info, self.row.event)

    @classmethod
    def of(cls, row: store.Difference) -> ShadowDifference:
        """From the store."""
        return cls(
            row=row, at=row.at, live=[ShadowAward.of(x) for x in row.live],
            shadow=[ShadowAward.of(x) for x in row.shadow],
        )  # fmt: skip


@strawberry.type(
    description="Rules that judge beside those in force and book nothing: a partner's next "
    "version, drafts of its data rules, or both. They find caps, budgets and what is carried over "
    "as the rules in force have left them."
)
class Shadow:
    """A run of one set of rules: another set, or other rules in force, begin another."""

    terms: strawberry.Private[ShadowTerms]
    version: str = strawberry.field(description="The plugin's version, and drafts: 2.0 + tea@3.")
    since: datetime = strawberry.field(description="Since when it is counted.")
    paused_at: datetime | None = strawberry.field(
        description="When it failed too often in a row: since then it judges nothing."
    )

    async def _totals(self, info: Info) -> store.Totals:
        return await info.context.loaders.shadow_totals.load(self.terms.run) or store.Totals()

    @answer("How many purchases it judged without a fault.")
    async def judged(self, info: Info) -> BigInt:
        totals = await self._totals(info)
        return BigInt(totals.same + totals.different)

    @answer("To how many of them it gave the same.")
    async def same(self, info: Info) -> BigInt:
        return BigInt((await self._totals(info)).same)

    @answer("To how many of them it gave something else.")
    async def different(self, info: Info) -> BigInt:
        return BigInt((await self._totals(info)).different)

    @answer("On how many more it failed; what went wrong is among the partner's faults.")
    async def faults(self, info: Info) -> BigInt:
        return BigInt((await self._totals(info)).faults)

    @answer("The points of all that it judged, by currency.")
    async def points(self, info: Info) -> list[ShadowPoints]:
        return [
            ShadowPoints(currency=code, live=BigInt(live), shadow=BigInt(shadow))
            for code, (live, shadow) in sorted((await self._totals(info)).points.items())
        ]

    @answer(f"Where it gave something else, the newest first; the newest {store.MOST_DIFFERENCES}.")
    async def differences(
        self,
        info: Info,
        first: Annotated[
            int,
            strawberry.argument(description=f"How many, from 1 to {store.MOST_DIFFERENCES}."),
        ],
    ) -> list[ShadowDifference]:
        if not 1 <= first <= store.MOST_DIFFERENCES:
            raise BadInput(f"first is from 1 to {store.MOST_DIFFERENCES}, not {first}", "first")
        rows = await info.context.loaders.shadow_differences.load((self.terms.run, first))
        return [ShadowDifference.of(row) for row in rows]

    @classmethod
    def of(cls, terms: PartnerTerms) -> Shadow | None:
        """Of a partner that has one."""
        shadow = terms.shadow
        if shadow is None:
            return None
        return cls(
            terms=shadow, version=shadow.version, since=shadow.since, paused_at=shadow.paused_at
        )


@strawberry.input(description="The shadow to begin anew.")
class ResetShadowInput:
    """Safe to send again."""

    partner: str = strawberry.field(description="The code of the partner whose shadow it is.")


@strawberry.type(description="The shadow's counts begin at zero.")
class ShadowReset:
    """And it judges, were it paused."""

    partner: Partner = strawberry.field(description="Whose it is.")


ResetResult = Annotated[
    ShadowReset | UnknownReferenceError | NotAllowedError | WrongStateError,
    strawberry.union("ResetShadowResult", description="Begun anew, or why not."),
]


@strawberry.type(description="Commands on shadow rules.")
class ShadowMutations:
    """What they book is nothing, before and after."""

    @change(
        "Begin a partner's shadow anew: its counts at zero, and no more paused.",
        extensions=allow_change(partner="rules:write", admin=MANAGERS),
    )
    async def reset_shadow(
        self,
        info: Info,
        input: Annotated[ResetShadowInput, strawberry.argument(description="Whose.")],
    ) -> ResetResult | None:
        context = info.context
        partner_for(context, input.partner)
        done = await engine.reset(context.engine, input.partner, context.instant)
        return ShadowReset(partner=Partner.of(done))
