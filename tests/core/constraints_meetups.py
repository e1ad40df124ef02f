"""The part of `tests.core.constraints` on meetups, and what its tables have in common."""

from __future__ import annotations

HOLDER = "FOREIGN KEY (holder_id) REFERENCES holder(id)"
MEETUPS = {
    "meetup": {
        "CHECK ((((ladder IS NULL) = (tier IS NULL)) AND ((tier IS NOT NULL) OR "
        "(all_from IS NULL))))",
        "CHECK (((length(code) >= 1) AND (length(code) <= 64)))",
        "CHECK (((length(place) >= 1) AND (length(place) <= 200)))",
        "CHECK (((length(title) >= 1) AND (length(title) <= 200)))",
        "CHECK (((radius >= 1) AND (radius <= 100000)))",
        "CHECK (((latitude >= ('-90'::integer)::double precision) AND "
        "(latitude <= (90)::double precision)))",
        "CHECK (((longitude >= ('-180'::integer)::double precision) AND "
        "(longitude <= (180)::double precision)))",
        "CHECK (((opens_at <= starts_at) AND (starts_at < ends_at) AND "
        "(ends_at <= (starts_at + '744:00:00'::interval))))",
        "CHECK (((taken >= 0) AND ((capacity IS NULL) OR (taken <= capacity))))",
        "CHECK ((capacity >= 1))",
        "CHECK ((cardinality(tags) <= 20))",
        "CHECK ((length(content_hash) = 16))",
        "PRIMARY KEY (id)",
        "UNIQUE (partner_id, code)",
    },
    "registration": {
        "CHECK ((((attended_at IS NULL) = (code IS NULL)) AND ((attended_at IS NULL) OR "
        "(cancelled_at IS NULL))))",
        "CHECK ((length(code) = 16))",
        HOLDER,
        "PRIMARY KEY (holder_id, meetup_id)",
    },
}
