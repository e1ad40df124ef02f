"""Asks one plugin for its declarations, hook by hook, and says by name what is wrong with one.

The only place that calls a hook; no manager outlives the call. Knows nothing of other plugins, nor
of how this one was found.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias, TypeVar

from pluggy import PluginManager
from pydantic import BaseModel

from laurels import hookspecs
from laurels.plugin.checks import (
    check_adapters,
    check_earn_rules,
    check_giving,
    check_ladders,
    check_partner,
    check_personal,
    check_plans,
    check_redeem_rules,
    check_rewards,
    check_surveys,
)
from laurels.plugin.fit import check_fit
from laurels.plugin.installed import Installed
from laurels.plugin.refusal import RefusalError, checked, guarded
from laurels.settings import Values, check_model, described, masked, nothing_set, validated

T = TypeVar("T")

_PREFIX = "laurels_"
_SETTINGS = "laurels_settings"
#: Asked of a plugin by its manager, with its settings.
_Call: TypeAlias = Callable[[PluginManager, BaseModel | None], list[object]]
_CALLS: Mapping[str, _Call] = {
    "laurels_partner": lambda manager, s: manager.hook.laurels_partner(settings=s),
    "laurels_earn_rules": lambda manager, s: manager.hook.laurels_earn_rules(settings=s),
    "laurels_redeem_rules": lambda manager, s: manager.hook.laurels_redeem_rules(settings=s),
    "laurels_rewards": lambda manager, s: manager.hook.laurels_rewards(settings=s),
    "laurels_ladders": lambda manager, s: manager.hook.laurels_ladders(settings=s),
    "laurels_plans": lambda manager, s: manager.hook.laurels_plans(settings=s),
    "laurels_surveys": lambda manager, s: manager.hook.laurels_surveys(settings=s),
    "laurels_adapters": lambda manager, s: manager.hook.laurels_adapters(settings=s),
    "laurels_personal_offers": lambda manager, s: manager.hook.laurels_personal_offers(settings=s),
    "laurels_giving": lambda manager, s: manager.hook.laurels_giving(settings=s),
    _SETTINGS: lambda manager, _: manager.hook.laurels_settings(),
}


def load(
    name: str,
    plugin: object,
    version: str = "0",
    dist: str | None = None,
    values: Values = nothing_set,
) -> Installed:
    """Ask a plugin (a module, or an object with hooks) for its declarations, each checked.

    `values` says what is set for a plugin of this name and model. Raises RefusalError naming the
    hook, and what to do about it; no secret is in it.
    """
    manager = guarded(None, "can't be registered:", lambda: _register(name, plugin))
    settings = _settings(manager, name, values)
    try:
        return _asked(manager, settings, name, version, dist)
    except RefusalError as refusal:
        if settings is None:
            raise
        hook, reason = refusal.hook, masked(refusal.reason, settings)
    # Outside of the handler: what the plugin raised must not be its context.
    raise RefusalError(hook, reason)


def _settings(manager: PluginManager, name: str, values: Values) -> BaseModel | None:
    """What is set for the plugin, if it declares anything to be set."""
    if not manager.hook.laurels_settings.get_hookimpls():
        return None
    model = _ask(manager, _SETTINGS, check_model)
    return checked(_SETTINGS, lambda: validated(name, model, values(name, model)))


def _asked(
    manager: PluginManager, settings: BaseModel | None, name: str, version: str, dist: str | None
) -> Installed:
    installed = Installed(
        name=name,
        version=version,
        dist=dist,
        partner=_ask(manager, "laurels_partner", check_partner, settings),
        earn_rules=_ask(manager, "laurels_earn_rules", check_earn_rules, settings),
        redeem_rules=_ask(manager, "laurels_redeem_rules", check_redeem_rules, settings),
        rewards=_ask(manager, "laurels_rewards", check_rewards, settings),
        ladders=_ask(manager, "laurels_ladders", check_ladders, settings),
        plans=_ask(manager, "laurels_plans", check_plans, settings),
        surveys=_ask(manager, "laurels_surveys", check_surveys, settings),
        settings=checked(_SETTINGS, lambda: described(name, settings)),
        adapters=_ask(manager, "laurels_adapters", check_adapters, settings),
        personal=_ask(manager, "laurels_personal_offers", check_personal, settings),
        giving=_ask(manager, "laurels_giving", check_giving, settings),
    )
    check_fit(installed)
    return installed


def _register(name: str, plugin: object) -> PluginManager:
    """A manager of this plugin's own, so that no answer can be mistaken for another's."""
    if inspect.isclass(plugin):
        raise RefusalError(None, f"its entry point names the class {plugin.__name__}, not a module")
    manager = PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    _check_hooks(manager, plugin)
    manager.register(plugin, name)
    # What is wrong with a hook was said above in our own words; this is pluggy's own last word.
    manager.check_pending()
    return manager


def _check_hooks(manager: PluginManager, plugin: object) -> None:
    """Refuse what pluggy would refuse without naming the hook, or silently pass over."""
    implemented: dict[str, str] = {}
    taking: list[str] = []
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is None:
            if name in _CALLS and callable(getattr(plugin, name)):
                raise RefusalError(name, "is there, but isn't marked with @hookimpl")
            continue
        hook = options.get("specname") or name
        if hook not in _CALLS:
            if options.get("optionalhook"):
                continue  # Written for a later kit, and says so.
            raise RefusalError(hook, _unknown(hook))
        if options.get("wrapper") or options.get("hookwrapper"):
            raise RefusalError(hook, "is a wrapper: a hook returns declarations and wraps nobody's")
        if hook in implemented:
            raise RefusalError(hook, f"is implemented twice, by {implemented[hook]} and {name}")
        implemented[hook] = name
        if "settings" in _check_function(hook, getattr(plugin, name)):
            taking.append(hook)
    if "laurels_partner" not in implemented:
        raise RefusalError("laurels_partner", "isn't there: each plugin says who the partner is")
    if taking and _SETTINGS not in implemented:
        raise RefusalError(taking[0], f"takes settings, and the plugin has no {_SETTINGS}")


def _unknown(hook: str) -> str:
    # Compared without what all hooks begin with, else everything is near to everything.
    ends = {known.removeprefix(_PREFIX): known for known in _CALLS}
    near = difflib.get_close_matches(hook.removeprefix(_PREFIX), ends, n=1)
    if near:
        return f"is an unknown hook; did you mean {ends[near[0]]}?"
    return f"is an unknown hook; there are {', '.join(_CALLS)}"


def _check_function(hook: str, function: Callable[..., object]) -> Collection[str]:
    """The names of what the function takes."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise RefusalError(hook, "is async: hooks are plain functions and run once, at start")
    known = inspect.signature(getattr(hookspecs, hook)).parameters
    taken = inspect.signature(function).parameters
    for parameter in taken.values():
        optional = parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if parameter.name not in known and not optional:
            handed = ", ".join(known) or "none"
            reason = f"takes an unknown argument {parameter.name!r}; the hook's are: {handed}"
            raise RefusalError(hook, reason)
    return taken


def _ask(
    manager: PluginManager,
    hook: str,
    check: Callable[[object], T],
    settings: BaseModel | None = None,
) -> T:
    """What the plugin declares by this hook, checked; nothing where it doesn't implement it."""
    return checked(hook, lambda: check(_answer(manager, hook, settings)))


def _answer(manager: PluginManager, hook: str, settings: BaseModel | None) -> object:
    if not getattr(manager.hook, hook).get_hookimpls():
        return ()
    answers = guarded(hook, "raised", lambda: _CALLS[hook](manager, settings))
    if not answers:
        return None  # pluggy drops an answer of None.
    if inspect.isawaitable(answers[0]):
        if inspect.iscoroutine(answers[0]):
            answers[0].close()  # Else Python warns later, far from the culprit.
        raise RefusalError(hook, "returned an awaitable: hooks are plain functions")
    return answers[0]
