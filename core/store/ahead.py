"""Queries on orders ahead: what a member wants to find ready, where and when.

Of no book: an order can be erased while the books stand; what it held and what it became are there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

import orjson

from core.db import Connection, Row, reading
from core.lines import heard, said_of
from core.store.posting import columns
from core.store.redemptions import COLUMNS as REDEMPTION
from laurels.purchase import Line

#: An order is open until its purchase is recorded, or it is called off; after its time it is over.
AHEAD_TABLES = """
CREATE TABLE ahead_order (
    holder_id bigint NOT NULL REFERENCES holder (id),
    id bigint NOT NULL,
    partner_id integer NOT NULL,
    store text NOT NULL CHECK (length(store) <= 100),
    placed_at timestamptz NOT NULL,
    pickup_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL,
    money char(3) NOT NULL,
    tender text NOT NULL CHECK (length(tender) <= 64),
    content jsonb NOT NULL,
    closed_at timestamptz,
    -- The purchase that it became; without one it was called off.
    purchase_id bigint,
    PRIMARY KEY (holder_id, id),
    CONSTRAINT ahead_order_times CHECK (placed_at <= pickup_at AND pickup_at < until_at),
    CONSTRAINT ahead_order_closed CHECK (purchase_id IS NULL OR closed_at IS NOT NULL)
);
CREATE INDEX ahead_order_open ON ahead_order (partner_id, id) WHERE closed_at IS NULL;
GRANT SELECT, INSERT, DELETE, UPDATE (closed_at, purchase_id) ON ahead_order TO laurels_app;
"""
#: What must stand, for `laurels check`.
AHEAD_CONSTRAINTS = {
    "ahead_order": "pkey holder_id_fkey store_check tender_check times closed",
}
# An order's purchase bears its name; what its member held for it goes with it.
AHEAD_QUESTIONS = {
    "orders ahead = their purchases": """
        SELECT 'order ' || o.holder_id || '/' || o.id, format('became the purchase %s, which is %s of %s',
            o.purchase_id, coalesce(e.external_id, 'none'), e.holder_id)
        FROM ahead_order o LEFT JOIN event e ON e.id = o.purchase_id AND e.kind = 1
        WHERE o.purchase_id IS NOT NULL AND (e.holder_id, e.partner_id, e.external_id)
            IS DISTINCT FROM (o.holder_id, o.partner_id, 'ahead-' || o.id)
        UNION ALL
        SELECT 'order ' || o.holder_id || '/' || o.id, format('closed at %s, and %s is held for it',
            o.closed_at, r.id)
        FROM ahead_order o JOIN redemption r ON r.holder_id = o.holder_id AND r.partner_id = o.partner_id
            AND r.order_id = 'ahead-' || o.id AND r.status = 1 AND r.requested_at <= o.placed_at
        WHERE o.closed_at IS NOT NULL
        ORDER BY 1 LIMIT 20""",
}
_COLUMNS = """o.holder_id, o.id, o.partner_id, o.store, o.placed_at, o.pickup_at, o.until_at, o.money,
    o.tender, o.content, o.closed_at, o.purchase_id"""


class OrderRow(NamedTuple):
    """A row of `ahead_order`, in its order; its content as the lines that were ordered."""

    holder: int
    id: int
    partner: int
    store: str
    placed_at: datetime
    pickup_at: datetime
    until: datetime
    money: str
    tender: str
    lines: tuple[Line, ...]
    closed_at: datetime | None = None
    purchase: int | None = None


def _order(row: Row) -> OrderRow:
    lines = tuple(heard(what) for what in orjson.loads(row[9]))
    return OrderRow._make([*tuple(row)[:9], lines, row[10], row[11]])


async def add(connection: Connection, order: OrderRow) -> None:
    """Add an order."""
    content = orjson.dumps([said_of(line) for line in order.lines]).decode()
    await connection.execute(
        "INSERT INTO ahead_order VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb)",
        *order[:9],
        content,
    )


async def get(connection: Connection, holder: int, number: int) -> OrderRow | None:
    """An order of a member's."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM ahead_order o WHERE holder_id = $1 AND id = $2", holder, number
    )
    return None if row is None else _order(row)


