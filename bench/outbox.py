"""What the outbox costs: purchases posted with it and without it in turn, and how fast it empties.

Run by `python -m bench.outbox`. One engine on one database; every other batch leaves its rows out,
so whatever else the machine does meets both. Receipts of five lines, by the shipped grocer's rules.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import typer

import core.posting
from bench.setting import AS_OF, PARTNER, engine, fresh_database, server, write_page
from core import dispatching
from core.db import Connection, reading, transaction
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.outcomes import Recorded
from core.posting import Engine
from core.purchases import Incoming, LineInput, PurchaseInput, check_purchase
from core.store.writes import ChangeRow, Writes
from core.telling import tell

RESULTS = Path(__file__).with_name("RESULTS-outbox.md")
MEMBERS = 2000
#: Purchases in a batch, and how many batches of them are posted each way.
SIZES = ((1, 1000), (25, 150), (500, 24))


def _receipts(found: Engine, first: int, count: int) -> list[Incoming]:
    partner = found.rulebook.partners[PARTNER]
    [money] = sorted(partner.trades_in)[:1]
    lines = [LineInput(kind, "4.20") for kind in ("PRODUCE", "BREAD", "DAIRY", "MEAT", "WINE")]
    return [
        check_purchase(
            partner,
            PurchaseInput(
                f"B{n}", MemberRef.make(IdentifierKind.CARD, str(n % MEMBERS)),
                AS_OF - timedelta(hours=1), money, lines,
            ),
        )
        for n in range(first, first + count)
    ]  # fmt: skip


def _none(_: Writes) -> list[ChangeRow]:
    return []


def _left_out() -> AbstractContextManager[object]:
    return patch.object(core.posting, "changes_of", new=_none)


async def _post(found: Engine, items: list[Incoming]) -> float:
    start = time.perf_counter()
    outcomes = await found.record_purchases(items, AS_OF)
    spent = time.perf_counter() - start
    if not all(isinstance(outcome, Recorded) for outcome in outcomes):
        raise SystemExit(f"not recorded: {outcomes[0]}")
    return spent


async def _compare(found: Engine, size: int, rounds: int, first: int) -> str:
    """Pairs of batches, one with it and one without: how much longer the one took."""
    pairs: list[tuple[float, float]] = []
    for n in range(rounds + 2):
        start = first + 2 * n * size
        whole, bare = (_receipts(found, start + half * size, size) for half in (0, 1))
        # Whichever comes second finds the caches warm: they take turns at that too.
        if n % 2:
            spent = await _post(found, whole)
            with _left_out():
                without = await _post(found, bare)
        else:
            with _left_out():
                without = await _post(found, bare)
            spent = await _post(found, whole)
        pairs.append((spent, without))
    pairs = pairs[2:]  # the first ones warm up
    low, middle, high = statistics.quantiles([a / b for a, b in pairs], n=4)
    rate = size / statistics.median(a for a, _ in pairs)
    return (
        f"batches of {size:>3}: {middle:.3f} times as long with it (median of {rounds} pairs; "
        f"quartiles {low:.2f} and {high:.2f}), {rate:,.0f} purchases/s with it"
    )


async def _empty(found: Engine) -> str:
    async def also(connection: Connection, changes: Sequence[ChangeRow]) -> None:
        await tell(connection, found.rulebook, changes, AS_OF)

    async with reading() as connection:
        waiting = await connection.fetchval("SELECT count(*) FROM outbox")
    start = time.perf_counter()
    sent = 0
    while done := await dispatching.dispatch(also):
        sent += done
    spent = time.perf_counter() - start
    if sent != waiting:
        raise SystemExit(f"{waiting} waited, {sent} were sent")
    return f"emptying it: {sent:,} changes at {sent / spent:,.0f}/s, {dispatching.BATCH} at a time"


async def _measure(address: str, at: datetime) -> str:
    url = await fresh_database(address, "laurels_bench_outbox")
    lines = []
    async with engine(url, laurels=True) as found:
        people = [Enrolment([MemberRef.make(IdentifierKind.CARD, str(n))]) for n in range(MEMBERS)]
        await enrol(found.ids, people, at - timedelta(days=1))
        first = 0
        for size, rounds in SIZES:
            lines.append(await _compare(found, size, rounds, first))
            typer.echo(lines[-1])
            first += 2 * (rounds + 2) * size
        lines.append(await _empty(found))
        typer.echo(lines[-1])
        async with transaction() as connection:
            width = await connection.fetchval(
                "SELECT pg_relation_size('outbox') / greatest($1, 1)", first // 2
            )
        lines.append(f"on disk, until it is vacuumed: {width} bytes a change")
    return "\n".join(lines)


def main(
    server_url: str = typer.Option("", "--server", help="A PostgreSQL server; else the usual one."),
    output: Path = typer.Option(RESULTS, help="Where to write the page."),
) -> None:
    """Measure and write the page of results."""
    with server(server_url or None) as address:
        found = asyncio.run(_measure(address, AS_OF))
    typer.echo(write_page(output, "What the outbox costs", "bench.outbox", found))


if __name__ == "__main__":
    typer.run(main)
