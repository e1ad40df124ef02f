"""The ASGI application: joins GraphQL, health and whatever pages it is handed. Knows no noun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Route

from app.bodies import BodyLimit
from app.envelope import Envelope, refused
from app.graphql_http import Endpoint
from app.health import HEALTH_ROUTES
from app.inbox import Inbox
from app.tokens import TokenError, verify
from core.posting import Engine
from schema.access import OWNER
from schema.build import Schema, build_schema
from schema.context import ANONYMOUS, SCOPES, Context, Viewer


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(
    engine: Engine,
    secret: str,
    *,
    ide_routes: Sequence[BaseRoute] = (),
    now: Callable[[], datetime] = _now,
    schema: Schema | None = None,
) -> Starlette:
    """The application on an engine whose database is connected.

    `schema` has the limits that an operator set; without one they are the usual ones.
    """
    contexts = Contexts(engine, secret, now)
    return Starlette(
        routes=[
            # Not a Mount: that would answer /graphql with a redirect.
            Route("/graphql", Endpoint(schema or build_schema(), contexts.of)),
            Route("/in/{partner}/{adapter}", BodyLimit(Inbox(engine, now))),
            *HEALTH_ROUTES,
            *ide_routes,
        ],
        middleware=[Middleware(Envelope)],
        exception_handlers={HTTPException: refused},
    )


class Contexts:
    """Makes the context of each request: who is asking, and from where."""

    def __init__(self, engine: Engine, secret: str, now: Callable[[], datetime]) -> None:
        self.engine = engine
        self.secret = secret
        self.now = now

    async def of(self, request: HTTPConnection) -> Context:
        """Who is asking, by the bearer token; without one: nobody. Raises TokenError."""
        viewer = self._viewer(request.headers.get("authorization"))
        # As the server says, which knows which proxies to believe.
        address = request.client.host if request.client else ""
        return Context(self.engine, viewer, self.now, address=address)

    def _viewer(self, header: str | None) -> Viewer:
        if header is None:
            return ANONYMOUS
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer":
            raise TokenError("the authorization header is 'Bearer' and a token")
        claims = verify(self.secret, token.strip(), self.now())
        until = datetime.fromtimestamp(claims.expires_at, UTC)
        if claims.role == "admin":
            return Viewer("admin", subject=claims.subject, staff=OWNER, until=until)
        if claims.role == "partner":
            scopes = frozenset(SCOPES)
            return Viewer("partner", partner=claims.subject, scopes=scopes, until=until)
        if not claims.subject.isascii() or not claims.subject.isdigit():
            raise TokenError("a member's token names a member")
        return Viewer("member", holder=int(claims.subject), until=until)
