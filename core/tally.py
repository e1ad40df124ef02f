"""What capped rules gave the holders of a batch, what is left of budgets, what rules carry over.

Folds in memory, as `core.folding` does; its rows are `core.store.caps`'s. What came back of a
purchase is taken off again, so that it can be earned anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeAlias

from core.rulebook import PartnerTerms
from laurels.caps import Budget, Ceiling
from laurels.evaluation import Evaluation
from laurels.purchase import Facts, Purchase, Use
from laurels.windows import Window

#: A cap or budget, the rule and the currency that count under it, and a budget's period.
Counted: TypeAlias = tuple[str, int, int, "datetime | None"]
#: An event, the rule and the currency that it counts of, and a budget's period.
_Place: TypeAlias = tuple[int, int, int, "datetime | None"]
#: A budget of a partner in one of its periods.
BudgetKey: TypeAlias = tuple[int, str, "datetime | None"]
#: What a rule carries over for a holder at a partner.
CarryKey: TypeAlias = tuple[int, int, str]


class UseRow(NamedTuple):
    """A row of `cap_use`: what one rule gave of a currency, counted under one cap or budget.

    `at` is when the purchase happened, `period` where a budget's period began.
    """

    holder: int
    partner: int
    key: str
    event: int
    rule: int
    currency: int
    at: datetime
    points: int
    times: int
    period: datetime | None

    @property
    def counted(self) -> Counted:
        """What it counts, whichever event did so."""
        return self.key, self.rule, self.currency, self.period


class Carried(NamedTuple):
    """What a purchase found carried over by a rule, what it leaves, and what that changes.

    In minor units, or whatever else the rule counts; `rule` is its code with the period that it is
    carried over within (`carry_key`), `version` the number of its stored version. A return or an
    edit changes what its purchase left before.
    """

    rule: str
    version: int
    before: int
    after: int
    change: int

    @property
    def code(self) -> str:
        """The rule's."""
        return self.rule.partition("@")[0]

    def undone(self) -> Carried:
        """As if its purchase had carried nothing over."""
        return self._replace(after=self.before, change=self.before - self.after)


