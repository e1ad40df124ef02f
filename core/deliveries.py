"""Where webhooks stand while they are done, and how far each subject of them is.

Knows no adapter's code, and books nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from core.members import MemberRef
from core.posting import Engine
from core.rulebook import PartnerTerms
from core.store import inbound as store
from core.store.inbound import Inbound, State
from laurels.adapters import Command, Delivery, Message, Received, place
from laurels.durations import Duration
from laurels.errors import storable

#: What waits is given up after so long, unless its adapter is more patient: a year at most.
PATIENCE, MOST_PATIENCE = timedelta(days=7), timedelta(days=366)
_MINUTE, LONGEST = timedelta(minutes=1), timedelta(hours=1)
#: After so many attempts, some days, once a day will do: what it waits for wakes it.
_EAGER, _DAY = 100, timedelta(days=1)
#: An adapter and a subject of its deliveries.
Subject: TypeAlias = tuple[str, str]


def named(received: Received | None, message: Message) -> tuple[str, str, int | None]:
    """(name, subject, version) of a delivery; by what the message says where it has no name."""
    if isinstance(received, Delivery):
        return received.id, received.subject, place("version", received.version)
    return f"sha256:{store.digest_of(message.headers, message.body).hex()}", "", None


@dataclass(slots=True)
class Job:
    """A delivery that is being done."""

    row: Inbound
    received: Received | None = None
    state: State = State.RECEIVED
    problem: str = ""
    next_at: datetime | None = None
    said: list[dict[str, Any]] = field(default_factory=list)
    whole: bool = False
    booked: bool = False
    name: str = ""
    subject: str = ""
    version: int | None = None
    awaits: MemberRef | None = None

    @property
    def open(self) -> bool:
        return self.state is State.RECEIVED

    @property
    def key(self) -> Subject:
        # Without a subject it stands alone; no subject holds a NUL.
        return self.row.adapter, self.subject or f"\0{self.row.id}"

    @property
    def moved(self) -> bool:
        """Whether what waits for others of its subject may go on now."""
        return self.booked or self.state is not State.WAITING

    @property
    def commands(self) -> Sequence[Command]:
        if isinstance(self.received, Delivery):
            return self.received.commands
        return [] if self.received is None else [self.received]

    def go_on(self) -> None:
        """Leave what it did already, where its adapter still says that: it isn't done twice.

        An edit of days ago, done anew while what follows it waits, would undo a later one.
        """
        commands = [type(command).__name__ for command in self.commands]
        did = [said["command"] for said in self.said]
        if commands[: len(did)] != did:
            self.said = []

    def say(self, command: Command, what: str, **more: object) -> None:
        self.said.append({"command": type(command).__name__, "what": what, **more})

    def wait(self, problem: str, until: datetime, member: MemberRef | None = None) -> None:
        """It waits, perhaps for a `member`, whose enrolment wakes it."""
        self.awaits = member
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

    def again(self) -> None:
        """It is tried once more in this batch, from what it waits at."""
        self.state, self.problem, self.booked = State.RECEIVED, "", False

    def finished(self, now: datetime, time_zone: str = "UTC") -> store.Finished:
        """As it is stored; who has waited for too long is given up."""
        since, until = self.row.asked_at, self.row.asked_at + PATIENCE
        if isinstance(self.received, Delivery):
            asked = Duration.parse(self.received.patience).after(since, time_zone)
            until = min(asked, since + MOST_PATIENCE)
        if self.state is State.WAITING and until <= now:
            self.refuse(f"given up after {(until - since).days} days: {self.problem}")
        waits = self.state is State.WAITING
        return store.Finished(
            self.row.id, self.name, self.subject, self.version, self.state, self.problem,
            self.next_at if waits else None, None if waits else now, self.said, self.whole,
            self.awaits.key if waits and self.awaits is not None else None,
        )  # fmt: skip


def in_order(jobs: Iterable[Job]) -> list[Job]:
    """Those of one subject: by version, and where one has none, as they came."""
    came = sorted(jobs, key=lambda job: job.row.id)
    numbered = iter(
        sorted(
            (job for job in came if job.version is not None),
            key=lambda job: (job.version or 0, job.row.id),
        )
    )
    return [job if job.version is None else next(numbered) for job in came]


@dataclass(slots=True)
class Run:
    """One batch of a partner's deliveries."""

    engine: Engine
    partner: PartnerTerms
    now: datetime
    standing: dict[Subject, store.Standing] = field(default_factory=dict)

    def older(self, job: Job) -> bool:
        """Whether something newer of its subject, and whole, is in the books."""
        newest = self.standing.get(job.key)
        if newest is None:
            return False
        if job.version is None:
            return newest.last > job.row.id
        return newest.bare > job.row.id or (
            newest.numbered is not None and newest.numbered > (job.version, job.row.id)
        )

    def early(self, job: Job) -> bool:
        """Whether what it says must come before it hasn't."""
        after = place("after", job.received.after) if isinstance(job.received, Delivery) else None
        done = self.standing.get(job.key)
        return after is not None and (
            done is None or done.finished is None or done.finished < after
        )

    def note(self, job: Job) -> None:
        """What it came to bears on those of its subject that follow."""
        numbered, bare, last, finished = self.standing.get(job.key, store.NOTHING)
        here = None if job.version is None else (job.version, job.row.id)
        # Whatever became of its other commands: what stands in the books stands there.
        if job.whole or job.row.whole:
            last = max(last, job.row.id)
            if here is None:
                bare = max(bare, job.row.id)
            else:
                numbered = here if numbered is None else max(numbered, here)
        if job.state is not State.WAITING and job.version is not None:
            finished = job.version if finished is None else max(finished, job.version)
        self.standing[job.key] = store.Standing(numbered, bare, last, finished)

    def later(self, job: Job) -> datetime:
        """Ever later, up to an hour; after some days, up to a day."""
        if job.row.attempts > _EAGER:
            return self.now + _DAY
        return self.now + min(_MINUTE * (1 << min(job.row.attempts, 10)), LONGEST)
