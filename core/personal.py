"""Personal offers: in each period, what each brand chooses for each member from its own past there.

Once for a member and a period: who was chosen for is passed over, so it may run twice, late, in
several processes, or be killed in the middle. The past ends where the period begins: whenever it
runs, the same is chosen, for everybody alike. Knows nothing of how a brand chooses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import structlog

from core.db import transaction
from core.noted import BY_HAND, number
from core.posting import Engine
from core.rulebook import PartnerTerms
from core.store import attributes
from core.store import personal as store
from core.store.personal import OfferRow
from core.store.posting import lock_holders
from laurels.activities import PURCHASE
from laurels.durations import zone
from laurels.lasting import is_offered
from laurels.personal import Choice, History, PersonalOffers, Visit

#: Members whose pasts are read, and for whom is chosen, at once.
BATCH = 1000
#: So many are chosen for before others in this process have their turn.
_TURN = 16
#: No member has a greater number.
_ALL = 2**63 - 1
_log = structlog.get_logger("laurels.personal")


class Made(NamedTuple):
    """How many rules are newly on offer to members, and how many were held back to compare."""

    offered: int = 0
    held_back: int = 0


async def make_offers(engine: Engine, now: datetime) -> Made:
    """Choose what is due by now, of all brands; returns what came of it.

    What a brand's own code fails on costs that member its offers of this period; five times in a
    row, the rest waits until the brand is no longer suspended. Those before it, in this process,
    come once more at the very end: whoever it always fails on keeps nobody else from theirs.
    """
    made = Made()
    for partner in engine.rulebook.partners.values():
        for offers in partner.personal:
            some = await _make(engine, partner, offers, now)
            made = Made(made.offered + some.offered, made.held_back + some.held_back)
    return made


class _Round(NamedTuple):
    """One period of a brand's offers: what is looked back on, and what may be chosen until when."""

    partner: PartnerTerms
    offers: PersonalOffers
    looks_back_to: datetime
    begins: datetime
    until: datetime
    rules: Sequence[str]


async def _make(
    engine: Engine, partner: PartnerTerms, offers: PersonalOffers, now: datetime
) -> Made:
    begins, ends = offers.window.period(now, partner.time_zone, now)
    until = min(ends, offers.lasting.after(begins, partner.time_zone))
    day = begins.astimezone(zone(partner.time_zone)).date()
    name = f"offers:{offers.code}"
    async with transaction() as connection:
        last = (await attributes.days(connection, partner.id)).get(name)
    if now >= until or (last is not None and last >= day):
        return Made()
    rules = [r.code for r in partner.at(now).on(PURCHASE).rules if is_offered(r)]
    back_to = offers.looking_back.before(begins, partner.time_zone)
    this = _Round(partner, offers, back_to, begins, until, rules)
    reached, key = engine.containment.reached, (partner.id, offers.code)
    known, start = reached.get(key, (begins, 0))
    start = start if known == begins else 0
    made, stopped = await _pass(engine, this, (start, _ALL), now)
    if stopped is not None:
        reached[key] = (begins, stopped)
        await engine.tell_faults(now)
        return made
    if start:
        some, _ = await _pass(engine, this, (0, start), now)
        made = Made(made.offered + some.offered, made.held_back + some.held_back)
    reached.pop(key, None)
    async with transaction() as connection:
        await attributes.days(connection, partner.id)  # one at a time
        await attributes.made(connection, partner.id, name, day)
    await engine.tell_faults(now)
    return made


async def _pass(
    engine: Engine, this: _Round, span: tuple[int, int], now: datetime
) -> tuple[Made, int | None]:
    """Choose for the members in (after, last] of the span: what came of it, and how far it came.

    None: to the end. Else the brand was suspended, after this one.
    """
    made, (after, last) = Made(), span
    while after < last:
        found = await store.known(this.partner.id, this.offers.code, this.begins, after, BATCH)
        holders = [holder for holder in found if holder <= last]
        if not holders:
            break
        chosen, tried = await _chosen(engine, this, holders)
        some = await _keep(engine, this, chosen, now)
        made = Made(made.offered + some.offered, made.held_back + some.held_back)
        if tried < len(holders):
            return made, holders[tried - 1] if tried else after
        after = holders[-1]
    return made, None


async def _keep(
    engine: Engine, this: _Round, chosen: Mapping[int, Sequence[Choice]], now: datetime
) -> Made:
    rows = await _rows(engine, this, chosen, now)
    if not rows:
        return Made()
    async with transaction() as connection:
        holders = sorted({row.holder for row in rows})
        living = await lock_holders(connection, holders, living=True)
        # Who was erased meanwhile is offered nothing.
        return Made(*await store.add(connection, [row for row in rows if row.holder in living]))


async def _chosen(
    engine: Engine, this: _Round, holders: Sequence[int]
) -> tuple[Mapping[int, Sequence[Choice]], int]:
    """What is chosen for these, and for how many of them it was tried before a suspension."""
    partner, offers = this.partner, this.offers
    pasts = await store.histories(partner.id, holders, this.looks_back_to, this.begins)
    local = zone(partner.time_zone)
    begins, ends = this.looks_back_to.astimezone(local), this.begins.astimezone(local)
    chosen: dict[int, Sequence[Choice]] = {}
    for n, holder in enumerate(holders):
        if n % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        visits = tuple(_local(visit, partner.time_zone) for visit in pasts.get(holder, ()))
        history = History(begins, ends, visits)
        if engine.containment.choosing.left((partner.id, offers.code)):
            _log.warning("personal offers wait: suspended", partner=partner.code, code=offers.code)
            return chosen, n
        found = engine.containment.choose(partner, offers, history, this.rules)
        if found:
            chosen[holder] = found
    return chosen, len(holders)


def _local(visit: Visit, time_zone: str) -> Visit:
    return visit._replace(at=visit.at.astimezone(zone(time_zone)))


async def _rows(
    engine: Engine, this: _Round, chosen: Mapping[int, Sequence[Choice]], now: datetime
) -> list[OfferRow]:
    """What is to be stored: who is drawn into the control group is offered nothing."""
    partner, offers = this.partner, this.offers
    numbers = iter(await engine.ids.take(sum(map(len, chosen.values())) or 1))
    rows: list[OfferRow] = []
    for holder, choices in chosen.items():
        drawn = partner.pseudonyms.lot(holder, offers.code, this.begins.isoformat())
        control = drawn < offers.share * 1000
        rows += [
            OfferRow(
                holder, partner.id, offers.code, this.begins, choice.rule, now, this.until,
                choice.because, control, None if control else number(next(numbers), BY_HAND),
            )
            for choice in choices
        ]  # fmt: skip
    return rows
