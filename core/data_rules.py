"""Rules as data: a condition in CEL and one effect, written by a partner's staff, without code.

What is stored is plain data; from it comes a rule of the same protocol as a plugin's, judged by the
same evaluator under the same deadline. Knows no table, and nothing of who may write one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from core.errors import BadInput
from core.expressions import Condition, Part, condition
from core.rule_definitions import RuleDefinition
from core.seeing import Seen
from core.together import Together, together
from laurels.activities import PURCHASE
from laurels.based import based
from laurels.caps import Ceiling, period_of
from laurels.challenges import Counts
from laurels.deadline import in_time
from laurels.effects import Deny, ThankReferrer
from laurels.errors import RuleTooSlow
from laurels.lasting import capped, grouped, offered, pending, reevaluated, unwrapped
from laurels.money import Money
from laurels.purchase import Facts, Purchase
from laurels.rounding import spread
from laurels.rules import (
    MOST_ISSUED,
    Award,
    EarnRule,
    Effect,
    Effects,
    Issue,
    Multiply,
    Nothing,
    Terms,
    check_factor,
    check_terms,
)
from laurels.streaks import Streak


def parse(given: Mapping[str, Any]) -> RuleDefinition:
    """The definition, checked field by field, conditions compiled. Raises BadInput."""
    try:
        found = RuleDefinition.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(first["msg"].removeprefix("Value error, "), *first["loc"]) from None
    rule_of(found)
    return found


def rule_of(definition: RuleDefinition) -> EarnRule:
    """The rule that it says. Raises BadInput where a condition isn't one."""
    rule: EarnRule = DataRule(definition)
    if definition.group is not None:
        (rule,) = grouped(definition.group.declared(), rule)
    ceilings: list[Ceiling] = [cap.declared() for cap in definition.caps]
    if definition.budget is not None:
        ceilings.append(definition.budget.declared())
    if ceilings:
        rule = capped(rule, *ceilings)
    if definition.basis is not None:
        said = definition.basis
        rule = based(rule, said.of, without=said.without, except_types=said.except_types)
    if definition.reevaluated:
        rule = reevaluated(rule)
    if definition.offered:
        rule = offered(rule)
    return rule if definition.pending is None else pending(definition.pending, rule)


