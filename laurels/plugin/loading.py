"""Asks one plugin for its declarations, hook by hook, and says by name what is wrong with one.

The only place that calls a hook; no manager outlives the call. Knows nothing of other plugins, nor
of how this one was found.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import TypeVar

from pluggy import PluginManager

from laurels import hookspecs
from laurels.plugin.checks import (
    check_earn_rules,
    check_ladders,
    check_partner,
    check_redeem_rules,
    check_rewards,
)
from laurels.plugin.fit import check_fit
from laurels.plugin.installed import Installed
from laurels.plugin.refusal import RefusalError, checked, guarded

T = TypeVar("T")

_PREFIX = "laurels_"
_CALLS: Mapping[str, Callable[[PluginManager], list[object]]] = {
    "laurels_partner": lambda manager: manager.hook.laurels_partner(),
    "laurels_earn_rules": lambda manager: manager.hook.laurels_earn_rules(),
    "laurels_redeem_rules": lambda manager: manager.hook.laurels_redeem_rules(),
    "laurels_rewards": lambda manager: manager.hook.laurels_rewards(),
    "laurels_ladders": lambda manager: manager.hook.laurels_ladders(),
}


def load(name: str, plugin: object, version: str = "0", dist: str | None = None) -> Installed:
    """Ask a plugin (a module, or an object with hooks) for its declarations, each checked.

    Raises RefusalError naming the hook, and what to do about it.
    """
    manager = guarded(None, "can't be registered:", lambda: _register(name, plugin))
    installed = Installed(
        name=name,
        version=version,
        dist=dist,
        partner=_ask(manager, "laurels_partner", check_partner),
        earn_rules=_ask(manager, "laurels_earn_rules", check_earn_rules),
        redeem_rules=_ask(manager, "laurels_redeem_rules", check_redeem_rules),
        rewards=_ask(manager, "laurels_rewards", check_rewards),
        ladders=_ask(manager, "laurels_ladders", check_ladders),
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
        _check_function(hook, getattr(plugin, name))
    if "laurels_partner" not in implemented:
        raise RefusalError("laurels_partner", "isn't there: each plugin says who the partner is")


def _unknown(hook: str) -> str:
    # Compared without what all hooks begin with, else everything is near to everything.
    ends = {known.removeprefix(_PREFIX): known for known in _CALLS}
    near = difflib.get_close_matches(hook.removeprefix(_PREFIX), ends, n=1)
    if near:
        return f"is an unknown hook; did you mean {ends[near[0]]}?"
    return f"is an unknown hook; there are {', '.join(_CALLS)}"


def _check_function(hook: str, function: Callable[..., object]) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise RefusalError(hook, "is async: hooks are plain functions and run once, at start")
    known = inspect.signature(getattr(hookspecs, hook)).parameters
    for parameter in inspect.signature(function).parameters.values():
        optional = parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_POSITIONAL,
            parameter.VAR_KEYWORD,
        )
        if parameter.name not in known and not optional:
            handed = ", ".join(known) or "none"
            reason = f"takes an unknown argument {parameter.name!r}; the hook's are: {handed}"
            raise RefusalError(hook, reason)


def _ask(manager: PluginManager, hook: str, check: Callable[[object], T]) -> T:
    """What the plugin declares by this hook, checked; nothing where it doesn't implement it."""
    return checked(hook, lambda: check(_answer(manager, hook)))


def _answer(manager: PluginManager, hook: str) -> object:
    if not getattr(manager.hook, hook).get_hookimpls():
        return ()
    answers = guarded(hook, "raised", lambda: _CALLS[hook](manager))
    if not answers:
        return None  # pluggy drops an answer of None.
    if inspect.isawaitable(answers[0]):
        if inspect.iscoroutine(answers[0]):
            answers[0].close()  # Else Python warns later, far from the culprit.
        raise RefusalError(hook, "returned an awaitable: hooks are plain functions")
    return answers[0]
