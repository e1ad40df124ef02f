"""The ASGI application: joins GraphQL, health and whatever pages it is handed. Knows no noun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, WebSocketRoute

from app.authentication import Authenticator
from app.bodies import BodyLimit
from app.callers import Callers
from app.envelope import Envelope, refused
from app.exports import Exports
from app.graphql_http import Endpoint
from app.health import HEALTH_ROUTES
from app.inbox import Inbox
from app.login import Login
from app.sessions import session_routes
from app.sockets import Sockets
from app.streams import Streams
from core.passcodes import Passcodes, Send
from core.posting import Engine
from core.signing import Secrets
from schema.build import Schema, build_schema
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
    send: Send | None = None,
    unsafe: Sequence[str] = (),
) -> Starlette:
    """The application on an engine whose database is connected.

    Without an authenticator it takes our own tokens and API keys by the secret, and no provider's;
    with a `login` admins may sign in at theirs. `schema` has the limits that an operator set.
    `feed` is what subscriptions follow: without one they are told the present state and no change.
    `send` sends codes to those who enrol by one; without it nobody can. What is `unsafe` in how it
    is set up, `/health/ready` says.
    Whoever serves it calls `app.state.streams.stop` when the server begins to stop.
    """
    trust = authenticator or Authenticator(Secrets(secret), now)
    schema = schema or build_schema()
    passcodes = None if send is None else Passcodes(trust.secrets, send)
    callers = Callers(engine, trust, now, feed or Feed(), passcodes)
    streams = Streams(schema, callers)
    app = Starlette(
        routes=[
            # Not a Mount: that would answer /graphql with a redirect.
            Route("/graphql", Endpoint(schema, callers, streams)),
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
    app.state.unsafe = list(unsafe)
    return app
