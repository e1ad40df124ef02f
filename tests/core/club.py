"""A club for tests of activities and occasions: one brand, its rules given. Holds no test."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg

from core.activities import ActivityInput, check_activity
from core.bought import Returned
from core.errors import Refusal
from core.members import Enrolment, enrol
from core.occasions import tell as tell_due
from core.outcomes import Outcome, Recorded
from core.posting import Engine
from core.programme import Programme
from core.purchases import find_partner
from core.returning import record
from core.returns import check_withdrawal
from core.store.reference import Declared, install
from laurels import Currency, EarnRule, LastingRule, Partner, PointsPerVisit, Reward, on
from laurels.activities import Value
from tests.support import NOW, books, card, receipt, scalar

POINT = Currency("POINT", "Points")
BADGE = Currency("PIN", "Pins", badge=True)
CLUB = Declared("club", "1", Partner("club", "The Club", currencies=[POINT, BADGE]))
COFFEE = Reward("coffee", "A coffee", price={POINT: 10})


async def open_club(*rules: EarnRule, time_zone: str = "UTC") -> Engine:
    """A brand with these rules, in the database that this process is connected to."""
    partner = replace(CLUB.partner, time_zone=time_zone)
    club = replace(CLUB, partner=partner, earn_rules=rules, rewards=[COFFEE])
    return Engine(await install(Programme(), [club], NOW))


async def tell(
    engine: Engine,
    name: str,
    type: str = "review",
    at: datetime = NOW,
    member: str = "1",
    now: datetime | None = None,
    **attributes: Value,
) -> Outcome:
    """Record one activity."""
    terms = find_partner(engine.rulebook, "club")
    item = check_activity(terms, ActivityInput(name, card(member), at, type, attributes))
    (outcome,) = await engine.record_activities([item], now or max(at, NOW))
    return outcome


async def told(engine: Engine, name: str, *args: Any, **more: Any) -> list[int]:
    """The same of one that is booked: what each rule gave."""
    outcome = await tell(engine, name, *args, **more)
    assert isinstance(outcome, Recorded), outcome
    return [] if outcome.evaluation is None else [g.points for g in outcome.evaluation.granted]


async def bought(
    engine: Engine, name: str, amount: str = "10.00", at: datetime = NOW, member: str = "1"
) -> list[int]:
    """Buy one thing: what each rule gave."""
    item = receipt(engine, name, member, at, ("A", amount), partner="club")
    (outcome,) = await engine.record_purchases([item], max(at, NOW))
    assert isinstance(outcome, Recorded), outcome
    return [] if outcome.evaluation is None else [g.points for g in outcome.evaluation.granted]


async def withdraw(engine: Engine, name: str, now: datetime = NOW) -> Returned:
    """Take an activity back."""
    unit = check_withdrawal(find_partner(engine.rulebook, "club"), name, now)
    (outcome,) = await record(engine, [unit], now)
    assert isinstance(outcome, Returned), outcome
    return outcome


async def forge(url: str, statement: str) -> None:
    """Do this to the books, with everything off that would refuse it."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")
        assert not (await connection.execute(statement)).endswith(" 0")
    finally:
        await connection.close()


async def balance(member: str = "1", currency: str = "POINT") -> int:
    """What a member may spend."""
    found = await scalar(
        "SELECT l.active - l.arrears FROM ledger l JOIN currency c ON c.id = l.currency_id "
        "JOIN identifier i ON i.holder_id = l.holder_id WHERE i.value = $1 AND c.code = $2",
        member,
        currency,
    )
    return int(found or 0)


async def join(engine: Engine, number: str, **more: Any) -> int:
    """Enrol at the club: the member's holder."""
    terms = find_partner(engine.rulebook, "club")
    greeted = "enrolment" in terms.triggers
    person = Enrolment([card(number)], partner=terms.id, greeted=greeted, **more)
    [(holder, _)] = await enrol(engine.ids, [person], NOW)
    await tell_due(engine, NOW, [holder])
    return holder


def gift(trigger: str, points: int = 7) -> LastingRule:
    """So many points on an occasion."""
    code = trigger.replace(":", "-").split()[0]
    return on(trigger, PointsPerVisit("POINT", points, code=code))


async def waiting() -> list[tuple[str, int, str]]:
    """What is still to be told: (name, attempts, problem)."""
    rows = (await books(["occasion"]))["occasion"]
    return [(r["external_id"], r["attempts"], r["problem"]) for r in rows]


async def all_at_once(*calls: Any) -> list[Any]:
    """What became of each: its answer, or why not."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert all(not isinstance(x, Exception) or isinstance(x, Refusal) for x in found), found
    return found
