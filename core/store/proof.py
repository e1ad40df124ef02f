"""The questions of `laurels check` that one statement can ask: each answers with what is wrong.

Every statement returns (where, problem) of the first differences, and nothing where all is well.
"""

from __future__ import annotations

from core.lines import COLUMNS
from core.store.books import APPEND_ONLY, GUARDS
from core.store.gifts import GIFT_QUESTIONS
from core.store.proof_caps import CAP_QUESTIONS
from core.store.proof_events import EVENT_QUESTIONS
from core.store.proof_face import FACE_APPEND_ONLY
from core.store.proof_meetups import MEETUP_QUESTIONS
from core.store.proof_memberships import MEMBERSHIP_QUESTIONS
from core.store.proof_surveys import SURVEY_QUESTIONS
from core.store.standing import STANDING
from core.store.verdicts import LEFT_QUESTION

_LIMIT = "ORDER BY 1 LIMIT 20"
_GUARDED = ", ".join(f"'{table}'" for table in (*APPEND_ONLY, *FACE_APPEND_ONLY))
#: What the guarding function does, to the letter: one that lets through would keep its name.
_REFUSAL = GUARDS.split("$$")[1]

QUESTIONS: dict[str, str] = {
    "balances = transfers": f"""
        WITH t AS (
            SELECT holder_id, currency_id, count(*) AS n, max(seq) AS last, max(occurred_at) AS latest,
                sum(CASE WHEN target = 1 THEN amount WHEN source = 1 THEN -amount ELSE 0 END) AS active,
                sum(CASE WHEN target = 2 THEN amount WHEN source = 2 THEN -amount ELSE 0 END) AS pending,
                sum(CASE WHEN target = 3 THEN amount WHEN source = 3 THEN -amount ELSE 0 END) AS reserved,
                sum(CASE WHEN source = 4 THEN amount WHEN target = 4 THEN -amount ELSE 0 END) AS arrears
            FROM transfer GROUP BY 1, 2)
        SELECT 'ledger ' || holder_id || '/' || currency_id, format(
            'stored active %s pending %s reserved %s arrears %s at seq %s, latest %s; %s transfers up to seq %s say %s %s %s %s, latest %s',
            l.active, l.pending, l.reserved, l.arrears, l.seq, l.latest_at, t.n, t.last, t.active,
            t.pending, t.reserved, t.arrears, t.latest)
        FROM ledger l FULL JOIN t USING (holder_id, currency_id)
        WHERE (l.seq, l.active, l.pending, l.reserved, l.arrears, l.latest_at) IS DISTINCT FROM
            (t.last, t.active, t.pending, t.reserved, t.arrears, t.latest) OR t.n <> l.seq
        {_LIMIT}""",
    "lots = their credits": f"""
        SELECT 'lot ' || holder_id || '/' || currency_id || '/' || seq, format(
            'the lot has %s points of %s by rule %s, its credit %s at %s by rule %s',
            o.amount, o.occurred_at, o.rule_id, t.amount, t.occurred_at, t.rule_id)
        FROM lot o FULL JOIN (SELECT * FROM transfer WHERE kind IN (1, 10, 12) AND target IN (1, 2)) t
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
            format('active %s and pending %s, open lots hold %s and %s', l.active, l.pending,
                coalesce(o.held, 0), coalesce(o.pending, 0))
        FROM ledger l LEFT JOIN (
            SELECT holder_id, currency_id, sum(remaining) FILTER (WHERE NOT pending) AS held,
                sum(remaining) FILTER (WHERE pending) AS pending
            FROM lot GROUP BY 1, 2
        ) o USING (holder_id, currency_id)
        WHERE l.active <> coalesce(o.held, 0) OR l.pending <> coalesce(o.pending, 0)
        {_LIMIT}""",
    "allocations cover every debit": f"""
        SELECT 'transfer ' || t.holder_id || '/' || t.currency_id || '/' || t.seq,
            format('moves %s, allocations cover %s', t.amount, coalesce(a.covered, 0))
        FROM transfer t LEFT JOIN (
            SELECT holder_id, currency_id, seq, sum(amount) AS covered FROM allocation GROUP BY 1, 2, 3
        ) a USING (holder_id, currency_id, seq)
        WHERE coalesce(a.covered, 0) <> CASE
            WHEN t.kind = 7 THEN 0 -- an activation moves a lot whole, within itself
            WHEN t.source IN (1, 2) THEN t.amount
            WHEN t.kind IN (5, 11) THEN -t.amount ELSE 0 END
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
    "allocations = their transfers": f"""
        SELECT 'allocation ' || a.holder_id || '/' || a.currency_id || '/' || a.seq || ' of lot ' || a.lot_seq,
            format('stands at %s, its transfer at %s', a.at, coalesce(t.occurred_at::text, 'no time: it is missing'))
        FROM allocation a LEFT JOIN transfer t USING (holder_id, currency_id, seq)
        WHERE a.at IS DISTINCT FROM t.occurred_at
        {_LIMIT}""",
    "holders = their last decision": f"""
        SELECT 'holder ' || h.id, format('booked at %s, its last decision %s', h.booked_at, d.last)
        FROM holder h LEFT JOIN (
            SELECT holder_id, max(booked_at) AS last FROM decision GROUP BY 1
        ) d ON d.holder_id = h.id
        WHERE h.booked_at IS DISTINCT FROM d.last
        {_LIMIT}""",
    # Of events: 2 redeemed at once, 3 reserved, 4 confirmed, 5 cancelled, 6 timed out, 13 reversed.
    "redemptions = their events": f"""
        WITH e AS (
            SELECT holder_id, external_id, array_agg(kind ORDER BY kind) AS kinds,
                max(occurred_at) FILTER (WHERE kind IN (2, 3)) AS asked,
                max(occurred_at) FILTER (WHERE kind IN (2, 4, 5, 6)) AS settled,
                max(occurred_at) FILTER (WHERE kind = 13) AS reversed
            FROM event WHERE kind BETWEEN 2 AND 6 OR kind = 13 GROUP BY 1, 2
        )
        SELECT 'redemption ' || coalesce(r.holder_id, e.holder_id) || '/' || coalesce(r.id::text, e.external_id),
            format('%s points, status %s, settled %s, reversed %s; its transfer moved %s, its events are %s',
                r.points, r.status, r.settled_at, r.reversed_at, t.amount, e.kinds)
        FROM redemption r
        FULL JOIN e ON e.holder_id = r.holder_id AND e.external_id = r.id::text
        LEFT JOIN transfer t ON t.holder_id = r.holder_id AND t.currency_id = r.currency_id AND t.seq = r.seq
        WHERE (r.status, r.points, r.partner_id, r.requested_at, r.settled_at, r.reversed_at)
            IS DISTINCT FROM (CASE e.kinds WHEN '{{2}}' THEN 2 WHEN '{{3}}' THEN 1 WHEN '{{3,4}}' THEN 2
                WHEN '{{3,5}}' THEN 3 WHEN '{{3,6}}' THEN 4 WHEN '{{2,13}}' THEN 5 WHEN '{{3,4,13}}' THEN 5 END,
                t.amount, t.partner_id, e.asked, e.settled, e.reversed)
            OR t.kind <> CASE e.kinds[1] WHEN 2 THEN 2 ELSE 4 END
        {_LIMIT}""",
    # A hold of a pool's codes sets them aside; ended, they are in the pool again. What was shown
    # of a redemption that doesn't stand is void.
    "codes = their redemptions": f"""
        WITH v AS (
            SELECT holder_id, redemption_id, count(*) FILTER (WHERE state = 2) AS issued,
                count(*) FILTER (WHERE state = 4) AS aside, count(*) FILTER (WHERE state = 3) AS void
            FROM voucher WHERE redemption_id IS NOT NULL GROUP BY 1, 2
        )
        SELECT 'redemption ' || coalesce(r.holder_id, v.holder_id) || '/' || coalesce(r.id, v.redemption_id),
            format('%s pieces, status %s; of its codes %s are issued, %s set aside, %s void',
                r.quantity, r.status, v.issued, v.aside, v.void)
        FROM redemption r FULL JOIN v ON v.holder_id = r.holder_id AND v.redemption_id = r.id
        WHERE r.id IS NULL
            OR coalesce(v.issued, 0) <> CASE WHEN r.status = 2 OR r.status = 1 AND NOT r.pooled
                THEN r.quantity ELSE 0 END
            OR coalesce(v.aside, 0) <> CASE WHEN r.status = 1 AND r.pooled THEN r.quantity ELSE 0 END
            OR coalesce(v.void, 0) <> CASE WHEN r.status = 5 OR r.status IN (3, 4) AND NOT r.pooled
                THEN r.quantity ELSE 0 END
        UNION ALL
        SELECT 'redemption ' || r.holder_id || '/' || r.id, 'one of its codes is for another reward'
        FROM voucher v JOIN redemption r ON r.holder_id = v.holder_id AND r.id = v.redemption_id
        WHERE (v.partner_id, v.reward_id) IS DISTINCT FROM (r.partner_id, r.reward_id)
        {_LIMIT}""",
    "stock = its moves": f"""
        SELECT 'stock of reward ' || coalesce(s.reward_id, m.reward_id) || '/' || coalesce(s.slice, m.slice),
            format('%s are left, its moves say %s', s.remaining, m.due)
        FROM reward_stock s FULL JOIN (
            SELECT reward_id, slice, count(*) FILTER (WHERE kind = 1) AS began,
                sum(CASE kind WHEN 2 THEN -amount WHEN 4 THEN 0 ELSE amount END) AS due
            FROM stock_move GROUP BY 1, 2
        ) m ON m.reward_id = s.reward_id AND m.slice = s.slice
        WHERE s.remaining IS DISTINCT FROM m.due OR m.began <> 1
        {_LIMIT}""",
    "stock moves = redemptions": f"""
        WITH m AS (
            SELECT m.holder_id, m.redemption_id, min(m.reward_id) AS reward, bool_and(e.id IS NOT NULL) AS told,
                sum(m.amount) FILTER (WHERE m.kind = 2) AS taken,
                sum(m.amount) FILTER (WHERE m.kind = 3) AS back,
                sum(m.amount) FILTER (WHERE m.kind = 4) AS lost
            FROM stock_move m LEFT JOIN event e ON e.id = m.event_id AND e.holder_id = m.holder_id
                AND e.external_id = m.redemption_id::text AND e.kind = ANY (CASE m.kind
                    WHEN 2 THEN '{{2,3}}' WHEN 3 THEN '{{5,6,13}}' ELSE '{{13}}' END::smallint[])
            WHERE m.redemption_id IS NOT NULL GROUP BY 1, 2
        )
        SELECT 'redemption ' || coalesce(r.holder_id, m.holder_id) || '/' || coalesce(r.id, m.redemption_id),
            format('%s pieces, status %s; of the stock %s were taken, %s returned, %s written off',
                r.quantity, r.status, m.taken, m.back, m.lost)
        FROM redemption r FULL JOIN m ON m.holder_id = r.holder_id AND m.redemption_id = r.id
        WHERE r.id IS NULL OR NOT m.told OR m.reward <> r.reward_id
            OR coalesce(m.taken, 0) <> CASE WHEN r.stocked THEN r.quantity ELSE 0 END
            OR coalesce(m.back, 0) <> CASE WHEN r.stocked AND r.status IN (3, 4, 5) AND NOT r.written_off
                THEN r.quantity ELSE 0 END
            OR coalesce(m.lost, 0) <> CASE WHEN r.stocked AND r.written_off THEN r.quantity ELSE 0 END
        {_LIMIT}""",
    "ranks = tier changes": f"""
        SELECT 'standing ' || coalesce(s.holder_id, c.holder_id) || '/' || coalesce(s.ladder_id, c.ladder_id),
            format('rank %s, its changes end at %s', s.rank, c.rank)
        FROM standing s FULL JOIN (
            SELECT holder_id, ladder_id, sum(to_rank - from_rank) AS rank FROM tier_change GROUP BY 1, 2
        ) c ON c.holder_id = s.holder_id AND c.ladder_id = s.ladder_id
        WHERE coalesce(s.rank, -1) <> coalesce(c.rank, 0)
        {_LIMIT}""",
    "qualifications = their events": f"""
        SELECT 'qualification ' || q.holder_id || '/' || q.ladder_id || ' of event ' || q.event_id,
            format('at %s, from %s on, no purchase of this member was then, or nothing of it came back',
                q.at, q.counts_from)
        FROM qualification q LEFT JOIN event e ON e.id = q.event_id AND e.holder_id = q.holder_id
        LEFT JOIN event p ON p.id = e.purchase_id AND p.holder_id = q.holder_id
        WHERE NOT coalesce(CASE
            WHEN e.kind IN (1, 12, 18, 19) THEN (q.at, q.counts_from) = (e.occurred_at, e.occurred_at)
            WHEN e.kind IN (8, 9, 10, 20) THEN q.at = p.occurred_at AND q.counts_from =
                CASE WHEN q.amount > 0 THEN q.at ELSE greatest(q.at, e.occurred_at) END
            END, false)
        {_LIMIT}""",
    # What was decided: the ladder, the rank, until when, why; or which one ends.
    "assignments = their events": f"""
        SELECT 'assignment ' || coalesce(a.holder_id, e.holder_id) || '/' || coalesce(a.event_id, e.id),
            format('decided %s; it gives rank %s on ladder %s from %s until %s (%s)', d.content, a.rank,
                a.ladder_id, a.from_at, a.until_at, a.reason)
        FROM assignment a
        FULL JOIN (SELECT * FROM event WHERE kind IN (15, 16)) e ON e.id = a.event_id
        LEFT JOIN decision d ON d.holder_id = e.holder_id AND d.booked_at = e.booked_at
        LEFT JOIN assignment b ON b.holder_id = a.holder_id AND b.event_id = a.ends
        WHERE (e.holder_id, e.booked_at, e.occurred_at, e.kind) IS DISTINCT FROM
                (a.holder_id, a.booked_at, a.from_at, CASE WHEN a.kind = 3 THEN 16 ELSE 15 END::smallint)
            OR d.content::jsonb -> 't' IS DISTINCT FROM jsonb_build_array(a.kind, a.ladder_id, a.rank,
                (extract(epoch FROM a.until_at) * 1000000)::bigint, a.reason, a.ends)
            OR a.kind = 3 AND (b.ladder_id, b.rank) IS DISTINCT FROM (a.ladder_id, a.rank)
        {_LIMIT}""",
    **EVENT_QUESTIONS,
    **CAP_QUESTIONS,
    "erased members leave nothing": LEFT_QUESTION,
    **MEETUP_QUESTIONS,
    **SURVEY_QUESTIONS,
    **GIFT_QUESTIONS,
    **MEMBERSHIP_QUESTIONS,
    "guards stand": f"""
        SELECT 'table ' || x.t, 'its trigger against UPDATE, DELETE and TRUNCATE is missing or off'
        FROM unnest(ARRAY[{_GUARDED}]) AS x (t)
        WHERE NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_proc f ON f.oid = g.tgfoid
            WHERE g.tgrelid = x.t::regclass AND g.tgname = x.t || '_only_added'
            AND g.tgenabled IN ('O', 'A') AND g.tgqual IS NULL
            AND g.tgtype = 2 + 8 + 16 + 32 -- before, of a statement: DELETE, UPDATE, TRUNCATE
            AND f.proname = 'laurels_refuse' AND f.prosrc = $refusal${_REFUSAL}$refusal$)
        UNION ALL
        SELECT 'table ' || x.t, 'the application may ' || p.p || ' its rows'
        FROM unnest(ARRAY[{_GUARDED}]) AS x (t), unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS p (p)
        WHERE has_table_privilege('laurels_app', x.t, p.p)
            OR p.p = 'UPDATE' AND has_any_column_privilege('laurels_app', x.t, p.p)
        UNION ALL
        SELECT 'table ' || x.t, 'the application may DELETE its rows'
        FROM unnest(ARRAY['holder', 'ledger', 'lot', 'standing', 'relation', 'redemption', 'voucher',
            'reward_stock', 'budget', 'carry', 'issue', 'inbound']) AS x (t)
        WHERE has_table_privilege('laurels_app', x.t, 'DELETE')
        UNION ALL
        SELECT 'constraint ' || c.n, 'is missing'
        FROM (VALUES {STANDING}) AS c (t, n)
        WHERE NOT EXISTS (SELECT FROM pg_constraint k
            WHERE k.conrelid = to_regclass(c.t) AND k.conname = c.n AND k.convalidated)
        {_LIMIT}""",
}

#: Everything that the second pass replays, in booking order of each holder: DecisionRows, and more.
DECISIONS = """
SELECT d.holder_id, d.booked_at, d.event_id, d.occurred_at, d.partner_id, d.rulebook, d.kind, d.head,
    d.content, h.created_at, e.content_hash, e.external_id
