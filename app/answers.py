"""What leaves: results with their errors masked, and refusals of a request as a whole.

Knows nothing of what was asked.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response
from strawberry.types import ExecutionResult

from schema.masking import shown


def failure(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    """A refusal of the request as a whole, in the shape of GraphQL's errors."""
    return JSONResponse({"errors": [{"message": message}]}, status, headers)


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
