"""One set of rules in a what-if: what it would have given, and what of that would have come back.

By the very functions that book purchases and returns, on a tally of its own. Writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from core.bought import Bought, Request
from core.containment import Containment
from core.data_rules import rule_of
from core.entitlement import Given, Remains
from core.errors import PartnerRuleFailed
from core.events import EventKind
from core.folding import Batch
from core.rejudging import carried_again, judge_again
from core.rule_changes import placed
from core.rule_definitions import RuleDefinition
from core.rulebook import PartnerTerms, Rulebook, RuleTerms
from core.taking_back import lost, uncount
from core.tally import Tally, carried_by
from laurels.evaluation import Evaluation
from laurels.purchase import Facts


@dataclass(frozen=True, slots=True)
class Change:
    """What is tried: a draft rule (in place of one of its code), and codes of rules taken out."""

    draft: RuleDefinition | None = None
    without: tuple[str, ...] = ()


@dataclass(slots=True)
class Judged:
    """What one rule gives, and what came back of it: by when each counts on ladders."""

    rule: RuleTerms
    currency: str
    steps: list[tuple[datetime, int]]

    @property
    def points(self) -> int:
        """What is still earned."""
        return sum(points for _, points in self.steps)


@dataclass(slots=True)
class Past:
    """A purchase as one set of rules has it: what it was given, and what came of that."""

    bought: Bought
    judged: list[Judged]


class Side:
    """One set of rules, with what they have given so far by caps, budgets and carry-overs."""

    def __init__(
        self, rulebook: Rulebook, terms: PartnerTerms, change: Change | None, now: datetime
    ) -> None:
        self._terms = terms
        self._change = change
        self._rule = None
        if change is not None and change.draft is not None:
            self._rule = rule_of(change.draft)
        self._changed: dict[int, tuple[PartnerTerms, PartnerTerms]] = {}
        self._batch = Batch(
            rulebook, now, historical=True, containment=Containment(silent=True), tentative=True
        )

    @property
    def tally(self) -> Tally:
        """What caps, budgets and carry-overs have counted."""
        return self._batch.tally

    def at(self, instant: datetime, trigger: str) -> PartnerTerms:
        """The partner with the rules of an instant that judge this."""
        terms = self._terms.at(instant)
        if self._change is None:
            return terms.on(trigger)
        found = self._changed.get(id(terms))
        if found is None:
            # Kept beside what it was made of: or another might be made where that one stood.
            found = self._changed[id(terms)] = (terms, replace(terms, earn=self._earn(terms)))
        return found[1].on(trigger)

    def everything(self) -> PartnerTerms:
        """The partner with the rules of all times."""
        if self._change is None:
            return self._terms
        return replace(self._terms, earn=self._earn(self._terms))

    def _earn(self, terms: PartnerTerms) -> tuple[RuleTerms, ...]:
        assert self._change is not None
        kept = tuple(r for r in terms.earn if r.rule.code not in self._change.without)
        return kept if self._rule is None else placed(kept, self._rule)

    def judge(self, bought: Bought) -> tuple[Facts, Evaluation]:
        """What the rules make of a purchase; nothing is counted. Raises PartnerRuleFailed."""
        partner = self.at(bought.occurred_at, bought.trigger)
        receipt = bought.receipt(partner)
        if partner.balanced and not bought.balances:
            raise PartnerRuleFailed("it asks for balances, and of then none were kept")
        facts = self.tally.facts(
            partner,
            receipt,
            bought.holder,
            bought.visits,
            bought.tiers,
            bought.attributes,
            bought.balances,
        )
        return facts, self._batch.containment.judge(partner, receipt, facts, tentative=True)

    def count(self, bought: Bought, facts: Facts, evaluation: Evaluation) -> Past:
        """Count what was judged, as the books would."""
        partner = self.at(bought.occurred_at, bought.trigger)
        receipt = bought.receipt(partner)
        carried = carried_by(partner, receipt, facts, evaluation)
        self.tally.count(partner, evaluation, receipt, bought.holder, bought.event)
        self.tally.carry_on(partner.id, bought.holder, carried)
        self.tally.forget_rows()
        granted = evaluation.granted
        given = tuple(
            Given(partner.earn[g.rule].id, partner.issues[g.currency].id, tuple(g.lines), g.base)
            for g in granted
        )
        mine = replace(
            bought, given=given, remains=Remains.whole(bought.remains.lines), judged={},
            carried={x.rule: x for x in carried}, earning_events=[bought.event], stages=[],
        )  # fmt: skip
        judged = [
            Judged(partner.earn[g.rule], g.currency, [(bought.occurred_at, g.points)])
            for g in granted
        ]
        return Past(mine, judged)

    def take_back(self, past: Past, when: datetime, after: Remains) -> None:
        """Take off what came back, as the books would."""
        bought = past.bought
        partner = self.at(bought.occurred_at, bought.trigger)
        request = Request(partner, EventKind.RETURN, "", when)
        before = bought.entitled()
        judged = judge_again(self._batch, bought, request, after)
        left = after.entitled(bought.given, judged)
        carried = carried_again(bought, request, after)
        event = -(1000 * bought.event + len(bought.stages))  # of none: a row of its own
        uncount(
            self._batch, bought, event, lost(bought.given, before, left), carried,
            nothing=after.nothing,
        )  # fmt: skip
        self.tally.forget_rows()
        bought.remains, bought.judged = after, judged
        bought.stages.append((when, after))
        for own, old, new in zip(past.judged, before, left, strict=True):
            if old != new:
                own.steps.append((max(bought.occurred_at, when), new - old))
