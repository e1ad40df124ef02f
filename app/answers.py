"""What leaves: results with their errors masked, and refusals of a request as a whole.

Knows nothing of what was asked.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response
from strawberry.types import ExecutionResult

from app.tokens import TokenError
from schema.masking import shown


def failure(
    status: int, message: str, headers: dict[str, str] | None = None, code: str | None = None
) -> Response:
    """A refusal of the request as a whole, in the shape of GraphQL's errors."""
    error: dict[str, object] = {"message": message}
    if code is not None:
        error["extensions"] = {"code": code}
    return JSONResponse({"errors": [error]}, status, headers)


def refusal(error: TokenError) -> Response:
    """What becomes of credentials that aren't good, or can't be checked now."""
    match error.status:
        case 401:
            # RFC 6750: the scheme, and what is wrong with it.
            challenge = 'Bearer realm="laurels", error="invalid_token"'
            return failure(401, str(error), {"www-authenticate": challenge}, "UNAUTHENTICATED")
        case 503:
            return failure(503, str(error), {"retry-after": "30"}, "UNAVAILABLE")
    return failure(error.status, str(error), code="FORBIDDEN")


def told(result: ExecutionResult) -> dict[str, Any]:
    """A result with every unexpected error masked; no `data` where nothing was executed."""
    answer: dict[str, Any] = {}
    if result.errors:
        answer["errors"] = [shown(error) for error in result.errors]
    if result.data is not None or any(error.path for error in result.errors or ()):
        answer["data"] = result.data
    if result.extensions:
        answer["extensions"] = result.extensions
    return answer
