"""Queries of the trial balance: each one set-based statement over the books as of an instant."""

from __future__ import annotations

from datetime import datetime

from core.db import Connection, Row

# What the open lots hold (and what time did to them that no night has booked yet), beside what
# went through all other accounts: two witnesses, whose sum is zero only where they agree.
_ACCOUNTS = """
WITH taken AS (
    SELECT l.holder_id, l.currency_id, l.active_at, l.expires_at, l.lapses_at,
        l.amount - coalesce(sum(a.amount), 0) AS held
    FROM lot l
    LEFT JOIN allocation a ON a.holder_id = l.holder_id AND a.currency_id = l.currency_id
        AND a.lot_seq = l.seq AND a.at <= $1
    WHERE l.occurred_at <= $1
    GROUP BY l.holder_id, l.currency_id, l.seq
), lots AS (
    SELECT currency_id, count(DISTINCT holder_id) AS ledgers,
        sum(held) FILTER (WHERE active_at <= $1 AND $1 < expires_at) AS active,
        sum(held) FILTER (WHERE active_at > $1 AND ($1 < lapses_at OR active_at < 'infinity')) AS pending,
        sum(held) FILTER (WHERE expires_at <= $1) AS dead,
        sum(held) FILTER (WHERE active_at = 'infinity' AND lapses_at <= $1) AS lapsed
    FROM taken GROUP BY 1
), flows AS (
    SELECT currency_id,
        sum(amount) FILTER (WHERE source = 10) AS issued,
        sum(CASE WHEN target = 3 THEN amount WHEN source = 3 THEN -amount END) AS reserved,
        sum(CASE WHEN source = 4 THEN amount WHEN target = 4 THEN -amount END) AS arrears,
        sum(CASE WHEN target = 11 THEN amount WHEN source = 11 THEN -amount END) AS redeemed,
        sum(amount) FILTER (WHERE target = 12) AS expired,
        sum(amount) FILTER (WHERE target = 13) AS clawed_back,
        sum(CASE WHEN target = 14 THEN amount WHEN source = 14 THEN -amount END) AS adjusted,
        sum(amount) FILTER (WHERE target = 15) AS lapsed,
        sum(CASE WHEN target = 16 THEN amount WHEN source = 16 THEN -amount END) AS in_transit
    FROM transfer WHERE occurred_at <= $1 GROUP BY 1
)
SELECT currency_id, coalesce(l.ledgers, 0), coalesce(l.active, 0), coalesce(l.pending, 0),
    coalesce(f.reserved, 0), -coalesce(f.arrears, 0), -coalesce(f.issued, 0),
    coalesce(f.redeemed, 0), coalesce(f.expired, 0) + coalesce(l.dead, 0),
    coalesce(f.clawed_back, 0), coalesce(f.adjusted, 0), coalesce(f.lapsed, 0) + coalesce(l.lapsed, 0),
    coalesce(f.in_transit, 0)
FROM flows f FULL JOIN lots l USING (currency_id) ORDER BY 1
"""
# Of a reservation, what was settled by then is redeemed; given back, it is reserved no more.
_PARTNERS = """
WITH taken AS (
    SELECT a.holder_id, a.currency_id, a.lot_seq, sum(a.amount) AS used,
        sum(a.amount) FILTER (WHERE x.kind IN (2, 11) OR x.target = 11 OR x.kind = 4 AND r.status IN (2, 5)
            AND r.settled_at <= $1) AS redeemed,
        sum(a.amount) FILTER (WHERE x.kind = 5 OR x.kind = 4 AND NOT (r.status IN (2, 5)
            AND r.settled_at <= $1)) AS reserved,
        sum(a.amount) FILTER (WHERE x.kind = 3) AS expired,
        sum(a.amount) FILTER (WHERE x.kind = 9) AS lapsed,
        sum(a.amount) FILTER (WHERE x.kind = 8) AS clawed_back,
        sum(a.amount) FILTER (WHERE x.kind = 6) AS repaid,
        sum(a.amount) FILTER (WHERE x.target IN (14, 16)) AS taken
    FROM allocation a
    JOIN transfer x ON x.holder_id = a.holder_id AND x.currency_id = a.currency_id AND x.seq = a.seq
    LEFT JOIN redemption r ON x.kind = 4 AND r.holder_id = x.holder_id
        AND r.currency_id = x.currency_id AND r.seq = x.seq
    WHERE a.at <= $1 GROUP BY 1, 2, 3
), lots AS (
    SELECT l.*, c.source = 10 AS accrued, l.amount - coalesce(t.used, 0) AS held, t.redeemed,
        t.reserved, t.expired AS gone, t.lapsed, t.clawed_back, t.repaid, t.taken,
        l.expires_at <= $1 AS dead, l.active_at = 'infinity' AND l.lapses_at <= $1 AS late
    FROM lot l
    JOIN transfer c ON c.holder_id = l.holder_id AND c.currency_id = l.currency_id AND c.seq = l.seq
    LEFT JOIN taken t ON t.holder_id = l.holder_id AND t.currency_id = l.currency_id AND t.lot_seq = l.seq
    WHERE l.occurred_at <= $1
)
SELECT currency_id, partner_id, count(*) FILTER (WHERE held > 0 AND NOT dead AND NOT late),
    coalesce(sum(amount) FILTER (WHERE accrued), 0), coalesce(sum(amount) FILTER (WHERE NOT accrued), 0),
    coalesce(sum(held) FILTER (WHERE active_at <= $1 AND NOT dead), 0),
    coalesce(sum(held) FILTER (WHERE active_at > $1 AND NOT late), 0),
    coalesce(sum(reserved), 0), coalesce(sum(redeemed), 0),
    coalesce(sum(gone), 0) + coalesce(sum(held) FILTER (WHERE dead), 0),
    coalesce(sum(lapsed), 0) + coalesce(sum(held) FILTER (WHERE late), 0),
    coalesce(sum(clawed_back), 0), coalesce(sum(repaid), 0), coalesce(sum(taken), 0)
FROM lots GROUP BY 1, 2 ORDER BY 1, 2
"""
# Whatever was repaid in a ledger repaid what was owed first.
_ARREARS = """
WITH owed AS (
    SELECT holder_id, currency_id, partner_id, amount,
        sum(amount) OVER (PARTITION BY holder_id, currency_id ORDER BY occurred_at, seq) AS so_far
    FROM transfer WHERE source = 4 AND occurred_at <= $1
), paid AS (
    SELECT holder_id, currency_id, sum(amount) AS amount
    FROM transfer WHERE target = 4 AND occurred_at <= $1 GROUP BY 1, 2
)
SELECT o.currency_id, o.partner_id,
    sum(greatest(0, least(o.amount, o.so_far - coalesce(p.amount, 0))))
FROM owed o LEFT JOIN paid p USING (holder_id, currency_id) GROUP BY 1, 2 ORDER BY 1, 2
"""


async def accounts(connection: Connection, at: datetime) -> list[Row]:
    """(currency, ledgers, then every account in the order of `core.sheet`), as of an instant."""
    return list(await connection.fetch(_ACCOUNTS, at))


async def partners(connection: Connection, at: datetime) -> list[Row]:
    """(currency, issuing partner, open lots, then figures in the order of `core.sheet.Issued`)."""
    return list(await connection.fetch(_PARTNERS, at))


async def arrears(connection: Connection, at: datetime) -> list[Row]:
    """(currency, partner, points) still owed for what was bought there and came back."""
    return list(await connection.fetch(_ARREARS, at))


async def members(connection: Connection, at: datetime) -> int:
    """How many members were enrolled by then."""
    return int(await connection.fetchval("SELECT count(*) FROM holder WHERE created_at <= $1", at))
