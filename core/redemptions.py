"""Redemption: points for a reward, at once or held with a time limit.

Lots are allocated once, when the points leave the active balance; a hold is then confirmed,
cancelled or times out, and a cancelled one gives back to the lots it took from. Every call takes
an idempotency key: sent again it answers with the first outcome.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

import orjson

from core.db import Connection, Row, transaction
from core.errors import BadInput, IdempotencyConflict, NotEligible, UnknownReference, WrongState
from core.events import EventKind
from core.folding import FORMAT, Batch, seal
from core.ledger import Account, Cause, Kind, Ledger
from core.posting import Engine, span, write
from core.purchases import check_text, find_partner
from core.rulebook import CurrencyTerms, PartnerTerms, RewardTerms, Rulebook
from core.standings import standings
from core.store import posting as rows
from core.store import reads
from core.store import redemptions as store
from laurels.durations import Duration
from laurels.money import Money

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


@dataclass(frozen=True, slots=True)
class Redemption:
    """A redemption as it stands. `code` is what the member shows at the till."""

    id: int
    holder: int
    partner: int
    reward: int
    currency: int
    points: int
    worth: Money | None
    status: Status
    code: str
    requested_at: datetime
    hold_until: datetime | None
    settled_at: datetime | None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whether a member can have a reward now, and what exactly is missing."""

    can: bool
    missing: Mapping[str, int]
    reasons: tuple[str, ...]


async def redeem(engine: Engine, request: RedeemRequest, now: datetime) -> Redemption:
    """Take a reward for points. Raises UnknownReference, BadInput, NotEligible or
    IdempotencyConflict; then nothing was booked.
    """
    check_text(request.key, "idempotencyKey", 255, least=1)
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
            return await _first_outcome(connection, asked, before)
        partner = find_partner(engine.rulebook, request.partner)
        reward, currency = _priced(partner, request)
        batch = await _open(connection, engine, request.holder, now)
        _check_tier(batch, reward, request.holder, now)
        ledger = batch.ledger(request.holder, currency.id)
        ledger.lots = await store.open_lots(connection, request.holder, currency.id)
        redemption = _debit(batch, partner, reward, ledger, request, (new, event), now)
        await _book(connection, batch)
        piece = None
        if reward.reward.stock is not None:
            piece = await store.take_stock(connection, reward.id)
            if piece is None:
                raise NotEligible(f"'{reward.reward.title}' is out of stock", "reward")
        await store.add(connection, _as_row(redemption, ledger.seq, piece))
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


async def eligibility(
    engine: Engine, holders: Sequence[int], now: datetime
) -> dict[tuple[int, int], Eligibility]:
    """For each holder and reward on offer: can it be had, what is missing, why not."""
    codes = {c.id: c.code for c in engine.rulebook.currencies.values()}
    spendable: dict[int, dict[str, int]] = {h: {} for h in holders}
    for row in await reads.balances(holders, now):
        if row[1] in codes:
            spendable[row[0]][codes[row[1]]] = row[2]
    status = await standings(engine, holders, now)
    offered = [(p, r) for p in engine.rulebook.partners.values() for r in p.rewards.values()]
    stock = await store.stock_left([r.id for _, r in offered if r.reward.stock is not None])
    told: dict[tuple[int, int], Eligibility] = {}
    for holder in holders:
        ranks = {s.ladder.id: s.rank for s in status[holder]}
        for partner, reward in offered:
            told[holder, reward.id] = _judge(
                engine, partner, reward, spendable[holder], ranks, stock
            )
    return told


