"""Moving old lots under their currency's policy of today: previewed, reported, and only if asked.

A policy that changes leaves the lots that are there as they are. A run moves them: their end, how
far a return may reach for them, their grace. When they become active stays as it was. Unless it is
allowed no point ends sooner than its member was told; and never before the run itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import orjson

from core.db import Connection, transaction
from core.decisions import FORMAT
from core.entries import Lot
from core.errors import IdempotencyConflict, UnknownReference, WrongState
from core.events import EventKind
from core.folding import Batch, Posting
from core.nightly import BATCH
from core.posting import Engine, write
from core.purchases import check_text
from core.redemptions import time_out
from core.reviews import PROGRAMME
from core.rulebook import CurrencyTerms, PolicyTerms, Rulebook
from core.settling import digest
from core.store import lot_moves as store
from core.store.lot_moves import Moved, Run, Terms
from core.store.lots import ledgers, open_lots
from core.store.posting import lock_holders
from core.store.redemptions import claim_key
from laurels.policies import Policy, Renewal

#: Examples that a preview shows.
EXAMPLES = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Tally:
    """So many lots with so many points."""

    lots: int = 0
    points: int = 0

    def plus(self, points: int) -> Tally:
        """One lot more."""
        return Tally(self.lots + 1, self.points + points)


@dataclass(frozen=True, slots=True)
class Example:
    """One lot that would move, and its end before and after; None: never, or not known yet."""

    holder: int
    seq: int
    points: int
    before: datetime | None
    after: datetime | None


@dataclass(slots=True)
class Preview:
    """What a run would do now.

    By the policy's word so much would end `sooner`, `later`, or has no day more (`at_once`, which
    is part of sooner). Unless sooner is allowed all of that keeps the end that it has.
    """

    currency: CurrencyTerms
    members: int = 0
    moved: Tally = field(default_factory=Tally)
    sooner: Tally = field(default_factory=Tally)
    later: Tally = field(default_factory=Tally)
    at_once: Tally = field(default_factory=Tally)
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """`from_version` None: lots of whichever earlier version of the policy."""

    caller: str
    key: str
    currency: str
    from_version: int | None = None
    allow_sooner: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """A run as it stands; `replayed` where this key had begun it before."""

    run: Run
    replayed: bool = False


def find_currency(rulebook: Rulebook, code: str) -> CurrencyTerms:
    """The currency of this code. Raises UnknownReference."""
    for currency in rulebook.currencies.values():
        if currency.code == code:
            return currency
    raise UnknownReference(f"there is no currency '{code[:64]}'", "currency")


async def preview(
    engine: Engine, currency: str, now: datetime, from_version: int | None = None
) -> Preview:
    """What a run would do now; nothing is changed. Raises UnknownReference."""
    terms = find_currency(engine.rulebook, currency)
    found = Preview(terms)
    holder: int | None = None
    async with transaction() as connection:
        lots = store.outdated(
            connection, terms.id, _told(terms.policy), from_version, now, _slides_on(terms.policy)
        )
        async for lot in lots:
            if lot.holder != holder:
                holder, found.members = lot.holder, found.members + 1
            points = lot.remaining
            after = _end(terms.policy, lot.active_at, lot.last, now)
            found.moved = found.moved.plus(points)
            if _sooner(after, lot.expires_at):
                found.sooner = found.sooner.plus(points)
                if after is not None and after <= now:
                    found.at_once = found.at_once.plus(points)
            elif after != lot.expires_at:
                found.later = found.later.plus(points)
            if len(found.examples) < EXAMPLES:
                found.examples.append(Example(lot.holder, lot.seq, points, lot.expires_at, after))
    return found


async def move(
    engine: Engine,
    request: MoveRequest,
    now: datetime,
    progress: Callable[[int, int], None] | None = None,
) -> Done:
    """Move old lots, a batch of members in one transaction each.

    Killed in the middle, the same call goes on where it was. Raises UnknownReference, BadInput,
    IdempotencyConflict, or WrongState where the policy was changed again since the run began.
    `progress` is told how many members are done, of how many.
    """
    check_text(request.key, "key", 255, least=1)
    check_text(request.currency, "currency", 1000)
    run, replayed = await _begin(engine, request, now)
    if run.done_at is not None:
        return Done(run, replayed)
    terms = find_currency(engine.rulebook, request.currency)
    if terms.terms.id != run.policy:
        raise WrongState("the currency's policy was changed again since this run began", "key")
    await time_out(engine, now)  # or a lot that is wholly held would be passed over
    targets = await _targets(terms, now)
    due = await store.holders(terms.id, _told(terms.policy), run.from_version, now)
    for start in range(0, len(due), BATCH):
        async with transaction() as connection:
            batch = due[start : start + BATCH]
            moved = await _move_some(connection, engine, run, terms, targets, batch, now)
            await store.add(connection, run.id, moved)
        if progress is not None:
            progress(min(start + BATCH, len(due)), len(due))
    async with transaction() as connection:
        await store.end(connection, run.id, now)
        ended = await store.get(connection, run.id)
        assert ended is not None
        return Done(ended, replayed)


async def _begin(engine: Engine, request: MoveRequest, now: datetime) -> tuple[Run, bool]:
    """The run of this key: a new one, or the one that it began before."""
    asked = digest("move lots", request.currency, request.from_version, request.allow_sooner)
    async with transaction() as connection:
        (number,) = await engine.ids.take(1)
        before = await claim_key(connection, request.caller, request.key, asked, [number], now)
        if before is not None:
            if before[0] != asked:
                raise IdempotencyConflict("this key was used before for another request", "key")
            known = await store.get(connection, before[1][0])
            assert known is not None
            return known, True
        terms = find_currency(engine.rulebook, request.currency)
        run = Run(
            number, terms.id, terms.terms.id, request.from_version, request.allow_sooner,
            request.caller, now, None, Moved(),
        )  # fmt: skip
        await store.begin(connection, run)
        return run, False


async def _targets(currency: CurrencyTerms, now: datetime) -> Mapping[str | None, PolicyTerms]:
    """The policy of today by what a lot is held back for, which stays its own."""
    targets: dict[str | None, PolicyTerms] = {}
    for pending in await store.pendings(currency.id):
        policy = Policy.parse(pending, *currency.policy.texts()[1:])
        targets[pending] = await store.policy(currency.id, policy, now)
    return targets


def _told(policy: Policy) -> Terms:
    return policy.texts()[1:]


def _slides_on(policy: Policy) -> frozenset[Renewal]:
    return frozenset() if policy.expires is None else policy.expires.slides_on


def _end(
    policy: Policy, active_at: datetime | None, last: datetime | None, now: datetime
) -> datetime | None:
    """When points active since then end by a policy, renewed by the last activity there was."""
    if active_at is None:
        return None
    since = active_at
    if last is not None and active_at <= last <= now and _slides_on(policy):
        since = last
    return policy.expiry(since)


def _sooner(after: datetime | None, before: datetime | None) -> bool:
    return after is not None and (before is None or after < before)


async def _move_some(
    connection: Connection,
    engine: Engine,
    run: Run,
    currency: CurrencyTerms,
    targets: Mapping[str | None, PolicyTerms],
    holders: Sequence[int],
    now: datetime,
) -> Moved:
    locked = await lock_holders(connection, holders)
    batch = Batch(engine.rulebook, now, historical=False, tips=locked)
    for ledger in await ledgers(connection, [(h, currency.id) for h in holders]):
        batch.ledgers[ledger.holder, ledger.currency] = ledger
    batch.place(await open_lots(connection, holders, [currency.id]))
    last = await store.last_activity(connection, holders, currency.id, _slides_on(currency.policy))
    due = [
        holder for holder in holders
        if any(_outdated(lot, run, currency) for lot in batch.ledger(holder, currency.id).lots)
    ]  # fmt: skip
    total = Moved()
    for event, holder in zip(await engine.ids.take(len(due)), due, strict=True):
        moved = _fold(batch, run, currency, targets, holder, event, last.get(holder))
        total = Moved(*(a + b for a, b in zip(total, moved, strict=True)))
    await write(connection, batch)
    return total


def _outdated(lot: Lot, run: Run, currency: CurrencyTerms) -> bool:
    if not lot.remaining or run.from_version not in (None, lot.terms.version):
        return False
    return _told(lot.terms.policy) != _told(currency.policy)


def _fold(
    batch: Batch,
    run: Run,
    currency: CurrencyTerms,
    targets: Mapping[str | None, PolicyTerms],
    holder: int,
    event: int,
    last: datetime | None,
) -> Moved:
    """Move the lots of one ledger in memory; what must end ends in the same posting, now."""
    now = batch.now
    posting = Posting(batch, EventKind.LOT_MOVE, event, holder, PROGRAMME, now)
    ledger = posting.ledger(currency.id)  # what time has done so far is booked first
    changes: list[list[int | None]] = []
    were: list[list[int]] = []
    points = sooner = later = expired = 0
    for lot in sorted(ledger.lots, key=lambda lot: lot.seq):
        if not _outdated(lot, run, currency):
            continue
        target = targets[lot.terms.policy.texts()[0]]
        before = lot.expires_at
        after = _end(currency.policy, lot.active_at, None if lot.pending else last, now)
        if _sooner(after, before):
            # Never before now: what was spent or told since then stands.
            after = max(after, now) if run.allow_sooner and after is not None else before
        were.append([lot.terms.id, lot.remaining])
        changes.append([lot.seq, target.id, None if after is None else (after - _EPOCH) // _TICK])
        points += lot.remaining
        sooner += lot.remaining if _sooner(after, before) else 0
        later += lot.remaining if after != before and not _sooner(after, before) else 0
        expired += lot.remaining if after == now else 0
        ledger.move(posting.cause, lot, target, after)
    ledger.catch_up(posting.cause, now)
    content = orjson.dumps({"v": FORMAT, "m": [run.id, currency.id, changes], "w": were})
    name = f"{run.id}:{holder}:{posting.cause.booked_at.isoformat()}"
    posting.seal(content, hashlib.blake2b(content, digest_size=16).digest(), name)
    return Moved(1 if changes else 0, len(changes), points, sooner, later, expired)
