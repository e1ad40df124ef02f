"""The questions of `laurels check` that one statement can ask: each answers with what is wrong.

Every statement returns (where, problem) of the first differences, and nothing where all is well.
"""

from __future__ import annotations

from core.store.books import APPEND_ONLY

_LIMIT = "ORDER BY 1 LIMIT 20"

QUESTIONS: dict[str, str] = {
    "balances = transfers": f"""
        WITH t AS (
            SELECT holder_id, currency_id, count(*) AS n, max(seq) AS last,
                sum(CASE WHEN target = 1 THEN amount WHEN source = 1 THEN -amount ELSE 0 END) AS active,
                sum(CASE WHEN target = 2 THEN amount WHEN source = 2 THEN -amount ELSE 0 END) AS pending,
                sum(CASE WHEN target = 3 THEN amount WHEN source = 3 THEN -amount ELSE 0 END) AS reserved,
                sum(CASE WHEN source = 4 THEN amount WHEN target = 4 THEN -amount ELSE 0 END) AS arrears
            FROM transfer GROUP BY 1, 2
        )
        SELECT 'ledger ' || holder_id || '/' || currency_id, format(
            'stored active %s pending %s reserved %s arrears %s at seq %s; %s transfers up to seq %s say %s %s %s %s',
            l.active, l.pending, l.reserved, l.arrears, l.seq, t.n, t.last, t.active, t.pending,
            t.reserved, t.arrears)
        FROM ledger l FULL JOIN t USING (holder_id, currency_id)
        WHERE (l.seq, l.active, l.pending, l.reserved, l.arrears) IS DISTINCT FROM
            (t.last, t.active, t.pending, t.reserved, t.arrears) OR t.n <> l.seq
        {_LIMIT}""",
    "lots = their credits": f"""
        SELECT 'lot ' || holder_id || '/' || currency_id || '/' || seq, format(
            'the lot has %s points of %s by rule %s, its credit %s at %s by rule %s',
            o.amount, o.occurred_at, o.rule_id, t.amount, t.occurred_at, t.rule_id)
        FROM lot o FULL JOIN (SELECT * FROM transfer WHERE kind = 1) t
            USING (holder_id, currency_id, seq)
        WHERE (o.amount, o.rule_id, o.partner_id, o.occurred_at) IS DISTINCT FROM
            (t.amount, t.rule_id, t.partner_id, t.occurred_at)
        {_LIMIT}""",
    "lots less allocations = what remains": f"""
        SELECT 'lot ' || o.holder_id || '/' || o.currency_id || '/' || o.seq, format(
            '%s of %s remain, allocations took %s', o.remaining, o.amount, coalesce(a.taken, 0))
        FROM lot o LEFT JOIN (
            SELECT holder_id, currency_id, lot_seq, sum(amount) AS taken FROM allocation GROUP BY 1, 2, 3
        ) a ON a.holder_id = o.holder_id AND a.currency_id = o.currency_id AND a.lot_seq = o.seq
        WHERE o.remaining <> o.amount - coalesce(a.taken, 0)
        {_LIMIT}""",
    "balances = open lots": f"""
        SELECT 'ledger ' || l.holder_id || '/' || l.currency_id,
            format('active %s, open lots hold %s', l.active, coalesce(o.held, 0))
        FROM ledger l LEFT JOIN (
            SELECT holder_id, currency_id, sum(remaining) AS held FROM lot GROUP BY 1, 2
        ) o USING (holder_id, currency_id)
        WHERE l.active + l.pending <> coalesce(o.held, 0)
        {_LIMIT}""",
    "allocations cover every debit": f"""
        SELECT 'transfer ' || t.holder_id || '/' || t.currency_id || '/' || t.seq,
            format('moves %s, allocations cover %s', t.amount, coalesce(a.covered, 0))
        FROM transfer t LEFT JOIN (
            SELECT holder_id, currency_id, seq, sum(amount) AS covered FROM allocation GROUP BY 1, 2, 3
        ) a USING (holder_id, currency_id, seq)
        WHERE coalesce(a.covered, 0) <> CASE WHEN t.source = 1 THEN t.amount
            WHEN t.kind = 5 THEN -t.amount ELSE 0 END
        {_LIMIT}""",
    "reserved = held redemptions": f"""
        SELECT 'ledger ' || l.holder_id || '/' || l.currency_id,
            format('reserved %s, redemptions hold %s', l.reserved, coalesce(r.held, 0))
        FROM ledger l LEFT JOIN (
            SELECT holder_id, currency_id, sum(points) AS held FROM redemption WHERE status = 1 GROUP BY 1, 2
        ) r USING (holder_id, currency_id)
        WHERE l.reserved <> coalesce(r.held, 0)
        {_LIMIT}""",
    "visits = purchases": f"""
        SELECT 'relation ' || holder_id || '/' || partner_id,
            format('counts %s purchases, events say %s', r.purchases, e.n)
        FROM relation r FULL JOIN (
            SELECT holder_id, partner_id, count(*) AS n FROM event WHERE kind = 1 GROUP BY 1, 2
        ) e USING (holder_id, partner_id)
        WHERE coalesce(r.purchases, 0) <> coalesce(e.n, 0)
        {_LIMIT}""",
    "every event has its decision": f"""
        SELECT 'event ' || coalesce(e.id, d.event_id), 'one of event and decision is missing, or they differ'
        FROM event e FULL JOIN decision d ON d.event_id = e.id
        WHERE (e.holder_id, e.booked_at, e.occurred_at, e.partner_id, e.kind) IS DISTINCT FROM
            (d.holder_id, d.booked_at, d.occurred_at, d.partner_id, d.kind)
        {_LIMIT}""",
    "guards stand": f"""
        SELECT 'table ' || x.t, 'its trigger against UPDATE, DELETE and TRUNCATE is missing or off'
        FROM unnest(ARRAY[{", ".join(f"'{t}'" for t in APPEND_ONLY)}]) AS x (t)
        WHERE NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = x.t::regclass
            AND g.tgname = x.t || '_only_added' AND g.tgenabled IN ('O', 'A'))
        UNION ALL
        SELECT 'table ' || x.t, 'the application may ' || p.p || ' its rows'
        FROM unnest(ARRAY[{", ".join(f"'{t}'" for t in APPEND_ONLY)}]) AS x (t),
            unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS p (p)
        WHERE has_table_privilege('laurels_app', x.t, p.p)
        UNION ALL
        SELECT 'constraint ' || c.n, 'is missing'
        FROM unnest(ARRAY['event_natural_key', 'ledger_no_points_beside_arrears', 'ledger_active_check',
            'ledger_reserved_check', 'lot_check', 'transfer_amount_check',
            'reward_stock_not_overdrawn']) AS c (n)
        WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conname = c.n AND k.convalidated)
        {_LIMIT}""",
}

