"""GraphQL over server-sent events: graphql-sse's distinct connections, by POST.

One operation a request: `next` events, then `complete`. A stream that ends without it was cut off,
as when the server stops, and the client opens it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import Any

import orjson
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from strawberry.types import ExecutionResult

from app.answers import failure
from app.callers import Callers
from app.negotiation import EVENTS
from app.requests import Asked
from schema.build import Schema
from schema.context import Context
from schema.masking import answer

#: Seconds of silence after which a comment shows that the connection lives.
KEEP_ALIVE = 15.0
#: Seconds in which a client takes what was sent, or is cut off.
_PATIENCE = 60.0
_HEADERS = {
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",  # a proxy in front mustn't collect events
}


class Streams:
    """All streams of this process."""

    def __init__(self, schema: Schema, callers: Callers, keep_alive: float = KEEP_ALIVE) -> None:
        self.schema = schema
        self.callers = callers
        self.keep_alive = keep_alive
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """The server stops: cut off all streams, or it would wait for them."""
        self._stopping.set()

    async def respond(self, request: HTTPConnection, asked: Asked) -> Response:
        """The answer that streams the results of an operation. Raises TokenError."""
        ask = partial(self.callers.trust.viewer, request.headers)
        viewer = await ask()
        context = await self.callers.following(request, ask)
        # Last of all that may fail: whoever is counted from here on is counted off at the end.
        leave = self.callers.enter(request, viewer)
        if leave is None:
            return failure(429, "too many streams are open", {"retry-after": "30"})
        results = self._results(asked, context)
        return Events(results, context, leave, self._stopping, self.keep_alive)

    async def _results(
        self, asked: Asked, context: Context
    ) -> AsyncGenerator[ExecutionResult, None]:
        source = await self.schema.stream(
            asked.query,
            variable_values=asked.variables,
            context_value=context,
            operation_name=asked.operation,
            operation_extensions=asked.extensions,
        )
        results = self.schema.gate.paid(context, source)
        async with aclosing(results):
            async for result in results:
                assert isinstance(result, ExecutionResult)
                yield result


class Events(Response):
    """Streams results as events, as fast as they are read."""

    def __init__(
        self,
        results: AsyncGenerator[ExecutionResult, None],
        context: Context,
        leave: Callable[[], None],
        stopping: asyncio.Event,
        keep_alive: float,
    ) -> None:
        super().__init__(headers=_HEADERS, media_type=EVENTS)
        del self.headers["content-length"]
        self._results = results
        self._context = context
        self._leave = leave
        self._stopping = stopping
        self._keep_alive = keep_alive
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the operation is complete, the client has gone or the server stops."""
        try:
            await self._stream(receive, send)
        finally:
            self._leave()

    async def _stream(self, receive: Receive, send: Send) -> None:
        tasks: list[asyncio.Task[Any]] = []
        try:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            tasks = [
                asyncio.create_task(self._pump(send)),
                asyncio.create_task(_gone(receive)),
                asyncio.create_task(self._stopping.wait()),
            ]
            while not await _any(tasks, self._keep_alive):
                if not self._turn.locked():
                    await self._send(send, ": alive\n\n")
            await self._end(send, *tasks)
        finally:
            for task in tasks[1:] if self._context.changing else tasks:
                task.cancel()  # but a change goes on, whoever has gone
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._results.aclose()

    async def _pump(self, send: Send) -> None:
        """All steps of an operation in one task: what it holds may belong to that."""
        async with aclosing(self._results):
            async for result in self._results:
                await self._send(send, event("next", answer(result)))
        await self._send(send, event("complete"))

    async def _send(self, send: Send, text: str) -> None:
        # Whoever doesn't read for so long doesn't want it; what waits here is one message.
        async with self._turn, asyncio.timeout(_PATIENCE):
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

    async def _end(
        self, send: Send, pump: asyncio.Task[None], gone: asyncio.Task[None], _: object
    ) -> None:
        if pump.done():
            pump.result()
        if not gone.done():
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _any(tasks: Iterable[asyncio.Task[Any]], seconds: float) -> bool:
    """Whether one of them has ended within so many seconds."""
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def event(kind: str, payload: object = None) -> str:
    """An event, its lines ended as every client knows them; browsers drop one without data."""
    data = "" if payload is None else orjson.dumps(payload).decode()
    return f"event: {kind}\ndata: {data}\n\n"
