"""More questions of `laurels check`: what each kind of event may do, and the rows it is proven by.

Like `core.store.proof`, which asks them; here stands what came with returns, nights and adjustments.
"""

from __future__ import annotations

from core.lines import COLUMNS

_LIMIT = "ORDER BY 1 LIMIT 20"
#: (kind of transfer, from, to, kinds of event that may book it; none: any may).
_MOVES = (
    (1, 10, "1,2", "1,2,10,18,19"),
    (2, 1, "11", "2"),
    (2, 3, "11", "4"),
    (3, 1, "12", ""),
    (4, 1, "3", "3"),
    (5, 3, "1", "5,6"),
    (6, 1, "4", ""),
    (7, 2, "1", ""),
    (8, 1, "13", "8,9,10,13,20"),
    (8, 2, "13", "8,9,10,13,20"),
    (8, 4, "13", "8,9,10,20"),
    (9, 2, "15", ""),
    (10, 14, "1", "12"),
    (10, 1, "14", "12"),
    (11, 11, "1", "13"),
    (12, 1, "11,16", "31"),
    (12, 10, "1", "32"),
    (12, 16, "1", "32"),
)
_ALLOWED = ", ".join(
    f"({kind}, {source}, '{{{targets}}}'::int[], '{{{events}}}'::int[])"
    for kind, source, targets, events in _MOVES
)

