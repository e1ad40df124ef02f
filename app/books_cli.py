"""`laurels migrate`, `check` and `digest`: a database made ready, and proven.

Knows nothing of how points are counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.runtime import database, running
from app.shown import bars
from app.terminal import Database, Now, err, out, parse_now
from app.terminal import run as _run
from app.terminal import settings as _settings
from core import check as proof
from core import db, digests


def migrate(database_name: Database = None) -> None:
    """Bring the database to this version's schema. Safe to run twice, or twice at once."""

    async def go() -> None:
        async with database(_settings(), database_name) as url:
            out.print(f"migrated: {url.rsplit('@', 1)[-1]}")

    _run(go())


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
