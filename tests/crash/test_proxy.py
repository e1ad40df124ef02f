"""The proxy on loopback: it forwards, cuts replies that were begun, and leaves nothing open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.crash.processes import free_port
from tests.crash.proxy import Proxy
from tests.crash.wire import NoAnswerError, Wire

ANSWER = b'{"data": {"answer": {"results": ["one", "two", "three"]}}}'


class Server:
    """Counts the requests that it has answered in full."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.answered = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            self.answered += 1
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(self.answer), self.answer)
            )
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def standing(answer: bytes = ANSWER) -> AsyncIterator[tuple[Server, Proxy, Wire]]:
    """A server, a proxy before it, and a client of the proxy."""
    counted = Server(answer)
    server = await asyncio.start_server(counted.serve, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1]) as proxy:
        wire = Wire(proxy.address, "token")
        try:
            yield counted, proxy, wire
        finally:
            await wire.close()


async def test_it_forwards() -> None:
    async with standing() as (server, proxy, wire):
        for _ in range(3):
            assert await wire.ask("{x}", {}) == {"results": ["one", "two", "three"]}
        assert (server.answered, proxy.cut_replies) == (3, 0)


async def test_a_cut_reply_was_given_and_never_arrives() -> None:
    async with standing() as (server, proxy, wire):
        cut = asyncio.create_task(proxy.cut(4))
        await asyncio.sleep(0)
        for _ in range(4):  # before the answer, and in its midst
            with pytest.raises(NoAnswerError):
                await wire.ask("{x}", {})
        await asyncio.wait_for(cut, 5)
        assert (server.answered, proxy.cut_replies) == (4, 4)
        assert await wire.ask("{x}", {})


async def test_a_dead_application_is_no_answer() -> None:
    async with Proxy(free_port()) as proxy:
        wire = Wire(proxy.address, "token")
        with pytest.raises(NoAnswerError):
            await wire.ask("{x}", {})
        await wire.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"Internal Server Error",
        b"[]",
        b'{"data": null}',
        b'{"data": {"answer": null}, "errors": [{"message": "internal error 1"}]}',
        b'{"data": {"answer": {}}, "errors": [{"message": "half of it"}]}',
    ],
)
async def test_an_answer_that_says_nothing_is_none(answer: bytes) -> None:
    async with standing(answer) as (_, _, wire):
        with pytest.raises(NoAnswerError):
            await wire.ask("{x}", {})
