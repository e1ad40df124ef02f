"""`laurels fairness`, as it is typed."""

from __future__ import annotations

from core.posting import Engine
from core.rulebook import Rulebook
from tests.app.working import process
from tests.core.shop import days
from tests.support import NOW, enrol_cards, receipt, scalar


async def typed(url: str, *arguments: str) -> tuple[int | None, str, str]:
    """What comes of the command: exit code, what it prints, what it complains of."""
    words = ["laurels", "fairness", *arguments]
    program = f"import sys; sys.argv = {words}\nfrom laurels.cli import main; main()"
    async with process(url, program, COLUMNS="200") as done:
        said, complained = await done.communicate()
    return done.returncode, said.decode(), complained.decode()


async def test_the_command_prints_tables(coalition: Rulebook, database: str) -> None:
    """Of the brands that ship, which are fair; and what is wrong is told in a line."""
    engine = Engine(coalition)
    await enrol_cards(["1", "2"])
    items = [
        receipt(engine, f"R{n}", str(1 + n % 2), NOW - days(n), ("MEAT", "20.00")) for n in range(4)
    ]
    await engine.record_purchases(items, NOW)
    period = ["--since", "2026-03-01T00:00:00Z", "--until", "2026-04-01T00:00:00Z"]
    code, said, complained = await typed(database, "--partner", "grocer", *period)
    assert (code, complained) == (0, "")
    assert "4 of 4 purchases, 0 failed" in said
    rules = [x.split() for x in said.splitlines() if x.startswith("│") and "yes" in x]
    assert [row[3::2][:4] for row in rules] == [["4", "4", "0", "0"]] * len(rules)
    assert "product-type" in {row[1] for row in rules}
    code, said, complained = await typed(database, "--partner", "grocer", *period, "--sample", "0")
    assert (code, said) == (2, "")
    assert complained.strip() == "sample: a sample is of 1 to 1000 purchases, not 0"
    assert await scalar("SELECT count(*) FROM event") == 4
