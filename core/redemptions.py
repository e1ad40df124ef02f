"""Redemption: points for a reward or for money off, at once or held with a time limit.

Lots are allocated once, when the points leave the active balance; a hold is then confirmed,
cancelled or times out, and a cancelled one gives back to the lots it took from. Every call takes
an idempotency key: sent again it answers with the first outcome.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple

import orjson

from core.db import Connection, Row, transaction
from core.eligibility import needed_rank
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotEligible,
    UnknownReference,
    WrongState,
)
from core.events import EventKind
from core.folding import FORMAT, Batch, Posting
from core.ledger import Account, Kind
from core.posting import Engine, write
from core.purchases import check_text, find_partner
from core.rulebook import CurrencyTerms, PartnerTerms, RewardTerms
from core.store import posting as rows
from core.store import redemptions as store
from core.store.lots import lots_taken, open_lots
from laurels.durations import Duration
from laurels.money import Money
from laurels.policies import Activity

#: Held points don't expire and held stock is nobody else's: so a hold is short.
LONGEST_HOLD = timedelta(days=31)
_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # none that a person reads as another


class Status(IntEnum):
    """Where a redemption stands; the numbers are stored."""

    HELD = 1
    COMPLETED = 2
    CANCELLED = 3
    TIMED_OUT = 4


@dataclass(frozen=True, slots=True)
class RedeemRequest:
    """What is asked for. `currency` may stay None where the reward has one price only."""

    caller: str
    key: str
    partner: str
    holder: int
    reward: str
    currency: str | None = None
    hold: Duration | None = None


class Taken(NamedTuple):
    """What is to be taken, and for what: a reward, or money off by a redeem rule."""

    reward: int | None
    rule: str | None
    points: int
    worth: Money | None


@dataclass(frozen=True, slots=True)
class Redemption:
    """A redemption as it stands: a reward was taken, or part of a bill paid by a redeem rule.

    `code` is what the member shows at the till.
    """

    id: int
    holder: int
    partner: int
    reward: int | None
    rule: str | None
    currency: int
    points: int
    worth: Money | None
    status: Status
    code: str
    requested_at: datetime
    hold_until: datetime | None
    settled_at: datetime | None
    replayed: bool = False


async def redeem(engine: Engine, request: RedeemRequest, now: datetime) -> Redemption:
    """Take a reward for points. Raises UnknownReference, BadInput, NotEligible or
    IdempotencyConflict; then nothing was booked.
    """
    check_text(request.key, "key", 255, least=1)
    for name in ("partner", "reward", "currency"):
        check_text(getattr(request, name) or "", name, 1000)
    # Of what was sent, before it is judged: a first outcome outlives the reward it was for.
    asked = digest(
        "redeem", request.partner, request.holder, request.reward, request.currency, request.hold
    )
    async with transaction() as connection:
        new, event = await engine.ids.take(connection, 2)
        before = await store.claim_key(
            connection, request.caller, request.key, asked, (request.holder, new), now
        )
        if before is not None:
            return await first_outcome(connection, asked, before)
        partner = find_partner(engine.rulebook, request.partner)
        reward, currency = _priced(partner, request)
        batch = await open_holder(connection, engine, request.holder, now)
        _check_tier(batch, reward, request.holder, now)
        batch.place(await open_lots(connection, [request.holder], [currency.id]))
        price, worth = reward.reward.prices[currency.code], reward.reward.worth
        taken = Taken(reward.id, None, price, None if worth is None else Money.parse(worth))
        redemption, seq = debit(
            batch, partner, request.holder, currency.id, taken, request.hold, (new, event), now
        )
        await book(connection, batch)
        piece = None
        if reward.reward.stock is not None:
            piece = await store.take_stock(connection, reward.id)
            if piece is None:
                raise NotEligible(f"'{reward.reward.title}' is out of stock", "reward")
        await store.add(connection, as_row(redemption, seq, piece))
        return redemption


async def confirm(
    engine: Engine, holder: int, redemption: int, caller: str, key: str, now: datetime
) -> Redemption:
    """The reward was handed over: what was held is redeemed. Raises WrongState after its time."""
    return await _close(engine, holder, redemption, Status.COMPLETED, (caller, key), now)


async def cancel(
    engine: Engine, holder: int, redemption: int, caller: str, key: str, now: datetime
) -> Redemption:
    """The hold is off: points go back to the lots they came from, stock to the shelf."""
    return await _close(engine, holder, redemption, Status.CANCELLED, (caller, key), now)


async def time_out(engine: Engine, now: datetime, limit: int = 500) -> int:
    """Release holds whose time has run out; returns how many. Safe to run twice, or late."""
    overdue = await store.overdue(now, limit)
    for holder, redemption in overdue:
        await _close(engine, holder, redemption, Status.TIMED_OUT, None, now)
    return len(overdue)


def _priced(partner: PartnerTerms, request: RedeemRequest) -> tuple[RewardTerms, CurrencyTerms]:
    reward = partner.rewards.get(request.reward)
    if reward is None:
        raise UnknownReference(f"{partner.name} offers no reward '{request.reward[:64]}'", "reward")
    prices = [c for c in reward.reward.prices if c in partner.accepts]
    code = request.currency or (prices[0] if len(prices) == 1 else None)
    if code is None:
        raise BadInput(f"choose a currency: {', '.join(prices) or 'none is accepted'}", "currency")
    if code not in prices:
        raise BadInput(f"'{reward.reward.title}' isn't to be had for {code[:64]}", "currency")
    return reward, partner.accepts[code]


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


async def open_holder(connection: Connection, engine: Engine, holder: int, now: datetime) -> Batch:
    """Lock a holder and load what a fold needs of it."""
    locked = await store.lock_holder(connection, holder)
    if locked is None:
        raise UnknownReference("no such member", "member")
    batch = Batch(engine.rulebook, now, historical=False, booked={holder: locked[1]})
    batch.take(await rows.load(connection, {holder: (now, now)}, [], engine.rulebook.reaches, 0))
    return batch


def _check_tier(batch: Batch, reward: RewardTerms, holder: int, now: datetime) -> None:
    needed = needed_rank(batch.rulebook, reward)
    if needed is None:
        return
    ladder = batch.rulebook.ladders.get(needed[0])
    if ladder is None or batch.standing(holder, ladder).rank_at(now) < needed[1]:
        raise NotEligible(f"'{reward.reward.title}' is for tier {needed[2]} and above", "reward")


def debit(
    batch: Batch,
    partner: PartnerTerms,
    holder: int,
    currency: int,
    taken: Taken,
    hold: Duration | None,
    ids: tuple[int, int],
    now: datetime,
) -> tuple[Redemption, int]:
    """Take points from a loaded ledger, at once or into a hold; raises NotEligible if too few.

    `ids` are the redemption's and the event's. Returns the debit's seq with the redemption.
    """
    kind = EventKind.REDEMPTION if hold is None else EventKind.RESERVATION
    until = None if hold is None else hold.after(now, partner.time_zone)
    if until is not None and until > now + LONGEST_HOLD:
        raise BadInput(f"a hold lasts at most {LONGEST_HOLD.days} days", "hold")
    posting = Posting(batch, kind, ids[1], holder, partner.id, now)
    ledger = posting.ledger(currency)
    target = Account.REDEEMED if hold is None else Account.RESERVED
    what = Kind.REDEMPTION if hold is None else Kind.RESERVATION
    seq = ledger.debit(posting.cause, what, target, taken.points)
    if seq is None:
        missing = taken.points - ledger.spendable(now)
        raise NotEligible(f"{missing} more points are needed", "reward")
    ledger.slide(posting.cause, Activity.SPENDING, now)
    worth = (0, "") if taken.worth is None else (taken.worth.minor, taken.worth.currency)
    seal(posting, ids[0], [taken.reward or 0, taken.points, taken.rule or "", *worth])
    return Redemption(
        ids[0], holder, partner.id, taken.reward, taken.rule, currency,
        taken.points, taken.worth, Status.COMPLETED if hold is None else Status.HELD,
        "".join(secrets.choice(_CODE_LETTERS) for _ in range(10)),
        now, until, now if hold is None else None,
    ), seq  # fmt: skip


def seal(posting: Posting, redemption: int, facts: Sequence[int | str]) -> None:
    """Seal a posting on a redemption: its event is named by the redemption's id."""
    content = orjson.dumps({"v": FORMAT, "r": [redemption, *facts]})
    posting.seal(content, digest(posting.kind, redemption, *facts), str(redemption))


