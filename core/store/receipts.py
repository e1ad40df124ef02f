"""Reads of purchases as they stand, of the lots behind entries, and of what members were told.

Each takes many keys and is a fixed number of statements. Knows nothing of who may see what it
returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from core.db import Row, reading
from core.lines import COLUMNS
from core.store.posting import columns

_FIND = """
SELECT k.partner_id, k.external_id, e.id
FROM unnest($1::int[], $2::text[]) AS k (partner_id, external_id)
JOIN event e ON e.partner_id = k.partner_id AND e.kind = 1 AND e.external_id = k.external_id
"""
_HISTORY = """
SELECT coalesce(e.purchase_id, e.id), e.id, e.kind, e.holder_id, e.occurred_at, e.booked_at,
    e.partner_id, e.money, e.external_id, e.store, d.content, e.tender, e.total
FROM event e JOIN decision d ON d.holder_id = e.holder_id AND d.event_id = e.id
    AND d.booked_at = e.booked_at
WHERE e.id = ANY($1) OR e.purchase_id = ANY($1)
ORDER BY e.booked_at
"""
_LINES = f"""
SELECT l.event_id, l.line, {COLUMNS}
FROM event e JOIN event_line l ON l.event_id = e.id
WHERE e.id = ANY($1) OR e.purchase_id = ANY($1)
ORDER BY l.event_id, l.line
"""
# What a caller may know of the last revision of a purchase: to find the line that a return names.
_SOLD = """
SELECT k.place, e.holder_id, e.money, i.holder_id, l.line, l.product_type, l.sku
FROM unnest($1::int[], $2::int[], $3::text[], $4::smallint[], $5::int[], $6::text[], $7::bool[])
    AS k (place, partner_id, external_id, kind, scope, value, whole)
JOIN event e ON e.partner_id = k.partner_id AND e.kind = 1 AND e.external_id = k.external_id
LEFT JOIN identifier i ON i.kind = k.kind AND i.scope = k.scope AND i.value = k.value
CROSS JOIN LATERAL (
    SELECT coalesce((SELECT x.id FROM event x WHERE x.purchase_id = e.id AND x.kind = 10
        ORDER BY x.booked_at DESC LIMIT 1), e.id) AS id
) r
JOIN event_line l ON l.event_id = r.id AND (k.whole OR l.line = 1)
ORDER BY k.place, l.line
"""

_ORIGIN = """l.seq, l.partner_id, l.occurred_at, nullif(l.active_at, 'infinity'),
    nullif(l.lapses_at, 'infinity'), p.pending, p.expires,
    CASE WHEN e.kind IN (1, 10) THEN coalesce(b.external_id, e.external_id) END"""
_OPENED = """JOIN policy p ON p.id = l.policy_id
JOIN transfer o ON o.holder_id = l.holder_id AND o.currency_id = l.currency_id AND o.seq = l.seq
JOIN event e ON e.id = o.event_id LEFT JOIN event b ON b.id = e.purchase_id"""
_KEYS = "unnest($1::bigint[], $2::int[], $3::int[]) AS k (holder_id, currency_id, seq)"
_ORIGINS = f"""
SELECT a.holder_id, a.currency_id, a.seq, a.amount, {_ORIGIN}
FROM {_KEYS} JOIN allocation a USING (holder_id, currency_id, seq)
JOIN lot l ON l.holder_id = a.holder_id AND l.currency_id = a.currency_id AND l.seq = a.lot_seq
{_OPENED} ORDER BY 1, 2, 3, l.seq
"""
# An activation takes nothing from its lot, so no allocation names it: its instant and rule do.
_ACTIVATED = f"""
SELECT t.holder_id, t.currency_id, t.seq, l.amount, {_ORIGIN}
FROM {_KEYS} JOIN transfer t USING (holder_id, currency_id, seq)
JOIN lot l ON l.holder_id = t.holder_id AND l.currency_id = t.currency_id
    AND l.active_at = t.occurred_at AND l.rule_id IS NOT DISTINCT FROM t.rule_id
{_OPENED} WHERE o.target = 2 ORDER BY 1, 2, 3, l.seq
"""
_ACTIVATING = """
SELECT l.holder_id, l.currency_id, nullif(l.active_at, 'infinity'),
    CASE WHEN l.active_at = 'infinity' THEN l.lapses_at END,
    CASE WHEN l.active_at = 'infinity' THEN p.pending END, sum(l.remaining)::bigint
