"""What the demo's members do on a day, by a die that is cast from the date and the member.

Purchases at the brands that are installed, now and then something brought back, and a reward when
one can be paid. The same day asked for twice is the same day, and is booked once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from app.demo import RECEIPTS, Person
from core.errors import IdempotencyConflict, NotEligible, Refusal
from core.members import IdentifierKind, MemberRef
from core.posting import Engine
from core.purchases import Incoming, LineInput, PurchaseInput, check_purchase
from core.redemptions import RedeemRequest, redeem
from core.returning import record
from core.returns import ReturnedLine, ReturnInput, check_return
from core.store import reads
from laurels.durations import Duration

#: How often a member comes to a brand on a day; to any other brand as to the last.
_VISITS = {"grocer": 0.30, "cafe": 0.35, "outfitter": 0.04}
#: Of receipts with more than one line, how many lose one a few days later.
_BROUGHT_BACK = 0.08
_AFTER = timedelta(days=5)
#: On how many days a member looks at what can be had for points.
_LOOKS = 0.08
#: Of redemptions, how many are held, and then left to time out.
_HELD = 0.2
_CLOSING = time(20, 0)


async def spend_day(
    engine: Engine, people: Sequence[Person], day: date, zone: ZoneInfo, began: date
) -> None:
    """Shop, bring back, redeem: all that the members do on this day. `began` is the first one."""
    evening = datetime.combine(day, _CLOSING, zone)
    bought = [item for person in people for item in purchases(engine, person, day, zone)]
    for outcome in await engine.record_purchases(bought, evening):
        if isinstance(outcome, Refusal):
            raise outcome
    if day - _AFTER >= began:  # what was never bought would wait for ever when brought back
        await _bring_back(engine, people, day, zone, evening)
    for person in people:
        die = Random(f"{day} {person.card} reward")
        if die.random() < _LOOKS:
            await _redeem(engine, person, die, day, evening)


def purchases(engine: Engine, person: Person, day: date, zone: ZoneInfo) -> list[Incoming]:
    """What a member buys on a day, the same whenever it is asked."""
    die = Random(f"{day} {person.card}")
    items = []
    for partner, usual in RECEIPTS:
        if die.random() >= _VISITS.get(partner, 0.04) or partner not in engine.rulebook.partners:
            continue
        terms = engine.rulebook.partners[partner]
        lines = [
            LineInput(kind, f"{float(amount) * die.uniform(0.5, 1.6):.2f}")
            for kind, amount in usual
            if die.random() < 0.8
        ] or [LineInput(*usual[0])]
        at = datetime.combine(day, time(die.randrange(9, 19), die.randrange(60)), zone)
        given = PurchaseInput(
            f"sandbox-{day}-{person.card}",
            MemberRef.make(IdentifierKind.CARD, person.card),
            at,
            sorted(terms.trades_in)[0],
            lines,
        )
        items.append(check_purchase(terms, given))
    return items


async def _bring_back(
    engine: Engine, people: Sequence[Person], day: date, zone: ZoneInfo, now: datetime
) -> None:
    units = []
    for person in people:
        for item in purchases(engine, person, day - _AFTER, zone):
            die = Random(f"{item.purchase.external_id} {item.partner.code} back")
            if len(item.purchase.lines) > 1 and die.random() < _BROUGHT_BACK:
                bought = item.purchase.external_id
                line = die.randrange(len(item.purchase.lines)) + 1
                back = ReturnedLine(line, quantity="1")
                given = ReturnInput(f"{bought}-back", bought, now, [back])
                units.append(check_return(item.partner, given))
    for outcome in await record(engine, units, now) if units else ():
        if isinstance(outcome, Refusal):
            raise outcome


async def _redeem(engine: Engine, person: Person, die: Random, day: date, now: datetime) -> None:
    has = {row[1]: row[2] for row in await reads.balances([person.holder], now)}
    wanted = [
        (partner.code, code, currency)
        for partner in engine.rulebook.partners.values()
        for code, reward in sorted(partner.rewards.items())
        for currency, price in sorted(reward.reward.prices.items())
        if currency in partner.accepts and has.get(partner.accepts[currency].id, 0) >= price
    ]
    if not wanted:
        return
    partner, reward, currency = die.choice(sorted(wanted))
    hold = Duration(2, "D") if die.random() < _HELD else None
    request = RedeemRequest(
        "sandbox", f"{day}-{person.card}", partner, person.holder, reward, currency, hold
    )
    try:
        await redeem(engine, request, now)
    except (NotEligible, IdempotencyConflict):
        return  # a tier too low, the shelf empty; or the day was begun before and stopped
