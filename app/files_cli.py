"""`laurels import` and `laurels codes`: files of receipts and of codes.

Knows nothing of what becomes of a row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.text import Text

from app import codes as codes_file
from app import importer
from app.runtime import running
from app.shown import bars
from app.terminal import Database, Now, err, out, parse_now
from app.terminal import run as _run
from app.terminal import settings as _settings
from core.posting import Engine


def import_command(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, JSONL, Parquet.")],
    partner: Annotated[str, typer.Option(help="The partner whose purchases these are.")],
    database_name: Database = None,
    now: Now = None,
    map_: Annotated[
        list[str] | None, typer.Option("--map", help="name=column, where the file's differ.")
    ] = None,
    unknown: Annotated[
        str, typer.Option("--unknown-members", help="reject, or open an unclaimed member.")
    ] = "reject",
    errors: Annotated[Path | None, typer.Option(help="Where rejected rows go.")] = None,
) -> None:
    """Import purchases and returns, one row a line of a receipt. Safe to stop and to run again.

    Example: laurels import receipts.csv --partner grocer --unknown-members open
    """
    mapping = dict(part.split("=", 1) for part in map_ or [] if "=" in part)
    if len(mapping) != len(map_ or []):
        raise typer.BadParameter("--map takes name=column")
    if unknown not in ("reject", "open"):
        raise typer.BadParameter("--unknown-members is reject or open")
    at = parse_now(now)
    target = errors or file.with_suffix(".errors.csv")

    async def go(engine: Engine, bar: Progress) -> importer.ImportReport:
        task = bar.add_task(f"importing {file.name}", total=None)

        def told(done: int, total: int, _report: importer.ImportReport) -> None:
            bar.update(task, completed=done, total=total)

        return await importer.run_import(
            engine,
            file,
            partner,
            now=at,
            mapping=mapping,
            unknown_members="open" if unknown == "open" else "reject",
            errors_path=target,
            progress=told,
        )

    async def all_() -> importer.ImportReport:
        async with running(_settings(), name=database_name, now=at) as runtime:
            with bars(err) as bar:
                return await go(runtime.engine, bar)

    report = _run(all_())
    out.print(str(report))
    if report.refused:
        err.print(f"[yellow]{report.refused} refused: see {target}[/]")
        raise typer.Exit(1)


def codes(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="One code a line.")],
    partner: Annotated[str, typer.Option(help="The partner that gives the reward.")],
    reward: Annotated[str, typer.Option(help="Its reward, declared with codes='pool'.")],
    database_name: Database = None,
    now: Now = None,
) -> None:
    """Import codes into a reward's pool. Safe to stop and to run again: known codes are told.

    Example: laurels codes tickets.txt --partner cafe --reward concert
    """
    at = parse_now(now)

    async def go() -> codes_file.CodesReport:
        async with running(_settings(), name=database_name, now=at) as runtime:
            with bars(err) as bar:
                task = bar.add_task(f"importing {file.name}", total=None)
                return await codes_file.import_file(
                    runtime.engine, file, partner, reward, at,
                    lambda done, total: bar.update(task, completed=done, total=total),
                )  # fmt: skip

    report = _run(go())
    out.print(str(report))
    for bad in report.told:
        err.print(Text(f"line {bad.line}: {bad.problem}", style="yellow"))
    if report.refused > len(report.told):
        err.print(f"… and {report.refused - len(report.told):,} more")
    if report.refused:
        raise typer.Exit(1)
