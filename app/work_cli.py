"""`laurels worker` and `laurels sandbox`: what is due, and time that is lived.

Knows nothing of what a job does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Column, Table

from app import sandbox as sandboxes
from app import work
from app.shown import Steps, bars, done_table
from app.terminal import Database, Now, err, out, parse_now
from app.terminal import run as _run
from app.terminal import settings as _settings


def worker(
    database_name: Database = None,
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, then stop.")] = False,
    now: Now = None,
) -> None:
    """Do the jobs: release holds that ran out, run the night at each midnight of the programme.

    The night activates pending points, reviews tiers, expires points and notes what members are
    to be told. Safe to run twice, late, beside another, or to be killed in the middle.

    With --once everything that is due is done now; --now is the time to take for it. What a time
    ahead of the clock books can't be taken back: try it on a database of its own, or see sandbox.
    Such a night isn't sealed by a digest.

    Example: laurels worker --once --now 2027-01-01T00:00:00Z --database rehearsal
    """
    if not once:
        if now is not None:
            raise typer.BadParameter("--now goes with --once: a worker that stays has the clock")
        _run(work.run_worker(_settings(), database_name))
        return
    with bars(err) as bar:
        steps = Steps(bar)
        done = _run(work.run_once(_settings(), database_name, parse_now(now), steps))
    out.print(done_table(done))


def sandbox(
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day to live to.")],
    begin: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="The first day; else a year before."),
    ] = None,
    database_name: Annotated[
        str, typer.Option("--database", help="The sandbox's own database, made if new.")
    ] = sandboxes.DATABASE,
    people: Annotated[
        int, typer.Option(min=3, max=20_000, help="How many live there, from the first day on.")
    ] = sandboxes.PEOPLE,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin again: drop what it was.")] = False,
) -> None:
    """Live a year in seconds: the demo coalition shops, and every midnight its night is run.

    In a database of its own, which is marked as a sandbox: no other is ever lived in. The same
    days give the same books. A sandbox that is there goes on from where it stands.

    Examples:

      laurels sandbox --until 2027-11-23

      laurels sandbox --from 2026-01-01 --until 2027-03-01 --fresh --people 200

      laurels check --database laurels_sandbox
    """
    lived: list[sandboxes.Month] = []
    with bars(err) as bar:
        task = bar.add_task("opening the sandbox", total=None)

        def told(done: int, total: int, month: sandboxes.Month | None) -> None:
            bar.update(task, description="living", completed=done, total=total)
            if month is not None:
                lived.append(month)

        first = None if begin is None else begin.date()
        _run(sandboxes.live(_settings(), database_name, first, until.date(), fresh, told, people))
    for table in _month_tables(lived):
        out.print(table)


def _month_tables(months: Sequence[sandboxes.Month]) -> Iterable[Table]:
    """What happened month by month, and what members held when each ended."""
    heads = [field.name for field in fields(sandboxes.Month) if field.name != "outstanding"]
    yield _table(
        "what happened (points of all currencies)",
        [head.replace("_", " ") for head in heads],
        [[m.month, *(f"{getattr(m, head):,}" for head in heads[1:])] for m in months],
    )
    codes = sorted({code for month in months for code in month.outstanding})
    yield _table(
        "points outstanding at the end",
        ["month", *codes],
        [[m.month, *(f"{m.outstanding.get(code, 0):,}" for code in codes)] for m in months],
    )


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    columns = [Column(heads[0], no_wrap=True), *(Column(h, justify="right") for h in heads[1:])]
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    return table
