"""Finds the entry points of partners and of their shadows, one distribution at a time.

`importlib.metadata.entry_points` reads all distributions in one go, so that a single broken file of
metadata hides every partner. Knows nothing of what the entry points lead to: imports none of them.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, EntryPoint, distributions

from laurels import ENTRY_POINT_GROUP, SHADOW_GROUP
from laurels.plugin.refusal import told
from plugins.collected import Refused

UNKNOWN = "unknown"
_GROUPS = (ENTRY_POINT_GROUP, SHADOW_GROUP)


def origin(entry: EntryPoint) -> tuple[str, str | None]:
    """The version and the name of the distribution that an entry point came with."""
    return (UNKNOWN, None) if entry.dist is None else _version_and_name(entry.dist)


def discover() -> tuple[list[EntryPoint], list[Refused]]:
    """The entry points of all distributions, and a refusal for each whose own can't be read."""
    found: list[EntryPoint] = []
    refused: list[Refused] = []
    seen: set[str] = set()
    for dist in distributions():
        version, name = _version_and_name(dist)
        key = re.sub(r"[-_.]+", "-", name or "").lower()
        # As for imports, the first on the path hides the others of its name.
        if key in seen:
            continue
        if key:
            seen.add(key)
        try:
            found += [e for group in _GROUPS for e in dist.entry_points.select(group=group)]
        except Exception as error:
            if _names_group(dist):
                reason = f"its entry_points.txt can't be read: {told(error)}"
                refused.append(Refused(name or UNKNOWN, version, None, reason))
    return found, refused


def _version_and_name(dist: Distribution) -> tuple[str, str | None]:
    try:
        return str(dist.metadata["Version"] or UNKNOWN), dist.metadata["Name"] or None
    except Exception:
        # Left-overs of an interrupted uninstall have no metadata; they hide nothing.
        return UNKNOWN, None


def _names_group(dist: Distribution) -> bool:
    """Whether broken metadata are of a partner at all: others are no business of ours."""
    try:
        text = dist.read_text("entry_points.txt") or ""
        return any(group in text for group in _GROUPS)
    except Exception:
        return False
