"""What partners have noted of members, as it stood at an instant; what rules are to be told of.

Plain rows, and pure. Knows nothing of how they come about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from laurels.activities import Value


class AttributeRow(NamedTuple):
    """A row of `attribute`: what a partner noted of a member, from `at` on; `value` None: no more.

    `event` is the one by whose decision it was noted; None: by hand. Of two of one instant the one
    with the higher `id` stands.
    """

    holder: int
    partner: int
    name: str
    at: datetime
    id: int
    event: int | None
    value: str | None
    until: datetime | None


class Occasion(NamedTuple):
    """A row of `occasion`: something that the engine tells rules of, once."""

    partner: int
    external_id: str
    holder: int
    type: str
    attributes: Mapping[str, Value]
    at: datetime


def noted_at(rows: Iterable[AttributeRow], at: datetime) -> dict[str, str]:
    """By name, what stands of a member's attributes at an instant."""
    latest: dict[str, AttributeRow] = {}
    for row in rows:
        known = latest.get(row.name)
        if row.at <= at and (known is None or (known.at, known.id) <= (row.at, row.id)):
            latest[row.name] = row
    return {
        name: row.value
        for name, row in sorted(latest.items())
        if row.value is not None and (row.until is None or at < row.until)
    }
