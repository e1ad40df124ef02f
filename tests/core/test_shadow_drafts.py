"""Drafts of data rules in shadow: there in place of their rule, and never booked."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from core import rule_changes
from core.check import prove
from core.db import reading
from core.errors import BadInput, UnknownReference, WrongState
from core.posting import Engine
from core.purchases import find_partner
from core.rule_changes import activate, checked, end, reset, save, shadow
from core.store import shadows
from core.store.data_rules import of_partner
from tests.core.pantry import open_pantry
from tests.core.shop import days, dump
from tests.core.test_shadows import buy, shadow_of, totals
from tests.support import NOW, enrol_cards, scalar


@pytest.fixture
async def engine(database: str) -> Engine:
    """A grocer that gives a star a visit, and a café that may give nothing."""
    await enrol_cards(["1"])
    return await open_pantry()


def tea(points: int, code: str = "tea", **more: Any) -> dict[str, Any]:
    """Stars for whoever buys tea."""
    award = {"currency": "STAR", "points": points}
    return {"code": code, "title": f"Tea, {points}", "award": award, **more}


async def saved(engine: Engine, *rules: dict[str, Any]) -> None:
    """Save revisions."""
    for rule in rules:
        terms = find_partner(engine.rulebook, "grocer")
        await save(terms, checked(terms, rule, NOW), "partner:grocer", NOW)


async def on(engine: Engine, code: str, revision: int, on: bool = True) -> rule_changes.Changed:
    """Put a draft into shadow, or take it out."""
    return await shadow(engine, "grocer", code, revision, NOW, on=on)


def stars(live: int, shadow: int) -> dict[str, tuple[int, int]]:
    """Points by currency."""
    return {"STAR": (live, shadow)}


async def test_a_draft_replaces_its_rule_in_shadow_and_all_others_stand(engine: Engine) -> None:
    await saved(engine, tea(10), tea(5, "zest"), tea(30))
    for code in ("tea", "zest"):
        await activate(engine, "grocer", code, 1, NOW)
    done = await on(engine, "tea", 2)
    assert (done.row.shadow_at, done.row.from_at, done.replayed) == (NOW, None, False)
    terms = shadow_of(engine.rulebook)
    assert terms.version == "1 + tea@2"
    judging = [(r.rule.code, r.rule.title) for r in terms.terms.at(NOW).earn]
    assert judging == [("visit", "Points for each visit"), ("tea", "Tea, 30"), ("zest", "Tea, 5")]
    await buy(engine, "A")
    # A star, ten (thirty) and five.
    assert await totals(engine) == shadows.Totals(0, 1, 0, stars(16, 36))
    assert await scalar("SELECT active FROM ledger") == 16
    assert (await on(engine, "tea", 2)).replayed
    assert await prove() == []


async def test_one_draft_of_a_rule_is_in_shadow_at_a_time(engine: Engine) -> None:
    await saved(engine, tea(10), tea(20), tea(7, "also"))
    await on(engine, "tea", 1)
    await on(engine, "tea", 2)
    await on(engine, "also", 1)
    rows = await of_partner(find_partner(engine.rulebook, "grocer").id, None, 10)
    told = [(r.code, r.revision, r.shadow_at) for r in rows]
    assert told == [("also", 1, NOW), ("tea", 2, NOW), ("tea", 1, None)]
    assert shadow_of(engine.rulebook).version == "1 + also@1 + tea@2"
    await buy(engine, "A")
    assert await totals(engine) == shadows.Totals(0, 1, 0, stars(1, 28))
    async with reading() as connection:
        with pytest.raises(asyncpg.ExclusionViolationError):
            await connection.execute("UPDATE data_rule SET shadow_at = now() WHERE code = 'tea'")
    first = shadow_of(engine.rulebook).run
    await on(engine, "also", 1, False)
    assert shadow_of(engine.rulebook).run != first
    await on(engine, "tea", 2, False)
    assert engine.rulebook.partners["grocer"].shadow is None
    assert (await on(engine, "tea", 2, False)).replayed
    await buy(engine, "B")
    assert await scalar("SELECT sum(different) FROM shadow_count") == 1


async def test_a_draft_put_in_force_leaves_the_shadow(engine: Engine) -> None:
    await saved(engine, tea(10))
    await on(engine, "tea", 1)
    done = await activate(engine, "grocer", "tea", 1, NOW)
    assert done.row.shadow_at is None
    assert engine.rulebook.partners["grocer"].shadow is None
    with pytest.raises(WrongState, match="was in force already: save it again"):
        await on(engine, "tea", 1)
    async with reading() as connection:
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("UPDATE data_rule SET shadow_at = now()")
    await end(engine, "grocer", "tea", NOW + days(1))


async def test_what_cannot_be_shadowed_is_refused_and_changes_nothing(engine: Engine) -> None:
    await saved(engine, tea(10))
    before = await dump()
    with pytest.raises(UnknownReference, match="the latest revision is 1"):
        await on(engine, "tea", 2)
    with pytest.raises(UnknownReference, match="no such rule was saved"):
        await on(engine, "coffee", 1)
    with pytest.raises(UnknownReference):
        await shadow(engine, "nobody", "tea", 1, NOW, on=True)
    with pytest.raises(BadInput):
        await on(engine, "\0", 1)
    with pytest.raises(WrongState, match="nothing of 'grocer' judges in shadow"):
        await reset(engine, "grocer", NOW)
    assert await dump() == before
    # The control.
    await on(engine, "tea", 1)
    assert await dump() != before


async def test_a_draft_that_can_no_longer_judge_is_left_out(engine: Engine) -> None:
    """The shadow of what remains is none; purchases go on."""
    await saved(engine, tea(10))
    await on(engine, "tea", 1)
    async with reading() as connection:
        await connection.execute(
            "INSERT INTO data_rule (partner_id, code, revision, definition, saved_by, saved_at, "
            "shadow_at) SELECT partner_id, 'gold', 1, replace(definition::text, 'STAR', 'GOLD')"
            "::jsonb, saved_by, saved_at, now() FROM data_rule"
        )
    await engine.renew(NOW)
    assert shadow_of(engine.rulebook).version == "1 + tea@1"
    await buy(engine, "A")
    assert await totals(engine) == shadows.Totals(0, 1, 0, stars(1, 11))
