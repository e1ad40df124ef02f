"""The demo coalition: a few members with a small past, made through the engine's own door.

Deterministic but for the clock: a second start finds it there and adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app import tokens
from app.runtime import Runtime
from core.errors import Refusal
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.posting import Engine
from core.purchases import LineInput, PurchaseInput, check_purchase

DATABASE = "laurels_demo"
_DAY = timedelta(hours=12)

_PEOPLE = (
    ("Ada Karaca", "ada@example.com", "9012"),
    ("Ben Okafor", "ben@example.com", "9013"),
    ("Chiara Conti", "chiara@example.com", "9014"),
)
#: (partner, money, lines of product type and amount): one receipt of each kind.
RECEIPTS = (
    ("grocer", (("PRODUCE", "34.20"), ("MEAT", "22.80"), ("GROCERY", "61.35"))),
    ("cafe", (("coffee", "4.50"), ("cake", "3.80"))),
    ("outfitter", (("jacket", "129.00"), ("socks", "12.90"))),
)


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the demo, by what the tills know and by what the engine does."""

    card: str
    holder: int


async def prepare(runtime: Runtime, secret: str, address: str) -> list[str]:
    """Seed the coalition if it is new; returns the lines that say what to open and how."""
    now = datetime.now(UTC)
    people = await seed(runtime.engine, now)

    def token(role: str, subject: str) -> str:
        return tokens.issue(secret, role, subject, _DAY, now)

    admin = token("admin", "admin")
    return [
        "",
        "[bold]GraphiQL for admins[/], signed in (the link holds a token, good for 12 hours):",
        f"  {address}/graphiql#token={admin}",
        "",
        "[bold]Tokens[/] for the header [italic]Authorization: Bearer …[/]",
        f"  admin          {admin}",
        f"  till of grocer {token('partner', 'grocer')}",
        f"  member Ada     {token('member', str(people[0].holder))}",
        "",
        "Ctrl+C stops it.",
    ]


async def seed(engine: Engine, now: datetime) -> list[Person]:
    """Enrol the members and record their past, if they are new; returns them in one order."""
    people = [
        Enrolment(
            [
                MemberRef.make(IdentifierKind.EMAIL, email),
                MemberRef.make(IdentifierKind.CARD, card),
            ],
            name,
        )
        for name, email, card in _PEOPLE
    ]
    enrolled = await enrol(engine.ids, people, now)
    if any(new for _, new in enrolled):
        items = [
            check_purchase(
                engine.rulebook.partners[partner],
                PurchaseInput(
                    f"demo-{card}-{partner}-{n}",
                    MemberRef.make(IdentifierKind.CARD, card),
                    now - timedelta(days=5 * (12 - n) + place, hours=place),
                    sorted(engine.rulebook.partners[partner].trades_in)[0],
                    [LineInput(kind, amount) for kind, amount in lines],
                ),
            )
            for place, (_, _, card) in enumerate(_PEOPLE)
            for n in range(12 - 3 * place)
            for partner, lines in RECEIPTS
            if partner in engine.rulebook.partners
        ]
        for outcome in await engine.record_purchases(items, now, historical=True):
            if isinstance(outcome, Refusal):
                raise outcome
    cards = (card for _, _, card in _PEOPLE)
    return [Person(card, holder) for card, (holder, _) in zip(cards, enrolled, strict=True)]
