"""Who listens on a channel finds out that it was lost without a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import asyncpg
import pytest
from structlog.testing import capture_logs

from core import db
from core.db import Connection

#: Listens on a channel of a database, and says so whenever it begins to hear.
Way: TypeAlias = Callable[[str, str, Callable[[], None]], Coroutine[object, object, None]]
CHANNEL = "told"


@dataclass
class Relay:
    """Stands between, and from one moment on hands nothing over; but it closes nothing."""

    url: str
    opened: int = 0
    deaf: int = 0

    def fall_silent(self) -> None:
        """On all connections there are; those that come are served."""
        self.deaf = self.opened


@asynccontextmanager
async def relay(url: str) -> AsyncIterator[Relay]:
    """A way to a database."""
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    host = query.pop("host", None) or parts.hostname or "localhost"
    port = int(query.pop("port", None) or parts.port or 5432)
    tasks: list[asyncio.Task[None]] = []

    async def hand_on(
        number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while chunk := await reader.read(1 << 16):
                if number > made.deaf:
                    writer.write(chunk)
        finally:
            writer.transport.abort()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.opened += 1
        if host.startswith("/"):
            told, said = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            told, said = await asyncio.open_connection(host, port)
        for pair in ((reader, said), (told, writer)):
            tasks.append(asyncio.create_task(hand_on(made.opened, *pair)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    here = server.sockets[0].getsockname()[1]
    who = quote(parts.username or "postgres", safe="")
    if parts.password:
        who += f":{parts.password}"
    made = Relay(f"postgresql://{who}@127.0.0.1:{here}{parts.path}?{urlencode(query)}")
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # in which what was cut off is closed


async def _heard(url: str, channel: str, hears: Callable[[], None]) -> None:
    async def tell() -> None:
        hears()

    await db.heard(url, channel, tell)


async def _overheard(url: str, channel: str, hears: Callable[[], None]) -> None:
    await db.overheard(url, channel, lambda _: hears(), hears)


@pytest.mark.parametrize("way", [_heard, _overheard])
async def test_a_channel_that_fell_silent_is_opened_anew(
    database: str, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    """And what is told afterwards is heard."""
    monkeypatch.setattr(db, "_ASK", 0.2)
    monkeypatch.setattr(db, "_AGAIN", 0.01)
    hears = asyncio.Semaphore(0)
    admin: Connection = await asyncpg.connect(database)
    with capture_logs():
        async with relay(database) as between, asyncio.timeout(20):
            listening = asyncio.create_task(way(between.url, CHANNEL, hears.release))
            try:
                await hears.acquire()  # now it listens
                await admin.execute(f"NOTIFY {CHANNEL}")
                await hears.acquire()
                between.fall_silent()
                await admin.execute(f"NOTIFY {CHANNEL}")  # which nobody hears
                await hears.acquire()  # on a connection of its own
                assert between.opened > between.deaf
                await admin.execute(f"NOTIFY {CHANNEL}")
                await hears.acquire()
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
    await admin.close()
