"""Ranks given by hand: a floor while they last, on every kind of ladder, and nothing after."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.assignments import Assigned, AssignRequest, EndRequest, assign_tier, end_assignment
from core.check import prove
from core.errors import (
    BadInput,
    IdempotencyConflict,
    Refusal,
    UnknownReference,
    WrongState,
)
from core.posting import Engine
from core.programme import LadderSettings
from core.redemptions import redeem
from core.reviews import review_tiers
from tests.core.clubs import (
    ladder,
    member,
    moves,
    nights,
    open_club,
    rank,
    reopen,
    status,
    utc,
)
from tests.core.shop import dump, earn, wish
from tests.core.test_ladders import returned_whole
from tests.support import NOW, scalar

TICK = timedelta(microseconds=1)
LADDERS = {
    "rolling": ladder("30D"),
    "lifetime": ladder(None),
    "hold": ladder("30D", hold="3M"),
    "calendar": ladder("calendar 1M"),
    "anniversary": ladder("anniversary 1M", soft_landing=True),
}
ON_EACH = pytest.mark.parametrize("terms", LADDERS.values(), ids=LADDERS.keys())
UNTIL = utc(2026, 4, 20, 9)


async def give(
    engine: Engine, holder: int, tier: str = "t2", until: datetime | None = UNTIL, **more: Any
) -> Assigned:
    """Give a rank on the club's ladder, now unless `now` says otherwise."""
    now = more.pop("now", NOW)
    given = {"caller": "admin", "key": "k", "ladder": "club", "reason": "goodwill", **more}
    return await assign_tier(
        engine, AssignRequest(holder=holder, tier=tier, until=until, **given), now
    )


async def end(
    engine: Engine, holder: int, assignment: int, now: datetime, key: str = "e"
) -> Assigned:
    request = EndRequest("admin", key, holder, assignment, "mistake")
    return await end_assignment(engine, request, now)


@ON_EACH
@pytest.mark.parametrize("bought", ["0.50", "70.00", "250.00"])
async def test_a_rank_given_is_held_until_it_ends_and_then_what_was_reached(
    database: str, terms: LadderSettings, bought: str
) -> None:
    shop = await open_club(terms)
    holder = await member()
    await earn(shop, "R1", bought, at=NOW - timedelta(hours=1), now=NOW)
    own = await rank(shop, holder, NOW)
    given = await give(shop, holder)
    assert [(m.before, m.after) for m in given.moves] == ([] if own == 2 else [(own, 2)])
    assert await prove() == []
    told = await status(shop, holder, NOW)
    assert (told.rank, told.until is None or told.until >= UNTIL) == (2, True)
    assert told.floor == given.floor
    assert await rank(shop, holder, NOW - TICK) == own
    assert await rank(shop, holder, UNTIL - TICK) == 2
    after = await status(shop, holder, UNTIL)
    assert after.floor is None
    await nights(shop, utc(2026, 3, 16), utc(2026, 7, 20))
    assert [x[1:] for x in (await moves(holder))][-1] == await last_move(shop, holder)
    at_end = [m for m in await moves(holder) if m[0] == UNTIL]
    assert [m[2] for m in at_end] == ([after.rank] if after.rank != 2 else [])
    assert await prove() == []


async def last_move(shop: Engine, holder: int) -> tuple[int, int]:
    """What the last change must be, by the ranks that reads tell around it."""
    (*_, (at, _, _)) = await moves(holder)
    return await rank(shop, holder, at - TICK), await rank(shop, holder, at)


async def test_a_status_match_that_is_earned_meanwhile_stays(database: str) -> None:
    shop = await open_club(ladder("calendar 1Y"))
    holder = await member()
    given = await give(shop, holder, "t1", match=True, reason="airline-gold")
    assert (given.floor.match, given.floor.reason) == (True, "airline-gold")
    told = await status(shop, holder, NOW)
    assert (told.keep_until, told.keep_missing, told.projected_rank) == (UNTIL, 60, 0)
    await earn(shop, "R1", "60.00", at=utc(2026, 4, 1), now=utc(2026, 4, 1))
    await review_tiers(shop, UNTIL)
    assert await moves(holder) == [(NOW, 0, 1)]
    told = await status(shop, holder, UNTIL)
    # By its own merit since 1 April; without a gap it is silver since the match.
    assert (told.rank, told.since, told.until) == (1, NOW, utc(2028, 1, 1))
    assert await prove() == []


async def test_a_match_that_is_not_earned_ends_on_its_minute(database: str) -> None:
    """The negative control of the one before."""
    shop = await open_club(ladder("calendar 1Y"))
    holder = await member()
    await give(shop, holder, "t1", match=True)
    await earn(shop, "R1", "59.00", at=utc(2026, 4, 1), now=utc(2026, 4, 1))
    assert await review_tiers(shop, UNTIL - TICK) == 0
    assert await review_tiers(shop, UNTIL) == 1
    assert await moves(holder) == [(NOW, 0, 1), (UNTIL, 1, 0)]


@ON_EACH
async def test_an_end_before_time_takes_it_now(database: str, terms: LadderSettings) -> None:
    shop = await open_club(terms)
    holder = await member()
    given = await give(shop, holder, until=None)
    later = utc(2026, 3, 20, 8)
    done = await end(shop, holder, given.floor.event, later)
    assert done.floor.until == later
    assert await moves(holder) == [(NOW, 0, 2), (later, 2, 0)]
    assert await rank(shop, holder, later - TICK) == 2
    assert await review_tiers(shop, utc(2027, 1, 1)) == 0
    assert await prove() == []
    with pytest.raises(WrongState):
        await end(shop, holder, given.floor.event, utc(2026, 3, 21), "another")


