"""The one posting path: purchases in, decisions and postings out, a batch at a time.

Each batch runs in one transaction and a fixed number of statements; what happens between them is
`core.folding`'s. Rules are evaluated there on plain data; nothing of them can write.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, TypeAlias

import structlog

from core.collecting import collect
from core.containment import Containment
from core.db import Connection, Deadlock, transaction
from core.errors import IdempotencyConflict, NotAllowed, Refusal, UnknownReference
from core.events import EventKind
from core.folding import Batch, fold
from core.gathering import Gathering
from core.outbox import changes_of
from core.outcomes import Outcome
from core.purchases import Incoming
from core.qualifying import standing_rows
from core.rulebook import PartnerTerms, Rulebook
from core.settling import end_holds
from core.shadowing import Shadows, beside
from core.store import attributes, caps, faults, issues, redemptions, shadows
from core.store import posting as store
from core.store.ids import Ids
from core.store.lots import due_lots, open_lots
from core.store.writes import Tip, Writes
from core.survey_tokens import SurveyTokens
from laurels.purchase import Purchase

_RETRIES = 5
#: Seconds of judging after which a transaction ends: holders aren't locked for as long as slow
#: rules take with a large batch. What is left of it is booked by the next one.
LONGEST_FOLD = 2.0
#: Seconds that a till's answer waits for rewards that rules issue; the rest is taken later.
LONGEST_ISSUE = 1.0
#: So far ahead a quote looks.
FORESEEN = timedelta(days=5 * 366)
#: So many purchases are judged before others in this process have their turn.
_TURN = 16
_log = structlog.get_logger("laurels.posting")


class LostRace(Exception):
    """Nothing was booked: another transaction took one of our natural keys since we looked."""


#: Builds the rulebook from what is stored by an instant.
Install: TypeAlias = Callable[[datetime], Awaitable[Rulebook]]


class _Booked(NamedTuple):
    """What one transaction did: outcomes of the first items, and what it wrote.

    `cuts`: where else the batch must be cut, by places in it. `issued`: the events for which rules
    issue rewards, `followed` the members of whom something is to be told to rules.
    """

    outcomes: list[Outcome]
    writes: Writes
    cuts: Sequence[int] = ()
    issued: Sequence[int] = ()
    followed: Sequence[int] = ()


class Engine:
    """Posts batches for one process: holds the rulebook in force and a block of ids.

    `install` builds the rulebook anew, where rules may change while it runs.
    """

    def __init__(self, rulebook: Rulebook, install: Install | None = None) -> None:
        self.rulebook = rulebook
        self.install = install
        self.ids = Ids()
        self.containment = Containment()
        self.shadows = Shadows()
        #: Hosts to which webhooks may go although they aren't public: of tests and demos.
        self.private_hosts: frozenset[str] = frozenset()
        #: By which surveys are answered by a link; set where links are to outlive this process.
        self.survey_tokens = SurveyTokens.fleeting()
        self._renewing = asyncio.Lock()
        #: Whoever holds a connection while waiting for another takes a turn: few may.
        self.turns = asyncio.Semaphore(2)
        #: Requests that come at the same time share a batch here.
        self.tills = Gathering(lambda items, now: self.record_purchases(items, now))

    async def renew(self, now: datetime) -> None:
        """Take up the rulebook as it is stored by now; what is under way keeps its own."""
        if self.install is not None:
            async with self._renewing:  # each would take a connection, only to wait for the others
                self.rulebook = await self.install(now)

    async def record_purchases(
        self, items: Sequence[Incoming], now: datetime, *, historical: bool = False
    ) -> list[Outcome]:
        """Book a batch, item by item independent: an outcome or a refusal for each, in order.

        `historical` lifts the limit on how old an event may be: imports. Safe to send again.
        """
        from core.issuing import issue  # it redeems by an engine: a circle, closed here
        from core.occasions import tell  # it books by one, too
        from core.returning import match_waiting  # it books by one: another

        outcomes: list[Outcome] = []
        cuts: list[int] = []
        while (done := len(outcomes)) < len(items):
            cuts = [cut for cut in cuts if cut > done]
            part = items[done : cuts[0] if cuts else None]
            some = await self._run(part, now, historical, book=True)
            outcomes += some.outcomes
            cuts = [done + cut for cut in some.cuts] + cuts
            if some.writes.awaited:
                told = [(x.partner.id, x.purchase.external_id) for x in part[: len(some.outcomes)]]
                try:
                    await match_waiting(self, now, told, historical=historical)
                except Exception:  # the purchases are booked; every minute it is tried again
                    _log.exception("what waited couldn't be booked; it is tried again")
            if some.issued:
                try:
                    await issue(self, now, some.issued, seconds=LONGEST_ISSUE)
                except Exception:  # the purchases are booked; every minute it is tried again
                    _log.exception("what rules issued couldn't be taken; it is tried again")
            if some.followed:
                try:
                    await tell(self, now, some.followed)
                except Exception:  # the purchases are booked; every minute it is tried again
                    _log.exception("what followed couldn't be told to rules; it is tried again")
        return outcomes

    async def record_activities(self, items: Sequence[Incoming], now: datetime) -> list[Outcome]:
        """Book a batch of activities, or of occasions, as `record_purchases` does purchases.

        All of one kind. What follows from them is told right after.
        """
        from core.issuing import issue  # as above
        from core.occasions import tell

        outcomes: list[Outcome] = []
        while (done := len(outcomes)) < len(items):
            some = await self._run(items[done:], now, False, book=True)
            outcomes += some.outcomes
            try:
                if some.issued:
                    await issue(self, now, some.issued, seconds=LONGEST_ISSUE)
                if some.followed:
                    await tell(self, now, some.followed)
            except Exception:  # they are booked; every minute it is tried again
                _log.exception("what followed from activities couldn't be done; it is tried again")
        return outcomes

    async def quote(self, items: Sequence[Incoming], now: datetime) -> list[Outcome]:
        """What `record_purchases` would answer, by the same code; nothing is booked.

        Of a purchase that lies ahead, what it would answer then, did nothing happen in between.
        Raises NotAllowed beyond FORESEEN.
        """
        last = max([now, *(item.purchase.occurred_at for item in items)])
        if last > now + FORESEEN:
            raise NotAllowed("a quote looks at most five years ahead", "occurredAt")
        return (await self._run(items, last, False, book=False, clock=now)).outcomes

    async def _run(
        self,
        items: Sequence[Incoming],
        now: datetime,
        historical: bool,
        book: bool,
        clock: datetime | None = None,
    ) -> _Booked:
        try:
            for attempt in range(_RETRIES):
                try:
                    async with transaction() as connection:
                        booked = await self._post(
                            connection, items, now, historical, book, sure=attempt > 0
                        )
                except (LostRace, Deadlock):
                    continue
                self.shadows.keep(booked.writes)
                return booked
        finally:
            await self.tell_faults(clock or now)
        raise IdempotencyConflict("the same external ids are being recorded elsewhere right now")

    async def tell_faults(self, now: datetime) -> None:
        """Keep what partners' rules did wrong since, for whoever looks for the culprit."""
        if found := self.containment.take_faults() + self.shadows.take_faults():
            try:
                await faults.add(found, now)
            except Exception:  # what was booked is booked, and is answered
                self.containment.put_back(found)
                _log.exception("faults of rules couldn't be kept; they are told next time")

    async def _post(
        self,
        connection: Connection,
        items: Sequence[Incoming],
        now: datetime,
        historical: bool,
        book: bool,
        sure: bool,
    ) -> _Booked:
        """Book what one transaction takes of a batch: all of it, as a rule.

        What waits for a purchase is booked before the next one of its holder, as if each came
        alone: there the batch is cut. And it ends where judging has taken too long. To be `sure` of
        what is left of budgets, nobody else draws on them until the end.
        """
        batch = Batch(
            self.rulebook, now, historical, containment=self.containment, tentative=not book,
            shadows=self.shadows if book and not historical else None,
        )  # fmt: skip
        holders, batch.tips = await _lock(connection, items)
        if holders:
            await self._load(connection, batch, items, holders)
            await caps.load(
                connection, batch.tally, _told(batch, items, holders), sure=sure and book
            )
        awaiting = book and batch.awaiting and items[0].kind is EventKind.PURCHASE
        cuts = _cuts(batch, items, holders) if awaiting else []
        if cuts:
            items = items[: cuts[0]]
        events = await self.ids.take(len(items))
        outcomes: list[Outcome] = []
        began = time.monotonic()
        for n, item in enumerate(items):
            if n % _TURN == _TURN - 1:
                await asyncio.sleep(0)
                if book and time.monotonic() - began > LONGEST_FOLD:
                    break
            try:
                if n not in holders:
                    raise UnknownReference(f"nobody is known by {item.member}", "member")
                outcomes.append(fold(batch, item, holders[n], events[n]))
            except Refusal as refusal:
                outcomes.append(refusal)
        if book and not historical:
            await collect(connection, self.ids, batch)
        if book:
            await write(connection, batch)
        issued = sorted({row.event for row in batch.writes.issues}) if book else []
        followed = sorted({o.holder for o in batch.writes.occasions}) if book else []
        if book:
            followed += await attributes.referrers(connection, batch.writes.thanks)
        return _Booked(outcomes, batch.writes, cuts, issued, followed)

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
        reaches = self.rulebook.reaches
        batch.take(await store.load(connection, spans, keys, reaches, items[0].kind))
        if sliding := self.rulebook.sliding:
            batch.place(await open_lots(connection, list(spans), sliding))
        # What became active meanwhile repays what is owed before what this batch brings does.
        owing = {h for (h, _), x in batch.ledgers.items() if x.arrears and x.pending}
        # And what time did is asked for by rules that ask for balances.
        owing |= {holder for holder, terms, _ in _told(batch, items, holders) if terms.balanced}
        if owing:
            batch.place(await due_lots(connection, sorted(owing), batch.now))
        await end_holds(connection, self.ids, batch)


