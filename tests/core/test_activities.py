"""Activities: what isn't a purchase, judged by the rules that name it, booked once, withdrawn."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.activities import ActivityInput, check_activity
from core.check import prove
from core.errors import BadInput, IdempotencyConflict, NotAllowed, UnknownReference
from core.outcomes import Recorded
from core.purchases import find_partner
from core.returning import record
from core.returns import check_withdrawal
from laurels import (
    Activity,
    Cap,
    Effects,
    Facts,
    PointsPerAmount,
    PointsPerVisit,
    award,
    capped,
    earn_rule,
    issue,
    nothing,
    on,
)
from laurels.activities import Value
from tests.core.club import balance, bought, forge, open_club, tell, told, withdraw
from tests.support import DAY, NOW, books, card, enrol_cards, scalar

pytestmark = pytest.mark.asyncio

VISIT = PointsPerVisit("POINT", 5, code="visit", title="Five a visit")


@earn_rule("review", "Ten for each star of a review", on="review")
def review(activity: Activity, facts: Facts) -> Effects:
    stars = activity.attributes.get("stars", 0)
    assert isinstance(stars, int)
    return award("POINT", 10 * stars) if stars else nothing("it has no stars")


async def test_an_activity_is_judged_by_the_rules_that_name_it_alone(database: str) -> None:
    engine = await open_club(VISIT, review, on("check-in", PointsPerVisit("POINT", 3, code="in")))
    await enrol_cards(["1"])
    assert await told(engine, "A-1", stars=4) == [40]
    assert await told(engine, "A-2", "check-in") == [3]
    assert await told(engine, "A-3", "unheard-of") == []
    assert await bought(engine, "R-1") == [5]
    assert await balance() == 48
    # It is no visit: the purchase is the first.
    assert await scalar("SELECT purchases FROM relation") == 1
    assert await prove() == []


async def test_it_is_booked_once_and_never_with_other_content(database: str) -> None:
    engine = await open_club(review)
    await enrol_cards(["1"])
    first = await tell(engine, "A-1", stars=4)
    again = await tell(engine, "A-1", stars=4)
    other = await tell(engine, "A-1", stars=5)
    assert isinstance(first, Recorded)
    assert isinstance(again, Recorded)
    assert (again.event, again.replayed, first.replayed) == (first.event, True, False)
    assert isinstance(other, IdempotencyConflict)
    # A purchase of the same number is another thing.
    assert await bought(engine, "A-1") == []
    assert await balance() == 40


@pytest.mark.parametrize(
    ("type_", "error", "words"),
    [
        ("purchase", NotAllowed, "'purchase' is told by the engine itself"),
        ("birthday", NotAllowed, "'birthday' is told by the engine itself"),
        ("segment:vip", NotAllowed, "'segment:vip' is told by the engine itself"),
        ("schedule:daily", NotAllowed, "'schedule:daily' is told by the engine itself"),
        ("two words", BadInput, "trigger 'two words': a code has ASCII letters"),
        ("schedule:hourly", BadInput, "it reads segment:CODE, schedule:daily"),
        ("", BadInput, "a code is a text of 1 to 64 characters"),
    ],
)
async def test_a_partner_tells_of_its_own_types_only(
    database: str, type_: str, error: type[Exception], words: str
) -> None:
    engine = await open_club(review)
    with pytest.raises(error, match=words.replace("(", ".")) as caught:
        await tell(engine, "A-1", type_)
    assert getattr(caught.value, "path", None) == ("type",)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"stars": 1.5}, "attribute stars: a text of at most 200 characters, a whole number"),
        ({"stars": 2**63}, "attribute stars"),
        ({"text": "x" * 201}, "attribute text"),
        ({"text": "\0"}, "attribute text"),
        ({"two words": 1}, "attributes: attribute 'two words'"),
        ({f"a{n}": n for n in range(31)}, "attributes: at most 30, not 31"),
    ],
)
async def test_attributes_are_plain(
    database: str, attributes: dict[str, Value], words: str
) -> None:
    engine = await open_club(review)
    terms = find_partner(engine.rulebook, "club")
    given = ActivityInput("A-1", card("1"), NOW, "review", attributes)
    with pytest.raises(BadInput, match=words) as caught:
        check_activity(terms, given)
    assert caught.value.path == ("attributes",)


async def test_who_is_unknown_is_told_and_late_ones_are_refused(database: str) -> None:
    engine = await open_club(review)
    await enrol_cards(["1"])
    assert isinstance(await tell(engine, "A-1", member="2"), UnknownReference)
    late = await tell(engine, "A-2", at=NOW - 91 * DAY, now=NOW)
    assert isinstance(late, NotAllowed)
    assert late.path == ("occurredAt",)
    ahead = await tell(engine, "A-3", at=NOW + timedelta(minutes=6), now=NOW)
    assert isinstance(ahead, NotAllowed)
    assert (await books(["event", "transfer"])) == {"event": [], "transfer": []}


async def test_caps_count_activities_and_a_withdrawal_leaves_room_again(database: str) -> None:
    engine = await open_club(capped(review, Cap(times=1, per="7D")))
    await enrol_cards(["1"])
    assert await told(engine, "A-1", stars=4) == [40]
    assert await told(engine, "A-2", stars=5) == []
    taken = await withdraw(engine, "A-1")
    assert not taken.replayed
    assert await balance() == 0
    assert await told(engine, "A-3", stars=5) == [50]
    assert (await withdraw(engine, "A-1")).replayed
    assert await balance() == 50
    assert await prove() == []


async def test_only_what_is_known_can_be_withdrawn(database: str) -> None:
    engine = await open_club(review, VISIT)
    await enrol_cards(["1"])
    await bought(engine, "R-1")
    terms = find_partner(engine.rulebook, "club")
    for name in ("A-1", "R-1"):  # a purchase is none
        (outcome,) = await record(engine, [check_withdrawal(terms, name, NOW)], NOW)
        assert isinstance(outcome, UnknownReference)
        assert outcome.path == ("activity",)
    assert await balance() == 5
    assert (await books(["waiting"]))["waiting"] == []


async def test_a_reward_that_an_activity_issued_goes_back_with_it(database: str) -> None:
    @earn_rule("tenth", "A coffee for a check-in", on="check-in")
    def tenth(activity: Activity, facts: Facts) -> Effects:
        return [award("POINT", 10), issue("coffee")]

    engine = await open_club(tenth)
    await enrol_cards(["1"])
    assert await told(engine, "A-1", "check-in") == [10]
    (redemption,) = (await books(["redemption"]))["redemption"]
    assert (redemption["status"], redemption["order_id"]) == (2, "activity:A-1")
    assert await balance() == 0
    await withdraw(engine, "A-1")
    (redemption,) = (await books(["redemption"]))["redemption"]
    assert (redemption["status"], redemption["reason"]) == (5, "order-cancelled")
    assert await balance() == 0
    assert await prove() == []


async def test_a_rule_on_money_finds_none(database: str) -> None:
    engine = await open_club(on("review", PointsPerAmount("POINT", 1, "1.00 USD", code="each")))
    await enrol_cards(["1"])
    outcome = await tell(engine, "A-1", stars=4)
    assert isinstance(outcome, Recorded)
    assert outcome.evaluation is not None
    (refused,) = outcome.evaluation.refused
    assert refused.because == "earns on USD, this receipt is in XXX"
    assert await balance() == 0


@pytest.mark.parametrize(
    ("what", "statement"),
    [
        (
            "its stars",
            """UPDATE decision SET content = replace(content, '"stars":4', '"stars":5')""",
        ),
        ("when", "UPDATE event SET occurred_at = occurred_at - interval '1 second'"),
        ("its type", """UPDATE decision SET content = replace(content, '"review"', '"rebuke"')"""),
    ],
)
async def test_a_falsified_activity_is_named(database: str, what: str, statement: str) -> None:
    engine = await open_club(review)
    await enrol_cards(["1"])
    await tell(engine, "A-1", stars=4)
    assert await prove() == []
    await forge(database, statement)
    found = [f.problem for f in await prove() if f.check == "activities = their hashes"]
    assert found == ["the activity isn't the one that was recorded"]