class DataRule:
    """A data rule as the evaluator meets it."""

    __slots__ = (
        "_award", "_beside", "_currency", "_factor", "_issue", "_lines", "_most", "_points",
        "_steps", "_streak", "_units", "_when", "balances", "carries", "code", "counts",
        "definition", "on", "per", "run", "target", "title", "window",
    )  # fmt: skip

    def __init__(self, definition: RuleDefinition) -> None:
        self.definition = definition
        self.code, self.title = definition.code, definition.title
        self.on = definition.on
        self._when = None
        if definition.when:
            self._when = condition(definition.when, "when", of_activity=self.on != PURCHASE)
        # What comes beside points, and never depends on them.
        self._beside: list[Effect] = [note.declared() for note in definition.notes]
        if definition.deny:
            self._beside.append(Deny(definition.deny))
        if definition.thanks:
            self._beside.append(ThankReferrer())
        self._lines: Condition | None = None
        if definition.lines:
            self._lines = condition(definition.lines, "lines", of_lines=True)
        # A text that only speaks of them has them loaded, no more; see `condition`.
        self.balances = "balances" in definition.when + definition.lines
        self._award = award = definition.award
        # Plain figures: on the hot path a model's fields cost as much as the arithmetic.
        self._points = 0 if award is None else award.points
        self._most = None if award is None else award.at_most
        self._currency = "" if award is None else award.currency
        self._units = award is not None and award.each_unit
        self.carries = award is not None and award.keeps
        self._steps = award is not None and (
            award.every is not None or (award.per is not None and award.whole_steps)
        )
        self._issue = definition.issue
        self.per = None
        if definition.award is not None and definition.award.per is not None:
            self.per = Money.parse(definition.award.per)
        self.counts, self.target, self.window = Counts.PURCHASES, 1, None
        if self._award is not None:
            every = self._award.every or 1
            if self._award.each_unit:
                self.counts, every = Counts.UNITS, 1000 * every
            self.target = every if self.per is None else self.per.minor
            self.window = period_of("within", self._award.within)
        self.run, self._streak = None, None
        if award is not None and award.streak is not None and award.within is not None:
            self._streak = Streak(
                award.currency, award.points, times=award.streak, per=award.within, code=self.code,
                title=self.title,
            )  # fmt: skip
            self.run = self._streak.run
        self._factor: Multiply | None = None
        if definition.multiply is not None:
            factor = check_factor("factor", definition.multiply.factor)
            self._factor = Multiply(definition.multiply.currency, factor)

    @property
    def conditions(self) -> tuple[Condition | None, Condition | None]:
        """On the receipt, and on each line."""
        return self._when, self._lines

    @property
    def terms(self) -> Terms:
        """Stored with each version, shown to members."""
        return check_terms(f"rule {self.code}", self.definition.terms())

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """Its effects, where its condition holds."""
        seen = None
        if self._when is not None:
            seen = seen_of(purchase, facts)
            failed = self._when.failed(seen)
            if failed is not None:
                return Nothing(self.definition.otherwise or failed)
        effects = self._given(purchase, facts, seen)
        if not self._beside:
            return effects
        if isinstance(effects, list):
            return [*effects, *self._beside]
        if isinstance(effects, Nothing):  # its condition held, but came to nothing
            return effects
        return [effects, *self._beside] if effects is not None else self._beside

    def _given(
        self, purchase: Purchase, facts: Facts, seen: Seen | None
    ) -> Effect | list[Effect] | None:
        """Points, a factor, or a reward; None where it gives none of these."""
        if self._factor is not None:
            return self._factor
        chosen = None
        if self._lines is not None:
            chosen = self._lines.chosen(seen or seen_of(purchase, facts))
            if True not in chosen:
                return Nothing(self.definition.otherwise or f"no line is one: {self._lines.text}")
            if purchase.counts is not None:
                chosen = [yes and own for yes, own in zip(chosen, purchase.counts, strict=True)]
                if True not in chosen:
                    return Nothing(self.definition.otherwise or "no line that is one counts")
        if self._award is None:
            return None if self._issue is None else self._issued(purchase, chosen)
        if self._streak is not None:
            return self._streak.evaluate(purchase, facts)
        award = self._awarded(purchase, chosen, facts)
        if self._issue is None or not isinstance(award, Award):
            return award
        return [award, *self._issued(purchase, chosen)]

    def _issued(self, purchase: Purchase, chosen: list[bool] | None) -> list[Effect]:
        said = self._issue
        assert said is not None
        pieces = said.quantity
        if said.each_unit:
            units = _counting([line.quantity for line in purchase.lines], chosen)
            pieces *= sum(units) // 1000
        if pieces > MOST_PIECES:
            return [Nothing(f"{pieces} pieces are more than {MOST_PIECES} at once")]
        if not pieces:
            return [Nothing(self.definition.otherwise or "not a whole unit here")]
        whole, rest = divmod(pieces, MOST_ISSUED)
        parts = [MOST_ISSUED] * whole + ([rest] if rest else [])
        return [Issue(said.reward, part, said.currency) for part in parts]

    def _missing(self, carry: int | None) -> str:
        """Why no points, in words; what is missing where that is carried over."""
        if carry is None:
            return "nothing here earns a whole point"
        missing = self.target - carry
        if self.per is not None:
            return f"spend {Money(missing, self.per.currency)} more"
        if self.counts is Counts.PURCHASES:
            return f"{missing} more purchase{'' if missing == 1 else 's'} to go"
        return f"{-(-missing // 1000)} more to go"

    def judged(self, purchase: Purchase, facts: Facts) -> tuple[list[Part], list[bool]]:
        """Every part of its condition with its facts, and of each line whether it counts.

        As far as that can be told in the time that rules have.
        """
        seen = seen_of(purchase, facts)
        when, lines = self._when, self._lines
        try:
            parts = [] if when is None else in_time(lambda: when.parts(seen))
            chosen = [] if lines is None else in_time(lambda: lines.chosen(seen))
        except RuleTooSlow:
            text = lines.text if when is None and lines is not None else self.definition.when
            return [Part(text, None, "it takes longer than a rule may")], []
        counts = purchase.counts
        if counts is not None and chosen:
            chosen = [yes and own for yes, own in zip(chosen, counts, strict=True)]
        return parts, chosen

    def _awarded(self, purchase: Purchase, chosen: list[bool] | None, facts: Facts) -> Effect:
        per = self.per
        shares: Sequence[int] = purchase.amounts
        if chosen is not None:
            shares = _counting(shares, chosen)
        if per is not None:
            if purchase.currency != per.currency:
                return Nothing(f"earns on {per.currency}, this is {purchase.currency}")
            total = sum(shares)
        elif self._units:
            shares = _counting([line.quantity for line in purchase.lines], chosen)
            total = sum(shares)
        else:
            total = 1
        carry = None
        if self.carries:
            total += facts.carried.get(self.code, 0)
            carry = total - max(0, total) // self.target * self.target
            total = max(0, total)
        if self._steps:
            points = total // self.target * self._points
        else:
            points = total * self._points // self.target
        if points == 0:
            return Nothing(self.definition.otherwise or self._missing(carry), carry)
        given = points if self._most is None else min(points, self._most)
        lines = None  # by the amounts of all: the evaluator's own way
        if shares is not purchase.amounts or not purchase.total_minor:
            if not any(shares):  # all that counts is free of charge: alike
                shares = _counting([1] * len(purchase.lines), chosen)
            lines = spread(given, shares)
        wanted = points if given < points else None
        return Award(self._currency, given, lines, wanted=wanted, carry=carry)


def _counting(figures: Sequence[int], chosen: Sequence[bool] | None) -> Sequence[int]:
    """The figures of the lines that count, 0 for the others."""
    if chosen is None:
        return figures
    return [n if counts else 0 for n, counts in zip(figures, chosen, strict=True)]


#: As many pieces as a data rule issues for one receipt.
MOST_PIECES = 10 * MOST_ISSUED
_last: Seen | None = None


def seen_of(purchase: Purchase, facts: Facts) -> Seen:
    """What expressions see of a purchase: gathered once, for the rules judge one after another."""
    global _last
    purchase = purchase.whole  # conditions see the receipt as it is, on whatever basis
    seen = _last
    if seen is None or not seen.is_of(purchase, facts):
        seen = _last = Seen(purchase, facts)
    return seen


def expect(conditions: Together, purchase: Purchase, facts: Facts) -> None:
    """Say that rules of these conditions will judge a purchase: then they do so together."""
    global _last
    _last = Seen(purchase, facts, conditions)


def conditions_of(rules: Iterable[EarnRule]) -> Together | None:
    """The conditions of data rules, to be judged together; None where there are none."""
    own = [
        rule for rule in map(unwrapped, rules) if isinstance(rule, DataRule) and rule.on == PURCHASE
    ]
    pairs = tuple(rule.conditions for rule in own)
    return together(pairs) if pairs else None
