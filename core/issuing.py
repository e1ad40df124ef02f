"""Takes the rewards that rules issue: right after their purchase is booked, or a minute later.

What is to be taken was written with the purchase, and is redeemed by a key of its own: however
often it is tried, and by whom, it is taken once. Knows nothing of how a rule judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from core.db import PASSING
from core.errors import Refusal
from core.posting import Engine
from core.redemptions import RedeemRequest, redeem
from core.store import issues as store
from core.store.writes import IssueRow

#: At a time.
_SOME = 500
_log = structlog.get_logger("laurels.issuing")


async def issue(engine: Engine, now: datetime, events: Sequence[int] | None = None) -> int:
    """Take what rules issued for these purchases, or all that is due; returns how many were taken.

    What can't be taken (the points don't suffice, none is left) says why and isn't tried again.
    """
    taken = 0
    while rows := await store.due(events, _SOME):
        for row in rows:
            taken += await _take(engine, row, now)
        if len(rows) < _SOME:
            break
    return taken


async def _take(engine: Engine, row: IssueRow, now: datetime) -> bool:
    partner = engine.rulebook.partner_by_id(row.partner)
    if partner is None:
        await store.done(row, None, "its partner is no longer installed", now)
        return False
    request = RedeemRequest(
        "rule:", f"{row.event}:{row.place}", partner.code, row.holder, row.reward, row.currency,
        None, row.quantity, row.order,
    )  # fmt: skip
    try:
        taken = await redeem(engine, request, now)
    except Refusal as refusal:
        await store.done(row, None, str(refusal), now)
        return False
    except PASSING:
        raise
    except Exception as error:  # of one, which must not keep the others from theirs
        _log.exception("what a rule issued can't be taken", purchase=row.event)
        await store.done(row, None, f"it failed: {type(error).__name__}, see the log", now)
        return False
    await store.done(row, taken.id, "", now)
    return True
