"""Does what came in by adapters: reads it, books its commands, keeps what comes too early.

A delivery is done as often as it is asked: whatever it books is known by natural keys. Those of a
subject are done in the order of their versions, those of many subjects together. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import structlog

from core.booking import Outcome, book_together
from core.commands import WHOLE, Booking, checked, is_edit, revised, told_of
from core.db import PASSING
from core.errors import BadInput, PartnerRuleFailed, Refusal, UnknownReference
from core.events import EventKind
from core.members import Enrolment
from core.posting import Engine
from core.purchases import Incoming, check_text
from core.returns import Unit
from core.rulebook import PartnerTerms
from core.store import inbound as store
from core.store.inbound import Arrived, Inbound, State
from laurels.adapters import Command, Delivery, DeliveryError, Ignore, Message, Received, place
from laurels.errors import storable

#: What waits is given up after so long, and its body dropped so long after it is done.
PATIENCE, KEPT = timedelta(days=7), timedelta(days=30)
_MINUTE, _LONGEST = timedelta(minutes=1), timedelta(hours=1)
_NOBODY = "nobody is known by its member's identifier yet"
_RECENT = timedelta(hours=1)
_log = structlog.get_logger("laurels.inbound")
#: An adapter and a subject of its deliveries.
Subject: TypeAlias = tuple[str, str]


def named(received: Received | None, digest: str) -> tuple[str, str, int | None]:
    """(name, subject, version) of a delivery; by its body's digest where it has no name."""
    if isinstance(received, Delivery):
        return received.id, received.subject, place("version", received.version)
    return f"sha256:{digest}", "", None


@dataclass(slots=True)
class _Job:
    """A delivery that is being done."""

    row: Inbound
    received: Received | None = None
    state: State = State.RECEIVED
    problem: str = ""
    next_at: datetime | None = None
    said: list[dict[str, Any]] = field(default_factory=list)
    whole: bool = False
    enrolled: bool = False
    name: str = ""
    subject: str = ""
    version: int | None = None

    @property
    def open(self) -> bool:
        return self.state is State.RECEIVED

    @property
    def key(self) -> Subject:
        # Without a subject it stands alone; no subject holds a NUL.
        return self.row.adapter, self.subject or f"\0{self.row.id}"

    @property
    def place(self) -> tuple[bool, int, int]:
        """In the order of its subject: by version, then as they came."""
        return _place(self.version, self.row.id)

    @property
    def commands(self) -> Sequence[Command]:
        if isinstance(self.received, Delivery):
            return self.received.commands
        return [] if self.received is None else [self.received]

    def say(self, command: Command, what: str, **more: object) -> None:
        self.said.append({"command": type(command).__name__, "what": what, **more})

    def wait(self, problem: str, until: datetime) -> None:
        self.state, self.problem, self.next_at = State.WAITING, problem, until

    def refuse(self, problem: str) -> None:
        # A brand's own words: they must not keep the others' from being stored.
        clean = problem if storable(problem) else repr(problem)
        self.state, self.problem = State.REFUSED, clean[:1000].strip() or "it was refused"

    def settle(self) -> None:
        """Every command was done: what it comes to."""
        found = {said["what"] for said in self.said}
        if found & {"booked", "known"} or ("superseded" in found and self.row.whole):
            self.state = State.DONE
        else:
            self.state = State.SUPERSEDED if "superseded" in found else State.IGNORED

    def finished(self, now: datetime) -> store.Finished:
        """As it is stored; who has waited for too long is given up."""
        if self.state is State.WAITING and self.row.received_at + PATIENCE <= now:
            self.refuse(f"given up after {PATIENCE.days} days: {self.problem}")
        waits = self.state is State.WAITING
        return store.Finished(
            self.row.id, self.name, self.subject, self.version, self.state, self.problem,
            self.next_at if waits else None, None if waits else now, self.said, self.whole,
        )  # fmt: skip


def _place(version: int | None, number: int) -> tuple[bool, int, int]:
    return version is None, version or 0, number


@dataclass(slots=True)
class _Run:
    """One batch of a partner's deliveries."""

    engine: Engine
    partner: PartnerTerms
    now: datetime
    standing: dict[Subject, store.Standing] = field(default_factory=dict)

    def older(self, job: _Job) -> bool:
        """Whether something newer of its subject, and whole, is in the books."""
        newest = self.standing.get(job.key)
        return newest is not None and newest.whole is not None and _place(*newest.whole) > job.place

    def early(self, job: _Job) -> bool:
        """Whether what it says must come before it hasn't."""
        after = place("after", job.received.after) if isinstance(job.received, Delivery) else None
        done = self.standing.get(job.key)
        return after is not None and (
            done is None or done.finished is None or done.finished < after
        )

    def note(self, job: _Job) -> None:
        """What is finished now bears on those of its subject that follow."""
        before = self.standing.get(job.key, store.Standing(None, None))
        whole, finished = before.whole, before.finished
        if job.whole and job.state is State.DONE and (whole is None or _place(*whole) < job.place):
            whole = (job.version, job.row.id)
        if job.version is not None:
            finished = job.version if finished is None else max(finished, job.version)
        self.standing[job.key] = store.Standing(whole, finished)

    def later(self, job: _Job) -> datetime:
        """Ever later, up to an hour."""
        return self.now + min(_MINUTE * (1 << min(job.row.attempts, 10)), _LONGEST)


