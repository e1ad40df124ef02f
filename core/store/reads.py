"""The hot reads: balances, lots, entries, qualifying amounts, as set-based SQL over many holders.

Every figure takes an instant: what was booked later, but happened before it, counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from core.db import Row, reading
from core.lines import COLUMNS
from core.store.lots import DUE
from core.store.posting import columns

# A ledger stands as it is stored, but for what time did since to lots that still hold points: few
# rows, however long its past. That is so where all that moved it had happened by $2, and where no
# points that came meanwhile repay what is owed; the last column says so.
_BALANCES = f"""
WITH due AS (
    SELECT l.holder_id, l.currency_id,
        coalesce(sum(l.remaining) FILTER (WHERE l.pending), 0) AS held,
        coalesce(sum(l.remaining) FILTER (WHERE l.pending AND l.active_at <= $2 AND $2 < l.expires_at), 0)
            AS came,
        coalesce(sum(l.remaining) FILTER (WHERE NOT l.pending), 0) AS expired
    FROM lot l WHERE l.holder_id = ANY($1) AND l.remaining > 0 AND {DUE} <= $2
    GROUP BY l.holder_id, l.currency_id
)
SELECT g.holder_id, g.currency_id,
    (g.active + coalesce(d.came - d.expired, 0))::bigint, (g.pending - coalesce(d.held, 0))::bigint,
    g.reserved, g.arrears,
    g.latest_at <= $2 AND (g.arrears = 0 OR d.holder_id IS NULL)
FROM ledger g LEFT JOIN due d ON d.holder_id = g.holder_id AND d.currency_id = g.currency_id
WHERE g.holder_id = ANY($1)
ORDER BY g.holder_id, g.currency_id
"""

# What a lot held at $2: its amount less what was taken by then. `aside` is what is reserved or owed.
# What is owed is reckoned against what came to be there, in its order: its repayment may be booked
# later than it was due, and by then of a lot that is dead. And a repayment from a lot that is dead
# when it is booked is dated when that came to be there: `early` are the points that have paid by
# then what wasn't owed yet. Whoever owes nothing costs nothing.
_FIGURES = """
WITH used AS (
    SELECT a.holder_id, a.currency_id, a.lot_seq, sum(a.amount) AS used,
        coalesce(sum(a.amount) FILTER (WHERE t.kind = 3), 0) AS expired
    FROM allocation a
    LEFT JOIN transfer t ON t.holder_id = a.holder_id AND t.currency_id = a.currency_id
        AND t.seq = a.seq AND t.holder_id = ANY($1) AND t.kind = 3
    WHERE a.holder_id = ANY($1) AND a.at <= $2
    GROUP BY a.holder_id, a.currency_id, a.lot_seq
), taken AS (
    SELECT l.holder_id, l.currency_id, l.seq, l.amount, l.active_at, l.expires_at, l.lapses_at,
        l.pending, coalesce(u.used, 0) AS used, coalesce(u.expired, 0) AS expired
    FROM lot l LEFT JOIN used u ON u.holder_id = l.holder_id AND u.currency_id = l.currency_id
        AND u.lot_seq = l.seq
    WHERE l.holder_id = ANY($1) AND l.occurred_at <= $2
), lots AS (
    SELECT holder_id, currency_id,
        coalesce(sum(amount - used) FILTER (WHERE active_at <= $2 AND $2 < expires_at), 0) AS active,
        coalesce(sum(amount - used) FILTER (WHERE active_at > $2
            AND ($2 < lapses_at OR active_at < 'infinity')), 0) AS pending,
        sum(amount) AS earned,
        sum(expired) + coalesce(sum(amount - used) FILTER (WHERE expires_at <= $2), 0) AS expired
    FROM taken GROUP BY holder_id, currency_id
), aside AS (
    SELECT holder_id, currency_id,
        coalesce(sum(CASE WHEN target = 3 THEN amount WHEN source = 3 THEN -amount END), 0) AS reserved,
        coalesce(sum(CASE WHEN source = 4 THEN amount WHEN target = 4 THEN -amount END), 0) AS arrears
    FROM transfer
    WHERE holder_id = ANY($1) AND occurred_at <= $2
        AND (source IN (3, 4) OR target IN (3, 4))
    GROUP BY holder_id, currency_id
), owed AS (
    SELECT t.holder_id, t.currency_id, t.seq, t.target, t.amount, -a.arrears AS left,
        sum(CASE WHEN t.source = 4 THEN t.amount ELSE -t.amount END) OVER (
            PARTITION BY t.holder_id, t.currency_id ORDER BY t.occurred_at, t.seq) AS after
    FROM aside a
    JOIN transfer t ON t.holder_id = a.holder_id AND t.currency_id = a.currency_id
        AND (t.source = 4 OR t.target = 4) AND t.occurred_at <= $2
    WHERE a.arrears < 0
), early AS (
    SELECT o.holder_id, o.currency_id,
        least(o.left, sum(least(least(o.amount, -o.after), x.amount))) AS active
    FROM owed o CROSS JOIN LATERAL (
        SELECT coalesce(sum(x.amount), 0) AS amount
        FROM allocation x JOIN lot l ON l.holder_id = x.holder_id
            AND l.currency_id = x.currency_id AND l.seq = x.lot_seq
        WHERE x.holder_id = o.holder_id AND x.currency_id = o.currency_id AND x.seq = o.seq
            AND l.active_at <= $2 AND $2 < l.expires_at) x
    WHERE o.target = 4 AND o.after < 0
    GROUP BY o.holder_id, o.currency_id, o.left
), repaid AS (
    SELECT holder_id, currency_id, coalesce(sum(n) FILTER (WHERE $2 < expires_at), 0) AS active,
        coalesce(sum(n) FILTER (WHERE expires_at <= $2), 0) AS expired
    FROM (
        SELECT holder_id, currency_id, t.expires_at, greatest(0, least(
            t.amount - t.used, a.arrears + t.amount - t.used - sum(t.amount - t.used) OVER earlier)) AS n
        FROM aside a JOIN taken t USING (holder_id, currency_id)
        WHERE a.arrears > 0 AND t.used < t.amount AND t.active_at <= $2
            AND ($2 < t.expires_at OR t.pending)
        WINDOW earlier AS (PARTITION BY holder_id, currency_id ORDER BY t.active_at, t.seq)
    ) each GROUP BY holder_id, currency_id
)
SELECT g.holder_id, g.currency_id,
    (greatest(0, coalesce(l.active, 0) - coalesce(r.active, 0)) + coalesce(e.active, 0))::bigint,
    coalesce(l.pending, 0)::bigint, coalesce(a.reserved, 0)::bigint,
    (greatest(0, coalesce(a.arrears, 0)) - coalesce(r.active + r.expired, 0)
        + greatest(0, coalesce(r.active, 0) - coalesce(l.active, 0)))::bigint,
    coalesce(l.earned, 0)::bigint, (coalesce(l.expired, 0) - coalesce(r.expired, 0)
        + greatest(0, -coalesce(a.arrears, 0)) - coalesce(e.active, 0))::bigint
