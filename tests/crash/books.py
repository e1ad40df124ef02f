"""What the database holds, in the oracle's terms: read beside the application, by plain SQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import asyncpg

from core.entries import Account
from core.events import EventKind
from core.redeemed import Status
from tests.crash.oracle import BookedEvent, BookedRedemption, Books

T = TypeVar("T")

#: A crash between the clients' acknowledgement and the disk is survived by these alone.
DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}

_EVENTS = """
SELECT p.code || '/' || e.external_id AS name, i.value AS card, coalesce(array_agg(
    t.code || ' ' || t.change ORDER BY t.code) FILTER (WHERE t.change <> 0), '{}') AS changes
FROM event e JOIN partner p ON p.id = e.partner_id
JOIN identifier i ON i.holder_id = e.holder_id AND i.kind = 3
LEFT JOIN LATERAL (
    SELECT c.code, sum(CASE WHEN t.target = $2 THEN t.amount WHEN t.source = $2 THEN -t.amount
        ELSE 0 END)::bigint AS change
    FROM transfer t JOIN currency c ON c.id = t.currency_id
    WHERE t.holder_id = e.holder_id AND t.booked_at = e.booked_at GROUP BY c.code
) t ON true
WHERE e.kind = ANY ($1) AND ($3::text[] IS NULL OR e.external_id = ANY ($3))
GROUP BY e.id, p.code, i.value
"""
_REDEMPTIONS = """
SELECT r.id, coalesce(k.key, '') AS key, i.value AS card, c.code AS currency, r.points, r.status,
    ARRAY(SELECT e.kind FROM event e WHERE e.holder_id = r.holder_id
        AND e.external_id = r.id::text AND e.kind = ANY ($1)) AS events
FROM redemption r JOIN currency c ON c.id = r.currency_id
JOIN identifier i ON i.holder_id = r.holder_id AND i.kind = 3
LEFT JOIN request_key k ON (k.outcome ->> 1)::bigint = r.id AND k.key LIKE 'take-%'
WHERE $2::bigint[] IS NULL OR r.id = ANY ($2)
"""
_BALANCES = """
SELECT i.value AS card, c.code AS currency, l.active, l.reserved
FROM ledger l JOIN currency c ON c.id = l.currency_id
JOIN identifier i ON i.holder_id = l.holder_id AND i.kind = 3
"""
_NATURAL = (EventKind.PURCHASE, EventKind.RETURN)
_STEPS = (
    EventKind.REDEMPTION,
    EventKind.RESERVATION,
    EventKind.CONFIRMATION,
    EventKind.CANCELLATION,
    EventKind.TIME_OUT,
)


async def read(
    url: str, events: Collection[str] | None = None, redemptions: Collection[int] | None = None
) -> Books:
    """The books, in one snapshot: of these external ids and redemptions, or (both None) all."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            booked = await connection.fetch(_EVENTS, list(_NATURAL), Account.ACTIVE, _list(events))
            taken = await connection.fetch(_REDEMPTIONS, list(_STEPS), _list(redemptions))
            balances = await connection.fetch(_BALANCES)
    finally:
        await connection.close()
    return Books(
        [BookedEvent(r[0], r[1], tuple(_change(x) for x in r[2])) for r in booked],
        [
            BookedRedemption(
                r[0], r[1], r[2], r[3], r[4], Status(r[5]).name.lower(),
                tuple(sorted(EventKind(kind).name.lower() for kind in r[6])),
            )
            for r in taken
        ],
        {(r[0], r[1]): (r[2], r[3]) for r in balances},
    )  # fmt: skip


def _list(given: Collection[T] | None) -> list[T] | None:
    return None if given is None else list(given)


def _change(text: str) -> tuple[str, int]:
    currency, change = text.split(" ")
    return currency, int(change)


async def careless_settings(url: str) -> list[str]:
    """The server's settings under which a crash may lose what was committed; empty: it may not."""
    connection = await asyncpg.connect(url, timeout=30)
    try:
        found = {name: await connection.fetchval(f"SHOW {name}") for name in DURABLE}
    finally:
        await connection.close()
    return [f"{name} is {found[name]}" for name, due in DURABLE.items() if found[name] != due]
