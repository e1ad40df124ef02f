"""More questions of `laurels check`: what caps and budgets have counted, and what rules carry over."""

from __future__ import annotations

_LIMIT = "ORDER BY 1 LIMIT 20"

CAP_QUESTIONS: dict[str, str] = {
    # A purchase counts all that a rule gave; what came later, what that took or gave of it.
    "counted under caps = what was given": f"""
        WITH c AS (
            SELECT DISTINCT holder_id, event_id FROM cap_use
        ), d AS (
            SELECT e.holder_id, e.id, e.kind, e.partner_id, coalesce(p.id, e.id) AS purchase,
                coalesce(p.occurred_at, e.occurred_at) AS at, d.content::jsonb AS content, e.booked_at
            FROM c JOIN event e ON e.id = c.event_id AND e.holder_id = c.holder_id
            JOIN decision d ON d.holder_id = e.holder_id AND d.booked_at = e.booked_at
            LEFT JOIN event p ON p.id = e.purchase_id
        ), given AS (
            SELECT d.id, (g ->> 0)::int AS rule_id, (g ->> 1)::int AS currency_id,
                sum((SELECT sum(x::bigint) FROM jsonb_array_elements_text(g -> 2) x)) AS points, 1 AS times
            FROM d CROSS JOIN LATERAL jsonb_array_elements(d.content -> 'g') g WHERE d.kind IN (1, 18, 19) GROUP BY 1, 2, 3
            UNION ALL
            SELECT d.id, (g ->> 0)::int, (g ->> 1)::int, sum((g ->> 3)::bigint - (g ->> 2)::bigint),
                CASE WHEN sum((g ->> 3)::bigint) = 0 THEN -1 ELSE 0 END
            FROM d CROSS JOIN LATERAL jsonb_array_elements(d.content -> 'e') g WHERE d.kind IN (8, 9, 20) GROUP BY 1, 2, 3
        )
        SELECT 'use of ' || u.key || ' by event ' || u.event_id, format(
            '%s points at %s were counted, its decision says %s at %s', u.points, u.at, g.points, d.at)
        FROM cap_use u LEFT JOIN d ON d.id = u.event_id AND d.holder_id = u.holder_id
        LEFT JOIN given g ON g.id = u.event_id AND g.rule_id = u.rule_id AND g.currency_id = u.currency_id
        WHERE d.id IS NULL OR d.partner_id <> u.partner_id OR d.at <> u.at
            OR d.kind <> 10 AND (CASE WHEN u.key LIKE 'run:%' THEN coalesce(g.points, 0) ELSE g.points END)
                IS DISTINCT FROM u.points
            OR d.kind IN (1, 18, 19) AND u.times <> 1 OR d.kind IN (8, 9, 20) AND u.times > 0
            OR d.kind IN (1, 18, 19) AND u.key LIKE 'run:%' AND NOT coalesce(d.content -> 'k' @>
                jsonb_build_array(jsonb_build_array(u.rule_id, u.currency_id)), false)
        {_LIMIT}""",
    # An edit counts the difference: with its purchase and earlier ones, what the last revision gave.
    "counted after edits = what stands": f"""
        WITH chain AS (
            SELECT coalesce(e.purchase_id, e.id) AS p, u.key, u.rule_id, u.currency_id, sum(u.points) AS counted
            FROM cap_use u JOIN event e ON e.id = u.event_id AND e.holder_id = u.holder_id
            WHERE e.kind IN (1, 10) GROUP BY 1, 2, 3, 4
        ), last AS (
            SELECT DISTINCT ON (e.purchase_id) e.purchase_id AS p, d.content::jsonb AS content
            FROM event e JOIN decision d ON d.holder_id = e.holder_id AND d.booked_at = e.booked_at
            WHERE e.kind = 10 AND e.purchase_id IN (SELECT p FROM chain) ORDER BY 1, e.booked_at DESC
        ), given AS (
            SELECT p, (g ->> 0)::int AS rule_id, (g ->> 1)::int AS currency_id,
                sum((SELECT sum(x::bigint) FROM jsonb_array_elements_text(g -> 2) x)) AS points
            FROM last CROSS JOIN LATERAL jsonb_array_elements(content -> 'g') g GROUP BY 1, 2, 3
        )
        SELECT 'use of ' || c.key || ' by purchase ' || c.p, format(
            '%s points were counted up to its last revision, which gave %s', c.counted, coalesce(g.points, 0))
        FROM chain c JOIN last USING (p) LEFT JOIN given g USING (p, rule_id, currency_id)
        WHERE c.counted <> coalesce(g.points, 0)
        {_LIMIT}""",
    "budgets = what was counted": f"""
        SELECT 'budget ' || coalesce(b.partner_id, u.partner_id) || '/' || coalesce(b.code, u.code), format(
            '%s are taken, %s were counted', b.taken, u.points)
        FROM budget b FULL JOIN (
            SELECT partner_id, substr(key, 8) AS code, period, sum(points) AS points
            FROM cap_use WHERE key LIKE 'budget:%' GROUP BY 1, 2, 3
        ) u ON u.partner_id = b.partner_id AND u.code = b.code AND u.period = b.period
        WHERE coalesce(b.taken, 0) <> coalesce(u.points, 0)
        {_LIMIT}""",
    "issued = redeemed": f"""
        SELECT 'issue of event ' || i.event_id || '/' || i.place, format(
            '%s of %s for order %s; its redemption %s has %s of %s for %s', i.quantity, i.reward, i.order_id,
            i.redemption_id, r.quantity, w.code, r.order_id)
        FROM issue i LEFT JOIN event e ON e.id = i.event_id AND e.holder_id = i.holder_id AND e.kind IN (1, 18, 19)
        LEFT JOIN decision d ON d.holder_id = e.holder_id AND d.booked_at = e.booked_at
        LEFT JOIN redemption r ON r.holder_id = i.holder_id AND r.id = i.redemption_id
        LEFT JOIN reward w ON w.id = r.reward_id
        WHERE (e.partner_id, CASE WHEN e.kind = 1 THEN '' ELSE 'activity:' END || e.external_id)
                IS DISTINCT FROM (i.partner_id, i.order_id)
            OR d.content::jsonb -> 'i' -> i.place::int IS DISTINCT FROM
                jsonb_build_array(i.rule_id, i.reward, i.quantity, i.currency)
            OR i.redemption_id IS NOT NULL
                AND (r.quantity, w.code, r.order_id) IS DISTINCT FROM (i.quantity, i.reward, i.order_id)
        {_LIMIT}""",
    "carried over = decisions": f"""
        SELECT 'carry ' || coalesce(c.holder_id, x.holder_id) || '/' || coalesce(c.partner_id, x.partner_id) || '/'
            || coalesce(c.rule, x.rule), format('%s is carried over, decisions say %s', c.carried, x.due)
        FROM carry c FULL JOIN (
            SELECT d.holder_id, d.partner_id, g ->> 0 AS rule, sum((g ->> 4)::bigint) AS due
            FROM decision d CROSS JOIN LATERAL jsonb_array_elements(d.content::jsonb -> 'c') g
            WHERE d.kind IN (1, 8, 9, 10, 18, 19, 20) AND d.content LIKE '%"c":[[%' GROUP BY 1, 2, 3
        ) x ON x.holder_id = c.holder_id AND x.partner_id = c.partner_id AND x.rule = c.rule
        WHERE coalesce(c.carried, 0) <> coalesce(x.due, 0)
        {_LIMIT}""",
    # Whose id an event gave was noted by its decision; what it says can be erased, and isn't proven.
    "noted = decisions": f"""
        WITH said AS (
            SELECT d.holder_id, d.partner_id, d.event_id, d.occurred_at, a ->> 1 AS name,
                (a ->> 2)::timestamptz AS until_at
            FROM decision d CROSS JOIN LATERAL jsonb_array_elements(d.content::jsonb -> 'a') a
            WHERE d.kind IN (1, 18, 19) AND d.content LIKE '%"a":[[%'
        )
        SELECT 'attribute ' || a.holder_id || '/' || a.partner_id || '/' || a.name, format(
            'noted by event %s from %s until %s: no decision says so', a.event_id, a.at, a.until_at)
        FROM attribute a
        WHERE (a.event_id IS NULL) <> (a.id % 64 = 63) OR a.event_id IS NOT NULL AND (a.event_id <> a.id / 64
            OR NOT EXISTS (SELECT FROM said s WHERE s.event_id = a.event_id AND s.name = a.name
                AND s.holder_id = a.holder_id AND s.partner_id = a.partner_id AND s.occurred_at = a.at
                AND s.until_at IS NOT DISTINCT FROM a.until_at))
        {_LIMIT}""",
}
