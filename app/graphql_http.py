"""GraphQL over HTTP, by the draft of that name: one operation by POST of JSON, a query by GET too.

A GET changes nothing, and no other site's page can read its answer. What an operation may do is the
schema's affair; here is what a request may be. Knows no noun.
"""

from __future__ import annotations

import asyncio

import orjson
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from app.answers import failure, refusal
from app.bodies import GoneError, TooLongError, read_body, too_long
from app.callers import Callers
from app.negotiation import GRAPHQL_JSON, JSON, json_in_utf8, negotiated, prefers_events
from app.requests import BadRequestError, read_parameters, read_request
from app.streams import Streams
from app.tokens import TokenError
from core.db import BusyError
from schema.build import Schema
from schema.context import Context
from schema.masking import answer, unexpected

#: Seconds that an operation runs before anybody looks whether its client is still there.
_PATIENCE = 0.1
_ALLOWED = {
    "GET": {OperationType.QUERY},
    "POST": {OperationType.QUERY, OperationType.MUTATION},
}


class Endpoint:
    """The end point. Whatever comes, the answer is JSON."""

    def __init__(
        self, schema: Schema, callers: Callers, streams: Streams, *, patience: float = _PATIENCE
    ) -> None:
        self.schema = schema
        self.callers = callers
        self.streams = streams
        self.patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self._respond(HTTPConnection(scope), scope, receive)
        except GoneError:
            return None
        except TokenError as error:
            response = refusal(error)
        except BadRequestError as error:
            response = failure(400, str(error))
        except BusyError:
            told = "too much is asked at once: try again in a moment"
            response = failure(503, told, {"retry-after": "5"})
        except Exception as error:
            response = failure(500, unexpected(error))
        return await response(scope, receive, send)

    async def _respond(self, request: HTTPConnection, scope: Scope, receive: Receive) -> Response:
        method: str = scope["method"]
        if method not in ("GET", "POST"):
            return failure(405, "GraphQL is served by POST, queries by GET", {"allow": "GET, POST"})
        accept = request.headers.get("accept")
        media = negotiated(accept)
        streamed = method == "POST" and prefers_events(accept or "")
        if media is None and not streamed:
            return failure(406, f"answers are {GRAPHQL_JSON} or {JSON}")
        if method == "POST" and not json_in_utf8(request.headers.get("content-type", "")):
            return failure(415, f"the body is {JSON} in UTF-8")
        try:
            body = await read_body(scope, receive)
        except TooLongError:
            return too_long()
        if streamed:
            return await self.streams.respond(request, read_request(body))
        assert media is not None
        context = await self.callers.of(request)
        asked = read_request(body) if method == "POST" else read_parameters(scope["query_string"])
        with _Watch(receive, context, self.patience):
            result = await self.schema.execute(
                asked.query,
                variable_values=asked.variables,
                context_value=context,
                operation_name=asked.operation,
                operation_extensions=asked.extensions,
                allowed_operation_types=_ALLOWED[method],
            )
        return respond(result, media, method)


def respond(result: ExecutionResult, media: str, method: str) -> Response:
    """A result in a media type. What never ran is 400, but 200 under the old type, as was usual."""
    told = answer(result)
    if "data" in told:
        return Response(orjson.dumps(told), media_type=media)
    status, headers = 200, {}
    extensions = [error["extensions"] for error in told["errors"]]
    codes = {each["code"] for each in extensions}
    if "RATE_LIMITED" in codes:
        status, headers = 429, {"retry-after": str(extensions[0]["retryAfter"])}
    elif method == "GET" and extensions[0].get("operation") == "mutation":
        status, headers = 405, {"allow": "POST"}
    elif "INTERNAL_SERVER_ERROR" in codes:
        status = 500
    elif media == GRAPHQL_JSON or "BAD_REQUEST" in codes:
        status = 400
    return Response(orjson.dumps(told), status, headers, media_type=media)


class _Watch:
    """While inside, a client that goes away is noticed; not at once, for that would cost all."""

    def __init__(self, receive: Receive, context: Context, patience: float) -> None:
        self._receive = receive
        self._context = context
        self._patience = patience
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._patience, self._begin)

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            self._task = None  # its error will know us by the frame that it came through

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._context.leave()
