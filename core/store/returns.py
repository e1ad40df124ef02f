"""Queries on what became of a purchase: its revisions, what came back, and what waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core.db import Connection, reading
from core.lines import COLUMNS
from core.store.posting import columns

_FIND = """
SELECT k.place, e.id, e.holder_id
FROM unnest($1::int[], $2::int[], $3::text[], $4::smallint[]) AS k (place, partner_id, external_id, kind)
JOIN event e ON e.partner_id = k.partner_id AND e.kind = k.kind AND e.external_id = k.external_id
"""
_KNOWN = """
SELECT k.place, e.id, e.holder_id, e.content_hash, e.booked_at, e.purchase_id
FROM unnest($1::int[], $2::int[], $3::smallint[], $4::text[]) AS k (place, partner_id, kind, external_id)
JOIN event e ON e.partner_id = k.partner_id AND e.kind = k.kind AND e.external_id = k.external_id
"""
_HISTORY = """
SELECT coalesce(e.purchase_id, e.id), e.id, e.kind, e.holder_id, e.occurred_at, e.booked_at,
    e.partner_id, e.money, e.external_id, e.store, d.content, e.tender
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
_WAIT = """
INSERT INTO waiting (partner_id, kind, external_id, purchase, occurred_at, content_hash, content, since)
SELECT a, b, c, d, e, f, g::jsonb, h FROM unnest($1::int[], $2::smallint[], $3::text[], $4::text[],
    $5::timestamptz[], $6::bytea[], $7::text[], $8::timestamptz[]) AS n (a, b, c, d, e, f, g, h)
ON CONFLICT DO NOTHING
"""
_WAITS = """SELECT partner_id, kind, external_id, purchase, occurred_at, content_hash, content,
    since, problem FROM waiting w """


# Of these purchases, or of all.
_ASKED = """($1 OR (w.partner_id, w.purchase) IN (
    SELECT a, b FROM unnest($2::int[], $3::text[]) AS k (a, b)))"""


class Waits(NamedTuple):
    """What came before its purchase; `problem` says why it couldn't be booked when that came."""

    partner: int
    kind: int
    external_id: str
    purchase: str
    occurred_at: datetime
    content_hash: bytes
    content: dict[str, Any]
    since: datetime
    problem: str


async def find_purchases(
    connection: Connection, keys: Sequence[tuple[int, int, str, int]]
) -> dict[int, tuple[int, int]]:
    """(event, holder) of purchases asked for by (place, partner, external id, kind), by place."""
    rows = await connection.fetch(_FIND, *columns(keys, 4))
    return {row[0]: (row[1], row[2]) for row in rows}


async def known(
    connection: Connection, keys: Sequence[tuple[int, int, int, str]]
) -> dict[int, tuple[int, int, bytes, datetime, int]]:
    """Events that stand under (place, partner, kind, external id), by place."""
    rows = await connection.fetch(_KNOWN, *columns(keys, 4))
    return {row[0]: (row[1], row[2], row[3], row[4], row[5]) for row in rows}


