"""Redemption: points for a reward or for money off, at once or held with a time limit.

Lots are allocated once, when the points leave the active balance; a hold is then confirmed,
cancelled or times out, and a cancelled one gives back to the lots it took from. Every call takes
an idempotency key: sent again it answers with the first outcome. Taking back what was completed
is `core.reversals`'.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime

from core import vouchers
from core.db import Connection, transaction
from core.eligibility import needed_rank
from core.entries import Account, Kind
from core.errors import BadInput, NotEligible, UnknownReference, WrongState
from core.events import EventKind
from core.folding import MOST_HELD, Batch, Posting
from core.posting import Engine, write
from core.pricing import (
    MOST_PIECES,
    RedeemRequest,
    Taken,
    check_order,
    hold_of,
    priced,
    taken_for,
)
from core.purchases import check_text, find_partner
from core.redeemed import Redemption, Status, as_row
from core.rulebook import CurrencyTerms, PartnerTerms, RewardTerms
from core.settling import (
    digest,
    find,
    first_outcome,
    fold,
    open_holders,
    seal,
    settled_already,
    taken_lots,
)
from core.store import fulfilments
from core.store import redemptions as store
from core.store.lots import open_lots
from laurels.durations import Duration
from laurels.policies import Renewal
from laurels.rewards import LONGEST_HOLD

#: As many holds as a member has at once: whatever moves its points next may have to end them all.
MOST_HOLDS = 100


class _OutOfStock(NotEligible):
    """None of a reward is left, or none that isn't held."""

    def __init__(self, title: str, reward: int | None) -> None:
        super().__init__(f"'{title}' is out of stock", "reward")
        self.reward = reward


#: Told of a redemption within its transaction, of a first outcome too; what it raises undoes it.
Note = Callable[[Connection, Redemption], Awaitable[None]]


async def redeem(
    engine: Engine, request: RedeemRequest, now: datetime, note: Note | None = None
) -> Redemption:
    """Take a reward for points. Raises UnknownReference, BadInput, NotEligible or
    IdempotencyConflict; then nothing was booked.

    What others hold beyond its time is on the shelf again, be that booked or not.
    """
    try:
        return await _redeem(engine, request, now, note)
    except _OutOfStock as out:
        if not await time_out(engine, now, reward=out.reward):
            raise
        return await _redeem(engine, request, now, note)


async def _redeem(
    engine: Engine, request: RedeemRequest, now: datetime, note: Note | None
) -> Redemption:
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
            done = await first_outcome(connection, asked, before)
            if note is not None:
                await note(connection, done)
            return done
        partner = find_partner(engine.rulebook, request.partner)
        reward, currency = priced(partner, request)
        if request.order is not None:
            await store.lock_orders(connection, [(partner.id, request.order)])
        batch = await opened(connection, engine, request.holder, now)
        batch.place(await open_lots(connection, [request.holder], [currency.id]))
        done = take(batch, partner, reward, currency, request, (new, event), now)
        done = await write_down(connection, batch, done, event, reward.reward.title)
        if reward.reward.fulfilled is not None:
            await fulfilments.add(connection, done)
        if note is not None:
            await note(connection, done)
        return done


def take(
    batch: Batch,
    partner: PartnerTerms,
    reward: RewardTerms,
    currency: CurrencyTerms,
    request: RedeemRequest,
    ids: tuple[int, int],
    now: datetime,
) -> Redemption:
    """Take a reward's points from a loaded ledger: see `debit`. A tier may be wanting, too."""
    _check_tier(batch, reward, request.holder, now)
    taken = taken_for(partner, reward, currency, request)
    return debit(batch, partner, request.holder, taken, hold_of(reward, request), ids, now)


async def confirm(
    engine: Engine, holder: int, redemption: int, caller: str, key: str, now: datetime
) -> Redemption:
    """The reward was handed over: what was held is redeemed. Raises WrongState after its time."""
    return await _close(engine, holder, redemption, Status.COMPLETED, (caller, key), now)


async def cancel(
    engine: Engine, holder: int, redemption: int, caller: str, key: str, now: datetime
) -> Redemption:
    """The hold is off: points go back to the lots they came from, stock to the shelf.

    Raises WrongState after its time: they are back already.
    """
    return await _close(engine, holder, redemption, Status.CANCELLED, (caller, key), now)


async def time_out(engine: Engine, now: datetime, *, reward: int | None = None) -> int:
    """Release holds whose time has run out (of who holds this reward), member by member.

    Returns how many.

    Safe to run late: what is released is dated when its time ran out.
    """
    ended = 0
    failed: list[Exception] = []
    for holder in await store.overdue(now, reward):
        try:
            async with transaction() as connection:
                batch = await open_holders(connection, engine.rulebook, engine.ids, [holder], now)
                await write(connection, batch)
                ended += len(batch.writes.settled)
        except Exception as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return ended


