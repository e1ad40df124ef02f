"""`python -m bench`: the import beside bare INSERTs of the same rows; writes RESULTS.md."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import asyncpg
import typer

from app.importer import BATCH, run_import
from bench import bare
from bench.setting import AS_OF, PARTNER, engine, fresh_database, server, write_receipts

RESULTS = Path(__file__).with_name("RESULTS.md")
#: The goals that the figures are held against.
RATIO, BYTES, MEMORY = 2.5, 2500, 1.2
PARTS = 10
_SIZES = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> 'event_line'
"""
_LARGEST = """
SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'r' ORDER BY 2 DESC LIMIT 8
"""


@dataclass(slots=True)
class Figures:
    """All that one run measured; seconds, kilobytes and bytes."""

    rows: int
    baskets: int
    beside: float
    bare: float
    first: float
    second: float
    peak_tenth: int
    peak_whole: int
    bytes_per_basket: float
    largest: list[tuple[str, int]]
    postgres: str
    fsync: str


def _import(path: Path, url: str, laurels: bool, batch: int) -> dict[str, float]:
    arguments = [str(path), url, str(laurels), str(batch)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.peak", *arguments],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def run(address: str, prefix: str, share: float, laurels: bool, batch: int) -> Figures:
    """Measure everything, on databases of its own."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="laurels-") as folder:
        path = Path(folder) / "receipts.parquet"
        for name, until in (("tenth", share / 10), ("whole", share)):
            rows = write_receipts(path, until)
            url = asyncio.run(fresh_database(address, f"{prefix}_{name}"))
            found[name] = _import(path, url, laurels, batch)
            typer.echo(f"import of the {name} in a process of its own: {found[name]}")
        first, seconds = asyncio.run(_beside(address, prefix, share, laurels, batch, path))
    size, largest, number, fsync = asyncio.run(_stored(url))
    whole = found["whole"]
    return Figures(
        rows, int(whole["booked"]), first, seconds, whole["first"], whole["second"],
        int(found["tenth"]["peak_kb"]), int(whole["peak_kb"]), size / whole["booked"], largest,
        number, fsync,
    )  # fmt: skip


async def _beside(
    address: str, prefix: str, share: float, laurels: bool, batch: int, path: Path
) -> tuple[float, float]:
    """Import and bare INSERTs, part by part in turn: whatever else the machine does meets both."""
    source = await fresh_database(address, f"{prefix}_import")
    target = await fresh_database(address, f"{prefix}_bare")
    spent = 0.0
    async with engine(source, laurels=laurels) as e, bare.following(source, target, batch) as b:
        for n in range(PARTS):
            await asyncio.to_thread(
                write_receipts, path, share * (n + 1) / PARTS, share * n / PARTS
            )
            start = time.perf_counter()
            await run_import(e, path, PARTNER, now=AS_OF, unknown_members="open", batch=batch)
            spent += time.perf_counter() - start
            await b.follow()
            typer.echo(f"{n + 1}/{PARTS}: import {spent:.1f} s, bare INSERT {b.seconds:.1f} s")
        await b.check_same()
        return spent, b.seconds


async def _stored(url: str) -> tuple[int, list[tuple[str, int]], str, str]:
    connection = await asyncpg.connect(url)
    try:
        largest = [(r[0], r[1]) for r in await connection.fetch(_LARGEST)]
        number = (await connection.fetchval("SHOW server_version")).split()[0]
        fsync = await connection.fetchval("SHOW fsync")
        return await connection.fetchval(_SIZES), largest, number, fsync
    finally:
        await connection.close()


def _held(value: float, goal: float) -> str:
    return "holds" if value <= goal else "MISSED"


def report(f: Figures, laurels: bool, batch: int) -> str:
    """The figures as a page."""
    ratio, memory = f.beside / f.bare, f.peak_whole / f.peak_tenth
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    tables = "; ".join(f"{name} {size / f.baskets:,.0f}" for name, size in f.largest)
    currencies = (
        "two currencies, two lots a basket" if laurels else "one currency, one lot a basket"
    )
    return f"""# What the import costs

`python -m bench` wrote this page: The Complete Journey, {f.rows:,} rows, {f.baskets:,} baskets,
{currencies}, {batch:,} receipts a batch.

| measured | figure | goal | |
|---|---|---|---|
| import, in {PARTS} parts | {f.beside:.1f} s, {f.baskets / f.beside:,.0f} baskets/s | | |
| bare set-based INSERT of the same rows, after each part | {f.bare:.1f} s | | |
| import over bare INSERT | {ratio:.2f} | {RATIO} | {_held(ratio, RATIO)} |
| import in one go, in a process of its own | {f.first:.1f} s | | |
| the same import again, which books nothing | {f.second:.1f} s | below the first | \
{_held(f.second, f.first)} |
| bytes on disk a basket, without `event_line` | {f.bytes_per_basket:,.0f} | {BYTES:,} | \
{_held(f.bytes_per_basket, BYTES)} |
| peak memory, a tenth of the rows | {f.peak_tenth / 1024:.0f} MiB | | |
| peak memory, all rows | {f.peak_whole / 1024:.0f} MiB | | |
| all rows over a tenth | {memory:.2f} | {MEMORY} | {_held(memory, MEMORY)} |

Bytes a basket by table: {tables}.

The bare INSERT has the same schema, keys, triggers and batches; its arrays are built outside the
timing, and what an import updates (holders, ledgers, standings) is inserted when new and never
updated. Import and INSERT took turns on {platform.machine()} with {os.cpu_count()} cores,
load {load} at the end (others share the machine); Python {platform.python_version()}, asyncpg
{asyncpg.__version__}, pyarrow {version("pyarrow")}, PostgreSQL {f.postgres} with fsync {f.fsync}.
"""


def main(
    server_url: str = typer.Option("", "--server", help="A PostgreSQL server; else the usual one."),
    prefix: str = typer.Option("laurels_bench", help="Of the databases, which are made anew."),
    share: float = typer.Option(1.0, min=0.01, max=1.0, help="How much of the year to import."),
    laurels: bool = typer.Option(False, help="Let the grocer issue the coalition's currency too."),
    batch: int = typer.Option(BATCH, min=1, help="Receipts in a batch."),
    output: Path = typer.Option(RESULTS, help="Where to write the page."),
) -> None:
    """Measure the import and write the page of results."""
    with server(server_url or None) as address:
        page = report(run(address, prefix, share, laurels, batch), laurels, batch)
    output.write_text(page)
    typer.echo(page)


if __name__ == "__main__":
    typer.run(main)
