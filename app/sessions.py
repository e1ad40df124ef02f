"""Sessions of admins in a browser: a signed cookie that scripts can't read.

`GET /session` tells who is signed in, `POST` makes a session of a token, `DELETE` ends it. The
cookie is the session: signed, not stored. Signing out takes it from the browser; a copy of it that
somebody made before would be good until its end, 12 hours at most, or until the deployment's secret
is rotated out. Whatever changes something carries a header that another site's page can't send, and
the cookie itself goes with requests of this site alone. Knows no GraphQL.
"""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from app.addresses import is_loopback
from app.answers import failure, refusal
from app.authentication import (
    COOKIE,
    CSRF_HEADER,
    LONGEST_SESSION,
    SESSION_AUDIENCE,
    Authenticator,
    session_cookie,
)
from app.tokens import MOST_CHARACTERS, ForbiddenError, TokenError, sign
from schema.context import Viewer
from schema.roles import STAFF_ROLES

_NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def session_routes(trust: Authenticator) -> list[BaseRoute]:
    """The route of sessions; `app.login` adds those of a provider."""
    return [Route("/session", Sessions(trust), name="session")]


class Sessions:
    """`/session`."""

    def __init__(self, trust: Authenticator) -> None:
        self.trust = trust

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request in JSON."""
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        try:
            match request.method:
                case "GET" | "HEAD":
                    return self._current(request)
                case "POST":
                    return await self._open(request)
                case "DELETE":
                    return self._end(request)
        except TokenError as error:
            return refusal(error)
        except ClientDisconnect:
            return failure(400, "the request ended before its end")
        return failure(405, "a session is read, opened or ended", {"allow": "GET, POST, DELETE"})

    def _current(self, request: Request) -> Response:
        """Reading needs no header: it changes nothing, and another origin can't read the answer."""
        cookie = session_cookie(request.headers)
        if cookie is None:
            raise TokenError("nobody is signed in")
        return JSONResponse(told(self.trust.of_session(cookie)), headers=_NO_STORE)

    async def _open(self, request: Request) -> Response:
        _check_header(request)
        token = await _token(request)
        viewer = await self.trust.of_bearer(token)
        cookie = opened_for(self.trust, viewer)
        response = JSONResponse(told(self.trust.of_session(cookie)), headers=_NO_STORE)
        set_cookie(request, response, cookie, self.trust.of_session(cookie), self.trust.now())
        return response

    def _end(self, request: Request) -> Response:
        _check_header(request)
        response = Response(status_code=204, headers=_NO_STORE)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=is_secure(request))
        return response


def opened_for(trust: Authenticator, viewer: Viewer) -> str:
    """The cookie of an admin's session. Raises ForbiddenError for whoever is none."""
    if viewer.role != "admin":
        raise ForbiddenError("a session is for admins: others send their token with each request")
    now = trust.now()
    until = min(viewer.until or now, now + LONGEST_SESSION)
    if until <= now:
        raise TokenError("the token has expired")
    claims = {"sub": viewer.subject, "roles": sorted(viewer.staff)}
    return sign(trust.secrets.current, SESSION_AUDIENCE, claims, until, now)


def set_cookie(
    request: Request, response: Response, cookie: str, viewer: Viewer, now: datetime
) -> None:
    """Hand the browser a session's cookie, for as long as the session lasts."""
    assert viewer.until is not None
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int((viewer.until - now).total_seconds()),
        httponly=True,
        samesite="strict",
        secure=is_secure(request),
    )


def is_secure(request: Request) -> bool:
    """Whether the browser may send the cookie over https alone: always, but on this machine."""
    return request.url.scheme == "https" or not is_loopback(request.url.hostname)


def told(viewer: Viewer) -> dict[str, object]:
    """Who is signed in, as JSON."""
    assert viewer.until is not None
    return {
        "role": viewer.role,
        "subject": viewer.subject,
        "roles": [role for role in STAFF_ROLES if role in viewer.staff],
        "expiresAt": viewer.until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }


def _check_header(request: Request) -> None:
    if request.headers.get(CSRF_HEADER) != "1":
        raise ForbiddenError(f"this needs the header {CSRF_HEADER}: 1")


async def _token(request: Request) -> str:
    """The token in the body. Raises TokenError."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > 2 * MOST_CHARACTERS:
            raise TokenError("the body is longer than any token")
    try:
        given = orjson.loads(body)
    except ValueError:
        given = None
    token = given.get("token") if isinstance(given, dict) else None
    if not isinstance(token, str):
        raise TokenError('the body is JSON: {"token": "…"}')
    return token
