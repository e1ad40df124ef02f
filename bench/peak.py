"""Imports a file twice in a process of its own; prints seconds, receipts and peak memory."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import typer

from app.importer import run_import
from bench.setting import AS_OF, PARTNER, engine


def _peak_kb() -> int:
    """The most that this process ever held; getrusage would count its parent's memory too."""
    status = Path("/proc/self/status").read_text()
    return int(next(x for x in status.splitlines() if x.startswith("VmHWM")).split()[1])


async def measure(path: Path, url: str, laurels: bool, batch: int) -> dict[str, float]:
    """Seconds of a first and a second import, and the peak after the first."""
    async with engine(url, laurels=laurels) as engine_:
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            report = await run_import(
                engine_, path, PARTNER, now=AS_OF, unknown_members="open", batch=batch
            )
            seconds.append(time.perf_counter() - start)
            if len(seconds) == 1:
                booked, peak = report.booked, _peak_kb()
        if report.booked or report.refused or report.replayed != booked:
            raise SystemExit(f"the second import should have booked nothing: {report}")
    return {"first": seconds[0], "second": seconds[1], "booked": booked, "peak_kb": peak}


def main(path: Path, url: str, laurels: bool, batch: int) -> None:
    """Measure, and print what was measured as JSON."""
    typer.echo(json.dumps(asyncio.run(measure(path, url, laurels, batch))))


if __name__ == "__main__":
    typer.run(main)
