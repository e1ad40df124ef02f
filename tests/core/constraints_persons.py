"""The constraints of tables about persons, as `tests.core.constraints` has the others. No test."""

from __future__ import annotations

from tests.core.constraints_meetups import MEETUPS
from tests.core.constraints_memberships import MEMBERSHIPS

PERSONS: dict[str, set[str]] = {
    **MEETUPS,
    **MEMBERSHIPS,
    "parted_login": {
        "CHECK ((login ~ '^[0-9a-f]{64}$'::text))",
        "PRIMARY KEY (holder_id, login)",
    },
    "passcode": {
        "CHECK (((attempts >= 0) AND (attempts <= 5)))",
        "CHECK (((expires_at > at) AND (expires_at <= (at + '00:10:00'::interval))))",
        "CHECK (((used_at IS NULL) OR (attempts > 0)))",
        "CHECK ((length(digest) = 32))",
        "CHECK ((length(identifier) = 32))",
        "CHECK ((length(origin) = 32))",
        "PRIMARY KEY (id)",
    },
}
