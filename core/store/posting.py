"""The posting path's five statements: lock holders, load, write events, lines, holders' rows.

Each takes a whole batch as arrays, so their number is the same for one purchase and for five
thousand. Knows the tables, and nothing of why a row is as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from core.db import Connection
from core.rulebook import Reach
from core.store.writes import Tip, Writes

_TIP = "greatest(h.booked_at, (SELECT max(at) FROM seal)), h.head, h.created_at"
LOCK = f"""
SELECT w.place, h.id, {_TIP}
FROM unnest($1::int[], $2::smallint[], $3::int[], $4::text[]) AS w (place, kind, scope, value)
JOIN identifier i ON i.kind = w.kind AND i.scope = w.scope AND i.value = w.value
JOIN holder h ON h.id = i.holder_id AND h.erased_at IS NULL
ORDER BY h.id, w.place
FOR NO KEY UPDATE OF h
"""
LOCK_HOLDERS = f"""
SELECT h.id, {_TIP} FROM holder h WHERE h.id = ANY($1) ORDER BY h.id FOR NO KEY UPDATE OF h
"""
# PostgreSQL asks this again of a row that it waited for: who was erased meanwhile isn't there.
LOCK_LIVING = LOCK_HOLDERS.replace("ORDER BY", "AND h.erased_at IS NULL ORDER BY")

# Of what qualified: around the spans and where windows begin, for the measure there follows from
# the stored one; returns, which count in two places; and everything, where a rank depends on what
# was held before, was given by hand, or was measured by other terms.
_SPANS = """
WITH h AS (
    SELECT * FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) AS h (id, lo, hi)
), w AS (
    SELECT * FROM unnest($4::int[], $5::interval[], $6::interval[], $7::bool[], $8::int[])
        AS w (ladder_id, long, short, whole, version)
), a AS (
    SELECT a.* FROM h JOIN assignment a ON a.holder_id = h.id
), s AS (
    SELECT s.*, h.lo, h.hi, w.long, w.short, w.whole OR w.version <> s.terms OR EXISTS (
        SELECT FROM a WHERE a.holder_id = s.holder_id AND a.ladder_id = s.ladder_id) AS whole
    FROM h JOIN standing s ON s.holder_id = h.id JOIN w ON w.ladder_id = s.ladder_id
)"""
_STANDINGS = """
SELECT 4 AS what, holder_id AS a, ladder_id::bigint AS b, value AS c, rank::bigint AS d,
    whole::int::bigint AS e,
    CASE WHEN due_at < 'infinity' THEN (extract(epoch FROM due_at) * 1000000)::bigint END AS f,
    terms::bigint AS g, measured_at AS t, since AS u, NULL::text AS x, NULL::bytea AS y
FROM s
UNION ALL
SELECT 5, q.holder_id, q.ladder_id, q.amount, q.event_id, NULL, NULL, NULL, q.at, q.counts_from,
    NULL, NULL
FROM (
    SELECT q.* FROM s JOIN qualification q ON q.holder_id = s.holder_id
        AND q.ladder_id = s.ladder_id AND q.counts_from > s.lo - interval '2 days'
        AND q.at = q.counts_from AND NOT s.whole
    UNION
    SELECT q.* FROM s JOIN qualification q ON q.holder_id = s.holder_id
        AND q.ladder_id = s.ladder_id
        AND q.counts_from > least(s.lo, s.measured_at) - s.long - interval '2 days'
        AND q.counts_from <= greatest(s.hi, s.measured_at) - s.short + interval '2 days'
        AND q.at = q.counts_from AND NOT s.whole
    UNION ALL
    SELECT q.* FROM s JOIN qualification q ON q.holder_id = s.holder_id
        AND q.ladder_id = s.ladder_id AND q.at <> q.counts_from AND NOT s.whole
        AND (s.long IS NULL OR q.at > least(s.lo, s.measured_at) - s.long - interval '2 days')
    UNION ALL
    SELECT q.* FROM s JOIN qualification q ON q.holder_id = s.holder_id
        AND q.ladder_id = s.ladder_id AND s.whole
) q
UNION ALL
SELECT 6, holder_id, ladder_id, rank, kind, event_id, ends, NULL, from_at, until_at, reason, NULL
FROM a
UNION ALL
SELECT 7, o.id, NULL, NULL, NULL, NULL, NULL, NULL, o.created_at, NULL, NULL, NULL
FROM h JOIN holder o ON o.id = h.id WHERE $9
"""
STANDINGS = _SPANS + _STANDINGS
# One result for ten nouns, told apart by `what`: one round trip, and typed columns, not JSON.
LOAD = f"""{_SPANS}{_STANDINGS}
UNION ALL
SELECT 1, e.id, e.partner_id, e.holder_id, NULL, NULL, NULL, NULL, e.booked_at, NULL,
    e.external_id, e.content_hash
