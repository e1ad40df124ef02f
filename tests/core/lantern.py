"""A company for tests of gifts: two ways of giving, and teams. Holds no test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from core.errors import Refusal
from core.gifts import Given, GiveRequest, give
from core.members import Enrolment, enrol
from core.occasions import note
from core.posting import Engine
from core.programme import Programme
from core.store.reference import Declared, install
from laurels import Activity, Currency, Effects, Facts, Giving, Partner, Reward, award, earn_rule
from laurels.effects import set_attribute
from tests.core.club import tell as tell_club
from tests.support import NOW, card, scalar

#: Its points live for 30 days from when they are earned.
POINT = Currency("POINT", "Points", expires="30D")
KUDOS = Currency("KUDOS", "Kudos", symbol="🏮")
VALUES = {"care": "Care", "craft": "Craft"}


@earn_rule("pay", "As many points as it says", on="pay")
def pay(activity: Activity, _: Facts) -> Effects:
    """So that a test says what each has."""
    return award(POINT, int(activity.attributes["points"]))


async def open_company(giving: Giving | None = None, zone: str = "UTC") -> Engine:
    """A company where kudos arrive, unless its way of giving is another."""
    given = giving or Giving(POINT, as_=KUDOS, values=VALUES)
    partner = Partner("club", "Lantern", currencies=[POINT, KUDOS], time_zone=zone)
    mug = Reward("mug", "A mug", price={KUDOS: 10}, fulfilled="14D", stock=2)
    declared = Declared("club", "1", partner, earn_rules=[pay], rewards=[mug], giving=given)
    return Engine(await install(Programme(), [declared], NOW))


async def hire(engine: Engine, number: str, team: str | None = "red") -> int:
    """Somebody who is known there, and of whom a team is noted."""
    terms = engine.rulebook.partners["club"]
    [(holder, _)] = await enrol(engine.ids, [Enrolment([card(number)], partner=terms.id)], NOW)
    if team is not None:
        await note(engine, terms, holder, [set_attribute("team", team)], NOW)
    return holder


async def pay_out(
    engine: Engine, number: str, points: int, name: str = "P", at: datetime = NOW
) -> None:
    """Points for somebody."""
    await tell_club(engine, f"{name}{number}", "pay", at, number, points=points)


def asked(giver: int, receiver: int, points: int, key: str = "k", **more: Any) -> GiveRequest:
    """A request, for care unless it says otherwise."""
    base = GiveRequest(f"member:{giver}", key, "club", giver, receiver, points, "care", "Well done")
    return replace(base, **more)


async def given(
    engine: Engine, giver: int, receiver: int, points: int, key: str, now: datetime = NOW
) -> Given | Refusal:
    """What became of a gift."""
    try:
        return await give(engine, asked(giver, receiver, points, key), now)
    except Refusal as refusal:
        return refusal


async def held(holder: int) -> Mapping[str, int]:
    """A member's active points by currency, of the ledgers that there are."""
    text = await scalar(
        "SELECT coalesce(jsonb_object_agg(c.code, l.active), '{}')::text "
        "FROM ledger l JOIN currency c ON c.id = l.currency_id WHERE l.holder_id = $1",
        holder,
    )
    found: Mapping[str, int] = orjson.loads(text)
    return found
