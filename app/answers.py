"""Refusals of a request as a whole. Knows nothing of what was asked."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response


def failure(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """A refusal of the request as a whole, in the shape of GraphQL's errors."""
    return JSONResponse({"errors": [{"message": message}]}, status, headers)
