"""What becomes of a redemption: its lots loaded, its end folded into a batch, sealed and written.

For whatever ends one: its hold, a reversal, the cancel of its order. Knows no request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import orjson

from core.db import Connection
from core.decisions import FORMAT
from core.entries import Account, Kind, Lot
from core.errors import IdempotencyConflict, UnknownReference, WrongState
from core.events import EventKind
from core.folding import Batch, Posting
from core.redeemed import Redemption, Settled, Status, from_row
from core.rulebook import Rulebook
from core.store import posting as rows
from core.store import redemptions as store
from core.store.ids import Ids
from core.store.lots import earned_lots, open_lots
from laurels.policies import Returns


def digest(*parts: object) -> bytes:
    """16 bytes by which a request, or what a redemption's event says, is told from another."""
    return hashlib.blake2b(orjson.dumps([str(p) for p in parts]), digest_size=16).digest()


async def first_outcome(
    connection: Connection, asked: bytes, before: tuple[bytes, list[int]]
) -> Redemption:
    """What a key was used for before. Raises IdempotencyConflict where that was something else."""
    if before[0] != asked:
        raise IdempotencyConflict("this key was used before for another request", "key")
    row = await store.get(connection, before[1][0], before[1][1])
    assert row is not None
    return from_row(row, replayed=True)


async def open_holders(
    connection: Connection,
    rulebook: Rulebook,
    ids: Ids,
    holders: Sequence[int],
    now: datetime,
    *,
    living: bool = False,
) -> Batch:
    """Lock holders and load what a fold needs of them; what they held too long is let go.

    Of the `living` alone, if so wanted: who was erased isn't there.
    """
    locked = await rows.lock_holders(connection, holders, living=living)
    batch = Batch(rulebook, now, historical=False, tips=locked)
    spans = dict.fromkeys(locked, (now, now))
    batch.take(await rows.load(connection, spans, [], rulebook.reaches, 0))
    await end_holds(connection, ids, batch)
    return batch


async def end_holds(connection: Connection, ids: Ids, batch: Batch) -> None:
    """Let go what is held beyond its time by those who are loaded into a batch, before all else.

    Whatever moves a member's points does so: or the books would tell when a job ran. Each is a
    posting of its own, dated when its time ran out, in that order.
    """
    holders = sorted({holder for (holder, _), ledger in batch.ledgers.items() if ledger.reserved})
    if not holders:
        return
    overdue = [from_row(row) for row in await store.overdue_of(connection, holders, batch.now)]
    if not overdue:
        return
    taken = await taken_lots(connection, batch, overdue)
    for redemption, event in zip(overdue, await ids.take(len(overdue)), strict=True):
        fold(batch, redemption, taken, Status.TIMED_OUT, event, batch.now)


async def find(connection: Connection, holder: int, redemption: int) -> Redemption:
    """A redemption as it stands. Raises UnknownReference."""
    row = await store.get(connection, holder, redemption)
    if row is None:
        raise UnknownReference("no such redemption", "redemption")
    return from_row(row)


def settled_already(found: Redemption) -> WrongState:
    """The refusal of what is no longer possible."""
    state = found.status.name.lower().replace("_", " ")
    return WrongState(f"it is {state} already", "redemption")


#: Of each redemption, the lots that it took from, with the points taken.
TakenLots = dict[int, list[tuple[Lot, int]]]


async def taken_lots(
    connection: Connection, batch: Batch, redemptions: Sequence[Redemption]
) -> TakenLots:
    """Load what folding an end of these redemptions needs; their holders are locked already."""
    taken = await store.taken_lots(connection, [(r.holder, r.currency, r.seq) for r in redemptions])
    holders = sorted({r.holder for r in redemptions})
    currencies = sorted({r.currency for r in redemptions})
    batch.place(await open_lots(connection, holders, currencies))
    batch.place((key[:2], lot) for key, lots in taken.items() for lot, _ in lots)
    return {r.id: taken[r.holder, r.currency, r.seq] for r in redemptions}