FROM ledger g
LEFT JOIN lots l USING (holder_id, currency_id)
LEFT JOIN aside a USING (holder_id, currency_id)
LEFT JOIN repaid r USING (holder_id, currency_id)
LEFT JOIN early e USING (holder_id, currency_id)
WHERE g.holder_id = ANY($1)
ORDER BY g.holder_id, g.currency_id
"""

_EXPIRING = """
SELECT l.holder_id, l.currency_id, l.expires_at, sum(l.remaining)::bigint
FROM unnest($1::bigint[], $2::int[]) AS k (holder_id, currency_id)
JOIN lot l USING (holder_id, currency_id)
WHERE l.remaining > 0 AND l.expires_at > $3 AND l.expires_at <= $4
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

_ENTRIES = """
SELECT t.holder_id, t.currency_id, t.seq, t.booked_at, t.occurred_at, t.kind, t.source, t.target,
    t.amount, t.partner_id, t.rule_id, t.event_id
FROM unnest($1::bigint[], $2::int[]) AS k (holder_id, currency_id)
CROSS JOIN LATERAL (
    SELECT * FROM transfer t
    WHERE t.holder_id = k.holder_id AND t.currency_id = k.currency_id AND t.seq < $3
    ORDER BY t.seq DESC LIMIT $4
) t
"""

_LOTS = """
SELECT l.holder_id, l.currency_id, l.seq, l.amount, l.remaining, l.occurred_at,
    nullif(l.active_at, 'infinity'), nullif(l.expires_at, 'infinity'), nullif(l.lapses_at, 'infinity'), l.partner_id, l.rule_id,
    l.pending, p.version, p.pending, p.expires
FROM unnest($1::bigint[], $2::int[]) AS k (holder_id, currency_id)
CROSS JOIN LATERAL (
    SELECT * FROM lot l
    WHERE l.holder_id = k.holder_id AND l.currency_id = k.currency_id AND l.seq < $3
    ORDER BY l.seq DESC LIMIT $4
) l
JOIN policy p ON p.id = l.policy_id
ORDER BY l.holder_id, l.currency_id, l.seq DESC
"""

