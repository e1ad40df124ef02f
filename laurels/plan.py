"""A partner's rules made ready to judge: what the evaluator would else find out anew each time.

Nothing is kept of what may change: a rule of a class of a partner's own is asked for its `evaluate`
each time. Knows no purchase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self, TypeAlias

from laurels.basis import Basis
from laurels.lasting import LastingRule, trigger_of
from laurels.purchase import Facts, Purchase
from laurels.rules import Award, EarnRule, Effects, FunctionRule, Nothing

Judge: TypeAlias = Callable[[Purchase, Facts], Effects]


class Plan(tuple[EarnRule, ...]):
    """Rules in their order; those with words on their points by place.

    By trigger there are those that judge it: their place, the rule, what judges, and on what basis.
    """

    judges: Mapping[str, Sequence[tuple[int, EarnRule, Judge, Basis | None]]]
    lasting: Mapping[int, LastingRule]

    def __new__(cls, rules: Iterable[EarnRule]) -> Self:
        """Of these rules, each as it is."""
        made = super().__new__(cls, rules)
        judges: dict[str, list[tuple[int, EarnRule, Judge, Basis | None]]] = {}
        for n, rule in enumerate(made):
            basis = rule.basis if type(rule) is LastingRule else None
            judges.setdefault(trigger_of(rule), []).append((n, rule, _judge(rule), basis))
        made.judges = judges
        made.lasting = {n: rule for n, rule in enumerate(made) if type(rule) is LastingRule}
        return made


def _judge(rule: EarnRule) -> Judge:
    # These two are frozen and do no more than pass on. type(): one derived may do something else.
    if type(rule) is LastingRule:
        judge = _judge(rule.rule)
        if rule.basis is not None:
            judge = _where_it_counts(rule.basis, judge)
        return _for_whom_it_is(rule.code, judge) if rule.offered else judge
    if type(rule) is FunctionRule:
        return rule.function
    # Not its method: whoever has no such thing is to fail when it judges, and by name.
    return lambda purchase, facts: rule.evaluate(purchase, facts)


def _for_whom_it_is(code: str, judge: Judge) -> Judge:
    """What judges for those alone to whom the rule is offered."""
    return lambda purchase, facts: judge(purchase, facts) if code in facts.offers else _NOT_OFFERED


def _where_it_counts(basis: Basis, judge: Judge) -> Judge:
    """What judges on a basis: where nothing counts on it, no award stands, but a veto does, say."""

    def judged(purchase: Purchase, facts: Facts) -> Effects:
        effects = judge(purchase, facts)
        if purchase.counts is None or True in purchase.counts:
            return effects
        nothing = Nothing(f"nothing here counts: it is for {basis}")
        if effects is None or isinstance(effects, Award | Nothing):
            return nothing
        if isinstance(effects, list) and any(isinstance(x, Award) for x in effects):
            return nothing
        return effects

    return judged


_NOT_OFFERED = Nothing("it is for those to whom it was offered")
