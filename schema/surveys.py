"""Surveys: what partners ask, who was asked, and what was answered.

Knows nothing of how an answer comes in (`schema.survey_changes`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core import surveys as engine
from core.events import EventKind
from core.purchases import check_text
from core.rulebook import PartnerTerms
from core.store import surveys as store
from core.store.surveys import Asked
from laurels.surveys import Survey as SurveyTerms
from laurels.surveys import SurveyKind
from schema.access import STAFF, allow, may_see, partner_for
from schema.context import Context, Info
from schema.enums import words
from schema.fields import answer
from schema.ids import HolderNode
from schema.ledgers import LedgerEntry
from schema.loading import SurveyPage
from schema.paging import (
    NEWEST,
    After,
    First,
    check_first,
    cursor,
    moment_cursor,
    page,
    read_moment,
    read_number,
)
from schema.partners import Partner, partner_of
from schema.postings import entries_of
from schema.receipts import Purchase, visible_purchase
from schema.redemptions import LazyMember

words(
    SurveyKind,
    "What a survey asks for.",
    name="SurveyKind",
    NPS="How likely one is to recommend, 0 to 10. Detractors say 0 to 6, promoters 9 and 10.",
    CSAT="How content one is, 1 to 5. Detractors say 1 and 2, promoters 5.",
    TEXT="Words alone.",
)


@strawberry.type(description="A question that members are asked after something happened.")
class Survey:
    """As it is declared now."""

    code: str = strawberry.field(description="The code, unique within the partner.")
    title: str = strawberry.field(description="Its name.")
    question: str = strawberry.field(description="What is asked.")
    kind: SurveyKind = strawberry.field(description="What it asks for.")
    comment: bool = strawberry.field(description="Whether words may be added.")
    after: str = strawberry.field(description="After what: purchase, or an activity's type.")
    partner_name: str = strawberry.field(description="The name of the partner that asks.")

    @classmethod
    def of(cls, partner: PartnerTerms, terms: SurveyTerms) -> Survey:
        """From the rulebook."""
        return cls(
            code=terms.code, title=terms.title, question=terms.question, kind=terms.kind,
            comment=terms.comment, after=terms.after, partner_name=partner.name,
        )  # fmt: skip


@strawberry.type(description="What a member answered.")
class SurveyAnswer:
    """It stands as it was given; its words may be erased."""

    asked: strawberry.Private[Asked]
    kind: SurveyKind = strawberry.field(description="What was asked for then.")
    score: int | None = strawberry.field(description="The score; null: words alone.")
    comment: str | None = strawberry.field(
        description="The words that came with it; null: none, or they were erased."
    )
    answered_at: datetime = strawberry.field(description="When.")
    detractor: bool = strawberry.field(description="Whether it is somebody unhappy.")

    @classmethod
    def of(cls, asked: Asked) -> SurveyAnswer | None:
        """From the store."""
        given = asked.answer
        if given is None:
            return None
        kind = SurveyKind(given.kind)
        return cls(
            asked=asked, kind=kind, score=given.score, comment=given.comment,
            answered_at=given.at, detractor=kind.is_detractor(given.score),
        )  # fmt: skip

    @answer(
        "When somebody spoke with the member about it; null: not yet, or you aren't told.",
        extensions=allow(partner="engagement:read", admin=STAFF, quiet=True),
    )
    def followed_up_at(self) -> datetime | None:
        return None if self.asked.answer is None else self.asked.answer.followed_at

    @answer(
        "What answering earned, in all currencies; empty until rules have been told of it. Null "
        "for whoever has the link alone.",
        extensions=allow(member=True, partner="engagement:read", admin=STAFF, quiet=True),
    )
    async def entries(self, info: Info) -> list[LedgerEntry] | None:
        of = self.asked.invitation
        key = (of.partner, engine.occasion_of(of.id))
        booked_at = await info.context.loaders.attended.load(key)
        return [] if booked_at is None else await entries_of(info, of.holder, booked_at)


@strawberry.type(description="That a member was asked, once, after something happened.")
class SurveyInvitation(HolderNode):
    """Whoever hands one out has asked whether the viewer may read it."""

    key: relay.NodeID[str]
    asked: strawberry.Private[Asked]

    @classmethod
    def of(cls, asked: Asked) -> SurveyInvitation:
        """From the store."""
        return cls(key=f"{asked.invitation.holder}.{asked.invitation.id}", asked=asked)

    @answer("What is asked; null where it is asked no more.")
    def survey(self, info: Info) -> Survey | None:
        rulebook = info.context.engine.rulebook
        partner = rulebook.partner_by_id(self.asked.invitation.partner)
        terms = engine.survey_of(rulebook, self.asked.invitation)
        return None if partner is None or terms is None else Survey.of(partner, terms)

    @answer("The survey's code.")
    def code(self) -> str:
        return self.asked.invitation.survey

    @answer("Who asks.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.asked.invitation.partner)

    @answer("Who is asked. Null where the viewer may not read that member.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # a circle, closed here

        return await visible_member(info, self.asked.invitation.holder)

    @answer("When it was sent on its way.")
    def invited_at(self) -> datetime:
        return self.asked.invitation.at

    @answer("Until when it takes an answer, exclusive.")
    def until(self) -> datetime:
        return self.asked.invitation.until

    @answer("The purchase that it is about; null: it is about something else.")
    async def purchase(self, info: Info) -> Purchase | None:
        event = self.asked.invitation.event
        record = await info.context.loaders.event.load(event)
        if record is None or record.kind != EventKind.PURCHASE:
            return None
        return await visible_purchase(info, event)

    @answer("The answer; null: none yet.", name="answer")
    def _answer(self) -> SurveyAnswer | None:
        return SurveyAnswer.of(self.asked)

    @answer(
        "The token with which anybody answers in the member's place, by `answerSurvey`: for the "
        "member alone, in a message. Null for all but the partner.",
        extensions=allow(partner="engagement:read", quiet=True),
    )
    def token(self, info: Info) -> str | None:
        of = self.asked.invitation
        return info.context.engine.survey_tokens.make(of.holder, of.id)

    @answer(
        "The link to the survey's page, with the token behind its #. Null for all but the "
        "partner, and where the survey names no page.",
        extensions=allow(partner="engagement:read", quiet=True),
    )
    def link(self, info: Info) -> str | None:
        of = self.asked.invitation
        terms = engine.survey_of(info.context.engine.rulebook, of)
        if terms is None or not terms.page:
            return None
        return f"{terms.page}#{info.context.engine.survey_tokens.make(of.holder, of.id)}"


def _reads(context: Context) -> bool:
    """Whether the viewer may read surveys at all; a partner by a key that reads such."""
    viewer = context.viewer
    return viewer.role != "partner" or "engagement:read" in viewer.scopes


async def invitations_of(
    info: Info, holder: int, first: int, after: str | None, answered: bool | None
) -> relay.Connection[SurveyInvitation]:
    """A member's; a partner is told its own."""
    context = info.context
    before = read_number("invitation", after, NEWEST)
    own = None if context.partner is None else context.partner.id
    key = SurveyPage(holder, before, check_first(first) + 1, own, answered)
    rows = await context.loaders.surveyed.load(key) if _reads(context) else []
    nodes = [SurveyInvitation.of(row) for row in rows]
    return page(nodes, first, after, lambda n: cursor("invitation", n.asked.invitation.id))


