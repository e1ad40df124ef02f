"""Memberships whose term ends soon: renewed by points, else the fee is asked for, once a term.

Runs with the night. It may run twice, late, or be killed: each membership is a transaction of its
own, and what was done for a term isn't done again. Who is asked for money hears it as an event
(`MEMBERSHIP_DUE`), takes it, and says that it was paid.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from core.db import transaction
from core.errors import NotEligible
from core.membership import ActKind, Membership
from core.membership_desk import Desk, add_act, add_term, desk, missing_for
from core.posting import Engine
from core.store import memberships as store
from laurels.memberships import Fee

#: So long before a term ends the next one is seen to, so that there is no gap without a grace: the
#: next night comes 25 hours later where clocks are put back, and then it may be late.
AHEAD = timedelta(hours=36)


async def renew_due(engine: Engine, now: datetime) -> tuple[int, int]:
    """See to all that end within AHEAD or are in grace: (renewed by points, asked for a fee)."""
    renewed = asked = 0
    failed: list[Exception] = []
    for holder, number, plan in await store.due(now, now + AHEAD):
        try:
            done = await _see_to(engine, holder, number, plan, now)
        except Exception as error:  # of one, which mustn't keep the others from theirs
            failed.append(error)
            continue
        renewed += done is Fee
        asked += done is ActKind
    if failed:
        raise failed[0]
    return renewed, asked


async def _see_to(
    engine: Engine, holder: int, number: int, plan: str, now: datetime
) -> type[Fee] | type[ActKind] | None:
    """What came of one membership: a fee of points, an act, or nothing to be done."""
    partner = engine.rulebook.partner_by_id(number)
    if partner is None or plan not in partner.plans:
        return None
    async with transaction() as connection:
        at = await desk(connection, engine, partner, plan, holder, now)
        # Read again under the lock: it may have been renewed, or cancelled, meanwhile.
        if at.before is None or not _waits(at.before, now):
            return None
        if (fee := await _affordable(at, at.before)) is not None:
            event, floor, redemption, spent = await engine.ids.take(4)
            await add_term(at, (event, floor, redemption, spent), fee, at.before.renews, None)
            return Fee
        if at.before.told_due:
            return None
        event, floor = await engine.ids.take(2)
        await add_act(at, at.before, (event, floor), ActKind.DUE, at.before.renews)
        return ActKind


def _waits(membership: Membership, now: datetime) -> bool:
    ends = membership.last.until
    return membership.renews is not None and membership.holds(now) and ends <= now + AHEAD


async def _affordable(at: Desk, membership: Membership) -> Fee | None:
    """The fee that is agreed, where it is of points alone and there are enough of them."""
    assert at.plan is not None
    fee = None if membership.renews is None else at.plan.fee(membership.renews)
    if fee is None or fee.price is not None:
        return None
    try:
        return None if await missing_for(at, fee) else fee
    except NotEligible:  # its points are no longer taken
        return None
