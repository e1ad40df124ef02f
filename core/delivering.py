"""Does a batch of a partner's webhooks: reads them, and books their commands subject by subject.

A fault of one costs that one alone. Knows no HTTP, nor when it is that something is due.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

import structlog

from core.booking import Outcome, book_together
from core.commands import WHOLE, Booking, checked, is_edit, revised, told_of
from core.deliveries import LONGEST, Job, Run, Subject, in_order, named
from core.errors import IdempotencyConflict, PartnerRuleFailed, Refusal, UnknownReference
from core.events import EventKind
from core.posting import Engine
from core.purchases import Incoming
from core.returns import Unit
from core.store import inbound as store
from core.store.inbound import Inbound, State
from laurels.adapters import Command, Delivery, DeliveryError, Ignore, Message

NOBODY = "nobody is known by its member's identifier yet"
_log = structlog.get_logger("laurels.inbound")


async def do(engine: Engine, number: int, rows: Sequence[Inbound], now: datetime) -> list[Job]:
    """Do these deliveries of a partner, and note what became of each."""
    jobs = [
        Job(row, name=row.delivery, subject=row.subject, version=row.version, said=row.did)
        for row in rows
    ]
    partner = engine.rulebook.partner_by_id(number)
    if partner is None:
        for job in jobs:
            job.wait("its partner is no longer installed", now + LONGEST)
        await store.finish(number, [job.finished(now) for job in jobs], now)
        return jobs
    run = Run(engine, partner, now)
    for job in jobs:
        _read(run, job)
        await asyncio.sleep(0)  # a partner's code ran: let others have their turn
    await _refuse_twins(run, jobs)
    moved = await _in_order(run, [job for job in jobs if job.open])
    await store.finish(number, [job.finished(now, partner.time_zone) for job in jobs], now)
    if moved:
        await store.wake(number, sorted(moved), [job.row.id for job in jobs], now)
    return jobs


def _read(run: Run, job: Job) -> None:
    """What the adapter makes of it now."""
    row = job.row
    adapter = run.partner.adapters.get(row.adapter)
    if adapter is None:
        job.wait("its adapter is no longer declared", run.now + LONGEST)
        return
    assert row.body is not None
    reading = run.engine.containment.reading
    if left := reading.left((run.partner.id, adapter.code)):
        told = "its adapter failed again and again and is suspended"
        job.wait(told, run.now + timedelta(seconds=ceil(left)))
        return
    message = Message(row.headers, row.body)
    try:
        job.received = run.engine.containment.read(run.partner, adapter, message)
        if isinstance(job.received, Delivery):
            job.name, job.subject, job.version = named(job.received, message)
        job.go_on()
    except (DeliveryError, PartnerRuleFailed) as error:
        job.refuse(str(error))
    except Exception as error:  # of one, which must not keep the others from theirs
        _fail(job, "read", error)


def _fail(job: Job, what: str, error: Exception) -> None:
    _log.exception("what came in can't be done", adapter=job.row.adapter, delivery=job.row.id)
    job.refuse(f"it couldn't be {what}: {type(error).__name__}, see the log")


async def _refuse_twins(run: Run, jobs: Sequence[Job]) -> None:
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
            # Nothing was done of it, whatever it says: it opens the way to nothing.
            job.name, job.subject, job.version = job.row.delivery, job.row.subject, job.row.version
        new.add(name)


async def _in_order(run: Run, jobs: list[Job]) -> set[Subject]:
    """Each subject in its order, many subjects at once; the subjects of which something moved.

    What waits is tried again as long as something of its subject moves.
    """
    asked = sorted({job.key for job in jobs if job.subject})
    run.standing = await store.standing(run.partner.id, asked) if asked else {}
    all_moved: set[Subject] = set()
    while jobs:
        found: dict[Subject, list[Job]] = {}
        for job in jobs:
            found.setdefault(job.key, []).append(job)
        queues = [in_order(some) for some in found.values()]
        moved: set[Subject] = set()
        while heads := [queue.pop(0) for queue in queues if queue]:
            await _round(run, heads)
            for job in heads:
                run.note(job)
                if job.moved:
                    moved.add(job.key)
        all_moved.update(moved)
        jobs = [job for job in jobs if job.state is State.WAITING and job.key in moved]
        for job in jobs:
            job.again()
    return all_moved.intersection(asked)


async def _round(run: Run, heads: Sequence[Job]) -> None:
    """Do one delivery of each subject, command by command."""
    for job in heads:
        if run.early(job):
            job.wait("what must come before it hasn't come yet", run.later(job))
    for n in range(max(len(job.commands) for job in heads)):
        some = [
            (job, job.commands[n])
            for job in heads
            if job.open and len(job.said) <= n < len(job.commands)
        ]
        while some:
            some = await _step(run, some)
    for job in heads:
        if job.open:
            job.settle()


async def _step(run: Run, some: Sequence[tuple[Job, Command]]) -> list[tuple[Job, Command]]:
    """Do one command of each delivery, in a few batches; returns those whose turn is next.

    Of a purchase that is edited one thing is done at a time: an edit is of it as it stands.
    """
    ready: list[tuple[Job, Command, Booking]] = []
    left: list[tuple[Job, Command]] = []
    taken: dict[tuple[EventKind, str], bool] = {}
    for job, command in some:
        booking = _booking(run, job, command)
        if booking is None:
            continue
        if isinstance(booking, Unit):
            key, edit = (booking.of, booking.purchase), is_edit(booking)
            if key in taken and (edit or taken[key]):
                left.append((job, command))
                continue
            taken[key] = edit
        ready.append((job, command, booking))
    ready = await _known(run, ready)
    outcomes = await book_together(run.engine, [booking for _, _, booking in ready], run.now)
    for (job, command, booking), outcome in zip(ready, outcomes, strict=True):
        _conclude(run, job, command, booking, outcome)
    return left


def _booking(run: Run, job: Job, command: Command) -> Booking | None:
    """What is to be booked; None where nothing is, which is noted."""
    try:
        booking = checked(
            run.partner, command, job.row.received_at, waited=job.row.state is State.WAITING
        )
    except Refusal as refusal:
        job.refuse(told_of(refusal))
        return None
    except Exception as error:  # a text or a list of a brand's own making
        _fail(job, "checked", error)
        return None
    if booking is None:
        assert isinstance(command, Ignore)
        job.say(command, "ignored", told=command.because)
    elif is_edit(booking) and run.older(job):
        job.say(command, "superseded")
        return None
    return booking


async def _known(
    run: Run, ready: Sequence[tuple[Job, Command, Booking]]
) -> list[tuple[Job, Command, Booking]]:
    """Those whose purchase is known, edits as its next revision; the others wait."""
    keys = [
        (n, run.partner.id, booking.purchase)
        for n, (_, _, booking) in enumerate(ready)
        if isinstance(booking, Unit) and booking.of is EventKind.PURCHASE
    ]
    stored = await store.purchases(keys) if keys else {}
    going: list[tuple[Job, Command, Booking]] = []
    for n, (job, command, booking) in enumerate(ready):
        if not isinstance(booking, Unit) or booking.of is not EventKind.PURCHASE:
            going.append((job, command, booking))
        elif n not in stored:
            job.wait(f"no purchase '{booking.purchase[:64]}' is recorded yet", run.later(job))
        elif not is_edit(booking):
            going.append((job, command, booking))
        elif (unit := revised(booking, stored[n])) is not None:
            going.append((job, command, unit))
        else:
            job.whole = True
            job.say(command, "known", purchase=booking.purchase)
    return going


def _conclude(run: Run, job: Job, command: Command, booking: Booking, outcome: Outcome) -> None:
    """What a command came to, and what that means for its delivery."""
    whole = isinstance(command, WHOLE)
    if not isinstance(outcome, Refusal):
        job.whole |= whole
        job.booked |= not outcome.known
        job.say(command, "known" if outcome.known else "booked", **outcome.told(booking))
    elif isinstance(booking, Incoming) and _unknown(outcome, "member"):
        job.wait(NOBODY, run.later(job), booking.member)
    elif (
        _unknown(outcome, "activity")
        or _unknown(outcome, "sku")
        or isinstance(outcome, PartnerRuleFailed)
        or (is_edit(booking) and _overtaken(outcome))
    ):
        job.wait(outcome.message, run.later(job))
    elif whole and run.older(job):
        job.say(command, "superseded")
    else:
        job.refuse(told_of(outcome))


def _unknown(refusal: Refusal, what: str) -> bool:
    return isinstance(refusal, UnknownReference) and refusal.path[-1:] == (what,)


def _overtaken(refusal: Refusal) -> bool:
    """Whether another's edit took the revision that was to be this one's."""
    return isinstance(refusal, IdempotencyConflict) or refusal.path[-1:] == ("revision",)
