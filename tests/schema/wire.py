"""A server of the application on a port of its own, and clients of its sockets and its streams."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from app.asgi import create_app
from app.callers import Callers
from app.serving import Server
from app.streams import Streams
from schema.feed import Change, Feed
from schema.gate import Gate
from tests.schema.client import SECRET, Client

#: Nothing that is waited for takes as long: a test that fails mustn't hang.
PATIENCE = 6.0
TRANSPORT = Subprotocol("graphql-transport-ws")


async def until(holds: Callable[[], bool]) -> None:
    """Let everything else go on until this holds."""
    end = asyncio.get_running_loop().time() + PATIENCE
    for _ in itertools.takewhile(
        lambda _: asyncio.get_running_loop().time() < end, itertools.count()
    ):
        if holds():
            return
        await asyncio.sleep(0)
    raise TimeoutError("it never held")


def running() -> int:
    """Operations of sockets whose tasks aren't over, be it for their last message alone."""
    names = [getattr(t.get_coro(), "__qualname__", "") for t in asyncio.all_tasks()]
    return names.count("Handler.run_operation")


@dataclass
class Wire:
    """One socket that speaks graphql-transport-ws."""

    socket: ClientConnection

    async def send(self, message: object) -> None:
        """Anything."""
        await self.socket.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            frame = await self.socket.recv()
        assert isinstance(frame, str), "browsers' clients can't read binary frames"
        return cast("dict[str, Any]", json.loads(frame))

    async def subscribe(self, id: str, query: str, **variables: Any) -> None:
        """Begin an operation."""
        payload = {"query": query, "variables": variables}
        await self.send({"id": id, "type": "subscribe", "payload": payload})

    async def next(self, id: str = "1") -> Any:
        """The only root field's value in the next result of an operation."""
        message = await self.receive()
        assert (message["type"], message["id"]) == ("next", id), message
        assert "errors" not in message["payload"], message
        [value] = message["payload"]["data"].values()
        return value

    async def error(self, id: str = "1") -> dict[str, Any]:
        """The error by which an operation ends."""
        message = await self.receive()
        assert (message["type"], message["id"]) == ("error", id), message
        [error] = message["payload"]
        return cast("dict[str, Any]", error)

    async def closed(self) -> int | None:
        """The code by which the server closes, whatever it says before."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionClosed):
                async for _ in self.socket:
                    pass
            await self.socket.wait_closed()
        return self.socket.close_code

    async def quiet(self) -> None:
        """Everything that was to be said has been: the answer to a ping is the next message."""
        await self.send({"type": "ping"})
        message = await self.receive()
        assert message["type"] == "pong", message


@dataclass
class Live:
    """A client of the same books as `api`, over a real port."""

    api: Client
    url: str
    feed: Feed
    server: Server
    changes: int = field(default=0)
    #: Of callers whose tokens are none that `api` makes.
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def streams(self) -> Streams:
        """Those of the server."""
        return self.server._streams

    @property
    def callers(self) -> Callers:
        """Who holds sockets and streams."""
        return self.streams.callers

    @property
    def gate(self) -> Gate:
        """Through which every operation comes."""
        return self.streams.schema.gate

    @asynccontextmanager
    async def open(self, who: str | None, **options: Any) -> AsyncIterator[Wire]:
        """A socket, acknowledged for a caller; of nobody: not yet begun."""
        options.setdefault("subprotocols", [TRANSPORT])
        address = self.url.replace("http:", "ws:") + "/graphql"
        async with connect(address, **options) as made:
            wire = Wire(made)
            if who is not None:
                await wire.send({"type": "connection_init", "payload": self.payload(who)})
                assert await wire.receive() == {"type": "connection_ack"}
            yield wire

    def payload(self, who: str) -> dict[str, str]:
        """What a caller says of itself."""
        token = self.tokens.get(who) or self.api.tokens[who]
        return {"authorization": f"Bearer {token}"}

    @asynccontextmanager
    async def stream(
        self, who: str | None, query: str, accept: str = "text/event-stream", **variables: Any
    ) -> AsyncIterator[httpx.Response]:
        """An answer that is read as it comes."""
        headers = {"accept": accept, **({} if who is None else self.payload(who))}
        asked = {"query": query, "variables": variables}
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=PATIENCE) as http,
            http.stream("POST", "/graphql", json=asked, headers=headers) as response,
        ):
            yield response

    def tell(self, holder: int, **changed: Any) -> None:
        """Tell the feed of a change, as the dispatcher would."""
        self.changes += 1
        plain: dict[str, Any] = {
            "event": self.changes, "partner": 1, "kind": 1, "currencies": (), "ladders": (),
            "redemption": None,
        }  # fmt: skip
        self.feed.tell([Change(holder=holder, **{**plain, **changed})])

    async def followed(self, count: int) -> None:
        """Until so many follow."""
        await until(lambda: self.feed.followers == count)


@asynccontextmanager
async def live(api: Client, feed: Feed | None = None) -> AsyncIterator[Live]:
    """Serve the application of `api`, on the server that it has in earnest."""
    told = feed or Feed()
    app = create_app(api.engine, SECRET, now=api.clock, feed=told)
    server = Server(app, "127.0.0.1", 0, "warning")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            await until(lambda: server.started)
            yield Live(api, url, told, server)
        finally:
            server.should_exit = True
            await serving


def holder_of(member_id: str) -> int:
    """The number behind a member's id."""
    import base64

    return int(base64.b64decode(member_id).decode().partition(":")[2])