_QUALIFIED = """
SELECT q.holder_id, q.ladder_id, q.at, q.amount
FROM unnest($2::int[], $3::interval[]) AS w (ladder_id, span)
JOIN qualification q ON q.ladder_id = w.ladder_id AND q.holder_id = ANY($1)
WHERE q.at <= $4 AND (w.span IS NULL OR q.at > $4 - w.span - interval '2 days')
ORDER BY q.holder_id, q.ladder_id, q.at
"""

_DECISIONS = """
SELECT d.holder_id, d.booked_at, d.event_id, d.occurred_at, d.partner_id, d.rulebook, d.kind, d.content
FROM unnest($1::bigint[], $2::timestamptz[]) AS k (holder_id, booked_at)
JOIN decision d USING (holder_id, booked_at)
"""

_LINES = f"""
SELECT l.event_id, e.money, {COLUMNS}
FROM event e JOIN event_line l ON l.event_id = e.id
WHERE e.id = ANY($1) ORDER BY l.event_id, l.line
"""

_RULES = "SELECT id, partner_id, code, version, plugin_version, title, terms FROM rule WHERE id = ANY($1)"

#: Above every seq: where a page that starts at the newest begins.
NEWEST = 2**31 - 1


async def balances(holders: Sequence[int], at: datetime) -> list[tuple[int, ...]]:
    """(holder, currency, active, pending, reserved, arrears) as of `at`.

    Of the present in a few rows a ledger; of the past, or where a ledger was moved meanwhile, by
    its whole past, as `figures` has it.
    """
    async with reading() as connection:
        rows = list(await connection.fetch(_BALANCES, list(holders), at))
        if past := sorted({row[0] for row in rows if not row[6]}):
            rows = [row for row in rows if row[0] not in set(past)]
            rows += await connection.fetch(_FIGURES, past, at)
    return [tuple(row)[:6] for row in rows]


async def figures(holders: Sequence[int], at: datetime) -> list[Row]:
    """(holder, currency, active, pending, reserved, arrears, earned, expired) as of `at`.

    By all lots that there ever were, so it costs as much as a ledger is long.
    """
    async with reading() as connection:
        return list(await connection.fetch(_FIGURES, list(holders), at))


async def expiring(keys: Sequence[tuple[int, int]], after: datetime, until: datetime) -> list[Row]:
    """(holder, currency, instant, points) of what dies in (after, until], soonest first."""
    async with reading() as connection:
        return list(await connection.fetch(_EXPIRING, *columns(keys, 2), after, until))


async def entries(keys: Sequence[tuple[int, int]], before: int, limit: int) -> list[Row]:
    """The newest transfers of each ledger with seq below `before`, newest first."""
    async with reading() as connection:
        return list(await connection.fetch(_ENTRIES, *columns(keys, 2), before, limit))


async def lots(keys: Sequence[tuple[int, int]], before: int, limit: int) -> list[Row]:
    """The newest lots of each ledger with seq below `before`, newest first."""
    async with reading() as connection:
        return list(await connection.fetch(_LOTS, *columns(keys, 2), before, limit))


async def qualified(
    holders: Sequence[int], windows: Sequence[tuple[int, timedelta | None]], at: datetime
) -> list[Row]:
    """(holder, ladder, at, amount) of what qualifies in each ladder's window that ends at `at`."""
    async with reading() as connection:
        return list(await connection.fetch(_QUALIFIED, list(holders), *columns(windows, 2), at))


async def decisions(keys: Sequence[tuple[int, datetime]]) -> list[Row]:
    """The decisions behind these postings."""
    async with reading() as connection:
        return list(await connection.fetch(_DECISIONS, *columns(keys, 2)))


async def lines(events: Sequence[int]) -> list[Row]:
    """(event, money, and `core.lines.COLUMNS`) of these receipts, in their order."""
    async with reading() as connection:
        return list(await connection.fetch(_LINES, list(events)))


async def rules(ids: Sequence[int]) -> list[Row]:
    """Stored versions of rules."""
    async with reading() as connection:
        return list(await connection.fetch(_RULES, list(ids)))
