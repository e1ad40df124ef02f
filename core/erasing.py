"""Erasing a member: who it was is forgotten, what was booked stands under an opaque number.

The points that are there lapse at once, by an adjustment to zero with the reason `erased`. What is
pending or held then becomes free later, and lapses in the night after. From that moment on no
identifier leads to the member, tills find nobody, and its tokens open nothing. Which tables are
personal, `core.store.verdicts` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import orjson

from core.adjustments import said
from core.db import Connection, Deadlock, transaction
from core.decisions import FORMAT
from core.entries import Account, Kind
from core.errors import IdempotencyConflict, WrongState
from core.events import EventKind
from core.folding import Batch, Posting
from core.posting import Engine, write
from core.purchases import check_text
from core.redemptions import opened
from core.reviews import PROGRAMME
from core.settling import digest
from core.store import adjustments, members, verdicts
from core.store.adjustments import AdjustmentRow
from core.store.lots import open_lots
from core.store.redemptions import claim_key

#: For what points lapse, and by whom: nobody decided on them.
REASON, ROLE, CALLER = "erased", "programme", "programme:erased"
_TRIES = 5


@dataclass(frozen=True, slots=True)
class EraseRequest:
    """Whom to erase; `caller` with its idempotency key, and a word why, which is kept."""

    caller: str
    key: str
    holder: int
    reason: str


@dataclass(frozen=True, slots=True)
class Erased:
    """When it was done; `replayed`: before this call."""

    holder: int
    at: datetime
    replayed: bool = False


async def erase(engine: Engine, request: EraseRequest, now: datetime) -> Erased:
    """Erase a member, once and for all. Safe to send again.

    Raises BadInput, UnknownReference, or IdempotencyConflict where the key was used otherwise.
    """
    check_text(request.key, "key", 255, least=1)
    check_text(request.reason, "reason", 64, least=1)
    for _ in range(_TRIES):
        try:
            async with transaction() as connection:
                done = await _erase(connection, engine, request, now)
        except Deadlock:  # another goes at this moment to whom something was written, say
            continue
        if done is not None:
            return done
    raise WrongState("the member is being changed at this moment: try again", "member")


async def _erase(
    connection: Connection, engine: Engine, request: EraseRequest, now: datetime
) -> Erased | None:
    """None, with nothing done, where the member gained an identifier meanwhile."""
    holder = request.holder
    known = await members.keys_of(connection, holder)
    # Who enrols by one of them waits, and then finds nobody; or had done so before.
    await members.lock_keys(connection, known)
    if set(await members.keys_of(connection, holder)) != set(known):
        return None
    asked = digest("erase", holder, request.reason)
    before = await claim_key(connection, request.caller, request.key, asked, (holder,), now)
    if before is not None and before[0] != asked:
        raise IdempotencyConflict("this key was used before for another request", "key")
    batch = await opened(connection, engine, holder, now, living=False)
    ended = await verdicts.erased_at(connection, holder)
    if ended is None:
        await _lapse(connection, engine, batch, holder, now)
    # Again, too: what came in beside the lock that is taken here is swept then.
    await verdicts.erase(connection, holder, ended or now)
    return Erased(holder, ended or now, replayed=ended is not None)


async def lapse_left(engine: Engine, now: datetime) -> int:
    """Let lapse what became free of erased members' points since: how many points."""
    lapsed = 0
    failed: list[Exception] = []
    for holder in await verdicts.with_points():
        try:
            async with transaction() as connection:
                batch = await opened(connection, engine, holder, now, living=False)
                lapsed += await _lapse(connection, engine, batch, holder, now)
        except Exception as error:  # of one, which mustn't keep the others from theirs
            failed.append(error)
    if failed:
        raise failed[0]
    return lapsed


async def _lapse(
    connection: Connection, engine: Engine, batch: Batch, holder: int, now: datetime
) -> int:
    """Take what there is, currency by currency, each by an adjustment of its own."""
    own = {c: ledger for (h, c), ledger in batch.ledgers.items() if h == holder}
    held = sorted(c for c, ledger in own.items() if ledger.active or ledger.pending)
    batch.place(await open_lots(connection, [holder], held))
    rows = []
    for event, currency in zip(await engine.ids.take(len(held)), held, strict=True):
        ledger = batch.ledger(holder, currency)
        points = ledger.free(now)
        if points <= 0:
            continue
        posting = Posting(batch, EventKind.ADJUSTMENT, event, holder, PROGRAMME, now)
        ledger = posting.ledger(currency, now)
        seq = ledger.debit(posting.cause, Kind.ADJUSTMENT, Account.ADJUSTED, points)
        assert seq is not None
        row = AdjustmentRow(
            holder, event, now, posting.cause.booked_at, currency, seq, -points, REASON, None,
            False, PROGRAMME, ROLE, CALLER,
        )  # fmt: skip
        facts = said(row)
        content = orjson.dumps({"v": FORMAT, "r": facts})
        posting.seal(content, digest(posting.kind, *facts), str(event))
        rows.append(row)
    await write(connection, batch)
    for row in rows:
        await adjustments.add(connection, row, "")
    return -sum(row.points for row in rows)
