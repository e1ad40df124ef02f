"""Queries of the programme's statistics: each one set-based statement over the whole books.

Periods are told by their bounds, n + 1 instants: a period holds what happened after its first
bound and up to its last one, for a night books what fell due up to its own midnight. Period 0 is
all that was before.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.db import Connection, Row

_IN = "width_bucket({} - interval '1 microsecond', $1::timestamptz[])"

# `held`: what it does to what members hold: active, pending and reserved points.
_FLOWS = f"""
SELECT currency_id, {_IN.format("occurred_at")} AS period, partner_id,
    coalesce(sum(amount) FILTER (WHERE source = 10), 0)::bigint AS issued,
    coalesce(sum(CASE WHEN target = 11 THEN amount WHEN source = 11 THEN -amount END), 0)::bigint,
    coalesce(sum(amount) FILTER (WHERE target = 12), 0)::bigint AS expired,
    coalesce(sum(amount) FILTER (WHERE target = 15), 0)::bigint AS lapsed,
    coalesce(sum(amount) FILTER (WHERE target = 13), 0)::bigint AS clawed_back,
    coalesce(sum(amount) FILTER (WHERE source = 14), 0)::bigint AS given,
    coalesce(sum(amount) FILTER (WHERE target = 14), 0)::bigint AS taken,
    coalesce(sum(CASE WHEN target IN (1, 2, 3) THEN amount ELSE 0 END
        - CASE WHEN source IN (1, 2, 3) THEN amount ELSE 0 END), 0)::bigint AS held
FROM transfer WHERE occurred_at <= $2 GROUP BY 1, 2, 3
"""
# A lot ends when nothing is left of it. What is left of one whose time is up is gone, too, though
# no night has booked that yet: `dead` and `late` are such points.
_ENDED = f"""
WITH gone AS (
    SELECT a.holder_id, a.currency_id, a.lot_seq, max(a.at) AS at,
        sum(a.amount) FILTER (WHERE x.kind = 3) AS expired
    FROM allocation a
    JOIN transfer x ON x.holder_id = a.holder_id AND x.currency_id = a.currency_id AND x.seq = a.seq
    GROUP BY 1, 2, 3
), ended AS (
    SELECT l.currency_id, l.amount, coalesce(g.expired, 0) AS expired,
        CASE WHEN l.active_at < 'infinity' THEN l.remaining ELSE 0 END AS dead,
        CASE WHEN l.active_at < 'infinity' THEN 0 ELSE l.remaining END AS late,
        CASE WHEN l.remaining = 0 THEN g.at WHEN l.active_at < 'infinity' THEN l.expires_at
            ELSE l.lapses_at END AS at
    FROM lot l
    LEFT JOIN gone g ON g.holder_id = l.holder_id AND g.currency_id = l.currency_id
        AND g.lot_seq = l.seq
)
SELECT currency_id, {_IN.format("at")} AS period, sum(amount)::bigint,
    (sum(expired) + sum(dead))::bigint, sum(dead)::bigint, sum(late)::bigint
FROM ended WHERE at <= $2 GROUP BY 1, 2
"""
# Who was imported with a past has been with us since its first act.
_JOINED = """
acts AS (
    SELECT holder_id, occurred_at FROM event WHERE kind = ANY($3) AND occurred_at <= $2
), joined AS (
    SELECT h.id, least(h.created_at, min(a.occurred_at)) AS at
    FROM holder h LEFT JOIN acts a ON a.holder_id = h.id GROUP BY h.id
)"""
_MEMBERS = f"""
WITH {_JOINED.strip()}
SELECT {_IN.format("at")} AS joined, NULL::integer AS active, count(*)::integer
FROM joined WHERE at <= $2 GROUP BY 1
UNION ALL
SELECT {_IN.format("j.at")}, {_IN.format("a.occurred_at")}, count(DISTINCT j.id)::integer
FROM joined j JOIN acts a ON a.holder_id = j.id
WHERE a.occurred_at > ($1::timestamptz[])[1] GROUP BY 1, 2
"""
_RANKS = f"""
SELECT ladder_id, period, rank, sum(change)::integer FROM (
    SELECT ladder_id, {_IN.format("at")} AS period, to_rank AS rank, 1 AS change
    FROM tier_change WHERE at <= $2
    UNION ALL
    SELECT ladder_id, {_IN.format("at")}, from_rank, -1 FROM tier_change WHERE at <= $2
) AS changes GROUP BY 1, 2, 3
"""


async def flows(
    connection: Connection, bounds: Sequence[datetime], until: datetime
) -> Sequence[Row]:
    """(currency, period, partner, then figures in the order of `core.statistics.Flow`)."""
    return await connection.fetch(_FLOWS, bounds, until)


async def ended(
    connection: Connection, bounds: Sequence[datetime], until: datetime
) -> Sequence[Row]:
    """(currency, period, points of lots that ended, expired of them, and unbooked: dead, late)."""
    return await connection.fetch(_ENDED, bounds, until)


async def members(
    connection: Connection, bounds: Sequence[datetime], until: datetime, kinds: Sequence[int]
) -> Sequence[Row]:
    """(period joined, None, members), and (period joined, period active, members)."""
    return await connection.fetch(_MEMBERS, bounds, until, kinds)


async def ranks(
    connection: Connection, bounds: Sequence[datetime], until: datetime
) -> Sequence[Row]:
    """(ladder, period, rank, by how many more members held it at the period's end)."""
    return await connection.fetch(_RANKS, bounds, until)
