"""The run: tills at work on a real application, a fault at a random moment, and what it cost.

Joins processes, proxy, tills and oracle; knows no detail of any.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from app.postgres import database_url
from app.tokens import issue
from core import db
from core.check import prove
from tests.crash import books
from tests.crash.acknowledgements import NATURAL, Acknowledgements, Act, Operation
from tests.crash.oracle import Finding, Wrong, judge
from tests.crash.processes import PATIENCE, Application, Postgres, RigError
from tests.crash.proxy import Proxy
from tests.crash.tills import Habits, Till, trade_of
from tests.crash.wire import ENROL, NoAnswerError, Wire

TILLS = 6
#: How many of the newest and of the older acknowledgements are looked up after each fault.
SAMPLE = 40
_FRESH = 12  # acknowledgements between two faults, at least: a fault must meet a load


class Fault(StrEnum):
    """What is done to the system; the order of the rotation."""

    APPLICATION = "kill -9 of the application"
    POSTGRES = "kill -9 of PostgreSQL"
    REPLIES = "replies cut off after the commit"
    BOTH = "kill -9 of both at once"


@dataclass(slots=True)
class Figures:
    """What a run measured; seconds."""

    recoveries: dict[Fault, list[float]] = field(default_factory=lambda: defaultdict(list))
    findings: list[Finding] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)
    proved: int = 0
    looked_up: int = 0
    processes_killed: int = 0
    replies_cut: int = 0
    events: int = 0
    redemptions: int = 0
    differing: int = 0
    longest: float = 0.0

    def count(self, *wrongs: Wrong) -> int:
        """How many different operations are wrong in one of these ways."""
        return len({x.where for x in self.findings if x.wrong in wrongs})

    @property
    def good(self) -> bool:
        """Whether nothing at all is wrong."""
        return not (self.findings or self.proofs or self.differing)


@dataclass
class Rig:
    """One application on a database of its own, its tills, and what they were told."""

    server: Postgres
    application: Application
    habits: Habits
    seed: int
    told: Acknowledgements = field(default_factory=Acknowledgements)
    figures: Figures = field(default_factory=Figures)
    chance: random.Random = field(init=False)
    _proxy: Proxy = field(init=False)
    _tills: list[Till] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    @property
    def url(self) -> str:
        """The database's address."""
        return database_url(self.server.url, self.application.database)

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """Application and proxy up, members enrolled; nobody at work yet."""
        await self.application.start()
        wires: list[Wire] = []
        try:
            async with Proxy(self.application.port) as self._proxy:
                await self._enrol()
                for number in range(TILLS):
                    token = self._token("partner", trade_of(number).partner)
                    wires.append(Wire(self._proxy.address, token))
                    till = Till(number, wires[-1], self.told, self.habits, self.seed)
                    self._tills.append(till)
                try:
                    yield
                finally:
                    for wire in wires:
                        await wire.close()
        finally:
            await self.application.stop()

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """The tills at work; on leaving, each has finished what it had begun."""
        closing = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for till in self._tills:
                group.create_task(till.run(closing))
            yield
            closing.set()

    async def strike(self, fault: Fault) -> float:
        """Wait for a random moment under load, do it, put it right; seconds until it answered."""
        await self._some_load()
        at = time.monotonic()
        strikes: dict[Fault, Callable[[], Awaitable[None]]] = {
            Fault.APPLICATION: self._kill_application,
            Fault.POSTGRES: self._kill_postgres,
            Fault.REPLIES: self._cut_replies,
            Fault.BOTH: self._kill_both,
        }
        await strikes[fault]()
        await self._until(lambda: self.told.first_after(at) is not None, "nothing is acknowledged")
        answered = self.told.first_after(at)
        assert answered is not None
        self.figures.recoveries[fault].append(answered - at)
        return answered - at

    async def prove(self) -> None:
        """The engine's own proof of its books, in this process, while the load goes on."""
        async with db.connected(self.url, pool=1):
            self.figures.proofs += [str(finding) for finding in await prove()]
        self.figures.proved += 1

    async def look_up(self) -> None:
        """Hold a sample of the acknowledged operations against the books."""
        sample = pick(self.told, self.chance, SAMPLE)
        self.figures.looked_up += len(sample)
        events = [x.name.partition("/")[2] for x in sample if x.act in NATURAL]
        taken = [x.answer.redemption for x in sample if x.answer and x.act not in NATURAL]
        found = await books.read(self.url, events, taken)
        self._blame(judge(sample, found, whole=False))

    async def examine(self, replay: float = 0.0) -> None:
        """At rest: replay a share, then hold everything against all books, and prove them."""
        await asyncio.gather(*(till.replay(replay) for till in self._tills))
        found = await books.read(self.url)
        self.figures.events = len(found.events)
        self.figures.redemptions = len(found.redemptions)
        self.figures.replies_cut = self._proxy.cut_replies
        self.figures.longest = self.told.longest
        self.figures.differing = len(self.told.differing)
        self._blame(judge(self.told, found, whole=True))
        await self.prove()

    # --- the faults -----------------------------------------------------------------------------

    async def _kill_application(self) -> None:
        self.application.kill()
        self.figures.processes_killed += 1
        await self.application.start()

    async def _kill_postgres(self) -> None:
        self.figures.processes_killed += self.server.kill()
        await self.server.start()  # as whoever watches over a server does; the application lives on
        await self.application.ready()

    async def _cut_replies(self) -> None:
        await asyncio.wait_for(self._proxy.cut(self.chance.randint(4, 12)), PATIENCE)

    async def _kill_both(self) -> None:
        self.application.kill()
        self.figures.processes_killed += 1 + self.server.kill()
        await self.application.start()  # which starts its PostgreSQL again
        await self.server.start()

    # --- small steps ----------------------------------------------------------------------------

    async def _some_load(self) -> None:
        before = len(self.told.moments)
        await asyncio.sleep(self.chance.uniform(0.3, 1.3))
        await self._until(lambda: len(self.told.moments) >= before + _FRESH, "there is no load")
        await asyncio.sleep(self.chance.uniform(0, 0.1))

    async def _until(self, happened: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            if time.monotonic() > deadline:
                raise RigError(f"{otherwise}; the application's log:\n{self.application.tail()}")
            await asyncio.sleep(0.005)

    async def _enrol(self) -> None:
        wire = Wire(self._proxy.address, self._token("admin", "admin"))
        try:
            for card in range(self.habits.members):
                answer = await wire.ask(ENROL, {"card": str(card)})
                if answer["__typename"] != "MemberEnrolled":
                    raise RigError(f"card {card} can't be enrolled: {answer}")
        except NoAnswerError as error:
            raise RigError(f"members can't be enrolled: {error}") from error
        finally:
            await wire.close()

    def _token(self, role: str, subject: str) -> str:
        day = timedelta(days=1)
        return issue(self.application.secret, role, subject, day, datetime.now(UTC))

    def _blame(self, findings: Iterable[Finding]) -> None:
        known = set(self.figures.findings)
        self.figures.findings += [x for x in findings if x not in known]


def pick(told: Acknowledgements, chance: random.Random, most: int) -> list[Operation]:
    """Copies of the newest acknowledged operations and of some older ones, as they stand now.

    A hold comes with what settled it, and only when that is acknowledged too: the load goes on, so
    that what is under way changes between this look and the next.
    """
    done = sorted(told.done(), key=lambda x: x.acknowledged_at)
    chosen = done[-most:] + chance.sample(done[:-most], min(most, max(0, len(done) - most)))
    settled = {x.target: x for x in done if x.target}
    sample: dict[str, Operation] = {}
    for operation in chosen:
        if operation.act in (*NATURAL, Act.REDEEM):
            sample[operation.name] = replace(operation)
        else:
            hold = told.operations[operation.target or operation.name]
            if hold.name in settled:
                sample |= {x.name: replace(x) for x in (hold, settled[hold.name])}
    return list(sample.values())


def tally(told: Acknowledgements) -> Counter[str]:
    """The clients' figures."""
    figures: Counter[str] = Counter()
    for operation in told:
        figures["operations"] += 1
        figures["acknowledged"] += operation.answer is not None
        figures["refused"] += bool(operation.refusal)
        figures["sendings"] += operation.sent
        figures["without an answer"] += operation.unanswered
        figures["replayed"] += operation.replayed
    return figures