FROM unnest($1::bigint[], $2::int[]) AS k (holder_id, currency_id)
JOIN lot l USING (holder_id, currency_id) JOIN policy p ON p.id = l.policy_id
WHERE l.remaining > 0 AND l.pending AND l.active_at > $3
    AND (l.active_at <= $4 OR (l.active_at = 'infinity' AND l.lapses_at > $3))
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3 NULLS LAST, 4, 5
"""
_NOTICES = """
SELECT n.holder_id, n.kind, n.subject_id, n.due_at, n.lead, n.amount, n.at
FROM unnest($1::bigint[]) AS k (holder_id) CROSS JOIN LATERAL (
    SELECT * FROM notice n WHERE n.holder_id = k.holder_id
        AND (n.kind <> 1 OR n.subject_id = ANY($2)) AND (n.kind <> 2 OR n.subject_id = ANY($3))
        AND ($4::timestamptz IS NULL OR (n.at, n.due_at, n.kind, n.subject_id, n.lead)
            < ($4, $5::timestamptz, $6::smallint, $7::int, $8::text))
    ORDER BY n.at DESC, n.due_at DESC, n.kind DESC, n.subject_id DESC, n.lead DESC LIMIT $9
) n
"""


class Origin(NamedTuple):
    """A lot behind an entry: `held` and `policy` are its pinned pending and expiry.

    `amount` is what the entry took from it or gave back to it; of an activation, the lot's own.
    `receipt` is the external id of the purchase that earned it, None where none did.
    """

    amount: int
    lot: int
    partner: int
    occurred_at: datetime
    active_at: datetime | None
    lapses_at: datetime | None
    held: str | None
    policy: str | None
    receipt: str | None


class Notice(NamedTuple):
    """What a member was told ahead of time; see `notice` in `core.store.books`."""

    holder: int
    kind: int
    subject: int
    due_at: datetime
    lead: str
    amount: int
    at: datetime


async def _fetch(sql: str, *arguments: object) -> list[Row]:
    async with reading() as connection:
        return list(await connection.fetch(sql, *arguments))


async def find(keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], int]:
    """The events of purchases by (partner, external id)."""
    rows = await _fetch(_FIND, *columns(keys, 2))
    return {(row[0], row[1]): row[2] for row in rows}


async def history(purchases: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """All events of these purchases with their decisions and totals, oldest first; all lines."""
    ids = list(purchases)
    return await _fetch(_HISTORY, ids), await _fetch(_LINES, ids)


async def sold(keys: Sequence[tuple[int, int, str, int, int, str, bool]]) -> list[Row]:
    """What was sold, by (place, partner, external id, identifier's kind, scope, value, whole).

    Rows of (place, holder, money, holder of the identifier, line, product type, sku), one for each
    line of the last revision; of one that isn't wanted whole only the first.
    """
    return await _fetch(_SOLD, *columns(keys, 7))


async def origins(
    keys: Sequence[tuple[int, int, int]],
) -> dict[tuple[int, int, int], list[Origin]]:
    """The lots that these transfers took from or gave back to, oldest first."""
    return _origins(await _fetch(_ORIGINS, *columns(keys, 3)))


async def activated(
    keys: Sequence[tuple[int, int, int]],
) -> dict[tuple[int, int, int], list[Origin]]:
    """The lots that may have become active by these transfers: one of them did."""
    return _origins(await _fetch(_ACTIVATED, *columns(keys, 3)))


def _origins(rows: Sequence[Row]) -> dict[tuple[int, int, int], list[Origin]]:
    found: dict[tuple[int, int, int], list[Origin]] = {}
    for row in rows:
        found.setdefault((row[0], row[1], row[2]), []).append(Origin(*row[3:]))
    return found


async def activating(
    keys: Sequence[tuple[int, int]], after: datetime, until: datetime
) -> list[Row]:
    """(holder, currency, instant, lapses at, pending, points) of what becomes active in a span.

    The instant is None where an event is awaited; then `lapses at` and `pending` are given.
    """
    return await _fetch(_ACTIVATING, *columns(keys, 2), after, until)


async def notices(
    holders: Sequence[int],
    currencies: Sequence[int],
    ladders: Sequence[int],
    before: tuple[datetime, datetime, int, int, str] | None,
    limit: int,
) -> dict[int, list[Notice]]:
    """The newest notices of each holder on these currencies and ladders, older than `before`."""
    place = before or (None,) * 5
    found: dict[int, list[Notice]] = {}
    for row in await _fetch(
        _NOTICES, list(holders), list(currencies), list(ladders), *place, limit
    ):
        found.setdefault(row[0], []).append(Notice(*row))
    return found


async def notice(
    holder: int, kind: int, subject: int, due_at: datetime, lead: str
) -> Notice | None:
    """One notice by its key."""
    rows = await _fetch(
        "SELECT holder_id, kind, subject_id, due_at, lead, amount, at FROM notice WHERE "
        "holder_id = $1 AND kind = $2 AND subject_id = $3 AND due_at = $4 AND lead = $5",
        holder, kind, subject, due_at, lead,
    )  # fmt: skip
    return Notice(*rows[0]) if rows else None
