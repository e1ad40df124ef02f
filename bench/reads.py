"""`python -m bench.reads`: what balances and tiers cost among 100,000 transfers and 10,000,000.

Two databases hold members alike, forty transfers each; only their number differs. The engine's own
reads are asked of random members, in turn here and there, and the medians are compared. What is
measured is the engine's work and not the disk's: the embedded server gets room for both databases
and reads everybody once before.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import typer

from app.postgres import database_url
from bench.setting import fresh_database, server, write_page
from core.db import Connection, connected
from core.posting import Engine
from core.programme import CurrencySettings, LadderSettings, Programme, TierSettings
from core.standings import standings
from core.store import reads
from core.store.reference import install

RESULTS = Path(__file__).with_name("RESULTS-reads.md")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
EARLIER = NOW - timedelta(days=100)
EACH = 40
GOAL = 1.2
#: Of memory, for all pages of both databases.
ROOM = "8GB"
# Twenty credits, each half spent later; keys of other tables are not what is measured here.
_FILL = (
    "SET session_replication_role = replica",
    "INSERT INTO holder (id, created_at, booked_at, head) "
    "SELECT h, $1, $1, decode(repeat('00', 16), 'hex') FROM generate_series(1, $2) h",
    "INSERT INTO ledger (holder_id, currency_id, seq, active, reserved, pending, arrears, "
    "latest_at) SELECT h, $2, 40, 100, 0, 0, 0, $3 "
    "FROM generate_series(1, $1) h",
    "INSERT INTO transfer (holder_id, currency_id, seq, booked_at, occurred_at, event_id, amount, "
    "partner_id, rule_id, kind, source, target) SELECT h, $3, i, at, at, h::bigint * 64 + i, "
    "CASE WHEN i <= 20 THEN 10 ELSE 5 END, 1, 1, CASE WHEN i <= 20 THEN 1 ELSE 2 END, "
    "CASE WHEN i <= 20 THEN 10 ELSE 1 END, CASE WHEN i <= 20 THEN 1 ELSE 11 END "
    "FROM generate_series(1, $1) h, generate_series(1, 40) i, "
    "LATERAL (SELECT $2::timestamptz - (50 - i) * interval '6 days' AS at) t",
    "INSERT INTO lot (holder_id, currency_id, seq, rule_id, amount, remaining, occurred_at, "
    "active_at, expires_at, partner_id, policy_id, pending, opened_under) "
    "SELECT h, $3, i, 1, 10, 5, at, at, at + interval '1 year', 1, 1, false, 1 "
    "FROM generate_series(1, $1) h, generate_series(1, 20) i, "
    "LATERAL (SELECT $2::timestamptz - (50 - i) * interval '6 days' AS at) t",
    "INSERT INTO allocation (holder_id, currency_id, seq, lot_seq, at, amount) "
    "SELECT h, $3, i + 20, i, $2::timestamptz - (30 - i) * interval '6 days', 5 "
    "FROM generate_series(1, $1) h, generate_series(1, 20) i",
    "INSERT INTO qualification (holder_id, ladder_id, at, counts_from, event_id, amount) "
    "SELECT h, $3, at, at, h::bigint * 64 + i, 10 FROM generate_series(1, $1) h, "
    "generate_series(1, 20) i, "
    "LATERAL (SELECT $2::timestamptz - (50 - i) * interval '6 days' AS at) t",
)


async def fill(url: str, members: int) -> Engine:
    """Members with forty transfers each, and an engine on the database that is connected to."""
    tiers = tuple(
        TierSettings(code=c, at=n) for c, n in (("base", 0), ("silver", 100), ("gold", 400))
    )
    programme = Programme(
        currencies=(CurrencySettings(code="STAR", name="Stars", expires="1Y"),),
        ladders=(LadderSettings(code="club", measure="earned:STAR", window="12M", tiers=tiers),),
    )
    engine = Engine(await install(programme, [], NOW))
    (currency,) = engine.rulebook.currencies
    (ladder,) = engine.rulebook.ladders
    connection: Connection = await asyncpg.connect(url)
    try:
        await connection.execute(_FILL[0])
        await connection.execute(_FILL[1], NOW, members)
        await connection.execute(_FILL[2], members, currency, NOW)
        for statement in _FILL[3:6]:
            await connection.execute(statement, members, NOW, currency)
        await connection.execute(_FILL[6], members, NOW, ladder)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return engine


async def _round(engine: Engine, members: int, seed: int, count: int) -> dict[str, list[float]]:
    """Milliseconds of each read, one member and twenty at a time."""
    chance = random.Random(seed)
    spent: dict[str, list[float]] = {}

    async def timed(name: str, work: Callable[[Sequence[int]], Awaitable[object]], n: int) -> None:
        some = chance.sample(range(1, members + 1), n)
        start = time.perf_counter()
        await work(some)
        spent.setdefault(f"{name}, {n} member{'s' if n > 1 else ''}", []).append(
            (time.perf_counter() - start) * 1000
        )

    for _ in range(count):
        for n in (1, 20):
            await timed("balance now", lambda some: reads.balances(some, NOW), n)
            await timed("balance 100 days ago", lambda some: reads.balances(some, EARLIER), n)
            await timed("tiers", lambda some: standings(engine, some, NOW), n)
    return spent


async def make(address: str, prefix: str, sizes: Sequence[int]) -> dict[int, Engine]:
    """A database of each size, and the engines on them."""
    engines: dict[int, Engine] = {}
    for size in sizes:
        url = await fresh_database(address, _name(prefix, size))
        start = time.perf_counter()
        async with connected(url):
            engines[size] = await fill(url, size // EACH)
        typer.echo(f"{size:,} transfers made in {time.perf_counter() - start:.0f} s")
    return engines


def _name(prefix: str, size: int) -> str:
    return f"{prefix}_reads_{size}"


async def measure(
    address: str, prefix: str, engines: Mapping[int, Engine], rounds: int
) -> dict[int, dict[str, float]]:
    """Medians by the number of transfers."""
    spent: dict[int, dict[str, list[float]]] = {size: {} for size in engines}
    for size, engine in engines.items():
        async with connected(database_url(address, _name(prefix, size))):
            await _warm(engine, size // EACH)
    for n in range(rounds + 1):
        for size, engine in engines.items():
            async with connected(database_url(address, _name(prefix, size))):
                found = await _round(engine, size // EACH, n, 40)
            for name, times in found.items():
                if n:  # the first round is the planner's
                    spent[size].setdefault(name, []).extend(times[5:])
    return {
        size: {name: statistics.median(t) for name, t in s.items()} for size, s in spent.items()
    }


async def _warm(engine: Engine, members: int) -> None:
    """Ask everything of everybody, so that it is in the server's memory if there is room."""
    start = time.perf_counter()
    for first in range(1, members + 1, 500):
        some = range(first, min(first + 500, members + 1))
        await reads.balances(some, NOW)
        await reads.balances(some, EARLIER)
        await standings(engine, some, NOW)
    typer.echo(f"{members:,} members read in {time.perf_counter() - start:.0f} s")