async def close(connection: Connection, holder: int, number: int, now: datetime) -> None:
    """It is called off. Its member is locked."""
    await connection.execute(
        "UPDATE ahead_order SET closed_at = $3 WHERE holder_id = $1 AND id = $2 "
        "AND closed_at IS NULL",
        holder,
        number,
        now,
    )


async def collected(
    connection: Connection, bought: Sequence[tuple[int, int, int, int]], now: datetime
) -> set[tuple[int, int, int]]:
    """These (holder, order, partner, purchase) are collected; (holder, partner, order) of the open.

    Whoever else's, or another partner's, or closed, stays as it is.
    """
    rows = await connection.fetch(
        "UPDATE ahead_order o SET closed_at = $5, purchase_id = n.d "
        "FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::bigint[]) AS n (a, b, c, d) "
        "WHERE o.holder_id = n.a AND o.id = n.b AND o.partner_id = n.c AND o.closed_at IS NULL "
        "RETURNING o.holder_id, o.partner_id, o.id",
        *columns(bought, 4),
        now,
    )
    return {(row[0], row[1], row[2]) for row in rows}


async def orders(keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], OrderRow]:
    """Orders by (holder, id)."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} FROM unnest($1::bigint[], $2::bigint[]) AS k (holder_id, id) "
            "JOIN ahead_order o USING (holder_id, id)",
            *columns(keys, 2),
        )
    return {(row[0], row[1]): _order(row) for row in rows}


#: A page of a member's orders: (holder, below which id, how many, at which partner or at all).
PageKey: TypeAlias = tuple[int, int, int, int | None]


async def pages(keys: Sequence[PageKey]) -> dict[PageKey, list[OrderRow]]:
    """These pages, the newest order first."""
    found: dict[PageKey, list[OrderRow]] = {}
    async with reading() as connection:
        for before, limit, partner in dict.fromkeys(key[1:] for key in keys):
            holders = [key[0] for key in keys if key[1:] == (before, limit, partner)]
            for row in await connection.fetch(
                f"SELECT {_COLUMNS} FROM unnest($1::bigint[]) AS k (holder_id) CROSS JOIN LATERAL "
                "(SELECT * FROM ahead_order x WHERE x.holder_id = k.holder_id AND x.id < $2 "
                "AND ($4::int IS NULL OR x.partner_id = $4) ORDER BY x.id DESC LIMIT $3) o",
                holders,
                before,
                limit,
                partner,
            ):
                found.setdefault((row[0], before, limit, partner), []).append(_order(row))
    return found


async def open_at(partner: int, now: datetime, after: int, limit: int) -> list[OrderRow]:
    """A partner's orders that may still be collected, with an id above `after`, the oldest first."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} FROM ahead_order o WHERE partner_id = $1 AND closed_at IS NULL "
            "AND until_at > $2 AND id > $3 ORDER BY id LIMIT $4",
            partner,
            now,
            after,
            limit,
        )
    return [_order(row) for row in rows]


async def redemptions(
    keys: Sequence[tuple[int, int, str]],
) -> Mapping[tuple[int, int, str], list[Row]]:
    """All that was ever redeemed on these (holder, partner, order), oldest first."""
    found: dict[tuple[int, int, str], list[Row]] = {}
    async with reading() as connection:
        for row in await connection.fetch(
            f"SELECT {REDEMPTION} FROM unnest($1::bigint[], $2::int[], $3::text[]) "
            "AS k (holder_id, partner_id, order_id) JOIN redemption r ON r.partner_id = k.partner_id "
            "AND r.order_id = k.order_id AND r.holder_id = k.holder_id ORDER BY r.id",
            *columns(keys, 3),
        ):
            key = (row["holder_id"], row["partner_id"], row["order_id"])
            found.setdefault(key, []).append(row)
    return found
