"""What of each booked event others are told: a row of the outbox, written with the booking.

Pure. Nothing personal is in it: ids, and which kinds of things changed. Who is told, and how, is
`core.dispatching`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import IntEnum

import orjson

from core.events import EventKind
from core.store.writes import ChangeRow, Writes

#: Their natural key is the redemption's number.
OF_REDEMPTIONS = frozenset(
    {
        EventKind.REDEMPTION,
        EventKind.RESERVATION,
        EventKind.CONFIRMATION,
        EventKind.CANCELLATION,
        EventKind.TIME_OUT,
        EventKind.REVERSAL,
    }
)


class Told(IntEnum):
    """Changes that are no booked events.

    Their `event` is an invitation's number; of its answer the same below zero, for nobody is told
    of one event twice.
    """

    SURVEY_INVITED = 101
    SURVEY_ANSWERED = 102
    SURVEY_DETRACTOR = 103


#: That tell of an answer.
ANSWERS = frozenset({Told.SURVEY_ANSWERED, Told.SURVEY_DETRACTOR})


#: PostgreSQL takes less than 8,000 bytes in one notice.
MOST_BYTES = 7900
#: Currencies or ladders that one change names in a notice; of more it is told in several.
_MOST_NAMED = 200


def changes_of(writes: Writes) -> list[ChangeRow]:
    """A change for each event that a batch books: what it moved, and whose tier it changed."""
    moved: dict[int, list[int]] = {}
    for ledger in writes.ledgers:
        for events in (
            [t.event for t in ledger.transfers],
            [c.event for c in ledger.changes],
        ):
            for event in events:
                found = moved.setdefault(event, [])
                if not found or found[-1] != ledger.currency:  # its rows stand together
                    found.append(ledger.currency)
    ranked: dict[int, set[int]] = {}
    for move in writes.tier_changes:
        ranked.setdefault(move.event, set()).add(move.ladder)
    return [
        ChangeRow(
            e.id, e.holder, e.partner, e.kind, tuple(sorted(moved.get(e.id, ()))),
            tuple(sorted(ranked.get(e.id, ()))),
            int(e.external_id) if e.kind in OF_REDEMPTIONS else None,
        )
        for e in writes.events
    ]  # fmt: skip


def notices(changes: Iterable[ChangeRow]) -> list[str]:
    """Changes as JSON arrays, each short enough for one notice of PostgreSQL."""
    found: list[str] = []
    parts: list[bytes] = []
    length = 2
    for change in _cut(changes):
        part = orjson.dumps(tuple(change))
        if parts and length + len(part) + 1 > MOST_BYTES:
            found.append(f"[{b','.join(parts).decode()}]")
            parts, length = [], 2
        parts.append(part)
        length += len(part) + 1
    if parts:
        found.append(f"[{b','.join(parts).decode()}]")
    return found


def _cut(changes: Iterable[ChangeRow]) -> Iterator[ChangeRow]:
    for change in changes:
        most = max(len(change.currencies), len(change.ladders), 1)
        for n in range(0, most, _MOST_NAMED):
            end = n + _MOST_NAMED
            yield change._replace(
                currencies=change.currencies[n:end], ladders=change.ladders[n:end]
            )
