"""What the answers to a survey come to, for its partner and admins. Knows nobody who answered."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import strawberry

from core.errors import BadInput
from core.store import surveys as store
from core.survey_reports import Summary, by_month, summary
from schema.access import STAFF, allow
from schema.context import Info
from schema.fields import answer
from schema.surveys import PartnerCode, SurveyCode, own_survey


@strawberry.type(description="How many gave a score.")
class SurveyScore:
    """One of the scores that were given."""

    score: int = strawberry.field(description="The score.")
    times: int = strawberry.field(description="How many gave it.")


@strawberry.type(description="What those who were asked in a span answered, whenever they did.")
class SurveySummary:
    """Counts of members' invitations."""

    sent: int = strawberry.field(description="How many were asked.")
    answered: int = strawberry.field(description="How many of them answered.")
    rate: float | None = strawberry.field(
        description="The share that answered, 0 to 1; null: nobody was asked."
    )
    promoters: int = strawberry.field(description="NPS 9 and 10, CSAT 5.")
    passives: int = strawberry.field(description="Neither promoters nor detractors.")
    detractors: int = strawberry.field(description="NPS 0 to 6, CSAT 1 and 2.")
    nps: float | None = strawberry.field(
        description="Promoters less detractors, in hundredths of all who said how likely they "
        "recommend: -100 to 100; null: nobody did."
    )
    mean: float | None = strawberry.field(
        description="The mean of how content they are, 1 to 5; null: nobody said."
    )
    distribution: list[SurveyScore] = strawberry.field(
        description="The scores that were given, the lowest first."
    )

    @classmethod
    def of(cls, found: Summary) -> SurveySummary:
        """From the engine."""
        passives = sum(found.scores.values()) - found.promoters - found.detractors
        return cls(
            sent=found.sent, answered=found.answered, rate=found.rate, promoters=found.promoters,
            passives=passives, detractors=found.detractors, nps=found.nps, mean=found.mean,
            distribution=[
                SurveyScore(score=score, times=times)
                for score, times in found.distribution.items()
            ],
        )  # fmt: skip


@strawberry.type(description="The same of those who were asked in one month.")
class SurveyMonth:
    """By the partner's own calendar."""

    month: date = strawberry.field(description="Its first day.")
    summary: SurveySummary = strawberry.field(description="What they answered.")


@strawberry.type(description="What the answers to a survey come to.")
class SurveyReport:
    """As it stands now: who was asked may still answer."""

    total: SurveySummary = strawberry.field(description="Of the whole span.")
    months: list[SurveyMonth] = strawberry.field(
        description="By month, oldest first; months in which nobody was asked aren't there."
    )


@strawberry.type(description="Queries on what surveys come to.")
class SurveyReportQueries:
    """Root fields."""

    @answer(
        "What those who were asked in a span answered.",
        extensions=allow(partner="engagement:read", admin=STAFF),
    )
    async def survey_report(
        self,
        info: Info,
        partner: PartnerCode,
        survey: SurveyCode,
        since: Annotated[
            datetime, strawberry.argument(name="from", description="From when on, inclusive.")
        ],
        until: Annotated[datetime, strawberry.argument(description="Until when, exclusive.")],
    ) -> SurveyReport:
        terms, code = own_survey(info.context, partner, survey)
        if since >= until:
            raise BadInput("a span has a beginning and, after it, an end", "until")
        rows = await store.tallied(terms.id, code, since, until, terms.time_zone)
        return SurveyReport(
            total=SurveySummary.of(summary(rows)),
            months=[
                SurveyMonth(month=month, summary=SurveySummary.of(some))
                for month, some in by_month(rows).items()
            ],
        )
