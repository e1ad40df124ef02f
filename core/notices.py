"""Tells members ahead of time what they will lose: points that expire, a tier that falls.

A notice is a row of its own, once for each lead time; who delivers it is another's affair. It says
what was so when it was told: what happens since may change it, and is never told twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.posting import Engine
from core.rulebook import LadderTerms
from core.standings import TierStatus, standings
from core.store import nightly as store
from laurels.durations import Duration

_BATCH = 500


async def announce(engine: Engine, now: datetime) -> int:
    """Note all that is due to be told at `now`; returns how many notices are new."""
    told = 0
    for currency in engine.rulebook.currencies.values():
        for lead in currency.notices:
            until = lead.after(now, currency.policy.time_zone)
            told += await store.announce_expiry(currency.id, str(lead), now, until)
    return told + await _announce_falls(engine, now)


async def _announce_falls(engine: Engine, now: datetime) -> int:
    leads = {
        x.id: tuple(map(Duration.parse, x.ladder.notices))
        for x in engine.rulebook.ladders.values()
        if x.ladder.notices
    }
    told, after = 0, 0
    while leads and (holders := await store.ranked(sorted(leads), after, _BATCH)):
        after = holders[-1]
        statuses = await standings(engine, holders, now)
        rows = [
            (holder, status.ladder.id, status.until, lead, status.keep_missing or 0)
            for holder in holders
            for status in statuses[holder]
            for lead in _due(leads.get(status.ladder.id, ()), status.ladder, status, now)
            if status.until is not None
        ]
        told += await store.announce_falls(rows, now)
    return told


def _due(
    leads: Sequence[Duration], ladder: LadderTerms, status: TierStatus, now: datetime
) -> list[str]:
    if status.until is None or status.until <= now:
        return []
    return [str(x) for x in leads if status.until <= x.after(now, ladder.time_zone)]
