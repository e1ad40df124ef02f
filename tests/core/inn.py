"""An inn for tests of surveys: it asks after bills and activities. Holds no test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.sending import telling
from core import dispatching
from core.db import reading, transaction
from core.outcomes import Recorded
from core.posting import Engine
from core.programme import Programme
from core.store.reference import Declared, install
from core.surveys import invite
from laurels import Currency, Partner, PointsPerVisit, Survey, SurveyKind, on
from tests.core.shop import days
from tests.support import NOW, receipt

POINT = Currency("POINT", "Points")
STAY = Survey("stay", "Your stay", "Would you recommend us?", at_most="30D")
DESK = Survey("desk", "The desk", "Are you content?", kind=SurveyKind.CSAT, after="helped")
WORDS = Survey("words", "In your words", "What did you miss?", kind=SurveyKind.TEXT, after="left")
THANKS = on("survey-answered", PointsPerVisit(POINT, 25, code="thanks", title="25 for telling us"))
INN = Declared("inn", "1", Partner("inn", "The Inn", currencies=[POINT]), [THANKS])


async def open_inn(*surveys: Survey, rules: Sequence[Any] = (THANKS,)) -> Engine:
    """The inn with these surveys, in the database that this process is connected to."""
    asking = replace(INN, earn_rules=rules, surveys=surveys or (STAY, DESK, WORDS))
    return Engine(await install(Programme(), [asking], NOW))


async def stays(engine: Engine, at: datetime, *members: str) -> None:
    """Each pays a bill."""
    items = [
        receipt(engine, f"{member} {at} {n}", member, at, ("ROOM", "10.00"), partner="inn")
        for n, member in enumerate(members)
    ]
    outcomes = await engine.record_purchases(items, at)
    assert all(isinstance(outcome, Recorded) for outcome in outcomes), outcomes


async def dispatched(engine: Engine, at: datetime) -> None:
    """What was booked is told, and what is to be asked after it is planned."""
    also = telling(engine, lambda: at)
    while await dispatching.dispatch(also):
        pass


async def asked(engine: Engine, at: datetime) -> int:
    """A turn of the worker: how many were invited."""
    await dispatched(engine, at)
    return await invite(engine, at)


async def invitations() -> list[tuple[int, int, str]]:
    """(holder, number, survey) of all."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT holder_id, id, survey FROM survey_invitation ORDER BY id"
        )
    return [tuple(row) for row in rows]


async def rows_of_surveys(holder: int, number: str, grocer: int, bought: int) -> None:
    """One survey is to be put to the member, another was answered with words."""
    async with transaction() as connection:
        await connection.execute(
            "INSERT INTO survey_due VALUES ($1, $2, 'stay', $3, $4)",
            holder, bought, grocer, NOW + days(30),
        )  # fmt: skip
        await connection.execute(
            "WITH i AS (INSERT INTO survey_invitation VALUES ($1, $2, $3, 'desk', $2, $4, $5)), "
            "a AS (INSERT INTO survey_answer VALUES ($1, $2, $3, 'desk', 3, NULL, $4)) "
            "INSERT INTO survey_comment VALUES ($1, $2, $6)",
            holder, int(number), grocer, NOW, NOW + days(1), f"I am {number}",
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO occasion (partner_id, external_id, holder_id, type, attributes, at, "
            "next_at) VALUES ($1, 'survey:' || $2::text, $3, 'survey-answered', '{}', $4, $4)",
            grocer, number, holder, NOW,
        )  # fmt: skip
