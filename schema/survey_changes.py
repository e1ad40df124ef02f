"""Commands on surveys: answer by a link or as the member, and note that somebody followed up.

What keeps a link from being used twice stands in `core.surveys`.
"""

from __future__ import annotations

from typing import Annotated

import strawberry

from core import surveys as engine
from core.errors import BadInput, NotAllowed, UnknownReference
from schema.access import SERVICE, allow_change
from schema.acts import watch_member
from schema.context import Info
from schema.errors import (
    BadInputError,
    NotAllowedError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import change
from schema.ids import parse_numbers
from schema.surveys import SurveyAnswer, SurveyInvitation, visible_invitation


@strawberry.input(description="An answer to a survey.")
class AnswerSurveyInput:
    """By a link's token, or by a member to its own invitation."""

    token: strawberry.Maybe[str] = strawberry.field(description="The token of the link.")
    invitation: strawberry.Maybe[strawberry.ID] = strawberry.field(
        description="The invitation, of the member whose token this is; in place of a link's token."
    )
    score: strawberry.Maybe[int] = strawberry.field(
        description="The score: of NPS 0 to 10, of CSAT 1 to 5, of words alone none."
    )
    comment: str = strawberry.field(
        description="Words, up to 2000 characters, which can be erased later.", default=""
    )


@strawberry.type(description="The answer stands.")
class SurveyAnswered:
    """Now, or since before."""

    answer: SurveyAnswer = strawberry.field(description="The answer.")
    replayed: bool = strawberry.field(description="Whether this very answer stood before.")


@strawberry.type(description="It is noted that somebody spoke with who answered.")
class SurveyFollowedUp:
    """Now, or since before."""

    invitation: SurveyInvitation = strawberry.field(description="The invitation.")


AnswerResult = Annotated[
    SurveyAnswered | BadInputError | UnknownReferenceError | NotAllowedError | WrongStateError,
    strawberry.union("AnswerSurveyResult", description="The answer, or why it isn't taken."),
]
FollowUpResult = Annotated[
    SurveyFollowedUp | BadInputError | UnknownReferenceError | WrongStateError,
    strawberry.union("FollowUpSurveyResult", description="The invitation, or why not."),
]


@strawberry.type(description="Commands on surveys.")
class SurveyMutations:
    """Root fields."""

    @change(
        "Answer a survey, once. Safe to send again: the same answer is answered as it was; another "
        "one is refused. A link that is wrong, used or too late is refused in the same words.",
        extensions=allow_change(strangers=True, member=True),
    )
    async def answer_survey(
        self,
        info: Info,
        input: Annotated[AnswerSurveyInput, strawberry.argument(description="The answer.")],
    ) -> AnswerResult | None:
        context = info.context
        given = engine.Given(None if input.score is None else input.score.value, input.comment)
        if (input.token is None) == (input.invitation is None):
            raise BadInput("either a token or an invitation is wanted", "token")
        if input.token is not None:
            done = await engine.answer_by_token(
                context.engine, input.token.value, given, context.instant
            )
        else:
            assert input.invitation is not None
            own = context.viewer.holder
            if own is None:
                raise NotAllowed("without a member's token a link's token is wanted", "token")
            holder, number = parse_numbers(
                context, "SurveyInvitation", input.invitation.value, 2, "invitation"
            )
            if holder != own:
                raise UnknownReference("no such invitation", "invitation")
            done = await engine.answer(context.engine, own, number, given, context.instant)
        answer = SurveyAnswer.of(done.asked)
        assert answer is not None
        return SurveyAnswered(answer=answer, replayed=done.replayed)

    @change(
        "Note that somebody spoke with the member about its answer. Safe to send again: the first "
        "time stands.",
        extensions=allow_change(partner="engagement:write", admin=SERVICE),
    )
    async def follow_up_survey(
        self,
        info: Info,
        invitation: Annotated[strawberry.ID, strawberry.argument(description="Which one.")],
    ) -> FollowUpResult | None:
        context = info.context
        holder, number = parse_numbers(context, "SurveyInvitation", invitation, 2, "invitation")
        if await visible_invitation(info, holder, number) is None:
            raise UnknownReference("no such invitation", "invitation")
        await watch_member(context, holder)
        found = await engine.follow_up(holder, number, context.instant)
        return SurveyFollowedUp(invitation=SurveyInvitation.of(found))
