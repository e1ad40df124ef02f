"""An enum of the engine's as one of GraphQL's: nothing goes without a description.

Knows nothing of what the values stand for.
"""

from __future__ import annotations

from enum import Enum

import strawberry


def words(kind: type[Enum], description: str, *, name: str | None = None, **values: str) -> None:
    """Give an enum and each of its values their descriptions. Raises TypeError where one lacks."""
    if set(values) != set(kind.__members__):
        wrong = ", ".join(sorted(set(values) ^ set(kind.__members__)))
        raise TypeError(f"{kind.__name__}: described and declared differ by {wrong}")
    strawberry.enum(kind, name=name, description=description)
    for value in kind.__strawberry_definition__.values:  # type: ignore[attr-defined]  # just set
        value.description = values[value.name]
