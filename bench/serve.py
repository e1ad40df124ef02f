"""`python -m bench.serve laurels|bare URL`: one side of a benchmark, served on a free port.

Prints the port. Laurels as `laurels serve` has it, without the worker; the bare one is the smallest
ASGI application that answers the wallet of `bench.wallet` by its one statement.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from datetime import UTC, datetime

import asyncpg
import orjson
import typer
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.asgi import create_app
from app.garbage import settle
from app.loops import new_event_loop
from app.runtime import running
from app.settings import Settings
from bench.wallet import BARE
from schema.build import build_schema
from schema.gate import Gate
from schema.rates import RATES, Buckets, Rate

CONNECTIONS = 8


class Bare:
    """Reads whose wallet is asked for from the body, and answers with what the statement made."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        message = await receive()
        number = orjson.loads(message["body"])["variables"]["id"]
        async with self._pool.acquire() as connection:
            answer = await connection.fetchval(BARE, int(number))
        body = answer.encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _serve(app: ASGIApp) -> None:
    # Named as TCP: only then does the loop turn its waiting for more to send off.
    with socket.socket(proto=socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)  # whoever reads the port may connect at once
        print(listening.getsockname()[1], flush=True)
        config = uvicorn.Config(
            app, lifespan="off", log_level="warning", access_log=False, ws="none"
        )
        settle()
        await uvicorn.Server(config).serve(sockets=[listening])


async def _laurels(url: str) -> None:
    settings = Settings(database_url=url, secret=os.environ["LAURELS_SECRET"])
    async with running(settings, now=datetime.now(UTC)) as runtime:
        # What one caller may ask is limited by default, to far less than is measured here.
        rates = dict.fromkeys(RATES, Rate(10**12, 10**12))
        schema = build_schema(Gate(Buckets(rates, time.monotonic)))
        await _serve(create_app(runtime.engine, settings.signing_secret(), schema=schema))


async def _bare(url: str) -> None:
    async def keep(connection: object) -> None:
        """Nothing to reset: the pool's own would cost another round trip."""
        del connection

    async with asyncpg.create_pool(url, min_size=1, max_size=CONNECTIONS, reset=keep) as pool:
        await _serve(Bare(pool))


def main(side: str, url: str) -> None:
    """Serve until a signal ends it."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run({"laurels": _laurels, "bare": _bare}[side](url))


if __name__ == "__main__":
    typer.run(main)