EVENT_QUESTIONS: dict[str, str] = {
    # The replay goes from decision to decision: what belongs to none it would never come upon.
    "transfers and changes = their postings": f"""
        SELECT 'transfer ' || t.holder_id || '/' || t.currency_id || '/' || t.seq, format(
            'booked at %s for event %s; the decision of then is on %s', t.booked_at, t.event_id,
            coalesce(d.event_id::text, 'nothing: it is missing'))
        FROM transfer t LEFT JOIN decision d USING (holder_id, booked_at)
        WHERE d.event_id IS DISTINCT FROM t.event_id
        UNION ALL
        SELECT 'lot ' || c.holder_id || '/' || c.currency_id || '/' || c.lot_seq, format(
            'changed at %s for event %s; the decision of then is on %s', c.booked_at, c.event_id,
            coalesce(d.event_id::text, 'nothing: it is missing'))
        FROM lot_change c LEFT JOIN decision d USING (holder_id, booked_at)
        WHERE d.event_id IS DISTINCT FROM c.event_id
        {_LIMIT}""",
    "transfers = what their events may do": f"""
        SELECT 'transfer ' || t.holder_id || '/' || t.currency_id || '/' || t.seq, format(
            'an event of kind %s moves points for %s from %s to %s', e.kind, t.kind, t.source, t.target)
        FROM transfer t LEFT JOIN event e ON e.id = t.event_id
        WHERE NOT EXISTS (SELECT FROM (VALUES {_ALLOWED}) AS m (kind, source, targets, events)
            WHERE m.kind = t.kind AND m.source = t.source AND t.target = ANY(m.targets)
            AND (m.events = '{{}}' OR e.kind = ANY(m.events)))
        {_LIMIT}""",
    "events on purchases = their purchases": f"""
        SELECT 'event ' || e.id, format('of kind %s; its purchase %s is none of this member and partner before it',
            e.kind, e.purchase_id)
        FROM event e LEFT JOIN event p ON p.id = e.purchase_id AND p.kind IN (1, 18, 19) AND p.holder_id = e.holder_id
            AND p.partner_id = e.partner_id AND p.occurred_at <= e.occurred_at AND p.booked_at < e.booked_at
        WHERE (e.kind BETWEEN 8 AND 11 OR e.kind = 20) <> (e.purchase_id IS NOT NULL)
            OR e.purchase_id IS NOT NULL AND (p.id IS NULL OR (p.kind = 1) <> (e.kind <> 20))
        {_LIMIT}""",
    # A pending lot lives until what is left of it is activated at its instant, or lapses.
    "activations = pending lots": f"""
        WITH l AS (
            SELECT o.holder_id, o.currency_id, o.active_at, o.rule_id,
                o.amount - coalesce(sum(a.amount) FILTER (WHERE x.source = 2), 0) AS n
            FROM lot o JOIN transfer t USING (holder_id, currency_id, seq)
            LEFT JOIN allocation a ON a.holder_id = o.holder_id AND a.currency_id = o.currency_id AND a.lot_seq = o.seq
            LEFT JOIN transfer x ON x.holder_id = a.holder_id AND x.currency_id = a.currency_id AND x.seq = a.seq
            WHERE t.target = 2 AND NOT o.pending
            GROUP BY o.holder_id, o.currency_id, o.seq
        ), due AS (
            SELECT holder_id, currency_id, active_at AS at, coalesce(rule_id, 0) AS rule, sum(n) AS n, count(*) AS k
            FROM l WHERE n > 0 GROUP BY 1, 2, 3, 4
        ), done AS (
            SELECT holder_id, currency_id, occurred_at AS at, coalesce(rule_id, 0) AS rule, sum(amount) AS n, count(*) AS k
            FROM transfer WHERE kind = 7 GROUP BY 1, 2, 3, 4
        )
        SELECT 'ledger ' || holder_id || '/' || currency_id, format(
            'at %s %s points were activated by rule %s, its lots had %s pending', at, done.n, rule, due.n)
        FROM due FULL JOIN done USING (holder_id, currency_id, at, rule)
        WHERE (due.n, due.k) IS DISTINCT FROM (done.n, done.k)
        UNION ALL
        SELECT 'lot ' || o.holder_id || '/' || o.currency_id || '/' || o.seq, 'is pending, but was credited at once'
        FROM lot o JOIN transfer t USING (holder_id, currency_id, seq) WHERE o.pending AND t.target <> 2
        {_LIMIT}""",
    "lapses = pending lots": f"""
        SELECT 'lot ' || a.holder_id || '/' || a.currency_id || '/' || a.lot_seq, format(
            '%s lapsed at %s; it is due at %s, %s remain', t.amount, t.occurred_at, o.lapses_at, o.remaining)
        FROM transfer t JOIN allocation a USING (holder_id, currency_id, seq)
        JOIN lot o ON o.holder_id = a.holder_id AND o.currency_id = a.currency_id AND o.seq = a.lot_seq
        WHERE t.kind = 9 AND NOT (o.pending AND o.remaining = 0 AND o.active_at = 'infinity'
            AND o.lapses_at = t.occurred_at AND a.amount = t.amount)
        {_LIMIT}""",
    # Its end as it stood then: by the last change before, or the change of the same posting. At
    # night to the instant; what comes back to a dead lot may expire later than that. Before its
    # first change a lot ends as its policy says, which is another pass's.
    "expiries = ends of lots": f"""
        SELECT 'lot ' || a.holder_id || '/' || a.currency_id || '/' || a.lot_seq, format(
            '%s expired at %s, its end was %s', a.amount, t.occurred_at, x.ends)
        FROM transfer t JOIN allocation a USING (holder_id, currency_id, seq)
        JOIN lot o ON o.holder_id = a.holder_id AND o.currency_id = a.currency_id AND o.seq = a.lot_seq
        JOIN event e ON e.id = t.event_id
        CROSS JOIN LATERAL (
            SELECT CASE WHEN count(*) = 0 THEN o.expires_at WHEN bool_or(c.booked_at < t.booked_at) THEN least(
                (array_agg(c.expires_at ORDER BY c.booked_at DESC) FILTER (WHERE c.booked_at < t.booked_at))[1],
                min(c.expires_at) FILTER (WHERE c.booked_at = t.booked_at)) END AS ends
            FROM lot_change c WHERE c.holder_id = o.holder_id AND c.currency_id = o.currency_id AND c.lot_seq = o.seq
        ) x
        WHERE t.kind = 3 AND (t.occurred_at < x.ends OR e.kind = 14 AND t.occurred_at <> x.ends
            OR a.amount <> t.amount)
        {_LIMIT}""",
    "adjustments = their events": f"""
        SELECT 'adjustment ' || coalesce(a.holder_id, e.holder_id) || '/' || coalesce(a.event_id, e.id), format(
            '%s points at %s, because of %s; its event is at %s, its transfer moved %s', a.points, a.at, a.cause_id,
            e.occurred_at, t.amount)
        FROM adjustment a FULL JOIN (SELECT * FROM event WHERE kind = 12) e ON e.id = a.event_id
        LEFT JOIN transfer t ON t.holder_id = a.holder_id AND t.currency_id = a.currency_id AND t.seq = a.seq
        LEFT JOIN event c ON c.id = a.cause_id AND c.holder_id = a.holder_id AND c.booked_at < a.booked_at
        WHERE (a.holder_id, a.booked_at, a.at, a.partner_id, a.event_id, 10) IS DISTINCT FROM
                (e.holder_id, e.booked_at, e.occurred_at, e.partner_id, t.event_id, t.kind::int)
            OR a.points <> CASE WHEN t.target = 1 THEN t.amount ELSE -t.amount END
            OR a.cause_id IS NOT NULL AND c.id IS NULL
        UNION ALL
        SELECT 'note ' || n.holder_id || '/' || n.event_id, 'there is no adjustment that it is about'
        FROM adjustment_note n LEFT JOIN adjustment a USING (holder_id, event_id) WHERE a.event_id IS NULL
        {_LIMIT}""",
    "lot moves = their events": f"""
        WITH done AS (
            SELECT split_part(e.external_id, ':', 1) AS run, count(DISTINCT c.holder_id) AS members, count(*) AS lots,
                coalesce(sum(x.amount), 0) AS expired, bool_and(e.partner_id = 0) AS own,
                bool_and(p.currency_id = c.currency_id) AS fits, min(c.currency_id) AS currency_id
            FROM lot_change c JOIN event e ON e.id = c.event_id AND e.holder_id = c.holder_id AND e.kind = 17
            LEFT JOIN policy p ON p.id = c.policy_id
            LEFT JOIN LATERAL (
                SELECT t.amount FROM allocation a JOIN transfer t USING (holder_id, currency_id, seq)
                WHERE a.holder_id = c.holder_id AND a.currency_id = c.currency_id AND a.lot_seq = c.lot_seq
                    AND t.kind = 3 AND t.booked_at = c.booked_at
            ) x ON true
            GROUP BY 1
        )
        SELECT 'lot move ' || coalesce(m.id::text, d.run), format(
            '%s members, %s lots, %s points expired; its events moved %s, %s, %s', m.members, m.lots, m.expired,
            d.members, d.lots, d.expired)
        FROM lot_move m FULL JOIN done d ON d.run = m.id::text
        WHERE m.id IS NULL OR m.members < coalesce(d.members, 0) -- one met again counts again
            OR (m.lots, m.expired) IS DISTINCT FROM (coalesce(d.lots, 0), coalesce(d.expired, 0))
            OR NOT (d.own AND d.fits AND d.currency_id = m.currency_id)
        {_LIMIT}""",
    "qualifications = what was earned": f"""
        WITH earned AS (
            SELECT holder_id, event_id, currency_id, sum(amount) AS points FROM transfer WHERE kind = 1 GROUP BY 1, 2, 3
        )
        SELECT 'qualification ' || q.holder_id || '/' || q.ladder_id || ' of event ' || q.event_id,
            format('counts %s by %s, its event gave %s', q.amount, l.measure, x.due)
        FROM qualification q JOIN event e ON e.id = q.event_id AND e.holder_id = q.holder_id
        JOIN ladder l ON l.id = q.ladder_id
        LEFT JOIN currency c ON l.measure = 'earned:' || c.code
        LEFT JOIN earned n ON n.holder_id = q.holder_id AND n.event_id = e.id AND n.currency_id = c.id
        LEFT JOIN adjustment a ON a.holder_id = q.holder_id AND a.event_id = e.id
        CROSS JOIN LATERAL (SELECT CASE
            WHEN e.kind = 12 THEN CASE WHEN a.counts AND a.currency_id = c.id THEN a.points END
            WHEN c.id IS NOT NULL THEN n.points
            WHEN l.measure = 'visits' AND e.kind = 1 THEN 1
            WHEN l.measure = 'spend:' || e.money THEN e.total END AS due) x
        WHERE e.kind IN (1, 12, 18, 19) AND q.amount IS DISTINCT FROM x.due
        {_LIMIT}""",
}