@dataclass(slots=True)
class Tally:
    """The state, and the rows that the batch will write of it."""

    uses: dict[tuple[int, int, str], dict[_Place, UseRow]] = field(default_factory=dict)
    taken: dict[BudgetKey, int] = field(default_factory=dict)
    carried: dict[CarryKey, int] = field(default_factory=dict)
    added: list[UseRow] = field(default_factory=list)
    #: By budget, how much more is taken (less, below zero), and how large it is.
    spent: dict[BudgetKey, tuple[int, int]] = field(default_factory=dict)
    #: By how much more is carried over; another purchase of the holder may have moved it, too.
    moved: dict[CarryKey, int] = field(default_factory=dict)

    #: The keys under which a holder counts anything at a partner.
    _keys: dict[tuple[int, int], set[str]] = field(default_factory=dict)

    def take(self, rows: Iterable[UseRow]) -> None:
        """Fill in what was loaded; what is there already stays."""
        for row in rows:
            self._keys.setdefault((row.holder, row.partner), set()).add(row.key)
            own = self.uses.setdefault((row.holder, row.partner, row.key), {})
            own.setdefault((row.event, row.rule, row.currency, row.period), row)

    def facts(
        self,
        partner: PartnerTerms,
        purchase: Purchase,
        holder: int,
        visits: int,
        tiers: Mapping[str, str],
        attributes: Mapping[str, str],
        balances: Mapping[str, int],
        *,
        without: Sequence[int] = (),
        earlier: Mapping[str, Carried] | None = None,
    ) -> Facts:
        """What the partner's rules are told; `without` what these events counted, for an edit.

        Of what the same purchase carried over `earlier` rules are told what it found.
        """
        if not partner.tallied:
            return Facts(visits, tiers, attributes=attributes, balances=balances)
        codes = {c.id: c.code for c in partner.issues.values()}
        own = self._own(holder, partner.id, without)
        uses: dict[str, list[Use]] = {}
        keys = {c.key(r.code) for r in partner.earn for c in r.ceilings}
        for key in keys | {r.run.key(r.code) for r in partner.earn if r.run is not None}:
            rows = self.uses.get((holder, partner.id, key), {}).values()
            uses[key] = [
                Use(row.at, codes[row.currency], row.points, row.times)
                for row in rows
                if row.event not in without and row.currency in codes
            ]
        budgets: dict[str, int] = {}
        for budget in _budgets(partner):
            period = budget.period(purchase.occurred_at, purchase.time_zone)
            taken = self.taken.get((partner.id, budget.code, period), 0)
            mine = sum(
                row.points for row in own if (row.key, row.period) == (budget.key(""), period)
            )
            budgets[budget.code] = max(0, budget.points - taken + mine)
        carried: dict[str, int] = {}
        for code, window in partner.carrying.items():
            key = carry_key(code, window, purchase)
            if earlier is not None and key in earlier:
                carried[code] = earlier[key].before
            else:
                carried[code] = self.carried.get((holder, partner.id, key), 0)
        return Facts(visits, tiers, uses, budgets, carried, attributes, balances)

    def _own(self, holder: int, partner: int, events: Collection[int]) -> list[UseRow]:
        """What these events counted."""
        if not events:
            return []
        return [
            row
            for key in sorted(self._keys.get((holder, partner), ()))
            for row in self.uses[holder, partner, key].values()
            if row.event in events
        ]

    def counts(self, holder: int, events: Collection[int]) -> bool:
        """Whether these events of a holder's count under any cap or budget."""
        return any(
            row.event in events
            for (whose, _, _), rows in self.uses.items()
            if whose == holder
            for row in rows.values()
        )

    def count(
        self,
        partner: PartnerTerms,
        evaluation: Evaluation,
        purchase: Purchase,
        holder: int,
        event: int,
        *,
        instead_of: Sequence[int] = (),
    ) -> None:
        """Count what was given; `instead_of` what these events counted, for an edit."""
        if not partner.tallied and not instead_of:
            return
        at = purchase.occurred_at
        due: dict[Counted, tuple[int, int]] = {}
        for granted in evaluation.granted:
            rule = partner.earn[granted.rule]
            currency = partner.issues[granted.currency].id
            for counted in {
                (c.key(rule.rule.code), rule.id, currency, _period(c, purchase))
                for c in rule.ceilings
            }:
                due[counted] = (due.get(counted, (0, 0))[0] + granted.points, 1)
        for place in evaluation.counted:
            rule = partner.earn[place]
            run = rule.run
            assert run is not None  # or the evaluator would have refused it
            points = sum(
                g.points
                for g in evaluation.granted
                if g.rule == place and g.currency == run.currency
            )
            code = run.key(rule.rule.code)
            due[code, rule.id, partner.issues[run.currency].id, None] = (points, 1)
        for row in self._own(holder, partner.id, instead_of):
            points, times = due.get(row.counted, (0, 0))
            due[row.counted] = (points - row.points, times - row.times)
        sizes = {budget.key(""): budget.points for budget in _budgets(partner)}
        for (key, rule_id, currency, period), (points, times) in due.items():
            row = UseRow(
                holder, partner.id, key, event, rule_id, currency, at, points, times, period
            )
            self._add(row, sizes.get(key, 0))

    def give_back(
        self,
        holder: int,
        partner: int,
        events: Sequence[int],
        event: int,
        falls: Mapping[tuple[int, int], tuple[int, bool]],
        *,
        nothing: bool,
    ) -> None:
        """Take off what came back of what `events` counted.

        `falls` are by (rule, currency) the points, and whether nothing of them is left. What an
        edit counts no more (under another period, say) has nothing to give back. One of a run stays
        one until `nothing` is left of the purchase.
        """
        own: dict[Counted, UseRow] = {}
        stands: dict[Counted, tuple[int, int]] = {}
        for row in self._own(holder, partner, events):
            own.setdefault(row.counted, row)
            before = stands.get(row.counted, (0, 0))
            stands[row.counted] = (before[0] + row.points, before[1] + row.times)
        for counted, row in own.items():
            points, gone = falls.get((row.rule, row.currency), (0, False))
            if row.key.startswith("run:"):
                gone = nothing and stands[counted][1] > 0
                points = points if stands[counted][0] else 0
            elif not points or not stands[counted][0]:
                continue
            self._add(row._replace(event=event, points=-points, times=-int(gone)), 0)

    def _add(self, row: UseRow, size: int) -> None:
        if not row.points and not row.times:
            return
        self.take([row])
        self.added.append(row)
        _, is_budget, code = row.key.partition("budget:")
        if is_budget:
            key = (row.partner, code, row.period)
            self.taken[key] = self.taken.get(key, 0) + row.points
            before = self.spent.get(key, (0, 0))
            self.spent[key] = (before[0] + row.points, max(before[1], size))

    def forget_rows(self) -> None:
        """Of a what-if: what was counted stays, what would be written of it goes."""
        self.added.clear()
        self.spent.clear()
        self.moved.clear()

    def carry_on(self, partner: int, holder: int, carried: Iterable[Carried]) -> None:
        """Note what rules carry over from here."""
        for each in carried:
            if each.change:
                key = (holder, partner, each.rule)
                self.carried[key] = self.carried.get(key, 0) + each.change
                self.moved[key] = self.moved.get(key, 0) + each.change


