"""Collections in the books: once, late, withdrawn, erased; and what a quote says of one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.activities import ActivityInput, check_activity
from core.check import prove
from core.outcomes import Recorded
from core.posting import Engine
from core.purchases import find_partner
from laurels import Collection, Facts
from tests.core.club import balance, forge, open_club, told, withdraw
from tests.support import DAY, NOW, card, enrol_cards, scalar

pytestmark = pytest.mark.asyncio

WALKS = Collection("POINT", 300, of=["ridge", "coast", "lake"], code="walks")
PIN = Collection("PIN", 1, of=["ridge", "coast"], code="pin")


async def came(engine: Engine, name: str, meetup: str, days: float = 0) -> list[int]:
    """Somebody was at a meetup, days ago: what each rule gave."""
    return await told(engine, name, "attended", NOW - days * DAY, meetup=meetup)


async def test_a_set_gives_once_and_each_collection_counts_for_itself(database: str) -> None:
    engine = await open_club(WALKS, PIN)
    await enrol_cards(["1"])
    assert await came(engine, "A-1", "ridge", 5) == []
    assert await came(engine, "A-2", "ridge", 4) == []
    assert await came(engine, "A-3", "coast", 3) == [1]  # the pin
    assert await came(engine, "A-4", "other", 3) == []
    assert await came(engine, "A-5", "lake", 2) == [300]
    for n, meetup in enumerate(WALKS.of):
        assert await came(engine, f"B-{n}", meetup, 1) == []
    assert (await balance(), await balance(currency="PIN")) == (300, 1)
    assert await prove() == []


async def test_what_is_told_late_completes_it_with_the_next_one(database: str) -> None:
    engine = await open_club(WALKS)
    await enrol_cards(["1"])
    assert await came(engine, "A-1", "ridge", 3) == []
    assert await came(engine, "A-2", "coast", 1) == []
    # Of two days ago: what came after it wasn't there then.
    assert await came(engine, "A-3", "lake", 2) == []
    assert await came(engine, "A-4", "ridge") == [300]
    assert await prove() == []


async def test_the_last_one_withdrawn_takes_the_points_along_and_may_come_again(
    database: str,
) -> None:
    engine = await open_club(WALKS)
    await enrol_cards(["1"])
    for n, meetup in enumerate(WALKS.of):
        await came(engine, f"A-{n}", meetup, 3 - n)
    assert await balance() == 300
    await withdraw(engine, "A-2")
    assert await balance() == 0
    assert await told(engine, "A-3", "attended", NOW + timedelta(hours=1), meetup="lake") == [300]
    assert await balance() == 300
    assert await prove() == []


async def test_an_earlier_one_withdrawn_leaves_the_points_and_they_come_but_once(
    database: str,
) -> None:
    engine = await open_club(WALKS)
    await enrol_cards(["1"])
    for n, meetup in enumerate(WALKS.of):
        await came(engine, f"A-{n}", meetup, 3 - n)
    await withdraw(engine, "A-0")
    assert await balance() == 300
    assert await told(engine, "A-3", "attended", NOW + timedelta(hours=1), meetup="ridge") == []
    assert await balance() == 300
    assert await prove() == []


async def test_a_second_time_stands_in_for_the_first_where_that_is_withdrawn(
    database: str,
) -> None:
    engine = await open_club(WALKS)
    await enrol_cards(["1"])
    await came(engine, "A-1", "ridge", 5)
    await came(engine, "A-2", "ridge", 4)
    await came(engine, "A-3", "coast", 3)
    await withdraw(engine, "A-1")
    assert await told(engine, "A-4", "attended", NOW + timedelta(hours=1), meetup="lake") == [300]
    assert await prove() == []


async def test_what_is_erased_leaves_the_books_as_they_stand(database: str) -> None:
    engine = await open_club(WALKS)
    await enrol_cards(["1"])
    for n, meetup in enumerate(WALKS.of):
        await came(engine, f"A-{n}", meetup, 3 - n)
    assert await scalar("SELECT count(*) FROM attribute WHERE name LIKE 'set:walks%'") == 4
    await forge(database, "DELETE FROM attribute")
    assert await balance() == 300
    assert await prove() == []


async def test_a_quote_says_what_the_last_one_would_come_to_and_notes_nothing(
    database: str,
) -> None:
    engine = await open_club(WALKS)
    await enrol_cards(["1"])
    await came(engine, "A-1", "ridge", 2)
    await came(engine, "A-2", "coast", 1)
    terms = find_partner(engine.rulebook, "club")
    given = ActivityInput("Q", card("1"), NOW, "attended", {"meetup": "m", "tag-lake": True})
    for _ in range(2):
        [quoted] = await engine.quote([check_activity(terms, given)], NOW)
        assert isinstance(quoted, Recorded)
        assert quoted.evaluation is not None
        assert quoted.evaluation.points("POINT") == 300
    assert await balance() == 0
    # The control: without what was noted it would be a first one.
    assert "1 of 3" in str(WALKS.evaluate(check_activity(terms, given).purchase, Facts()))
