"""Redemption: points for a reward or for money off, at once or held with a time limit.

Lots are allocated once, when the points leave the active balance; a hold is then confirmed,
cancelled or times out, and a cancelled one gives back to the lots it took from. Every call takes
an idempotency key: sent again it answers with the first outcome. Taking back what was completed
is `core.reversals`'.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import orjson

from core import vouchers
from core.db import Connection, transaction
from core.eligibility import needed_rank
from core.entries import Account, Kind, Lot
from core.errors import BadInput, IdempotencyConflict, NotEligible, UnknownReference, WrongState
from core.events import EventKind
from core.folding import FORMAT, Batch, Posting
from core.posting import Engine, write
from core.purchases import check_text, find_partner
from core.redeemed import Redemption, Settled, Status, as_row, from_row
from core.rulebook import CurrencyTerms, PartnerTerms, RewardTerms
from core.store import posting as rows
from core.store import redemptions as store
from core.store.lots import open_lots
from laurels.durations import Duration
from laurels.money import Money
from laurels.policies import Activity
from laurels.rewards import CodeSource

__all__ = [  # the noun's module: what a redemption is, too, is asked of it
    "RedeemRequest", "Redemption", "Status", "Taken", "book", "cancel", "confirm", "debit",
    "digest", "first_outcome", "fold", "from_row", "open_holder", "redeem",
    "taken_lots", "time_out", "write_down",
]  # fmt: skip

#: Held points don't expire and held stock is nobody else's: so a hold is short.
LONGEST_HOLD = timedelta(days=31)
#: As many pieces of a reward as one redemption takes.
MOST_PIECES = 100


@dataclass(frozen=True, slots=True)
class RedeemRequest:
    """What is asked for. `currency` may stay None where the reward has one price only.

    `order` is the external id of the purchase that it comes with: cancelled, it goes back too.
    """

    caller: str
    key: str
    partner: str
    holder: int
    reward: str
    currency: str | None = None
    hold: Duration | None = None
    quantity: int = 1
    order: str | None = None


class Taken(NamedTuple):
    """What is to be taken, and for what: pieces of a reward, or money off by a redeem rule."""

    reward: int | None
    rule: str | None
    currency: int
    quantity: int
    points: int
    worth: Money | None
    cash: Money | None
    reversible: str | None
    order: str | None
    stocked: bool = False
    pooled: bool = False


async def redeem(engine: Engine, request: RedeemRequest, now: datetime) -> Redemption:
    """Take a reward for points. Raises UnknownReference, BadInput, NotEligible or
    IdempotencyConflict; then nothing was booked.
    """
    check_text(request.key, "key", 255, least=1)
    for name in ("partner", "reward", "currency"):
        check_text(getattr(request, name) or "", name, 1000)
    check_order(request.order)
    if not 1 <= request.quantity <= MOST_PIECES:
        raise BadInput(f"from 1 to {MOST_PIECES} pieces at once", "quantity")
    # Of what was sent, before it is judged: a first outcome outlives the reward it was for.
    asked = digest(
        "redeem", request.partner, request.holder, request.reward, request.currency, request.hold,
        request.quantity, request.order,
    )  # fmt: skip
    async with transaction() as connection:
        new, event = await engine.ids.take(2)
        before = await store.claim_key(
            connection, request.caller, request.key, asked, (request.holder, new), now
        )
        if before is not None:
            return await first_outcome(connection, asked, before)
        partner = find_partner(engine.rulebook, request.partner)
        reward, currency = _priced(partner, request)
        if request.order is not None:
            await store.lock_orders(connection, [(partner.id, request.order)])
        batch = await open_holder(connection, engine, request.holder, now)
        _check_tier(batch, reward, request.holder, now)
        batch.place(await open_lots(connection, [request.holder], [currency.id]))
        taken = _taken(reward, currency, request)
        done = debit(batch, partner, request.holder, taken, request.hold, (new, event), now)
        return await write_down(connection, batch, done, event, reward.reward.title)


def check_order(order: str | None) -> None:
    """Raise BadInput where an order's external id is none."""
    if order is not None:
        check_text(order, "order", 200, least=1)


def _taken(reward: RewardTerms, currency: CurrencyTerms, request: RedeemRequest) -> Taken:
    terms, n = reward.reward, request.quantity
    return Taken(
        reward.id, None, currency.id, n, n * terms.prices[currency.code], _times(n, terms.worth),
        _times(n, terms.cash), terms.reversible, request.order, terms.stock is not None,
        terms.codes is CodeSource.POOL,
    )  # fmt: skip


