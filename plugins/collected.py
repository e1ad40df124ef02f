"""What a collection found: the plugins installed, refused and blocked. Frozen, and plain to read.

Knows nothing of how plugins are found, loaded or asked: the rest of the application reads these
results and never meets the plugin system itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from laurels import EarnRule, Ladder, Partner, RedeemRule, Reward


@dataclass(frozen=True, slots=True)
class Installed:
    """A plugin that passed every check.

    `name` is its entry point's, `dist` the distribution that brought it (None where none did);
    `version` is that distribution's, and is stored with every decision its rules make.
    """

    name: str
    version: str
    dist: str | None
    partner: Partner
    earn_rules: tuple[EarnRule, ...]
    redeem_rules: tuple[RedeemRule, ...]
    rewards: tuple[Reward, ...]
    ladders: tuple[Ladder, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """A plugin that was left out, whole, and why. `hook` is None where it never came to a hook."""

    name: str
    version: str
    hook: str | None
    reason: str

    def __str__(self) -> str:
        where = f", hook {self.hook}" if self.hook else ""
        return f"plugin {self.name!r} {self.version}{where}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Collected:
    """All that was found, each part in the order of the plugins' names.

    `blocked` names the plugins that are there but were kept out on request, without an import.
    """

    installed: tuple[Installed, ...]
    refused: tuple[Refused, ...]
    blocked: tuple[str, ...] = ()
