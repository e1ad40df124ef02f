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
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.importer import BATCH, ImportReport, run_import
from bench.setting import AS_OF, PARTNER, engine, fresh_database, server, write_receipts
from core.db import reading
from core.posting import Engine, span
from core.store import reads
from core.tiers import standing_from_rows

ORACLE = Path(__file__).resolve().parents[2] / "shared" / "oracle" / "journey_households.csv"
LATER = datetime(2018, 2, 1, tzinfo=UTC)
_CODE = "BASKET"


@dataclass(frozen=True, slots=True)
class Household:
    """One household's figures at an instant."""

    earned: int
    expired: int
    balance: int
    window: int
    tier: str


async def households(engine_: Engine, at: datetime) -> dict[str, Household]:
    """Every household's figures as the engine's own reads give them at `at`, by its reference."""
    rulebook = engine_.rulebook
    currency = rulebook.partners[PARTNER].issues[_CODE].id
    ladder = next(iter(rulebook.ladders.values()))
    async with reading() as connection:
        known = await connection.fetch("SELECT value, holder_id FROM identifier WHERE kind = 4")
    names = {r[1]: r[0] for r in known}
    qualifying: dict[int, list[tuple[datetime, int]]] = {}
    windows = [(ladder.id, span(ladder.window))]
    for holder, _, when, amount in await reads.qualified(list(names), windows, at):
        qualifying.setdefault(holder, []).append((when, amount))
    found = {name: Household(0, 0, 0, 0, ladder.ladder.tiers[0].code) for name in names.values()}
    for row in await reads.balances(list(names), at):
        if row[1] != currency:
            continue
        measure = standing_from_rows(row[0], ladder, qualifying.get(row[0], []), at).value
        tier = ladder.ladder.tiers[ladder.rank(measure)].code
        found[names[row[0]]] = Household(row[6], row[7], row[2], measure, tier)
    return found


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
    found = await households(engine_, AS_OF)
    console.print(f"as of {AS_OF:%Y-%m-%d %H:%M:%S}: {totals(found)}")
    console.print(f"as of {LATER:%Y-%m-%d %H:%M:%S}: {totals(await households(engine_, LATER))}")
    if oracle is None:
        console.print("no oracle file: or not the whole year: nothing was compared")
        return True
    wrong = differences(found, oracle)
    _report(wrong, len(found), console)
    return not wrong


def _report(wrong: Sequence[str], count: int, console: Console) -> None:
    for line in wrong[:10]:
        console.print(line)
    console.print(f"{count - len(wrong):,} of {count:,} households agree with the oracle")


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
