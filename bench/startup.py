"""`python -m bench.startup`: what starting costs with a thousand partners of twenty rules each.

Plugins are looked at, hook by hook, as installed ones are; reference rows are brought up to date in
a database that knows them already, and in one that doesn't. Reading a package's files from disk is
the interpreter's affair and isn't in it.
"""

from __future__ import annotations

import asyncio
import sys
import time
import types
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path

import typer

from bench.evaluation import rules
from bench.setting import fresh_database, server, write_page
from core.db import connected
from core.programme import CurrencySettings, Programme
from core.store.reference import Declared, install
from laurels import Partner, Reward, hookimpl
from plugins.host import Collected, collect

RESULTS = Path(__file__).with_name("RESULTS-startup.md")
GOAL = 3.0
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
PROGRAMME = Programme(currencies=(CurrencySettings(code="STAR", name="Stars"),))


def plugin(number: int) -> types.ModuleType:
    """A brand with twenty rules and a reward, as a module."""
    made = types.ModuleType(f"bench_brand_{number}")

    @hookimpl
    def laurels_partner() -> Partner:
        return Partner(f"p{number}", f"Partner {number}", issues=["STAR"], accepts=["STAR"])

    @hookimpl
    def laurels_earn_rules() -> Sequence[object]:
        return rules()

    @hookimpl
    def laurels_rewards() -> Sequence[Reward]:
        return [Reward("mug", "A mug", {"STAR": 100}, stock=500)]

    for hook in (laurels_partner, laurels_earn_rules, laurels_rewards):
        setattr(made, hook.__name__, hook)
    return made


def found(partners: int) -> Collected:
    """What the host makes of so many plugins."""
    entries = []
    for number in range(partners):
        name = f"bench_brand_{number}"
        sys.modules[name] = plugin(number)
        entries.append(EntryPoint(f"p{number}", name, "laurels.partners"))
    return collect(entry_points=entries)


async def measure(url: str, partners: int) -> dict[str, float]:
    """Seconds of each part."""
    took: dict[str, float] = {}
    for name, module in list(sys.modules.items()):  # as the first import leaves them
        if name.startswith("bench_brand_"):
            del sys.modules[name], module
    began = time.perf_counter()
    collected = found(partners)
    took["plugins"] = time.perf_counter() - began
    assert len(collected.installed) == partners, collected.refused[:1]
    declared = [
        Declared(p.name, p.version, p.partner, p.earn_rules, p.redeem_rules, p.rewards, p.ladders)
        for p in collected.installed
    ]
    async with connected(url):
        for name in ("first", "again"):
            began = time.perf_counter()
            rulebook = await install(PROGRAMME, declared, NOW)
            took[name] = time.perf_counter() - began
            assert len(rulebook.partners) == partners
    return took


def main(
    partners: int = typer.Option(1000, min=1, help="How many are installed."),
    url: str | None = typer.Option(None, help="A server; else the embedded one."),
) -> None:
    """Measure the start."""

    async def go(address: str) -> dict[str, float]:
        return await measure(await fresh_database(address, "laurels_bench_startup"), partners)

    with server(url) as address:
        took = asyncio.run(go(address))
    usual = took["plugins"] + took["again"]
    told = (
        f"{partners:,} partners, 20 rules and a reward each\n"
        f"plugins looked at: {took['plugins']:.2f} s\n"
        f"reference rows, known already: {took['again']:.2f} s\n"
        f"start: {usual:.2f} s (goal {GOAL:.0f} s: {'holds' if usual <= GOAL else 'MISSED'})\n"
        f"reference rows, of a database that knows none: {took['first']:.2f} s"
    )
    typer.echo(write_page(RESULTS, "What starting costs", "bench.startup", told))


if __name__ == "__main__":
    typer.run(main)
