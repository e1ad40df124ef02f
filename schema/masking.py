"""The one way out for answers: refusals in their own words, faults of ours as an id for the log.

Knows nothing of HTTP, so that every way out can use it.
"""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from graphql import GraphQLError
from strawberry.types import ExecutionResult

from core.db import TOO_SLOW, BusyError, Deadlock
from core.errors import Refusal
from schema.gate import MOST_ERRORS

#: Words of graphql-core's own that one error tells: they may hold a whole variable.
_MOST_WORDS = 500
_log = structlog.get_logger("laurels.errors")


def unexpected(error: BaseException) -> str:
    """Log a fault of ours under an id, and return the words to show."""
    fault = secrets.token_hex(6)
    _log.error("internal error", id=fault, exc_info=error)
    return f"internal error {fault}"


def answer(result: ExecutionResult) -> dict[str, Any]:
    """A result as the caller may see it. `data` is there if it was begun, be it null."""
    told: dict[str, Any] = {}
    if result.errors:
        told["errors"] = [shown(error) for error in result.errors[:MOST_ERRORS]]
    begun = not result.errors or any(error.path or _given_up(error) for error in result.errors)
    if result.data is not None or begun:
        told["data"] = result.data
    if result.extensions:
        told["extensions"] = result.extensions
    return told


def shown(error: GraphQLError) -> dict[str, Any]:
    """An error as the caller may see it, with a code."""
    cause = error
    while isinstance(cause.original_error, GraphQLError):
        cause = cause.original_error
    original = cause.original_error
    if original is None and (code := _code(error)):
        said: dict[str, Any] = {**error.formatted, "message": _short(error.message)}
        if "locations" in said:
            said["locations"] = said["locations"][:MOST_ERRORS]
        return {**said, "extensions": {"code": code, **(error.extensions or {})}}
    if isinstance(original, Refusal):
        extensions = {
            "code": "BAD_USER_INPUT",
            "reason": original.code,
            "field": [str(part) for part in original.path],
        }
        return {**error.formatted, "extensions": extensions}
    if isinstance(original, BusyError):
        return _instead(error, "too much is asked at once: try again in a moment", "TIMEOUT")
    if isinstance(original, TOO_SLOW):
        return _instead(error, "the database took too long and gave this up", "TIMEOUT")
    if isinstance(original, Deadlock):
        return _instead(error, "another change was in the way of this: send it again", "TIMEOUT")
    return _instead(error, unexpected(original or error), "INTERNAL_SERVER_ERROR")


def _code(error: GraphQLError) -> str | None:
    """The code of one of GraphQL's own errors; none: it is a fault of ours, of a resolver's value.

    What comes before the execution without a code are the values of variables.
    """
    if error.extensions and "code" in error.extensions:
        return str(error.extensions["code"])
    if not error.path or error.message.startswith(("Argument ", "Variable ")):
        return "BAD_USER_INPUT"
    return None


def _given_up(error: GraphQLError) -> bool:
    return error.extensions is not None and error.extensions.get("code") == "TIMEOUT"


def _instead(error: GraphQLError, message: str, code: str) -> dict[str, Any]:
    plain = GraphQLError(message, error.nodes, error.source, error.positions, error.path)
    return {**plain.formatted, "extensions": {"code": code}}


def _short(message: str) -> str:
    return message if len(message) <= _MOST_WORDS else f"{message[:_MOST_WORDS]}…"
