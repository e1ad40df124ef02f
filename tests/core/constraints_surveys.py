"""Every constraint of surveys, beside those between two: by hand, as in `constraints`."""

from __future__ import annotations

from tests.core.constraints_gifts import BETWEEN
from tests.core.constraints_meetups import HOLDER

_CODE = "CHECK (((length(survey) >= 1) AND (length(survey) <= 64)))"
SURVEYS = {
    **BETWEEN,
    "survey_answer": {
        "CHECK (\n"
        "CASE kind\n"
        "    WHEN 1 THEN ((score IS NOT NULL) AND ((score >= 0) AND (score <= 10)))\n"
        "    WHEN 2 THEN ((score IS NOT NULL) AND ((score >= 1) AND (score <= 5)))\n"
        "    ELSE (score IS NULL)\n"
        "END)",
        "CHECK (((kind >= 1) AND (kind <= 3)))",
        _CODE,
        "FOREIGN KEY (holder_id, invitation_id) REFERENCES survey_invitation(holder_id, id)",
        "PRIMARY KEY (holder_id, invitation_id)",
    },
    "survey_comment": {
        "CHECK (((length(comment) >= 1) AND (length(comment) <= 2000)))",
        "FOREIGN KEY (holder_id, invitation_id) REFERENCES survey_answer(holder_id, invitation_id)",
        "PRIMARY KEY (holder_id, invitation_id)",
    },
    "survey_due": {_CODE, HOLDER, "PRIMARY KEY (holder_id, event_id, survey)"},
    "survey_invitation": {
        "CHECK ((until_at > at))",
        _CODE,
        HOLDER,
        "PRIMARY KEY (holder_id, id)",
        "UNIQUE (holder_id, event_id, survey)",
    },
}
