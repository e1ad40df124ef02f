"""GraphQL over WebSocket, by graphql-transport-ws and nothing else.

The library speaks the protocol. Here is what it leaves open: who is asking, each operation with a
context of its own, errors masked, whatever a client may send answered or refused, and buffers that
stay bounded when it doesn't read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, cast

import orjson
from graphql import GraphQLError
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.http.exceptions import (
    NonJsonMessageReceived,
    NonTextMessageReceived,
    WebSocketDisconnected,
)
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
    Operation,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    CompleteMessage,
    Message,
    SubscribeMessage,
)
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.unset import UNSET, UnsetType

from app.callers import Ask, Callers
from app.tokens import TokenError
from schema.build import Schema
from schema.context import Context
from schema.masking import answer, unexpected

#: A message's bytes; batches go over HTTP.
MOST_BYTES = 64 * 1024
#: What one socket may have going at once.
MOST_OPERATIONS = 100
#: Within which a client says who it is.
PATIENCE = timedelta(seconds=3)
_LONGEST_ID = 100
#: A close frame holds no more.
_LONGEST_REASON = 120
_TRY_LATER = 1013
_TOO_BIG = 1009


@dataclass
class Session:
    """One socket: what came with it, and how it is counted off once it said who it is."""

    request: HTTPConnection
    connection_params: dict[str, Any] | None = None
    ask: Ask | None = None
    leave: Callable[[], None] | None = None


class TooManyError(Exception):
    """The caller, or all callers together, hold as many sockets as they may."""


class Adapter(ASGIWebSocketAdapter):
    """Reads text frames of bounded length; writes one frame at a time, as fast as it is read."""

    def __init__(self, view: Any, request: WebSocket, response: WebSocket) -> None:
        super().__init__(view, request, response)
        self._turn = asyncio.Lock()

    async def iter_json(
        self, *, ignore_parsing_errors: bool = False
    ) -> AsyncGenerator[object, None]:
        """The messages, until the socket is closed."""
        del ignore_parsing_errors
        while self.ws.application_state != WebSocketState.DISCONNECTED:
            frame = await self.ws.receive()
            if frame["type"] != "websocket.receive":
                return
            text = frame.get("text")
            if text is None:
                raise NonTextMessageReceived
            if len(text) > MOST_BYTES:
                await self.close(_TOO_BIG, "a message is too big")
                return
            try:
                message = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise NonJsonMessageReceived from error
            yield message

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send a message, when the client has room for it. Raises WebSocketDisconnected."""
        text = orjson.dumps(message).decode()
        # One at a time: all that wait for room would find it at once, and write more than fits.
        async with self._turn:
            if self.ws.application_state == WebSocketState.DISCONNECTED:
                raise WebSocketDisconnected
            try:
                await self.ws.send_text(text)
            except WebSocketDisconnect as error:
                raise WebSocketDisconnected from error

    async def close(self, code: int, reason: str) -> None:
        """Close, if that hasn't been done."""
        if self.ws.application_state != WebSocketState.DISCONNECTED:
            short = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
            await self.ws.close(code, short)


class Running(Operation[Session, None]):
    """One operation; what leaves of it is masked."""

    extensions: dict[str, Any] | None = None
    context: Context | None = None

    async def send_initial_errors(self, errors: list[GraphQLError]) -> None:
        """It ends by these errors."""
        await self.send_operation_message(self.refusal(errors))

    def refusal(self, errors: list[GraphQLError]) -> Message:
        """The message by which it ends so."""
        payload = answer(ExecutionResult(data=None, errors=errors)).get("errors", [])
        return cast("Message", {"id": self.id, "type": "error", "payload": payload})

    async def send_next(self, execution_result: ExecutionResult) -> None:
        """One result of it."""
        payload = answer(execution_result)
        await self.send_operation_message(
            cast("Message", {"id": self.id, "type": "next", "payload": payload})
        )


