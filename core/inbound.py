"""Keeps what came in by adapters, and has it done: what is due, of one partner after another.

A delivery is done as often as it is asked: whatever it books is known by natural keys. Knows no
HTTP, nor how a delivery is done (`core.delivering`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from core.db import PASSING
from core.deliveries import PATIENCE, named
from core.delivering import do
from core.errors import BadInput
from core.posting import Engine
from core.purchases import check_text
from core.store import inbound as store
from core.store.inbound import Arrived, State

__all__ = ["KEPT", "PATIENCE", "forget", "keep", "named", "replay", "work"]

#: A body is dropped so long after it is done.
KEPT = timedelta(days=30)
#: Batches of a partner in a row; then others have their turn.
_BATCHES = 10
#: Seconds between the attempts of a request while another process does its partner's.
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
_log = structlog.get_logger("laurels.inbound")


async def keep(engine: Engine, given: Arrived, now: datetime) -> bool | None:
    """Keep a genuine webhook; as `core.store.inbound.add`."""
    kept = await store.add(given, now)
    if kept is None:
        partner = engine.rulebook.partner_by_id(given.partner)
        _log.warning(
            "a delivery came again and said something else", adapter=given.adapter,
            partner=None if partner is None else partner.code,
        )  # fmt: skip
    return kept


async def forget(now: datetime) -> int:
    """Drop the bodies of what was done long ago, and what was said of them; how many."""
    return await store.forget(now - KEPT)


async def work(engine: Engine, now: datetime, partners: Iterable[int] | None = None) -> int:
    """Do what is due; returns how many deliveries were finished.

    Of these partners a limited number, and nothing where another process does it all the while:
    whatever is left is done by a call for all partners. Safe at any time and in several processes:
    of a partner, one at a time does it.
    """
    if partners is not None:
        return sum([await _soon(engine, partner, now) for partner in partners])
    done = 0
    left = await store.due(now)
    while left:
        turns = [(partner, await _turn(engine, partner, now)) for partner in left]
        done += sum(turn.done for _, turn in turns)
        left = [partner for partner, turn in turns if turn.more]
    return done


async def _soon(engine: Engine, partner: int, now: datetime) -> int:
    for pause in (*_PAUSES, None):
        turn = await _turn(engine, partner, now)
        # What came after the other one had looked for the last time would be left else.
        if not turn.taken or pause is None or partner not in await store.due(now):
            return turn.done
        await asyncio.sleep(pause)
    raise AssertionError


class _Turn(NamedTuple):
    """How many deliveries were finished, whether more is due; `taken`: another process is at it."""

    done: int = 0
    more: bool = False
    taken: bool = False


async def _turn(engine: Engine, partner: int, now: datetime) -> _Turn:
    try:
        async with engine.turns, store.alone(partner) as alone:
            return await _batches(engine, partner, now) if alone else _Turn(taken=True)
    except PASSING:
        raise
    except Exception:  # of one, which must not keep the others from theirs
        _log.exception("what came in can't be done; it is tried again", partner=partner)
        return _Turn()


async def _batches(engine: Engine, number: int, now: datetime) -> _Turn:
    done = 0
    try:
        for _ in range(_BATCHES):
            # Whatever was tried is done by now, or due later: so this comes to an end.
            if not (rows := await store.take(number, now)):
                return _Turn(done)
            jobs = await do(engine, number, rows, now)
            done += sum(job.state is not State.WAITING for job in jobs)
    finally:
        await engine.tell_faults(now)
    return _Turn(done, more=True)


async def replay(
    engine: Engine, ids: Sequence[int], now: datetime, key: tuple[str, str] | None = None
) -> bool:
    """Do deliveries once more by the present version of `read`; False where `key` did before.

    `key` is a caller with its idempotency key. Raises BadInput naming the first whose body was
    dropped, IdempotencyConflict where the key was used for others.
    """
    if key is not None:
        check_text(key[1], "key", 255, least=1)
    rows = await store.read(ids)
    for row in rows:
        if row.body is None:
            raise BadInput(
                f"delivery {row.delivery}: its body was dropped {KEPT.days} days after it was done",
                "ids", list(ids).index(row.id),
            )  # fmt: skip
    if not await store.replay([row.id for row in rows], now, key):
        return False
    await work(engine, now, sorted({row.partner for row in rows}))
    return True