async def test_several_hold_side_by_side(database: str) -> None:
    shop = await open_club(ladder("30D"))
    holder = await member()
    gold = await give(shop, holder, "t2", utc(2026, 3, 20))
    await give(shop, holder, "t1", utc(2026, 4, 20), key="k2")
    await end(shop, holder, gold.floor.event, utc(2026, 3, 18))
    await review_tiers(shop, utc(2026, 5, 1))
    assert await moves(holder) == [
        (NOW, 0, 2), (utc(2026, 3, 18), 2, 1), (utc(2026, 4, 20), 1, 0),
    ]  # fmt: skip
    assert await prove() == []


async def test_a_rank_given_opens_its_rewards_and_rules(database: str) -> None:
    shop = await open_club(ladder("30D").model_copy(update={"code": "coalition"}))
    shop = await reopen(
        ladder("30D").model_copy(
            update={
                "code": "coalition",
                "tiers": tuple(
                    t.model_copy(update={"code": c})
                    for t, c in zip(ladder("30D").tiers, ("base", "silver", "gold"), strict=True)
                ),
            }
        )
    )
    holder = await member()
    await earn(shop, "R1", "30.00")
    with pytest.raises(Refusal, match="for tier"):
        await redeem(shop, wish(holder, "tasting", key="1"), NOW)
    await give(shop, holder, "silver", ladder="coalition")
    await redeem(shop, wish(holder, "tasting", key="2"), NOW)
    bought = await earn(shop, "R2", "1.00", at=NOW + timedelta(minutes=1))
    told = await scalar("SELECT content FROM decision WHERE event_id = $1", bought.event)
    assert '"coalition":"silver"' in told
    assert await prove() == []


@ON_EACH
async def test_what_comes_back_or_late_is_judged_beside_it(
    database: str, terms: LadderSettings
) -> None:
    shop = await open_club(terms)
    holder = await member()
    await give(shop, holder, "t1")
    await earn(shop, "R1", "250.00", at=NOW + timedelta(hours=1))
    assert await rank(shop, holder, NOW + timedelta(hours=1)) == 2
    await returned_whole(shop, "R1", NOW + timedelta(hours=2))
    await earn(shop, "LATE", "1.00", at=NOW - timedelta(days=3), now=NOW + timedelta(hours=3))
    await nights(shop, utc(2026, 3, 16), utc(2026, 7, 20))
    # A hold outlasts the rank given; elsewhere that is what is left until it ends.
    falls = [(2, 0)] if terms.hold else [(2, 1), (1, 0)]
    assert [(a, b) for _, a, b in await moves(holder)] == [(0, 1), (1, 2), *falls]
    assert await prove() == []


async def test_sent_again_it_answers_with_the_first_outcome(database: str) -> None:
    shop = await open_club(ladder("30D"))
    holder = await member()
    first = await give(shop, holder)
    before = await dump()
    again = await give(shop, holder, now=utc(2027, 1, 1))  # its time is over; the key still answers
    assert again.replayed
    assert (again.floor, again.moves) == (first.floor, first.moves)
    assert await dump() == before
    with pytest.raises(IdempotencyConflict):
        await give(shop, holder, "t1")
    done = await end(shop, holder, first.floor.event, utc(2026, 3, 20))
    again = await end(shop, holder, first.floor.event, utc(2026, 3, 21))
    assert again.replayed
    assert (again.floor, again.moves) == (done.floor, done.moves)


async def test_many_at_once_give_and_end_it_once(database: str) -> None:
    shop = await open_club(ladder("30D"))
    holder = await member()
    given = await asyncio.gather(*(give(shop, holder) for _ in range(5)))
    assert len({x.floor.event for x in given}) == 1
    ends = (end(shop, holder, given[0].floor.event, utc(2026, 3, 20), f"{n}") for n in range(5))
    done = await asyncio.gather(*ends, return_exceptions=True)
    assert sum(isinstance(x, Assigned) for x in done) == 1
    assert sum(isinstance(x, WrongState) for x in done) == 4
    assert await moves(holder) == [(NOW, 0, 2), (utc(2026, 3, 20), 2, 0)]
    assert await prove() == []


@pytest.mark.parametrize(
    ("wrong", "kind", "path"),
    [
        ({"ladder": "none"}, UnknownReference, "ladder"),
        ({"tier": "none"}, UnknownReference, "tier"),
        ({"tier": "t0"}, BadInput, "tier"),
        ({"until": NOW}, BadInput, "until"),
        ({"reason": ""}, BadInput, "reason"),
        ({"reason": "she was very kind"}, BadInput, "reason"),
        ({"key": ""}, BadInput, "key"),
        ({"holder": 1}, UnknownReference, "member"),
    ],
)
async def test_nothing_is_booked_of_what_is_refused(
    database: str, wrong: dict[str, Any], kind: type[Refusal], path: str
) -> None:
    shop = await open_club(ladder("30D"))
    holder = await member()
    before = await dump()
    given: dict[str, Any] = {"holder": holder, **wrong}
    with pytest.raises(kind) as caught:
        await give(shop, given.pop("holder"), **given)
    assert caught.value.path == (path,)
    assert await dump() == before


async def test_an_assignment_of_another_member_can_not_be_ended(database: str) -> None:
    shop = await open_club(ladder("30D"))
    holder = await member()
    given = await give(shop, holder)
    with pytest.raises(UnknownReference):
        await end(shop, holder + 1, given.floor.event, NOW)
    with pytest.raises(UnknownReference):
        await end(shop, holder, given.floor.event + 1, NOW)
