"""Gifts: both postings or none, their limits, who may, and that nothing is made or lost by one."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest

from core.check import prove
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotAllowed,
    NotEligible,
    Refusal,
    UnknownReference,
)
from core.gifts import Given, GiveRequest, erase_message, give
from core.posting import Engine
from core.sheet import trial_balance
from laurels import Cap, Giving
from tests.core.club import forge
from tests.core.lantern import KUDOS, POINT, VALUES, asked, given, held, hire, open_company, pay_out
from tests.core.shop import dump
from tests.support import DAY, NOW, books, scalar

AS_IT_IS = Giving(POINT, values=VALUES)


async def refused(engine: Engine, request: GiveRequest, kind: type[Refusal]) -> Refusal:
    """The refusal, after which nothing at all was written."""
    before = await dump()
    with pytest.raises(Refusal) as caught:
        await give(engine, request, NOW)
    assert type(caught.value) is kind, caught.value
    assert await dump() == before
    assert (await books(["gift", "gift_message"])) == {"gift": [], "gift_message": []}
    return caught.value


async def test_what_is_given_is_spent_and_as_much_of_another_currency_arrives(
    database: str,
) -> None:
    engine = await open_company()
    ada, bob = await hire(engine, "1"), await hire(engine, "2", "blue")
    await pay_out(engine, "1", 100)
    done = await give(engine, asked(ada, bob, 30), NOW)
    row = done.told.row
    assert (row.giver, row.receiver, row.points, row.value) == (ada, bob, 30, "care")
    assert (done.told.message, done.replayed) == ("Well done", False)
    assert await held(ada) == {"POINT": 70}
    assert await held(bob) == {"KUDOS": 30}
    moved = {
        (t["holder_id"], t["source"], t["target"], t["amount"])
        for t in (await books(["transfer"]))["transfer"]
        if t["kind"] == 12
    }
    assert moved == {(ada, 1, 11, 30), (bob, 10, 1, 30)}
    points, kudos = (await trial_balance(NOW)).currencies
    assert (points.sum, kudos.sum) == (0, 0)
    assert {k.name: v for k, v in points.accounts.items() if v} == {
        "ACTIVE": 70, "ISSUED": -100, "REDEEMED": 30,
    }  # fmt: skip
    assert {k.name: v for k, v in kudos.accounts.items() if v} == {"ACTIVE": 30, "ISSUED": -30}
    assert [(p.issued, p.redeemed, p.difference) for p in points.partners] == [(100, 30, 0)]
    assert [(p.issued, p.given, p.difference) for p in kudos.partners] == [(30, 0, 0)]
    again = await give(engine, asked(ada, bob, 30), NOW + DAY)
    assert again == Given(done.told, replayed=True)
    with pytest.raises(IdempotencyConflict):
        await give(engine, asked(ada, bob, 31), NOW)
    assert await held(ada) == {"POINT": 70}
    assert await prove() == []


async def test_points_of_one_currency_pass_through_transit_and_live_no_longer_than_before(
    database: str,
) -> None:
    engine = await open_company(AS_IT_IS)
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    await pay_out(engine, "1", 40)
    await pay_out(engine, "1", 50, "Q", NOW + 10 * DAY)
    later = NOW + 20 * DAY
    # The 40 of the first day die sooner and go first, then 20 of the others.
    await give(engine, asked(ada, bob, 60), later)
    assert (await held(ada), await held(bob)) == ({"POINT": 30}, {"POINT": 60})
    lots = [x for x in (await books(["lot"]))["lot"] if x["holder_id"] == bob]
    assert sorted((x["expires_at"], x["amount"]) for x in lots) == [
        (NOW + 30 * DAY, 40), (NOW + 40 * DAY, 20),
    ]  # fmt: skip
    back = await give(engine, asked(bob, ada, 45, "back"), later + DAY)
    assert back.told.row.points == 45
    lots = [x for x in (await books(["lot"]))["lot"] if x["holder_id"] == ada and x["remaining"]]
    assert sorted((x["expires_at"], x["remaining"]) for x in lots) == [
        (NOW + 30 * DAY, 40), (NOW + 40 * DAY, 5), (NOW + 40 * DAY, 30),
    ]  # fmt: skip
    (sheet,) = (await trial_balance(later + DAY)).currencies
    assert sheet.sum == 0
    assert {k.name: v for k, v in sheet.accounts.items() if v} == {"ACTIVE": 90, "ISSUED": -90}
    assert [(p.issued, p.given, p.taken, p.difference) for p in sheet.partners] == [
        (90, 105, 105, 0)
    ]
    assert await prove() == []


async def test_who_may_give_what_to_whom(database: str) -> None:
    engine = await open_company(Giving(POINT, as_=KUDOS, values=VALUES, each=50))
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    guest = await hire(engine, "3", None)
    await pay_out(engine, "1", 40)
    await pay_out(engine, "3", 40)
    cases: list[tuple[GiveRequest, type[Refusal], tuple[str, ...]]] = [
        (asked(ada, ada, 5), NotAllowed, ("to",)),
        (asked(ada, guest, 5), UnknownReference, ("to",)),
        (asked(ada, 5, 5), UnknownReference, ("to",)),
        (asked(guest, bob, 5), NotAllowed, ()),
        (asked(ada, bob, 0), BadInput, ("points",)),
        (asked(ada, bob, 51), NotAllowed, ("points",)),
        (asked(ada, bob, 41), NotEligible, ("points",)),
        (asked(ada, bob, 5, value="greed"), BadInput, ("value",)),
        (asked(ada, bob, 5, value=None), BadInput, ("value",)),
        (asked(ada, bob, 5, message=" "), BadInput, ("message",)),
        (asked(ada, bob, 5, message="x" * 1001), BadInput, ("message",)),
        (asked(ada, bob, 5, message="\0"), BadInput, ("message",)),
        (asked(ada, bob, 5, partner="none"), UnknownReference, ("partner",)),
        (asked(ada, bob, 5, key=""), BadInput, ("key",)),
    ]
    for request, kind, path in cases:
        refusal = await refused(engine, request, kind)
        assert refusal.path == path, (request, refusal)
    assert (
        "40 are there, 1 are missing"
        in (await refused(engine, asked(ada, bob, 41), NotEligible)).message
    )
    assert await prove() == []


async def test_nothing_is_given_where_nothing_is_declared_and_words_may_be_left_out(
    database: str,
) -> None:
    engine = await open_company(Giving(POINT, wordless=True))
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    await pay_out(engine, "1", 40)
    refusal = await refused(engine, asked(ada, bob, 5), BadInput)
    assert refusal.path == ("value",)
    done = await give(engine, asked(ada, bob, 5, value=None, message=""), NOW)
    assert (done.told.row.value, done.told.message) == (None, None)
    object.__setattr__(engine.rulebook.partners["club"], "giving", None)
    with pytest.raises(NotAllowed):
        await give(engine, asked(ada, bob, 5, "2"), NOW)


async def test_limits_hold_a_day_a_colleague_and_what_goes_back(database: str) -> None:
    terms = Giving(
        POINT, as_=KUDOS, values=VALUES, per_day=50,
        to_one=Cap(points=60, per="calendar 1M"), back=Cap(points=10, per="7D"),
    )  # fmt: skip
    engine = await open_company(terms)
    ada, bob, cem = [await hire(engine, n) for n in "123"]
    for n in "123":
        await pay_out(engine, n, 500)
    assert isinstance(await given(engine, ada, bob, 40, "1"), Given)
    told = await given(engine, ada, cem, 11, "2")
    assert isinstance(told, NotAllowed)
    assert told.message == "at most 50 POINT are given in a day: 40 were, so 10 are left, not 11"
    assert isinstance(await given(engine, ada, cem, 10, "3"), Given)
    # The next day, 20 more are left for this colleague in this month.
    told = await given(engine, ada, bob, 21, "4", NOW + DAY)
    assert isinstance(told, NotAllowed)
    assert told.message.endswith("per calendar 1M: 40 were, so 20 are left, not 21")
    assert isinstance(await given(engine, ada, bob, 20, "5", NOW + DAY), Given)
    # Who was given something gives little back; a third is free to be given.
    told = await given(engine, bob, ada, 11, "6", NOW + DAY)
    assert isinstance(told, NotAllowed)
    assert told.message.endswith("within 7D: 0 were, so 10 are left, not 11")
    assert isinstance(await given(engine, bob, ada, 10, "7", NOW + DAY), Given)
    assert isinstance(await given(engine, bob, ada, 1, "8", NOW + 2 * DAY), NotAllowed)
    assert isinstance(await given(engine, bob, cem, 40, "9", NOW + DAY), Given)
    # Eight days after the last gift of hers it is forgotten.
    assert isinstance(await given(engine, bob, ada, 50, "10", NOW + 9 * DAY), Given)
    # A new month: 17 days on it is April.
    assert isinstance(await given(engine, ada, bob, 1, "11", NOW + 15 * DAY), NotAllowed)
    assert isinstance(await given(engine, ada, cem, 50, "12", NOW + 17 * DAY), Given)
    assert await prove() == []


async def test_both_postings_stand_or_none_whatever_fails_between_them(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver whose ledger is full, and a database that refuses the last of the rows."""
    engine = await open_company(AS_IT_IS)
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    await pay_out(engine, "1", 40)
    await pay_out(engine, "2", 10)
    with monkeypatch.context() as patch:
        patch.setattr("core.gifts.MOST_HELD", 14)
        refusal = await refused(engine, asked(ada, bob, 5), BadInput)
        assert refusal.path == ("points",)
    before = await dump()
    await forge(database, "ALTER TABLE gift ADD CONSTRAINT none CHECK (points <> 5) NOT VALID")
    with pytest.raises(Exception, match="none"):
        await give(engine, asked(ada, bob, 5), NOW)
    assert await dump() == before
    await forge(database, "ALTER TABLE gift DROP CONSTRAINT none")
    assert isinstance(await given(engine, ada, bob, 5, "k"), Given)
    assert await prove() == []


