"""Books what came in on purchases: returns, cancels, edits, fulfilments; keeps what came too early.

One transaction a batch, as for purchases; what a return does to a member is `core.taking_back`'s.
What comes before its purchase waits, visibly, and is booked when the purchase is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from core.bought import Bought, Request, Returned
from core.db import PASSING, Connection, Deadlock, transaction
from core.entries import AHEAD
from core.errors import IdempotencyConflict, Refusal, UnknownReference
from core.events import CANCELLING, EventKind
from core.folding import Batch
from core.posting import Engine, LostRace, write
from core.returns import Unit, read
from core.reversals import lock_orders, reverse_for_order, spent_on
from core.settling import end_holds, open_holders
from core.store import attributes, caps
from core.store import posting as rows
from core.store import returns as store
from core.store.lots import earned_lots, open_lots
from core.taking_back import book, told_in_time

_MATCHES = 500
_RETRIES = 5
_log = structlog.get_logger("laurels.returning")


@dataclass(frozen=True, slots=True)
class Waiting:
    """It came before its purchase and waits for it."""

    external_id: str
    purchase: str
    since: datetime


Outcome = Returned | Waiting | Refusal


async def record(
    engine: Engine, units: Sequence[Unit], now: datetime, *, historical: bool = False
) -> list[Outcome]:
    """Book what came in on purchases, each on its own: an outcome or a refusal, in order.

    Safe to send again. `historical` lifts the limit on how old it may be: imports.
    """
    if not units:
        return []
    outcomes = await _attempt(engine, units, now, historical)
    put = [
        (unit.partner.id, unit.purchase)
        for unit, outcome in zip(units, outcomes, strict=True)
        if isinstance(outcome, Waiting)
    ]
    if put:
        # The purchase may have been booked while this was put to wait: then it is matched now.
        try:
            await match_waiting(engine, now, put, historical=historical)
        except Exception:  # it waits, and every minute it is tried again
            _log.exception("what waits couldn't be matched; it is tried again")
    return outcomes


async def _attempt(
    engine: Engine, units: Sequence[Unit], now: datetime, historical: bool
) -> list[Outcome]:
    try:
        for attempt in range(_RETRIES):
            try:
                async with transaction() as connection:
                    outcomes, followed = await _record(
                        connection, engine, units, now, historical, sure=attempt > 0
                    )
                if followed:
                    from core.occasions import follow  # it withdraws by this: a circle

                    await follow(engine, now, followed)
                return outcomes
            except (LostRace, Deadlock):
                continue
    finally:
        await engine.tell_faults(now)
    raise IdempotencyConflict("the same external ids are being recorded elsewhere right now")


async def match_waiting(
    engine: Engine,
    now: datetime,
    purchases: Sequence[tuple[int, str]] | None = None,
    *,
    historical: bool = False,
) -> int:
    """Book what waited for purchases that are known by now; returns how many were booked.

    Of `purchases`, by (partner, external id), or of all. What can't be booked (more came back than
    was bought) stays, with the reason. A cancel whose purchase isn't known gives back what was
    spent on its order. `historical` where history is being told, in its order.

    Of two that come in the same moment, the purchase and what waits for it, neither may see the
    other: so it is run every minute, too.
    """
    booked = 0
    while found := await store.matched(_MATCHES, purchases):
        units: list[Unit] = []
        known: list[store.Waits] = []
        for row in found:
            partner = engine.rulebook.partner_by_id(row.partner)
            if partner is None:
                await store.tell_problem(row, "its partner is no longer installed")
                continue
            kind = EventKind(row.kind)
            known.append(row)
            units.append(
                Unit(
                    partner, kind, row.external_id, row.purchase, row.occurred_at, row.content, True
                )
            )  # fmt: skip
        if not units:
            continue
        for row, outcome in zip(known, await _each(engine, units, now, historical), strict=True):
            if isinstance(outcome, Returned):
                booked += 1
            elif isinstance(outcome, Refusal):
                await store.tell_problem(row, outcome.message)
    # Last, for its postings bring ledgers up to date: what was told in time is heard before.
    await _reverse_cancelled(engine, now, await store.spent_on_cancelled(purchases))
    return booked


async def _each(
    engine: Engine, units: Sequence[Unit], now: datetime, historical: bool
) -> list[Outcome]:
    """Book them together; where that fails, one by one: a fault costs what has it, and no other.

    Raises what may be otherwise in a moment: the database is gone, a deadlock, others record the
    same at once.
    """
    try:
        return await _attempt(engine, units, now, historical)
    except (*PASSING, IdempotencyConflict):
        raise
    except Exception as error:
        if len(units) > 1:
            halves = (units[: len(units) // 2], units[len(units) // 2 :])
            return [x for half in halves for x in await _each(engine, half, now, historical)]
        _log.exception("what waited can't be booked", purchase=units[0].purchase)
        return [Refusal(f"it couldn't be booked: {type(error).__name__}, see the log")]


async def _reverse_cancelled(
    engine: Engine, now: datetime, orders: Sequence[tuple[int, str]]
) -> None:
    """Give back what was spent on orders whose cancel waits: their purchase may never come.

    All together; where that fails, half and half, as `_each`.
    """
    if not orders:
        return
    try:
        async with transaction() as connection:
            holders = await lock_orders(connection, orders)
            batch = await open_holders(connection, engine.rulebook, engine.ids, holders, now)
            spent = await spent_on(connection, engine, batch, orders)
            for order in orders:
                reverse_for_order(batch, spent, order, now)
            await write(connection, batch)
    except PASSING:
        raise
    except Exception:
        if len(orders) > 1:
            for half in (orders[: len(orders) // 2], orders[len(orders) // 2 :]):
                await _reverse_cancelled(engine, now, half)
        else:
            _log.exception("what was spent can't be given back", order=orders[0][1])


async def _record(
    connection: Connection,
    engine: Engine,
    units: Sequence[Unit],
    now: datetime,
    historical: bool,
    *,
    sure: bool,
) -> tuple[list[Outcome], list[int]]:
    """The outcomes, and the members of whom something is to be told to rules."""
    asked = [(n, u.partner.id, u.purchase, int(u.of)) for n, u in enumerate(units)]
    found = await store.find_purchases(connection, asked)
    keys = [(n, u.partner.id, int(u.kind), u.external_id) for n, u in enumerate(units)]
    orders = sorted({(u.partner.id, u.order) for u in units if u.kind in CANCELLING})
    spenders = await lock_orders(connection, orders)
    holders = sorted({holder for _, holder in found.values()}.union(spenders if found else ()))
    batch = Batch(engine.rulebook, now, historical, containment=engine.containment)
    batch.tips = await rows.lock_holders(connection, holders) if holders else {}
    known = await store.known(connection, keys)
    bought = await _load(connection, engine, batch, found, units, now) if found else {}
    if found:
        told = [
            (b.holder, units[n].partner, b.receipt(units[n].partner))
            for n, b in ((n, bought[event]) for n, (event, _) in found.items())
        ]
        earned = [(b.holder, event) for b in bought.values() for event in b.earning_events]
        await caps.load(connection, batch.tally, told, earned, sure=sure)
    spent = await spent_on(connection, engine, batch, orders if found else [])
    events = await engine.ids.take(len(units))
    waiting = await store.waits(connection, keys)
    outcomes: list[Outcome] = []
    first: dict[tuple[int, int, str], int] = {}
    for n, (unit, event) in enumerate(zip(units, events, strict=True)):
        twin = first.setdefault(keys[n][1:], n)
        try:
            if n in known:
                outcomes.append(_again(unit, known[n][2], known[n]))
            elif twin != n and not isinstance(outcomes[twin], Refusal):
                outcomes.append(_repeated(unit, units[twin], outcomes[twin]))
            elif n not in found:
                outcomes.append(_wait(unit, waiting.get(n), now))
            else:
                request = Request(
                    unit.partner, unit.kind, unit.external_id, unit.occurred_at, unit.content,
                    unit.waited, unit.received_at,
                )  # fmt: skip
                purchase = bought[found[n][0]]
                outcomes.append(
                    book(
                        batch, purchase, spent, request, read(unit, purchase), event, unit.digest
                    )
                )  # fmt: skip
        except Refusal as refusal:
            outcomes.append(refusal)
            if twin == n:
                del first[keys[n][1:]]
    await write(connection, batch)
    await _keep_what_waits(connection, units, outcomes, waiting)
    followed = sorted({o.holder for o in batch.writes.occasions})
    return outcomes, followed + await attributes.referrers(connection, batch.writes.thanks)


async def _keep_what_waits(
    connection: Connection,
    units: Sequence[Unit],
    outcomes: Sequence[Outcome],
    waiting: Mapping[int, store.Waits],
) -> None:
    """Put there what must wait from now on, and forget what waited and is booked."""
    put = [
        store.Waits(
            u.partner.id, u.kind, u.external_id, u.purchase, u.occurred_at, u.digest,
            dict(u.content), outcome.since, "",
        )
        for n, (u, outcome) in enumerate(zip(units, outcomes, strict=True))
        if isinstance(outcome, Waiting) and n not in waiting
    ]  # fmt: skip
    if put and await store.wait(connection, put) < len({w[:3] for w in put}):
        raise LostRace  # another took a name since: then it may say something else
    booked = [waiting[n][:3] for n in waiting if isinstance(outcomes[n], Returned)]
    if booked:
        await store.forget(connection, booked)


def _again(unit: Unit, digest: bytes, row: tuple[int, int, bytes, datetime, int]) -> Returned:
    if digest != unit.digest:
        raise _conflict(unit)
    return Returned(row[0], row[1], row[4], row[3], replayed=True)


def _repeated(unit: Unit, before: Unit, outcome: Outcome) -> Outcome:
    """The same twice in one batch: the first one's outcome."""
    if before.digest != unit.digest:
        raise _conflict(unit)
    if isinstance(outcome, Returned):
        return Returned(
            outcome.event, outcome.holder, outcome.purchase, outcome.booked_at, replayed=True
        )
    return outcome


