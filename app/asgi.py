"""The ASGI application: joins GraphQL, health and whatever pages it is handed. Knows no noun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Route

from app.authentication import Authenticator
from app.bodies import BodyLimit
from app.envelope import Envelope, refused
from app.exports import Exports, links
from app.graphql_http import Endpoint
from app.health import HEALTH_ROUTES
from app.inbox import Inbox
from app.login import Login
from app.sessions import session_routes
from core.posting import Engine
from core.signing import Secrets
from schema.build import Schema, build_schema
from schema.context import Context


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
) -> Starlette:
    """The application on an engine whose database is connected.

    Without an authenticator it takes our own tokens and API keys by the secret, and no provider's;
    with a `login` admins may sign in at theirs. `schema` has the limits that an operator set.
    """
    trust = authenticator or Authenticator(Secrets(secret), now)
    schema = schema or build_schema()
    return Starlette(
        routes=[
            # Not a Mount: that would answer /graphql with a redirect.
            Route("/graphql", Endpoint(schema, Contexts(engine, trust, now).of)),
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


class Contexts:
    """Makes the context of each request: who is asking, and from where."""

    def __init__(self, engine: Engine, trust: Authenticator, now: Callable[[], datetime]) -> None:
        self.engine = engine
        self.trust = trust
        self.now = now

    async def of(self, request: HTTPConnection) -> Context:
        """Who is asking, by their credentials. Raises TokenError."""
        viewer = await self.trust.viewer(request.headers)
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
        )
