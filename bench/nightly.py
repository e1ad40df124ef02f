"""`python -m bench.nightly`: the night that books expired lots, beside bare INSERTs of its rows.

A database of members with four lots each is made by SQL; every lot dies on one of some days. Each
night in turn is run by the engine, and then what it added is inserted into a twin database by one
`INSERT … SELECT` a table, from tables that were filled outside the timing.
"""

from __future__ import annotations

import asyncio
import io
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import typer

from bench.setting import fresh_database, server, write_page
from core import nightly
from core.db import Connection, connected
from core.posting import Engine
from core.programme import CurrencySettings, Programme
from core.store.reference import install

RESULTS = Path(__file__).with_name("RESULTS-nightly.md")
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LOTS_EACH = 4
GOAL = 3.0
#: What a night adds, in an order that satisfies the foreign keys.
ADDED = ("event", "decision", "transfer", "allocation")
_NEW = {
    "event": "SELECT * FROM event WHERE kind = 14 AND booked_at >= $1",
    "decision": "SELECT * FROM decision WHERE kind = 14 AND booked_at >= $1",
    "transfer": "SELECT * FROM transfer WHERE kind = 3 AND booked_at >= $1",
    "allocation": "SELECT a.* FROM allocation a "
    "JOIN transfer t USING (holder_id, currency_id, seq) WHERE t.kind = 3 AND t.booked_at >= $1",
}
# Opened a year before the first night, each lot by an event of its own.
_HOLDERS = """
INSERT INTO holder (id, created_at, booked_at, head)
SELECT h, $1::timestamptz, $1::timestamptz + interval '4 hours', decode(repeat('00', 16), 'hex')
FROM generate_series(1, $2::int) h
"""
_LEDGERS = """
INSERT INTO ledger (holder_id, currency_id, seq, active, reserved, pending, arrears,
    latest_at)
SELECT h, $2::int, 4, 40, 0, 0, 0, $3
FROM generate_series(1, $1::int) h
"""
_LOT = """
WITH n AS (
    SELECT h, i, h * 4 + i AS event, $1::timestamptz + i * interval '1 hour' AS at
    FROM generate_series(1, $2::int) h, generate_series(1, 4) i
), e AS (
    INSERT INTO event (id, holder_id, occurred_at, booked_at, total, partner_id, kind, money,
        content_hash, external_id)
    SELECT event, h, at, at, 1000, 1, 1, 'USD', decode(repeat('00', 16), 'hex'), event::text FROM n
), d AS (
    INSERT INTO decision (holder_id, booked_at, event_id, occurred_at, partner_id, rulebook, kind,
        head, content)
    SELECT h, at, event, at, 1, 1, 1, decode(repeat('00', 16), 'hex'),
        '{"v":1,"f":[0,{}],"g":[[1,1,[10],null,null,""]],"n":[]}' FROM n
), t AS (
    INSERT INTO transfer (holder_id, currency_id, seq, booked_at, occurred_at, event_id, amount,
        partner_id, rule_id, kind, source, target)
    SELECT h, $3, i, at, at, event, 10, 1, 1, 1, 10, 1 FROM n
)
INSERT INTO lot (holder_id, currency_id, seq, rule_id, amount, remaining, occurred_at, active_at,
    expires_at, partner_id, policy_id, pending, opened_under)
SELECT h, $3, i, 1, 10, 10, at, at,
    $4::timestamptz + (h % $5::int) * interval '1 day' + i * interval '1 hour', 1, $6, false, $6
FROM n
"""


@dataclass(slots=True)
class Nights:
    """What was measured; seconds."""

    lots: int
    holders: int
    night: float = 0.0
    bare: float = 0.0
    nothing: float = 0.0


async def fill(url: str, holders: int, nights: int) -> Engine:
    """Members with lots that die on these nights, and an engine for them."""
    programme = Programme(currencies=(CurrencySettings(code="STAR", name="Stars", expires="1Y"),))
    engine = Engine(await install(programme, [], FIRST))
    (currency,) = engine.rulebook.currencies.values()
    opened = FIRST - timedelta(days=365)
    connection: Connection = await asyncpg.connect(url)
    try:
        await connection.execute(_HOLDERS, opened, holders)
        await connection.execute(_LEDGERS, holders, currency.id, opened)
        await connection.execute(
            _LOT, opened, holders, currency.id, FIRST, nights, currency.terms.id
        )
        await connection.execute("SELECT setval('laurels_id', $1)", (holders + 2) * 8)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return engine


