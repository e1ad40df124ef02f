"""A partner's rules made ready to judge: what the evaluator would else find out anew each time.

Nothing is kept of what may change: a rule of a class of a partner's own is asked for its `evaluate`
each time. Knows no purchase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Self, TypeAlias

from laurels.purchase import Facts, Purchase
from laurels.rules import EarnRule, Effects, FunctionRule, LastingRule

Judge: TypeAlias = Callable[[Purchase, Facts], Effects]


class Plan(tuple[EarnRule, ...]):
    """Rules in their order, and to each what judges; those with words on their points by place."""

    judges: tuple[Judge, ...]
    lasting: Mapping[int, LastingRule]

    def __new__(cls, rules: Iterable[EarnRule]) -> Self:
        """Of these rules, each as it is."""
        made = super().__new__(cls, rules)
        made.judges = tuple(map(_judge, made))
        made.lasting = {n: rule for n, rule in enumerate(made) if type(rule) is LastingRule}
        return made


def _judge(rule: EarnRule) -> Judge:
    # These two are frozen and do no more than pass on. type(): one derived may do something else.
    while type(rule) is LastingRule:
        rule = rule.rule
    if type(rule) is FunctionRule:
        return rule.function
    # Not its method: whoever has no such thing is to fail when it judges, and by name.
    return lambda purchase, facts: rule.evaluate(purchase, facts)