FROM unnest($10::int[], $11::text[]) AS k (partner_id, external_id)
JOIN event e ON e.partner_id = k.partner_id AND e.kind = $12 AND e.external_id = k.external_id
UNION ALL
SELECT 2, l.holder_id, l.currency_id, l.seq, l.active, l.reserved, l.pending, l.arrears, l.latest_at,
    NULL, NULL, NULL
FROM h JOIN ledger l ON l.holder_id = h.id
UNION ALL
SELECT 3, r.holder_id, r.partner_id, r.purchases, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM h JOIN relation r ON r.holder_id = h.id
UNION ALL
SELECT 8, w.partner_id, w.kind, NULL, NULL, NULL, NULL, NULL, w.occurred_at, NULL, w.purchase,
    convert_to(coalesce(w.content ->> 'event', ''), 'UTF8')
FROM unnest($10::int[], $11::text[]) AS k (partner_id, external_id)
JOIN waiting w ON w.partner_id = k.partner_id AND w.purchase = k.external_id AND w.problem = ''
UNION ALL
SELECT 9, n.holder_id, n.partner_id, n.id, NULL, NULL, NULL, NULL, n.at, n.until_at, n.name,
    convert_to(n.value, 'UTF8')
FROM h JOIN attribute n ON n.holder_id = h.id AND n.partner_id = ANY($10)
"""


class _Arrays:
    """Numbers the parameters of one statement: each call is an `unnest` of arrays of these types."""

    def __init__(self) -> None:
        self._used = 0

    def __call__(self, types: str) -> str:
        """`unnest($1::bigint[], …)`, going on from the last number."""
        names = types.split()
        first, self._used = self._used + 1, self._used + len(names)
        return f"unnest({', '.join(f'${n}::{t}[]' for n, t in enumerate(names, first))})"


_events = _Arrays()
EVENTS = f"""
WITH e AS (
    INSERT INTO event (id, holder_id, occurred_at, booked_at, total, partner_id, kind, money,
        content_hash, external_id, store, purchase_id, tender)
    SELECT * FROM {_events("bigint bigint timestamptz timestamptz bigint int smallint text bytea text text bigint text")}
    ON CONFLICT ON CONSTRAINT event_natural_key DO NOTHING
    RETURNING id
)
SELECT (SELECT count(*) FROM e), EXISTS (
    SELECT FROM waiting w JOIN unnest($6::int[], $7::smallint[], $10::text[])
        AS k (partner_id, kind, external_id)
    ON w.partner_id = k.partner_id AND w.purchase = k.external_id AND k.kind = 1
)
"""

LINES = (
    "event_id", "line", "amount", "quantity", "product_type", "sku", "discount", "tax",
    "points_paid", "kind",
)  # fmt: skip

_holders = _Arrays()
HOLDERS = f"""
WITH h AS (
    UPDATE holder SET booked_at = u.booked_at, head = u.head
    FROM {_holders("bigint timestamptz bytea")} AS u (id, booked_at, head) WHERE holder.id = u.id
), d AS (
    INSERT INTO decision (holder_id, booked_at, event_id, occurred_at, partner_id, rulebook, kind,
        head, content)
    SELECT * FROM {_holders("bigint timestamptz bigint timestamptz int int smallint bytea text")}
), l AS (
    INSERT INTO ledger AS l (holder_id, currency_id, seq, active, reserved, pending, arrears,
        latest_at)
    SELECT * FROM {_holders("bigint int int bigint bigint bigint bigint timestamptz")}
    ON CONFLICT (holder_id, currency_id) DO UPDATE SET seq = excluded.seq,
        active = excluded.active, reserved = excluded.reserved, pending = excluded.pending,
        arrears = excluded.arrears, latest_at = excluded.latest_at
), t AS (
    INSERT INTO transfer (holder_id, currency_id, seq, booked_at, occurred_at, kind, source, target,
        amount, partner_id, rule_id, event_id)
    SELECT * FROM {_holders("bigint int int timestamptz timestamptz smallint smallint smallint bigint int int bigint")}
), o AS (
    INSERT INTO lot AS o (holder_id, currency_id, seq, amount, remaining, occurred_at, active_at,
        expires_at, lapses_at, partner_id, rule_id, policy_id, pending, opened_under)
    SELECT n.a, n.b, n.c, n.d, n.e, n.f, coalesce(n.g, 'infinity'), coalesce(n.h, 'infinity'),
        coalesce(n.i, 'infinity'), n.j, n.k, n.l, n.m, n.n
    FROM {_holders("bigint int int bigint bigint timestamptz timestamptz timestamptz timestamptz int int int bool int")}
        AS n (a, b, c, d, e, f, g, h, i, j, k, l, m, n)
    ON CONFLICT (holder_id, currency_id, seq) DO UPDATE SET remaining = excluded.remaining,
        active_at = excluded.active_at, expires_at = excluded.expires_at,
        policy_id = excluded.policy_id, pending = excluded.pending
), a AS (
    INSERT INTO allocation (holder_id, currency_id, seq, lot_seq, at, amount)
    SELECT * FROM {_holders("bigint int int int timestamptz bigint")}
), m AS (
    INSERT INTO lot_change (holder_id, currency_id, lot_seq, booked_at, event_id, active_at,
        expires_at, policy_id)
    SELECT n.a, n.b, n.c, n.d, n.e, coalesce(n.f, 'infinity'), coalesce(n.g, 'infinity'), n.h
    FROM {_holders("bigint int int timestamptz bigint timestamptz timestamptz int")}
        AS n (a, b, c, d, e, f, g, h)
), q AS (
    INSERT INTO qualification (holder_id, ladder_id, at, counts_from, event_id, amount)
    SELECT * FROM {_holders("bigint int timestamptz timestamptz bigint bigint")}
), s AS (
    INSERT INTO standing (holder_id, ladder_id, measured_at, value, rank, since, due_at, terms)
    SELECT n.a, n.b, n.c, n.d, n.e, n.f, coalesce(n.g, 'infinity'), n.h
    FROM {_holders("bigint int timestamptz bigint smallint timestamptz timestamptz int")}
        AS n (a, b, c, d, e, f, g, h)
    ON CONFLICT (holder_id, ladder_id) DO UPDATE SET measured_at = excluded.measured_at,
        value = excluded.value, rank = excluded.rank, since = excluded.since,
        due_at = excluded.due_at, terms = excluded.terms
), c AS (
    INSERT INTO tier_change (holder_id, ladder_id, booked_at, at, from_rank, to_rank, event_id)
    SELECT * FROM {_holders("bigint int timestamptz timestamptz smallint smallint bigint")}
), u AS (
    INSERT INTO outbox (event_id, holder_id, partner_id, kind, currencies, ladders, redemption_id)
    SELECT n.a, n.b, n.c, n.d, n.e::int[], n.f::int[], n.g
    FROM {_holders("bigint bigint int smallint text text bigint")} AS n (a, b, c, d, e, f, g)
)
INSERT INTO relation (holder_id, partner_id, purchases)
SELECT * FROM {_holders("bigint int bigint")}
ON CONFLICT (holder_id, partner_id) DO UPDATE SET purchases = excluded.purchases
"""  # a list of types is read best in one line


def columns(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows as the arrays that `unnest` takes; `width` empty ones where there are no rows."""
    return [list(c) for c in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _array(numbers: Iterable[int]) -> str:
    """An array as text: `unnest` would flatten one of arrays."""
    return f"{{{','.join(map(str, numbers))}}}"


async def lock_members(
    connection: Connection, wanted: Iterable[tuple[int, int, int, str]]
) -> list[tuple[int, int, Tip]]:
    """Lock the holders of these identifiers in id order: (place, holder, as `lock_holders`)."""
    rows = await connection.fetch(LOCK, *columns(list(wanted), 4))
    return [(r[0], r[1], _tip(r[1], *r[2:])) for r in rows]


async def lock_holders(
    connection: Connection, holders: Sequence[int], *, living: bool = False
) -> dict[int, Tip]:
    """Lock these holders in id order: where the chain of each one's decisions ends.

    At the last seal, where nothing was booked since. Of the `living` alone, where something is
    to begin: who was erased isn't there.
    """
    rows = await connection.fetch(LOCK_LIVING if living else LOCK_HOLDERS, list(holders))
    return {row[0]: _tip(*row) for row in rows}


def _tip(holder: int, last: datetime | None, head: bytes | None, created_at: datetime) -> Tip:
    return Tip(last, beginning(holder, created_at) if head is None else head)


def beginning(holder: int, created_at: datetime) -> bytes:
    """What the chain of a holder's decisions begins with: who it is, and since when."""
    return b"%d since %b" % (holder, created_at.astimezone(UTC).isoformat().encode())


async def load(
    connection: Connection,
    spans: Mapping[int, tuple[datetime, datetime]],
    keys: Sequence[tuple[int, str]],
    reaches: Sequence[Reach],
    kind: int,
    *,
    full: bool = False,
) -> list[Any]:
    """What the fold needs of these holders and natural keys; see LOAD for the columns.

    `full` also loads what lies in the middle of a window: what will leave it, and when; of a
    ladder without a window, everything.
    """
    return await connection.fetch(LOAD, *_spans(spans, reaches, full), *columns(keys, 2), kind)


async def load_standings(
    connection: Connection, holders: Sequence[int], at: datetime, reaches: Sequence[Reach]
) -> list[Any]:
    """Where these holders stand on all ladders, of what `load` finds in `full`: 4 to 7."""
    return await connection.fetch(
        STANDINGS, *_spans(dict.fromkeys(holders, (at, at)), reaches, True)
    )


def _spans(
    spans: Mapping[int, tuple[datetime, datetime]], reaches: Sequence[Reach], full: bool
) -> list[Any]:
    holders = [(h, lo, hi) for h, (lo, hi) in spans.items()]
    windows = [(r.ladder, r.longest, _shortest(r.longest)) for r in reaches]
    if full:
        windows = [(r.ladder, r.longest or _EVER, timedelta(0)) for r in reaches]
    return [
        *columns(holders, 3), *columns(windows, 3),
        [r.whole for r in reaches], [r.terms for r in reaches],
        any(r.anchored for r in reaches),
    ]  # fmt: skip


#: Longer than any programme has run.
_EVER = timedelta(days=365_000)


def _shortest(longest: timedelta | None) -> timedelta | None:
    """The shortest that a window is whose longest is this: of months of 28 days, years of 365."""
    if longest is None:
        return None
    days, shortest = longest.days, longest.days
    if days % 31 == 0:
        years, months = divmod(days // 31, 12)
        shortest = 365 * years + 28 * months
    if days % 366 == 0:
        shortest = min(shortest, days // 366 * 365)
    return longest - timedelta(days=days - shortest)


async def write_events(connection: Connection, writes: Writes) -> bool:
    """Add events and lines; False if another transaction took one of the natural keys first.

    Notes whether something waited for one of the purchases.
    """
    row = await connection.fetchrow(EVENTS, *columns(writes.events, 12))
    assert row is not None
    writes.awaited = row[1]
    if row[0] != len(writes.events):
        return False
    await connection.copy_records_to_table("event_line", records=writes.lines.rows(), columns=LINES)
    return True


async def write_holders(connection: Connection, writes: Writes) -> None:
    """Add and update everything that hangs on a holder, in one statement."""
    ledgers = writes.ledgers
    accounts = [
        (x.holder, x.currency, x.seq, x.active, x.reserved, x.pending, x.arrears, x.latest)
        for x in ledgers
    ]
    lots = [
        (
            x.holder, x.currency, o.seq, o.amount, o.remaining, o.occurred_at, o.active_at,
            o.expires_at, o.lapses_at, o.partner, o.rule, o.terms.id, o.pending,
            x.opened.get(o.seq, o.terms.id),
        )
        for x in ledgers for o in x.lots if o.dirty
    ]  # fmt: skip
    transfers = [
        (t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11])
        for x in ledgers
        for t in x.transfers
    ]
    await connection.execute(
        HOLDERS,
        *columns([(holder, *tip) for holder, tip in writes.tips.items()], 3),
        *columns(writes.decisions, 9),
        *columns(accounts, 8),
        *columns(transfers, 12),
        *columns(lots, 14),
        *columns([a for x in ledgers for a in x.allocations], 6),
        *columns([c for x in ledgers for c in x.changes], 8),
        *columns(writes.qualified, 6),
        *columns(writes.standings, 8),
        *columns(writes.tier_changes, 7),
        *columns([(*c[:4], _array(c[4]), _array(c[5]), c[6]) for c in writes.outbox], 7),
        *columns(writes.relations, 3),
    )
