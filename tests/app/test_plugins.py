"""`laurels plugins`: what is installed, and on request whose rules failed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.containment import Fault
from core.db import reading
from core.rulebook import Rulebook
from core.store import faults, shadows
from core.store.writes import ShadowRow, Writes
from tests.app.working import CHECKOUT, SECRET
from tests.support import NOW, scalar


def plugins(url: str, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, on this database; what is on the path is installed."""
    return python(url, "from laurels.cli import main; main()", "plugins", *arguments, path=path)


def python(url: str, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """A program in a process of its own."""
    also = {"LAURELS_DATABASE_URL": url, "LAURELS_SECRET": SECRET, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", *arguments], env={**os.environ, **also, "PYTHONPATH": path},
        capture_output=True, text=True, check=False, timeout=300, cwd=CHECKOUT,
    )  # fmt: skip


async def test_the_culprits_are_named_on_request(database: str, coalition: Rulebook) -> None:
    partners = coalition.partners
    await faults.add([(Fault(partners["cafe"].id, "stars", "raised KeyError"), 3)], NOW)
    await faults.add([(Fault(partners["grocer"].id, "", "took longer than a rule may"), 1)], NOW)
    told = plugins(database, "--faults")
    assert told.returncode == 0, told.stderr
    assert "Café Corda" in told.stdout
    last = "last on 2026-03-15 12:00 UTC"
    assert told.stderr.splitlines() == [
        f"failed partner 'cafe': rule 'stars' raised KeyError, 3 times, {last}",
        f"failed partner 'grocer': its rules took longer than a rule may, 1 time, {last}",
    ]
    silent = plugins(database)
    assert (silent.returncode, silent.stdout, silent.stderr) == (0, told.stdout, "")


async def test_what_shadow_rules_came_to_is_told_on_request(
    database: str, coalition: Rulebook
) -> None:
    number = coalition.partners["grocer"].id
    async with reading() as connection:
        run = (await shadows.runs(connection, [(number, "a" * 40, "2.0")], NOW))[number].id
        writes = Writes(paused={run})
        row = ShadowRow(run, 1, 1, NOW, {"BASKET": (1200, 1500)})
        writes.shadowed += [row, row, row._replace(event=2, live="[1]", shadow="[2]")]
        writes.shadowed.append(ShadowRow(run, 3, 1, NOW, {}, failed=True))
        await shadows.write(connection, writes, NOW)
    told = plugins(database, "--shadow")
    assert told.returncode == 0, told.stderr
    table = told.stdout[told.stdout.index("judged") :]
    words = " ".join(table.replace("│", " ").split())
    assert "grocer 2.0 2026-03-15 12:00 UTC 3 2 1 1 3,600 BASKET 4,500 BASKET" in words
    assert "paused 2026-03-15 12:00 UTC" in words
    assert "judged" not in plugins(database).stdout


NEXT = """
from laurels import *

@hookimpl
def laurels_partner():
    return Partner("grocer", "The next grocer", currencies=[Currency("BASKET", "Baskets")])

@hookimpl
def laurels_earn_rules():
    return [PointsPerVisit("BASKET", 5)]
"""
START = """
import asyncio
from app.runtime import running
from app.settings import Settings

async def start():
    async with running(Settings()) as runtime:
        print(runtime.engine.rulebook.partners["grocer"].shadow.version)

asyncio.run(start())
"""


#: Its words can be read by the host; then, to be cast, they end the process, or never end.
FICKLE = """
import sys

class Fickle:
    code, terms = "fickle", {}
    def evaluate(self, purchase, facts):
        return None
    @property
    def title(self):
        if armed():
            FAULT
        return "Fickle"

def armed():
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "_understudies":
            return True
        frame = frame.f_back
    return False

@hookimpl
def laurels_earn_rules():
    return [Fickle()]
"""


@pytest.mark.parametrize("fault", ["sys.exit()", "[None for _ in iter(int, 1)]"])
async def test_a_next_version_that_cannot_be_looked_at_ends_no_start(
    database: str, tmp_path: Path, fault: str
) -> None:
    head = NEXT[: NEXT.rindex("@hookimpl")]
    (tmp_path / "grocer_next.py").write_text(head + FICKLE.replace("FAULT", fault))
    info = tmp_path / "grocer_next-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: grocer-next\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text("[laurels.shadows]\ngrocer = grocer_next\n")
    source = START.replace(
        'print(runtime.engine.rulebook.partners["grocer"].shadow.version)',
        'print(runtime.engine.rulebook.partners["grocer"].shadow, *runtime.plugins.refused)',
    )
    started = python(database, source, path=str(tmp_path))
    assert started.returncode == 0, started.stderr
    assert "None shadow 'grocer' 2.5: its rules can't be examined: " in started.stdout


async def test_a_next_version_that_is_installed_is_cast_at_start(
    database: str, tmp_path: Path
) -> None:
    (tmp_path / "grocer_next.py").write_text(NEXT)
    info = tmp_path / "grocer_next-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: grocer-next\nVersion: 2.5\n")
    (info / "entry_points.txt").write_text("[laurels.shadows]\ngrocer = grocer_next\n")
    started = python(database, START, path=str(tmp_path))
    assert (started.returncode, started.stdout) == (0, "2.5\n"), started.stderr
    told = plugins(database, "--shadow", path=str(tmp_path))
    assert told.returncode == 0, told.stderr
    assert "shadow: grocer 2.5, of The next grocer" in told.stdout
    assert "2.5" in told.stdout[told.stdout.index("judged") :]
    assert await scalar("SELECT count(*) FROM shadow_run WHERE ended_at IS NULL") == 1
    # Without it there is none, and its run is ended.
    gone = python(database, START)
    assert "'NoneType' object has no attribute 'version'" in gone.stderr
    assert await scalar("SELECT count(*) FROM shadow_run WHERE ended_at IS NULL") == 0
