"""The watchdog, in processes of its own: it ends what is stuck, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SCRIPT = """
import asyncio
from app.watchdog import watched

def wild_rule_of_a_brand(count):
    return sum(range(count))  # one long call in C: no signal stops it

async def main():
    async with watched(0.4):
        for _ in range(6):
            await asyncio.sleep(0.2)  # longer than its patience, but never at one thing
        wild_rule_of_a_brand({count})
    await asyncio.sleep(0)

asyncio.run(main())
print("ended by itself")
"""


def run(count: int) -> subprocess.CompletedProcess[str]:
    """The script, whose rule counts so far."""
    command = [sys.executable, "-c", _SCRIPT.format(count=count)]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )


def test_a_process_that_is_stuck_ends_and_names_the_culprit() -> None:
    done = run(10**13)
    assert done.returncode == 1
    assert "wild_rule_of_a_brand" in done.stderr
    assert done.stdout == ""


def test_one_that_is_not_stuck_goes_on() -> None:
    done = run(10)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended by itself\n", "")