async def keep(engine: Engine, given: Arrived, now: datetime) -> bool | None:
    """Keep a genuine webhook; as `core.store.inbound.add`."""
    kept = await store.add(given, now)
    if kept is None:
        partner = engine.rulebook.partner_by_id(given.partner)
        _log.warning(
            "a delivery came again with another body", adapter=given.adapter,
            partner=None if partner is None else partner.code,
        )  # fmt: skip
    return kept


async def forget(now: datetime) -> int:
    """Drop the bodies of what was done long ago, and what was said of them; how many."""
    return await store.forget(now - KEPT)


async def work(engine: Engine, now: datetime, partners: Iterable[int] | None = None) -> int:
    """Do what is due, of these partners or of all; returns how many deliveries were finished.

    Safe at any time and in several processes: of a partner, one at a time does it.
    """
    done = 0
    for partner in await store.due(now) if partners is None else partners:
        try:
            async with engine.turns, store.alone(partner):
                done += await _partner(engine, partner, now)
        except PASSING:
            raise
        except Exception:  # of one, which must not keep the others from theirs
            _log.exception("what came in can't be done; it is tried again", partner=partner)
    return done


async def _partner(engine: Engine, number: int, now: datetime) -> int:
    tried: set[int] = set()
    done = 0
    try:
        while rows := await store.take(number, now):
            if tried.issuperset(row.id for row in rows):
                break
            tried.update(row.id for row in rows)
            jobs = await _some(engine, number, rows, now)
            done += sum(job.state is not State.WAITING for job in jobs)
            if any(job.enrolled for job in jobs):
                # Whoever bought a moment ago may be known by now.
                await store.hurry(number, _NOBODY, now - _RECENT, now)
                tried.clear()
    finally:
        await engine.tell_faults(now)
    return done


async def _some(engine: Engine, number: int, rows: Sequence[Inbound], now: datetime) -> list[_Job]:
    jobs = [_Job(row, name=row.delivery, subject=row.subject, version=row.version) for row in rows]
    partner = engine.rulebook.partner_by_id(number)
    if partner is None:
        for job in jobs:
            job.wait("its partner is no longer installed", now + _LONGEST)
    else:
        run = _Run(engine, partner, now)
        for job in jobs:
            _read(run, job)
            await asyncio.sleep(0)  # a partner's code ran: let others have their turn
        await _refuse_twins(run, jobs)
        await _in_order(run, [job for job in jobs if job.open])
    await store.finish([job.finished(now) for job in jobs])
    return jobs


def _read(run: _Run, job: _Job) -> None:
    """What the adapter makes of it now."""
    row = job.row
    adapter = run.partner.adapters.get(row.adapter)
    if adapter is None:
        job.wait("its adapter is no longer declared", run.now + _LONGEST)
        return
    assert row.body is not None
    reading = run.engine.containment.reading
    if left := reading.left((run.partner.id, adapter.code)):
        job.wait(
            "its adapter failed again and again and is suspended", run.now + timedelta(seconds=left)
        )
        return
    try:
        job.received = run.engine.containment.read(
            run.partner, adapter, Message(row.headers, row.body)
        )
    except (DeliveryError, PartnerRuleFailed) as error:
        job.refuse(str(error))
        return
    if isinstance(job.received, Delivery):
        job.name, job.subject, job.version = named(job.received, "")


async def _refuse_twins(run: _Run, jobs: Sequence[_Job]) -> None:
    """A delivery whose name was learnt only now may be one that is kept already."""
    changed = [job for job in jobs if job.name != job.row.delivery]
    if not changed:
        return
    taken = await store.names(
        run.partner.id, [(job.row.id, job.row.adapter, job.name) for job in changed]
    )
    new: set[tuple[str, str]] = set()
    for job in changed:
        name = (job.row.adapter, job.name)
        if job.row.id in taken or name in new:
            job.state = State.SUPERSEDED
            job.said = [{"command": "", "what": "superseded", "told": "it is kept by its name"}]
            job.name = job.row.delivery
        new.add(name)


