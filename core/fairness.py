"""The fairness audit: whether like was treated alike, by a partner's rules and by people.

A rule may look at what it is handed: the goods, the money, the shop, the time, and what the partner
knows of the member. It may not look at who it is, which shows in a receipt's number alone, and not
at what no member can help: chance, and who came before. So a sample of booked purchases is judged
again by the rules of its day, on the very facts; and once more each with what may make no
difference changed. Beside, purchases that are equal in all that may be looked at are held against
each other as they were booked. What people gave by hand is `core.grants`' affair.

Plugins are asked as they are installed now; data rules as they stood. Caps are left at zero: both
sides of a comparison are. Books nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import NamedTuple, TypeAlias

from core.bought import Bought
from core.containment import Containment
from core.db import transaction
from core.errors import BadInput, PartnerRuleFailed
from core.purchases import check_text
from core.rulebook import PartnerTerms, Rulebook, RuleTerms
from core.store import attributes, returns
from core.store import fairness as store
from laurels.lasting import carries

#: Purchases of a sample, at most; and as many examples are told of a rule.
MOST_SAMPLED, EXAMPLES = 1000, 10
_TURN = 0.02
#: Points by (rule's place, currency); None: a rule failed.
Points: TypeAlias = Counter[tuple[int, str]]


class Changed(Enum):
    """What was changed, that may make no difference."""

    NOTHING = "judged again as it was"
    NUMBER = "another member's receipt number"
    ORDER = "judged in another order"


class Difference(NamedTuple):
    """A purchase of which a rule gave something else; `otherwise` None: it failed then."""

    purchase: str
    currency: str
    changed: Changed
    points: int
    otherwise: int | None


class Unequal(NamedTuple):
    """Two purchases, equal in all that may be looked at, of which a rule gave other points."""

    purchase: str
    other: str
    currency: str
    points: int
    others: int


@dataclass(slots=True)
class RuleFairness:
    """One rule: of so many purchases judged, so many the same whatever was changed.

    `pairs` were compared as they were booked, `unequal` of them not alike; capped rules and
    multipliers aren't compared so. Of what differs a few examples are told.
    """

    code: str
    title: str
    judged: int = 0
    same: int = 0
    pairs: int = 0
    unequal: int = 0
    differences: list[Difference] = field(default_factory=list)
    unequals: list[Unequal] = field(default_factory=list)

    @property
    def fair(self) -> bool:
        """Whether nothing speaks against it."""
        return self.same == self.judged and not self.unequal


@dataclass(slots=True)
class Report:
    """`sampled` of `total` purchases; rules `failed` on some, which are left out.

    `complete` is false where time ran out: what is left of the sample wasn't judged.
    """

    total: int
    sampled: int
    failed: int = 0
    complete: bool = True
    rules: list[RuleFairness] = field(default_factory=list)

    @property
    def fair(self) -> bool:
        """Whether nothing speaks against any rule."""
        return all(rule.fair for rule in self.rules)


async def audit(
    rulebook: Rulebook,
    partner: PartnerTerms,
    begin: datetime,
    end: datetime,
    size: int,
    seed: str = "",
    seconds: float | None = None,
) -> Report:
    """Audit a partner's purchases of [begin, end): the same sample for the same seed.

    Raises BadInput naming the field.
    """
    if end <= begin:
        raise BadInput("it ends after it begins", "until")
    if not 1 <= size <= MOST_SAMPLED:
        raise BadInput(f"a sample is of 1 to {MOST_SAMPLED} purchases, not {size}", "sample")
    check_text(seed, "seed", 100)
    async with transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        total, ids = await store.sample(connection, partner.id, begin, end, seed, size)
        found = Bought.gather(*await returns.history(connection, ids)) if ids else {}
        noted = await attributes.recalled(
            connection, [(b.holder, n) for b in found.values() for n in b.noted]
        )
    some = [found[event] for event in ids]
    for bought in some:
        bought.recall(noted)
    auditor = _Auditor(partner, Report(total, len(some)), seconds)
    await auditor.judge(some)
    auditor.compare(some, {c.id: c.code for c in rulebook.currencies.values()})
    return auditor.told()


class _Auditor:
    """Judges one sample, and keeps count by rule."""

    def __init__(self, partner: PartnerTerms, report: Report, seconds: float | None) -> None:
        self._partner = partner
        self._report = report
        self._ends = None if seconds is None else time.monotonic() + seconds
        self._turn = time.monotonic()
        self._containment = Containment(silent=True)
        self._rules: dict[str, RuleFairness] = {}
        #: By rule, the events of which it gave something else.
        self._differing: dict[str, set[int]] = defaultdict(set)

    async def judge(self, some: Sequence[Bought]) -> None:
        """Each as it was, then with what may make no difference changed; and all backwards."""
        first: list[tuple[Bought, Points]] = []
        for place, bought in enumerate(some):
            if not await self._time():
                return
            points = self._points(bought)
            if points is None:
                self._report.failed += 1
                continue
            first.append((bought, points))
            for rule in self._terms(bought).earn:
                self._rule(rule).judged += 1
            self._hold(bought, points, Changed.NOTHING, self._points(bought))
            for number in _numbers(some, place):
                self._hold(bought, points, Changed.NUMBER, self._points(bought, number))
        for bought, points in reversed(first):
            if not await self._time():
                return
            self._hold(bought, points, Changed.ORDER, self._points(bought))

    def compare(self, some: Sequence[Bought], codes: Mapping[int, str]) -> None:
        """Purchases that are equal in all that may be looked at, as they were booked."""
        known = {rule.id for rule in self._partner.earn}
        alike: dict[object, list[Bought]] = defaultdict(list)
        for bought in some:
            if not {given.rule for given in bought.given} <= known:
                continue  # booked by a version of a rule that isn't installed any more
            alike[_content(bought, self._terms(bought))].append(bought)
        for group in alike.values():
            for rule in self._terms(group[0]).earn if len(group) > 1 else ():
                if not (rule.ceilings or rule.run is not None or carries(rule.rule)):
                    self._compare(rule, group, codes)

    def _compare(self, rule: RuleTerms, group: Sequence[Bought], codes: Mapping[int, str]) -> None:
        own = self._rule(rule)
        model = _booked(group[0], rule.id)
        for other in group[1:]:
            points = _booked(other, rule.id)
            if None in (model, points):
                continue  # a multiplier: what it multiplied may have been capped
            assert model is not None
            assert points is not None
            own.pairs += 1
            apart = [c for c in sorted({*model, *points}) if model[c] != points[c]]
            own.unequal += bool(apart)
            if apart and len(own.unequals) < EXAMPLES:
                own.unequals.append(
                    Unequal(
                        group[0].external_id, other.external_id, codes.get(apart[0], ""),
                        model[apart[0]], points[apart[0]],
                    )
                )  # fmt: skip

    def told(self) -> Report:
        """The report, rules in the order of their codes."""
        for code, own in sorted(self._rules.items()):
            own.same = own.judged - len(self._differing[code])
            self._report.rules.append(own)
        return self._report

    async def _time(self) -> bool:
        """Whether there is any left; others in this process have their turn."""
        now = time.monotonic()
        if now - self._turn > _TURN:
            await asyncio.sleep(0)
            self._turn = time.monotonic()
        if self._ends is not None and now >= self._ends:
            self._report.complete = False
        return self._report.complete

    def _points(self, bought: Bought, number: str | None = None) -> Points | None:
        """What each rule gives, with the receipt's own number or another; None: a rule fails."""
        terms = self._terms(bought)
        carried = {known.code: known.before for known in bought.carried.values()}
        receipt = bought.receipt(terms)
        if number is not None:
            receipt = replace(receipt, external_id=number)
        facts = bought.facts(carried)
        try:
            evaluation = self._containment.judge(terms, receipt, facts, tentative=True)
        except PartnerRuleFailed:
            return None
        points: Points = Counter()
        for granted in evaluation.granted:
            points[granted.rule, granted.currency] += granted.points
        return points

    def _terms(self, bought: Bought) -> PartnerTerms:
        return self._partner.at(bought.occurred_at).on(bought.trigger)

    def _rule(self, rule: RuleTerms) -> RuleFairness:
        code = rule.rule.code
        return self._rules.setdefault(code, RuleFairness(code, rule.rule.title))

    def _hold(
        self, bought: Bought, points: Points, changed: Changed, otherwise: Points | None
    ) -> None:
        """Hold what each rule gives now against what it gave; a purchase counts once."""
        earn = self._terms(bought).earn
        for place, currency in sorted({*points, *(otherwise or ())}):
            was = points[place, currency]
            then = None if otherwise is None else otherwise[place, currency]
            own = self._rule(earn[place])
            if then == was or bought.event in self._differing[own.code]:
                continue
            self._differing[own.code].add(bought.event)
            if len(own.differences) < EXAMPLES:
                own.differences.append(Difference(bought.external_id, currency, changed, was, then))


def _numbers(some: Sequence[Bought], place: int) -> Iterable[str]:
    """Receipts' numbers of others in the sample, and one of nobody's, by its digest."""
    own = some[place].external_id
    others = (some[place - 1].external_id, some[(place + 1) % len(some)].external_id)
    made = hashlib.sha256(own.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return [number for number in (*others, made) if number != own]


def _content(bought: Bought, terms: PartnerTerms) -> object:
    """All of a purchase that a rule may look at, by the rules of its day."""
    balances = tuple(sorted(bought.balances.items())) if terms.balanced else ()
    return (
        terms.ids, bought.occurred_at, bought.money, bought.store, bought.remains.lines,
        bought.visits, tuple(sorted(bought.tiers.items())),
        tuple(sorted(bought.attributes.items())), balances,
    )  # fmt: skip


def _booked(bought: Bought, rule: int) -> Counter[int] | None:
    """What a rule gave as it was booked, by currency; None where it multiplied."""
    own = [given for given in bought.given if given.rule == rule]
    if any(given.base is not None for given in own):
        return None
    points: Counter[int] = Counter()
    for given in own:
        points[given.currency] += sum(given.lines)
    return points
