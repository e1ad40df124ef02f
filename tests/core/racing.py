"""Processes that race each other on one database, each with an engine and a pool of its own.

They start once and take one heat after another: all connect, say that they are ready, and go at
one word. Holds no assertion; what they do there are this module's coroutines.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import traceback
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

from core.bought import Returned
from core.db import connected
from core.errors import Refusal
from core.outcomes import Recorded
from core.posting import Engine
from core.pricing import RedeemRequest
from core.redeemed import Redemption
from core.redemptions import cancel, confirm, redeem
from core.returning import Waiting, record
from core.returns import ReturnedLine, ReturnInput, check_return
from tests.core.shop import open_shop
from tests.support import DAY, NOW, receipt

PATIENCE = 180.0  # seconds for one heat; a deadlock of locks that PostgreSQL cannot see ends here
POOL = 4

Opening = Callable[[], Awaitable[Engine]]
#: What a process does in a heat, with its own arguments; the answer travels between processes.
Run = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Heat:
    """What one process is to do: coroutines by reference, so that they can travel."""

    url: str
    opening: Opening
    run: Run
    arguments: tuple[Any, ...]


class Racers:
    """The processes. A context manager."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._open = ExitStack()
        self._pipes: list[Pipe] = []
        self._processes: list[BaseProcess] = []

    def __enter__(self) -> Self:
        # The modules are imported once, in a process without threads or loops, and then forked.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        for _ in range(self.count):
            ours, theirs = context.Pipe()
            self._open.enter_context(ours)
            process = context.Process(target=_race, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()  # which ends those that wait for the next heat
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()

    def run(
        self, url: str, run: Run, arguments: Sequence[tuple[Any, ...]], opening: Opening = open_shop
    ) -> list[Any]:
        """One heat: every process with its own arguments; the answers in their order."""
        for pipe, own in zip(self._pipes, arguments, strict=True):
            pipe.send(Heat(url, opening, run, own))
        ready = [_hear(pipe) for pipe in self._pipes]
        for (fine, _), pipe in zip(ready, self._pipes, strict=True):
            if fine:
                pipe.send("go")
        # All are heard before any is blamed, so that the next heat finds everyone at the start.
        ended = [
            _hear(pipe) if fine else (fine, said)
            for (fine, said), pipe in zip(ready, self._pipes, strict=True)
        ]
        failures = [said for fine, said in ended if not fine]
        if failures:
            raise AssertionError(f"{len(failures)} processes failed; the first:\n{failures[0]}")
        return [said for _, said in ended]


def _hear(pipe: Pipe) -> tuple[bool, Any]:
    """Whether it went well, and what was answered."""
    if not pipe.poll(PATIENCE):
        raise TimeoutError(f"a process hasn't answered for {PATIENCE:.0f} s: a deadlock?")
    fine, said = pipe.recv()
    return fine, said


def _race(pipe: Pipe) -> None:
    """One process: heat after heat, until the other end is closed."""
    while True:
        try:
            heat: Heat = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer = (True, asyncio.run(_heat(pipe, heat)))
        except Exception:
            answer = (False, traceback.format_exc())
        pipe.send(answer)


async def _heat(pipe: Pipe, heat: Heat) -> Any:
    async with connected(heat.url, pool=POOL):
        engine = await heat.opening()
        pipe.send((True, "ready"))
        pipe.recv()
        return await heat.run(engine, *heat.arguments)


# --- what they do ---------------------------------------------------------------------------------

#: What became of a purchase: (event, holder, booked at, replayed), or the refusal's code.
Sold = tuple[int, int, str, bool] | str


async def sell(engine: Engine, batches: Sequence[Sequence[tuple[str, str, str]]]) -> list[Sold]:
    """Record batches of (external id, card, dollars), one after another; the outcomes in a row."""
    outcomes: list[Sold] = []
    for batch in batches:
        items = [receipt(engine, name, card, NOW - DAY, ("SHOES", d)) for name, card, d in batch]
        for outcome in await engine.record_purchases(items, NOW):
            if isinstance(outcome, Recorded):
                at = outcome.booked_at.isoformat()
                outcomes.append((outcome.event, outcome.holder, at, outcome.replayed))
            else:
                outcomes.append(outcome.code)
    return outcomes


async def sell_at_once(engine: Engine, name: str, times: int) -> list[Sold]:
    """The same purchase from several connections of this process at once."""
    sold = await asyncio.gather(*(sell(engine, [[(name, "1", "35.00")]]) for _ in range(times)))
    return [outcome for outcomes in sold for outcome in outcomes]


#: What became of a redemption: (id, codes, status, replayed), or the refusal's code.
Taken = tuple[int, tuple[str, ...], int, bool] | str


async def _taken(call: Awaitable[Redemption]) -> Taken:
    try:
        done = await call
    except Refusal as refusal:
        return refusal.code
    return (done.id, done.codes, int(done.status), done.replayed)


async def take(engine: Engine, requests: Sequence[RedeemRequest]) -> list[Taken]:
    """Redeem all at once."""
    return await asyncio.gather(*(_taken(redeem(engine, request, NOW)) for request in requests))


async def settle(
    engine: Engine, holds: Sequence[tuple[int, int]], confirming: bool, key: str
) -> list[Taken]:
    """Confirm or cancel each of the holds (holder, redemption), all at once."""
    end = confirm if confirming else cancel
    return await asyncio.gather(
        *(_taken(end(engine, h, r, "till", f"{key}-{r}", NOW)) for h, r in holds)
    )


#: ("buy", external id, card, dollars) or ("return", external id, purchase, quantity of line 1).
Step = tuple[str, str, str, str]


async def trade(engine: Engine, steps: Sequence[Step]) -> list[str]:
    """Buy and bring back at the market, one after another: what became of each, in a word."""
    market = engine.rulebook.partners["market"]
    said: list[str] = []
    for kind, name, about, figure in steps:
        outcome: object
        if kind == "buy":
            item = receipt(engine, name, about, NOW, ("PLAIN", figure), partner="market")
            (outcome,) = await engine.record_purchases([item], NOW)
        else:
            given = ReturnInput(name, about, NOW, [ReturnedLine(1, figure)])
            (outcome,) = await record(engine, [check_return(market, given)], NOW)
        if isinstance(outcome, Refusal):
            said.append(f"{outcome.code}: {outcome.message}")
        elif isinstance(outcome, Waiting):
            said.append("waiting")
        else:
            assert isinstance(outcome, Recorded | Returned)
            said.append("replayed" if outcome.replayed else "booked")
    return said
