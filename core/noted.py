"""What partners have noted of members, as it stood at an instant; what rules are to be told of.

Plain rows, and pure. Knows nothing of how they come about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from laurels.activities import Value

#: Ids that each event has for what it notes, and the place of what is noted by hand.
_PLACES = 64
BY_HAND = _PLACES - 1


class AttributeRow(NamedTuple):
    """A row of `attribute`: what a partner noted of a member, from `at` on; `value` None: no more.

    `event` is the one by whose decision it was noted; None: by hand. Of two of one instant the one
    with the higher `id` stands (see `number`). Decisions name the ids alone, so that what is noted
    can be erased.
    """

    holder: int
    partner: int
    name: str
    at: datetime
    id: int
    event: int | None
    value: str | None
    until: datetime | None

    def stands(self, at: datetime) -> bool:
        """Whether it says something at an instant, where nothing said otherwise before."""
        return self.value is not None and (self.until is None or at < self.until)


class Occasion(NamedTuple):
    """A row of `occasion`: something that the engine tells rules of, once."""

    partner: int
    external_id: str
    holder: int
    type: str
    attributes: Mapping[str, Value]
    at: datetime


def noted_at(rows: Iterable[AttributeRow], at: datetime) -> dict[str, AttributeRow]:
    """By name, what stands of a member's attributes at an instant."""
    latest: dict[str, AttributeRow] = {}
    for row in rows:
        known = latest.get(row.name)
        if row.at <= at and (known is None or (known.at, known.id) <= (row.at, row.id)):
            latest[row.name] = row
    return {name: row for name, row in sorted(latest.items()) if row.stands(at)}


def values_of(rows: Iterable[AttributeRow]) -> dict[str, str]:
    """By name, what they say."""
    return {row.name: row.value for row in rows if row.value is not None}


def number(event: int, place: int) -> int:
    """The id of what an event noted as its nth thing; BY_HAND: of what nobody's event noted."""
    return event * _PLACES + place
