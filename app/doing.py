"""What people do besides shopping, booked: as `app.living` books what they buy.

What is refused is meant to be: a walk that is full, a month's sparks given away, a trial had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta

from app.pastimes import (
    Answer,
    Colleague,
    Membership,
    Pastime,
    Review,
    Seat,
    Step,
    Thanks,
    Walk,
)
from core import surveys
from core.activities import ActivityInput, check_activity
from core.attending import CheckInRequest, check_in
from core.check_in_codes import CheckInCodes
from core.db import reading
from core.errors import IdempotencyConflict, NotAllowed, NotEligible, Refusal, WrongState
from core.gifts import GiveRequest, give
from core.meetups import MeetupRequest, create, register
from core.members import IdentifierKind, MemberRef
from core.memberships import TermRequest, Which, begin_term, cancel
from core.occasions import note
from core.posting import Engine
from core.rulebook import PartnerTerms
from core.signing import Secrets
from core.store import meetups as store
from core.store import surveys as survey_rows
from laurels.effects import enter_segment, set_attribute

_CALLER = "admin:demo"
_PLAN, _FEE = "plus", "monthly"
_NEWEST = 2**63 - 1
#: Where all walks begin.
_LATITUDE, _LONGITUDE = 39.74, -104.99
_EXPECTED = (NotEligible, NotAllowed, WrongState, IdempotencyConflict)


class Doing:
    """Does pastimes in the books of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Made and read in one breath: nobody else is ever shown one.
        self._codes = CheckInCodes(Secrets("of the demo's own walks"))

    async def do(
        self, pastimes: Sequence[Pastime], holders: Mapping[str, int], now: datetime
    ) -> None:
        """Everything of one day, each on its own."""
        for pastime in pastimes:
            try:
                await self._one(pastime, holders, now)
            except _EXPECTED:
                continue

    async def _one(self, pastime: Pastime, holders: Mapping[str, int], now: datetime) -> None:
        match pastime:
            case Membership():
                await self._membership(pastime, holders[pastime.person.card], now)
            case Review():
                await self._review(pastime, now)
            case Walk():
                await self._invite(pastime, now)
            case Seat():
                await self._seat(pastime, holders[pastime.person.card], now)
            case Colleague():
                await self._employ(pastime, holders[pastime.person.card], now)
            case Answer():
                await self._answer(pastime, holders[pastime.person.card], now)
            case Thanks():
                await self._thank(pastime, holders, now)

    def _partner(self, code: str) -> PartnerTerms | None:
        return self._engine.rulebook.partners.get(code)

    async def _membership(self, step: Membership, holder: int, now: datetime) -> None:
        partner = self._partner("marketplace")
        if partner is None:
            return
        name = f"{step.person.card}-plus-{step.number}"
        which = Which(_CALLER, name, partner.code, _PLAN, holder)
        if step.step is Step.CANCELLED:
            await cancel(self._engine, which, now)
            return
        if step.step is Step.TRIAL:
            request = TermRequest(which, renewal=False, renews=_FEE, chosen=True)
        else:
            fee = partner.plans[_PLAN].fee(_FEE)
            paid = None if fee is None else fee.price
            request = TermRequest(which, renewal=True, fee=_FEE, paid=paid, payment=name)
        await begin_term(self._engine, request, now)

    async def _review(self, review: Review, now: datetime) -> None:
        partner = self._partner("shop")
        if partner is None:
            return
        card = MemberRef.make(IdentifierKind.CARD, review.person.card)
        told = ActivityInput(f"{review.person.card}-{review.number}", card, now, "review", {})
        (outcome,) = await self._engine.record_activities([check_activity(partner, told)], now)
        if isinstance(outcome, Refusal):
            raise outcome

    async def _invite(self, walk: Walk, now: datetime) -> None:
        partner = self._partner("outdoors")
        if partner is None:
            return
        starts = datetime.combine(walk.on, time(10), now.tzinfo)
        request = MeetupRequest(
            walk.code, f"A walk: {walk.trail}", "Union Station", _LATITUDE, _LONGITUDE, 500,
            starts, starts + timedelta(hours=12), capacity=25, tags=(walk.trail,),
        )  # fmt: skip
        await create(self._engine, partner, request, now)

    async def _seat(self, seat: Seat, holder: int, now: datetime) -> None:
        partner = self._partner("outdoors")
        if partner is None:
            return
        if not seat.arrives:
            await register(self._engine, holder, partner, seat.walk, now)
            return
        async with reading() as connection:
            meetup = await store.find(connection, partner.id, seat.walk)
            known = (
                None if meetup is None else await store.registration(connection, holder, meetup.id)
            )
        if meetup is None or known is None:  # it was full, and whoever got no place stays at home
            return
        shown = self._codes.make(meetup.id, partner.pseudonyms.of(holder), now)
        request = CheckInRequest(partner, shown.text, _LATITUDE, _LONGITUDE)
        await check_in(self._engine, self._codes, request, now)

    async def _employ(self, colleague: Colleague, holder: int, now: datetime) -> None:
        partner, team = self._partner("workplace"), colleague.person.team
        if partner is not None and team is not None:
            effects = [set_attribute("team", team), enter_segment("colleague")]
            await note(self._engine, partner, holder, effects, now)

    async def _answer(self, answer: Answer, holder: int, now: datetime) -> None:
        partner = self._partner("voice")
        if partner is None:
            return
        given = surveys.Given(answer.score, answer.comment)
        found = await survey_rows.of_holders([holder], _NEWEST, 1, partner.id, answered=False)
        for asked in found.get(holder, []):
            if surveys.takes_answer(asked, now):
                await surveys.answer(self._engine, holder, asked.invitation.id, given, now)

    async def _thank(self, thanks: Thanks, holders: Mapping[str, int], now: datetime) -> None:
        partner = self._partner("workplace")
        if partner is None:
            return
        request = GiveRequest(
            _CALLER, f"{thanks.person.card}-{thanks.number}-thanks", partner.code,
            holders[thanks.person.card], holders[thanks.to.card], thanks.points, thanks.value,
            thanks.words,
        )  # fmt: skip
        await give(self._engine, request, now)
