"""How the programme fares, for admins: issue, burn, liability, breakage, members, tiers, cohorts.

Knows nothing of how it is summed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core.statistics import (
    CurrencyPeriod,
    Flow,
    MembersPeriod,
    PeriodLength,
    Statistics,
    periods,
    statistics,
)
from core.statistics import CurrencyStatistics as Sums
from schema.access import FINANCE, allow
from schema.context import Info
from schema.enums import words
from schema.fields import answer
from schema.ladders import Tier, TierLadder
from schema.partners import Currency, Partner, currency_of, partner_of
from schema.scalars import BigInt

words(
    PeriodLength,
    "How long a period is; it begins by the programme's time zone.",
    name="PeriodLength",
    DAY="A day.",
    WEEK="A week, from Monday.",
    MONTH="A calendar month.",
)
From = Annotated[
    datetime | None,
    strawberry.argument(
        name="from",
        description="An instant in the first period. Left out: eleven periods before the last.",
    ),
]
Until = Annotated[
    datetime | None,
    strawberry.argument(description="An instant in the last period. Left out: now."),
]
By = Annotated[
    PeriodLength | None,
    strawberry.argument(description="How long each period is. Left out: MONTH."),
]


@strawberry.type(description="The members in one period. It ends where the next one starts.")
class ProgrammePeriod:
    """What happened after its start and up to its end; the last may not be over yet."""

    start: datetime = strawberry.field(description="When it starts.")
    end: datetime = strawberry.field(description="When it ends.")
    joined: int = strawberry.field(
        description="How many members joined in it: enrolled, or bought for the first time before."
    )
    active: int = strawberry.field(
        description="How many members bought, redeemed or took part in something in it."
    )
    members: int = strawberry.field(description="How many members there were at its end.")

    @classmethod
    def of(cls, start: datetime, end: datetime, found: MembersPeriod) -> ProgrammePeriod:
        """From the books."""
        return cls(start=start, end=end, **found._asdict())


@strawberry.type(description="What happened to the points of one currency in one period.")
class CurrencyFlow:
    """By when it happened, whatever was booked when."""

    start: datetime = strawberry.field(description="When the period starts.")
    issued: BigInt = strawberry.field(description="Earned by rules.")
    redeemed: BigInt = strawberry.field(description="Spent, less what was given back.")
    expired: BigInt = strawberry.field(description="Expired.")
    lapsed: BigInt = strawberry.field(description="Lapsed: what it waited for never came.")
    clawed_back: BigInt = strawberry.field(description="Taken back by returns.")
    given: BigInt = strawberry.field(description="Given by hand.")
    taken: BigInt = strawberry.field(description="Taken by hand.")
    outstanding: BigInt = strawberry.field(
        description="What members held at its end, active, pending and reserved: the liability."
    )
    ended: BigInt = strawberry.field(
        description="The points of lots that ended in it: of which nothing is left."
    )
    ended_expired: BigInt = strawberry.field(description="How many of those points expired.")
    breakage: float | None = strawberry.field(
        description="`endedExpired` over `ended`, from 0 to 1; null where no lot ended."
    )

    @classmethod
    def of(cls, start: datetime, found: CurrencyPeriod) -> CurrencyFlow:
        """From the books."""
        return cls(
            start=start, outstanding=BigInt(found.outstanding), ended=BigInt(found.ended),
            ended_expired=BigInt(found.ended_expired), breakage=found.breakage,
            **_figures(found.flow),
        )  # fmt: skip


def _figures(flow: Flow) -> dict[str, BigInt]:
    return {name: BigInt(value) for name, value in flow._asdict().items() if name != "held"}


@strawberry.type(description="What one partner issued and took of one currency, all periods.")
class PartnerFlow:
    """Points of one partner may be redeemed at another."""

    number: strawberry.Private[int]
    issued: BigInt = strawberry.field(description="Earned by its rules.")
    redeemed: BigInt = strawberry.field(
        description="Spent at it, whoever issued them, less what was given back."
    )

    @answer("The partner. Null: the programme itself.")
    async def partner(self, info: Info) -> Partner | None:
        return await partner_of(info, self.number) if self.number else None


@strawberry.type(description="One currency, period by period.")
class CurrencyStatistics:
    """And by partner."""

    found: strawberry.Private[Sums]
    periods: list[CurrencyFlow] = strawberry.field(description="By period, the earliest first.")

    @answer("The unit.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.found.currency)

    @answer("By partner, over all periods; those that neither issued nor took any aren't told.")
    def partners(self) -> list[PartnerFlow]:
        return [
            PartnerFlow(
                number=number, issued=BigInt(flow.issued), redeemed=BigInt(flow.redeemed)
            )
            for number, flow in self.found.partners
            if flow.issued or flow.redeemed
        ]  # fmt: skip


@strawberry.type(description="How many members held a tier.")
class TierCount:
    """At a period's end."""

    tier: Tier = strawberry.field(description="The tier.")
    members: int = strawberry.field(description="How many members held it.")


