"""The review of ladders: what time alone did to a rank is booked, dated at its own instant.

A window moved on, a period, a hold, a grace or a rank given by hand ended, a ladder's terms
changed. What a member's tier *is* at an instant never waits for this (`core.tiers` works it out);
the review books what has already happened. It reads only the standings that are due, and may run
twice, late, in several processes, or be killed in the middle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime

import orjson

from core.db import Connection, transaction
from core.decisions import FORMAT
from core.events import EventKind
from core.folding import Batch, Posting
from core.posting import Engine, write
from core.qualifying import note
from core.store import posting as rows
from core.store import reviews as store
from core.tiers import Standing, TierMove, lapse, lapses

#: Standings looked at in one transaction.
_BATCH = 500
#: Events of the programme itself, not of a partner.
PROGRAMME = 0


async def review_tiers(
    engine: Engine, now: datetime, progress: Callable[[int], None] | None = None
) -> int:
    """Review every standing that is due; returns how many changes of rank were booked.

    `progress` is told how many standings were looked at so far.
    """
    booked = seen = 0
    reaches = engine.rulebook.reaches
    for pages in (store.due(reaches, now, _BATCH), store.outdated(reaches, _BATCH)):
        async for page in pages:
            async with transaction() as connection:
                holders = sorted({holder for holder, _ in page})
                booked += await _review(connection, engine, holders, now)
            seen += len(page)
            if progress is not None:
                progress(seen)
    return booked


async def _review(
    connection: Connection, engine: Engine, holders: Sequence[int], now: datetime
) -> int:
    locked = await rows.lock_holders(connection, holders)
    batch = Batch(engine.rulebook, now, historical=False, tips=locked)
    spans = dict.fromkeys(locked, (now, now))
    batch.take(await rows.load(connection, spans, [], engine.rulebook.reaches, 0, full=True))
    # Read again under the lock: another process may have reviewed some meanwhile.
    due = [s for s in batch.standings.values() if s.stale or (s.due is not None and s.due <= now)]
    moves = [(standing, move) for standing in due for move in _judge(standing, now)]
    events = await engine.ids.take(len(moves))
    for event, (standing, move) in zip(events, moves, strict=True):
        _record(batch, standing, event, move, now)
    await write(connection, batch)
    return len(moves)


def _judge(standing: Standing, now: datetime) -> list[TierMove]:
    """The changes of rank up to now; notes when the next one is due."""
    if standing.whole:
        return standing.rejudge(now)
    moves = lapses(standing, now)
    if moves:
        standing.advance(now)
        standing.rank, standing.since = moves[-1].after, moves[-1].at
    standing.touched = True
    if any(amount < 0 for _, amount in standing.rows):
        standing.review_soon(now)  # a deduction may leave the window and lift the rank
    else:
        standing.due = lapse(standing, standing.rank, max(now, standing.measured_at or now))
    return moves


def _record(batch: Batch, standing: Standing, event: int, move: TierMove, now: datetime) -> None:
    posting = Posting(batch, EventKind.REVIEW, event, standing.holder, PROGRAMME, now)
    note(batch, standing, posting.cause, [move])
    content = orjson.dumps({"v": FORMAT, "t": [move.ladder, move.before, move.after]})
    name = f"review:{standing.holder}:{move.ladder}:{posting.cause.booked_at.isoformat()}"
    posting.seal(content, review_hash(content), name)


def review_hash(content: bytes) -> bytes:
    """16 bytes that stand for what a review decided."""
    return hashlib.blake2b(content, digest_size=16).digest()
