"""Checks what each hook returned, one hook at a time: types, protocols, codes, plain terms.

Typing ends where somebody else's code begins, so everything is looked at as an object. Raises the
kit's DeclarationError; knows nothing of plugins, nor of other hooks' answers (`plugins.fit` does).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from laurels import (
    Adapter,
    DeclarationError,
    EarnRule,
    Giving,
    Group,
    Ladder,
    MembershipPlan,
    Partner,
    PersonalOffers,
    RedeemRule,
    Reward,
    Survey,
)
from laurels.caps import Ceiling, shared_by
from laurels.errors import check_code, check_title
from laurels.lasting import LastingRule, ceilings_of, group_of
from laurels.plugin.plain import check_plain
from laurels.rules import FunctionRule

T = TypeVar("T")
#: What an earn rule is called with.
_GIVEN = ("purchase", "facts")


def check_partner(value: object) -> Partner:
    """The partner that `laurels_partner` returned."""
    if not isinstance(value, Partner):
        raise DeclarationError(f"returned {_kind(value)}, where a Partner is wanted")
    _unique("currency", (currency.code for currency in value.currencies))
    return value


def check_earn_rules(value: object) -> tuple[EarnRule, ...]:
    """The rules that `laurels_earn_rules` returned."""
    rules: list[EarnRule] = []
    for place, rule in enumerate(_sequence("earn rules", value), 1):
        what = f"earn rule {place}"
        _refuse_unmade(what, rule, "make it a rule with @earn_rule(code, title)")
        what = _check_named(what, "earn rule", rule)
        _check_method(f"{what}: evaluate", _read(what, rule, "evaluate"), _GIVEN)
        # Their `evaluate` is the kit's own; what may be wrong is what stands behind it.
        inner = rule.rule if isinstance(rule, LastingRule) else rule
        if inner is not rule:
            _check_method(f"{what}: evaluate", _read(what, inner, "evaluate"), _GIVEN)
        if isinstance(inner, FunctionRule):
            _check_method(f"{what}: its function", inner.function, _GIVEN)
        if not isinstance(rule, EarnRule):
            raise DeclarationError(f"{what} isn't an EarnRule")
        rules.append(rule)
    _unique("earn rule", (rule.code for rule in rules))
    _agree(rules)
    return tuple(rules)


def _agree(rules: Sequence[EarnRule]) -> None:
    """A group, a shared cap, a budget is the same wherever it is named."""
    known: dict[str, Group] = {}
    for rule in rules:
        group = group_of(rule)
        while group is not None:
            if known.setdefault(group.code, group) != group:
                raise DeclarationError(
                    f"earn rule {rule.code}: the group {group.code} is declared twice, and not "
                    "alike: make it once, and name it"
                )
            group = group.within
    shared: dict[str, Ceiling] = {}
    for rule in rules:
        for key, ceiling in shared_by(ceilings_of(rule)).items():
            if shared.setdefault(key, ceiling) != ceiling:
                raise DeclarationError(
                    f"earn rule {rule.code}: {key.replace(':', ' ')} is declared twice, and not "
                    "alike: make it once, and name it"
                )


def check_redeem_rules(value: object) -> tuple[RedeemRule, ...]:
    """The rules that `laurels_redeem_rules` returned."""
    rules: list[RedeemRule] = []
    for place, rule in enumerate(_sequence("redeem rules", value), 1):
        what = f"redeem rule {place}"
        _refuse_unmade(what, rule, "it needs code, title, currency, terms and discount")
        what = _check_named(what, "redeem rule", rule)
        check_code(f"{what}: currency", _read(what, rule, "currency"))
        _check_method(f"{what}: discount", _read(what, rule, "discount"), ("checkout",))
        if not isinstance(rule, RedeemRule):
            raise DeclarationError(f"{what} isn't a RedeemRule")
        rules.append(rule)
    _unique("redeem rule", (rule.code for rule in rules))
    return tuple(rules)


def check_rewards(value: object) -> tuple[Reward, ...]:
    """The catalogue that `laurels_rewards` returned."""
    rewards = _each("reward", _sequence("rewards", value), Reward)
    _unique("reward", (reward.code for reward in rewards))
    return rewards


def check_ladders(value: object) -> tuple[Ladder, ...]:
    """The ladders that `laurels_ladders` returned."""
    ladders = _each("ladder", _sequence("ladders", value), Ladder)
    _unique("ladder", (ladder.code for ladder in ladders))
    return ladders


def check_plans(value: object) -> tuple[MembershipPlan, ...]:
    """The plans that `laurels_plans` returned."""
    plans = _each("plan", _sequence("plans", value), MembershipPlan)
    _unique("plan", (plan.code for plan in plans))
    return plans


def check_surveys(value: object) -> tuple[Survey, ...]:
    """The surveys that `laurels_surveys` returned."""
    surveys = _each("survey", _sequence("surveys", value), Survey)
    _unique("survey", (survey.code for survey in surveys))
    return surveys


def check_adapters(value: object) -> tuple[Adapter, ...]:
    """The end points that `laurels_adapters` returned."""
    adapters = _each("adapter", _sequence("adapters", value), Adapter)
    _unique("adapter", (adapter.code for adapter in adapters))
    for adapter in adapters:
        what = f"adapter {adapter.code!r}"
        _check_method(f"{what}: read", adapter.read, ("message",))
        _check_method(f"{what}: verify", adapter.verify.verify, ("headers", "body", "now"))
    return adapters


def check_personal(value: object) -> tuple[PersonalOffers, ...]:
    """The personal offers that `laurels_personal_offers` returned."""
    found = _each("personal offers", _sequence("personal offers", value), PersonalOffers)
    _unique("personal offers", (offers.code for offers in found))
    for offers in found:
        what = f"personal offers {offers.code!r}: choose"
        _check_method(what, offers.choose, ("history",))
    return found


def check_giving(value: object) -> Giving | None:
    """What `laurels_giving` returned, if there is anything to give."""
    if value is None or value == ():
        return None
    if not isinstance(value, Giving):
        raise DeclarationError(f"returned {_kind(value)}, where a Giving is wanted")
    return value


def _kind(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


def _sequence(nouns: str, value: object) -> tuple[object, ...]:
    # A generator is refused as well: it could be read once only, and hides its faults until then.
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
        raise DeclarationError(f"returned {_kind(value)}, where a list of {nouns} is wanted")
    return tuple(value)


def _each(noun: str, values: tuple[object, ...], kind: type[T]) -> tuple[T, ...]:
    checked: list[T] = []
    for place, value in enumerate(values, 1):
        if not isinstance(value, kind):
            raise DeclarationError(f"{noun} {place} is {_kind(value)}, no {kind.__name__}")
        checked.append(value)
    return tuple(checked)


def _unique(noun: str, codes: Iterable[str]) -> None:
    seen: set[str] = set()
    for code in codes:
        if code in seen:
            raise DeclarationError(f"{noun} {code!r} is declared twice")
        seen.add(code)


def _refuse_unmade(what: str, rule: object, advice: str) -> None:
    if isinstance(rule, type):
        raise DeclarationError(f"{what} is the class {rule.__name__}: call it, to make a rule")
    if inspect.isroutine(rule):
        raise DeclarationError(f"{what} is the plain function {rule.__name__}: {advice}")


def _check_named(what: str, noun: str, rule: object) -> str:
    """Check code, title and terms; return what to call the rule from here on."""
    code = check_code(f"{what}: code", _read(what, rule, "code"))
    named = f"{noun} {code!r}"
    check_title(f"{named}: title", _read(named, rule, "title"))
    check_plain(f"{named}: terms", _read(named, rule, "terms"))
    return named


def _read(what: str, rule: object, name: str) -> object:
    try:
        return getattr(rule, name)
    except AttributeError:
        raise DeclarationError(f"{what} ({type(rule).__name__}) has no {name}") from None


def _check_method(what: str, method: object, arguments: tuple[str, ...]) -> None:
    if not callable(method):
        raise DeclarationError(f"{what} can't be called, it is {_kind(method)}")
    # A callable object is as asynchronous as its __call__.
    for layer in (method, getattr(method, "__call__", None)):  # noqa: B004
        if inspect.iscoroutinefunction(layer) or inspect.isasyncgenfunction(layer):
            raise DeclarationError(f"{what} is async: a rule is a plain function and never waits")
        if inspect.isgeneratorfunction(layer):
            raise DeclarationError(f"{what} yields: a rule returns its answer")
    try:
        signature = inspect.signature(method)
    except ValueError:
        return  # Written in C, without a signature to read: it will show when it is called.
    try:
        signature.bind(*arguments)
    except TypeError as error:
        wanted = ", ".join(arguments)
        raise DeclarationError(f"{what} is called with ({wanted}): {error}") from None
