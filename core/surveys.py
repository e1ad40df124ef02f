"""Surveys: whom to ask after what happened, and the one answer to each invitation.

What happened is planned for as it is told (`plan`), and asked when its time has come (`invite`), in
batches of a fixed number of statements. With the answer rules are to be told of it in the same
transaction, as of any occasion (`core.occasions`): so it gives points once, or none are lost. What
was answered, rules aren't told: points must not depend on it. Knows no webhook and no link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core.db import Connection, transaction
from core.errors import BadInput, NotAllowed, UnknownReference, WrongState
from core.noted import Occasion
from core.occasions import follow
from core.outbox import Told
from core.posting import Engine
from core.purchases import check_text
from core.rulebook import PartnerTerms, Rulebook
from core.store import attributes
from core.store import surveys as store
from core.store.posting import lock_holders
from core.store.surveys import LONGEST_COMMENT, AnswerRow, Asked, DueRow, Happened, InvitationRow
from core.store.writes import ChangeRow
from laurels.activities import SURVEY_ANSWERED
from laurels.surveys import Survey, SurveyKind

#: Invitations in one transaction.
BATCH = 500
#: What a rule finds of the answer: to which survey.
SURVEY = "survey"


@dataclass(frozen=True, slots=True)
class Given:
    """What a member answers. `comment` may be empty."""

    score: int | None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """An invitation with its answer; `replayed` where this very answer stood before."""

    asked: Asked
    replayed: bool = False


def occasion_of(invitation: int) -> str:
    """By what name rules are told that a survey was answered."""
    return f"survey:{invitation}"


async def plan(
    connection: Connection, rulebook: Rulebook, changes: Sequence[ChangeRow], now: datetime
) -> None:
    """Plan to ask after these changes, as they are told. In three statements, or none."""
    asking = {p.id: p for p in rulebook.partners.values() if p.surveys}
    events = sorted({c.event for c in changes if c.partner in asking})
    if not events:
        return
    rows = [
        row
        for what in await store.happened(connection, events)
        for row in _planned(asking[what.partner], what, now)
    ]
    if rows:
        # Of the living: who is being erased would leave a trace.
        living = await lock_holders(connection, sorted({r.holder for r in rows}), living=True)
        await store.plan(connection, [row for row in rows if row.holder in living])


def _planned(partner: PartnerTerms, what: Happened, now: datetime) -> list[DueRow]:
    found = []
    for survey in partner.surveys.values():
        at = survey.waits.after(what.at, partner.time_zone)
        # What was told so late that an answer would be, too, is past asking.
        if survey.after == what.type and survey.length.after(at, partner.time_zone) > now:
            found.append(DueRow(what.holder, what.event, survey.code, partner.id, at))
    return found


async def invite(engine: Engine, now: datetime) -> int:
    """Ask whom it is time to ask: how many were invited. Several processes may do so at once."""
    invited = 0
    while True:
        async with transaction() as connection:
            due = await store.claim(connection, now, BATCH)
            if due:
                invited += await _invite(connection, engine, due, now)
        if len(due) < BATCH:
            return invited


async def _invite(
    connection: Connection, engine: Engine, due: Sequence[DueRow], now: datetime
) -> int:
    """Those of them who weren't asked too lately, each once."""
    holders = sorted({row.holder for row in due})
    known = await lock_holders(connection, holders, living=True)
    keys = sorted({(row.holder, row.partner, row.survey) for row in due})
    last = await store.last_asked(connection, keys)
    rows = []
    ids = await engine.ids.take(len(due))
    for number, row in zip(ids, due, strict=True):
        partner = engine.rulebook.partner_by_id(row.partner)
        survey = None if partner is None else partner.surveys.get(row.survey)
        if partner is None or survey is None or row.holder not in known:
            continue  # it isn't asked any more
        key = (row.holder, row.partner, row.survey)
        before = last.get(key)
        if before is not None and survey.between.after(before, partner.time_zone) > now:
            continue
        last[key] = now
        until = survey.length.after(now, partner.time_zone)
        rows.append(
            InvitationRow(row.holder, number, row.partner, row.survey, row.event, now, until)
        )
    if rows:
        await store.invite(connection, rows, Told.SURVEY_INVITED)
    return len(rows)


