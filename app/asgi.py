"""The ASGI application: GraphQL over HTTP, health, and whatever pages it is handed.

The one choke point for what leaves: refusals go out in their own words, anything unexpected as
"internal error" with an id that the log has too. Knows nothing of any noun.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson
import structlog
from cross_web import HTTPException
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.types import ExecutionResult

from app.answers import failure, refusal, told
from app.authentication import Authenticator
from app.callers import Callers
from app.exports import Exports, links
from app.inbox import Inbox
from app.login import Login
from app.sessions import session_routes
from app.sockets import Sockets
from app.streams import Streams, prefers_events
from app.tokens import TokenError
from core.db import reading
from core.posting import Engine
from core.signing import Secrets
from schema.build import build_schema
from schema.context import Context
from schema.feed import Feed
from schema.masking import unexpected

MOST_BYTES = 1024 * 1024
_JSON = "application/json"
_GRAPHQL_JSON = "application/graphql-response+json"
_log = structlog.get_logger("laurels.http")


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
    feed: Feed | None = None,
) -> Starlette:
    """The application on an engine whose database is connected.

    Without an authenticator it takes our own tokens and API keys by the secret, and no provider's;
    with a `login` admins may sign in at theirs. `feed` is what subscriptions follow: without one
    they are told the present state and no change. Whoever serves it calls `app.state.streams.stop`
    when the server begins to stop.
    """
    trust = authenticator or Authenticator(Secrets(secret), now)
    endpoint = Endpoint(engine, trust, now, feed or Feed())
    app = Starlette(
        routes=[
            # Not a Mount: that would answer /graphql with a redirect.
            Route("/graphql", BodyLimit(endpoint)),
            WebSocketRoute("/graphql", Sockets(endpoint.schema, endpoint.callers)),
            Route("/in/{partner}/{adapter}", BodyLimit(Inbox(engine, now))),
            Route("/export/{id}", Exports(engine, trust.secrets, now, endpoint.schema)),
            Route("/health/live", _live),
            Route("/health/ready", _ready),
            *session_routes(trust),
            *(() if login is None else login.routes()),
            *ide_routes,
        ]
    )
    app.state.streams = endpoint.streams
    return app


async def _live(request: Request) -> Response:
    """The process answers."""
    del request
    return JSONResponse({"status": "live"})


async def _ready(request: Request) -> Response:
    """The database answers too."""
    del request
    try:
        async with reading() as connection:
            await connection.fetchval("SELECT 1")
    except Exception as error:
        _log.warning("not ready", error=repr(error))
        return JSONResponse({"status": "the database doesn't answer"}, status_code=503)
    return JSONResponse({"status": "ready"})


class BodyLimit:
    """Refuses a body beyond the limit, before it is read whole."""

    def __init__(self, app: ASGIApp, most: int = MOST_BYTES) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body up to the limit, then hand it on."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        body = b""
        more = True
        while more and len(body) <= self.most:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        if len(body) > self.most:
            too_long = failure(413, f"a request has at most {self.most} bytes")
            return await too_long(scope, receive, send)
        read = False

        async def replay() -> Message:
            nonlocal read
            if read:
                return await receive()
            read = True
            return {"type": "http.request", "body": body, "more_body": False}

        return await self.app(scope, replay, send)


class _Answer(Response):
    """What strawberry fills the headers of; remembers which media type the client takes."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.status_code = None  # type: ignore[assignment]  # strawberry: not set by a resolver
        del self.headers["content-length"]
        self.media_type = _GRAPHQL_JSON if _takes_graphql_json(request) else _JSON


def _takes_graphql_json(request: Request) -> bool:
    return any(
        part.split(";")[0].strip() == _GRAPHQL_JSON
        for part in request.headers.get("accept", "").split(",")
    )


class Endpoint(GraphQL[Context, None]):
    """GraphQL over HTTP by POST; subscriptions as events, where a client prefers them."""

    def __init__(
        self, engine: Engine, trust: Authenticator, now: Callable[[], datetime], feed: Feed
    ) -> None:
        super().__init__(
            build_schema(),
            graphql_ide=None,
            allow_queries_via_get=False,
            subscription_protocols=(),
            multipart_uploads_enabled=False,
        )
        self.engine = engine
        self.trust = trust
        self.now = now
        self.callers = Callers(engine, trust, now, feed)
        self.streams = Streams(self.schema, self.callers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever happens, in JSON or as events."""
        request = Request(scope, receive)
        response = await self._respond(request)
        return await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.method != "POST":
            return failure(405, "GraphQL is served by POST", {"allow": "POST"})
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != _JSON:
            return failure(415, f"the body is {_JSON}")
        try:
            if prefers_events(request.headers.get("accept", "")):
                return await self._stream(request)
            response = await self.run(request)
            assert isinstance(response, Response)
            return response
        except TokenError as error:
            return refusal(error)
        except HTTPException as error:
            return failure(error.status_code, error.reason)
        except Exception as error:
            return failure(500, unexpected(error))

    async def _stream(self, request: Request) -> Response:
        """The answer as events, once the request is known to be one."""
        try:
            asked = await self.parse_http_body(self.request_adapter_class(request))
        except orjson.JSONDecodeError:
            raise HTTPException(400, "Unable to parse request body as JSON") from None
        assert isinstance(asked, GraphQLRequestData)
        return await self.streams.respond(request, asked)

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """Who is asking, by their credentials. Raises TokenError."""
        del response
        viewer = await self.trust.viewer(request.headers)
        reason = request.headers.get("x-reason", "")[:500].strip()
        return Context(
            self.engine, viewer, self.now, self.trust.keys,
            request_id=request.headers.get("x-request-id", "")[:128] or None, reason=reason or None,
            export_link=links(self.trust.secrets),
        )  # fmt: skip

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        """What resolvers may set headers on."""
        assert isinstance(request, Request)
        return _Answer(request)

    def decode_json(self, data: str | bytes) -> object:
        """A JSON object; strawberry takes anything and stumbles over it later."""
        decoded = orjson.loads(data)
        if not isinstance(decoded, dict):
            raise HTTPException(400, "the body is a JSON object with a query")
        if not isinstance(decoded.get("operationName"), str | None):
            raise HTTPException(400, "operationName is a string or null")
        return decoded

    def encode_json(self, data: object) -> bytes:
        """The answer's bytes."""
        return orjson.dumps(data)

    async def process_result(
        self, request: Request, result: ExecutionResult
    ) -> GraphQLHTTPResponse:
        """The answer with every unexpected error masked; no `data` where nothing was executed."""
        del request
        return cast("GraphQLHTTPResponse", told(result))

    def create_response(
        self,
        response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse],
        sub_response: Response,
    ) -> Response:
        """By the GraphQL-over-HTTP draft: 400 for what never ran, under the new media type only."""
        never_ran = isinstance(response_data, dict) and "data" not in response_data
        status = 400 if never_ran and sub_response.media_type == _GRAPHQL_JSON else 200
        headers: dict[str, Any] = {"cache-control": "no-store"}
        return Response(
            self.encode_json(response_data), status, headers, media_type=sub_response.media_type
        )