async def _in_order(run: _Run, jobs: list[_Job]) -> None:
    """Each subject in the order of its versions, many subjects at once.

    What waits is tried again as long as something of its subject is finished.
    """
    asked = sorted({job.key for job in jobs if job.subject})
    run.standing = await store.standing(run.partner.id, asked) if asked else {}
    while jobs:
        queues: dict[Subject, list[_Job]] = {}
        for job in sorted(jobs, key=lambda job: job.place):
            queues.setdefault(job.key, []).append(job)
        moved: set[Subject] = set()
        while heads := [queue.pop(0) for queue in queues.values() if queue]:
            await _round(run, heads)
            for job in heads:
                if job.state is not State.WAITING:
                    moved.add(job.key)
                    run.note(job)
        jobs = [job for job in jobs if job.state is State.WAITING and job.key in moved]
        for job in jobs:
            job.state, job.problem, job.said = State.RECEIVED, "", []


async def _round(run: _Run, heads: Sequence[_Job]) -> None:
    """Do one delivery of each subject, command by command."""
    for job in heads:
        if run.early(job):
            job.wait("what must come before it hasn't come yet", run.now + _MINUTE)
    for n in range(max(len(job.commands) for job in heads)):
        some = [(job, job.commands[n]) for job in heads if job.open and n < len(job.commands)]
        await _step(run, some)
    for job in heads:
        if job.open:
            job.settle()


async def _step(run: _Run, some: Sequence[tuple[_Job, Command]]) -> None:
    """Do one command of each delivery: in a few batches, each of its own kind."""
    ready: list[tuple[_Job, Command, Booking]] = []
    for job, command in some:
        try:
            booking = checked(run.partner, command, waited=job.row.state is State.WAITING)
        except Refusal as refusal:
            job.refuse(told_of(refusal))
            continue
        if booking is None:
            assert isinstance(command, Ignore)
            job.say(command, "ignored", told=command.because)
        elif is_edit(booking) and run.older(job):
            job.say(command, "superseded")
        else:
            ready.append((job, command, booking))
    ready = await _known(run, ready)
    outcomes = await book_together(run.engine, [booking for _, _, booking in ready], run.now)
    for (job, command, booking), outcome in zip(ready, outcomes, strict=True):
        _conclude(run, job, command, booking, outcome)


async def _known(
    run: _Run, ready: Sequence[tuple[_Job, Command, Booking]]
) -> list[tuple[_Job, Command, Booking]]:
    """Those whose purchase is known, edits as its next revision; the others wait."""
    keys = [
        (n, run.partner.id, booking.purchase)
        for n, (_, _, booking) in enumerate(ready)
        if isinstance(booking, Unit) and booking.of is EventKind.PURCHASE
    ]
    stored = await store.purchases(keys) if keys else {}
    going: list[tuple[_Job, Command, Booking]] = []
    for n, (job, command, booking) in enumerate(ready):
        if not isinstance(booking, Unit) or booking.of is not EventKind.PURCHASE:
            going.append((job, command, booking))
        elif n not in stored:
            told = f"no purchase '{booking.purchase[:64]}' is recorded yet"
            job.wait(told, run.now + _MINUTE)
        elif not is_edit(booking):
            going.append((job, command, booking))
        elif (unit := revised(booking, stored[n])) is not None:
            going.append((job, command, unit))
        else:
            job.whole = True
            job.say(command, "known", purchase=booking.purchase)
    return going


def _conclude(run: _Run, job: _Job, command: Command, booking: Booking, outcome: Outcome) -> None:
    """What a command came to, and what that means for its delivery."""
    whole = isinstance(command, WHOLE)
    if not isinstance(outcome, Refusal):
        job.whole = job.whole or whole
        job.enrolled |= isinstance(booking, Enrolment) and not outcome.known
        job.say(command, "known" if outcome.known else "booked", **outcome.told(booking))
    elif isinstance(booking, Incoming) and _unknown(outcome, "member"):
        job.wait(_NOBODY, run.later(job))
    elif _unknown(outcome, "activity"):
        job.wait(outcome.message, run.now + _MINUTE)
    elif isinstance(outcome, PartnerRuleFailed):
        job.wait(outcome.message, run.later(job))
    elif whole and run.older(job):
        job.say(command, "superseded")
    else:
        job.refuse(told_of(outcome))


def _unknown(refusal: Refusal, what: str) -> bool:
    return isinstance(refusal, UnknownReference) and refusal.path[-1:] == (what,)


async def replay(
    engine: Engine, ids: Sequence[int], now: datetime, key: tuple[str, str] | None = None
) -> bool:
    """Do deliveries once more by the present version of `read`; False where `key` did before.

    `key` is a caller with its idempotency key. Raises BadInput naming the first whose body was
    dropped, IdempotencyConflict where the key was used for others.
    """
    if key is not None:
        check_text(key[1], "key", 255, least=1)
    rows = await store.read(ids)
    for row in rows:
        if row.body is None:
            raise BadInput(
                f"delivery {row.delivery}: its body was dropped {KEPT.days} days after it was done",
                "ids", list(ids).index(row.id),
            )  # fmt: skip
    if not await store.replay([row.id for row in rows], now, key):
        return False
    await work(engine, now, sorted({row.partner for row in rows}))
    return True