_TOUCHED = """(e.purchase_id IS NOT NULL OR e.kind IN (1, 18, 19)
    AND EXISTS (SELECT FROM event x WHERE x.purchase_id = e.id))"""
#: Purchases of which something came later, with all of it: in the columns of a history, and more.
HISTORIES = f"""
SELECT coalesce(e.purchase_id, e.id) AS p, e.id, e.kind, e.holder_id, e.occurred_at, e.booked_at,
    e.partner_id, e.money, e.external_id, e.store, d.content, e.tender, e.content_hash, e.total
FROM event e LEFT JOIN decision d ON d.holder_id = e.holder_id AND d.booked_at = e.booked_at
WHERE {_TOUCHED} ORDER BY 1, e.booked_at, e.id
"""
HISTORY_LINES = f"""
SELECT coalesce(e.purchase_id, e.id) AS p, l.event_id, l.line, {COLUMNS}
FROM event e JOIN event_line l ON l.event_id = e.id WHERE {_TOUCHED} ORDER BY 1, 2, 3
"""
#: What each of their events moved: (purchase, event, currency, kind, source, instant, points).
HISTORY_MOVES = f"""
SELECT coalesce(e.purchase_id, e.id) AS p, e.id, t.currency_id, t.kind, t.source, t.occurred_at, t.amount
FROM event e JOIN transfer t ON t.holder_id = e.holder_id AND t.event_id = e.id
WHERE {_TOUCHED} AND t.kind IN (1, 7, 8) ORDER BY 1, 2
"""
#: What went unused of the points that they earned: (purchase, currency, booked at, points).
HISTORY_GONE = f"""
SELECT coalesce(e.purchase_id, e.id) AS p, a.currency_id, x.booked_at, a.amount
FROM event e JOIN transfer t ON t.holder_id = e.holder_id AND t.event_id = e.id AND t.kind = 1
JOIN allocation a ON a.holder_id = t.holder_id AND a.currency_id = t.currency_id AND a.lot_seq = t.seq
JOIN transfer x ON x.holder_id = a.holder_id AND x.currency_id = a.currency_id AND x.seq = a.seq
WHERE {_TOUCHED} AND x.kind IN (3, 9) ORDER BY 1, 3
"""
#: What they counted on ladders: (purchase, event, ladder, measure, currency of an earned one, amount).
HISTORY_COUNTED = f"""
SELECT coalesce(e.purchase_id, e.id) AS p, e.id, q.ladder_id, l.measure, c.id, q.amount
FROM event e JOIN qualification q ON q.event_id = e.id AND q.holder_id = e.holder_id
JOIN ladder l ON l.id = q.ladder_id LEFT JOIN currency c ON l.measure = 'earned:' || c.code
WHERE {_TOUCHED} ORDER BY 1, 2, 3
"""
