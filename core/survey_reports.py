"""What the answers to a survey come to: how many answered, NPS or the mean, by month. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from core.store.surveys import Tally
from laurels.surveys import SurveyKind


@dataclass(frozen=True, slots=True)
class Summary:
    """Those who were asked in a span, and what they answered since, whenever they did.

    `scores`: how many gave each. What is asked may have changed its kind meanwhile: then promoters
    and detractors are those of either, and there is an NPS or a mean of those of that kind alone.
    """

    sent: int
    answered: int
    scores: Mapping[tuple[SurveyKind, int], int] = field(default_factory=dict)

    @property
    def rate(self) -> float | None:
        """The share that answered; None: nobody was asked."""
        return self.answered / self.sent if self.sent else None

    @property
    def promoters(self) -> int:
        """How many are glad."""
        return sum(n for (kind, score), n in self.scores.items() if kind.is_promoter(score))

    @property
    def detractors(self) -> int:
        """How many are unhappy."""
        return sum(n for (kind, score), n in self.scores.items() if kind.is_detractor(score))

    @property
    def nps(self) -> float | None:
        """Promoters less detractors, in hundredths of all who said how likely: -100 to 100."""
        given = {score: n for (kind, score), n in self.scores.items() if kind is SurveyKind.NPS}
        if not given:
            return None
        glad = sum(n for score, n in given.items() if SurveyKind.NPS.is_promoter(score))
        unhappy = sum(n for score, n in given.items() if SurveyKind.NPS.is_detractor(score))
        return 100 * (glad - unhappy) / sum(given.values())

    @property
    def mean(self) -> float | None:
        """The mean of how content they are, 1 to 5."""
        given = {score: n for (kind, score), n in self.scores.items() if kind is SurveyKind.CSAT}
        if not given:
            return None
        return sum(score * n for score, n in given.items()) / sum(given.values())

    @property
    def distribution(self) -> dict[int, int]:
        """How many gave each score, the lowest first."""
        found: Counter[int] = Counter()
        for (_, score), times in self.scores.items():
            found[score] += times
        return dict(sorted(found.items()))


def summary(rows: Iterable[Tally]) -> Summary:
    """Of all these."""
    sent = answered = 0
    scores: Counter[tuple[SurveyKind, int]] = Counter()
    for _, kind, score, times in rows:
        sent += times
        if kind is not None:
            answered += times
            if score is not None:
                scores[SurveyKind(kind), score] += times
    return Summary(sent, answered, scores)


def by_month(rows: Iterable[Tally]) -> dict[date, Summary]:
    """By the month in which they were asked; months in which nobody was aren't there."""
    months: dict[date, list[Tally]] = {}
    for row in rows:
        months.setdefault(row.month, []).append(row)
    return {month: summary(some) for month, some in sorted(months.items())}