def _conflict(unit: Unit) -> IdempotencyConflict:
    return IdempotencyConflict(
        f"{unit.kind.name.lower()} {unit.external_id} was recorded before with other content",
        "externalId",
    )


def _wait(unit: Unit, before: store.Waits | None, now: datetime) -> Waiting:
    if before is not None and before.content_hash != unit.digest:
        raise _conflict(unit)
    if unit.kind is EventKind.WITHDRAWAL:
        raise UnknownReference(f"no activity '{unit.purchase[:64]}' is recorded", "activity")
    if unit.kind is EventKind.EDIT:
        raise UnknownReference(f"no purchase '{unit.purchase[:64]}' is recorded", "purchase")
    return Waiting(unit.external_id, unit.purchase, now if before is None else before.since)


async def _load(
    connection: Connection,
    engine: Engine,
    batch: Batch,
    found: Mapping[int, tuple[int, int]],
    units: Sequence[Unit],
    now: datetime,
) -> dict[int, Bought]:
    """The purchases with all that became of them; their holders' ledgers, lots, standings."""
    histories, lines = await store.history(connection, sorted({e for e, _ in found.values()}))
    bought = Bought.gather(histories, lines)
    keys = [(b.holder, n) for b in bought.values() for n in b.noted]
    noted = await attributes.recalled(connection, keys)
    for each in bought.values():
        each.recall(noted)
    spans = dict.fromkeys(batch.tips, (now, now))
    for n, (event, holder) in found.items():
        at = bought[event].occurred_at
        lo, hi = spans[holder]
        spans[holder] = (min(lo, at), max(hi, at, min(units[n].occurred_at, now + AHEAD)))
    batch.take(await rows.load(connection, spans, [], engine.rulebook.reaches, 0))
    keys = [(b.holder, event) for b in bought.values() for event in b.earning_events]
    batch.place(await earned_lots(connection, keys))
    currencies = sorted(
        {c.id for c in engine.rulebook.currencies.values()}
        | {currency for holder, currency in batch.ledgers if holder in spans}
    )
    batch.place(await open_lots(connection, list(spans), currencies))
    for n, (event, _) in found.items():
        unit = units[n]
        if unit.waited and unit.kind is EventKind.FULFILMENT:
            name = unit.content["event"]
            batch.spared += told_in_time(batch, bought[event], name, unit.occurred_at)
    await end_holds(connection, engine.ids, batch)
    return bought
