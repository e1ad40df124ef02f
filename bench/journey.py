"""A year of a real grocer's baskets through the import, checked household by household.

`python -m bench.journey` imports The Complete Journey (2,469 households, 155,848 baskets), prints
the totals and compares every household with independently computed figures (`--oracle`).
"""

from __future__ import annotations

import asyncio
import csv
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.importer import BATCH, ImportReport, run_import
from bench.households import Household, by_graphql, by_reads
from bench.setting import AS_OF, PARTNER, engine, fresh_database, server, write_receipts
from core.posting import Engine

ORACLE = Path(__file__).resolve().parents[2] / "shared" / "oracle" / "journey_households.csv"
LATER = datetime(2018, 2, 1, tzinfo=UTC)


def totals(found: dict[str, Household]) -> str:
    """One line of totals."""
    all_ = found.values()
    tiers = Counter(h.tier for h in all_)
    return (
        f"{len(found):,} households; earned {sum(h.earned for h in all_):,}, expired "
        f"{sum(h.expired for h in all_):,}, balance {sum(h.balance for h in all_):,}, in the "
        f"window {sum(h.window for h in all_):,}; "
        + ", ".join(f"{t} {tiers[t]:,}" for t in ("bronze", "silver", "gold", "platinum"))
    )


def differences(found: dict[str, Household], oracle: Path) -> list[str]:
    """How the households differ from the oracle's file, one line each."""
    with oracle.open(newline="") as file:
        expected = {
            r["household_id"]: Household(
                int(r["points_earned"]), int(r["points_expired"]), int(r["balance"]),
                int(r["tier_points"]), r["tier"],
            )
            for r in csv.DictReader(file)
        }  # fmt: skip
    return [
        f"household {name}: {found.get(name)} where the oracle has {expected.get(name)}"
        for name in sorted({*found, *expected})
        if found.get(name) != expected.get(name)
    ]


async def load(engine_: Engine, path: Path, batch: int, console: Console) -> ImportReport:
    """Import the file with a progress bar."""
    columns = (
        TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TextColumn("{task.fields[booked]:,} baskets"),
    )  # fmt: skip
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None, booked=0)

        def show(done: int, total: int, report: ImportReport) -> None:
            bar.update(task, completed=done, total=total, booked=report.booked + report.replayed)

        return await run_import(
            engine_, path, PARTNER, now=AS_OF, unknown_members="open", batch=batch, progress=show
        )


async def journey(url: str, share: float, laurels: bool, batch: int, oracle: Path | None) -> bool:
    """Import, print, compare; whether all agreed."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="laurels-") as folder:
        path = Path(folder) / "journey.parquet"
        rows = write_receipts(path, share)
        console.print(f"{rows:,} rows of receipts")
        async with engine(url, laurels=laurels) as engine_:
            for _ in ("first", "again"):
                start = time.perf_counter()
                report = await load(engine_, path, batch, console)
                console.print(f"{report}, in {time.perf_counter() - start:.1f} s")
            return await _compared(engine_, oracle, console)


async def _compared(engine_: Engine, oracle: Path | None, console: Console) -> bool:
    """Print both instants; compare the first, by the engine's reads and again by GraphQL."""
    found = await by_reads(engine_, AS_OF)
    console.print(f"as of {AS_OF:%Y-%m-%d %H:%M:%S}: {totals(found)}")
    console.print(f"as of {LATER:%Y-%m-%d %H:%M:%S}: {totals(await by_reads(engine_, LATER))}")
    if oracle is None:
        console.print("no oracle file, or not the whole year: nothing was compared")
        return True
    agreed = _report(differences(found, oracle), len(found), "the engine's reads", console)
    start = time.perf_counter()
    answered = await by_graphql(engine_, AS_OF)
    console.print(f"asked by GraphQL in {time.perf_counter() - start:.1f} s")
    return _report(differences(answered, oracle), len(answered), "GraphQL", console) and agreed


def _report(wrong: Sequence[str], count: int, what: str, console: Console) -> bool:
    for line in wrong[:10]:
        console.print(line)
    console.print(f"by {what} {count - len(wrong):,} of {count:,} households agree with the oracle")
    return not wrong


def main(
    oracle: Path = typer.Option(ORACLE, help="Expected figures, one row a household."),
    server_url: str = typer.Option("", "--server", help="A PostgreSQL server; else the usual one."),
    database: str = typer.Option("laurels_journey", help="Made anew; what it held is dropped."),
    share: float = typer.Option(1.0, min=0.001, max=1.0, help="How much of the year to import."),
    laurels: bool = typer.Option(False, help="Let the grocer issue the coalition's currency too."),
    batch: int = typer.Option(BATCH, min=1, help="Receipts in a batch."),
) -> None:
    """Import The Complete Journey and compare every household."""

    expected = oracle if share == 1.0 and oracle.exists() else None

    async def run(address: str) -> bool:
        url = await fresh_database(address, database)
        return await journey(url, share, laurels, batch, expected)

    with server(server_url or None) as address:
        agreed = asyncio.run(run(address))
    raise typer.Exit(0 if agreed else 1)


if __name__ == "__main__":
    typer.run(main)
