"""Refusals of a request as a whole.

Knows nothing of what was asked.
"""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from app.tokens import TokenError

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
    error = {"message": message, "extensions": extensions}
    return JSONResponse({"errors": [error]}, status, headers)


def refusal(error: TokenError) -> Response:
    """What becomes of credentials that aren't good, or can't be checked now."""
    match error.status:
        case 401:
            # RFC 6750: the scheme, and what is wrong with it.
            challenge = 'Bearer realm="laurels", error="invalid_token"'
            return failure(401, str(error), {"www-authenticate": challenge})
        case 503:
            return failure(503, str(error), {"retry-after": "30"})
    return failure(error.status, str(error), code="FORBIDDEN")
