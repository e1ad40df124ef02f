"""What schemathesis is told of this API: values of its scalars, and what counts as a fault.

Loaded by schemathesis in its own environment: it imports nothing of ours.
"""

# mypy: ignore-errors
from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis_graphql import nodes

import schemathesis

#: What a caller can mend, or may not do; everything else that has a code or a path is a fault.
#: RATE_LIMITED isn't among them: a run that is refused for its haste tries nothing.
REFUSALS = {
    "BAD_USER_INPUT", "BAD_REQUEST", "FORBIDDEN", "UNAUTHENTICATED", "NOT_FOUND",
    "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "TOO_EXPENSIVE",
}  # fmt: skip
_INSTANTS = [
    "2026-11-22T09:00:00Z", "2026-01-01T00:00:00+14:00", "1900-01-01T00:00:00Z",
    "9000-12-31T23:59:59-12:00", "2024-02-29T12:00:00.123456+03:00", "2026-11-22", "yesterday",
]  # fmt: skip
_NUMBERS = [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**64]

schemathesis.graphql.scalar("DateTime", st.sampled_from(_INSTANTS).map(nodes.String))
schemathesis.graphql.scalar("BigInt", st.sampled_from(_NUMBERS).map(nodes.Int))
schemathesis.graphql.scalar("AttributeValue", st.text(max_size=20).map(nodes.String))
schemathesis.graphql.scalar("JSON", st.just(nodes.Object([])))


@schemathesis.check
def no_fault(ctx: Any, response: Any, case: Any) -> None:
    """No 5xx, no error of ours, no null where the schema promises a value."""
    del ctx, case
    assert response.status_code < 500, f"HTTP {response.status_code}"
    answer = response.json()
    for error in answer.get("errors") or ():
        code = (error.get("extensions") or {}).get("code")
        assert code != "INTERNAL_SERVER_ERROR", error
        assert "Cannot return null" not in error["message"], error
        assert code in REFUSALS or (code is None and "path" not in error), error
