"""The hooks, called as a host calls them: a plugin of a brand's own is found and checked."""

from types import SimpleNamespace
from typing import Any

import pluggy
import pytest

from laurels import hookspecs
from laurels.declarations import Partner
from laurels.earning import PointsPerVisit

HOOKS = {
    "laurels_adapters",
    "laurels_plans",
    "laurels_earn_rules",
    "laurels_giving",
    "laurels_ladders",
    "laurels_partner",
    "laurels_personal_offers",
    "laurels_redeem_rules",
    "laurels_rewards",
    "laurels_settings",
    "laurels_surveys",
}


def host() -> pluggy.PluginManager:
    """A plugin manager that knows the hooks."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def plugin(**hooks: Any) -> SimpleNamespace:
    """A plugin that implements these hooks."""
    return SimpleNamespace(**{name: hookspecs.hookimpl(hook) for name, hook in hooks.items()})


def test_names() -> None:
    assert (hookspecs.PROJECT, hookspecs.ENTRY_POINT_GROUP) == ("laurels", "laurels.partners")
    assert hookspecs.SHADOW_GROUP == "laurels.shadows"
    assert {name for name in vars(host().hook) if not name.startswith("_")} == HOOKS


def test_a_plugin_is_asked() -> None:
    manager = host()
    partner, rules = Partner("cafe", "Cafe"), [PointsPerVisit("STAR")]
    manager.register(plugin(laurels_partner=lambda: partner, laurels_earn_rules=lambda: rules))
    manager.check_pending()
    assert manager.hook.laurels_partner(settings=None) == [partner]
    assert manager.hook.laurels_earn_rules(settings=None) == [rules]
    assert manager.hook.laurels_rewards(settings=None) == []


def test_a_misspelt_hook_is_found() -> None:
    manager = host()
    manager.register(plugin(laurels_partners=lambda: None))
    with pytest.raises(pluggy.PluginValidationError, match="unknown hook 'laurels_partners'"):
        manager.check_pending()


def test_a_hook_takes_settings_and_nothing_else() -> None:
    manager = host()
    manager.register(plugin(laurels_partner=lambda settings: Partner(settings, "Cafe")))
    assert manager.hook.laurels_partner(settings="cafe") == [Partner("cafe", "Cafe")]
    with pytest.raises(pluggy.PluginValidationError, match="laurels_partner"):
        host().register(plugin(laurels_partner=lambda request: None))
