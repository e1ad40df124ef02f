"""Runs of what-if: asked for once by a key, done by whichever worker is free, watched, cancelled.

The run itself is `core.simulation`'s. It books nothing, so that one which was cut off simply begins
anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog

from core.db import PASSING, transaction
from core.errors import IdempotencyConflict, NotAllowed, Refusal, UnknownReference, WrongState
from core.posting import Engine
from core.purchases import check_text
from core.replaying import Change
from core.rule_definitions import RuleDefinition
from core.rulebook import PartnerTerms
from core.settling import digest
from core.simulation import (
    Affected,
    Points,
    Report,
    StoppedError,
    TierShift,
    check_change,
    simulate,
)
from core.store import simulations as store
from core.store.redemptions import claim_key
from core.store.simulations import Run

#: As many runs of a partner wait or run at once.
MOST_OPEN = 10
#: A run that was cut off so often (its worker died, say) isn't begun anew.
MOST_ATTEMPTS = 3
#: Seconds between signs of life.
_BEAT = 5.0
_log = structlog.get_logger("laurels.simulation")


@dataclass(frozen=True, slots=True)
class Asked:
    """A run; `replayed` where its key asked for it before."""

    run: Run
    replayed: bool = False


async def ask(
    engine: Engine,
    partner: PartnerTerms,
    change: Change,
    period: tuple[datetime, datetime],
    request: tuple[str, str],
    now: datetime,
) -> Asked:
    """Ask for a run over [from, until); `request` is the caller with its idempotency key.

    Raises BadInput, UnknownReference, NotAllowed or IdempotencyConflict.
    """
    caller, key = request
    check_text(key, "key", 255, least=1)
    check_change(partner, change, *period, now)
    asked = told(change)
    said = digest("simulate", partner.id, asked, *period)
    async with transaction() as connection:
        (number,) = await engine.ids.take(1)
        before = await claim_key(connection, caller, key, said, (number,), now)
        if before is None:
            if await store.open_of(connection, partner.id) >= MOST_OPEN:
                raise NotAllowed(f"{MOST_OPEN} simulations are under way: wait, or cancel some")
            await store.ask(connection, number, partner.id, caller, asked, period, now)
        elif before[0] != said:
            raise IdempotencyConflict("this key was used before for another request", "key")
        else:
            (number,) = before[1]
    return Asked(await find(number), before is not None)


async def find(number: int) -> Run:
    """The run of this number. Raises UnknownReference."""
    run = await store.read(number)
    if run is None:
        raise UnknownReference("no such simulation", "id")
    return run


async def cancel(number: int) -> Run:
    """Stop a run. Raises UnknownReference; WrongState where it is over."""
    await store.cancel(number)
    run = await find(number)
    if run.state is not store.State.CANCELLED:
        raise WrongState(f"it is {run.state.name.lower()} already", "id")
    return run


_working = asyncio.Lock()


async def work(engine: Engine, now: datetime, *, only: int | None = None) -> int:
    """Do the runs (or this one) that wait, or were left behind, one by one; returns how many.

    One at a time in this process: where another call is at it, that one does them all.
    """
    if _working.locked():
        return 0
    done = 0
    async with _working:
        while (run := await store.claim(only)) is not None:
            done += 1
            await _do(engine, run, now)
    return done


async def _do(engine: Engine, run: Run, now: datetime) -> None:
    partner = engine.rulebook.partner_by_id(run.partner)
    if partner is None:
        await store.finish(run, None, "its partner is no longer installed")
        return
    if run.attempts > MOST_ATTEMPTS:
        await store.finish(run, None, f"it was cut off {MOST_ATTEMPTS} times")
        return
    so_far = _SoFar(run)
    beating = asyncio.create_task(so_far.beat(), name="simulation")
    try:
        change = meant(run.asked)
        report = await simulate(
            engine.rulebook, partner, change, run.begin, run.end, now, so_far.told
        )
        await store.finish(run, asdict(report))
    except StoppedError:
        return
    except PASSING:
        raise  # it is begun anew
    except Refusal as refusal:
        await store.finish(run, None, str(refusal))
    except Exception as error:
        _log.exception("a simulation failed", run=run.id)
        await store.finish(run, None, f"it failed: {type(error).__name__}, see the log")
    finally:
        beating.cancel()
        with suppress(asyncio.CancelledError):
            await beating


class _SoFar:
    """How far a run has come, with a sign of life every few seconds, however slow it is."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._done = self._total = 0
        self._wanted = True

    async def told(self, done: int, total: int) -> bool:
        """A chunk is done."""
        self._done, self._total = done, total
        self._wanted = self._wanted and await store.beat(self._run, done, total)
        return self._wanted

    async def beat(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_BEAT)
            try:
                await self.told(self._done, self._total)
            except PASSING as error:
                _log.warning("a simulation can't give a sign of life", why=repr(error))


def told(change: Change) -> dict[str, Any]:
    """A change as it is stored."""
    draft = change.draft
    said = None if draft is None else draft.model_dump(mode="json", exclude_defaults=True)
    return {"draft": said, "without": list(change.without)}


def meant(asked: Mapping[str, Any]) -> Change:
    """The change that is stored."""
    draft, without = asked["draft"], asked["without"]
    definition = None if draft is None else RuleDefinition.model_validate(draft)
    return Change(definition, tuple(without))


def report_of(stored: Mapping[str, Any]) -> Report:
    """A report as it was kept."""
    winners, losers = ([Affected(**x) for x in stored[name]] for name in ("winners", "losers"))
    return Report(
        stored["purchases"], stored["failed"], stored["otherwise"], stored["members"],
        {code: Points(**row) for code, row in stored["currencies"].items()},
        {code: list(row) for code, row in stored["rules"].items()},
        winners, losers, [TierShift(**row) for row in stored["tiers"]],
    )  # fmt: skip
