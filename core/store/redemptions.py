"""Queries on redemptions, request keys and stock.

Whatever settles redemptions is set-based: as many statements for one as for a batch of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from core.db import Connection, Row, reading
from core.entries import Lot
from core.redeemed import Settled
from core.store.lots import COLUMNS as LOT
from core.store.lots import lot_from
from core.store.posting import columns

#: A redemption `r` as `core.redeemed.from_row` reads it, with the codes that were shown.
COLUMNS = """r.holder_id, r.id, r.partner_id, r.reward_id, r.rule, r.currency_id, r.quantity,
    r.points, r.worth, r.money, r.cash, r.cash_money, r.status, r.stocked, r.pooled, r.seq,
    r.order_id, r.reversible, r.requested_at, r.hold_until, r.settled_at, r.reversed_at, r.reason,
    r.written_off, (SELECT array_agg(v.code ORDER BY v.code COLLATE "C") FROM voucher v
        WHERE v.holder_id = r.holder_id AND v.redemption_id = r.id AND v.state IN (2, 3)) AS codes"""

_ADDED = (
    "holder_id", "id", "partner_id", "reward_id", "rule", "currency_id", "quantity", "points",
    "worth", "money", "cash", "cash_money", "status", "stocked", "pooled", "seq", "order_id",
    "reversible", "requested_at", "hold_until", "settled_at",
)  # fmt: skip
_ADD = f"""
INSERT INTO redemption ({", ".join(_ADDED)})
VALUES ({", ".join(f"${n}" for n in range(1, len(_ADDED) + 1))})
"""

# A code that was only set aside goes back into the pool; one that was shown is void for good.
_SETTLE = """
WITH u AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[],
        $5::timestamptz[], $6::text[], $7::bool[])
        AS u (holder_id, id, event_id, status, at, reason, written_off)
), r AS (
    UPDATE redemption r SET status = u.status, reason = u.reason, written_off = u.written_off,
        settled_at = CASE WHEN u.status = 5 THEN r.settled_at ELSE u.at END,
        reversed_at = CASE WHEN u.status = 5 THEN u.at END
    FROM u WHERE r.holder_id = u.holder_id AND r.id = u.id
)
UPDATE voucher v SET at = u.at,
    state = CASE WHEN u.status = 2 THEN 2 WHEN v.state = 4 THEN 1 ELSE 3 END,
    holder_id = CASE WHEN u.status = 2 OR v.state = 2 THEN v.holder_id END,
    redemption_id = CASE WHEN u.status = 2 OR v.state = 2 THEN v.redemption_id END
FROM u WHERE v.holder_id = u.holder_id AND v.redemption_id = u.id
    AND (v.state = 4 OR v.state = 2 AND u.status <> 2)
"""
# Slices are locked in one order for all: so no two that return to several wait for each other.
_RESTOCK = """
WITH u AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bool[])
        AS u (holder_id, id, event_id, written_off)
), taken AS (
    SELECT m.reward_id, m.slice, m.amount, u.* FROM u JOIN stock_move m
        ON m.holder_id = u.holder_id AND m.redemption_id = u.id AND m.kind = 2
), locked AS (
    SELECT s.reward_id, s.slice FROM reward_stock s WHERE (s.reward_id, s.slice) IN
        (SELECT t.reward_id, t.slice FROM taken t WHERE NOT t.written_off)
    ORDER BY s.reward_id, s.slice FOR UPDATE
), back AS (
    SELECT t.reward_id, t.slice, sum(t.amount) AS amount
    FROM taken t JOIN locked USING (reward_id, slice) WHERE NOT t.written_off GROUP BY 1, 2
), moved AS (
    INSERT INTO stock_move (reward_id, slice, event_id, kind, amount, holder_id, redemption_id)
    SELECT reward_id, slice, event_id, CASE WHEN written_off THEN 4 ELSE 3 END, amount, holder_id, id
    FROM taken
)
UPDATE reward_stock s SET remaining = s.remaining + b.amount
FROM back b WHERE s.reward_id = b.reward_id AND s.slice = b.slice
"""
_LOCK_SHELVES = """
SELECT FROM reward_stock WHERE reward_id = ANY($3) OR reward_id IN (
    SELECT m.reward_id FROM unnest($1::bigint[], $2::bigint[]) AS u (holder_id, id)
    JOIN stock_move m ON m.holder_id = u.holder_id AND m.redemption_id = u.id AND m.kind = 2)
