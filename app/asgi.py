"""The ASGI application: joins GraphQL, health and whatever pages it is handed. Knows no noun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Route, WebSocketRoute

from app.authentication import Authenticator
from app.bodies import BodyLimit
from app.callers import Ask, Callers
from app.envelope import Envelope, refused
from app.exports import Exports, links
from app.graphql_http import Endpoint
from app.health import HEALTH_ROUTES
from app.inbox import Inbox
from app.login import Login
from app.sessions import session_routes
from app.sockets import Sockets
from app.streams import Streams
from core.posting import Engine
from core.signing import Secrets
from schema.build import Schema, build_schema
from schema.context import Context, Viewer
from schema.feed import Feed


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(
    engine: Engine,
    secret: str,
    *,
    ide_routes: Sequence[BaseRoute] = (),
    now: Callable[[], datetime] = _now,
    authenticator: Authenticator | None = None,
    login: Login | None = None,
    schema: Schema | None = None,
    feed: Feed | None = None,
) -> Starlette:
    """The application on an engine whose database is connected.

    Without an authenticator it takes our own tokens and API keys by the secret, and no provider's;
    with a `login` admins may sign in at theirs. `schema` has the limits that an operator set.
    `feed` is what subscriptions follow: without one they are told the present state and no change.
    Whoever serves it calls `app.state.streams.stop` when the server begins to stop.
    """
    trust = authenticator or Authenticator(Secrets(secret), now)
    schema = schema or build_schema()
    contexts = Contexts(engine, trust, now, feed or Feed())
    callers = Callers(trust, contexts.made)
    streams = Streams(schema, callers)
    app = Starlette(
        routes=[
            # Not a Mount: that would answer /graphql with a redirect.
            Route("/graphql", Endpoint(schema, contexts.of, streams)),
            WebSocketRoute("/graphql", Sockets(schema, callers)),
            Route("/in/{partner}/{adapter}", BodyLimit(Inbox(engine, now))),
            Route("/export/{id}", Exports(engine, trust.secrets, now, schema)),
            *HEALTH_ROUTES,
            *session_routes(trust),
            *(() if login is None else login.routes()),
            *ide_routes,
        ],
        middleware=[Middleware(Envelope)],
        exception_handlers={HTTPException: refused},
    )
    app.state.streams = streams
    return app


class Contexts:
    """Makes the context of each request: who is asking, and from where."""

    def __init__(
        self, engine: Engine, trust: Authenticator, now: Callable[[], datetime], feed: Feed
    ) -> None:
        self.engine = engine
        self.trust = trust
        self.now = now
        self.feed = feed

    async def of(self, request: HTTPConnection) -> Context:
        """Who is asking, by their credentials. Raises TokenError."""
        return self.made(request, await self.trust.viewer(request.headers))

    def made(self, request: HTTPConnection, viewer: Viewer, again: Ask | None = None) -> Context:
        """What an operation of this viewer's is handed; `again` asks anew who that is."""
        reason = request.headers.get("x-reason", "")[:500].strip()
        return Context(
            self.engine,
            viewer,
            self.now,
            self.trust.keys,
            request_id=request.state.request_id,
            reason=reason or None,
            export_link=links(self.trust.secrets),
            # As the server says, which knows which proxies to believe.
            address=request.client.host if request.client else "",
            feed=self.feed,
            again=again,
        )