async def history(connection: Connection, purchases: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """All events of these purchases with their decisions, oldest first; and all their lines."""
    ids = list(purchases)
    return await connection.fetch(_HISTORY, ids), await connection.fetch(_LINES, ids)


async def wait(connection: Connection, given: Sequence[Waits]) -> int:
    """Keep what came before its purchase; how many are new: what is kept already stays."""
    # In one order for all: who waits for another's key must not hold one that the other waits for.
    rows = [
        (*w[:6], orjson.dumps(w.content).decode(), w.since)
        for w in sorted(given, key=lambda w: w[:3])
    ]
    done: str = await connection.execute(_WAIT, *columns(rows, 8))
    return int(done.rpartition(" ")[2])


async def waits(
    connection: Connection, keys: Sequence[tuple[int, int, int, str]]
) -> dict[int, Waits]:
    """What waits under (place, partner, kind, external id), by place."""
    rows = await connection.fetch(
        "SELECT k.place, w.* FROM unnest($1::int[], $2::int[], $3::smallint[], $4::text[]) "
        "AS k (place, partner_id, kind, external_id) CROSS JOIN LATERAL ("
        f"{_WAITS} WHERE w.partner_id = k.partner_id AND w.kind = k.kind "
        "AND w.external_id = k.external_id) w",
        *columns(keys, 4),
    )
    return {row[0]: _waits(row[1:]) for row in rows}


async def matched(limit: int, purchases: Sequence[tuple[int, str]] | None) -> list[Waits]:
    """What waits although its purchase is known (of these, or of all), the earliest first."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"{_WAITS} WHERE w.problem = '' AND EXISTS (SELECT FROM event e WHERE "
            "e.partner_id = w.partner_id AND e.kind = 1 AND e.external_id = w.purchase) "
            f"AND {_ASKED} ORDER BY w.occurred_at, w.since, w.external_id LIMIT $4",
            *_asked(purchases),
            limit,
        )
    return [_waits(row) for row in rows]


async def spent_on_cancelled(
    purchases: Sequence[tuple[int, str]] | None,
) -> list[tuple[int, str]]:
    """(partner, order) of those whose cancel waits, where something spent on them stands."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT r.partner_id, r.order_id FROM waiting w "
            "JOIN redemption r ON r.partner_id = w.partner_id AND r.order_id = w.purchase "
            f"AND r.status IN (1, 2) WHERE w.kind = 9 AND w.problem = '' AND {_ASKED} ORDER BY 1, 2",
            *_asked(purchases),
        )
    return [(row[0], row[1]) for row in rows]


def _asked(purchases: Sequence[tuple[int, str]] | None) -> tuple[bool, list[Any], list[Any]]:
    partners, names = columns(purchases or (), 2)
    return purchases is None, partners, names


async def waiting_of(
    partner: int | None, after: tuple[datetime, str, int, int] | None, limit: int
) -> list[Waits]:
    """All that waits (at one partner), the longest first.

    `after` is (since, external id, partner, kind) of the last one seen: a cancel may bear the very
    number of a return.
    """
    async with reading() as connection:
        rows = await connection.fetch(
            f"{_WAITS} WHERE ($1::int IS NULL OR w.partner_id = $1) "
            "AND ($2::timestamptz IS NULL OR (w.since, w.external_id, w.partner_id, w.kind) "
            "> ($2, $3::text, $4::int, $5::smallint)) "
            "ORDER BY w.since, w.external_id, w.partner_id, w.kind LIMIT $6",
            partner,
            *(after or (None,) * 4),
            limit,
        )
    return [_waits(row) for row in rows]


async def waiting_under(partner: int, kind: int, external_id: str) -> Waits | None:
    """What waits under this natural key."""
    return next(iter(await waiting_now(partner, kind, [external_id])), None)


async def waiting_now(partner: int, kind: int, external_ids: Sequence[str]) -> list[Waits]:
    """Which of these wait."""
    async with reading() as connection:
        keys = [(n, partner, int(kind), name) for n, name in enumerate(external_ids)]
        return list((await waits(connection, keys)).values())


def _waits(row: Any) -> Waits:
    return Waits(
        row[0], row[1], row[2], row[3], row[4], row[5], orjson.loads(row[6]), row[7], row[8]
    )


async def forget(connection: Connection, keys: Sequence[tuple[int, int, str]]) -> None:
    """These (partner, kind, external id) wait no longer: they are events now."""
    await connection.execute(
        "DELETE FROM waiting w USING unnest($1::int[], $2::smallint[], $3::text[]) "
        "AS k (partner_id, kind, external_id) WHERE w.partner_id = k.partner_id "
        "AND w.kind = k.kind AND w.external_id = k.external_id",
        *columns(keys, 3),
    )


async def tell_problem(row: Waits, problem: str) -> None:
    """Note why what waited couldn't be booked: it stays, to be seen and mended."""
    async with reading() as connection:
        await connection.execute(
            "UPDATE waiting SET problem = $4 WHERE partner_id = $1 AND kind = $2 "
            "AND external_id = $3",
            row.partner,
            row.kind,
            row.external_id,
            problem,
        )
