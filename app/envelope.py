"""What stands around every answer: an id that the log has too, headers of safety, no naked fault.

Knows no routes.
"""

from __future__ import annotations

import re
import secrets

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.answers import failure
from schema.masking import unexpected

_HEADER = b"x-request-id"
#: An id that others made is taken if it can stand in a log and in a header.
_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class Envelope:
    """Around the whole application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request under an id: the caller's own, if it is a sane one."""
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        name = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = name
        begun = False

        async def sealed(message: Message) -> None:
            nonlocal begun
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                begun = True
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = name
                headers["x-content-type-options"] = "nosniff"
                headers.setdefault("cache-control", "no-store")
            await send(message)

        with structlog.contextvars.bound_contextvars(request=name):
            try:
                await self.app(scope, receive, sealed)
            except Exception as error:
                if begun or scope["type"] != "http":
                    raise
                await failure(500, unexpected(error))(scope, receive, sealed)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _HEADER and _SANE.fullmatch(value):
            return str(value.decode())
    return secrets.token_hex(16)


async def refused(request: Request, error: Exception) -> Response:
    """What the routes refuse: an unknown path, a method."""
    del request
    assert isinstance(error, HTTPException)
    return failure(error.status_code, str(error.detail), dict(error.headers or {}))
