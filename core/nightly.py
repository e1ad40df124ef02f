"""The nightly run: books what time has done, in DESIGN's order, and tells members what it will do.

Activate pending, review tiers, expire lots. Reads go by instants and never wait for it: it only
books what has already happened, each thing dated at its own instant. So it may run twice, late, in
several processes, or be killed in the middle: each batch of members is one transaction, and what
is booked is no longer due.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import orjson

from core import digests
from core.db import Connection, transaction
from core.decisions import FORMAT
from core.entries import Kind
from core.erasing import lapse_left
from core.events import EventKind
from core.folding import Batch, Posting
from core.inbound import forget
from core.notices import announce
from core.personal import make_offers
from core.posting import Engine, write
from core.redemptions import time_out
from core.renewals import renew_due
from core.returning import match_waiting
from core.reviews import PROGRAMME, review_tiers
from core.store import nightly as store
from core.store.lots import due_lots, ledgers
from core.store.posting import lock_holders

#: Told the name of a step, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]
#: Members in one transaction: enough to amortise it, few enough that nobody waits long for a lock.
BATCH = 1000
#: Transactions under way: while PostgreSQL writes one, the next is reckoned.
_AT_ONCE = 2


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Night:
    """What a run booked: holds let go, points, ranks, returns that were matched, notices.

    `forgotten` are webhooks whose bodies were dropped, for their time is over. Memberships were
    `renewed` by points, or their fee was `asked` for. `offered` are rules that are newly on offer
    to members, each for its own past; `erased` are the points of members who were erased that came
    free since.
    """

    released: int = 0
    activated: int = 0
    lapsed: int = 0
    ranks: int = 0
    expired: int = 0
    matched: int = 0
    notices: int = 0
    forgotten: int = 0
    renewed: int = 0
    asked: int = 0
    offered: int = 0
    erased: int = 0

    def __bool__(self) -> bool:
        return self != Night()


def _silent(step: str, done: int, total: int) -> None:
    return None


async def run(
    engine: Engine,
    now: datetime,
    progress: Progress = _silent,
    key: digests.DigestKey | None = None,
) -> Night:
    """Everything that is due at `now`, in the nightly order; with a key, sealed by a digest.

    Where a step fails that goes member by member, the others are done all the same; then the first
    failure is raised, so that the night is tried again.
    """
    failed: list[Exception] = []

    async def kept(step: Awaitable[T], nothing: T) -> T:
        try:
            return await step
        except Exception as error:
            failed.append(error)
            return nothing

    matched = await match_waiting(engine, now)
    progress("holds", 0, 0)
    released = await kept(time_out(engine, now), 0)  # what comes back may pay what is owed
    first = await _age(engine, now, "activate", progress)
    progress("memberships", 0, 0)
    # Before what lapses is reviewed.
    renewed, asked = await kept(renew_due(engine, now), (0, 0))
    progress("review", 0, 0)
    ranks = await review_tiers(engine, now)
    second = await _age(engine, now, "expire", progress)
    erased = await kept(lapse_left(engine, now), 0)
    progress("offers", 0, 0)
    offered = (await make_offers(engine, now)).offered
    progress("notices", 0, 0)
    notices = await announce(engine, now)
    forgotten = await forget(now)
    if key is not None:
        progress("digest", 0, 0)
        await digests.take(key, now, engine.rulebook.version)
    if failed:
        raise failed[0]
    return Night(
        released,
        first[Kind.ACTIVATION] + second[Kind.ACTIVATION],
        first[Kind.LAPSE] + second[Kind.LAPSE],
        ranks,
        first[Kind.EXPIRY] + second[Kind.EXPIRY],
        matched,
        notices,
        forgotten,
        renewed,
        asked,
        offered,
        erased,
    )


async def _age(engine: Engine, now: datetime, job: str, progress: Progress) -> dict[Kind, int]:
    """Catch up the ledgers with due lots; returns the points moved by kind of transfer."""
    moved = dict.fromkeys((Kind.ACTIVATION, Kind.LAPSE, Kind.EXPIRY), 0)
    due = await store.due_holders(now, pending=job == "activate")
    progress(job, 0, len(due))
    batches = iter([due[start : start + BATCH] for start in range(0, len(due), BATCH)])
    done = 0

    async def work() -> None:
        nonlocal done
        for holders in batches:
            async with transaction() as connection:
                batch = await _age_some(connection, engine, holders, now, job)
            for ledger in batch.ledgers.values():
                for transfer in ledger.transfers:
                    if transfer.kind in moved:
                        moved[Kind(transfer.kind)] += transfer.amount
            done += len(holders)
            progress(job, done, len(due))

    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_AT_ONCE):
                tasks.create_task(work())
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return moved


async def _age_some(
    connection: Connection, engine: Engine, holders: Sequence[int], now: datetime, job: str
) -> Batch:
    locked = await lock_holders(connection, holders)
    batch = Batch(engine.rulebook, now, historical=False, tips=locked)
    lots = await due_lots(connection, holders, now)
    keys = sorted({key for key, _ in lots})
    for ledger in await ledgers(connection, keys):
        batch.ledgers[ledger.holder, ledger.currency] = ledger
    for key, lot in lots:
        batch.ledgers[key].lots.append(lot)
    currencies: dict[int, list[int]] = {}
    for holder, currency in keys:
        currencies.setdefault(holder, []).append(currency)
    events = await engine.ids.take(len(currencies))
    content = orjson.dumps({"v": FORMAT, "j": job})
    digest = hashlib.blake2b(content, digest_size=16).digest()
    for event, (holder, some) in zip(events, currencies.items(), strict=True):
        posting = Posting(batch, EventKind.NIGHT, event, holder, PROGRAMME, now)
        for currency in some:
            posting.ledger(currency, expiring=job == "expire")
        name = f"{job}:{holder}:{posting.cause.booked_at.isoformat()}"
        posting.seal(content, digest, name)
    await write(connection, batch)
    return batch
