"""How recognition goes at a company: by value, who takes part, between teams, and how fairly.

For the company and for the programme; nobody is named. Knows no table.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry

from core.errors import BadInput
from core.store import recognition_reports as store
from core.store.recognition_reports import BetweenTeams, OfValue, Report
from schema.access import STAFF, allow, partner_for
from schema.colleagues import RecognitionValue
from schema.context import Info
from schema.fields import answer
from schema.recognitions import value_of
from schema.scalars import BigInt


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


@strawberry.type(description="Recognition for one value.")
class ValueRecognition:
    """Within the report's time."""

    row: strawberry.Private[OfValue]
    partner: strawberry.Private[int]
    whole: strawberry.Private[int]

    @answer("Which value; null: for none.")
    def value(self, info: Info) -> RecognitionValue | None:
        code = self.row.value
        return None if code is None else value_of(info.context, self.partner, code)

    @answer("How many gifts.")
    def times(self) -> int:
        return self.row.times

    @answer("Their points.")
    def points(self) -> BigInt:
        return BigInt(self.row.points)

    @answer("Of all points given, from 0 to 1.")
    def share(self) -> float:
        return _share(self.row.points, self.whole)


@strawberry.type(description="Recognition from one team to another, or within one.")
class TeamRecognition:
    """By the teams of then."""

    row: strawberry.Private[BetweenTeams]

    @answer("The givers' team; null: none is known.")
    def giver(self) -> str | None:
        return self.row.giver

    @answer("The receivers' team; null: none is known.")
    def receiver(self) -> str | None:
        return self.row.receiver

    @answer("How many gifts.")
    def times(self) -> int:
        return self.row.times

    @answer("Their points.")
    def points(self) -> BigInt:
        return BigInt(self.row.points)


@strawberry.type(description="How recognition went at a company in a span of time.")
class RecognitionReport:
    """Figures alone."""

    report: strawberry.Private[Report]
    partner: strawberry.Private[int]

    @answer("How many gifts.")
    def times(self) -> int:
        return self.report.figures.times

    @answer("Their points.")
    def points(self) -> BigInt:
        return BigInt(self.report.figures.points)

    @answer("By value, the most points first: how recognition and values go together.")
    def values(self) -> list[ValueRecognition]:
        whole = self.report.figures.points
        return [
            ValueRecognition(row=row, partner=self.partner, whole=whole)
            for row in self.report.values
        ]

    @answer("From which team to which.")
    def teams(self) -> list[TeamRecognition]:
        return [TeamRecognition(row=row) for row in self.report.teams]

    @answer("How many colleagues there were at its end.")
    def colleagues(self) -> int:
        return self.report.figures.colleagues

    @answer("How many members gave something.")
    def givers(self) -> int:
        return self.report.figures.givers

    @answer("How many members were given something.")
    def receivers(self) -> int:
        return self.report.figures.receivers

    @answer("How many pairs of members gave something, one to the other or both ways.")
    def pairs(self) -> int:
        return self.report.figures.pairs

    @answer("How many of the pairs gave both ways.")
    def mutual_pairs(self) -> int:
        return self.report.figures.mutual

    @answer("Of all points, what went between pairs that gave both ways, from 0 to 1.")
    def mutual_share(self) -> float:
        return _share(self.report.figures.mutual_points, self.report.figures.points)

    @answer("Of all points, what the tenth of colleagues received that got most, from 0 to 1.")
    def top_tenth_share(self) -> float:
        return _share(self.report.figures.top_tenth, self.report.figures.points)


@strawberry.type(description="Queries on how recognition goes.")
class RecognitionReportQueries:
    """Root fields."""

    @answer(
        "How recognition went at a company in a span of time: by value, who takes part, between "
        "teams, and how fairly. Null where nothing is given.",
        extensions=allow(partner="engagement:read", admin=STAFF),
    )
    async def recognition_report(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The company's code.")],
        since: Annotated[
            datetime, strawberry.argument(name="from", description="From this instant on.")
        ],
        until: Annotated[datetime, strawberry.argument(description="Before this instant.")],
    ) -> RecognitionReport | None:
        terms = partner_for(info.context, partner)
        if until <= since:
            raise BadInput("it ends later than it begins", "until")
        if terms.giving is None:
            return None
        found = await store.report(terms.id, terms.giving.team, since, until, info.context.instant)
        return RecognitionReport(report=found, partner=terms.id)
