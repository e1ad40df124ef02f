"""Surveys: what a member is asked after an event, once, by a link. Frozen, checked.

Knows nothing of who was asked, nor of what anybody answered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from laurels.activities import PURCHASE, SURVEY_ANSWERED, check_trigger
from laurels.declarations import check_optional
from laurels.durations import Duration
from laurels.errors import DeclarationError, check_code, check_title, shown, within

#: As long as the address of a page is.
_LONGEST_PAGE = 500


class SurveyKind(IntEnum):
    """What is asked for; the numbers are stored."""

    #: How likely one is to recommend: 0 to 10. Detractors say 0 to 6, promoters 9 and 10.
    NPS = 1
    #: How content one is: 1 to 5. Detractors say 1 and 2.
    CSAT = 2
    #: Words alone.
    TEXT = 3

    def takes(self, score: int | None) -> bool:
        """Whether this score answers a question of this kind."""
        if self is SurveyKind.TEXT:
            return score is None
        least, most = (0, 10) if self is SurveyKind.NPS else (1, 5)
        return score is not None and least <= score <= most

    def is_detractor(self, score: int | None) -> bool:
        """Whether whoever answers so is better spoken to."""
        return score is not None and score <= (6 if self is SurveyKind.NPS else 2)

    def is_promoter(self, score: int | None) -> bool:
        """Whether whoever answers so is glad."""
        return score is not None and score >= (9 if self is SurveyKind.NPS else 5)


def _duration(what: str, text: object) -> Duration:
    if not isinstance(text, str):
        raise DeclarationError(f"{what}: a duration such as '1h' is wanted, not {shown(text)}")
    return within(what, Duration.parse, text)


@dataclass(frozen=True, slots=True)
class Survey:
    """A question that members are asked after something happened at this partner.

    `after` is `purchase`, or the type of an activity that the partner tells of. `wait` after it the
    member is asked, unless the same question was put to it within `at_most`; the answer is taken
    for as long as it `lasts`. `comment`: whether words may be added. `page` is the address of the
    partner's own page that takes answers: its link is `page#token`.
    """

    code: str
    title: str
    question: str
    kind: SurveyKind = SurveyKind.NPS
    after: str = PURCHASE
    wait: str = "1h"
    at_most: str = "90D"
    lasts: str = "14D"
    comment: bool = True
    page: str = ""
    waits: Duration = field(init=False, repr=False, compare=False)
    between: Duration = field(init=False, repr=False, compare=False)
    length: Duration = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        what = f"survey {check_code('survey', self.code)}"
        check_title(f"{what}: title", self.title)
        check_title(f"{what}: question", self.question)
        if not isinstance(self.kind, SurveyKind):
            raise DeclarationError(f"{what}: kind: NPS, CSAT or TEXT, not {shown(self.kind)}")
        within(f"{what}: after", check_trigger, self.after)
        if ":" in self.after or self.after == SURVEY_ANSWERED:
            raise DeclarationError(f"{what}: after: a purchase or an activity, not {self.after}")
        if self.kind is SurveyKind.TEXT and not self.comment:
            raise DeclarationError(f"{what}: comment: there is nothing to answer without words")
        check_optional(f"{what}: page", self.page, _LONGEST_PAGE)
        if self.page and (not self.page.startswith("https://") or "#" in self.page):
            raise DeclarationError(f"{what}: page: it begins with https:// and has no #")
        for name, given in (("waits", "wait"), ("between", "at_most"), ("length", "lasts")):
            length = _duration(f"{what}: {given}", getattr(self, given))
            object.__setattr__(self, name, length)
        if self.length.rounding == "D":
            raise DeclarationError(f"{what}: lasts: rounded down it could be over at once")
