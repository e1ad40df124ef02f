"""Occasions that the engine makes, and what rules note of members, offer, deny and thank for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from core.check import prove
from core.db import reading
from core.noted import noted_at, values_of
from core.occasions import note, tell
from core.purchases import find_partner
from core.returning import record
from core.returns import ReturnInput, check_cancel, check_return
from core.store import attributes
from laurels import (
    Activity,
    Effects,
    Facts,
    PointsPerVisit,
    Purchase,
    award,
    deny,
    earn_rule,
    enter_segment,
    leave_segment,
    multiply,
    nothing,
    offer,
    offered,
    on,
    reevaluated,
    set_attribute,
)
from tests.core.club import balance, bought, forge, gift, join, open_club, told, waiting, withdraw
from tests.support import DAY, NOW, books, enrol_cards, receipt, scalar

pytestmark = pytest.mark.asyncio

VISIT = PointsPerVisit("POINT", 5, code="visit", title="Five a visit")
WELCOME = on("segment:vip", PointsPerVisit("POINT", 100, code="welcome", title="Welcome, VIP"))


# -- noted ---------------------------------------------------------------------------------------


async def test_what_is_noted_stands_from_the_next_event_on_until_its_time(database: str) -> None:
    @earn_rule("fan", "Double for fans, for a week after a large basket")
    def fan(purchase: Purchase, facts: Facts) -> Effects:
        if purchase.total >= "50.00":
            return [award("POINT", 1), set_attribute("fan", "much", lasts="7D")]
        return award("POINT", 10) if facts.attributes.get("fan") == "much" else None

    engine = await open_club(fan)
    await enrol_cards(["1", "2"])
    assert await bought(engine, "R-1", "10.00", NOW - 20 * DAY) == []
    assert await bought(engine, "R-2", "50.00", NOW - 19 * DAY) == [1]
    assert await bought(engine, "R-3", "10.00", NOW - 12 * DAY - timedelta(seconds=1)) == [10]
    assert await bought(engine, "R-4", "10.00", NOW - 12 * DAY) == []
    # One that is told late finds what stood then; another member finds nothing.
    assert await bought(engine, "R-5", "10.00", NOW - 18 * DAY) == [10]
    assert await bought(engine, "R-6", "10.00", NOW - 18 * DAY, "2") == []
    assert await bought(engine, "R-7", "10.00", NOW - 19 * DAY - timedelta(seconds=1)) == []
    assert await prove() == []


async def test_who_enters_a_segment_has_its_occasion_once(database: str) -> None:
    @earn_rule("climb", "A VIP from the third visit on, not after a small one")
    def climb(purchase: Purchase, facts: Facts) -> Effects:
        if purchase.total < "1.00":
            return leave_segment("vip")
        return enter_segment("vip") if facts.visits >= 2 else nothing("come again")

    engine = await open_club(climb, WELCOME)
    await enrol_cards(["1"])
    for n in range(1, 6):
        await bought(engine, f"R-{n}", at=NOW - (20 - n) * DAY)
    assert await balance() == 100
    await bought(engine, "R-6", "0.50", NOW - 10 * DAY)
    await bought(engine, "R-7", "5.00", NOW - 9 * DAY)
    assert await balance() == 200  # it left, and came in again
    assert await waiting() == []
    assert await scalar("SELECT count(*) FROM event WHERE kind = 19") == 2
    assert await prove() == []


async def test_a_segment_that_is_entered_by_hand_has_its_occasion_too(database: str) -> None:
    engine = await open_club(WELCOME)
    (holder,) = await enrol_cards(["1"])
    terms = find_partner(engine.rulebook, "club")
    for _ in range(2):
        await note(engine, terms, holder, [enter_segment("vip"), set_attribute("a", "b")], NOW)
    assert await balance() == 100
    await note(engine, terms, holder, [enter_segment("other")], NOW)
    assert await balance() == 100
    assert await waiting() == []


async def test_many_at_once_that_note_the_same_make_one_occasion(database: str) -> None:
    engine = await open_club(WELCOME)
    (holder,) = await enrol_cards(["1"])
    terms = find_partner(engine.rulebook, "club")
    vip = enter_segment("vip")
    await asyncio.gather(*(note(engine, terms, holder, [vip] * n, NOW) for n in (1, 1, 5, 2)))
    await tell(engine, NOW)
    assert await balance() == 100
    assert await waiting() == []


async def test_who_is_told_late_to_have_entered_earlier_has_no_second_welcome(
    database: str,
) -> None:
    @earn_rule("climb", "A VIP from the third visit on")
    def climb(purchase: Purchase, facts: Facts) -> Effects:
        return enter_segment("vip") if facts.visits >= 2 else None

    engine = await open_club(climb, WELCOME)
    await enrol_cards(["1"])
    for n in range(3):
        await bought(engine, f"R-{n}", at=NOW - (10 - n) * DAY)
    assert await balance() == 100
    await bought(engine, "late", at=NOW - 20 * DAY)
    assert await balance() == 100
    # History that is imported was welcomed then.
    await enrol_cards(["2"])
    old = [receipt(engine, f"old-{n}", "2", NOW - 900 * DAY, partner="club") for n in range(3)]
    await engine.record_purchases(old, NOW, historical=True)
    await tell(engine, NOW)
    assert await balance("2") == 0
    assert await prove() == []


async def test_what_is_noted_can_be_erased_while_the_books_stand(database: str) -> None:
    @earn_rule("big", "Notes large ones; judged again when goods come back")
    def big(purchase: Purchase, facts: Facts) -> Effects:
        extra = 5 if facts.attributes.get("secret") == "diabetes" else 0
        return [award("POINT", 10 + extra), set_attribute("basket", "enormous")]

    engine = await open_club(reevaluated(big))
    (holder,) = await enrol_cards(["1"])
    terms = find_partner(engine.rulebook, "club")
    await note(engine, terms, holder, [set_attribute("secret", "diabetes")], NOW - 2 * DAY)
    assert await bought(engine, "R-1", at=NOW - DAY) == [15]
    contents = await scalar("SELECT string_agg(content, ' ') FROM decision")
    assert "diabetes" not in contents
    assert "enormous" not in contents
    # What was noted then is found again where a rule judges once more; until it is erased.
    await note(engine, terms, holder, [set_attribute("secret", None)], NOW)
    await record(engine, [check_return(terms, ReturnInput("B-1", "R-1", NOW, amount="1.00"))], NOW)
    assert await balance() == 15
    await forge(database, "DELETE FROM attribute")
    await record(engine, [check_return(terms, ReturnInput("B-2", "R-1", NOW, amount="1.00"))], NOW)
    assert await balance() == 10
    assert await prove() == []


async def test_what_an_activity_noted_stands_no_longer_once_it_is_withdrawn(database: str) -> None:
    @earn_rule("critic", "Reviews make critics", on="review")
    def critic(activity: Activity, facts: Facts) -> Effects:
        return [enter_segment("critics"), set_attribute("last", "good")]

    engine = await open_club(critic)
    (holder,) = await enrol_cards(["1"])
    await told(engine, "A-1")
    await note(
        engine, find_partner(engine.rulebook, "club"), holder, [set_attribute("last", "bad")], NOW
    )
    await withdraw(engine, "A-1")
    rows = (await attributes.of_holders([holder]))[holder]
    assert values_of(noted_at(rows, NOW).values()) == {"last": "bad"}  # another said so since
    assert await prove() == []


async def test_two_rules_on_segments_dont_chase_each_other(database: str) -> None:
    def moves(code: str, to: str) -> Any:
        @earn_rule(code, "From one to the other", on=f"segment:{code}")
        def moving(activity: Activity, facts: Facts) -> Effects:
            return [award("POINT", 1), leave_segment(code), enter_segment(to)]

        return moving

    engine = await open_club(moves("a", "b"), moves("b", "a"))
    (holder,) = await enrol_cards(["1"])
    await note(engine, find_partner(engine.rulebook, "club"), holder, [enter_segment("a")], NOW)
    assert await balance() == 1
    assert await waiting() == []


async def test_nothing_is_told_of_a_segment_for_which_no_rule_waits(database: str) -> None:
    engine = await open_club(VISIT)
    (holder,) = await enrol_cards(["1"])
    await note(engine, find_partner(engine.rulebook, "club"), holder, [enter_segment("vip")], NOW)
    assert (await books(["occasion", "event"])) == {"occasion": [], "event": []}


async def test_an_offer_counts_for_whom_it_was_made_and_as_long_as_it_lasts(database: str) -> None:
    @earn_rule("invite", "A week of doubles for a review", on="review")
    def invite(activity: Activity, facts: Facts) -> Effects:
        return offer("double", lasts="7D")

    @earn_rule("double", "Double points")
    def double(purchase: Purchase, facts: Facts) -> Effects:
        return multiply("POINT", 2)

    engine = await open_club(VISIT, invite, offered(double))
    await enrol_cards(["1", "2"])
    assert await bought(engine, "R-1", at=NOW - 30 * DAY) == [5]
    assert await told(engine, "A-1", at=NOW - 29 * DAY) == []
    assert await bought(engine, "R-2", at=NOW - 28 * DAY) == [5, 5]
    assert await bought(engine, "R-3", at=NOW - 28 * DAY, member="2") == [5]
    assert await bought(engine, "R-4", at=NOW - 20 * DAY) == [5]
    content = await scalar("SELECT content FROM decision WHERE content LIKE '%R%' OR true LIMIT 1")
    assert "it is for those to whom it was offered" in content
    assert await prove() == []


async def test_who_denies_leaves_nothing_to_any_rule_and_may_note_why(database: str) -> None:
    @earn_rule("staff", "Staff buy without points")
    def staff(purchase: Purchase, facts: Facts) -> Effects:
        if "works-here" in facts.attributes:
            return [deny("staff buy without points"), set_attribute("seen", "yes")]
        return nothing("no staff")

    @earn_rule("noting", "Notes each visit")
    def noting(purchase: Purchase, facts: Facts) -> Effects:
        return [award("POINT", 1), set_attribute("noted", "yes")]

    engine = await open_club(VISIT, staff, noting)
    (holder,) = await enrol_cards(["1"])
    terms = find_partner(engine.rulebook, "club")
    await note(engine, terms, holder, [set_attribute("works-here", "yes")], NOW)
    assert await bought(engine, "R-1") == []
    names = {row["name"] for row in (await books(["attribute"]))["attribute"]}
    assert names == {"works-here", "seen"}
    assert await scalar("SELECT content::jsonb -> 'n' FROM decision") == (
        '[[1, "Staff buy without points: staff buy without points"], '
        '[3, "Staff buy without points: staff buy without points"], '
        '[2, "staff buy without points"]]'
    )
    # It is a purchase all the same.
    assert await scalar("SELECT purchases FROM relation") == 1
    assert await prove() == []


FORGED = {
    "by hand": "UPDATE attribute SET event_id = NULL",
    "by another event": "UPDATE attribute SET id = id + 64",
    "another name": "UPDATE attribute SET name = 'friend'",
    "another time": "UPDATE attribute SET at = at - interval '1 day'",
    "a longer life": "UPDATE attribute SET until_at = until_at + interval '1 day'",
    "another member": "UPDATE attribute SET holder_id = holder_id + 1",
}


@pytest.mark.parametrize("what", FORGED)
async def test_a_falsified_note_is_named(database: str, what: str) -> None:
    @earn_rule("fan", "Notes fans")
    def fan(purchase: Purchase, facts: Facts) -> Effects:
        return set_attribute("fan", "much", lasts="7D")

    engine = await open_club(fan)
    await enrol_cards(["1", "2"])
    await bought(engine, "R-1")
    assert await prove() == []
    await forge(database, FORGED[what])
    assert {f.check for f in await prove()} == {"noted = decisions"}


# -- who joins, who is thanked -------------------------------------------------------------------


async def test_who_enrols_is_greeted_once(database: str) -> None:
    engine = await open_club(gift("enrolment", 50))
    await join(engine, "1")
    await join(engine, "1")
    await enrol_cards(["2"])  # by nobody's partner
    assert (await balance("1"), await balance("2")) == (50, 0)
    assert await waiting() == []


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "plain"])
async def test_whatever_a_rule_raises_holds_up_nobody(database: str, text: str) -> None:
    @earn_rule("fragile", "Fails", on="enrolment")
    def fragile(activity: Activity, facts: Facts) -> Effects:
        raise ValueError(text)

    engine = await open_club(fragile, gift("segment:vip"))
    holder = await join(engine, "1")
    assert [attempts for _, attempts, _ in await waiting()] == [1]
    await note(engine, find_partner(engine.rulebook, "club"), holder, [enter_segment("vip")], NOW)
    assert await balance() == 7


async def test_what_comes_back_is_an_occasion(database: str) -> None:
    @earn_rule("packing", "One for each full unit of money that comes back", on="return")
    def packing(activity: Activity, facts: Facts) -> Effects:
        amount = activity.attributes["amount"]
        assert isinstance(amount, int)
        return award("POINT", amount // 100, because=f"of {activity.attributes['purchase']}")

    engine = await open_club(packing)
    await enrol_cards(["1"])
    await bought(engine, "R-1")
    terms = find_partner(engine.rulebook, "club")
    unit = check_return(terms, ReturnInput("B-1", "R-1", NOW, amount="3.50"))
    for _ in range(2):
        await record(engine, [unit], NOW)
    await tell(engine, NOW)
    assert await balance() == 3
    await record(engine, [check_cancel(terms, "R-1", NOW)], NOW)
    await tell(engine, NOW)
    assert await balance() == 3  # a cancel is no return


async def test_an_occasion_that_a_rule_fails_on_is_tried_again_and_given_up_at_last(
    database: str,
) -> None:
    broken = True

    @earn_rule("fragile", "Fails at first", on="enrolment")
    def fragile(activity: Activity, facts: Facts) -> Effects:
        if broken:
            raise ValueError("not today")
        return award("POINT", 9)

    engine = await open_club(fragile, VISIT)
    holder = await join(engine, "1")
    name = f"enrolment:{holder}"
    assert [(n, a) for n, a, _ in await waiting()] == [(name, 1)]
    assert "raised ValueError" in (await waiting())[0][2]
    assert await tell(engine, NOW) == 0  # not before its time
    assert (await waiting())[0][1] == 1
    broken = False
    later = NOW + timedelta(minutes=1)
    assert await tell(engine, later) == 1
    assert await waiting() == []
    assert await balance() == 9
    # Given up after the twelfth attempt: it stays, to be seen.
    broken = True
    other = await join(engine, "2")
    now = NOW
    for _ in range(20):
        now += timedelta(days=5)
        await tell(engine, now)
    ((name, attempts, problem),) = await waiting()
    assert (name, attempts) == (f"enrolment:{other}", 12)
    assert problem


async def test_rules_without_occasions_cost_no_statement(database: str) -> None:
    engine = await open_club(VISIT, WELCOME)
    await enrol_cards(["1"])
    async with reading():
        pass
    outcome = await bought(engine, "R-1")
    assert outcome == [5]
    assert (await books(["attribute", "occasion"])) == {"attribute": [], "occasion": []}
