"""What-if: a partner's real history judged again by other rules, and nothing booked.

Every purchase of a period is judged twice on the facts of its own day: by the rules that are in
force, and by those with a draft in place or without some of them. Told are the points by currency
and by rule, who would gain and lose most, and who would stand on another tier. What came back of a
purchase counts no more here than in the books. Tiers that rules ask for are those that were held.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.bought import Bought
from core.containment import Containment
from core.data_rules import rule_of
from core.db import Connection, transaction
from core.entitlement import Given
from core.errors import BadInput, PartnerRuleFailed, UnknownReference
from core.measures import Qualified
from core.qualifying import floors_from
from core.rule_definitions import RuleDefinition
from core.rulebook import LadderTerms, PartnerTerms, Rulebook, RuleTerms
from core.store import returns
from core.store import simulations as store
from core.tally import Tally, UseRow, carried_by
from core.tiers import proven
from laurels.declarations import MeasureKind

#: Purchases, and members, at a time.
CHUNK = 500
#: So many judgments are made before others in this process have their turn.
_TURN = 16
#: As many members are named who would gain most, and lose most, of each currency.
NAMED = 10

#: Told how many purchases are judged, of how many; False: go no further.
Told = Callable[[int, int], Awaitable[bool]]


class StoppedError(Exception):
    """Whoever asked wants it no more."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is tried: a draft rule (in place of one of its code), and codes of rules taken out."""

    draft: RuleDefinition | None = None
    without: tuple[str, ...] = ()


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
    if change.draft is None and not change.without:
        raise BadInput("a draft, or rules to leave out: what is to be tried?", "draft")


@dataclass(frozen=True, slots=True)
class _Judged:
    """What one rule gives, and what came back of it: by when each counts on ladders."""

    rule: RuleTerms
    currency: str
    steps: tuple[tuple[datetime, int], ...]

    @property
    def points(self) -> int:
        """What is still earned."""
        return sum(points for _, points in self.steps)


class _Side:
    """One set of rules, with what they have given so far by caps, budgets and carry-overs."""

    def __init__(self, terms: PartnerTerms, change: Change | None, earlier: Tally) -> None:
        self._terms = terms
        self._change = change
        self._rule = None
        if change is not None and change.draft is not None:
            self._rule = rule_of(change.draft)
        self._changed: dict[int, tuple[PartnerTerms, PartnerTerms]] = {}
        self._containment = Containment()
        self._tally = Tally(
            {key: dict(rows) for key, rows in earlier.uses.items()},
            dict(earlier.taken),
            dict(earlier.carried),
        )

    def at(self, instant: datetime) -> PartnerTerms:
        """The partner with the rules of an instant."""
        terms = self._terms.at(instant)
        if self._change is None:
            return terms
        found = self._changed.get(id(terms))
        if found is None:
            gone = set(self._change.without)
            if self._change.draft is not None:
                gone.add(self._change.draft.code)
            earn = [r for r in terms.earn if r.rule.code not in gone]
            if self._rule is not None:
                earn.append(RuleTerms(0, self._rule))
            # Kept beside what it was made of: or another might be made where that one stood.
            found = self._changed[id(terms)] = (terms, replace(terms, earn=tuple(earn)))
        return found[1]

    def judge(self, bought: Bought) -> list[_Judged]:
        """What each rule gives, and what of it came back. Raises PartnerRuleFailed."""
        partner = self.at(bought.occurred_at)
        receipt = bought.receipt(partner)
        facts = self._tally.facts(partner, receipt, bought.holder, bought.visits, bought.tiers)
        evaluation = self._containment.judge(partner, receipt, facts, tentative=True)
        self._tally.count(partner, evaluation, receipt, bought.holder, bought.event)
        self._tally.carry_on(
            partner.id, bought.holder, carried_by(partner, receipt, facts, evaluation)
        )
        self._tally.forget_rows()
        granted = evaluation.granted
        given = [
            Given(g.rule, partner.issues[g.currency].id, tuple(g.lines), g.base) for g in granted
        ]
        at, kept = bought.occurred_at, [g.points for g in given]
        steps = [[(at, points)] for points in kept]
        for when, remains in bought.stages:
            left = remains.entitled(given)
            for own, before, after in zip(steps, kept, left, strict=True):
                own.append((max(at, when), after - before))
            kept = list(left)
        return [
            _Judged(partner.earn[g.rule], g.currency, tuple(own))
            for g, own in zip(granted, steps, strict=True)
        ]


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

    def add(self, bought: Bought, now: Sequence[_Judged], then: Sequence[_Judged]) -> None:
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
    """Judge a partner's purchases of [begin, end) both ways. Books nothing.

    Reads one snapshot of the books. Raises StoppedError where `told` says to stop.
    """
    sums = _Sums(rulebook, partner, now)
    async with transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        total = await store.count(connection, partner.id, begin, end)
        earlier = await _earlier(connection, partner, begin)
        sides = _Side(partner, None, earlier), _Side(partner, change, earlier)
        async for chunk in store.purchases(connection, partner.id, begin, end, CHUNK):
            histories, lines = await returns.history(connection, chunk)
            found = Bought.gather(histories, lines)
            await _judge(sides, sums, [found[event] for event in chunk])
            if not await told(sums.report.purchases, total):
                raise StoppedError
        sums.close()
        for ladder in rulebook.ladders.values():
            if _earned(ladder):
                sums.report.tiers += await _shifts(connection, ladder, sums.qualified, now)
    return sums.report


async def _judge(sides: tuple[_Side, _Side], sums: _Sums, chunk: Iterable[Bought]) -> None:
    for n, bought in enumerate(chunk):
        if n % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        sums.report.purchases += 1
        try:
            now, then = (side.judge(bought) for side in sides)
        except PartnerRuleFailed:
            sums.report.failed += 1
        else:
            sums.add(bought, now, then)


async def _earlier(connection: Connection, partner: PartnerTerms, begin: datetime) -> Tally:
    """What caps, budgets and carry-overs had counted before the period."""
    tally = Tally()
    rows, carried = await store.earlier(connection, partner.id, begin)
    for row in rows:
        use = UseRow(*row)
        tally.take([use])
        kind, _, code = use.key.partition(":")
        if kind == "budget":
            key = (use.partner, code, use.period)
            tally.taken[key] = tally.taken.get(key, 0) + use.points
    for holder, rule, amount in carried:
        tally.carried[holder, partner.id, rule] = amount
    return tally


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