async def _twin(server_url: str, name: str, twin: str) -> str:
    parts = urlsplit(server_url)
    admin = await asyncpg.connect(urlunsplit(parts._replace(path="/postgres")))
    try:
        await admin.execute(f'DROP DATABASE IF EXISTS "{twin}" WITH (FORCE)')
        await admin.execute(f'CREATE DATABASE "{twin}" TEMPLATE "{name}"')
    finally:
        await admin.close()
    return urlunsplit(parts._replace(path=f"/{twin}"))


async def _insert(source: Connection, target: Connection, since: datetime) -> float:
    """Insert what a night added into the twin; the seconds that the INSERTs and COMMIT took."""
    for table in ADDED:
        rows = io.BytesIO()
        await source.copy_from_query(_NEW[table], since, output=rows, format="binary")
        rows.seek(0)
        await target.execute(f"DROP TABLE IF EXISTS new_{table}")
        await target.execute(f"CREATE UNLOGGED TABLE new_{table} (LIKE {table})")
        await target.copy_to_table(f"new_{table}", source=rows, format="binary")
    start = time.perf_counter()
    async with target.transaction():
        for table in ADDED:
            await target.execute(f"INSERT INTO {table} SELECT * FROM new_{table}")
    return time.perf_counter() - start


async def measure(server_url: str, prefix: str, lots: int, nights: int) -> Nights:
    """Run the nights, each followed by its bare INSERTs."""
    holders = lots // LOTS_EACH
    found = Nights(holders * LOTS_EACH, holders)
    name = f"{prefix}_nights"
    url = await fresh_database(server_url, name)
    async with connected(url):
        engine = await fill(url, holders, nights)
    # A template must have no connections, so the twin is made between the two pools.
    twin = await _twin(server_url, name, f"{prefix}_nights_bare")
    async with connected(url):
        source: Connection = await asyncpg.connect(url)
        target: Connection = await asyncpg.connect(twin)
        try:
            for n in range(nights):
                now = FIRST + timedelta(days=n + 1)
                start = time.perf_counter()
                done = await nightly.run(engine, now)
                found.night += time.perf_counter() - start
                found.bare += await _insert(source, target, now)
                typer.echo(
                    f"night {n + 1}/{nights}: {done.expired:,} points expired; "
                    f"nights {found.night:.1f} s, bare {found.bare:.1f} s"
                )
            start = time.perf_counter()
            again = await nightly.run(engine, FIRST + timedelta(days=nights))
            found.nothing = time.perf_counter() - start
            if again:
                raise SystemExit(f"the second run of the last night booked something: {again}")
            await _check_same(source, target, found.lots)
        finally:
            await source.close()
            await target.close()
    return found


async def _check_same(source: Connection, target: Connection, lots: int) -> None:
    for table in ADDED:
        counts = [await c.fetchval(f"SELECT count(*) FROM {table}") for c in (source, target)]
        if counts[0] != counts[1]:
            raise SystemExit(f"{table}: the night wrote {counts[0]} rows, the twin has {counts[1]}")
    left = await source.fetchval("SELECT sum(remaining) FROM lot")
    gone = await source.fetchval("SELECT count(*) FROM allocation")
    if left or gone != lots:
        raise SystemExit(f"{left} points are left, {gone} of {lots} lots were taken from")


def report(found: Nights, nights: int) -> str:
    """The figures as a few lines."""
    ratio = found.night / found.bare
    return (
        f"nightly expiry of {found.lots:,} lots of {found.holders:,} members in {nights} nights: "
        f"{found.night:.1f} s, {found.lots / found.night:,.0f} lots/s\n"
        f"bare INSERT … SELECT of the same rows: {found.bare:.1f} s\n"
        f"ratio {ratio:.2f} (goal {GOAL:.1f}: {'holds' if ratio <= GOAL else 'MISSED'})\n"
        f"the last night again, which books nothing: {found.nothing:.2f} s"
    )


def main(
    server_url: str = typer.Option("", "--server", help="A PostgreSQL server; else the usual one."),
    prefix: str = typer.Option("laurels_bench", help="Of the databases, which are made anew."),
    lots: int = typer.Option(1_000_000, min=1000, help="How many lots expire."),
    nights: int = typer.Option(5, min=1, help="In how many nights."),
) -> None:
    """Measure the nightly expiry beside bare INSERTs."""
    with server(server_url or None) as address:
        found = asyncio.run(measure(address, prefix, lots, nights))
    page = write_page(RESULTS, "What the night costs", "bench.nightly", report(found, nights))
    typer.echo(page)


if __name__ == "__main__":
    typer.run(main)
