"""`python -m bench.hostile`: how long each hostile request of the tests takes, and who waits.

One process of Laurels is asked over HTTP on loopback. While each request of
`tests.schema.hostile` is on its way, a bystander asks `{ __typename }` again and again on a
connection of its own; its longest wait tells for how long nobody else was served.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import statistics
import sys
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import typer

from app import tokens
from bench.load import serving
from bench.setting import fresh_database, server, write_page
from tests.schema.hostile import NEW_TYPE, Hostile, everything

RESULTS = Path(__file__).with_name("RESULTS-hostile.md")
#: Milliseconds that each may take.
GOAL = 50.0
_SHOWN = 15
_FINE = b'{"query": "{ __typename }"}'
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Timed:
    """Medians over the rounds, in milliseconds: the answer, the server's work, others' wait."""

    name: str
    bytes: int
    answer: float
    work: float
    wait: float


class Bystander:
    """Asks something small for ever, and knows how long each answer took."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._waits: list[float] = []
        self._answered = asyncio.Condition()

    async def ask(self) -> None:
        """Until cancelled."""
        while True:
            began = time.perf_counter()
            response = await self._http.post("/graphql", content=_FINE, headers=_JSON)
            assert response.status_code == 200, response.text
            async with self._answered:
                self._waits.append(1000 * (time.perf_counter() - began))
                self._answered.notify_all()

    async def longest(self, work: Awaitable[object]) -> float:
        """Its longest wait from before some work until after it: milliseconds."""
        first = len(self._waits)
        await work
        last = len(self._waits)
        async with self._answered:
            # What was on its way when the work ended is the one that waited for it.
            await self._answered.wait_for(lambda: len(self._waits) > last)
        return max(self._waits[first : last + 1])


def _work(server: int) -> float:
    """Milliseconds that a process has worked, all threads of it."""
    tasks = Path(f"/proc/{server}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6


async def measure(address: str, server: int, token: str, rounds: int) -> tuple[list[Timed], float]:
    """Each request so often; and the bystander's longest wait while nothing else is asked."""
    async with (
        httpx.AsyncClient(base_url=address, timeout=60) as http,
        httpx.AsyncClient(base_url=address, timeout=60) as other,
    ):

        async def send(hostile: Hostile) -> None:
            headers = {"accept": NEW_TYPE, "authorization": f"Bearer {token}", **hostile.headers}
            headers.pop("content-length", None)  # a client of HTTP refuses to lie
            path = hostile.path
            await http.request(hostile.method, path, content=hostile.body, headers=headers)

        alone = [[await _timed(server, send(one)) for one in everything()] for _ in range(rounds)]
        bystander = Bystander(other)
        asking = asyncio.create_task(bystander.ask())
        idle = [await bystander.longest(asyncio.sleep(0.05)) for _ in range(20)]
        beside = [
            [await bystander.longest(send(one)) for one in everything()] for _ in range(rounds)
        ]
        asking.cancel()
    found = [
        Timed(
            hostile.name,
            len(hostile.body),
            statistics.median(answer for answer, _ in times),
            statistics.median(work for _, work in times),
            statistics.median(waits),
        )
        for hostile, times, waits in zip(
            everything(), zip(*alone, strict=True), zip(*beside, strict=True), strict=True
        )
    ]
    return found, statistics.median(idle)


async def _timed(server: int, request: Awaitable[None]) -> tuple[float, float]:
    """How long the answer took, and how long the server worked for it."""
    before, began = _work(server), time.perf_counter()
    await request
    return 1000 * (time.perf_counter() - began), _work(server) - before


def report(found: list[Timed], idle: float, rounds: int) -> str:
    """The hardest as lines, and how many hold the goal."""
    hardest = sorted(found, key=lambda timed: -timed.work)
    lines = [f"{'':42}{'bytes':>10}{'work':>12}{'answered':>12}{'others wait':>14}"]
    lines += [
        f"{t.name:42}{t.bytes:>10,}{t.work:>9.1f} ms{t.answer:>9.1f} ms{t.wait:>11.1f} ms"
        for t in hardest[:_SHOWN]
    ]
    longest = max(timed.wait for timed in found)
    median = statistics.median(timed.work for timed in found)
    lines += [
        f"and {len(found) - _SHOWN} that take less; the median of all is {median:.1f} ms of work",
        "",
        f"work under {GOAL:.0f} ms: {sum(t.work < GOAL for t in found)} of {len(found)}",
        f"answered within: {sum(t.answer < GOAL for t in found)} of {len(found)}",
        f"the longest wait of a bystander: {longest:.1f} ms; while nothing is asked: {idle:.1f} ms",
        "",
        f"Medians of {rounds} rounds. Work is the time on a core of the server's process.",
    ]
    return "\n".join(lines)


def _process(command: list[str]) -> int:
    """The id of our own child that runs this command."""
    for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
        given = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        if given[: len(command)] == command:
            return int(child)
    raise SystemExit("the server is gone")


def main(
    server_url: str = typer.Option("", "--server", help="A PostgreSQL server; else the usual one."),
    name: str = typer.Option("laurels_bench_hostile", help="Of the database, which is made anew."),
    rounds: int = typer.Option(9, min=1, help="How often each is sent."),
) -> None:
    """Measure what hostile requests cost."""
    secret = os.environ.get("LAURELS_SECRET") or secrets.token_hex(32)
    with server(server_url or None) as address:
        url = asyncio.run(fresh_database(address, name))
        command = [sys.executable, "-m", "bench.serve", "laurels", url]
        with serving(command, {"LAURELS_SECRET": secret}) as base:
            process = _process(command)
            token = tokens.issue(secret, "admin", "root", timedelta(days=1), datetime.now(UTC))
            found, idle = asyncio.run(measure(base, process, token, rounds))
    figures = report(found, idle, rounds)
    typer.echo(write_page(RESULTS, "Hostile requests over HTTP", "bench.hostile", figures))


if __name__ == "__main__":
    typer.run(main)
