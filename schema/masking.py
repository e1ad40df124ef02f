"""What of an error may leave: refusals in their own words, faults of ours as an id for the log.

Knows nothing of HTTP, so that every way out can use it.
"""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from graphql import GraphQLError

from core.errors import Refusal

_log = structlog.get_logger("laurels.errors")


def unexpected(error: BaseException) -> str:
    """Log a fault of ours under an id, and return the words to show."""
    fault = secrets.token_hex(6)
    _log.error("internal error", id=fault, exc_info=error)
    return f"internal error {fault}"


def shown(error: GraphQLError) -> dict[str, Any]:
    """An error as the caller may see it."""
    cause = error
    while isinstance(cause.original_error, GraphQLError):
        cause = cause.original_error
    original = cause.original_error
    if original is None:
        return {**error.formatted}  # GraphQL's own words: syntax, validation, access
    if isinstance(original, Refusal):
        extensions = {
            "code": "BAD_USER_INPUT",
            "reason": original.code,
            "field": [str(part) for part in original.path],
        }
        return {**error.formatted, "extensions": extensions}
    plain = GraphQLError(
        unexpected(original), error.nodes, error.source, error.positions, error.path
    )
    return {**plain.formatted, "extensions": {"code": "INTERNAL_SERVER_ERROR"}}