def _judge(
    engine: Engine,
    partner: PartnerTerms,
    reward: RewardTerms,
    spendable: Mapping[str, int],
    ranks: Mapping[int, int],
    stock: Mapping[int, int],
) -> Eligibility:
    reasons: list[str] = []
    prices = {c: p for c, p in reward.reward.prices.items() if c in partner.accepts}
    short = {c: max(0, p - spendable.get(c, 0)) for c, p in prices.items()}
    if not prices:
        reasons.append(f"{partner.name} accepts none of the currencies that it costs")
    elif all(short.values()):
        reasons += [f"{n} more {partner.accepts[c].name} needed" for c, n in short.items()]
    needed = _needed_rank(engine.rulebook, reward)
    if needed is not None and ranks.get(needed[0], 0) < needed[1]:
        reasons.append(f"for tier {needed[2]} and above")
    if reward.reward.stock is not None and not stock.get(reward.id, 0):
        reasons.append("out of stock")
    return Eligibility(not reasons, {c: n for c, n in short.items() if n}, tuple(reasons))


def _needed_rank(rulebook: Rulebook, reward: RewardTerms) -> tuple[int, int, str] | None:
    """(ladder, place, tier's name) that a tier-restricted reward asks for."""
    if reward.reward.tier is None:
        return None
    code, wanted = reward.reward.tier
    for terms in rulebook.ladders.values():
        for place, tier in enumerate(terms.ladder.tiers):
            if (terms.ladder.code, tier.code) == (code, wanted):
                return terms.id, place, tier.name
    # A ladder that is gone restricts to nobody: a reward is never given away by mistake.
    return 0, 10**6, wanted


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


async def _first_outcome(
    connection: Connection, asked: bytes, before: tuple[bytes, list[int]]
) -> Redemption:
    if before[0] != asked:
        raise IdempotencyConflict("this key was used before for another request", "idempotencyKey")
    row = await store.get(connection, before[1][0], before[1][1])
    assert row is not None
    return from_row(row, replayed=True)


async def _open(connection: Connection, engine: Engine, holder: int, now: datetime) -> Batch:
    """Lock a holder and load what a fold needs of it."""
    locked = await store.lock_holder(connection, holder)
    if locked is None:
        raise UnknownReference("no such member", "member")
    batch = Batch(engine.rulebook, now, historical=False)
    batch.booked[holder] = locked[1]
    windows = [(x.id, span(x.window)) for x in engine.rulebook.ladders.values()]
    batch.take(await rows.load(connection, {holder: (now, now)}, [], windows, 0))
    return batch


def _check_tier(batch: Batch, reward: RewardTerms, holder: int, now: datetime) -> None:
    needed = _needed_rank(batch.rulebook, reward)
    if needed is None:
        return
    ladder = batch.rulebook.ladders.get(needed[0])
    if ladder is None or batch.standing(holder, ladder).rank_at(now) < needed[1]:
        raise NotEligible(f"'{reward.reward.title}' is for tier {needed[2]} and above", "reward")


def _debit(
    batch: Batch,
    partner: PartnerTerms,
    reward: RewardTerms,
    ledger: Ledger,
    request: RedeemRequest,
    ids: tuple[int, int],
    now: datetime,
) -> Redemption:
    held = request.hold is not None
    kind = EventKind.RESERVATION if held else EventKind.REDEMPTION
    code = next(c for c in partner.accepts.values() if c.id == ledger.currency).code
    points = reward.reward.prices[code]
    until = request.hold.after(now, partner.time_zone) if request.hold is not None else None

    def move(cause: Cause) -> None:
        target = Account.RESERVED if held else Account.REDEEMED
        what = Kind.RESERVATION if held else Kind.REDEMPTION
        if ledger.debit(cause, what, target, points) is None:
            missing = points - ledger.spendable(now)
            raise NotEligible(f"{missing} more points are needed", "reward")

    _post(batch, ledger, kind, ids, partner.id, now, [reward.id, points], move)
    worth = reward.reward.worth
    return Redemption(
        ids[0], request.holder, partner.id, reward.id, ledger.currency, points,
        None if worth is None else Money.parse(worth),
        Status.HELD if held else Status.COMPLETED,
        "".join(secrets.choice(_CODE_LETTERS) for _ in range(10)),
        now, until, None if held else now,
    )  # fmt: skip


