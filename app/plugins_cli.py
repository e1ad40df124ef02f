"""`laurels plugins`: what is installed, what was refused, and whose rules failed.

Knows nothing of what a plugin says.
"""

from __future__ import annotations

from typing import Annotated

import typer

from app.plugin_settings import from_environment
from app.runtime import database
from app.shown import plugin_table, setting_table, shadow_table
from app.terminal import Database, err, out
from app.terminal import run as _run
from app.terminal import settings as _settings
from core import db
from core.store import shadows
from core.store.faults import RuleFault, all_by_code
from plugins.host import collect


def plugins(
    database_name: Database = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="Ask the database whose rules failed, too.")
    ] = False,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Ask the database what shadow rules came to, too.")
    ] = False,
) -> None:
    """What is installed, with versions, rules and rewards; what was refused, and why.

    Also what each plugin is set to, and by which variable; secrets are masked.
    A shadow is a next version, found by an entry point of the group laurels.shadows, or a draft of
    a data rule: it judges every new purchase beside the rules in force, and books nothing.

    Examples:

      laurels plugins --faults

      laurels plugins --shadow
    """
    collected = collect(blocked=_settings().blocked_plugins, values=from_environment)
    out.print(plugin_table(collected.installed))
    if any(plugin.settings for plugin in collected.installed):
        out.print(setting_table(collected.installed))
    for next_ in collected.shadows:
        out.print(f"shadow: {next_.name} {next_.version}, of {next_.partner.name}")
    for name in collected.blocked:
        out.print(f"blocked: {name}")
    for refused in collected.refused:
        err.print(f"[red]refused[/] {refused}")
    for code, fault in _run(_faults(database_name)) if faults else ():
        rule = f"rule '{fault.rule}'" if fault.rule else "its rules"
        times = f"{fault.faults} time{'s' if fault.faults > 1 else ''}"
        last = f"last on {fault.last_at:%Y-%m-%d %H:%M} UTC"
        err.print(f"[red]failed[/] partner '{code}': {rule} {fault.what}, {times}, {last}")
    if shadow:
        out.print(shadow_table(_run(_shadows(database_name))))
    if collected.refused:
        raise typer.Exit(1)


async def _shadows(database_name: str | None) -> list[shadows.Shadowed]:
    async with database(_settings(), database_name) as url, db.connected(url):
        return await shadows.all_by_code()


async def _faults(database_name: str | None) -> list[tuple[str, RuleFault]]:
    async with database(_settings(), database_name) as url, db.connected(url):
        return await all_by_code()