FROM decision d JOIN holder h ON h.id = d.holder_id LEFT JOIN event e ON e.id = d.event_id
ORDER BY d.holder_id, d.booked_at
"""
ALLOCATIONS = """
SELECT t.holder_id, t.booked_at, a.currency_id, a.seq, a.lot_seq, a.at, a.amount
FROM allocation a JOIN transfer t USING (holder_id, currency_id, seq)
ORDER BY t.holder_id, t.booked_at, a.currency_id, a.seq, a.lot_seq
"""
#: Decisions on what isn't a purchase, with what became of them.
COMMANDS = """
SELECT d.holder_id, d.booked_at, d.kind, d.content, e.content_hash,
    CASE WHEN d.kind = 7 THEN jsonb_build_array(c.ladder_id, c.from_rank, c.to_rank)::text
        WHEN d.kind IN (2, 3) AND r.id IS NOT NULL THEN jsonb_build_array(r.id, coalesce(r.reward_id, 0),
            r.points, coalesce(r.rule, ''), coalesce(r.worth, 0), coalesce(r.money, ''), r.quantity,
            coalesce(r.cash, 0), coalesce(r.cash_money, ''), r.stocked::int, r.pooled::int,
            coalesce(r.order_id, ''), coalesce(r.reversible, ''),
            coalesce((extract(epoch FROM r.hold_until) * 1000000)::bigint, 0))::text
        WHEN d.kind = 17 THEN (SELECT jsonb_build_array(split_part(e.external_id, ':', 1)::bigint, min(l.currency_id),
            jsonb_agg(jsonb_build_array(l.lot_seq, l.policy_id, CASE WHEN l.expires_at < 'infinity'
                THEN (extract(epoch FROM l.expires_at) * 1000000)::bigint END) ORDER BY l.lot_seq))::text
            FROM lot_change l WHERE l.holder_id = d.holder_id AND l.booked_at = d.booked_at HAVING count(*) > 0)
        WHEN d.kind = 12 AND a.event_id IS NOT NULL THEN jsonb_build_array(a.event_id, a.currency_id, a.seq, a.points,
            a.reason, coalesce(a.cause_id, 0), a.counts::int, a.role, a.caller)::text
        WHEN d.kind IN (31, 32) AND g.id IS NOT NULL THEN jsonb_build_array(g.id, g.giver_id, g.receiver_id,
            g.out_id, g.in_id, g.points, coalesce(g.value, ''))::text
        WHEN d.kind = 13 THEN jsonb_build_array(r.id, r.points, r.reason, r.written_off::int)::text
        WHEN r.id IS NOT NULL THEN jsonb_build_array(r.id, r.points)::text END