def carry_key(code: str, window: Window | None, purchase: Purchase) -> str:
    """Under which what a rule carries over is kept: by its code, in a period of the calendar."""
    if window is None:
        return code
    return f"{code}@{window.begins(purchase.occurred_at, purchase.time_zone).isoformat()}"


def carried_by(
    partner: PartnerTerms,
    purchase: Purchase,
    facts: Facts,
    evaluation: Evaluation,
    earlier: Mapping[str, Carried] | None = None,
) -> list[Carried]:
    """What rules carry over; `earlier` is what the same purchase left before, by rule."""
    found = []
    for place, after in evaluation.carried.items():
        rule = partner.earn[place]
        code = rule.rule.code
        key = carry_key(code, partner.carrying.get(code), purchase)
        before = facts.carried.get(code, 0)
        known = (earlier or {}).get(key)
        change = after - (before if known is None else known.after)
        found.append(Carried(key, rule.id, before, after, change))
    # What it carried over once, and no longer does, goes back to where it was.
    told = {each.rule for each in found}
    found += [known.undone() for key, known in (earlier or {}).items() if key not in told]
    return found


def carried_of(content: object) -> dict[str, Carried]:
    """What a stored decision says of it, by rule. Raises TypeError where it is none."""
    if not isinstance(content, dict):
        raise TypeError(f"a decision is a mapping, not {type(content).__name__}")
    return {row[0]: Carried(*row) for row in content.get("c", ())}


def _period(ceiling: Ceiling, purchase: Purchase) -> datetime | None:
    if isinstance(ceiling, Budget):
        return ceiling.period(purchase.occurred_at, purchase.time_zone)
    return None


def _budgets(partner: PartnerTerms) -> list[Budget]:
    """Each once: rules that share one say the same of it."""
    found = {c.code: c for r in partner.earn for c in r.ceilings if isinstance(c, Budget)}
    return list(found.values())


def budget_keys(partner: PartnerTerms, purchase: Purchase) -> list[BudgetKey]:
    """The budgets that a purchase may draw on."""
    return [(partner.id, b.code, _period(b, purchase)) for b in _budgets(partner)]