async def test_two_at_once_spend_no_more_than_there_is_and_pass_no_limit(database: str) -> None:
    terms = Giving(POINT, as_=KUDOS, values=VALUES, per_day=80)
    engine = await open_company(terms)
    ada, bob, cem = [await hire(engine, n) for n in "123"]
    await pay_out(engine, "1", 50)
    told = await asyncio.gather(*(given(engine, ada, x, 30, f"{x}") for x in (bob, cem)))
    assert sorted(type(x).__name__ for x in told) == ["Given", "NotEligible"]
    assert await held(ada) == {"POINT": 20}
    await pay_out(engine, "1", 100, "Q")
    told = await asyncio.gather(*(given(engine, ada, x, 30, f"{x}!") for x in (bob, cem)))
    assert sorted(type(x).__name__ for x in told) == ["Given", "NotAllowed"]
    again = await asyncio.gather(*(given(engine, ada, bob, 5, "same") for _ in range(3)))
    assert sorted(x.replayed for x in again if isinstance(x, Given)) == [False, True, True]
    assert await held(ada) == {"POINT": 85}
    assert await prove() == []


async def test_gifts_that_cross_wait_for_each_other_and_both_arrive(database: str) -> None:
    engine = await open_company(AS_IT_IS)
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    await pay_out(engine, "1", 100)
    await pay_out(engine, "2", 100)
    pairs = [(ada, bob, 3), (bob, ada, 2)] * 6
    told = await asyncio.gather(
        *(given(engine, a, b, points, f"{n}") for n, (a, b, points) in enumerate(pairs))
    )
    assert all(isinstance(x, Given) for x in told), told
    assert (await held(ada), await held(bob)) == ({"POINT": 94}, {"POINT": 106})
    assert await prove() == []