FROM decision d JOIN event e ON e.id = d.event_id
LEFT JOIN redemption r ON d.kind IN (2, 3, 4, 5, 6, 13) AND r.holder_id = d.holder_id AND r.id::text = e.external_id
LEFT JOIN tier_change c ON d.kind = 7 AND c.holder_id = d.holder_id AND c.booked_at = d.booked_at
LEFT JOIN gift g ON d.kind IN (31, 32) AND g.id::text = e.external_id
LEFT JOIN adjustment a ON d.kind = 12 AND a.holder_id = d.holder_id AND a.event_id = d.event_id
WHERE d.kind NOT IN (1, 8, 9, 10, 11, 18, 19, 20) -- those on purchases are another pass's
"""
#: Activities and occasions: what was decided on each, and the hash of what was told.
ACTIVITIES = """
SELECT e.id, e.holder_id, e.external_id, e.occurred_at, e.content_hash, d.content
FROM event e JOIN decision d ON d.holder_id = e.holder_id AND d.booked_at = e.booked_at
WHERE e.kind IN (18, 19) ORDER BY e.id
"""
TRANSFERS = """
SELECT t.holder_id, t.booked_at, t.currency_id, t.seq, t.occurred_at, t.kind, t.source, t.target,
    t.amount, t.partner_id, t.rule_id, t.event_id, o.opened_under