_EVENTS = {
    Status.COMPLETED: EventKind.CONFIRMATION,
    Status.CANCELLED: EventKind.CANCELLATION,
    Status.TIMED_OUT: EventKind.TIME_OUT,
}


async def _close(
    engine: Engine,
    holder: int,
    redemption: int,
    status: Status,
    request: tuple[str, str] | None,
    now: datetime,
) -> Redemption:
    async with transaction() as connection:
        (event,) = await engine.ids.take(connection, 1)
        if request is not None:
            check_text(request[1], "key", 255, least=1)
            asked = digest(status, holder, redemption)
            before = await store.claim_key(connection, *request, asked, (holder, redemption), now)
            if before is not None:
                return await first_outcome(connection, asked, before)
        batch = await open_holder(connection, engine, holder, now)
        row = await store.get(connection, holder, redemption)
        if row is None:
            raise UnknownReference("no such redemption", "redemption")
        found = from_row(row)
        if status is Status.TIMED_OUT and found.status is not Status.HELD:
            return found  # settled between the look and the lock: nothing left to do
        _check_held(found, status, now)
        await _settle(connection, batch, row, status, event, now)
        return replace(found, status=status, settled_at=now)


def _check_held(found: Redemption, status: Status, now: datetime) -> None:
    if found.status is not Status.HELD:
        state = found.status.name.lower().replace("_", " ")
        raise WrongState(f"it is {state} already", "redemption")
    if status is Status.COMPLETED and found.hold_until is not None and found.hold_until <= now:
        raise WrongState("its time has run out; redeem again", "redemption")


