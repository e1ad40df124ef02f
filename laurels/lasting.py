"""Words on a rule: how long its points are held back, what it competes with, what it is held to.

Each wraps a rule, and the wrapped one judges as before. Knows nothing of how a rule judges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from laurels.activities import PURCHASE, check_trigger
from laurels.basis import Basis
from laurels.caps import Budget, Cap, Ceiling, shared_by
from laurels.combining import Group
from laurels.errors import DeclarationError, shown, within
from laurels.policies import Pending
from laurels.purchase import Facts, Purchase
from laurels.rules import EarnRule, Effects, Terms
from laurels.windows import Window


@dataclass(frozen=True, slots=True)
class LastingRule:
    """A rule with words on what becomes of its points.

    See `pending`, `reevaluated`, `grouped`, `capped`, `based`, `on` and `offered`.
    """

    rule: EarnRule
    pending: Pending | None = None
    reevaluates: bool = False
    group: Group | None = None
    ceilings: tuple[Ceiling, ...] = ()
    basis: Basis | None = None
    on: str = ""
    offered: bool = False

    @property
    def code(self) -> str:
        """The rule's."""
        return self.rule.code

    @property
    def title(self) -> str:
        """The rule's."""
        return self.rule.title

    @property
    def terms(self) -> Terms:
        """The rule's, and what was added: so a change of it makes a new version."""
        more: dict[str, str | bool | Mapping[str, str | int] | Sequence[str]] = {}
        if self.pending is not None:
            more["pending"] = str(self.pending)
        if self.reevaluates:
            more["reevaluated"] = True
        if self.group is not None:
            more["group"] = self.group.told
        if self.ceilings:
            more["caps"] = tuple(
                f"{x}; all or nothing" if x.rejects else str(x) for x in self.ceilings
            )
        if self.basis is not None:
            more |= self.basis.terms
        if self.on:
            more["on"] = self.on
        if self.offered:
            more["offered"] = True
        return MappingProxyType({**self.rule.terms, **more})

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """What the rule says."""
        return self.rule.evaluate(purchase, facts)


def pending(until: str, rule: EarnRule) -> LastingRule:
    """The rule, its points held back: `pending("14D", rule)`; replaces the currency's own pending.

    `until` reads as `Currency.pending` does. Raises DeclarationError.
    """
    lasting = as_lasting("pending", rule)
    return replace(lasting, pending=within(f"earn rule {rule.code}: pending", Pending.parse, until))


def reevaluated(rule: EarnRule) -> LastingRule:
    """The rule, judged again when goods come back: a bonus from 100.00 on is lost below it.

    Other rules' points go back in proportion (Talon.One's `reevaluateOnReturn`). Raises
    DeclarationError.
    """
    lasting = as_lasting("reevaluated", rule)
    if getattr(unwrapped(rule), "run", None) is not None:
        raise DeclarationError(
            f"earn rule {rule.code}: reevaluated: a streak is judged by when one came, once"
        )
    return replace(lasting, reevaluates=True)


def grouped(group: Group, *rules: EarnRule) -> list[EarnRule]:
    """The rules, of which one gives: `grouped(Group("base"), per_dollar, per_visit)`.

    Raises DeclarationError.
    """
    if not isinstance(group, Group):
        raise DeclarationError(f"grouped: a Group is wanted first, not {shown(group)}")
    return [replace(as_lasting("grouped", rule), group=group) for rule in rules]


def capped(rule: EarnRule, *ceilings: Ceiling) -> LastingRule:
    """The rule, held to caps and budgets: `capped(rule, Cap(points=100, per="calendar 1M"))`.

    Beside those that it has. Raises DeclarationError.
    """
    lasting = as_lasting("capped", rule)
    if not ceilings:
        raise DeclarationError(f"earn rule {rule.code}: capped: a Cap or a Budget is wanted")
    for ceiling in ceilings:
        if not isinstance(ceiling, Cap | Budget):
            raise DeclarationError(
                f"earn rule {rule.code}: capped: a Cap or a Budget, not {shown(ceiling)}"
            )
    both = (*lasting.ceilings, *ceilings)
    shared = [key for x in both if (key := x.key("")) in shared_by([x])]
    for key in shared:
        if shared.count(key) > 1:
            raise DeclarationError(f"earn rule {rule.code}: capped: {key} stands there twice")
    return replace(lasting, ceilings=both)


def on(trigger: str, rule: EarnRule) -> LastingRule:
    """The rule, judging something else than purchases: `on("review", PointsPerVisit(STARS, 50))`.

    Raises DeclarationError.
    """
    return replace(
        as_lasting("on", rule), on=within(f"earn rule {rule.code}", check_trigger, trigger)
    )


def offered(rule: EarnRule) -> LastingRule:
    """The rule, for those alone to whom it is offered (see `offer`). Raises DeclarationError."""
    return replace(as_lasting("offered", rule), offered=True)


def as_lasting(what: str, rule: object) -> LastingRule:
    """The rule with its words; a class, or a function without @earn_rule, is none yet.

    Raises DeclarationError.
    """
    if isinstance(rule, type) or not isinstance(rule, EarnRule):
        raise DeclarationError(f"{what}: an earn rule is wanted, not {shown(rule)}")
    return rule if isinstance(rule, LastingRule) else LastingRule(rule)


def unwrapped(rule: EarnRule) -> EarnRule:
    """The rule itself."""
    return rule.rule if isinstance(rule, LastingRule) else rule


def held_back(rule: EarnRule) -> Pending | None:
    """How long a rule holds its points back, where it has a word on that of its own."""
    return rule.pending if isinstance(rule, LastingRule) else None


def group_of(rule: EarnRule) -> Group | None:
    """The group of which one rule gives, where it is in one."""
    return rule.group if isinstance(rule, LastingRule) else None


def reevaluates(rule: EarnRule) -> bool:
    """Whether a rule is judged again when goods come back: so is all that carries money over."""
    return (isinstance(rule, LastingRule) and rule.reevaluates) or carries(rule)


def ceilings_of(rule: EarnRule) -> tuple[Ceiling, ...]:
    """The caps and budgets that a rule is held to."""
    return rule.ceilings if isinstance(rule, LastingRule) else ()


def carried_within(rule: EarnRule) -> Window | None:
    """The period of the calendar within which a rule carries over; None: for ever."""
    window = getattr(unwrapped(rule), "window", None)
    return window if isinstance(window, Window) else None


def carries(rule: EarnRule) -> bool:
    """Whether a rule carries what is left of a receipt's money over to the next."""
    return bool(getattr(unwrapped(rule), "carries", False))


def trigger_of(rule: EarnRule) -> str:
    """What a rule judges: purchases, or an activity's type."""
    while isinstance(rule, LastingRule):
        if rule.on:
            return rule.on
        rule = rule.rule
    own = getattr(rule, "on", PURCHASE)
    return own if isinstance(own, str) else PURCHASE


def is_offered(rule: EarnRule) -> bool:
    """Whether a rule counts for those alone to whom it is offered."""
    return isinstance(rule, LastingRule) and rule.offered


def asks_balances(rule: EarnRule) -> bool:
    """Whether a rule asks what the member could spend."""
    return bool(getattr(unwrapped(rule), "balances", False))
