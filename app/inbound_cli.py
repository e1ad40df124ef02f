"""`laurels inbound`: the log of webhooks in a terminal, and doing some of them once more.

Knows nothing of what they are made of.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from app.runtime import running
from app.settings import Settings
from app.terminal import Database, out
from app.terminal import run as _run
from app.terminal import settings as _settings
from core.errors import UnknownReference
from core.inbound import replay
from core.purchases import check_text, find_partner
from core.store.inbound import Filter, Inbound, State, listed, read

_NEWEST = 2**63 - 1


class StateName(enum.StrEnum):
    """Where a delivery stands, as it is typed."""

    RECEIVED = "received"
    DONE = "done"
    WAITING = "waiting"
    SUPERSEDED = "superseded"
    REFUSED = "refused"
    IGNORED = "ignored"


def inbound(
    partner: Annotated[str, typer.Option(help="The partner whose shop sent them.")],
    state: Annotated[StateName | None, typer.Option(help="Only those that stand so.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Only those of this adapter.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="Only those about this, such as an order.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 50,
    again: Annotated[
        list[int] | None,
        typer.Option(
            "--replay",
            min=1,
            max=_NEWEST,
            help="Do this one once more, by its number; may be repeated.",
        ),
    ] = None,
    database_name: Database = None,
) -> None:
    """List the webhooks that came in, newest first, and what became of each.

    With --replay those are done once more, by the plugin as it is now. What is booked already
    isn't booked twice. Bodies are dropped 30 days after they are done: then it is too late.

    Examples:

      laurels inbound --partner bakery --state waiting

      laurels inbound --partner bakery --subject 5001

      laurels inbound --partner bakery --replay 17 --replay 18
    """
    wanted = None if state is None else State[state.name]
    rows = _run(
        _found(_settings(), database_name, partner, (adapter, wanted, subject), limit, again)
    )
    out.print(inbound_table(rows))


async def _found(
    settings: Settings,
    database_name: str | None,
    code: str,
    wanted: tuple[str | None, State | None, str | None],
    limit: int,
    again: Sequence[int] | None,
) -> list[Inbound]:
    async with running(settings, name=database_name) as runtime:
        partner = find_partner(runtime.engine.rulebook, code)
        adapter, _, subject = wanted
        check_text(adapter or "", "adapter", 64)
        check_text(subject or "", "subject", 200)
        if not again:
            rows = await listed(Filter(partner.id, *wanted), _NEWEST, limit)
            # One that is no longer declared may have left some.
            if not rows and adapter is not None and adapter not in partner.adapters:
                raise UnknownReference(f"partner '{code}' has no adapter '{adapter}'", "adapter")
            return rows
        # Another partner's number is nobody's here.
        own = [row.id for row in await read(again) if row.partner == partner.id]
        if unknown := sorted(set(again).difference(own)):
            numbers = ", ".join(map(str, unknown))
            raise UnknownReference(f"partner '{code}' has no delivery {numbers}", "replay")
        await replay(runtime.engine, own, datetime.now(UTC))
        return await read(own)


def inbound_table(rows: Sequence[Inbound]) -> Table:
    """Webhooks and what became of them."""
    table = Table(
        Column("number", justify="right"), "received", "adapter", "subject", "delivery", "state",
        Column("tries", justify="right"), Column("what", overflow="fold"),
    )  # fmt: skip
    for row in rows:
        said = ", ".join(f"{x['command']} {x['what']}".strip() for x in row.outcome)
        table.add_row(
            str(row.id), f"{row.received_at:%Y-%m-%d %H:%M:%S}", row.adapter, Text(row.subject),
            Text(row.delivery), row.state.name.lower(), str(row.attempts),
            Text(row.problem or said),
        )  # fmt: skip
    return table
