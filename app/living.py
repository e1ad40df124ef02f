"""The days of the demo lived through the engine's own doors: a batch a day for each kind of act.

Whatever is refused is meant to be (a forged receipt, a tier too low); all else is a fault and
stops the life. A day that is lived twice is booked once. Who does what is `app.lives`' affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from app.doing import Doing
from app.lives import Back, Day, Look, Visit, lives
from app.population import Persona
from core.adjustments import AdjustRequest, adjust
from core.errors import IdempotencyConflict, NotAllowed, NotEligible, Refusal, WrongState
from core.fulfilments import DecideRequest, decide
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.posting import Engine
from core.pricing import RedeemRequest
from core.purchases import Incoming, LineInput, PurchaseInput, check_purchase
from core.redeemed import Redemption
from core.redemptions import confirm, redeem
from core.referrals import code_of
from core.returning import record
from core.returns import ReturnedLine, ReturnInput, Unit, check_cancel, check_return
from core.reversals import ReverseRequest, reverse_redemption
from core.store import reads
from laurels.activities import ENROLMENT
from laurels.durations import Duration

_CLOSING = time(20, 0)
_MINUTE = timedelta(minutes=1)
_CALLER = "admin:demo"
#: A rule that took longer than a rule may, for the machine was busy, is asked once more, as a till
#: sends again what was refused so.
_ATTEMPTS = 3
#: Up to which fate a look ends so: taken at once, held and left, held and handed over, taken back,
#: and a complaint that support makes good. Beyond the last one it was a look and no more.
_TAKEN, _LEFT, _HANDED_OVER, _TAKEN_BACK, _MADE_GOOD = 0.66, 0.76, 0.84, 0.89, 0.93


class Coalition:
    """People and their days, in the books of one engine. A life that stopped goes on."""

    def __init__(
        self, engine: Engine, people: Sequence[Persona], seed: int, began: date, until: date
    ) -> None:
        self._engine = engine
        self._zone = ZoneInfo(engine.rulebook.time_zone)
        self._people = people
        self._began = began
        self._holders: dict[str, int] = {}
        self._days = lives(people, seed, began, until, self._zone)
        self._pastimes = Doing(engine)

    @property
    def holders(self) -> Mapping[str, int]:
        """Of all who have joined, by card."""
        return self._holders

    async def remember(self, day: date) -> None:
        """Who joined before this day, for a life that goes on."""
        joined = [p for p in self._people if self._began + timedelta(days=p.joins) < day]
        await self._join(joined, datetime.combine(day, time(), self._zone))

    async def live(self, day: date) -> None:
        """Everything that happens on a day."""
        acts = self._days.get(day, Day())
        evening = datetime.combine(day, _CLOSING, self._zone)
        await self._join(acts.joins, datetime.combine(day, time(7), self._zone))
        await self._buy(acts.visits, evening)
        await self._bring_back(acts.backs, evening)
        await self._look(acts.looks, evening + _MINUTE)
        await self._pastimes.do(acts.pastimes, self._holders, evening + 2 * _MINUTE)

    async def _join(self, people: Sequence[Persona], at: datetime) -> None:
        partners = self._engine.rulebook.partners
        for person in people:
            friend = self._holders.get(person.referred_by or "")
            # Who knows the web shop is recommended to it: it is the one that thanks friends.
            known = sorted(person.habits, key=lambda x: friend is None or x != "shop")
            at_first = next((partners[x] for x in known if x in partners), None)
            code = None
            if friend is not None and at_first is not None:
                code = await code_of(friend, at)
            enrolment = Enrolment(
                [
                    MemberRef.make(IdentifierKind.EMAIL, person.email),
                    MemberRef.make(IdentifierKind.CARD, person.card),
                ],
                person.name,
                partner=None if at_first is None else at_first.id,
                birthday=person.birthday,
                referred_by=code,
                greeted=at_first is not None and ENROLMENT in at_first.triggers,
            )
            ((holder, _),) = await enrol(self._engine.ids, [enrolment], at)
            self._holders[person.card] = holder

    async def _buy(self, visits: Sequence[Visit], now: datetime) -> None:
        items = [item for visit in visits for item in self._receipts(visit)]
        for attempt in range(_ATTEMPTS):
            outcomes = await self._engine.record_purchases(items, now)
            # A receipt that was forged is refused: its number stands for another one.
            refused = [
                x for x in outcomes
                if isinstance(x, Refusal) and not isinstance(x, IdempotencyConflict)
            ]  # fmt: skip
            if not refused:
                return
            if attempt == _ATTEMPTS - 1:
                raise refused[0]

    def _receipts(self, visit: Visit) -> list[Incoming]:
        terms = self._engine.rulebook.partners.get(visit.partner)
        if terms is None:
            return []

        def sent(lines: Sequence[tuple[str, str]]) -> Incoming:
            given = PurchaseInput(
                visit.external_id, MemberRef.make(IdentifierKind.CARD, visit.person.card), visit.at,
                min(terms.trades_in), [LineInput(kind, amount) for kind, amount in lines],
                tender=visit.tender,
            )  # fmt: skip
            return check_purchase(terms, given)

        once = sent(visit.lines)
        again = [once] if visit.twice else []
        if visit.forged:
            again.append(sent([(kind, f"{10 * float(x):.2f}") for kind, x in visit.lines]))
        return [once, *again]

    async def _bring_back(self, backs: Sequence[Back], now: datetime) -> None:
        units = [unit for back in backs if (unit := self._unit(back, now)) is not None]
        for outcome in await record(self._engine, units, now):
            if isinstance(outcome, Refusal):
                raise outcome

    def _unit(self, back: Back, now: datetime) -> Unit | None:
        terms = self._engine.rulebook.partners.get(back.visit.partner)
        if terms is None:
            return None
        bought = back.visit.external_id
        if back.line is None:
            return check_cancel(terms, bought, now)
        lines = [ReturnedLine(back.line, quantity="1")]
        return check_return(terms, ReturnInput(f"{bought}-back", bought, now, lines))

    async def _look(self, looks: Sequence[Look], now: datetime) -> None:
        holders = [self._holders[look.person.card] for look in looks]
        has = {(row[0], row[1]): row[2] for row in await reads.balances(holders, now)}
        for look, holder in zip(looks, holders, strict=True):
            if _TAKEN_BACK <= look.fate < _MADE_GOOD:
                await self._make_good(look, holder, now)
            elif look.fate < _TAKEN_BACK:
                await self._take(look, holder, has, now)

    async def _take(
        self, look: Look, holder: int, has: Mapping[tuple[int, int], int], now: datetime
    ) -> None:
        wanted = sorted(
            (partner.code, code, currency)
            for partner in self._engine.rulebook.partners.values()
            for code, reward in partner.rewards.items()
            for currency, price in reward.reward.prices.items()
            if currency in partner.accepts
            and has.get((holder, partner.accepts[currency].id), 0) >= price
        )
        if not wanted:
            return
        key = f"{look.person.card}-{look.number}"
        partner, reward, currency = Random(key).choice(wanted)
        terms = self._engine.rulebook.partners[partner].rewards[reward].reward
        plain = terms.fulfilled is None and not terms.made
        held = plain and _TAKEN <= look.fate < _HANDED_OVER
        request = RedeemRequest(
            _CALLER, key, partner, holder, reward, currency, Duration(2, "D") if held else None
        )
        try:
            taken = await redeem(self._engine, request, now)
        except (NotEligible, IdempotencyConflict):
            return  # a tier too low, the shelf empty; or the day was begun before, and stopped
        if terms.fulfilled is not None:
            await self._hand_out(look, taken, key, now)
        elif plain:
            await self._afterwards(look, taken, key, now)

    async def _afterwards(self, look: Look, taken: Redemption, key: str, now: datetime) -> None:
        try:
            if _LEFT <= look.fate < _HANDED_OVER:
                await confirm(
                    self._engine, taken.holder, taken.id, _CALLER, f"{key}-over", now + _MINUTE
                )
            elif look.fate >= _HANDED_OVER:
                request = ReverseRequest(
                    _CALLER, f"{key}-back", taken.holder, taken.id, "damaged", by_admin=True
                )
                await reverse_redemption(self._engine, request, now + _MINUTE)
        except (NotAllowed, WrongState):
            return  # its terms don't take it back; or the day was begun before, and stopped

    async def _hand_out(self, look: Look, asked: Redemption, key: str, now: datetime) -> None:
        """By a person: most are approved and delivered, some declined, and some wait."""
        if look.fate >= _LEFT:
            return
        approved = look.fate < _TAKEN
        request = DecideRequest(
            _CALLER, f"{key}-decided", asked.holder, asked.id, approved,
            "" if approved else "It is sold out: choose another one, please.",
        )  # fmt: skip
        try:
            await decide(self._engine, request, now + _MINUTE)
            if approved:
                await confirm(
                    self._engine, asked.holder, asked.id, _CALLER, f"{key}-over", now + 2 * _MINUTE
                )
        except WrongState:
            return  # the day was begun before, and stopped

    async def _make_good(self, look: Look, holder: int, now: datetime) -> None:
        partner = next(
            (x for c in look.person.habits if (x := self._engine.rulebook.partners.get(c))), None
        )
        if partner is None or not partner.issues:
            return
        request = AdjustRequest(
            _CALLER, f"{look.person.card}-{look.number}-good", "admin", holder,
            min(partner.issues), 25, "goodwill",
        )  # fmt: skip
        await adjust(self._engine, request, now)
