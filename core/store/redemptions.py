"""Queries on redemptions, request keys and stock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from core.db import Connection, Row, reading

_COLUMNS = """r.holder_id, r.id, r.partner_id, r.reward_id, r.rule, r.currency_id, r.points, r.worth,
    r.money, r.status, r.slice, r.seq, r.code, r.requested_at, r.hold_until, r.settled_at"""


async def claim_key(
    connection: Connection,
    caller: str,
    key: str,
    digest: bytes,
    outcome: Sequence[int],
    now: datetime,
) -> tuple[bytes, list[int]] | None:
    """Take an idempotency key; None if it is ours now, else what it was used for before.

    Waits for a transaction that holds the same key.
    """
    taken = await connection.fetchval(
        "INSERT INTO request_key (caller, key, input_hash, outcome, created_at) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true",
        caller,
        key,
        digest,
        orjson.dumps(list(outcome)).decode(),
        now,
    )
    if taken:
        return None
    row = await connection.fetchrow(
        "SELECT input_hash, outcome FROM request_key WHERE caller = $1 AND key = $2", caller, key
    )
    assert row is not None
    return row[0], orjson.loads(row[1])


async def lock_holder(connection: Connection, holder: int) -> Row | None:
    """Lock one holder's row: (id, last booked at)."""
    return await connection.fetchrow(
        "SELECT id, booked_at FROM holder WHERE id = $1 FOR NO KEY UPDATE", holder
    )


async def add(connection: Connection, row: Sequence[Any]) -> None:
    """Add a redemption, its columns in the table's order."""
    places = ", ".join(f"${n}" for n in range(1, 17))
    await connection.execute(
        "INSERT INTO redemption (holder_id, id, partner_id, reward_id, rule, currency_id, points, "
        "worth, money, status, slice, seq, code, requested_at, hold_until, settled_at) "
        f"VALUES ({places})",
        *row,
    )


async def settle(
    connection: Connection, holder: int, redemption: int, status: int, at: datetime
) -> None:
    """Close a held redemption."""
    await connection.execute(
        "UPDATE redemption SET status = $3, settled_at = $4 WHERE holder_id = $1 AND id = $2",
        holder,
        redemption,
        status,
        at,
    )


async def get(connection: Connection, holder: int, redemption: int) -> Row | None:
    """One redemption, as it stands."""
    return await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM redemption r WHERE r.holder_id = $1 AND r.id = $2",
        holder,
        redemption,
    )


async def of_holders(holders: Sequence[int], limit: int) -> list[Row]:
    """The newest redemptions of each holder."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} FROM unnest($1::bigint[]) AS k (holder_id) CROSS JOIN LATERAL "
            "(SELECT * FROM redemption r WHERE r.holder_id = k.holder_id ORDER BY r.id DESC "
            "LIMIT $2) r",
            list(holders),
            limit,
        )
        return list(rows)


async def overdue(now: datetime, limit: int) -> list[tuple[int, int]]:
    """(holder, redemption) whose hold has run out."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT holder_id, id FROM redemption WHERE status = 1 AND hold_until <= $1 "
            "ORDER BY hold_until LIMIT $2",
            now,
            limit,
        )
    return [(row[0], row[1]) for row in rows]


async def stock_left(rewards: Sequence[int]) -> dict[int, int]:
    """What is left of each limited reward."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT reward_id, sum(remaining)::bigint FROM reward_stock "
            "WHERE reward_id = ANY($1) GROUP BY 1",
            list(rewards),
        )
    return {row[0]: row[1] for row in rows}


async def take_stock(connection: Connection, reward: int) -> int | None:
    """Take one of a reward's stock: the slice it came from, or None where nothing is left.

    The last statement before the commit, so that a slice is locked for a moment only.
    """
    for lock in ("FOR UPDATE SKIP LOCKED", "FOR UPDATE"):
        taken = await connection.fetchval(
            "UPDATE reward_stock SET remaining = remaining - 1 WHERE (reward_id, slice) = ("
            "SELECT reward_id, slice FROM reward_stock WHERE reward_id = $1 AND remaining > 0 "
            f"ORDER BY slice LIMIT 1 {lock}) RETURNING slice",
            reward,
        )
        if taken is not None:
            return int(taken)
    return None


async def return_stock(connection: Connection, reward: int, piece: int) -> None:
    """Put one back where it came from."""
    await connection.execute(
        "UPDATE reward_stock SET remaining = remaining + 1 WHERE reward_id = $1 AND slice = $2",
        reward,
        piece,
    )