_EVENTS = {
    Status.COMPLETED: EventKind.CONFIRMATION,
    Status.CANCELLED: EventKind.CANCELLATION,
    Status.TIMED_OUT: EventKind.TIME_OUT,
    Status.REVERSED: EventKind.REVERSAL,
}


def fold(
    batch: Batch,
    found: Redemption,
    taken: TakenLots,
    status: Status,
    event: int,
    now: datetime,
    reason: str | None = None,
    *,
    write_off: bool = False,
    made: Sequence[tuple[int, Lot]] = (),
) -> Redemption:
    """Book in memory what became of a redemption, as a posting of its own.

    `made` are the lots, by currency, that it was made into: a reversal takes them, too. Raises
    WrongState where some of that is spent.

    A confirmation redeems what was held; every other end gives points back to their lots, and the
    stock to its shelf unless it is written off. A hold ends when its time runs out, however late
    that is booked, or that it is off is told.
    """
    at = now
    if found.status is Status.HELD and found.hold_until is not None:
        at = min(now, found.hold_until)
    posting = Posting(batch, _EVENTS[status], event, found.holder, found.partner, at)
    # As if it were booked at that instant: what happened since comes after it.
    ledger = posting.ledger(found.currency, at)
    back = [(lot.seq, points) for lot, points in taken[found.id]]
    facts: list[int | str] = [found.points]
    if status is Status.COMPLETED:
        ledger.settle_reserved(posting.cause, found.points)
    elif status is Status.REVERSED:
        ledger.give_back(posting.cause, Kind.REVERSAL, Account.REDEEMED, back)
        facts += [reason or "", int(write_off)]
        _unmake(posting, made)
    else:
        ledger.give_back(posting.cause, Kind.RELEASE, Account.RESERVED, back)
    seal(posting, found.id, facts, [(currency, lot.amount) for currency, lot in made])
    batch.writes.settled.append(
        Settled(
            found.holder, found.id, event, status, at, reason, write_off,
            found.stocked and status is not Status.COMPLETED,
        )
    )  # fmt: skip
    if status is Status.REVERSED:
        return replace(found, status=status, reversed_at=now, reason=reason, written_off=write_off)
    return replace(found, status=status, settled_at=at)


def _unmake(posting: Posting, made: Sequence[tuple[int, Lot]]) -> None:
    for currency, lot in made:
        ledger = posting.ledger(currency)
        if lot.remaining != lot.amount:
            gone = lot.amount - lot.remaining
            raise WrongState(
                f"it was made into {lot.amount} points, of which {gone} are spent or gone",
                "redemption",
            )
        ledger.claw_back(posting.cause, [lot], lot.amount, Returns.WITHIN_BALANCE)


async def made_lots(
    connection: Connection, batch: Batch, found: Redemption
) -> list[tuple[int, Lot]]:
    """The lots, by currency, that a redemption was made into; placed in a batch."""
    event = await store.event_of(connection, (found.holder, found.currency, found.seq))
    placed = await earned_lots(connection, [(found.holder, event)])
    batch.place(placed)
    made = []
    for (holder, currency), lot in placed:
        [own] = [x for x in batch.ledger(holder, currency).lots if x.seq == lot.seq]
        made.append((currency, own))
    return sorted(made, key=lambda each: each[0])


def seal(
    posting: Posting,
    redemption: int,
    facts: Sequence[int | str],
    made: Sequence[tuple[int, int]] = (),
) -> None:
    """Seal a posting on a redemption: its event is named by the redemption's id.

    `made` are the points, by currency, that it was made into, or that were taken back of that.
    """
    told = {"v": FORMAT, "r": [redemption, *facts]}
    content = orjson.dumps({**told, "m": made} if made else told)
    posting.seal(content, digest(posting.kind, redemption, *facts), str(redemption))
