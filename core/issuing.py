"""Takes the rewards that rules issue: right after their purchase is booked, or a minute later.

What is to be taken was written with the purchase, and is redeemed by a key of its own: however
often it is tried, and by whom, it is taken once. Knows nothing of how a rule judges.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

import structlog

from core.db import PASSING, Connection
from core.errors import Refusal
from core.posting import Engine
from core.pricing import RedeemRequest
from core.redeemed import Redemption
from core.redemptions import redeem
from core.store import issues as store
from core.store.writes import IssueRow

#: At a time.
_SOME = 500
_log = structlog.get_logger("laurels.issuing")


class _SettledError(Exception):
    """Another has said meanwhile what came of it: nothing is taken."""


async def issue(
    engine: Engine,
    now: datetime,
    events: Sequence[int] | None = None,
    *,
    seconds: float | None = None,
) -> int:
    """Take what rules issued for these purchases, or all that is due; returns how many were taken.

    What can't be taken (the points don't suffice, none is left) says why and isn't tried again.
    What isn't begun in so many `seconds` is left to whoever comes next.
    """
    taken, began = 0, time.monotonic()
    while rows := await store.due(events, now, _SOME):
        for row in rows:
            if seconds is not None and time.monotonic() - began > seconds:
                return taken
            taken += await _take(engine, row, now)
        if len(rows) < _SOME:
            break
    return taken


async def _take(engine: Engine, row: IssueRow, now: datetime) -> bool:
    partner = engine.rulebook.partner_by_id(row.partner)
    if partner is None:
        await store.missed(row, "its partner is no longer installed", now)
        return False
    request = RedeemRequest(
        "rule:", f"{row.event}:{row.place}", partner.code, row.holder, row.reward, row.currency,
        None, row.quantity, row.order,
    )  # fmt: skip

    async def note(connection: Connection, done: Redemption) -> None:
        if not await store.taken(connection, row, done.id, now, replayed=done.replayed):
            raise _SettledError

    try:
        await redeem(engine, request, now, note)
    except _SettledError:
        return False
    except Refusal as refusal:
        await store.missed(row, str(refusal), now)
        return False
    except PASSING:
        raise
    except Exception as error:  # of one, which must not keep the others from theirs
        _log.exception("what a rule issued can't be taken", purchase=row.event)
        await store.missed(row, f"it failed: {type(error).__name__}, see the log", now)
        return False
    return True