#: Everything that the second pass replays, in booking order of each holder.
DECISIONS = """
SELECT holder_id, booked_at, event_id, kind, heads, content FROM decision
ORDER BY holder_id, booked_at
"""
TRANSFERS = """
SELECT holder_id, booked_at, currency_id, seq, occurred_at, kind, source, target, amount, partner_id,
    rule_id, event_id
FROM transfer ORDER BY holder_id, booked_at, currency_id, seq
"""
EVENTS = """
SELECT e.id, e.holder_id, e.occurred_at, e.money, e.store, e.total, e.content_hash
FROM event e WHERE e.kind = 1 ORDER BY e.id
"""
LINES = (
    "SELECT event_id, product_type, amount, quantity, sku FROM event_line ORDER BY event_id, line"
)
LOTS = """
SELECT o.holder_id, o.currency_id, o.seq, o.occurred_at, nullif(o.expires_at, 'infinity'), o.policy,
    c.time_zone
FROM lot o LEFT JOIN currency c ON c.id = o.currency_id
"""
QUALIFIED = """
SELECT s.holder_id, s.ladder_id, s.measured_at, s.value, l.window, l.time_zone,
    array_agg(q.at), array_agg(q.amount)
FROM standing s JOIN ladder l ON l.id = s.ladder_id
LEFT JOIN qualification q ON q.holder_id = s.holder_id AND q.ladder_id = s.ladder_id
    AND q.at <= s.measured_at
GROUP BY s.holder_id, s.ladder_id, l.id
"""
HEADS = "SELECT holder_id, currency_id, head FROM ledger"
