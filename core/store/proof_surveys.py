"""A question of `laurels check`: every answer to a survey is what rules are told of, and no other."""

from __future__ import annotations

SURVEY_QUESTIONS: dict[str, str] = {
    # Of who was erased what was still to be told went with it.
    "survey answers = what rules are told": """
        SELECT 'answer ' || a.holder_id || '/' || a.invitation_id, format('answered at %s, told of %s',
            a.at, coalesce(coalesce(e.occurred_at, o.at)::text, 'nothing'))
        FROM survey_answer a JOIN holder h ON h.id = a.holder_id AND h.erased_at IS NULL
        LEFT JOIN event e ON e.partner_id = a.partner_id AND e.kind = 19
            AND e.external_id = 'survey:' || a.invitation_id
        LEFT JOIN occasion o ON o.partner_id = a.partner_id
            AND o.external_id = 'survey:' || a.invitation_id
        WHERE a.at IS DISTINCT FROM coalesce(e.occurred_at, o.at)
        ORDER BY 1 LIMIT 20""",
}