FROM transfer t LEFT JOIN lot o USING (holder_id, currency_id, seq)
ORDER BY t.holder_id, t.booked_at, t.currency_id, t.seq
"""
POLICY_ROWS = "SELECT id, pending, expires, returns, grace, time_zone FROM policy"
EVENTS = """
SELECT e.id, e.holder_id, e.occurred_at, e.money, e.store, e.total, e.content_hash, e.external_id,
    e.tender
FROM event e WHERE e.kind = 1 ORDER BY e.id
"""
LINES = f"SELECT l.event_id, {COLUMNS} FROM event_line l ORDER BY l.event_id, l.line"
LOTS = """
SELECT o.holder_id, o.currency_id, o.seq, o.occurred_at, nullif(o.active_at, 'infinity'),
    nullif(o.expires_at, 'infinity'), nullif(o.lapses_at, 'infinity'), t.kind = 1,
    o.policy_id, p.pending, p.expires, p.returns, p.grace, p.time_zone,
    c.lot_seq IS NOT NULL, nullif(c.active_at, 'infinity'), nullif(c.expires_at, 'infinity'),
    c.policy_id, CASE WHEN c.lot_seq IS NOT NULL THEN (
        SELECT min(x.occurred_at) FROM allocation a JOIN transfer x USING (holder_id, currency_id, seq)
        WHERE a.holder_id = o.holder_id AND a.currency_id = o.currency_id AND a.lot_seq = o.seq AND x.kind = 3
            AND NOT EXISTS (SELECT FROM lot_change b WHERE b.holder_id = o.holder_id
                AND b.currency_id = o.currency_id AND b.lot_seq = o.seq AND (b.booked_at < x.booked_at
                    OR b.booked_at = x.booked_at AND b.expires_at <= x.occurred_at))) END,
    c.lot_seq IS NOT NULL AND EXISTS (SELECT FROM lot_change b JOIN event e ON e.id = b.event_id AND e.kind = 17
        WHERE b.holder_id = o.holder_id AND b.currency_id = o.currency_id AND b.lot_seq = o.seq)
