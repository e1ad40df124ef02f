"""`python -m bench.tills`: purchases recorded one at a time, against pgbench's TPC-B-like.

Tills send `recordPurchases` with one item each, 64 at once and each for another member, over HTTP
on loopback to Laurels, which serves in as many processes as there are cores; in turn with them
pgbench runs its TPC-B-like transaction, prepared, with as many clients, on the same server with the
same durability. Every request that was answered must stand in the books afterwards, once.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import typer

from app import tokens
from app.runtime import running
from app.settings import Settings
from bench.load import Request, Shot, need, serving, shoot
from bench.setting import PARTNER, fresh_database, server, write_page
from core.db import Connection
from core.members import Enrolment, IdentifierKind, MemberRef, enrol

RESULTS = Path(__file__).with_name("RESULTS-tills.md")
LAURELS = Path(sys.executable).with_name("laurels")
#: As many processes can share an address, which they can on Linux.
CORES = min(os.cpu_count() or 1, 64) if sys.platform == "linux" else 1
#: Of pgbench's transactions a second.
GOAL, AIM = 0.35, 0.5
RECORD = """mutation Till($input: RecordPurchasesInput!) { recordPurchases(input: $input) {
  results { __typename ... on PurchaseRecorded { externalId replayed }
    ... on Error { code message path } } } }"""


async def prepare(url: str, secret: str, members: int) -> None:
    """A migrated database with members who never bought."""
    async with running(Settings(database_url=url, secret=secret)) as runtime:
        people = [
            Enrolment([MemberRef.make(IdentifierKind.CARD, str(n))], f"Member {n}")
            for n in range(members)
        ]
        for first in range(0, members, 1000):
            await enrol(runtime.engine.ids, people[first : first + 1000], datetime.now(UTC))
    await _ask(url, "VACUUM ANALYZE")


async def _ask(url: str, statement: str) -> object:
    connection: Connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def receipts(secret: str, members: int, run: str) -> list[Request]:
    """One purchase for each member, of one line, never sent before."""
    now = datetime.now(UTC)
    token = f"Bearer {tokens.issue(secret, 'partner', PARTNER, timedelta(days=1), now)}"
    return [
        Request(token, json.dumps({"query": RECORD, "variables": {"input": {
            "partner": PARTNER,
            "purchases": [{
                "externalId": f"{run}-#NUMBER#", "member": {"card": str(n)},
                "occurredAt": now.isoformat(), "currency": "USD",
                "lines": [{"productType": "PRODUCE", "amount": f"{10 + n % 90}.50"}],
            }],
        }}}))
        for n in range(members)
    ]  # fmt: skip


def pgbench(url: str, clients: int, seconds: int) -> float:
    """Transactions a second of the TPC-B-like."""
    done = subprocess.run(
        [need("pgbench", "postgresql-client"), "-M", "prepared", "-n", "-c", str(clients), "-j",
         "1", "-T", str(seconds), url],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    return float(found.group(1))


def record(address: str, url: str, requests: list[Request], connections: int, seconds: int) -> Shot:
    """Send purchases for a while; stops unless each that was answered was booked, once."""
    count = "SELECT count(*) FROM event"
    before = int(str(asyncio.run(_ask(url, count))))
    shot = shoot(f"{address}/graphql", requests, connections, seconds)
    booked = int(str(asyncio.run(_ask(url, count)))) - before
    answered = round(shot.rate * seconds)
    # What was under way at the end is booked and not counted.
    if not 0.95 * answered <= booked <= 1.1 * answered + 2 * connections:
        raise SystemExit(f"{answered} purchases were answered and {booked} booked")
    return shot


def report(shots: list[Shot], transactions: list[float]) -> str:
    """The figures as lines; the ratio is of medians."""
    rate = statistics.median(s.rate for s in shots)
    theirs = statistics.median(transactions)
    ratio = rate / theirs
    p50, p99 = (statistics.median(getattr(s, what) for s in shots) for what in ("p50", "p99"))
    told = [f"{held_by(ratio, GOAL)} (goal {GOAL})", f"{held_by(ratio, AIM)} (aim {AIM})"]
    return "\n".join(
        [
            f"recordPurchases, one item    {rate:>8.0f}/s   p50 {p50:.1f} ms, p99 {p99:.1f} ms   "
            + " ".join(f"{s.rate:.0f}" for s in shots),
            f"pgbench, TPC-B-like, prepared{theirs:>8.0f}/s   "
            + " ".join(f"{t:.0f}" for t in transactions),
            "",
            f"ratio {ratio:.2f}: {', '.join(told)}",
        ]
    )


def held_by(ratio: float, goal: float) -> str:
    """Whether a goal is reached, in words."""
    return "holds" if ratio >= goal else f"falls short by {1 - ratio / goal:.0%}"


async def _durability(url: str) -> str:
    names = ("fsync", "synchronous_commit", "full_page_writes", "server_version")
    return ", ".join([f"{name} {await _ask(url, f'SHOW {name}')}" for name in names])


def main(
    server_url: str = typer.Option("", "--server", help="A PostgreSQL server; else the usual one."),
    prefix: str = typer.Option("laurels_bench", help="Of the databases, which are made anew."),
    members: int = typer.Option(20_000, min=1, help="Who buy in turn."),
    connections: int = typer.Option(64, min=1, help="Tills at once, and pgbench's clients."),
    seconds: int = typer.Option(10, min=1, help="Each run."),
    rounds: int = typer.Option(5, min=1, help="How often each is run, in turn."),
    scale: int = typer.Option(64, min=1, help="pgbench's: as many branches as clients."),
    processes: int = typer.Option(CORES, min=1, max=64, help="Of the application."),
    only: bool = typer.Option(False, help="Laurels alone, and no page: to look where time goes."),
) -> None:
    """Measure the posting path."""
    secret = os.environ.get("LAURELS_SECRET") or secrets.token_hex(32)
    with server(server_url or None) as address:
        url = asyncio.run(fresh_database(address, f"{prefix}_tills"))
        asyncio.run(prepare(url, secret, members))
        other = urlunsplit(urlsplit(url)._replace(path=f"/{prefix}_tpcb"))
        if not only:
            asyncio.run(_anew(url, f"{prefix}_tpcb"))
            subprocess.run(
                [need("pgbench", "postgresql-client"), "-i", "-q", "-s", str(scale), other],
                check=True, capture_output=True,
            )  # fmt: skip
        shots, transactions = [], []
        with serving([str(LAURELS), "serve"], _environment(url, secret, processes)) as laurels:
            for n in range(rounds + 1):
                requests = receipts(secret, members, secrets.token_hex(4))
                shot = record(laurels, url, requests, connections, seconds if n else 3)
                theirs = 0.0 if only else pgbench(other, connections, seconds if n else 3)
                if not n:
                    # The first round warms, and leaves rows for the planner to see. It sees them by
                    # itself within a minute; until then plans are those of empty tables.
                    asyncio.run(_ask(url, "VACUUM ANALYZE"))
                else:
                    shots.append(shot)
                    transactions.append(theirs or 1.0)
                    typer.echo(f"{shot.rate:.0f} purchases/s, {theirs:.0f} transactions/s")
        durability = asyncio.run(_durability(url))
    figures = report(shots, transactions) + (
        f"\n\n{members} members in turn, {connections} connections of wrk (one thread), {rounds} "
        f"runs of {seconds} s each in turn;\n`laurels serve` in {processes} processes, without the "
        f"worker; pgbench at scale {scale};\n{durability}"
    )
    if only:
        typer.echo(figures)
        return
    typer.echo(write_page(RESULTS, "Purchases one at a time", "bench.tills", figures))


def _environment(url: str, secret: str, processes: int) -> dict[str, str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {
        "LAURELS_DATABASE_URL": url,
        "LAURELS_SECRET": secret,
        "LAURELS_PORT": str(port),
        "LAURELS_PROCESSES": str(processes),
        "LAURELS_WORKER": "false",
        # What one caller may ask is limited by default, to far less than is measured here.
        "LAURELS_RATE_PARTNER": f"{10**12}/{10**12}",
    }


async def _anew(url: str, name: str) -> None:
    connection: Connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


if __name__ == "__main__":
    typer.run(main)
