"""Reads the bodies of requests: whole, up to a limit, whatever their headers say of the length.

Knows nothing of what is in them.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.answers import failure

MOST_BYTES = 1024 * 1024


class TooLongError(Exception):
    """The body goes beyond the limit; the rest of it wasn't read."""


class GoneError(Exception):
    """The client went away while it sent."""


async def read_body(scope: Scope, receive: Receive, most: int = MOST_BYTES) -> bytes:
    """The whole body. Raises TooLongError and GoneError."""
    for name, value in scope["headers"]:
        # Refused at once where it is admitted; where it is denied, what comes is counted.
        if name == b"content-length" and value.isdigit() and int(value[:20]) > most:
            raise TooLongError
    parts: list[bytes] = []
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneError
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > most:
            raise TooLongError
        more = message.get("more_body", False)
    return b"".join(parts)


def too_long(most: int = MOST_BYTES) -> Response:
    """The answer to a body beyond the limit."""
    return failure(413, f"a request has at most {most} bytes")


class BodyLimit:
    """Refuses a body beyond the limit, before the application sees any of it."""

    def __init__(self, app: ASGIApp, most: int = MOST_BYTES) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body up to the limit, then hand it on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        try:
            body = await read_body(scope, receive, self.most)
        except TooLongError:
            return await too_long(self.most)(scope, receive, send)
        except GoneError:
            return None
        read = False

        async def replay() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        return await self.app(scope, replay, send)