@strawberry.type(description="The members by tier at the end of one period.")
class LadderPeriod:
    """As booked: a fall that no night has found yet isn't in it."""

    start: datetime = strawberry.field(description="When the period starts.")
    tiers: list[TierCount] = strawberry.field(description="Each tier, lowest first.")


@strawberry.type(description="The members by tier of one ladder, period by period.")
class LadderStatistics:
    """Whoever never reached another tier holds the first."""

    ladder: TierLadder = strawberry.field(description="The ladder.")
    periods: list[LadderPeriod] = strawberry.field(description="By period, the earliest first.")


@strawberry.type(description="The members who joined in one period, and how many came again.")
class Cohort:
    """By when they joined."""

    start: datetime = strawberry.field(description="When the period in which they joined starts.")
    members: int = strawberry.field(description="How many they are.")
    active: list[int] = strawberry.field(
        description="How many of them were active in that period, and in each one since."
    )


@strawberry.type(description="How the programme fares, period by period.")
class ProgrammeStatistics:
    """Of all members together."""

    time_zone: str = strawberry.field(description="The IANA zone by which periods begin.")
    periods: list[ProgrammePeriod] = strawberry.field(description="The earliest first.")
    currencies: list[CurrencyStatistics] = strawberry.field(
        description="Each currency that anybody had points of."
    )
    ladders: list[LadderStatistics] = strawberry.field(description="Each ladder, by its code.")
    cohorts: list[Cohort] = strawberry.field(description="For each period, those who joined in it.")

    @classmethod
    def of(cls, info: Info, found: Statistics) -> ProgrammeStatistics:
        """From the books."""
        rulebook = info.context.engine.rulebook
        starts = found.bounds[:-1]
        ladders = sorted(rulebook.ladders.values(), key=lambda terms: terms.ladder.code)
        return cls(
            time_zone=rulebook.time_zone,
            periods=[
                ProgrammePeriod.of(*given)
                for given in zip(starts, found.bounds[1:], found.members, strict=True)
            ],
            currencies=[
                CurrencyStatistics(
                    found=sums,
                    periods=[
                        CurrencyFlow.of(*given) for given in zip(starts, sums.periods, strict=True)
                    ],
                )
                for sums in found.currencies
            ],
            ladders=[
                LadderStatistics(
                    ladder=TierLadder.of(terms),
                    periods=[
                        LadderPeriod(
                            start=start,
                            tiers=[
                                TierCount(tier=Tier.at(terms, rank), members=members)
                                for rank, members in enumerate(held)
                            ],
                        )
                        for start, held in zip(starts, found.ladders[terms.id], strict=True)
                    ],
                )
                for terms in ladders
            ],
            cohorts=[
                Cohort(start=start, members=there.joined, active=list(active))
                for start, there, active in zip(starts, found.members, found.cohorts, strict=True)
            ],
        )


@strawberry.type(description="Queries on how the programme fares.")
class StatisticsQueries:
    """Root fields."""

    @answer(
        "What was issued and what became of it, members, tiers and cohorts, by the programme's "
        "time zone. A period holds what happened after its start and up to its end. Reads all of "
        "the books: no query for every page.",
        extensions=allow(admin=FINANCE),
    )
    async def programme_statistics(
        self, info: Info, from_: From = None, until: Until = None, by: By = None
    ) -> ProgrammeStatistics:
        context = info.context
        rulebook = context.engine.rulebook
        length = by or PeriodLength.MONTH
        bounds = periods(from_, until or context.instant, length, rulebook.time_zone)
        tiers = {number: len(terms.ladder.tiers) for number, terms in rulebook.ladders.items()}
        return ProgrammeStatistics.of(info, await statistics(bounds, context.instant, tiers))