FROM lot o JOIN transfer t USING (holder_id, currency_id, seq)
LEFT JOIN policy p ON p.id = o.policy_id
LEFT JOIN LATERAL (
    SELECT * FROM lot_change c WHERE c.holder_id = o.holder_id AND c.currency_id = o.currency_id
        AND c.lot_seq = o.seq ORDER BY c.booked_at DESC LIMIT 1
) c ON true
"""
CHANGES = """
SELECT holder_id, booked_at, currency_id, lot_seq, event_id, nullif(active_at, 'infinity'),
    nullif(expires_at, 'infinity'), policy_id
FROM lot_change ORDER BY holder_id, booked_at, currency_id, lot_seq
"""
LADDERS = """
SELECT id, version, code, measure, "window", time_zone, tiers, hold, grace, soft_landing FROM ladder
"""
#: Standings measured by the terms that their ladder has; others are measured anew before they count.
QUALIFIED = """
SELECT s.holder_id, s.ladder_id, s.measured_at, s.value, s.rank, nullif(s.due_at, 'infinity'),
    h.created_at, array_agg(q.at), array_agg(q.counts_from), array_agg(q.amount)
FROM standing s JOIN ladder l ON l.id = s.ladder_id AND l.version = s.terms
JOIN holder h ON h.id = s.holder_id
LEFT JOIN qualification q ON q.holder_id = s.holder_id AND q.ladder_id = s.ladder_id
GROUP BY s.holder_id, s.ladder_id, h.id
"""
#: In the columns of LOAD in `core.store.posting`.
ASSIGNMENTS = """
SELECT 6, holder_id, ladder_id, rank, kind, event_id, ends, NULL, from_at, until_at, reason
FROM assignment ORDER BY holder_id, event_id
"""
HEADS = "SELECT id, head FROM holder"