def _told(
    batch: Batch, items: Sequence[Incoming], holders: Mapping[int, int]
) -> list[tuple[int, PartnerTerms, Purchase]]:
    """By whose rules which purchases are judged, in force or in shadow.

    What bears on either is loaded. Were it on those in force alone, a shadow's caps would find what
    chance put into the batch.
    """
    told = [(h, items[n].partner, items[n].purchase) for n, h in holders.items()]
    if batch.shadows is None or items[0].kind is not EventKind.PURCHASE:
        return told
    also = [(h, beside(partner, purchase), purchase) for h, partner, purchase in told]
    return told + [(h, terms, purchase) for h, terms, purchase in also if terms is not None]


async def _lock(
    connection: Connection, items: Sequence[Incoming]
) -> tuple[dict[int, int], dict[int, Tip]]:
    """Lock the holders of all items: by place who it is, and where each one's chain ends."""
    numbers = {n: item.holder for n, item in enumerate(items) if item.holder is not None}
    if not numbers:
        known = [(n, *item.member.key) for n, item in enumerate(items)]
        places = await store.lock_members(connection, known)
        return {n: holder for n, holder, _ in places}, {holder: tip for _, holder, tip in places}
    tips = await store.lock_holders(connection, sorted(set(numbers.values())), living=True)
    return {n: holder for n, holder in numbers.items() if holder in tips}, tips


