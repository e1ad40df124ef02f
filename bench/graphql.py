"""`python -m bench.graphql`: a member's wallet from Laurels, from PostGraphile, and by bare SQL.

One process each, one after the other in turn, on one database, over HTTP on loopback;
client, server and PostgreSQL share its cores. Every member's answer is compared field by field
before anything is measured. PostGraphile is installed by npm into `bench/postgraphile`.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import statistics
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import typer

from app import tokens
from app.runtime import running
from app.settings import Settings
from bench import wallet
from bench.load import Request, Shot, need, node_packages, serving, shoot
from bench.serve import CONNECTIONS
from bench.setting import fresh_database, server, write_page
from core.db import Connection
from core.errors import Refusal
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.posting import Engine
from core.purchases import LineInput, PurchaseInput, check_purchase

RESULTS = Path(__file__).with_name("RESULTS-graphql.md")
OTHER = Path(__file__).with_name("postgraphile")
#: Throughput against PostGraphile's; and p99 no worse.
GOAL = 1.5
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Side:
    """A server, what it is asked for each member, and how its answer reads."""

    url: str
    requests: list[Request]
    facts: Callable[[Mapping[str, Any]], dict[str, Any]]


async def seed(engine: Engine, members: int, now: datetime) -> list[int]:
    """Members who each bought two dozen times, which makes three ledgers; returns their holders."""
    cards = [MemberRef.make(IdentifierKind.CARD, str(n)) for n in range(members)]
    people = [Enrolment([card], f"Member {n}") for n, card in enumerate(cards)]
    holders = [holder for holder, _ in await enrol(engine.ids, people, now)]
    grocer, outfitter = (engine.rulebook.partners[code] for code in ("grocer", "outfitter"))
    items = [
        check_purchase(partner, PurchaseInput(
            f"{n}-{place}", cards[n], now - timedelta(days=60 - 2 * place, minutes=n), "USD",
            [LineInput(kind, f"{40 + (7 * n + 13 * place) % 90}.50")],
        ))
        for n in range(members) for place in range(12)
        for partner, kind in ((grocer, "PRODUCE"), (outfitter, "coat"))
    ]  # fmt: skip
    for first in range(0, len(items), _BATCH):
        for outcome in await engine.record_purchases(
            items[first : first + _BATCH], now, historical=True
        ):
            if isinstance(outcome, Refusal):
                raise outcome
    return holders


async def prepare(url: str, secret: str, members: int) -> list[int]:
    """Fill the database, and make the views; returns the holders."""
    async with running(Settings(database_url=url, secret=secret)) as runtime:
        holders = await seed(runtime.engine, members, datetime.now(UTC))
    connection: Connection = await asyncpg.connect(url)
    try:
        for statement in wallet.VIEWS:
            await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return holders


def sides(stack: ExitStack, url: str, secret: str, holders: list[int]) -> dict[str, Side]:
    """Start everything that is measured."""
    now = datetime.now(UTC)
    python = [sys.executable, "-m", "bench.serve"]
    laurels = stack.enter_context(serving([*python, "laurels", url], {"LAURELS_SECRET": secret}))
    bare = stack.enter_context(serving([*python, "bare", url]))
    command = [need("node", "nodejs"), str(OTHER / "server.mjs"), url, wallet.SCHEMA]
    other = stack.enter_context(serving([*command, str(CONNECTIONS)], {"NODE_ENV": "production"}))
    tell = json.dumps({"query": wallet.LAURELS})
    mine = [
        Request(f"Bearer {tokens.issue(secret, 'member', str(h), timedelta(days=1), now)}", tell)
        for h in holders
    ]
    theirs = [
        Request("", json.dumps({"query": wallet.POSTGRAPHILE, "variables": {"id": str(h)}}))
        for h in holders
    ]
    return {
        "Laurels": Side(f"{laurels}/graphql", mine, wallet.of_laurels),
        "PostGraphile": Side(f"{other}/graphql", theirs, wallet.of_postgraphile),
        "bare SQL": Side(bare, theirs, wallet.of_bare),
    }


def compare(found: Mapping[str, Side]) -> None:
    """Stop unless all sides tell the same of every member."""
    for n in range(len(found["Laurels"].requests)):
        told = {name: side.facts(_asked(side, n)) for name, side in found.items()}
        wallet.checked(told["Laurels"])
        if any(facts != told["Laurels"] for facts in told.values()):
            raise SystemExit(f"the answers differ: {json.dumps(told, indent=1)}")


def _asked(side: Side, n: int) -> dict[str, Any]:
    request = side.requests[n]
    headers = {"content-type": "application/json", "authorization": request.authorization}
    if not request.authorization:
        del headers["authorization"]
    sent = urllib.request.Request(side.url, request.body.encode(), headers)
    try:
        with urllib.request.urlopen(sent) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{side.url}: {error} {error.read()!r}") from error


def report(found: Mapping[str, list[Shot]]) -> str:
    """The figures as lines; the ratios are of medians, and the goals are held against them."""
    lines = [f"{'':14}{'requests/s':>12}{'p50':>10}{'p99':>10}   all runs (requests/s)"]
    middle: dict[str, tuple[float, float]] = {}
    for name, shots in found.items():
        rate, p50, p99 = (
            statistics.median(getattr(s, what) for s in shots) for what in ("rate", "p50", "p99")
        )
        middle[name] = (rate, p99)
        runs = " ".join(f"{s.rate:.0f}" for s in shots)
        lines.append(f"{name:14}{rate:>12.0f}{p50:>7.1f} ms{p99:>7.1f} ms   {runs}")
    if "Laurels" in middle and "PostGraphile" in middle:
        mine, theirs = middle["Laurels"], middle["PostGraphile"]
        ratio, wait = mine[0] / theirs[0], mine[1] / theirs[1]
        held = "holds" if ratio >= GOAL else f"falls short by {1 - ratio / GOAL:.0%}"
        no_worse = "holds" if wait <= 1 else f"falls short by {wait - 1:.0%}"
        lines += [
            "",
            f"Laurels / PostGraphile, throughput: {ratio:.2f} (goal {GOAL}) {held}",
            f"Laurels / PostGraphile, p99: {wait:.2f} (goal: 1 at most) {no_worse}",
        ]
    return "\n".join(lines)


def main(
    server_url: str = typer.Option("", "--server", help="A PostgreSQL server; else the usual one."),
    name: str = typer.Option("laurels_bench_graphql", help="Of the database, which is made anew."),
    members: int = typer.Option(400, min=1, help="How many there are to ask about."),
    connections: int = typer.Option(16, min=1, help="Of the client, all the time."),
    seconds: int = typer.Option(8, min=1, help="Each run."),
    rounds: int = typer.Option(5, min=1, help="How often each is run, in turn."),
    only: str = typer.Option("", help="Only this side, and no page: to look where time goes."),
) -> None:
    """Measure the reading path."""
    need("wrk", "wrk")
    node_packages(OTHER)
    secret = os.environ.get("LAURELS_SECRET") or secrets.token_hex(32)
    with server(server_url or None) as address, ExitStack() as stack:
        url = asyncio.run(fresh_database(address, name))
        holders = asyncio.run(prepare(url, secret, members))
        found = sides(stack, url, secret, holders)
        compare(found)
        typer.echo(f"{members} members: all sides say the same")
        shots: dict[str, list[Shot]] = {name: [] for name in found if only in ("", name)}
        for n in range(rounds + 1):
            for name in shots:
                side = found[name]
                shot = shoot(side.url, side.requests, connections, seconds if n else 3)
                if n:  # the first round warms
                    shots[name].append(shot)
                    typer.echo(f"{name}: {shot.rate:.0f}/s, p99 {shot.p99:.1f} ms")
    figures = report(shots) + (
        f"\n\n{members} members, {connections} connections of wrk (one thread), {rounds} runs of "
        f"{seconds} s each in turn,\n{CONNECTIONS} connections to PostgreSQL for each side"
    )
    if only:
        typer.echo(figures)
        return
    typer.echo(write_page(RESULTS, "A member's wallet over HTTP", "bench.graphql", figures))


if __name__ == "__main__":
    typer.run(main)
