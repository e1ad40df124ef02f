"""What is one of a kind in the whole programme: of two plugins that claim it the first keeps it."""

from __future__ import annotations

from collections.abc import Iterator

from laurels.plugin.installed import Installed
from laurels.plugin.refusal import RefusalError


class Taken:
    """The codes that are one of a kind in the whole programme, and which plugin has them."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str], str] = {}

    def take(self, plugin: Installed) -> None:
        """Note this plugin's codes. Raises RefusalError, and notes none, if another has one."""
        for hook, noun, code in _claims(plugin):
            owner = self._owners.get((noun, code))
            if owner is not None:
                raise RefusalError(hook, f"{noun} {code!r} already belongs to plugin {owner!r}")
        for _, noun, code in _claims(plugin):
            self._owners[noun, code] = plugin.name

    def cast(self, plugin: Installed) -> None:
        """Note a shadow. Raises RefusalError where its partner isn't installed, or has one already.

        It claims no code of its own: nothing of it is booked.
        """
        code = plugin.partner.code
        if ("partner", code) not in self._owners:
            raise RefusalError("laurels_partner", f"no partner {code!r} is installed to shadow")
        owner = self._owners.setdefault(("shadow", code), plugin.name)
        if owner != plugin.name:
            raise RefusalError("laurels_partner", f"partner {code!r} has the shadow {owner!r}")


def _claims(plugin: Installed) -> Iterator[tuple[str, str, str]]:
    yield "laurels_partner", "partner", plugin.partner.code
    for currency in plugin.partner.currencies:
        yield "laurels_partner", "currency", currency.code
    for ladder in plugin.ladders:
        yield "laurels_ladders", "ladder", ladder.code
    # `a` with a field `b_c` and `a-b` with a field `c` would share what sets them.
    for setting in plugin.settings:
        yield "laurels_settings", "variable", setting.variable