def _times(quantity: int, money: str | None) -> Money | None:
    if money is None:
        return None
    one = Money.parse(money)
    return Money(quantity * one.minor, one.currency)


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
    """Release holds whose time has run out, each on its own; returns how many. Safe to run late."""
    overdue = await store.overdue(now, limit)
    failed: list[Exception] = []
    for holder, redemption in overdue:
        try:
            await _close(engine, holder, redemption, Status.TIMED_OUT, None, now)
        except Exception as error:
            failed.append(error)
    if failed:
        raise failed[0]
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
    locked = await rows.lock_holders(connection, [holder])
    if not locked:
        raise UnknownReference("no such member", "member")
    batch = Batch(engine.rulebook, now, historical=False, tips=locked)
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
    taken: Taken,
    hold: Duration | None,
    ids: tuple[int, int],
    now: datetime,
) -> Redemption:
    """Take points from a loaded ledger, at once or into a hold; raises NotEligible if too few.

    `ids` are the redemption's and the event's. The redemption has no codes yet.
    """
    kind = EventKind.REDEMPTION if hold is None else EventKind.RESERVATION
    until = None if hold is None else hold.after(now, partner.time_zone)
    if until is not None and until > now + LONGEST_HOLD:
        raise BadInput(f"a hold lasts at most {LONGEST_HOLD.days} days", "hold")
    posting = Posting(batch, kind, ids[1], holder, partner.id, now)
    ledger = posting.ledger(taken.currency)
    target = Account.REDEEMED if hold is None else Account.RESERVED
    what = Kind.REDEMPTION if hold is None else Kind.RESERVATION
    seq = ledger.debit(posting.cause, what, target, taken.points)
    if seq is None:
        missing = taken.points - ledger.spendable(now)
        raise NotEligible(f"{missing} more points are needed", "reward")
    ledger.slide(posting.cause, Activity.SPENDING, now)
    done = Redemption(
        ids[0], holder, partner.id, taken.reward, taken.rule, taken.currency, taken.quantity,
        taken.points, taken.worth, taken.cash,
        Status.COMPLETED if hold is None else Status.HELD, taken.stocked, taken.pooled, seq,
        taken.order, taken.reversible, now, until, now if hold is None else None,
    )  # fmt: skip
    seal(posting, done.id, done.facts)
    return done


async def write_down(
    connection: Connection, batch: Batch, done: Redemption, event: int, title: str
) -> Redemption:
    """Write a redemption that was folded into a batch; returns it with its codes.

    Raises NotEligible where codes or stock have run out, or its order was cancelled: nothing else
    would give these points back. The stock comes last: who wants the same waits for the commit.
    """
    if done.order is not None and await store.cancelled(connection, done.partner, done.order):
        raise NotEligible("this order was cancelled", "order")
    await book(connection, batch)
    codes = await vouchers.issue(connection, done)
    await store.add(connection, as_row(done))
    of = (done.holder, done.id)
    if codes is None or (
        done.stocked
        and done.reward is not None
        and not await store.take_stock(connection, done.reward, done.quantity, event, of)
    ):
        raise NotEligible(f"'{title}' is out of stock", "reward")
    return replace(done, codes=codes)


def seal(posting: Posting, redemption: int, facts: Sequence[int | str]) -> None:
    """Seal a posting on a redemption: its event is named by the redemption's id."""
    content = orjson.dumps({"v": FORMAT, "r": [redemption, *facts]})
    posting.seal(content, digest(posting.kind, redemption, *facts), str(redemption))


_EVENTS = {
    Status.COMPLETED: EventKind.CONFIRMATION,
    Status.CANCELLED: EventKind.CANCELLATION,
    Status.TIMED_OUT: EventKind.TIME_OUT,
    Status.REVERSED: EventKind.REVERSAL,
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
        (event,) = await engine.ids.take(1)
        if request is not None:
            check_text(request[1], "key", 255, least=1)
            asked = digest(status, holder, redemption)
            before = await store.claim_key(connection, *request, asked, (holder, redemption), now)
            if before is not None:
                return await first_outcome(connection, asked, before)
        batch = await open_holder(connection, engine, holder, now)
        found = await find(connection, holder, redemption)
        if status is Status.TIMED_OUT and found.status is not Status.HELD:
            return found  # settled between the look and the lock: nothing left to do
        _check_held(found, status, now)
        taken = await taken_lots(connection, batch, [found])
        fold(batch, found, taken, status, event, now)
        await book(connection, batch)
        return await find(connection, holder, redemption)


async def find(connection: Connection, holder: int, redemption: int) -> Redemption:
    """A redemption as it stands. Raises UnknownReference."""
    row = await store.get(connection, holder, redemption)
    if row is None:
        raise UnknownReference("no such redemption", "redemption")
    return from_row(row)


def _check_held(found: Redemption, status: Status, now: datetime) -> None:
    if found.status is not Status.HELD:
        raise settled_already(found)
    if status is Status.COMPLETED and found.hold_until is not None and found.hold_until <= now:
        raise WrongState("its time has run out; redeem again", "redemption")


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
) -> Redemption:
    """Book in memory what became of a redemption, as a posting of its own.

    A confirmation redeems what was held; every other end gives points back to their lots, and the
    stock to its shelf unless it is written off.
    """
    posting = Posting(batch, _EVENTS[status], event, found.holder, found.partner, now)
    ledger = posting.ledger(found.currency)
    back = [(lot.seq, points) for lot, points in taken[found.id]]
    facts: list[int | str] = [found.points]
    if status is Status.COMPLETED:
        ledger.settle_reserved(posting.cause, found.points)
    elif status is Status.REVERSED:
        ledger.give_back(posting.cause, Kind.REVERSAL, Account.REDEEMED, back, now)
        facts += [reason or "", int(write_off)]
    else:
        ledger.give_back(posting.cause, Kind.RELEASE, Account.RESERVED, back, now)
    seal(posting, found.id, facts)
    batch.writes.settled.append(
        Settled(
            found.holder, found.id, event, status, now, reason, write_off,
            found.stocked and status is not Status.COMPLETED,
        )
    )  # fmt: skip
    if status is Status.REVERSED:
        return replace(found, status=status, reversed_at=now, reason=reason, written_off=write_off)
    return replace(found, status=status, settled_at=now)


async def book(connection: Connection, batch: Batch) -> None:
    """Write a batch of redemptions."""
    for event in batch.writes.events:
        batch.relations.setdefault((event.holder, event.partner), 0)
        batch.dealt.add((event.holder, event.partner))
    await write(connection, batch)
