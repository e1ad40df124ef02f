"""The plugin host: loads the partners' plugins one at a time and asks each for its declarations.

Whatever one plugin does wrong is named and costs that plugin alone. How one is looked at is the
SDK's (`laurels.plugin`), so that a brand's own tests meet the same; it happens at start, never on a
request. It must not know what the engine makes of the results, nor read the environment: what is
set for a plugin it is handed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib.metadata import EntryPoint

from laurels import SHADOW_GROUP
from laurels.plugin.installed import Installed
from laurels.plugin.loading import load
from laurels.plugin.refusal import RefusalError, guarded
from laurels.settings import Values, nothing_set
from plugins.collected import Collected, Refused
from plugins.discovery import discover, origin
from plugins.taken import Taken

__all__ = ["Collected", "Installed", "Refused", "collect"]


def collect(
    *,
    blocked: Collection[str] = (),
    entry_points: Iterable[EntryPoint] | None = None,
    values: Values = nothing_set,
) -> Collected:
    """Load, check and ask every plugin but those `blocked`, in the order of their names.

    `values` says what is set for a plugin of a name and model, as a plain mapping.
    Without `entry_points` it takes those of all installed distributions. Never raises for what a
    plugin does. Where two claim the same name or code, the first keeps it. Shadows come last: each
    is of a partner that is installed.
    """
    if isinstance(blocked, str):
        raise TypeError("blocked is a collection of names, not one text")
    found, refused = discover() if entry_points is None else (list(entry_points), [])
    installed: list[Installed] = []
    shadows: list[Installed] = []
    kept_out: set[str] = set()
    names: dict[tuple[bool, str], str] = {}
    taken = Taken()
    for entry in sorted(found, key=_order):
        if entry.name in blocked:
            kept_out.add(entry.name)
            continue
        version, dist = origin(entry)
        shadow = _is_shadow(entry)
        try:
            _claim_name(names, entry)
            plugin = load(entry.name, _imported(entry), version, dist, values)
            if shadow:
                taken.cast(plugin)
            else:
                taken.take(plugin)
        except RefusalError as refusal:
            refused.append(Refused(entry.name, version, refusal.hook, refusal.reason, shadow))
        else:
            (shadows if shadow else installed).append(plugin)
    refused.sort(key=lambda r: r.name)
    return Collected(tuple(installed), tuple(refused), tuple(sorted(kept_out)), tuple(shadows))


def _is_shadow(entry: EntryPoint) -> bool:
    return entry.group == SHADOW_GROUP


def _order(entry: EntryPoint) -> tuple[bool, str, str, str]:
    return _is_shadow(entry), entry.name, origin(entry)[1] or "", entry.value


def _claim_name(names: dict[tuple[bool, str], str], entry: EntryPoint) -> None:
    key = (_is_shadow(entry), entry.name)
    first = names.get(key)
    if first is not None:
        raise RefusalError(None, f"another plugin has this name already ({first})")
    dist = origin(entry)[1]
    names[key] = f"{entry.value} of {dist}" if dist else entry.value


def _imported(entry: EntryPoint) -> object:
    return guarded(None, "can't be imported:", entry.load)
