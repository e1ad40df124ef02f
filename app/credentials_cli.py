"""`laurels token` and `laurels key`: credentials made and ended in a terminal.

Whoever may run these has the deployment's secret or its database anyway. Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from app import tokens
from app.runtime import Runtime, running
from app.terminal import Database, err, out
from app.terminal import run as _run
from app.terminal import settings as _settings
from core.errors import Refusal
from core.keys import ApiKeys, Issued, KeyRow, listed
from core.purchases import find_partner
from core.store import audit
from schema.roles import SCOPES, STAFF_ROLES

keys = typer.Typer(no_args_is_help=True, help="API keys of partners: create, list, revoke.")

T = TypeVar("T")
Partner = Annotated[str, typer.Argument(help="The code of the partner whose key it is.")]


def token(
    admin: Annotated[bool, typer.Option("--admin", help="A token for an admin.")] = False,
    role: Annotated[
        list[str] | None,
        typer.Option(
            help=f"As what the admin works: {', '.join(STAFF_ROLES)}; may be repeated. "
            "Left out: owner.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Who the admin is, in the records.")] = "admin",
    partner: Annotated[str | None, typer.Option(help="A token for this partner.")] = None,
    member: Annotated[int | None, typer.Option(help="A token for this member.")] = None,
    hours: Annotated[int, typer.Option(min=1, max=720, help="How long it is good for.")] = 12,
) -> None:
    """Print a signed token that expires, for `Authorization: Bearer …`.

    A partner's opens everything that its API keys could; nobody can revoke it.

    Examples:

      laurels token --admin

      laurels token --admin --role support --name sam
    """
    chosen = [
        (kind, subject)
        for kind, subject in (
            ("admin", name if admin else None),
            ("partner", partner),
            ("member", None if member is None else str(member)),
        )
        if subject is not None
    ]
    if len(chosen) != 1:
        raise typer.BadParameter("one of --admin, --partner CODE, --member NUMBER")
    if role and not admin:
        raise typer.BadParameter("a --role is an admin's: --admin --role support")
    _check_among(role or [], STAFF_ROLES, "--role")
    kind, subject = chosen[0]
    secret, now = _settings().signing_secret(), datetime.now(UTC)
    issued = tokens.issue(
        secret, kind, subject, timedelta(hours=hours), now, staff=role or ["owner"]
    )
    typer.echo(issued)


@keys.command()
def create(
    partner: Partner,
    scope: Annotated[
        list[str],
        typer.Option(help=f"What the key opens: {', '.join(SCOPES)}; may be repeated."),
    ],
    title: Annotated[str, typer.Option(help="What it is for.")] = "made on the command line",
    days: Annotated[
        int | None, typer.Option(min=1, max=36500, help="After how many days it ends.")
    ] = None,
    database_name: Database = None,
) -> None:
    """Make an API key, and print it: it is shown this once.

    Example: laurels key create bakery --scope purchases:write --scope members:read
    """
    _check_among(scope, SCOPES, "--scope")

    async def go(runtime: Runtime, api_keys: ApiKeys) -> Issued:
        now = datetime.now(UTC)
        return await api_keys.create(
            find_partner(runtime.engine.rulebook, partner).id, title, scope, "command line", now,
            expires_at=None if days is None else now + timedelta(days=days),
        )  # fmt: skip

    asked = {"partner": partner, "title": title, "scopes": scope, "days": days}
    issued = _run(_with_keys(database_name, go, ("createApiKey", asked)))
    err.print(f"key {issued.row.id} of {partner}; it is shown this once:")
    typer.echo(issued.text)


@keys.command(name="list")
def list_(partner: Partner, database_name: Database = None) -> None:
    """List the API keys of a partner, without their secrets."""

    async def go(runtime: Runtime, api_keys: ApiKeys) -> list[KeyRow]:
        del api_keys
        return await listed(find_partner(runtime.engine.rulebook, partner).id)

    table = Table("id", "title", "scopes", "made", "ends", "last used", "revoked")
    for row in _run(_with_keys(database_name, go)):
        times = (row.created_at, row.expires_at, row.used_at, row.revoked_at)
        told = ["" if at is None else f"{at:%Y-%m-%d %H:%M}" for at in times]
        table.add_row(row.id, Text(row.title), " ".join(row.scopes), *told)
    out.print(table)


@keys.command()
def revoke(
    partner: Partner,
    key: Annotated[str, typer.Argument(help="The key's id, as `laurels key list` tells it.")],
    database_name: Database = None,
) -> None:
    """Revoke an API key. Servers that run refuse it within seconds."""

    async def go(runtime: Runtime, api_keys: ApiKeys) -> bool:
        owner = find_partner(runtime.engine.rulebook, partner).id
        _, before = await api_keys.revoke(owner, key, datetime.now(UTC))
        return before

    asked = {"partner": partner, "id": key}
    before = _run(_with_keys(database_name, go, ("revokeApiKey", asked)))
    out.print("it was revoked before" if before else "revoked")


def _check_among(given: Sequence[str], known: Sequence[str], option: str) -> None:
    for unknown in sorted(set(given).difference(known)):
        raise typer.BadParameter(f"{unknown!r} is none of {', '.join(known)}", param_hint=option)


async def _with_keys(
    database_name: str | None,
    go: Callable[[Runtime, ApiKeys], Awaitable[T]],
    act: tuple[str, Mapping[str, object]] | None = None,
) -> T:
    """Do something with keys; what is an act, by its name and what is asked, is recorded."""
    settings = _settings()
    async with running(settings, name=database_name) as runtime:
        api_keys = ApiKeys(settings.secrets())
        if act is None:
            return await go(runtime, api_keys)
        now, outcome = datetime.now(UTC), "FAILED"
        told = audit.Asked(now, "command line", ["owner"], act[0], act[1], None, None)
        number = await audit.begin(told)
        try:
            done = await go(runtime, api_keys)
            outcome = "Done"
        except Refusal as refusal:
            outcome = refusal.code
            raise
        finally:
            await audit.end(number, datetime.now(UTC), outcome, [], {}, {})
        return done
