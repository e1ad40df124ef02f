"""`laurels inbound`: the log in a terminal, and a replay of what it shows."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.app.working import SECRET
from tests.core.webshop import arrive, created, customer, log, open_webshop
from tests.plugins.faults import Shelf


def inbound(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, on this database."""
    return subprocess.run(
        [sys.executable, "-c", "from laurels.cli import main; main()", "inbound", *arguments],
        env={**os.environ, "LAURELS_DATABASE_URL": url, "LAURELS_SECRET": SECRET, "COLUMNS": "200"},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


def rows(told: subprocess.CompletedProcess[str]) -> list[list[str]]:
    """The table's cells, without the time."""
    cells = [[cell.strip() for cell in line.split("│")] for line in told.stdout.splitlines()]
    return [[row[1], *row[3:9]] for row in cells if len(row) == 10]


async def test_the_log_and_a_replay(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert version("laurels")
    root = Path(__file__).parents[2]
    source = (
        "from laurels import hookimpl\nfrom tests.core.webshop import ADAPTER, WEBSHOP\n"
        "@hookimpl\ndef laurels_partner():\n    return WEBSHOP.partner\n"
        "@hookimpl\ndef laurels_earn_rules():\n    return WEBSHOP.earn_rules\n"
        "@hookimpl\ndef laurels_adapters():\n    return [ADAPTER]\n"
    )
    Shelf(tmp_path).put("webshop", source)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{root}")
    engine = await open_webshop()
    await arrive(engine, created(1, 1, ("10.00", 1), customer=8), customer(7))
    told = inbound(database, "--partner", "webshop")
    assert told.returncode == 0, told.stderr
    nobody = "nobody is known by its member's identifier yet"
    assert rows(told) == [
        ["2", "shopify", "customer 7", "customer-7", "done", "1", "Enrol booked"],
        ["1", "shopify", "1", "create-1-1", "waiting", "1", nobody],
    ]
    told = inbound(database, "--partner", "webshop", "--state", "waiting")
    assert [row[0] for row in rows(told)] == ["1"]
    assert rows(inbound(database, "--partner", "webshop", "--subject", "none")) == []
    told = inbound(database, "--partner", "webshop", "--replay", "2")
    assert rows(told) == [["2", "shopify", "customer 7", "customer-7", "done", "2", "Enrol known"]]
    # Another partner's number is nobody's here.
    for wrong in (("grocer", "--replay", "2"), ("webshop", "--replay", "99")):
        told = inbound(database, "--partner", *wrong)
        assert told.returncode == 1
        assert told.stderr == f"partner '{wrong[0]}' has no delivery {wrong[2]}\n"
    told = inbound(database, "--partner", "webshop", "--adapter", "till")
    assert (told.returncode, told.stderr) == (1, "partner 'webshop' has no adapter 'till'\n")
    for huge in ("0", str(2**63)):
        assert inbound(database, "--partner", "webshop", "--replay", huge).returncode == 2
    assert (await log())[1].attempts == 2
    told = inbound(database, "--partner", "none")
    assert told.returncode == 1
    assert "no partner 'none' is installed" in told.stderr
