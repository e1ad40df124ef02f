"""What an operator types: `laurels serve`, `import`, `check` and the rest.

Each command reads settings, asks the composition root for what it needs, and prints for people:
errors say the next step. Knows nothing of how points are counted.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress
from rich.text import Text

from app import codes as codes_file
from app import (
    credentials_cli,
    demo,
    documents,
    importer,
    inbound_cli,
    serving,
    whatif,
    work,
)
from app import sandbox as sandboxes
from app.plugin_settings import from_environment
from app.runtime import database, running
from app.shown import (
    Steps,
    bars,
    done_table,
    month_tables,
    plugin_table,
    setting_table,
    shadow_table,
)
from app.terminal import Database, Now, err, out, parse_now
from app.terminal import run as _run
from app.terminal import settings as _settings
from core import check as proof
from core import db, digests
from core.posting import Engine
from core.store import shadows
from core.store.faults import RuleFault, all_by_code
from plugins.host import collect
from schema.build import build_schema

commands = typer.Typer(no_args_is_help=True, pretty_exceptions_show_locals=False)
commands.command()(whatif.simulate)
commands.command()(documents.documents)


@commands.command()
def serve(database_name: Database = None) -> None:
    """Serve GraphQL, GraphiQL and health checks; starts the embedded PostgreSQL if none is set.

    Example: LAURELS_PORT=8080 laurels serve
    """
    settings = _settings()
    _run(serving.serve(settings, database_name, out))


@commands.command(name="demo")
def demo_command() -> None:
    """Serve the demo coalition: seeds it at first, prints what to open and which tokens to use."""
    settings = _settings()
    _run(serving.serve(settings, demo.DATABASE, out, prepare=demo.prepare))


@commands.command()
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


@commands.command()
def sandbox(
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day to live to.")],
    begin: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="The first day; else a year before."),
    ] = None,
    database_name: Annotated[
        str, typer.Option("--database", help="The sandbox's own database, made if new.")
    ] = sandboxes.DATABASE,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin again: drop what it was.")] = False,
) -> None:
    """Live a year in seconds: the demo coalition shops, and every midnight its night is run.

    In a database of its own, which is marked as a sandbox: no other is ever lived in. The same
    days give the same books. A sandbox that is there goes on from where it stands.

    Examples:

      laurels sandbox --until 2027-11-23

      laurels sandbox --from 2026-01-01 --until 2027-03-01 --fresh

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
        _run(sandboxes.live(_settings(), database_name, first, until.date(), fresh, told))
    for table in month_tables(lived):
        out.print(table)


@commands.command()
def migrate(database_name: Database = None) -> None:
    """Bring the database to this version's schema. Safe to run twice, or twice at once."""

    async def go() -> None:
        async with database(_settings(), database_name) as url:
            out.print(f"migrated: {url.rsplit('@', 1)[-1]}")

    _run(go())


@commands.command(name="import")
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


@commands.command()
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


@commands.command()
def check(
    database_name: Database = None,
    kept: Annotated[
        Path | None,
        typer.Option("--digests", exists=True, dir_okay=False, help="Digests kept elsewhere."),
    ] = None,
) -> None:
    """Prove the books: conservation, lots, replayed decisions, hashes, guards. Exit code 0 or 1.

    Digests of the books that were made under an earlier secret are proven with
    LAURELS_PREVIOUS_SECRETS.
    """
    settings = _settings()
    keys = digests.DigestKey.all_of(settings.secrets())

    async def go() -> tuple[list[proof.Finding], int]:
        exported = digests.imported(kept.read_text("utf-8", "replace").splitlines()) if kept else ()
        async with database(settings, database_name) as url, db.connected(url):
            with bars(err) as bar:
                task = bar.add_task("checking", total=None)
                findings = await proof.prove(
                    lambda name, n: bar.update(task, description=name, completed=n), keys, exported
                )
            return findings, await digests.unproven(keys)

    findings, unproven = _run(go())
    for finding in findings:
        out.print(f"[red]✗[/] {finding}", soft_wrap=True)
    if unproven:
        err.print(
            f"[yellow]![/] {unproven} stored digests were made under another secret, and not "
            "proven: set LAURELS_PREVIOUS_SECRETS"
        )
    if findings:
        raise typer.Exit(1)
    out.print("[green]✓[/] the books hold")


@commands.command()
def digest(
    database_name: Database = None,
    take: Annotated[bool, typer.Option("--take", help="Make one now.")] = False,
    export: Annotated[bool, typer.Option("--export", help="Print all, not the last one.")] = False,
    now: Now = None,
) -> None:
    """Print keyed digests of the books as lines of JSON: keep them where this server can't reach.

    Every night makes one. `laurels check --digests FILE` proves the books by those that were kept.

    Example: laurels digest --export >> /mnt/elsewhere/laurels-digests.jsonl
    """
    settings = _settings()
    key = digests.DigestKey.of(settings.signing_secret())

    async def go() -> list[digests.HeadDigest]:
        if take:
            async with running(settings, name=database_name, now=parse_now(now)) as runtime:
                rulebook = runtime.engine.rulebook.version
                made = await digests.take(key, parse_now(now), rulebook)
                return await digests.stored() if export else [made]
        async with database(settings, database_name) as url, db.connected(url):
            return await digests.stored(None if export else 1)

    for made in _run(go()):
        typer.echo(digests.exported(made))


@commands.command()
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


@commands.command()
def schema() -> None:
    """Print the GraphQL schema (SDL)."""
    typer.echo(build_schema().as_str())


commands.command()(credentials_cli.token)
commands.add_typer(credentials_cli.keys, name="key")
inbound_cli.add_to(commands, _settings, _run, out)
