"""Who is told of a change by webhook: partners of what happened at them, and of their members.

What happened at a partner is told to it alone. What the programme did by itself (a night's expiry,
a review of ranks) is told to each partner that has dealt with the member, where it is about a
currency or a ladder that this partner knows. Knows nothing of how anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from core.db import Connection
from core.reviews import PROGRAMME
from core.rulebook import Rulebook
from core.store import webhook_deliveries as store
from core.store.webhook_deliveries import Listener
from core.store.writes import ChangeRow
from core.webhooks import topics_of


async def tell(
    connection: Connection, rulebook: Rulebook, changes: Sequence[ChangeRow], now: datetime
) -> int:
    """Add a delivery for each endpoint that wants one of these; how many. In two statements."""
    partners = sorted({c.partner for c in changes} - {PROGRAMME})
    holders = sorted({c.holder for c in changes if c.partner == PROGRAMME})
    listeners = await store.listening(connection, partners, holders)
    found = list(_wanted(rulebook, listeners, changes)) if listeners else []
    if found:
        await store.add(connection, found, now)
    return len(found)


def _wanted(
    rulebook: Rulebook, listeners: Sequence[Listener], changes: Sequence[ChangeRow]
) -> Iterator[tuple[int, ChangeRow, list[int]]]:
    at: dict[int, list[Listener]] = {}
    for listener in listeners:
        at.setdefault(listener.partner, []).append(listener)
    for change in changes:
        if change.partner != PROGRAMME:
            for listener in at.get(change.partner, ()):
                yield from _if_wanted(listener, change, change)
        else:
            for partner, those in at.items():
                seen = _seen_by(rulebook, partner, change)
                for listener in those:
                    if change.holder in listener.dealt:
                        yield from _if_wanted(listener, change, seen)


def _if_wanted(
    listener: Listener, change: ChangeRow, seen: ChangeRow
) -> Iterator[tuple[int, ChangeRow, list[int]]]:
    topics = [topic for topic in topics_of(seen) if topic in listener.topics]
    if topics:
        yield listener.endpoint, change, [int(topic) for topic in topics]


def _seen_by(rulebook: Rulebook, number: int, change: ChangeRow) -> ChangeRow:
    """What of a change by the programme itself a partner may know of."""
    partner = rulebook.partner_by_id(number)
    if partner is None:
        return change._replace(currencies=(), ladders=(), kind=0)
    currencies = {c.id for c in (*partner.issues.values(), *partner.accepts.values())}
    ladders = {ladder.id for ladder in rulebook.ladders_of(partner)}
    return change._replace(
        currencies=tuple(c for c in change.currencies if c in currencies),
        ladders=tuple(x for x in change.ladders if x in ladders),
    )
