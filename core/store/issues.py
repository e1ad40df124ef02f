"""Queries on rewards that rules issue: written with the purchase, done after it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Connection, reading
from core.store.posting import columns
from core.store.writes import IssueRow

_ADD = """
INSERT INTO issue (holder_id, event_id, rule_id, place, partner_id, reward, quantity, currency,
    order_id, at)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::smallint[], $5::int[], $6::text[],
    $7::smallint[], $8::text[], $9::text[], $10::timestamptz[])
"""
_ROW = (
    """holder_id, event_id, rule_id, place, partner_id, reward, quantity, currency, order_id, at"""
)


async def add(connection: Connection, rows: Sequence[IssueRow]) -> None:
    """Add what is to be issued."""
    await connection.execute(_ADD, *columns(rows, 10))


async def due(events: Sequence[int] | None, now: datetime, limit: int) -> list[IssueRow]:
    """What of these purchases, or of all, is to be issued by now, the oldest first.

    A till's clock may run ahead: until then its points can't be spent.
    """
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_ROW} FROM issue WHERE done_at IS NULL AND at <= $2 "
            "AND ($1::bigint[] IS NULL OR event_id = ANY($1)) ORDER BY at, event_id, place LIMIT $3",
            None if events is None else list(events),
            now,
            limit,
        )
    return [IssueRow(*row) for row in rows]


async def taken(
    connection: Connection, row: IssueRow, redemption: int, now: datetime, *, replayed: bool
) -> bool:
    """Note, with the redemption itself, that it was taken; False where another said it can't be.

    One that was taken before stands, whatever was said since.
    """
    done = await connection.fetchval(
        "UPDATE issue SET done_at = coalesce(done_at, $4), redemption_id = $5, problem = '' "
        "WHERE holder_id = $1 AND event_id = $2 AND place = $3 AND (done_at IS NULL OR $6) "
        "RETURNING true",
        row.holder,
        row.event,
        row.place,
        now,
        redemption,
        replayed,
    )
    return bool(done)


async def missed(row: IssueRow, problem: str, now: datetime) -> None:
    """Note why it can't be taken, unless it was meanwhile."""
    async with reading() as connection:
        await connection.execute(
            "UPDATE issue SET done_at = $4, problem = $5 "
            "WHERE holder_id = $1 AND event_id = $2 AND place = $3 AND done_at IS NULL",
            row.holder,
            row.event,
            row.place,
            now,
            problem[:1000],
        )


class Issue(NamedTuple):
    """What a rule issues for a purchase, and what came of it; neither: not yet."""

    reward: str
    quantity: int
    redemption: int | None
    problem: str
    done: bool


async def of_purchases(keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[Issue]]:
    """What is issued for these (holder, event)."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT i.holder_id, i.event_id, i.reward, i.quantity, i.redemption_id, i.problem, "
            "i.done_at IS NOT NULL FROM unnest($1::bigint[], $2::bigint[]) AS k (h, e) "
            "JOIN issue i ON i.holder_id = k.h AND i.event_id = k.e ORDER BY 1, 2, i.place",
            *columns(keys, 2),
        )
    found: dict[tuple[int, int], list[Issue]] = {}
    for holder, event, *rest in rows:
        found.setdefault((holder, event), []).append(Issue(*rest))
    return found
