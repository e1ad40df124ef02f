"""`python -m bench.subscribers`: what thousands of idle subscribers cost, over real sockets.

Members each open a socket to one process of Laurels and follow their tier. Measured are the memory
of that process with none and with all of them, the processor that they take while nothing happens,
and the time from a notice in PostgreSQL to the message, one member at a time and for many at once.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import statistics
import subprocess
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import orjson
import typer
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from app import tokens
from app.asgi import create_app
from app.feeding import feeding
from app.runtime import running
from app.serving import Server
from app.settings import Settings
from bench.setting import fresh_database, server, write_page
from core.db import Connection
from core.dispatching import CHANNEL
from core.members import Enrolment, IdentifierKind, MemberRef, enrol

RESULTS = Path(__file__).with_name("RESULTS-subscribers.md")
LADDER = "cafe"
FOLLOW = f'subscription {{ tierChanged(ladder: "{LADDER}") {{ current {{ code }} }} }}'
#: Sockets that are opened at once.
AT_ONCE = 50


async def serve(url: str) -> None:
    """Serve as `laurels serve` does, without the worker; print the port."""
    settings = Settings(database_url=url, secret=os.environ["LAURELS_SECRET"])
    async with running(settings) as runtime, feeding(url) as feed:
        app = create_app(runtime.engine, settings.signing_secret(), feed=feed)
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(1024)
            print(listening.getsockname()[1], flush=True)
            await Server(app, "127.0.0.1", 0, "warning").serve(sockets=[listening])


async def prepare(url: str, secret: str, members: int) -> tuple[list[int], int]:
    """Members who never bought, and the number of the ladder."""
    async with running(Settings(database_url=url, secret=secret)) as runtime:
        people = [
            Enrolment([MemberRef.make(IdentifierKind.CARD, str(n))], f"Member {n}")
            for n in range(members)
        ]
        done = await enrol(runtime.engine.ids, people, datetime.now(UTC))
        ladders = runtime.engine.rulebook.ladders
        ladder = next(n for n, x in ladders.items() if x.ladder.code == LADDER)
        return [holder for holder, _ in done], ladder


def kilobytes(pid: int) -> int:
    """What a process holds in memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise SystemExit("no VmRSS in /proc: this needs Linux")


def processor(pid: int) -> float:
    """Seconds of the processor that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Followers:
    """Sockets that follow, by holder."""

    def __init__(self, address: str, secret: str) -> None:
        self.address = address
        self.secret = secret
        self.open: dict[int, ClientConnection] = {}
        self.room = asyncio.Semaphore(AT_ONCE)

    async def join(self, stack: AsyncExitStack, holder: int) -> None:
        """Open one, and read its first message."""
        async with self.room:
            now = datetime.now(UTC)
            token = tokens.issue(self.secret, "member", str(holder), timedelta(hours=1), now)
            made = await stack.enter_async_context(
                connect(
                    self.address, subprotocols=[Subprotocol("graphql-transport-ws")],
                    compression=None, ping_interval=None, open_timeout=120,
                )
            )  # fmt: skip
            await made.send(_text("connection_init", authorization=f"Bearer {token}"))
            await made.recv()
            await made.send(_text("subscribe", "1", query=FOLLOW))
            assert b"tierChanged" in await made.recv(decode=False)
            self.open[holder] = made


def _text(kind: str, id: str | None = None, **payload: str) -> str:
    message = {"type": kind, "payload": payload, **({} if id is None else {"id": id})}
    return orjson.dumps(message).decode()


async def tell(connection: Connection, holders: list[int], ladder: int) -> None:
    """A notice as the dispatcher sends it, a hundred changes each."""
    for start in range(0, len(holders), 100):
        rows = [
            [n, h, 1, 1, [], [ladder], None] for n, h in enumerate(holders[start : start + 100])
        ]
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, orjson.dumps(rows).decode())


async def measure(port: int, pid: int, url: str, secret: str, members: int) -> str:
    """Open, wait, tell; the figures as lines."""
    holders, ladder = await prepare(url, secret, members)
    admin: Connection = await asyncpg.connect(url)
    followers = Followers(f"ws://127.0.0.1:{port}/graphql", secret)
    async with AsyncExitStack() as stack:
        warm = holders[:20]
        await asyncio.gather(*(followers.join(stack, h) for h in warm))
        before, began = kilobytes(pid), time.perf_counter()
        await asyncio.gather(*(followers.join(stack, h) for h in holders[20:]))
        opened, after = time.perf_counter() - began, kilobytes(pid)
        used, began = processor(pid), time.perf_counter()
        await asyncio.sleep(30)
        idle = (processor(pid) - used) / (time.perf_counter() - began)
        single = []
        for holder in holders[20:220]:
            began = time.perf_counter()
            await tell(admin, [holder], ladder)
            await followers.open[holder].recv()
            single.append((time.perf_counter() - began) * 1000)
        burst = holders[20:1020]
        began = time.perf_counter()
        await tell(admin, burst, ladder)
        await asyncio.gather(*(followers.open[holder].recv() for holder in burst))
        all_told = time.perf_counter() - began
        peak = kilobytes(pid)
    await admin.close()
    each = (after - before) / (members - 20)
    return "\n".join(
        [
            f"idle subscribers              {members:>8}   one socket each, one process",
            f"memory for each               {each:>8.1f} kB   ({before // 1024} MB before, "
            f"{after // 1024} MB with all, {peak // 1024} MB after the burst)",
            f"processor while idle          {idle:>8.1%}",
            f"opened                        {members / opened:>8.0f}/s",
            f"notice to message, one        {statistics.median(single):>8.1f} ms   "
            f"p99 {statistics.quantiles(single, n=100)[98]:.1f} ms, {len(single)} in turn",
            f"notice to message, {len(burst)} at once {all_told * 1000:>6.0f} ms until the last",
        ]
    )


def main(
    server_url: str = typer.Option("", "--server", help="A PostgreSQL server; else the usual one."),
    prefix: str = typer.Option("laurels_bench", help="Of the database, which is made anew."),
    members: list[int] = typer.Option([2000, 5000], min=1200, help="How many follow at once."),
    serving: str = typer.Option("", "--serving", hidden=True, help="Be the server, on this."),
) -> None:
    """Measure, and write the page."""
    if serving:
        asyncio.run(serve(serving))
        return
    secret = os.environ.get("LAURELS_SECRET") or secrets.token_hex(32)
    figures = []
    with server(server_url or None) as address:
        for count in members:
            url = asyncio.run(fresh_database(address, f"{prefix}_subscribers"))
            command = [sys.executable, "-m", "bench.subscribers", "--serving", url]
            environment = {**os.environ, "LAURELS_SECRET": secret}
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, env=environment
            ) as process:
                try:
                    assert process.stdout is not None
                    port = int(process.stdout.readline())
                    figures.append(asyncio.run(measure(port, process.pid, url, secret, count)))
                finally:
                    process.terminate()
            typer.echo(figures[-1])
    title = "What idle subscribers cost"
    write_page(RESULTS, title, "bench.subscribers", "\n\n".join(figures))


if __name__ == "__main__":
    typer.run(main)
