"""GraphQL over HTTP, by the draft of that name: one operation by POST of JSON, a query by GET too.

A GET changes nothing, and no other site's page can read its answer. What an operation may do is the
schema's affair; here is what a request may be. Knows no noun.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from app.answers import failure, refusal
from app.bodies import GoneError, TooLongError, read_body, too_long
from app.negotiation import GRAPHQL_JSON, JSON, json_in_utf8, negotiated, prefers_events
from app.streams import Streams
from app.tokens import TokenError
from schema.build import Schema
from schema.context import Context
from schema.masking import answer, unexpected

#: Says who is asking. Raises TokenError.
Contexts = Callable[[HTTPConnection], Awaitable[Context]]
#: Seconds that an operation runs before anybody looks whether its client is still there.
_PATIENCE = 0.1
_ALLOWED = {
    "GET": {OperationType.QUERY},
    "POST": {OperationType.QUERY, OperationType.MUTATION},
}
#: The fields of a request, and what they are beside null.
_FIELDS: dict[str, tuple[type, str]] = {
    "query": (str, "a string"),
    "variables": (dict, "an object"),
    "operationName": (str, "a string"),
    "extensions": (dict, "an object"),
    "documentId": (str, "a string"),
}


class BadRequestError(Exception):
    """The body isn't a request; says why in words that are safe to show."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    query: str | None
    variables: dict[str, Any] | None
    operation: str | None
    extensions: dict[str, Any] | None


class Endpoint:
    """The end point. Whatever comes, the answer is JSON, or events for who prefers them."""

    def __init__(
        self, schema: Schema, contexts: Contexts, streams: Streams, *, patience: float = _PATIENCE
    ) -> None:
        self.schema = schema
        self.contexts = contexts
        self.streams = streams
        self.patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        try:
            response = await self._respond(HTTPConnection(scope), scope, receive)
        except GoneError:
            return None
        except TokenError as error:
            response = refusal(error)
        except BadRequestError as error:
            response = failure(400, str(error))
        except Exception as error:
            response = failure(500, unexpected(error))
        return await response(scope, receive, send)

    async def _respond(self, request: HTTPConnection, scope: Scope, receive: Receive) -> Response:
        method: str = scope["method"]
        if method not in ("GET", "POST"):
            return failure(405, "GraphQL is served by POST, queries by GET", {"allow": "GET, POST"})
        accept = request.headers.get("accept")
        events = method == "POST" and prefers_events(accept)
        media = JSON if events else negotiated(accept)
        if media is None:
            return failure(406, f"answers are {GRAPHQL_JSON} or {JSON}")
        if method == "POST" and not json_in_utf8(request.headers.get("content-type", "")):
            return failure(415, f"the body is {JSON} in UTF-8")
        try:
            body = await read_body(scope, receive)
        except TooLongError:
            return too_long()
        if events:
            return await self.streams.respond(request, read_request(body))
        context = await self.contexts(request)
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


def read_parameters(query_string: bytes) -> Asked:
    """What the address of a GET asks for. Raises BadRequestError."""
    try:
        pairs = parse_qsl(query_string.decode("ascii"), errors="strict", max_num_fields=20)
    except ValueError:
        raise BadRequestError("the address holds no parameters in UTF-8") from None
    given: dict[str, Any] = dict(pairs)
    _refuse_repeated([name for name, _ in pairs])
    for name in ("variables", "extensions"):
        if given.get(name):
            given[name] = _loads(given[name], f"{name} isn't JSON")
    return _asked({name: value for name, value in given.items() if value != ""})


def read_request(body: bytes) -> Asked:
    """What a body asks for. Raises BadRequestError."""
    read = _loads(body, "the body isn't JSON in UTF-8")
    if isinstance(read, list):
        raise BadRequestError("a request holds one operation: batches aren't served")
    if not isinstance(read, dict):
        raise BadRequestError("the body is a JSON object with a query")
    # Others on the way may see the other one. The exact look is taken only where a name is found
    # twice: it may be a variable's too.
    if any(body.count(b'"%s"' % name.encode()) > 1 for name in _FIELDS):
        objects: list[list[str]] = []
        json.loads(body, object_pairs_hook=lambda pairs: objects.append([n for n, _ in pairs]))
        _refuse_repeated(objects[-1])  # the outermost ends last
    return _asked(read)


def _loads(text: str | bytes, refused: str) -> Any:
    """JSON. Unlike the standard library's: no NaN, no lone surrogate, no bad UTF-8."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise BadRequestError(refused) from None


def _refuse_repeated(names: Sequence[str]) -> None:
    for name in _FIELDS:
        if names.count(name) > 1:
            raise BadRequestError(f"{name} is there twice")


def _asked(read: Mapping[str, Any]) -> Asked:
    for name, (kind, said) in _FIELDS.items():
        if not isinstance(read.get(name), kind | None):
            raise BadRequestError(f"{name} is {said} or null")
    extensions = read.get("extensions")
    if (document := read.get("documentId")) is not None:
        asked = {"version": 1, "sha256Hash": document.removeprefix("sha256:")}
        extensions = {**(extensions or {}), "persistedQuery": asked}
    if not read.get("query") and "persistedQuery" not in (extensions or {}):
        raise BadRequestError("the query is missing")
    return Asked(read.get("query"), read.get("variables"), read.get("operationName"), extensions)


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

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._context.leave()