def _post(
    batch: Batch,
    ledger: Ledger,
    kind: EventKind,
    ids: tuple[int, int],
    partner: int,
    now: datetime,
    facts: Sequence[int],
    move: Callable[[Cause], None],
) -> None:
    """One event, decision and posting on one ledger; `ids` are the redemption's and the event's."""
    redemption, event = ids
    booked_at = batch.book_time(ledger.holder)
    start = len(ledger.transfers)
    move(Cause(event, partner, booked_at, now))
    content = orjson.dumps({"v": FORMAT, "r": [redemption, *facts]})
    heads = seal(ledger, start, content)
    batch.writes.events.append(
        rows.EventRow(
            event, ledger.holder, now, booked_at, None, partner, kind, None,
            digest(kind, redemption, *facts), str(redemption), "",
        )
    )  # fmt: skip
    batch.writes.decisions.append(
        rows.DecisionRow(
            ledger.holder, booked_at, event, now, partner, batch.rulebook.version, kind, heads,
            content.decode(),
        )
    )  # fmt: skip


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
            check_text(request[1], "idempotencyKey", 255, least=1)
            asked = digest(status, holder, redemption)
            before = await store.claim_key(connection, *request, asked, (holder, redemption), now)
            if before is not None:
                return await _first_outcome(connection, asked, before)
        batch = await _open(connection, engine, holder, now)
        row = await store.get(connection, holder, redemption)
        if row is None:
            raise UnknownReference("no such redemption", "redemption")
        found = from_row(row)
        if status is Status.TIMED_OUT and found.status is not Status.HELD:
            return found  # settled between the look and the lock: nothing left to do
        _check_held(found, status, now)
        await _settle(connection, batch, found, row, status, event, now)
        return replace(found, status=status, settled_at=now)


def _check_held(found: Redemption, status: Status, now: datetime) -> None:
    if found.status is not Status.HELD:
        raise WrongState(
            f"it is {found.status.name.lower().replace('_', ' ')} already", "redemption"
        )
    if status is Status.COMPLETED and found.hold_until is not None and found.hold_until <= now:
        raise WrongState("its time has run out; redeem again", "redemption")


async def _settle(
    connection: Connection,
    batch: Batch,
    found: Redemption,
    row: Row,
    status: Status,
    event: int,
    now: datetime,
) -> None:
    ledger = batch.ledger(found.holder, found.currency)
    piece, seq = row[10], row[11]
    taken = await store.lots_taken(connection, found.holder, found.currency, seq)
    ledger.lots = [lot for lot, _ in taken]

    def move(cause: Cause) -> None:
        if status is Status.COMPLETED:
            ledger.settle_reserved(cause, found.points)
        else:
            ledger.release(cause, [(lot.seq, points) for lot, points in taken])

    kind = _EVENTS[status]
    _post(batch, ledger, kind, (found.id, event), found.partner, now, [found.points], move)
    await _book(connection, batch)
    await store.settle(connection, found.holder, found.id, status, now)
    if status is not Status.COMPLETED and piece is not None:
        await store.return_stock(connection, found.reward, piece)


async def _book(connection: Connection, batch: Batch) -> None:
    for event in batch.writes.events:
        batch.relations.setdefault((event.holder, event.partner), (0, event.occurred_at))
    await write(connection, batch)


def _as_row(r: Redemption, seq: int, piece: int | None) -> tuple[object, ...]:
    worth = (None, None) if r.worth is None else (r.worth.minor, r.worth.currency)
    return (
        r.holder, r.id, r.partner, r.reward, None, r.currency, r.points, *worth, int(r.status),
        piece, seq, r.code, r.requested_at, r.hold_until, r.settled_at,
    )  # fmt: skip


def from_row(row: Row, *, replayed: bool = False) -> Redemption:
    """A stored redemption; see `store` for the columns."""
    worth = None if row[7] is None else Money(row[7], row[8])
    return Redemption(
        row[1], row[0], row[2], row[3], row[5], row[6], worth, Status(row[9]), row[12], row[13],
        row[14], row[15], replayed,
    )  # fmt: skip
