"""Refusals of an operation as a whole, with a code of the field's vocabulary. Knows no reasons."""

from __future__ import annotations

from typing import Any, Literal

from graphql import GraphQLError

#: Apollo's codes, which clients know, and three of ours: RATE_LIMITED (come again in a moment),
#: TOO_EXPENSIVE (ask for less), TIMEOUT (it was begun, and given up).
Code = Literal[
    "BAD_REQUEST",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "BAD_USER_INPUT",
    "OPERATION_RESOLUTION_FAILURE",
    "PERSISTED_QUERY_NOT_FOUND",
    "UNAUTHENTICATED",
    "FORBIDDEN",
    "INTERNAL_SERVER_ERROR",
    "RATE_LIMITED",
    "TOO_EXPENSIVE",
    "TIMEOUT",
]


def refusal(code: Code, message: str, **more: Any) -> GraphQLError:
    """An error whose words are safe to show; `more` stands beside the code."""
    return GraphQLError(message, extensions={"code": code, **more})


def coded(code: Code, error: GraphQLError) -> GraphQLError:
    """One of graphql-core's own errors, with a code where it has none."""
    if error.extensions is None or "code" not in error.extensions:
        error.extensions = {**(error.extensions or {}), "code": code}
    return error