async def _set(address: str, statement: str) -> str:
    connection: Connection = await asyncpg.connect(address)
    try:
        if statement:
            await connection.execute(statement)
        return str(await connection.fetchval("SHOW shared_buffers"))
    finally:
        await connection.close()


def report(found: dict[int, dict[str, float]]) -> str:
    """The figures as lines."""
    small, large = sorted(found)
    lines = [f"{'':28}{small:>14,}{large:>14,}   ratio (goal {GOAL})"]
    for name, ms in found[small].items():
        ratio = found[large][name] / ms
        held = "holds" if ratio <= GOAL else "MISSED"
        lines.append(f"{name:28}{ms:>11.2f} ms{found[large][name]:>11.2f} ms   {ratio:.2f} {held}")
    return "\n".join(lines)


def main(
    server_url: str = typer.Option("", "--server", help="A PostgreSQL server; else the usual one."),
    prefix: str = typer.Option("laurels_bench", help="Of the databases, which are made anew."),
    small: int = typer.Option(100_000, min=1000, help="Transfers in the small database."),
    large: int = typer.Option(10_000_000, min=1000, help="Transfers in the large one."),
    rounds: int = typer.Option(6, min=1, help="How often each is asked, in turn."),
) -> None:
    """Measure what reads cost as the books grow."""
    own = not (server_url or os.environ.get("LAURELS_DATABASE_URL"))
    with server(server_url or None) as address:
        engines = asyncio.run(make(address, prefix, (small, large)))
        if own:
            asyncio.run(_set(address, f"ALTER SYSTEM SET shared_buffers = '{ROOM}'"))
    with server(server_url or None) as address:  # started anew, with that much room
        try:
            room = asyncio.run(_set(address, ""))
            found = asyncio.run(measure(address, prefix, engines, rounds))
        finally:
            if own:
                asyncio.run(_set(address, "ALTER SYSTEM RESET shared_buffers"))
    figures = f"{report(found)}\nshared_buffers {room}, everybody read once before"
    page = write_page(RESULTS, "What reads cost as the books grow", "bench.reads", figures)
    typer.echo(page)


if __name__ == "__main__":
    typer.run(main)
