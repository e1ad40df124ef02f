"""Stands between the clients and the application, on loopback, and cuts replies off when told to.

A reply that is cut was begun by the application, so what it acknowledges was committed; the client
only sees its connection die and can't know. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

_CHUNK = 1 << 16


class Proxy:
    """Forwards connections to a port of this machine. An async context manager."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._to_cut = 0
        self._cut_all = asyncio.Event()
        self.cut_replies = 0

    @property
    def address(self) -> str:
        """Where clients connect to."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def cut(self, count: int) -> None:
        """Cut the next replies off, every other one in its midst; returns when all are cut."""
        self._cut_all.clear()
        self._to_cut = count
        await self._cut_all.wait()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._join(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            replies, requests = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.transport.abort()
            return
        forward = asyncio.create_task(_copy(reader, requests))
        try:
            while chunk := await replies.read(_CHUNK):
                if self._to_cut:
                    self._cut_one(writer, chunk)
                    break
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass  # one side is gone; so goes the other
        finally:
            forward.cancel()
            await asyncio.gather(forward, return_exceptions=True)
            for end in (requests, writer):
                end.transport.abort()

    def _cut_one(self, writer: asyncio.StreamWriter, chunk: bytes) -> None:
        self.cut_replies += 1
        if self.cut_replies % 2:
            writer.write(chunk[: len(chunk) // 2])
        self._to_cut -= 1
        if self._to_cut == 0:
            self._cut_all.set()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while chunk := await source.read(_CHUNK):
            target.write(chunk)
            await target.drain()
    except OSError:
        pass
    finally:
        # Else the reply of a request whose client went away would be waited for for ever.
        target.transport.abort()
