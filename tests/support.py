"""Builders that many tests share: databases, a small rulebook, purchases, a dump of the books.

Holds no assertion and no fixture.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import asyncpg

from app.postgres import database_url
from core.db import Connection, migrate, reading
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.posting import Engine
from core.purchases import Incoming, LineInput, PurchaseInput, check_purchase
from core.rulebook import (
    CurrencyTerms,
    LadderTerms,
    PartnerTerms,
    PolicyTerms,
    Rulebook,
    RuleTerms,
)
from core.store import reads
from core.store.ids import Ids
from laurels import (
    EarnRule,
    FirstPurchaseBonus,
    Ladder,
    Measure,
    PointsPerAmount,
    PointsPerVisit,
    Policy,
    ProductTypeRewardCalculator,
    Tier,
    TierMultiplier,
)

#: Where the tests' clock stands unless one moves it.
NOW = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
NEW_YORK = "America/New_York"
ISTANBUL = "Europe/Istanbul"


async def figures(holders: Sequence[int], at: datetime) -> list[tuple[int, ...]]:
    """What `reads.figures` answers, where the quick way to the same balances answers alike."""
    rows = [tuple(row) for row in await reads.figures(list(holders), at)]
    quick = sorted(await reads.balances(list(holders), at))
    if quick != [row[:6] for row in rows]:
        raise AssertionError(f"as of {at} balances are {quick}, by all lots {rows}")
    return rows


class Databases:
    """Makes databases on one server and drops them; names carry the process: runs may overlap."""

    def __init__(self, server: str) -> None:
        self.server = server
        self._names = (f"ct_{os.getpid()}_{n}" for n in count())
        self._template: str | None = None

    async def _admin(self, *statements: str) -> None:
        connection: Connection = await asyncpg.connect(self.server)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """The URL of a database with nothing in it."""
        name = next(self._names)
        await self._admin(f"CREATE DATABASE {name}")
        try:
            yield database_url(self.server, name)
        finally:
            await self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    @asynccontextmanager
    async def migrated(self) -> AsyncIterator[str]:
        """The URL of a copy of the template, which is migrated when the first copy is asked for."""
        if self._template is None:
            template = next(self._names)
            await self._admin(f"CREATE DATABASE {template}")
            await migrate(database_url(self.server, template))
            await _store_policies(database_url(self.server, template))
            self._template = template
        name = next(self._names)
        # File by file: half as long as through the log, on a server that need not last.
        await self._admin(f"CREATE DATABASE {name} TEMPLATE {self._template} STRATEGY file_copy")
        try:
            yield database_url(self.server, name)
        finally:
            await self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    async def close(self) -> None:
        """Drop the template."""
        if self._template is not None:
            await self._admin(f"DROP DATABASE {self._template} WITH (FORCE)")


# What a session waits for is told to its own role alone; that it waits is told to all.
_BLOCKED = """SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE NOT granted AND datname = current_database()"""
#: Of one process, where many write at once.
CONNECTIONS = 16

#: Policies of hand-made rulebooks, by ids that `install` never gives; each template stores them.
POLICIES: dict[int, PolicyTerms] = {}


def policy_terms(
    pending: str | None = None,
    expires: str | None = None,
    returns: str = "arrears",
    grace: str | None = None,
    time_zone: str = "UTC",
) -> PolicyTerms:
    """A stored policy. Make it when a module is imported, before the first database is."""
    number = 900 + len(POLICIES)
    policy = Policy.parse(pending, expires, returns, grace, time_zone)
    POLICIES[number] = PolicyTerms(number, policy)
    return POLICIES[number]


def currency_terms(
    number: int, code: str, terms: PolicyTerms, owner: int | None = None
) -> CurrencyTerms:
    """A currency on these terms."""
    expires = terms.policy.expires
    sliding = expires is not None and bool(expires.slides_on)
    return CurrencyTerms(number, code, f"{code.capitalize()}s", "", terms, owner, sliding)


async def _store_policies(url: str) -> None:
    connection: Connection = await asyncpg.connect(url)
    try:
        await connection.executemany(
            "INSERT INTO policy (id, currency_id, version, pending, expires, returns, grace, "
            "time_zone, since) VALUES ($1::int, -$1::int, 1, $2, $3, $4, $5, $6, now())",
            [(terms.id, *terms.policy.texts()) for terms in POLICIES.values()],
        )
    finally:
        await connection.close()


STAR = currency_terms(1, "STAR", policy_terms(expires="90D"))
BEAN = currency_terms(2, "BEAN", policy_terms(expires="2M_U", time_zone=ISTANBUL), 2)


def ladder_terms(
    number: int,
    measure: str,
    tiers: Mapping[str, int],
    window: str | None,
    time_zone: str = "UTC",
    owner: int | None = None,
) -> LadderTerms:
    """A ladder with the code `ladder-<number>`."""
    steps = [Tier(code, at) for code, at in tiers.items()]
    ladder = Ladder(f"ladder-{number}", Measure.parse(measure), steps, window)
    return LadderTerms(number, ladder, time_zone, owner)


def small_rulebook(
    *,
    grocer: Sequence[EarnRule] | None = None,
    cafe: Sequence[EarnRule] | None = None,
) -> Rulebook:
    """Two partners, two currencies (STAR shared, BEAN the cafe's), three ladders.

    `grocer` and `cafe` replace a partner's rules.
    """
    ladders = [
        ladder_terms(1, "earned:STAR", {"base": 0, "silver": 60, "gold": 200}, "30D"),
        ladder_terms(2, "spend:USD", {"guest": 0, "friend": 10_000}, "2M", NEW_YORK),
        ladder_terms(3, "visits", {"new": 0, "regular": 3, "family": 6}, "10D", ISTANBUL, 2),
    ]
    grocers: Sequence[EarnRule] = (
        ProductTypeRewardCalculator("STAR", {"PRODUCE": 3, "GIFT": 0}, default=1),
        TierMultiplier("STAR", "ladder-1", {"silver": "1.25", "gold": "1.5"}),
        FirstPurchaseBonus("STAR", 5),
    )
    cafes: Sequence[EarnRule] = (
        PointsPerAmount("BEAN", 1, "10.00 USD"),
        PointsPerVisit("BEAN", 1, minimum="3.00 USD"),
        ProductTypeRewardCalculator("STAR", {"COFFEE": "0.5"}),
        TierMultiplier("BEAN", "ladder-3", {"regular": 2, "family": 3}),
    )
    partners = {
        "grocer": PartnerTerms(
            1, "grocer", "The Grocer", NEW_YORK, frozenset(["USD"]), {"STAR": STAR},
            {"STAR": STAR, "BEAN": BEAN}, _rules(10, grocers if grocer is None else grocer),
        ),
        "cafe": PartnerTerms(
            2, "cafe", "The Café", ISTANBUL, frozenset(["USD", "TRY"]),
            {"STAR": STAR, "BEAN": BEAN}, {"STAR": STAR, "BEAN": BEAN},
            _rules(20, cafes if cafe is None else cafe),
        ),
    }  # fmt: skip
    return Rulebook(1, partners, {1: STAR, 2: BEAN}, {x.id: x for x in ladders})


def _rules(first: int, rules: Sequence[EarnRule]) -> tuple[RuleTerms, ...]:
    return tuple(RuleTerms(first + n, rule) for n, rule in enumerate(rules))


def card(number: str) -> MemberRef:
    """A member by a card's number."""
    return MemberRef.make(IdentifierKind.CARD, number)


async def enrol_cards(numbers: Sequence[str], ids: Ids | None = None) -> list[int]:
    """Enrol a member for each card; the holders in the same order."""
    people = [Enrolment([card(n)]) for n in numbers]
    return [holder for holder, _ in await enrol(ids or Ids(), people, NOW)]


def receipt(
    engine: Engine,
    external_id: str,
    member: str = "1",
    at: datetime = NOW,
    *lines: tuple[str, str],
    partner: str = "grocer",
    currency: str = "USD",
) -> Incoming:
    """A purchase that passed its checks; lines are (product type, amount)."""
    bought = [LineInput(kind, amount) for kind, amount in lines or [("PRODUCE", "10.00")]]
    given = PurchaseInput(external_id, card(member), at, currency, bought)
    return check_purchase(engine.rulebook.partners[partner], given)


#: Every table that a purchase writes to.
BOOKS = (
    "event", "event_line", "holder", "decision", "ledger", "transfer", "lot", "allocation",
    "qualification", "standing", "tier_change", "relation",
)  # fmt: skip


async def books(tables: Sequence[str] = BOOKS) -> dict[str, list[dict[str, Any]]]:
    """Every row of these tables, in an order of its own."""
    found: dict[str, list[dict[str, Any]]] = {}
    async with reading() as connection:
        for table in tables:
            rows = await connection.fetch(f"SELECT * FROM {table}")
            found[table] = sorted((dict(r) for r in rows), key=repr)
    return found


async def blocked(sessions: int, *tasks: asyncio.Task[Any]) -> None:
    """Wait until so many sessions of this database wait for a lock; no task may end before."""
    while await scalar(_BLOCKED) < sessions:
        assert not any(task.done() for task in tasks)


async def scalar(query: str, *arguments: object) -> Any:
    """One value, any type: what the query selects."""
    async with reading() as connection:
        return await connection.fetchval(query, *arguments)
