"""What-if: a partner's real history judged again by other rules, and nothing booked.

Every purchase of a period is judged twice on the facts of its own day: by the rules that are in
force, and by those with a draft in place or without some of them; and what came back of it is taken
back from both, in the order of the books. An edited one is judged as its last revision. Told are
the points by currency and by rule, who would gain and lose most, who would stand on another tier.
Tiers that rules ask for are those that were held.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.bought import Bought
from core.data_rules import rule_of
from core.db import Connection, transaction
from core.errors import BadInput, PartnerRuleFailed, UnknownReference
from core.measures import Qualified
from core.qualifying import floors_from
from core.replaying import Change, Judged, Past, Side
from core.rulebook import LadderTerms, PartnerTerms, Rulebook, RuleTerms
from core.store import attributes, returns
from core.store import simulations as store
from core.tally import UseRow
from core.tiers import proven
from laurels.declarations import MeasureKind
from laurels.lasting import asks_balances

#: Purchases, and members, at a time.
CHUNK = 500
#: Seconds of judging after which others in this process have their turn.
_TURN = 0.02
#: A run in which rules fail so often in a row comes to nothing.
MOST_FAILURES = 100
#: As many members are named who would gain most, and lose most, of each currency.
NAMED = 10

#: Told how many purchases are judged, of how many; False: go no further.
Told = Callable[[int, int], Awaitable[bool]]


class StoppedError(Exception):
    """Whoever asked wants it no more."""


@dataclass(slots=True)
class Points:
    """Of one currency: what stands in the books, and what each set of rules gives.

    `outstanding` is by how much more of it (less, below zero) would not have expired by now.
    """

    booked: int = 0
    now: int = 0
    then: int = 0
    outstanding: int = 0


@dataclass(frozen=True, slots=True)
class Affected:
    """A member, and the points of a currency by the rules as they are and by the others."""

    holder: int
    currency: str
    now: int
    then: int


@dataclass(frozen=True, slots=True)
class TierShift:
    """So many members would stand on `then` of a ladder who stand on `now` (places)."""

    ladder: int
    now: int
    then: int
    members: int


@dataclass(slots=True)
class Report:
    """What the history comes to. Of `purchases`, rules `failed` on some, and left them out.

    `otherwise` are those that the rules in force judge otherwise than they were booked: rules have
    changed since. `members` are those whose points differ.
    """

    purchases: int = 0
    failed: int = 0
    otherwise: int = 0
    members: int = 0
    currencies: dict[str, Points] = field(default_factory=dict)
    rules: dict[str, list[int]] = field(default_factory=dict)
    winners: list[Affected] = field(default_factory=list)
    losers: list[Affected] = field(default_factory=list)
    tiers: list[TierShift] = field(default_factory=list)


def check_change(
    partner: PartnerTerms, change: Change, begin: datetime, end: datetime, now: datetime
) -> None:
    """Raise BadInput or UnknownReference, naming the field, where it makes no sense."""
    if end <= begin:
        raise BadInput("it ends after it begins", "until")
    if begin > now:
        raise BadInput("what has happened is judged: begin in the past", "from")
    codes = {rule.code for rule in partner.rules}
    for n, code in enumerate(change.without):
        if code not in codes:
            raise UnknownReference(f"no rule '{code[:64]}' is installed", "without", n)
    if change.draft is None:
        if not change.without:
            raise BadInput("a draft, or rules to leave out: what is to be tried?", "draft")
    elif asks_balances(rule_of(change.draft)) and not partner.balanced:
        # They are kept with a decision only where a rule asked for them.
        raise BadInput(
            "it asks for balances, which no rule here asked for, so none were kept", "draft"
        )


class _Sums:
    """What is added up on the way."""

    def __init__(self, rulebook: Rulebook, partner: PartnerTerms, now: datetime) -> None:
        self.report = Report()
        self._now = now
        self._partner = partner
        self._codes = {c.id: c.code for c in rulebook.currencies.values()}
        self._measured = {
            x.measure.unit for x in rulebook.ladders.values() if _earned(x)
        }  # fmt: skip
        self.members: dict[tuple[int, str], list[int]] = {}
        self.qualified: dict[tuple[int, str], list[Qualified]] = {}

    def add(self, bought: Bought, now: Sequence[Judged], then: Sequence[Judged]) -> None:
        """One purchase, judged both ways."""
        booked: Counter[str] = Counter()
        for award, points in zip(bought.given, bought.entitled(), strict=True):
            booked[self._codes.get(award.currency, "")] += points
        sums: dict[str, list[int]] = {code: [n, 0, 0] for code, n in booked.items() if code}
        at = bought.occurred_at
        counted: Counter[tuple[str, datetime]] = Counter()
        for place, sign, judged in ((1, -1, now), (2, 1, then)):
            for given in judged:
                code, points = given.currency, given.points
                sums.setdefault(code, [0, 0, 0])[place] += points
                self.report.rules.setdefault(given.rule.rule.code, [0, 0])[place - 1] += points
                for since, change in given.steps:
                    counted[code, since] += sign * change
                if self._lasts(given.rule, code, at):
                    figures = self.report.currencies.setdefault(code, Points())
                    figures.outstanding += sign * points
        for (code, since), amount in counted.items():
            if amount and code in self._measured:
                moved = self.qualified.setdefault((bought.holder, code), [])
                moved.append(Qualified(at, since, amount))
        for code, (stands, was, would) in sums.items():
            figures = self.report.currencies.setdefault(code, Points())
            figures.booked += stands
            figures.now += was
            figures.then += would
            mine = self.members.setdefault((bought.holder, code), [0, 0])
            mine[0] += was
            mine[1] += would
        self.report.otherwise += any(stands != was for stands, was, _ in sums.values())

    def _lasts(self, rule: RuleTerms, code: str, at: datetime) -> bool:
        ends = rule.policy(self._partner.issues[code]).policy.life(at).expires_at
        return ends is None or ends > self._now

    def close(self) -> None:
        """Who gains and loses most."""
        moved = [
            Affected(holder, code, was, would)
            for (holder, code), (was, would) in self.members.items()
            if was != would
        ]
        self.report.members = len({x.holder for x in moved})
        for code in sorted({x.currency for x in moved}):
            own = sorted(
                (x for x in moved if x.currency == code), key=lambda x: (x.then - x.now, x.holder)
            )
            self.report.losers += [x for x in own if x.then < x.now][:NAMED]
            self.report.winners += [x for x in reversed(own) if x.then > x.now][:NAMED]


def _earned(ladder: LadderTerms) -> bool:
    return ladder.measure.kind is MeasureKind.EARNED


async def simulate(
    rulebook: Rulebook,
    partner: PartnerTerms,
    change: Change,
    begin: datetime,
    end: datetime,
    now: datetime,
    told: Told,
) -> Report:
    """Judge a partner's purchases of [begin, end) both ways, as they were booked. Books nothing.

    Reads one snapshot of the books. Raises StoppedError where `told` says to stop, and BadInput
    where rules fail again and again.
    """
    sums = _Sums(rulebook, partner, now)
    sides = Side(rulebook, partner, None, now), Side(rulebook, partner, change, now)
    async with transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        total = await store.count(connection, partner.id, begin, end)
        await told(0, total)
        for side in sides:
            await _earlier(connection, partner, side, begin)
        replay = _Replay(sides, sums)
        async for chunk in store.events(connection, partner.id, begin, end, CHUNK):
            await replay.go(connection, chunk)
            if not await told(sums.report.purchases, total):
                raise StoppedError
        sums.close()
        for ladder in rulebook.ladders.values():
            if _earned(ladder):
                sums.report.tiers += await _shifts(connection, ladder, sums.qualified, now)
    return sums.report


class _Replay:
    """Goes through purchases and what came back of them, in the order in which they were booked."""

    def __init__(self, sides: tuple[Side, Side], sums: _Sums) -> None:
        self._sides = sides
        self._sums = sums
        self._open: dict[int, tuple[Bought, Past, Past]] = {}
        self._failures = 0
        self._turn = time.monotonic()

    async def go(self, connection: Connection, chunk: Sequence[store.Step]) -> None:
        """One chunk of events, oldest first."""
        bought = [step.event for step in chunk if step.purchase is None]
        found: dict[int, Bought] = {}
        if bought:
            histories, lines = await returns.history(connection, bought)
            found = Bought.gather(histories, lines)
            keys = [(b.holder, n) for b in found.values() for n in b.noted]
            noted = await attributes.recalled(connection, keys)
            for each in found.values():
                each.recall(noted)
        for step in chunk:
            if time.monotonic() - self._turn > _TURN:
                await asyncio.sleep(0)  # others in this process have their turn
                self._turn = time.monotonic()
            if step.purchase is None:
                self._buy(found[step.event])
            else:
                self._return(step.purchase)

    def _buy(self, bought: Bought) -> None:
        report = self._sums.report
        report.purchases += 1
        try:
            judged = [side.judge(bought) for side in self._sides]
        except PartnerRuleFailed as failed:
            report.failed += 1
            self._failures += 1
            if self._failures == MOST_FAILURES:
                raise BadInput(f"rules failed {MOST_FAILURES} times in a row: {failed}") from failed
            return
        self._failures = 0
        now, then = (
            side.count(bought, *found) for side, found in zip(self._sides, judged, strict=True)
        )
        self._settle(bought, now, then)

    def _return(self, purchase: int) -> None:
        known = self._open.pop(purchase, None)
        if known is None:
            return  # its purchase lies before the period, or a rule failed on it
        bought, now, then = known
        when, after = bought.stages[len(now.bought.stages)]
        for side, past in zip(self._sides, (now, then), strict=True):
            side.take_back(past, when, after)
        self._settle(bought, now, then)

    def _settle(self, bought: Bought, now: Past, then: Past) -> None:
        """Add it up, where nothing more came back of it."""
        if len(now.bought.stages) < len(bought.stages):
            self._open[bought.event] = (bought, now, then)
        else:
            self._sums.add(bought, now.judged, then.judged)


async def _earlier(
    connection: Connection, partner: PartnerTerms, side: Side, begin: datetime
) -> None:
    """What caps, budgets and carry-overs had counted before the period, where that bears on it."""
    since = side.everything().uses_since(begin)
    async for rows in store.uses_before(connection, partner.id, since, begin, CHUNK):
        side.tally.take(UseRow(*row) for row in rows)
        await asyncio.sleep(0)
    for key, period, points in await store.budgets_before(connection, partner.id, begin):
        side.tally.taken[partner.id, key.partition(":")[2], period] = points
    for holder, rule, amount in await store.carried_before(connection, partner.id, begin):
        side.tally.carried[holder, partner.id, rule] = amount


async def _shifts(
    connection: Connection,
    ladder: LadderTerms,
    qualified: Mapping[tuple[int, str], Sequence[Qualified]],
    now: datetime,
) -> list[TierShift]:
    """Who would stand elsewhere on a ladder today."""
    moved = {h: rows for (h, code), rows in qualified.items() if code == ladder.measure.unit}
    shifts: Counter[tuple[int, int]] = Counter()
    holders = sorted(moved)
    for start in range(0, len(holders), CHUNK):
        part = holders[start : start + CHUNK]
        for holder, enrolled, own, given in await store.standings(connection, ladder.id, part):
            rows = [Qualified(*row) for row in own]
            floors = floors_from(given)
            was = proven(ladder, rows, enrolled, floors, now)[1]
            would = proven(ladder, [*rows, *moved[holder]], enrolled, floors, now)[1]
            if was != would:
                shifts[was, would] += 1
        await asyncio.sleep(0)
    return [TierShift(ladder.id, a, b, n) for (a, b), n in sorted(shifts.items())]
