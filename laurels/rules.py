"""What an earn rule is and may answer: one protocol, and the effects.

A rule is pure: a purchase and facts in, effects out. It reads no clock and no database, and it
books nothing: the engine alone rounds, caps and books.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, runtime_checkable

from laurels.basis import Basis
from laurels.caps import Budget, Cap, Ceiling, shared_by
from laurels.combining import Group
from laurels.declarations import Currency, currency_code
from laurels.errors import DeclarationError, check_code, check_title, shown, storable, within
from laurels.policies import Pending
from laurels.purchase import Facts, Purchase
from laurels.rates import Rate, rate
from laurels.windows import Window

#: What may stand in a rule's terms: plain data, so that it can be stored and read for ever.
Terms: TypeAlias = Mapping[str, "str | int | bool | Mapping[str, str | int] | Sequence[str] | None"]


@dataclass(frozen=True, slots=True)
class Award:
    """Points for this purchase.

    `lines` says which line gave how many, in the receipt's order; without it the engine spreads
    the points over the lines by their amounts. `because` is a member's reason where the rule's
    title alone doesn't say it. `wanted` is the figure before the rule's own cap cut it. `carry` is
    what it carries on to the next receipt (see `Facts.carried`); None leaves that as it is.
    """

    currency: str
    points: int
    lines: Sequence[int] | None = None
    because: str = ""
    wanted: int | None = None
    carry: int | None = None


@dataclass(frozen=True, slots=True)
class Multiply:
    """An award of floor(base x factor) - base; base is what all awards of the currency gave."""

    currency: str
    factor: Fraction
    because: str = ""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No points, and why: the first condition that failed, in a member's words.

    `carry` as in `Award`.
    """

    because: str
    carry: int | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """A reward of this partner's, taken for the member's points as soon as the purchase is booked.

    With what the same rules award for it: so a rule that awards a reward's price and issues it
    gives it away. Where the points don't suffice, or none is left, nothing is taken; that isn't
    tried again (Voucherify's auto-redeem). A cancelled purchase takes it back, as whatever was
    redeemed on its order. `currency` is named where the reward has several prices. Where caps or
    its group leave nothing of what its rule awards, it isn't issued either.
    """

    reward: str
    quantity: int = 1
    currency: str | None = None


#: As many pieces of a reward as one rule issues at once.
MOST_ISSUED = 100
#: As many times as rules issue for one receipt.
MOST_ISSUES = 1000
Effect: TypeAlias = Award | Multiply | Nothing | Issue
Effects: TypeAlias = Effect | Sequence[Effect] | None


def award(
    currency: Currency | str,
    points: int,
    *,
    lines: Sequence[int] | None = None,
    because: str = "",
    carry: int | None = None,
) -> Award:
    """Give `points` (a whole number, at least 0) of `currency`, perhaps line by line."""
    return Award(currency_code(currency), points, lines, because, carry=carry)


def multiply(currency: Currency | str, factor: Rate, *, because: str = "") -> Multiply:
    """Multiply what the other rules gave of it: `multiply(STARS, "1.5")` adds half."""
    return Multiply(currency_code(currency), check_factor("factor", factor), because)


def nothing(because: str, *, carry: int | None = None) -> Nothing:
    """Give nothing and say why, so that the member can be told."""
    return Nothing(because, carry)


def issue(reward: str, quantity: int = 1, *, currency: Currency | str | None = None) -> Issue:
    """Take a reward for the member at once: `[award(STAMP, 1), issue("coffee")]`."""
    return Issue(reward, quantity, None if currency is None else currency_code(currency))


def check_factor(what: str, value: object) -> Fraction:
    """The exact factor of a multiplier, from 1 to 1000. Raises DeclarationError."""
    return rate(what, value, 1, 1000)


def check_terms(what: str, terms: object) -> Terms:
    """Return a frozen copy of `terms` if they can be stored. Raises DeclarationError."""
    if not isinstance(terms, Mapping):
        raise DeclarationError(f"{what}: terms: a mapping is wanted, not {shown(terms)}")
    plain = {_word(f"{what}: terms", k): _plain(f"{what}: terms", k, v) for k, v in terms.items()}
    return MappingProxyType(plain)


def _word(what: str, key: object) -> str:
    if not isinstance(key, str) or not storable(key):
        raise DeclarationError(f"{what}: {shown(key)} is no text")
    return key


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return storable(value)
    return value is None or (isinstance(value, int) and -(2**63) <= value < 2**63)


def _plain(what: str, key: object, value: object) -> Any:
    if _is_plain(value):
        return value
    if isinstance(value, Mapping) and all(map(_is_plain, value.values())):
        return {_word(f"{what}: {key}", k): v for k, v in value.items()}
    if isinstance(value, list | tuple) and all(isinstance(v, str) and storable(v) for v in value):
        return tuple(value)
    raise DeclarationError(
        f"{what}: {key}: text, a 64 bit whole number, a mapping of these, or a list of texts is "
        f"wanted, not {shown(value)}"
    )


@runtime_checkable
class EarnRule(Protocol):
    """What a partner implements to give points by a rule of its own.

    `code` names the rule for ever within its partner; `title` is what a member reads; `terms` are
    the rule's figures as plain data: stored with each version, shown to members, compared to tell
    one version from the next.
    """

    @property
    def code(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def terms(self) -> Terms: ...

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """What this purchase gets. Raising fails this purchase, and no other."""


@dataclass(frozen=True, slots=True)
class FunctionRule:
    """A rule made of one function by `@earn_rule`."""

    code: str
    title: str
    function: Callable[[Purchase, Facts], Effects]
    terms: Terms = field(default_factory=dict, hash=False)
    carries: bool = False

    def __post_init__(self) -> None:
        check_code("earn rule", self.code)
        what = f"earn rule {self.code}"
        check_title(f"{what}: title", self.title)
        if not callable(self.function):
            raise DeclarationError(f"{what}: {shown(self.function)} is no function")
        object.__setattr__(self, "terms", check_terms(what, self.terms))

    def evaluate(self, purchase: Purchase, facts: Facts) -> Effects:
        """What the function says."""
        return self.function(purchase, facts)


def earn_rule(
    code: str, title: str, terms: Terms | None = None, *, carries: bool = False
) -> Callable[[Callable[[Purchase, Facts], Effects]], FunctionRule]:
    """Make an earn rule of a function of a purchase and facts. Raises DeclarationError.

    One that `carries` money over to the next receipt finds it in `facts.carried`.
    """

    def make(function: Callable[[Purchase, Facts], Effects]) -> FunctionRule:
        return FunctionRule(code, title, function, {} if terms is None else terms, carries)

    return make


@dataclass(frozen=True, slots=True)
class LastingRule:
    """A rule with words on what becomes of its points.

    See `pending`, `reevaluated`, `grouped`, `capped` and `based`.
    """

    rule: EarnRule
    pending: Pending | None = None
    reevaluates: bool = False
    group: Group | None = None
    ceilings: tuple[Ceiling, ...] = ()
    basis: Basis | None = None

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
    return replace(as_lasting("reevaluated", rule), reevaluates=True)


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
