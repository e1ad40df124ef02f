"""Sessions by a cookie, in memory, as the page of GraphiQL is promised them: for the stub server.

`GET`, `POST` and `DELETE /session`, and who a request is of. Every session can be forgotten at
once, which no real server does: so the browser sees one end under its hands. `BRIEF`'s end soon.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response

COOKIE = "laurels_session"
CSRF = "x-laurels-csrf"
BRIEF = "somebody in a hurry"


class Sessions:
    """Of the tokens that are good: token to the name of who has it."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self.tokens = tokens
        self._open: dict[str, tuple[str, datetime]] = {}

    def forget(self) -> None:
        """End all sessions."""
        self._open.clear()

    def caller(self, connection: HTTPConnection) -> str | None:
        """Who a request is of; a socket can't send the header, and needs none."""
        if connection.scope["type"] == "http" and connection.headers.get(CSRF) != "1":
            return None
        found = self._current(connection)
        return None if found is None else found[0]

    def _current(self, connection: HTTPConnection) -> tuple[str, datetime] | None:
        found = self._open.get(connection.cookies.get(COOKIE, ""))
        return None if found is None or found[1] <= datetime.now(UTC) else found

    async def serve(self, request: Request) -> Response:
        """`/session`."""
        if request.method == "GET":
            found = self._current(request)
            return _refused() if found is None else _told(*found)
        if request.headers.get(CSRF) != "1":
            return JSONResponse({"errors": [{"message": "no csrf header"}]}, 403)
        if request.method == "DELETE":
            self._open.pop(request.cookies.get(COOKIE, ""), None)
            ended = Response(status_code=204)
            ended.delete_cookie(COOKIE, httponly=True, samesite="strict")
            return ended
        name = self.tokens.get((await request.json())["token"])
        if name is None:
            return _refused()
        key = secrets.token_urlsafe()
        ends = datetime.now(UTC) + timedelta(seconds=2 if name == BRIEF else 3600)
        self._open[key] = name, ends
        opened = _told(name, ends)
        opened.set_cookie(COOKIE, key, httponly=True, samesite="strict")
        return opened


def _refused() -> Response:
    return JSONResponse({"errors": [{"message": "nobody is signed in"}]}, 401)


def _told(name: str, ends: datetime) -> Response:
    body = {"role": "admin", "subject": name, "roles": ["owner"], "expiresAt": ends.isoformat()}
    return JSONResponse(body)
