"""The constraints of tables about persons, as `tests.core.constraints` has the others. No test."""

from __future__ import annotations

PERSONS: dict[str, set[str]] = {
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