ORDER BY reward_id, slice FOR UPDATE
"""
# From one slice that others leave alone, where one has enough …
_TAKE_ONE = """
WITH t AS (
    UPDATE reward_stock SET remaining = remaining - $2::bigint WHERE (reward_id, slice) = (
        SELECT reward_id, slice FROM reward_stock WHERE reward_id = $1 AND remaining >= $2
        ORDER BY slice LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING reward_id, slice
)
INSERT INTO stock_move (reward_id, slice, event_id, kind, amount, holder_id, redemption_id)
SELECT reward_id, slice, $3, 2, $2::bigint, $4, $5 FROM t RETURNING slice
"""
# … else from as many as it takes, each waited for, in order. What is left is reckoned from the
# rows as they were locked: the CHECK would see the older one that this statement began with.
_TAKE_MANY = """
WITH s AS MATERIALIZED (
    SELECT reward_id, slice, remaining FROM reward_stock WHERE reward_id = $1
    ORDER BY slice FOR UPDATE
), t AS (
    SELECT reward_id, slice, remaining, least(remaining,
        $2::bigint - (sum(remaining) OVER (ORDER BY slice) - remaining)::bigint) AS amount FROM s
), enough AS (
    SELECT t.* FROM t WHERE t.amount > 0 AND (SELECT sum(remaining) FROM s) >= $2::bigint
), taken AS (
    UPDATE reward_stock r SET remaining = e.remaining - e.amount
    FROM enough e WHERE r.reward_id = e.reward_id AND r.slice = e.slice
)
INSERT INTO stock_move (reward_id, slice, event_id, kind, amount, holder_id, redemption_id)
SELECT reward_id, slice, $3, 2, amount, $4, $5 FROM enough RETURNING slice
"""
# Codes are counted up to a bound, for a pool may hold millions and nobody reads beyond.
_LEFT = """
SELECT w.id, least(s.remaining, c.codes) FROM reward w
LEFT JOIN LATERAL (
    SELECT coalesce(sum(x.remaining), 0)::bigint AS remaining FROM reward_stock x
    WHERE x.reward_id = w.id
) s ON w.limited
LEFT JOIN LATERAL (
    SELECT count(*) AS codes FROM (
        SELECT FROM voucher v WHERE v.reward_id = w.id AND v.state = 1 LIMIT $2) v
) c ON w.codes = 'pool'
WHERE w.id = ANY($1) AND (w.limited OR w.codes = 'pool')
"""
# Few locks for however many orders: that two share one costs a moment.
_LOCK_ORDERS = """
SELECT pg_advisory_xact_lock(1, x) FROM (
    SELECT DISTINCT (hashtextextended(k.partner_id || '|' || k.order_id, 7) & 255)::int AS x
    FROM unnest($1::int[], $2::text[]) AS k (partner_id, order_id) ORDER BY 1
) locks
"""
_ON_ORDERS = """(SELECT DISTINCT * FROM unnest($1::int[], $2::text[]) AS k (partner_id, order_id)) k
    JOIN redemption r ON r.partner_id = k.partner_id AND r.order_id = k.order_id
        AND r.status IN (1, 2)"""
#: As many codes of a pool are told apart from more.
MOST_COUNTED = 10_000

_TAKEN = f"""
SELECT {LOT}, a.amount, a.seq
FROM unnest($1::bigint[], $2::int[], $3::int[]) AS k (holder_id, currency_id, seq)
JOIN allocation a ON a.holder_id = k.holder_id AND a.currency_id = k.currency_id AND a.seq = k.seq
JOIN lot l ON l.holder_id = a.holder_id AND l.currency_id = a.currency_id AND l.seq = a.lot_seq
JOIN policy p ON p.id = l.policy_id
ORDER BY l.holder_id, l.currency_id, a.seq, l.seq
"""


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


async def add(connection: Connection, row: Sequence[object]) -> None:
    """Add a redemption, its columns in the order of `_ADDED`."""
    await connection.execute(_ADD, *row)


async def held_by(connection: Connection, holder: int) -> int:
    """How many redemptions a member holds."""
    held: int = await connection.fetchval(
        "SELECT count(*) FROM redemption WHERE holder_id = $1 AND status = 1", holder
    )
    return held


async def settle(connection: Connection, settled: Sequence[Settled]) -> None:
    """Settle redemptions and their codes, and give back the stock of those that ended."""
    await connection.execute(_SETTLE, *columns([s[:7] for s in settled], 7))
    ended = [(s.holder, s.redemption, s.event, s.written_off) for s in settled if s.restock]
    if ended:
        await connection.execute(_RESTOCK, *columns(ended, 4))


async def get(connection: Connection, holder: int, redemption: int) -> Row | None:
    """One redemption, as it stands."""
    return await connection.fetchrow(
        f"SELECT {COLUMNS} FROM redemption r WHERE r.holder_id = $1 AND r.id = $2",
        holder,
        redemption,
    )


async def lock_orders(connection: Connection, orders: Sequence[tuple[int, str]]) -> None:
    """Wait for others that spend on, or cancel, one of these (partner, order): before any holder.

    Else of two that don't see each other one would spend on what the other has cancelled.
    """
    await connection.execute(_LOCK_ORDERS, *columns(orders, 2))


async def spenders(connection: Connection, orders: Sequence[tuple[int, str]]) -> list[int]:
    """The holders that have spent something on one of these (partner, order)."""
    rows = await connection.fetch(
        f"SELECT DISTINCT r.holder_id FROM {_ON_ORDERS} ORDER BY 1", *columns(orders, 2)
    )
    return [row[0] for row in rows]


async def of_orders(connection: Connection, orders: Sequence[tuple[int, str]]) -> list[Row]:
    """The redemptions that stand on these (partner, order), whoever's, oldest first."""
    return await connection.fetch(
        f"SELECT {COLUMNS} FROM {_ON_ORDERS} ORDER BY r.id", *columns(orders, 2)
    )


async def cancelled(connection: Connection, partner: int, order: str) -> bool:
    """Whether a partner's order was cancelled, be its purchase known or not."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM event WHERE partner_id = $1 AND kind = 9 AND external_id = $2) "
        "OR EXISTS (SELECT FROM waiting WHERE partner_id = $1 AND kind = 9 AND external_id = $2 "
        "AND problem = '')",
        partner,
        order,
    )
    return found


async def by_code(partner: int, code: str) -> Row | None:
    """The redemption that a code was issued for, if it was ever shown."""
    async with reading() as connection:
        return await connection.fetchrow(
            f"SELECT {COLUMNS} FROM voucher w JOIN redemption r ON r.holder_id = w.holder_id "
            "AND r.id = w.redemption_id WHERE w.partner_id = $1 AND w.code = $2 AND w.state <> 4",
            partner,
            code,
        )


async def taken_lots(
    connection: Connection, debits: Sequence[tuple[int, int, int]]
) -> dict[tuple[int, int, int], list[tuple[Lot, int]]]:
    """The lots that each debit (holder, currency, seq) took from, with the points taken."""
    found: dict[tuple[int, int, int], list[tuple[Lot, int]]] = {}
    for row in await connection.fetch(_TAKEN, *columns(debits, 3)):
        found.setdefault((row[0], row[1], row[20]), []).append((lot_from(row), row[19]))
    return found


async def event_of(connection: Connection, debit: tuple[int, int, int]) -> int:
    """The event that a debit (holder, currency, seq) was booked for."""
    event: int = await connection.fetchval(
        "SELECT event_id FROM transfer WHERE holder_id = $1 AND currency_id = $2 AND seq = $3",
        *debit,
    )
    return event


async def overdue(now: datetime, reward: int | None = None) -> list[int]:
    """Holders who hold something (this reward) beyond its time, the longest first."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT holder_id FROM redemption WHERE status = 1 AND hold_until <= $1 "
            "AND ($2::int IS NULL OR reward_id = $2) "
            "GROUP BY holder_id ORDER BY min(hold_until), holder_id",
            now,
            reward,
        )
    return [row[0] for row in rows]


