"""Refusals of a request as a whole. Knows nothing of what was asked."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

#: By status; clients of GraphQL look at the code first.
_CODES = {
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    429: "RATE_LIMITED",
    500: "INTERNAL_SERVER_ERROR",
    503: "UNAVAILABLE",
}


def failure(
    status: int, message: str, headers: dict[str, str] | None = None, code: str | None = None
) -> Response:
    """A refusal of the request as a whole, in the shape of GraphQL's errors."""
    extensions = {"code": code or _CODES.get(status, "BAD_REQUEST")}
    return JSONResponse(
        {"errors": [{"message": message, "extensions": extensions}]}, status, headers
    )
