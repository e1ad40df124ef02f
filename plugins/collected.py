"""What a collection found: the plugins installed, refused and blocked. Frozen, and plain to read.

Knows nothing of how plugins are found, loaded or asked: the rest of the application reads these
results and never meets the plugin system itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from laurels.plugin.installed import Installed


@dataclass(frozen=True, slots=True)
class Refused:
    """A plugin that was left out, whole, and why. `hook` is None where it never came to a hook.

    `shadow`: it was to judge in shadow only.
    """

    name: str
    version: str
    hook: str | None
    reason: str
    shadow: bool = False

    def __str__(self) -> str:
        where = f", hook {self.hook}" if self.hook else ""
        what = "shadow" if self.shadow else "plugin"
        return f"{what} {self.name!r} {self.version}{where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Collected:
    """All that was found, each part in the order of the plugins' names.

    `blocked` names the plugins that are there but were kept out on request, without an import;
    `shadows` are next versions of those installed.
    """

    installed: tuple[Installed, ...]
    refused: tuple[Refused, ...]
    blocked: tuple[str, ...] = ()
    shadows: tuple[Installed, ...] = ()
