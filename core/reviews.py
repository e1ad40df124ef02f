"""The nightly review of ladders: a rank that its window no longer carries is taken, on record.

What a member's tier *is* at an instant never waits for this (`core.tiers` works it out); the
review books what has already happened. Safe to run twice, late, or killed in the middle.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import orjson

from core.db import Connection, transaction
from core.events import EventKind
from core.folding import FORMAT, Batch
from core.posting import Engine, span, write
from core.store import posting as rows
from core.store import reviews as store
from core.tiers import TierMove, lapses

_BATCH = 500
#: Events of the programme itself, not of a partner.
PROGRAMME = 0


async def review_tiers(engine: Engine, now: datetime) -> int:
    """Review every member above the foot of a ladder; returns how many ranks were taken."""
    taken, after = 0, 0
    while True:
        async with transaction() as connection:
            holders = await store.lock_ranked(connection, after, _BATCH)
            if not holders:
                return taken
            taken += await _review(connection, engine, holders, now)
            after = max(holders)


async def _review(
    connection: Connection, engine: Engine, holders: dict[int, datetime | None], now: datetime
) -> int:
    batch = Batch(engine.rulebook, now, historical=False, booked=dict(holders))
    windows = [(x.id, span(x.window)) for x in engine.rulebook.ladders.values()]
    spans = dict.fromkeys(holders, (now, now))
    batch.take(await rows.load(connection, spans, [], windows, 0))
    moves = [(s, move) for s in batch.standings.values() for move in lapses(s, now)]
    events = await engine.ids.take(connection, len(moves))
    for event, (standing, move) in zip(events, moves, strict=True):
        standing.advance(now)
        standing.rank, standing.since = move.after, move.at
        _record(batch, standing.holder, event, move, now)
    await write(connection, batch)
    return len(moves)


def _record(batch: Batch, holder: int, event: int, move: TierMove, now: datetime) -> None:
    booked_at = batch.book_time(holder)
    name = f"review:{holder}:{move.ladder}:{move.at.isoformat()}"
    content = orjson.dumps({"v": FORMAT, "t": [move.ladder, move.before, move.after]})
    digest = review_hash(content)
    version = batch.rulebook.version
    batch.writes.events.append(
        rows.EventRow(
            event, holder, now, booked_at, None, PROGRAMME, EventKind.REVIEW, None, digest, name, ""
        )
    )
    batch.writes.decisions.append(
        rows.DecisionRow(
            holder, booked_at, event, now, PROGRAMME, version, EventKind.REVIEW, b"",
            content.decode(),
        )
    )  # fmt: skip
    batch.writes.tier_changes.append(
        rows.TierChangeRow(holder, move.ladder, booked_at, move.at, move.before, move.after, event)
    )
    batch.relations.setdefault((holder, PROGRAMME), (0, now))


def review_hash(content: bytes) -> bytes:
    """16 bytes that stand for what a review decided."""
    return hashlib.blake2b(content, digest_size=16).digest()