class Handler(BaseGraphQLTransportWSHandler[Session, None]):
    """The protocol on one socket."""

    view: Sockets

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        #: What an operation holds it holds until its last message is sent, or it is called off.
        self._tasks: set[asyncio.Task[None]] = set()

    async def handle_message(self, message: Message) -> None:
        """Refuse what isn't shaped like a message, whatever it is."""
        wrong = malformed(message)
        if wrong is not None:
            await self.handle_invalid_message(wrong)
            return
        try:
            await super().handle_message(message)
        except TooManyError:
            await self.websocket.close(_TRY_LATER, "too many connections")

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Begin an operation of any kind."""
        number, payload = message["id"], message["payload"]
        if not self.connection_acknowledged:
            return await self.websocket.close(4401, "Unauthorized")
        if number in self.operations:
            return await self.websocket.close(4409, f"Subscriber for {number} already exists")
        running = Running(
            self, number, payload["query"], payload.get("variables"), payload.get("operationName")
        )
        if len(self._tasks) >= MOST_OPERATIONS:
            # Said from here: whoever doesn't read it isn't read either.
            return await self.send_message(running.refusal([_too_many()]))
        running.extensions = cast("dict[str, Any] | None", payload.get("extensions"))
        # Before anything else may be done, so that it can be called off from now on.
        self.operations[number] = running
        running.task = asyncio.create_task(self.run_operation(running))
        self._tasks.add(running.task)
        running.task.add_done_callback(self._tasks.discard)
        running.task.add_done_callback(self._task_done)
        return None

    async def handle_complete(self, message: CompleteMessage) -> None:
        """Call an operation off; until it has let go of what it holds, no more is read."""
        running = self.operations.get(message["id"])
        await super().handle_complete(message)
        if running is not None and running.task is not None and running.task.cancelling():
            await asyncio.wait([running.task])

    async def run_operation(self, operation: Operation[Session, None]) -> None:
        """Run an operation to its end, on a context of its own."""
        assert isinstance(operation, Running)
        try:
            await self._run(operation)
        except WebSocketDisconnected:
            return
        except GraphQLError as error:
            await self._give_up(operation, error)
        except Exception as error:
            masked = GraphQLError(unexpected(error), extensions={"code": "INTERNAL_SERVER_ERROR"})
            await self._give_up(operation, masked)

    async def _give_up(self, operation: Running, error: GraphQLError) -> None:
        try:
            await operation.send_initial_errors([error])
        except WebSocketDisconnected:
            return

    async def _run(self, operation: Running) -> None:
        operation.context = await self.view.operation(self.context)
        source = await self.schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=operation.context,
            operation_name=operation.operation_name,
            operation_extensions=operation.extensions,
        )
        results = self.view.gate.paid(operation.context, source)
        async with aclosing(results):
            async for result in results:
                assert isinstance(result, ExecutionResult)
                if ended(result):
                    await operation.send_initial_errors(result.errors or [])
                    return
                await operation.send_next(result)
        await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def cleanup_operation(self, operation_id: str) -> None:
        """Call an operation off; but a change goes on, whoever has gone, and tells no more."""
        running = self.operations.get(operation_id)
        context = running.context if isinstance(running, Running) else None
        if running is not None and context is not None and context.changing:
            running.completed = True  # its id may be another's by then
            del self.operations[operation_id]
        else:
            await super().cleanup_operation(operation_id)

    async def shutdown(self) -> None:
        """The socket is gone: end what runs, and count it no more."""
        try:
            await super().shutdown()
        finally:
            self.view.leave(self.context)


def _too_many() -> GraphQLError:
    return GraphQLError(
        f"a socket has at most {MOST_OPERATIONS} operations at once",
        extensions={"code": "TOO_MANY_OPERATIONS"},
    )


def ended(result: ExecutionResult) -> bool:
    """Whether this is the end of an operation: nothing ran, or what it followed has failed."""
    if isinstance(result, PreExecutionError):
        return True
    return result.data is None and not any(error.path for error in result.errors or ())


def malformed(message: object) -> str | None:
    """What is wrong with the shape of a message."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "a message is an object with a type"
    kind, payload = message["type"], message.get("payload")
    if kind in ("subscribe", "complete"):
        number = message.get("id")
        if not isinstance(number, str) or not 0 < len(number) <= _LONGEST_ID:
            return f"id is a text of 1 to {_LONGEST_ID} characters"
    if kind == "subscribe":
        return _malformed_operation(payload)
    if payload is not None and not isinstance(payload, dict):
        return "payload is an object"
    return None


def _malformed_operation(payload: object) -> str | None:
    if not isinstance(payload, dict):
        return "payload is an object"
    if not isinstance(payload.get("query"), str):
        return "query is a text"
    if not isinstance(payload.get("operationName"), str | None):
        return "operationName is a text or null"
    for name in ("variables", "extensions"):
        if not isinstance(payload.get(name), dict | None):
            return f"{name} is an object or null"
    return None


class Sockets(GraphQL[Session, None]):
    """All sockets of this process."""

    websocket_adapter_class = Adapter
    graphql_transport_ws_handler_class = Handler

    def __init__(
        self, schema: Schema, callers: Callers, allowed_origins: Sequence[str] = ()
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=PATIENCE,
            allowed_origins=allowed_origins,
        )
        self.callers = callers
        self.gate = schema.gate
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket until it is closed."""
        socket = WebSocket(scope, receive, send)
        if self._open >= self.callers.most_open:
            await socket.close(_TRY_LATER)
            return
        self._open += 1
        try:
            await self.run(socket)
        finally:
            self._open -= 1

    async def get_context(self, request: Any, response: Response | WebSocket) -> Session:
        """What came with the handshake."""
        del response
        return Session(request)

    async def on_ws_connect(self, context: Session) -> UnsetType | dict[str, object] | None:
        """Who it is. Raises ConnectionRejectionError for nobody, and TooManyError."""
        ask = context.ask = self._ask(context)
        try:
            viewer = await ask()
        except TokenError:
            raise ConnectionRejectionError from None
        if viewer.role == "anonymous":
            raise ConnectionRejectionError
        context.leave = self.callers.enter(context.request, viewer)
        if context.leave is None:
            raise TooManyError
        nothing: UnsetType = UNSET  # said with the acknowledgement
        return nothing

    def _ask(self, context: Session) -> Ask:
        given = (context.connection_params or {}).get("authorization")
        given = context.request.headers.get("authorization") if given is None else given
        trust = self.callers.trust
        if given is None:
            return partial(trust.of_handshake, context.request.headers)
        return partial(trust.of_header, str(given))

    async def operation(self, context: Session) -> Context:
        """The context of one operation."""
        assert context.ask is not None
        return await self.callers.following(context.request, context.ask)

    def leave(self, context: Session) -> None:
        """Count a socket no more."""
        if context.leave is not None:
            context.leave()
            context.leave = None
