"""Sessions of admins and of members in a browser: a signed cookie that scripts can't read.

`GET /session` tells who is signed in, `POST` makes a session of a token, `DELETE` ends it. The
cookie is the session: signed, not stored. Signing out takes it from the browser; a copy of it that
somebody made before would be good until its end, 12 hours at most, or until the deployment's secret
is rotated out. Whatever changes something carries a header that another site's page can't send, and
the cookie itself goes with requests of this site alone. That header says which session is meant,
`1` an admin's and `member` a member's: each has a cookie of its own, that opens nothing of the
other's. Knows no GraphQL.
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
    ADMINS,
    CSRF_HEADER,
    LONGEST_SESSION,
    Authenticator,
    SessionKind,
    session_cookie,
    session_kind,
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
        kind = session_kind(request.headers) or ADMINS
        cookie = session_cookie(request.headers, kind)
        if cookie is None:
            raise TokenError("nobody is signed in")
        return JSONResponse(told(self.trust.of_session(cookie, kind)), headers=_NO_STORE)

    async def _open(self, request: Request) -> Response:
        kind = _meant(request)
        token = await _token(request)
        viewer = await self.trust.of_bearer(token)
        cookie = opened_for(self.trust, viewer, kind)
        session = self.trust.of_session(cookie, kind)
        response = JSONResponse(told(session), headers=_NO_STORE)
        set_cookie(request, response, cookie, session, self.trust.now(), kind)
        return response

    def _end(self, request: Request) -> Response:
        kind = _meant(request)
        response = Response(status_code=204, headers=_NO_STORE)
        response.delete_cookie(
            kind.cookie, httponly=True, samesite="strict", secure=is_secure(request)
        )
        return response


def opened_for(trust: Authenticator, viewer: Viewer, kind: SessionKind = ADMINS) -> str:
    """The cookie of a session of this kind. Raises ForbiddenError for whoever has none such."""
    if viewer.role != kind.role:
        raise ForbiddenError(
            f"this session is for {kind.role}s: others send their token with each request"
        )
    if viewer.role == "member" and viewer.holder is None:
        raise ForbiddenError("whoever has this token isn't enrolled yet: call joinProgramme first")
    now = trust.now()
    until = min(viewer.until or now, now + LONGEST_SESSION)
    if until <= now:
        raise TokenError("the token has expired")
    claims: dict[str, object] = {"sub": viewer.subject, "roles": sorted(viewer.staff)}
    if viewer.role == "member":
        claims = {"sub": str(viewer.holder)}
    return sign(trust.secrets.current, kind.audience, claims, until, now)


def set_cookie(
    request: Request,
    response: Response,
    cookie: str,
    viewer: Viewer,
    now: datetime,
    kind: SessionKind = ADMINS,
) -> None:
    """Hand the browser a session's cookie, for as long as the session lasts."""
    assert viewer.until is not None
    response.set_cookie(
        kind.cookie,
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
        "subject": viewer.subject or str(viewer.holder),
        "roles": [role for role in STAFF_ROLES if role in viewer.staff],
        "expiresAt": viewer.until.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }


def _meant(request: Request) -> SessionKind:
    kind = session_kind(request.headers)
    if kind is None:
        raise ForbiddenError(f"this needs the header {CSRF_HEADER}: 1")
    return kind


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