async def opened(
    connection: Connection, engine: Engine, holder: int, now: datetime, *, living: bool = True
) -> Batch:
    """A batch with this holder alone, locked and loaded. Raises UnknownReference.

    Nothing begins for one that was erased; what had begun ends (not `living`).
    """
    batch = await open_holders(
        connection, engine.rulebook, engine.ids, [holder], now, living=living
    )
    if holder not in batch.tips:
        raise UnknownReference("no such member", "member")
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
    if until is not None and not now < until <= now + LONGEST_HOLD:
        raise BadInput(
            f"a hold ends later than it begins, {LONGEST_HOLD.days} days at most", "hold"
        )
    posting = Posting(batch, kind, ids[1], holder, partner.id, now)
    ledger = posting.ledger(taken.currency)
    target = Account.REDEEMED if hold is None else Account.RESERVED
    what = Kind.REDEMPTION if hold is None else Kind.RESERVATION
    seq = ledger.debit(posting.cause, what, target, taken.points)
    if seq is None:
        missing = taken.points - ledger.spendable(now)
        raise NotEligible(f"{missing} more points are needed", "reward")
    ledger.slide(posting.cause, Renewal.SPENDING, now)
    done = Redemption(
        ids[0], holder, partner.id, taken.reward, taken.rule, taken.currency, taken.quantity,
        taken.points, taken.worth, taken.cash,
        Status.COMPLETED if hold is None else Status.HELD, taken.stocked, taken.pooled, seq,
        taken.order, taken.reversible, now, until, now if hold is None else None,
    )  # fmt: skip
    seal(posting, done.id, done.facts, _issue(posting, taken, now))
    batch.relations.setdefault((holder, partner.id), 0)
    batch.dealt.add((holder, partner.id))
    return done


def _issue(posting: Posting, taken: Taken, now: datetime) -> list[tuple[int, int]]:
    """Credit what is made of the points taken: (currency, points). Raises NotEligible."""
    for terms, points in taken.made:
        ledger = posting.ledger(terms.id)
        if ledger.active + ledger.reserved + ledger.pending + points > MOST_HELD:
            raise NotEligible(f"a ledger can't hold {points} more {terms.code}", "reward")
        ledger.credit(posting.cause, points, None, terms.terms, now)
    return [(terms.id, points) for terms, points in taken.made]


async def write_down(
    connection: Connection, batch: Batch, done: Redemption, event: int, title: str
) -> Redemption:
    """Write a redemption that was folded into a batch, as `write_all` does; returns it."""
    (written,) = await write_all(connection, batch, [(done, event, title)])
    return written


async def write_all(
    connection: Connection, batch: Batch, folded: Sequence[tuple[Redemption, int, str]]
) -> list[Redemption]:
    """Write redemptions of one member and order that were folded into a batch; with their codes.

    Each has its event and its reward's title. Raises NotEligible where codes or stock have run out,
    or the order was cancelled: nothing else would give these points back. The stock comes last, and
    in the rewards' order: who wants the same waits for the commit.
    """
    folded = sorted(folded, key=lambda x: (x[0].reward or 0, x[0].id))
    first = folded[0][0]
    if first.order is not None and await store.cancelled(connection, first.partner, first.order):
        raise NotEligible("this order was cancelled", "order")
    back = [(x.holder, x.redemption) for x in batch.writes.settled if x.restock]
    stocked = [done.reward for done, _, _ in folded if done.stocked and done.reward is not None]
    if back and stocked:
        await store.lock_shelves(connection, stocked, back)
    await write(connection, batch)
    new = sum(done.status is Status.HELD for done, _, _ in folded)
    held = await store.held_by(connection, first.holder) if new else 0
    if held + new > MOST_HOLDS:
        raise NotEligible(f"{held} are held already: confirm or cancel some first", "hold")
    return [await _written(connection, *one) for one in folded]


async def _written(connection: Connection, done: Redemption, event: int, title: str) -> Redemption:
    codes = await vouchers.issue(connection, done)
    await store.add(connection, as_row(done))
    of = (done.holder, done.id)
    if codes is None or (
        done.stocked
        and done.reward is not None
        and not await store.take_stock(connection, done.reward, done.quantity, event, of)
    ):
        raise _OutOfStock(title, done.reward)
    return replace(done, codes=codes)


async def _close(
    engine: Engine,
    holder: int,
    redemption: int,
    status: Status,
    request: tuple[str, str],
    now: datetime,
) -> Redemption:
    check_text(request[1], "key", 255, least=1)
    async with transaction() as connection:
        (event,) = await engine.ids.take(1)
        asked = digest(status, holder, redemption)
        before = await store.claim_key(connection, *request, asked, (holder, redemption), now)
        if before is not None:
            return await first_outcome(connection, asked, before)
        batch = await opened(connection, engine, holder, now, living=False)
        found = await find(connection, holder, redemption)
        check_held(found, now)
        if status is Status.COMPLETED and await fulfilments.undecided(connection, found):
            raise WrongState("it waits to be approved", "redemption")
        taken = await taken_lots(connection, batch, [found])
        fold(batch, found, taken, status, event, now)
        await write(connection, batch)
        return await find(connection, holder, redemption)


def check_held(found: Redemption, now: datetime) -> None:
    """Raise WrongState where it isn't held, or no longer."""
    if found.status is not Status.HELD:
        raise settled_already(found)
    check_in_time(found, now)


def check_in_time(found: Redemption, now: datetime) -> None:
    """Raise WrongState where a hold has run out, also where nobody has booked that yet."""
    over = found.hold_until is not None and found.hold_until <= now
    if over and found.status is Status.HELD:
        raise WrongState("its time has run out, and its points are free again", "redemption")