async def test_words_are_erased_and_the_books_stand(database: str) -> None:
    engine = await open_company()
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    await pay_out(engine, "1", 100)
    first = (await give(engine, asked(ada, bob, 5, message="Ada to Bob"), NOW)).told.row
    await give(engine, asked(ada, bob, 5, "2", message="Once more"), NOW)
    for table, rows in (await dump()).items():
        assert table == "gift_message" or "Ada to Bob" not in str(rows), table
    assert await erase_message(ada, first.id)
    assert not await erase_message(ada, first.id)
    assert [m["message"] for m in (await books(["gift_message"]))["gift_message"]] == ["Once more"]

    assert await prove() == []


@pytest.mark.parametrize(
    ("said", "forgery"),
    [
        ("gifts = both their postings", "UPDATE gift SET points = points + 1"),
        ("gifts = both their postings", "UPDATE gift SET receiver_id = giver_id + 5"),
        ("gifts = both their postings", "DELETE FROM gift"),
        ("commands = their events", "UPDATE gift SET value = 'craft'"),
        ("gifts = both their postings", "UPDATE event SET kind = 12 WHERE kind = 32"),
        ("gifts = both their postings", "INSERT INTO gift_message VALUES (1, 1, 'x')"),
        ("nothing stays in transit", "UPDATE transfer SET amount = 4 WHERE source = 16"),
        (
            "transfers = what their events may do",
            "UPDATE transfer SET kind = 10 WHERE source = 16",
        ),
    ],
)
async def test_the_check_sees_each_forgery(database: str, said: str, forgery: str) -> None:
    engine = await open_company(AS_IT_IS)
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    await pay_out(engine, "1", 40)
    await give(engine, asked(ada, bob, 5), NOW)
    assert await prove() == []
    if "receiver_id" in forgery:
        await forge(database, "ALTER TABLE gift DROP CONSTRAINT gift_to_another")
    await forge(database, forgery)
    assert said in {finding.check for finding in await prove()}