def _cuts(batch: Batch, items: Sequence[Incoming], holders: Mapping[int, int]) -> list[int]:
    """Before which items a batch must be cut: their holder's last one had something waiting."""
    cuts: list[int] = []
    awaited: set[int] = set()
    for n, item in enumerate(items):
        holder = holders.get(n)
        if holder is None:
            continue
        if holder in awaited:
            cuts.append(n)
            awaited.clear()
        if (item.partner.id, item.purchase.external_id) in batch.awaiting:
            awaited.add(holder)
    return cuts


async def write(connection: Connection, batch: Batch) -> None:
    """Write a folded batch in two statements. Nothing is sent where nothing was booked."""
    writes = batch.writes
    if not writes.events and not any(s.touched for s in batch.standings.values()):
        return
    writes.ledgers = [x for x in batch.ledgers.values() if x.transfers or x.changes]
    writes.standings = standing_rows(batch)
    writes.relations = [(h, p, batch.relations[h, p]) for h, p in sorted(batch.dealt)]
    if not batch.historical:  # of history nobody waits to be told
        writes.outbox = changes_of(writes)
    # In one order for all: who waits for another's key must not hold one that the other waits for.
    writes.events.sort(key=lambda e: (e.partner, e.kind, e.external_id))
    if writes.events and not await store.write_events(connection, writes):
        raise LostRace
    await store.write_holders(connection, writes)
    if writes.issues:
        await issues.add(connection, writes.issues)
    await attributes.write(connection, writes, batch.now)
    if not await caps.write(connection, batch.tally):
        raise LostRace  # another drew on a budget since: less is left of it
    # After the budgets: who is sure of them locked them when it loaded, before any count.
    if writes.shadowed or writes.paused:
        await shadows.write(connection, writes, batch.now)
    if writes.settled:  # last: stock is given back there, for which others wait
        await redemptions.settle(connection, writes.settled)
