"""The one posting path: purchases in, decisions and postings out, a batch at a time.

Each batch runs in one transaction and a fixed number of statements; what happens between them is
`core.folding`'s. Rules are evaluated there on plain data; nothing of them can write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from core.db import Connection, transaction
from core.errors import IdempotencyConflict, Refusal, UnknownReference
from core.events import EventKind
from core.folding import Batch, Outcome, fold_purchase
from core.purchases import Incoming
from core.rulebook import Rulebook
from core.store import posting as store
from core.store.ids import Ids
from core.store.lots import open_lots
from laurels.durations import Duration

_RETRIES = 5


class _LostRace(Exception):
    """Another transaction booked one of our natural keys between our load and our write."""


class Engine:
    """Posts batches for one process: holds the rulebook in force and a block of ids."""

    def __init__(self, rulebook: Rulebook) -> None:
        self.rulebook = rulebook
        self.ids = Ids()

    async def record_purchases(
        self, items: Sequence[Incoming], now: datetime, *, historical: bool = False
    ) -> list[Outcome]:
        """Book a batch, item by item independent: an outcome or a refusal for each, in order.

        `historical` lifts the limit on how old an event may be: imports. Safe to send again.
        """
        return await self._run(items, now, historical, book=True)

    async def quote(self, items: Sequence[Incoming], now: datetime) -> list[Outcome]:
        """What `record_purchases` would answer now, by the same code; nothing is booked."""
        return await self._run(items, now, historical=False, book=False)

    async def _run(
        self, items: Sequence[Incoming], now: datetime, historical: bool, book: bool
    ) -> list[Outcome]:
        if not items:
            return []
        for _ in range(_RETRIES):
            try:
                async with transaction() as connection:
                    return await self._post(connection, items, now, historical, book)
            except _LostRace:
                continue
        raise IdempotencyConflict("the same external ids are being recorded elsewhere right now")

    async def _post(
        self,
        connection: Connection,
        items: Sequence[Incoming],
        now: datetime,
        historical: bool,
        book: bool,
    ) -> list[Outcome]:
        batch = Batch(self.rulebook, now, historical)
        places = await store.lock_members(
            connection, [(n, *item.member.key) for n, item in enumerate(items)]
        )
        holders = {place: holder for place, holder, _ in places}
        batch.booked = {holder: booked for _, holder, booked in places}
        if holders:
            await self._load(connection, batch, items, holders)
        events = await self.ids.take(connection, len(items))
        outcomes: list[Outcome] = []
        for n, item in enumerate(items):
            try:
                if n not in holders:
                    raise UnknownReference(f"nobody is known by {item.member}", "member")
                outcomes.append(fold_purchase(batch, item, holders[n], events[n]))
            except Refusal as refusal:
                outcomes.append(refusal)
        if book:
            await write(connection, batch)
        return outcomes

    async def _load(
        self,
        connection: Connection,
        batch: Batch,
        items: Sequence[Incoming],
        holders: Mapping[int, int],
    ) -> None:
        spans: dict[int, tuple[datetime, datetime]] = {}
        for n, holder in holders.items():
            at = items[n].purchase.occurred_at
            lo, hi = spans.get(holder, (at, at))
            spans[holder] = (min(lo, at), max(hi, at))
        keys = [(items[n].partner.id, items[n].purchase.external_id) for n in holders]
        windows = [(x.id, span(x.window)) for x in self.rulebook.ladders.values()]
        batch.take(await store.load(connection, spans, keys, windows, EventKind.PURCHASE))
        if sliding := self.rulebook.sliding:
            batch.place(await open_lots(connection, list(spans), sliding))


def span(window: Duration | None) -> timedelta | None:
    """At least as long as the window ever is; exact bounds are Python's affair. None: no end."""
    if window is None:
        return None
    days = {"D": 1, "W": 7, "M": 31, "Y": 366}.get(window.unit)
    return timedelta(hours=window.count) if days is None else timedelta(days=days * window.count)


async def write(connection: Connection, batch: Batch) -> None:
    """Write a folded batch in two statements. Nothing is sent where nothing was booked."""
    writes = batch.writes
    if not writes.events:
        return
    writes.ledgers = [x for x in batch.ledgers.values() if x.transfers or x.changes]
    writes.standings = [
        store.StandingRow(s.holder, s.ladder.id, s.measured_at, s.value, s.rank, s.since)
        for s in batch.standings.values()
        if s.measured_at is not None
    ]
    touched = {(e.holder, e.partner) for e in writes.events}
    writes.relations = [(h, p, *batch.relations[h, p]) for h, p in sorted(touched)]
    # In one order for all: who waits for another's key must not hold one that the other waits for.
    writes.events.sort(key=lambda e: (e.partner, e.kind, e.external_id))
    if not await store.write_events(connection, writes):
        raise _LostRace
    await store.write_holders(connection, writes)
