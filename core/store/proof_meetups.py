"""More questions of `laurels check`: places that are taken at meetups, and who was there."""

from __future__ import annotations

_LIMIT = "ORDER BY 1 LIMIT 20"

MEETUP_QUESTIONS: dict[str, str] = {
    "places taken = registrations": f"""
        SELECT 'meetup ' || m.id, format('%s places are taken, %s are registered', m.taken, coalesce(r.n, 0))
        FROM meetup m LEFT JOIN (
            SELECT meetup_id, count(*) AS n FROM registration WHERE cancelled_at IS NULL GROUP BY 1
        ) r ON r.meetup_id = m.id
        WHERE m.taken <> coalesce(r.n, 0)
        {_LIMIT}""",
    # An occasion that waits is one that a rule fails on, or that is about to be booked.
    "who was there = what rules are told": f"""
        SELECT 'registration ' || r.holder_id || '/' || r.meetup_id, format('attended at %s, told of %s',
            r.attended_at, coalesce(coalesce(e.occurred_at, o.at)::text, 'nothing'))
        FROM registration r
        LEFT JOIN event e ON e.partner_id = r.partner_id AND e.kind = 19
            AND e.external_id = 'meetup:' || r.meetup_id || ':' || r.holder_id
        LEFT JOIN occasion o ON o.partner_id = r.partner_id
            AND o.external_id = 'meetup:' || r.meetup_id || ':' || r.holder_id
        WHERE r.attended_at IS NOT NULL
            AND r.attended_at IS DISTINCT FROM coalesce(e.occurred_at, o.at)
        {_LIMIT}""",
}