def survey_of(rulebook: Rulebook, asked: InvitationRow) -> Survey | None:
    """What was asked; None where it isn't declared any more."""
    partner = rulebook.partner_by_id(asked.partner)
    return None if partner is None else partner.surveys.get(asked.survey)


def takes_answer(asked: Asked, now: datetime) -> bool:
    """Whether it is open."""
    return asked.answer is None and now < asked.invitation.until


async def answer_by_token(engine: Engine, token: str, given: Given, now: datetime) -> Answered:
    """Take the answer of whoever has the link. The same call again answers as the first did.

    Raises BadInput; NotAllowed, in the same words, for a token that is wrong, used or too late.
    """
    _check(given)
    place = engine.survey_tokens.read(token)
    if place is None:
        raise _closed()
    try:
        return await _answer(engine, *place, given, now)
    except (UnknownReference, WrongState):
        raise _closed() from None


def _closed() -> NotAllowed:
    return NotAllowed("this link doesn't take an answer (any more)", "token")


async def answer(
    engine: Engine, holder: int, invitation: int, given: Given, now: datetime
) -> Answered:
    """Take the member's answer to its invitation. The same call again answers as the first did.

    Raises BadInput; UnknownReference for no invitation of this member's; WrongState for one that
    is answered otherwise, or over.
    """
    _check(given)
    return await _answer(engine, holder, invitation, given, now)


def _check(given: Given) -> None:
    check_text(given.comment, "comment", LONGEST_COMMENT)


async def _answer(
    engine: Engine, holder: int, invitation: int, given: Given, now: datetime
) -> Answered:
    async with transaction() as connection:
        living = await lock_holders(connection, [holder], living=True)
        asked = await store.read(connection, holder, invitation)
        if asked is None or not living:
            raise UnknownReference("no such invitation", "invitation")
        if asked.answer is not None:
            if (asked.answer.score, asked.answer.comment or "") == (given.score, given.comment):
                return Answered(asked, replayed=True)
            raise WrongState("it is answered already", "invitation")
        survey = survey_of(engine.rulebook, asked.invitation)
        if survey is None or now >= asked.invitation.until:
            raise WrongState("it takes no answers any more", "invitation")
        _check_fits(survey, given)
        row = AnswerRow(survey.kind, given.score, now, None, given.comment or None)
        unhappy = survey.kind.is_detractor(given.score)
        change = Told.SURVEY_DETRACTOR if unhappy else Told.SURVEY_ANSWERED
        await store.answer(connection, asked.invitation, row, change)
        await attributes.occur(connection, [_occasion(asked.invitation, now)], now)
    await follow(engine, now, [holder])
    return Answered(Asked(asked.invitation, row))


def _check_fits(survey: Survey, given: Given) -> None:
    """Raise BadInput unless it answers what was asked."""
    if not survey.kind.takes(given.score):
        wanted = {
            SurveyKind.NPS: "a score is from 0 to 10",
            SurveyKind.CSAT: "a score is from 1 to 5",
            SurveyKind.TEXT: "this question takes no score",
        }
        raise BadInput(wanted[survey.kind], "score")
    if given.comment and not survey.comment:
        raise BadInput("this question takes no comment", "comment")
    if survey.kind is SurveyKind.TEXT and not given.comment.strip():
        raise BadInput("a few words are wanted", "comment")


def _occasion(asked: InvitationRow, at: datetime) -> Occasion:
    return Occasion(
        asked.partner, occasion_of(asked.id), asked.holder, SURVEY_ANSWERED,
        {SURVEY: asked.survey}, at,
    )  # fmt: skip


async def follow_up(holder: int, invitation: int, now: datetime) -> Asked:
    """Note that somebody spoke with who answered. Safe to say again: the first time stands.

    Raises WrongState where there is no answer yet.
    """
    async with transaction() as connection:
        await lock_holders(connection, [holder])
        asked = await store.read(connection, holder, invitation)
        if asked is None or asked.answer is None:
            raise WrongState("it isn't answered", "invitation")
        await store.follow_up(connection, holder, invitation, now)
        found = await store.read(connection, holder, invitation)
    assert found is not None
    return found
