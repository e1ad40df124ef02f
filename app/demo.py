"""The demo coalition: who lives in it, and what to open and which tokens to use.

Made once, by living two years through the engine's own doors (`app.sandbox`): a second start finds
it there and adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app import tokens
from app.living import Coalition
from app.population import NAMED, population
from app.runtime import Runtime
from app.sandbox import SEED
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.posting import Engine

_DAY = timedelta(hours=12)

#: What `make demo` shows: so many people, and how long they have lived.
PEOPLE, DAYS = 1_000, 731
#: As long has lived what is made for tests: long enough that all three have bought everywhere.
_SMALL = 60


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the demo, by what the tills know and by what the engine does."""

    card: str
    holder: int


async def prepare(runtime: Runtime, secret: str, address: str) -> list[str]:
    """Returns the lines that say what to open and how."""
    now = datetime.now(UTC)
    people = await known(runtime.engine, now)

    def token(role: str, subject: str) -> str:
        return tokens.issue(secret, role, subject, _DAY, now)

    admin, ada = token("admin", "admin"), token("member", str(people[0].holder))
    return [
        "",
        "[bold]To open[/], signed in (each link holds a token, good for 12 hours):",
        f"  Ada's own page       {address}/member#token={ada}",
        f"  the programme's page {address}/programme#token={admin}",
        f"  GraphiQL for admins  {address}/graphiql#token={admin}",
        "",
        "[bold]Tokens[/] for the header [italic]Authorization: Bearer …[/]",
        f"  admin          {admin}",
        f"  till of grocer {token('partner', 'grocer')}",
        f"  member Ada     {ada}",
        "",
        "Ctrl+C stops it.",
    ]


async def known(engine: Engine, now: datetime) -> list[Person]:
    """The members whom the tour names, enrolled if they aren't; in one order."""
    people = [
        Enrolment(
            [
                MemberRef.make(IdentifierKind.EMAIL, email),
                MemberRef.make(IdentifierKind.CARD, card),
            ],
            name,
        )
        for name, email, card in NAMED
    ]
    enrolled = await enrol(engine.ids, people, now)
    cards = (card for _, _, card in NAMED)
    return [Person(card, holder) for card, (holder, _) in zip(cards, enrolled, strict=True)]


async def seed(engine: Engine, now: datetime) -> list[Person]:
    """A small coalition at once: the named members and their last two months, without nights."""
    until = now.date()
    began = until - timedelta(days=_SMALL)
    coalition = Coalition(engine, population(len(NAMED), SEED), SEED, began, until)
    for n in range(_SMALL):
        await coalition.live(began + timedelta(days=n))
    return await known(engine, now)