async def test_gifts_count_for_no_tier(database: str) -> None:
    engine = await open_company()
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    await pay_out(engine, "1", 40)
    before = await scalar("SELECT count(*) FROM qualification")
    await give(engine, asked(ada, bob, 5), NOW + timedelta(hours=1))
    assert await scalar("SELECT count(*) FROM qualification") == before


async def _everything() -> int:
    """All points of all members, whatever they are called; raises where the books don't hold."""
    assert await prove() == []
    return int(await scalar("SELECT sum(active) FROM ledger"))


@pytest.mark.parametrize("terms", [AS_IT_IS, Giving(POINT, as_=KUDOS, values=VALUES)])
@pytest.mark.parametrize("seed", range(3))
async def test_no_sequence_of_gifts_makes_or_loses_a_point(
    database: str, terms: Giving, seed: int
) -> None:
    """Of four people who give what they have and have not; days pass, and nothing expires."""
    engine, dice = await open_company(terms), random.Random(seed)
    people = [await hire(engine, n) for n in "1234"]
    for n in "1234":
        await pay_out(engine, n, 60)
    outcomes = []
    for turn in range(40):
        giver, receiver = dice.sample(people, 2)
        at = NOW + turn * timedelta(hours=10)
        outcomes.append(await given(engine, giver, receiver, dice.randint(1, 60), f"{turn}", at))
        if turn % 8 == 7:
            assert await _everything() == 240
    kinds = {type(x) for x in outcomes}
    assert kinds == {Given, NotEligible}
    told = [x.told.row.points for x in outcomes if isinstance(x, Given)]
    assert sum(told) == await scalar("SELECT sum(points) FROM gift")


async def test_a_point_that_is_made_would_be_seen(database: str) -> None:
    """The control: were half a gift booked, both the sum and the proof would say so."""
    engine = await open_company(AS_IT_IS)
    ada, bob = await hire(engine, "1"), await hire(engine, "2")
    await pay_out(engine, "1", 60)
    await give(engine, asked(ada, bob, 20), NOW)
    assert await _everything() == 60
    await forge(database, f"UPDATE ledger SET active = active + 20 WHERE holder_id = {ada}")
    assert await scalar("SELECT sum(active) FROM ledger") == 80
    with pytest.raises(AssertionError):
        await _everything()