async def visible_invitation(info: Info, holder: int, invitation: int) -> SurveyInvitation | None:
    """The invitation, if there is one and the viewer may read it."""
    context = info.context
    asked = await context.loaders.invitation.load((holder, invitation))
    if asked is None:
        return None
    own = context.partner
    mine = asked.invitation.partner == own.id if own is not None else await may_see(context, holder)
    return SurveyInvitation.of(asked) if mine else None


def own_survey(context: Context, partner: str, survey: str) -> tuple[PartnerTerms, str]:
    """Whose survey is meant, and its code, which may be of one that is asked no more."""
    return partner_for(context, partner), check_text(survey, "survey", 64, least=1)


def _cursor(node: SurveyInvitation) -> str:
    given = node.asked.answer
    assert given is not None
    return moment_cursor("answer", given.at, node.asked.invitation.id)


PartnerCode = Annotated[str, strawberry.argument(description="The partner's code.")]
SurveyCode = Annotated[str, strawberry.argument(description="The survey's code.")]


@strawberry.type(description="Queries on surveys.")
class SurveyQueries:
    """Root fields."""

    @answer(
        "Answered invitations, the newest answer first.",
        extensions=allow(partner="engagement:read", admin=STAFF),
    )
    async def survey_answers(
        self,
        info: Info,
        partner: PartnerCode,
        survey: SurveyCode,
        detractors: Annotated[
            bool, strawberry.argument(description="Whether only those of whom is unhappy.")
        ] = False,
        first: First = 20,
        after: After = None,
    ) -> relay.Connection[SurveyInvitation]:
        terms, code = own_survey(info.context, partner, survey)
        wanted = store.Wanted(terms.id, code, detractors)
        rows = await store.answers(wanted, read_moment("answer", after), check_first(first) + 1)
        return page([SurveyInvitation.of(row) for row in rows], first, after, _cursor)

    @answer(
        "What a link asks. Null, whyever, where it takes no answer.",
        extensions=allow(strangers=True, member=True),
    )
    async def survey_by_token(
        self,
        info: Info,
        token: Annotated[str, strawberry.argument(description="The token of the link.")],
    ) -> Survey | None:
        place = info.context.engine.survey_tokens.read(token)
        asked = None if place is None else await info.context.loaders.invitation.load(place)
        if asked is None or not engine.takes_answer(asked, info.context.instant):
            return None
        return SurveyInvitation.of(asked).survey(info)