async def overdue_of(connection: Connection, holders: Sequence[int], now: datetime) -> list[Row]:
    """What these holders hold beyond its time, in the order in which it ran out."""
    return await connection.fetch(
        f"SELECT {COLUMNS} FROM redemption r WHERE r.holder_id = ANY($1) AND r.status = 1 "
        "AND r.hold_until <= $2 ORDER BY r.hold_until, r.id",
        list(holders),
        now,
    )


async def free_by_now(holders: Sequence[int], now: datetime) -> list[Row]:
    """(holder, currency, points) that are held beyond their time, of lots that live.

    Whoever spends them lets them go first. What died while it was held, and lives on by a grace,
    isn't in it.
    """
    async with reading() as connection:
        return await connection.fetch(
            "SELECT r.holder_id, r.currency_id, sum(a.amount)::bigint FROM redemption r "
            "JOIN allocation a ON a.holder_id = r.holder_id AND a.currency_id = r.currency_id "
            "AND a.seq = r.seq JOIN lot l ON l.holder_id = a.holder_id "
            "AND l.currency_id = a.currency_id AND l.seq = a.lot_seq "
            "WHERE r.holder_id = ANY($1) AND r.status = 1 AND r.hold_until <= $2 "
            "AND l.expires_at > greatest(r.hold_until, $2) GROUP BY 1, 2",
            list(holders),
            now,
        )


async def lock_shelves(
    connection: Connection, rewards: Sequence[int], back: Sequence[tuple[int, int]]
) -> None:
    """Lock the stock of rewards to take, and of what (holder, redemption) give back, in one order.

    Or of two that each take what the other gives back, both would wait.
    """
    await connection.execute(_LOCK_SHELVES, *columns(back, 2), list(rewards))


async def stock_left(rewards: Sequence[int]) -> dict[int, int]:
    """What is left of each limited reward: of its stock, of its codes, whichever is less.

    Of a pool's codes at most MOST_COUNTED are counted.
    """
    async with reading() as connection:
        rows = await connection.fetch(_LEFT, list(rewards), MOST_COUNTED)
    return {row[0]: row[1] for row in rows}


async def take_stock(
    connection: Connection, reward: int, quantity: int, event: int, of: tuple[int, int]
) -> bool:
    """Take so many of a reward's stock `of` a (holder, redemption); False where too few are left.

    The last statement before the commit, so that a slice is locked for a moment only.
    """
    # A slice that is passed over, for it has too few by now, is locked nevertheless: let go of it
    # before more are waited for, or two might wait for each other.
    await connection.execute("SAVEPOINT shelf")
    if await connection.fetch(_TAKE_ONE, reward, quantity, event, *of):
        return True
    await connection.execute("ROLLBACK TO SAVEPOINT shelf")
    return bool(await connection.fetch(_TAKE_MANY, reward, quantity, event, *of))