async def _settle(
    connection: Connection, batch: Batch, row: Row, status: Status, event: int, now: datetime
) -> None:
    found = from_row(row)
    piece, seq = row[10], row[11]
    taken = await lots_taken(connection, found.holder, found.currency, seq)
    batch.place(await open_lots(connection, [found.holder], [found.currency]))
    batch.place(((found.holder, found.currency), lot) for lot, _ in taken)
    posting = Posting(batch, _EVENTS[status], event, found.holder, found.partner, now)
    ledger = posting.ledger(found.currency)
    if status is Status.COMPLETED:
        ledger.settle_reserved(posting.cause, found.points)
    else:
        back = [(lot.seq, points) for lot, points in taken]
        ledger.give_back(posting.cause, Kind.RELEASE, Account.RESERVED, back, now)
    seal(posting, found.id, [found.points])
    await book(connection, batch)
    await store.settle(connection, found.holder, found.id, status, now)
    if status is not Status.COMPLETED and piece is not None and found.reward is not None:
        await store.return_stock(connection, found.reward, piece)


async def book(connection: Connection, batch: Batch) -> None:
    """Write a batch of redemptions."""
    for event in batch.writes.events:
        batch.relations.setdefault((event.holder, event.partner), (0, event.occurred_at))
        batch.dealt.add((event.holder, event.partner))
    await write(connection, batch)


def as_row(r: Redemption, seq: int, piece: int | None) -> tuple[object, ...]:
    """As `store.add` takes it: with the debit's seq and the slice of stock."""
    worth = (None, None) if r.worth is None else (r.worth.minor, r.worth.currency)
    return (
        r.holder, r.id, r.partner, r.reward, r.rule, r.currency, r.points, *worth, int(r.status),
        piece, seq, r.code, r.requested_at, r.hold_until, r.settled_at,
    )  # fmt: skip


def from_row(row: Row, *, replayed: bool = False) -> Redemption:
    """A stored redemption; see `store` for the columns."""
    worth = None if row[7] is None else Money(row[7], row[8])
    return Redemption(
        row[1], row[0], row[2], row[3], row[4], row[5], row[6], worth, Status(row[9]), row[12],
        row[13], row[14], row[15], replayed,
    )  # fmt: skip
