"""Questions of `laurels check` on memberships: their rows are what was decided, and what came of it.

Like `core.store.proof`, which asks them.
"""

from __future__ import annotations

_LIMIT = "ORDER BY 1 LIMIT 20"


def _micros(column: str) -> str:
    return f"(extract(epoch FROM {column}) * 1000000)::bigint"


MEMBERSHIP_QUESTIONS: dict[str, str] = {
    "memberships = their events": f"""
        WITH m AS (
            SELECT holder_id, event_id, partner_id, booked_at, at, 21::smallint AS kind, jsonb_build_array(plan, number,
                kind, coalesce(fee, ''), per, {_micros("from_at")}, {_micros("until_at")}, {_micros("grace_until")},
                coalesce(renews, ''), coalesce(amount, 0), coalesce(money, ''), coalesce(currency_id, 0),
                coalesce(points, 0), coalesce(redemption_id, 0), coalesce(payment, ''), coalesce(floor, 0)) AS said
            FROM membership_term
            UNION ALL
            SELECT holder_id, event_id, partner_id, booked_at, at, CASE kind WHEN 3 THEN 22 ELSE 21 END::smallint,
                jsonb_build_array(plan, number, kind, coalesce(renews, ''), coalesce(floor, 0))
            FROM membership_act
            UNION ALL
            SELECT holder_id, event_id, partner_id, booked_at, at, 23::smallint, jsonb_build_array(plan, number, perk,
                external_id, coalesce(amount, 0), coalesce(money, ''))
            FROM perk_use
        )
        SELECT 'membership of ' || coalesce(m.holder_id, e.holder_id) || ', event ' || coalesce(m.event_id, e.id),
            format('decided %s; its row says %s', d.content, m.said)
        FROM m FULL JOIN (SELECT * FROM event WHERE kind IN (21, 22, 23)) e ON e.id = m.event_id
        LEFT JOIN decision d ON d.holder_id = e.holder_id AND d.booked_at = e.booked_at
        WHERE (e.holder_id, e.partner_id, e.booked_at, e.occurred_at, e.kind) IS DISTINCT FROM
                (m.holder_id, m.partner_id, m.booked_at, m.at, m.kind)
            OR d.content::jsonb -> 'r' IS DISTINCT FROM m.said
        {_LIMIT}""",
    # The points of a fee were redeemed then and there; the tier lasts as long as it may.
    "memberships = their redemptions and tiers": f"""
        SELECT 'membership of ' || m.holder_id || ', event ' || m.event_id, format(
            'took %s points of %s, its redemption %s of %s', m.points, m.currency_id, r.points, r.currency_id)
        FROM membership_term m
        LEFT JOIN redemption r ON r.holder_id = m.holder_id AND r.id = m.redemption_id
        WHERE m.redemption_id IS NOT NULL AND (r.points, r.currency_id, r.partner_id, r.requested_at, r.rule)
            IS DISTINCT FROM (m.points, m.currency_id, m.partner_id, m.at, 'membership.' || m.plan)
        UNION ALL
        SELECT 'membership of ' || m.holder_id || ', event ' || m.event_id, format(
            'lasts until %s (%s), its tier until %s', m.until_at, m.grace_until, a.until_at)
        FROM membership_term m LEFT JOIN assignment a ON a.holder_id = m.holder_id AND a.event_id = m.floor
        WHERE m.floor IS NOT NULL AND (a.kind, a.from_at, a.until_at) IS DISTINCT FROM
            (1::smallint, m.at, CASE WHEN m.renews IS NULL THEN m.until_at ELSE m.grace_until END)
        UNION ALL
        SELECT 'membership of ' || c.holder_id || ', event ' || c.event_id, 'its tier isn''t there'
        FROM membership_act c LEFT JOIN assignment a ON a.holder_id = c.holder_id AND a.event_id = c.floor
        WHERE c.floor IS NOT NULL AND (a.kind, a.from_at) IS DISTINCT FROM (1::smallint, c.at)
        UNION ALL
        SELECT 'perk of ' || u.holder_id || ', event ' || u.event_id, 'was used while no term lasted'
        FROM perk_use u JOIN membership_term m USING (holder_id, partner_id, plan, number)
        WHERE u.at < m.from_at OR u.at >= m.grace_until
        {_LIMIT}""",
}
