"""Tells rules of occasions: a segment entered, an enrolment, a birthday, a schedule's day, thanks.

What is to be told was written with its cause, and is booked by a natural key of its own: however
often it is tried, and by whom, it is booked once. Knows nothing of how a rule judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

import structlog

from core.activities import of_occasion
from core.db import PASSING, transaction
from core.errors import IdempotencyConflict, Refusal, UnknownReference, WrongState
from core.events import EventKind
from core.following import WITHDRAW, entered
from core.noted import BY_HAND, AttributeRow, Occasion, number
from core.posting import Engine
from core.returning import record
from core.returns import check_withdrawal
from core.rulebook import PartnerTerms
from core.store import attributes as store
from core.store.posting import lock_holders
from laurels.activities import BIRTHDAY, falls_on
from laurels.durations import at_local, zone
from laurels.effects import SetAttribute, checked_attribute
from laurels.errors import storable

#: At a time.
_SOME = 500
#: So many days of a schedule that nobody was there to tell of are told of later.
CATCH_UP = 7
_log = structlog.get_logger("laurels.occasions")


async def tell(engine: Engine, now: datetime, holders: Sequence[int] | None = None) -> int:
    """Tell rules what is due, of these members or of all; returns how many occasions were booked.

    One that a rule fails on is tried again later, eleven times over days.
    """
    booked = 0
    while rows := await store.due(now, _SOME, holders):
        known = [(row, engine.rulebook.partner_by_id(row.occasion.partner)) for row in rows]
        gone = [row for row, partner in known if partner is None]
        if gone:
            await store.failed([_later(r, now, "its partner isn't installed") for r in gone])
        here = [(row, partner) for row, partner in known if partner is not None]
        outcomes = await _book(engine, here, now)
        done = [r.occasion for (r, _), x in zip(here, outcomes, strict=True) if x is None]
        if done:
            await store.told([(o.partner, o.external_id) for o in done])
        failed = [
            _later(row, now, why)
            for (row, _), why in zip(here, outcomes, strict=True) if why is not None
        ]  # fmt: skip
        if failed:
            await store.failed(failed)
        booked += len(done)
        if len(rows) < _SOME:
            break
    return booked


async def _book(
    engine: Engine, rows: Sequence[tuple[store.Due, PartnerTerms]], now: datetime
) -> list[str | None]:
    """Book them together, else half and half: a fault costs what has it. Why not, for each."""
    if not rows:
        return []
    if any(row.occasion.type == WITHDRAW for row, _ in rows):
        return await _some_withdrawn(engine, rows, now)
    items = [of_occasion(partner, row.occasion) for row, partner in rows]
    try:
        outcomes = await engine.record_activities(items, now)
    except PASSING:
        raise
    except Exception as error:
        if len(rows) > 1:
            half = len(rows) // 2
            first = await _book(engine, rows[:half], now)
            return first + await _book(engine, rows[half:], now)
        _log.exception("an occasion can't be booked", occasion=rows[0][0].occasion.external_id)
        return [f"it failed: {type(error).__name__}, see the log"]
    return [x.message if isinstance(x, Refusal) else None for x in outcomes]


async def _some_withdrawn(
    engine: Engine, rows: Sequence[tuple[store.Due, PartnerTerms]], now: datetime
) -> list[str | None]:
    """Those among them that are withdrawals, each after what was told before it."""
    first = next(n for n, (row, _) in enumerate(rows) if row.occasion.type == WITHDRAW)
    before = await _book(engine, rows[:first], now)
    row, partner = rows[first]
    why = await _withdraw(engine, partner, row.occasion, now)
    return [*before, why, *await _book(engine, rows[first + 1 :], now)]


async def _withdraw(
    engine: Engine, partner: PartnerTerms, occasion: Occasion, now: datetime
) -> str | None:
    """Withdraw the occasion that a purchase brought about; None where that is done."""
    name, purchase = str(occasion.attributes["occasion"]), int(occasion.attributes["for"])
    stood = await store.void(partner.id, name, purchase)
    if stood == "waiting":
        # It may be being told in this very moment: then it is found the next time.
        return "what it withdraws was still to be told: looked for once more"
    if stood == "told":
        unit = check_withdrawal(partner, name, occasion.at, EventKind.OCCASION)
        (outcome,) = await record(engine, [replace(unit, waited=True)], now)
        done = isinstance(outcome, IdempotencyConflict | WrongState)  # it was withdrawn before
        if isinstance(outcome, Refusal) and not done:
            return outcome.message
    return None


def _later(row: store.Due, now: datetime, why: str) -> tuple[int, str, datetime, str]:
    pause = timedelta(minutes=2**row.attempts)
    # What a brand's exception says may be no text that a database takes.
    told = why if storable(why) else "it failed, and can't be told why"
    return row.occasion.partner, row.occasion.external_id, now + pause, told


async def keep_days(engine: Engine, now: datetime) -> None:
    """Make the occasions of birthdays and schedules whose local day has come, at its start.

    Days on which nobody did so are made up for, as far as CATCH_UP; a rule that came later finds
    only the days from then on.
    """
    for partner in engine.rulebook.partners.values():
        dated = sorted(
            t for t in partner.triggers if t == BIRTHDAY or t.startswith("schedule:")
        )  # fmt: skip
        if dated:
            await _keep(partner, dated, now)


async def _keep(partner: PartnerTerms, dated: Sequence[str], now: datetime) -> None:
    today = now.astimezone(zone(partner.time_zone)).date()
    async with transaction() as connection:
        made = await store.days(connection, partner.id)
        for trigger in dated:
            last = made.get(trigger, today - timedelta(days=1))
            if last >= today:
                continue
            day = max(last, today - timedelta(days=CATCH_UP))
            if day > last:
                _log.warning(
                    "days of a schedule are left out: nobody was there for too long",
                    partner=partner.code, trigger=trigger, after=str(last), until=str(day),
                )  # fmt: skip
            while day < today:
                day += timedelta(days=1)
                at = at_local(datetime.combine(day, time()), partner.time_zone)
                if trigger not in partner.at(at).triggers:
                    continue
                if trigger == BIRTHDAY:
                    born = _born(day)
                    await store.birthdays(connection, partner.id, born, day, at, now)
                elif falls_on(trigger, day):
                    await store.everybody(connection, partner.id, trigger, day, at, now)
            await store.made(connection, partner.id, trigger, today)


def _born(day: date) -> list[int]:
    """The birthdays that are kept on a day: of 29 February on the 28th, in a year without one."""
    born = [100 * day.month + day.day]
    if born == [228] and (day + timedelta(days=1)).month == 3:
        born.append(229)
    return born


async def note(
    engine: Engine,
    partner: PartnerTerms,
    holder: int,
    effects: Sequence[SetAttribute],
    now: datetime,
    until: datetime | None = None,
) -> None:
    """Note something of a member by hand, until then or for good.

    Raises DeclarationError where it can't be stored.
    """
    for effect in effects:
        checked_attribute(effect)
    latest = {effect.name: effect for effect in effects}  # of two of a name the last one stands
    numbers = await engine.ids.take(len(latest))
    rows = [
        AttributeRow(
            holder, partner.id, x.name, now, number(n, BY_HAND), None, x.value, until
        )
        for x, n in zip(latest.values(), numbers, strict=True)
    ]  # fmt: skip
    async with transaction() as connection:
        if not await lock_holders(connection, [holder], living=True):
            raise UnknownReference("no such member", "member")
        known = await store.of_holder(connection, holder, partner.id)
        await store.note(connection, rows)
        occasions = entered(partner, known, rows)
        if occasions:
            await store.occur(connection, occasions, now)
    if occasions:
        await follow(engine, now, [holder])


async def follow(engine: Engine, now: datetime, holders: Sequence[int]) -> None:
    """Tell rules what is due of these members; what can't be told now is told in a minute."""
    try:
        await tell(engine, now, holders)
    except Exception:  # what it follows from is booked
        _log.exception("what followed couldn't be told to rules; it is tried again")
