"""`python -m tests.crash`: kill it under load, again and again, and see that nothing is lost.

Exit code 1 where anything acknowledged was lost, booked twice or told differently, where the books
don't prove, or where a control wasn't caught.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from app import postgres_places
from tests.crash import books, report
from tests.crash.controls import CONTROLS, Caught
from tests.crash.processes import Application, Postgres, RigError
from tests.crash.rig import Fault, Rig, tally
from tests.crash.tills import Habits

out = Console()
err = Console(stderr=True, soft_wrap=True)


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How many faults.")] = 50,
    seed: Annotated[int, typer.Option(help="Of the load and the moments; the clock stays.")] = 0,
    controls: Annotated[bool, typer.Option(help="Prove that the rig can see.")] = True,
) -> None:
    """Kill and cut off a real application under load; prove that nothing is lost or doubled."""
    seed = seed or int(time.time())
    out.print(f"seed {seed}, {rounds} faults", highlight=False)
    code = 1
    try:
        code = 0 if asyncio.run(_watched(rounds, seed, controls)) else 1
    except* RigError as broken:
        for error in broken.exceptions:
            err.print(f"[red]the rig can't go on[/]: {escape(str(error))}", highlight=False)
    except* asyncio.CancelledError:
        err.print("stopped before the end: nothing is proved")
        code = 128 + signal.SIGTERM
    raise typer.Exit(code)


async def _watched(rounds: int, seed: int, controls: bool) -> bool:
    """Stopped by SIGTERM, it still takes down what it started, as after Ctrl+C."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    folder = _own_folder()
    server = Postgres(folder / "postgres")
    try:
        await server.start()
        with _bar() as bar:
            return await _all(server, folder, bar, rounds, seed, controls)
    finally:
        server.stop()
        postgres_places.remove(folder / "postgres")
        shutil.rmtree(folder, ignore_errors=True)


async def _all(
    server: Postgres, folder: Path, bar: Progress, rounds: int, seed: int, controls: bool
) -> bool:
    rig = Rig(server, Application(folder, "crash"), Habits(), seed)
    good = await _main_run(rig, bar, rounds)
    caught: dict[str, Caught] = {}
    if controls:
        task = bar.add_task("controls", total=len(CONTROLS))
        for name, control in CONTROLS.items():
            bar.update(task, description=f"control: {name}")
            caught[name] = await control(server, folder, seed)
            bar.advance(task)
        report.show_controls(out, caught)
    out.print(report.LIMITS, highlight=False)
    return good and all(x.found for x in caught.values())


async def _main_run(rig: Rig, bar: Progress, rounds: int) -> bool:
    began = time.monotonic()
    task = bar.add_task("starting", total=rounds)
    kinds = list(Fault)
    async with rig.standing():
        if careless := await books.careless_settings(rig.url):
            raise RigError(f"the server may forget what it committed: {', '.join(careless)}")
        async with rig.load():
            for n in range(rounds):
                fault = kinds[n % len(kinds)]
                bar.update(task, description=fault.value)
                seconds = await rig.strike(fault)
                if not err.is_terminal:  # where no bar moves, a line does
                    err.print(f"{n + 1}/{rounds} {fault.value}: {seconds:.2f} s", highlight=False)
                await rig.look_up()
                await rig.prove()
                bar.advance(task)
        bar.update(task, description="the last look at everything")
        await rig.examine(replay=0.1)
    code, printed = await rig.application.check()
    if code != 0:
        rig.figures.proofs.append(f"laurels check ended with {code}: {printed}")
    report.show(out, rig.figures, tally(rig.told), time.monotonic() - began)
    report.blame(out, [*rig.figures.findings, *rig.figures.proofs, *rig.told.differing])
    return rig.figures.good


def _own_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="laurels-crash-"))
    folder.chmod(0o711)  # for root, PostgreSQL runs as nobody, who must come through
    return folder


def _bar() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    )


if __name__ == "__main__":
    typer.run(main)
