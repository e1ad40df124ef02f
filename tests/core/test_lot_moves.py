"""Old lots under today's policy: what a preview says, what a run does, and what it never does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from core import lot_moves
from core.adjustments import AdjustRequest, adjust
from core.check import prove
from core.errors import BadInput, IdempotencyConflict, Refusal, UnknownReference, WrongState
from core.lot_moves import Example, MoveRequest, Tally, move, preview
from core.models import ProgrammeRow
from core.nightly import run as night
from core.posting import Engine
from core.programme import CurrencySettings, Programme
from core.redemptions import cancel, redeem
from core.store import lot_moves as store
from core.store.lot_moves import Moved
from core.store.reference import Declared, install
from laurels import Currency, Partner
from tests.core import market
from tests.core.shop import CAFE, GROCER, PROGRAMME, active, days, dump, earn, open_shop, wish
from tests.support import NOW, enrol_cards, scalar


async def changed(**terms: str | None) -> Engine:
    """The shop with other terms of its stars, from now on."""
    star = CurrencySettings(code="STAR", name="Stars", **{"expires": "90D", **terms})
    gem = next(c for c in PROGRAMME.currencies if c.code == "GEM")
    programme = PROGRAMME.model_copy(update={"currencies": (star, gem)})
    await ProgrammeRow.all().delete()
    return Engine(await install(programme, [GROCER, CAFE], NOW))


def asked(key: str = "k", **more: object) -> MoveRequest:
    return replace(MoveRequest("admin:", key, "STAR"), **more)  # type: ignore[arg-type]


async def ends() -> Mapping[int, str]:
    """The end of each lot, in days from NOW, and the version of its policy, by its points."""
    rows = await scalar(
        "SELECT array_agg(ARRAY[amount::text, coalesce(round(extract(epoch FROM "
        "nullif(l.expires_at, 'infinity') - $1) / 86400)::text, 'never') || ' v' || version]) "
        "FROM lot l JOIN policy p ON p.id = policy_id",
        NOW,
    )
    return {int(points): told for points, told in rows}


async def shop_of_three() -> tuple[Engine, int, int]:
    """Ada has 100 stars of 80 days ago and 50 of today, Bob 30 of 10 days ago."""
    shop = await open_shop()
    ada, bob = await enrol_cards(["1", "2"])
    await earn(shop, "R1", "100.00", at=NOW - days(80))
    await earn(shop, "R2", "30.00", "2", at=NOW - days(10))
    await earn(shop, "R3", "50.00", at=NOW)
    return shop, ada, bob


async def test_a_changed_policy_leaves_old_lots(database: str) -> None:
    await shop_of_three()
    shop = await changed(expires="30D")
    await earn(shop, "R4", "7.00", at=NOW)
    assert await ends() == {100: "10 v1", 30: "80 v1", 50: "90 v1", 7: "30 v2"}


async def test_a_preview_tells_and_changes_nothing(database: str) -> None:
    shop, ada, bob = await shop_of_three()
    same = await preview(shop, "STAR", NOW)
    assert (same.members, same.moved, same.examples) == (0, Tally(), [])
    shop = await changed(expires="30D")
    before = await dump()
    found = await preview(shop, "STAR", NOW)
    assert (found.members, found.moved) == (2, Tally(3, 180))
    assert (found.sooner, found.later, found.at_once) == (Tally(3, 180), Tally(), Tally(1, 100))
    assert found.examples == [
        Example(ada, 1, 100, NOW + days(10), NOW - days(50)),
        Example(ada, 2, 50, NOW + days(90), NOW + days(30)),
        Example(bob, 1, 30, NOW + days(80), NOW + days(20)),
    ]
    # What is dead by then isn't there any more.
    assert (await preview(shop, "STAR", NOW + days(10))).moved == Tally(2, 80)
    assert (await preview(shop, "STAR", NOW, from_version=2)).members == 0
    assert (await preview(shop, "STAR", NOW, from_version=1)).members == 2
    assert await dump() == before
    with pytest.raises(UnknownReference):
        await preview(shop, "NONE", NOW)


async def test_a_longer_life_is_given(database: str) -> None:
    await shop_of_three()
    shop = await changed(expires="365D", grace="5D", returns="within-balance")
    assert (await preview(shop, "STAR", NOW)).later == Tally(3, 180)
    done = await move(shop, asked(), NOW)
    assert done.run.moved == Moved(2, 3, 180, 0, 180, 0)
    assert (done.run.done_at, done.replayed) == (NOW, False)
    assert await ends() == {100: "285 v2", 30: "355 v2", 50: "365 v2"}
    assert await prove() == []
    assert (await preview(shop, "STAR", NOW)).members == 0


async def test_no_point_ends_sooner_unless_that_is_allowed(database: str) -> None:
    _, ada, _ = await shop_of_three()
    shop = await changed(expires="30D")
    done = await move(shop, asked(), NOW)
    assert done.run.moved == Moved(2, 3, 180, 0, 0, 0)
    assert await ends() == {100: "10 v2", 30: "80 v2", 50: "90 v2"}
    assert await active(shop, ada, NOW) == 150
    assert await prove() == []


async def test_allowed_points_end_by_the_new_terms_but_never_in_the_past(database: str) -> None:
    _, ada, bob = await shop_of_three()
    shop = await changed(expires="30D")
    done = await move(shop, asked(allow_sooner=True), NOW)
    assert done.run.moved == Moved(2, 3, 180, 180, 0, 100)
    assert await ends() == {100: "0 v2", 30: "20 v2", 50: "30 v2"}
    assert (await active(shop, ada, NOW), await active(shop, bob, NOW)) == (50, 30)
    # Yesterday's balance is what it was.
    assert await active(shop, ada, NOW - days(1)) == 100
    assert await scalar("SELECT occurred_at FROM transfer WHERE kind = 3") == NOW
    assert await prove() == []
    await night(shop, NOW + days(40))
    assert await active(shop, ada, NOW + days(40)) == 0
    assert await prove() == []


async def test_from_never_and_to_never(database: str) -> None:
    await shop_of_three()
    shop = await changed(expires=None)
    assert (await preview(shop, "STAR", NOW)).later == Tally(3, 180)
    await move(shop, asked(), NOW)
    assert await ends() == {100: "never v2", 30: "never v2", 50: "never v2"}
    shop = await changed(expires="100D")
    assert (await preview(shop, "STAR", NOW)).sooner == Tally(3, 180)
    await move(shop, asked("2"), NOW)
    assert await ends() == {100: "never v3", 30: "never v3", 50: "never v3"}
    shop = await changed(expires="120D")
    await move(shop, asked("3", allow_sooner=True), NOW)
    assert await ends() == {100: "40 v4", 30: "110 v4", 50: "120 v4"}
    assert await prove() == []


async def test_sliding_points_count_from_the_last_activity(database: str) -> None:
    await shop_of_three()
    shop = await changed(expires="sliding 60D on earning")
    found = await preview(shop, "STAR", NOW)
    # Ada earned today: 60 days from now. Bob ten days ago: 50 days from now, 80 before.
    assert [(x.points, x.after) for x in found.examples] == [
        (100, NOW + days(60)), (50, NOW + days(60)), (30, NOW + days(50)),
    ]  # fmt: skip
    await move(shop, asked(allow_sooner=True), NOW)
    assert await ends() == {100: "60 v2", 30: "50 v2", 50: "60 v2"}
    await earn(shop, "R9", "9.00", at=NOW + days(5))
    assert await ends() == {100: "65 v2", 30: "50 v2", 50: "65 v2", 9: "65 v2"}
    assert await prove() == []


async def test_only_lots_of_one_version(database: str) -> None:
    await shop_of_three()
    shop = await changed(expires="100D")
    await earn(shop, "R4", "7.00", at=NOW)
    shop = await changed(expires="200D")
    done = await move(shop, asked(from_version=2), NOW)
    assert done.run.moved == Moved(1, 1, 7, 0, 7, 0)
    assert await ends() == {100: "10 v1", 30: "80 v1", 50: "90 v1", 7: "200 v3"}
    assert await prove() == []


async def test_it_is_safe_twice_and_answers_again(database: str) -> None:
    await shop_of_three()
    shop = await changed(expires="365D")
    first = await move(shop, asked(), NOW)
    before = await dump()
    again = await move(shop, asked(), NOW + days(9))
    assert (again.run, again.replayed) == (first.run, True)
    assert await dump() == before
    for other in (asked(allow_sooner=True), asked(from_version=1), asked(currency="GEM")):
        with pytest.raises(IdempotencyConflict):
            await move(shop, other, NOW)
    nothing = await move(shop, asked("2"), NOW)
    assert nothing.run.moved == Moved()
    assert [x.id for x in await store.report(None, 10)] == [nothing.run.id, first.run.id]
    assert [x.id for x in await store.report((nothing.run.at, nothing.run.id), 10)] == [
        first.run.id
    ]


@pytest.mark.parametrize("batch", [1, 2, 3])
async def test_killed_in_the_middle_it_goes_on(
    database: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop()
    for n, _ in enumerate(await enrol_cards([str(n) for n in range(7)])):
        await earn(shop, f"R{n}", "10.00", str(n))
    shop = await changed(expires="365D")
    monkeypatch.setattr(lot_moves, "BATCH", batch)

    def die(done: int, total: int) -> None:
        if done >= 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await move(shop, asked(), NOW, die)
    (run,) = await store.report(None, 10)
    assert run.done_at is None
    assert 3 <= run.moved.members < 7
    assert await prove() == []
    done = await move(shop, asked(), NOW + days(1))
    assert (done.replayed, done.run.moved) == (True, Moved(7, 7, 70, 0, 70, 0))
    assert done.run.done_at == NOW + days(1)
    assert await prove() == []


async def test_one_that_began_under_another_policy_doesnt_go_on(database: str) -> None:
    await shop_of_three()
    shop = await changed(expires="365D")

    def die(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await move(shop, asked(), NOW, die)
    shop = await changed(expires="400D")
    with pytest.raises(WrongState):
        await move(shop, asked(), NOW)


async def test_two_at_once_move_each_lot_once(database: str) -> None:
    shop = await open_shop()
    for n, _ in enumerate(await enrol_cards([str(n) for n in range(20)])):
        await earn(shop, f"R{n}", "10.00", str(n))
    shop = await changed(expires="365D")
    await asyncio.gather(*(move(shop, asked(str(n)), NOW) for n in range(4)))
    runs = await store.report(None, 10)
    assert sum(x.moved.lots for x in runs) == 20
    assert sum(x.moved.points for x in runs) == 200
    assert await prove() == []


async def test_what_time_has_done_is_booked_first(database: str) -> None:
    """A dead lot is expired at its own instant, not moved and revived."""
    _, ada, _ = await shop_of_three()
    shop = await changed(expires="365D")
    late = NOW + days(10)
    done = await move(shop, asked(), late)
    assert done.run.moved == Moved(2, 2, 80, 0, 80, 0)
    assert await scalar("SELECT occurred_at FROM transfer WHERE kind = 3") == late
    assert await active(shop, ada, late) == 50
    assert await prove() == []


async def test_pending_points_stay_pending_as_they_were(database: str) -> None:
    engine = await market.open_market()
    (ada,) = await enrol_cards(["1"])
    await market.buy(engine, "P1", ("HELD", "9.00"), ("SENT", "8.00"), ("LATE", "7.00"))
    more = {
        "HELD": replace(market.HELD, expires="60D", pending="99D"),
        "SENT": replace(market.SENT, expires="10D", time_zone="America/New_York"),
        "PLAIN": replace(market.PLAIN, expires="91D"),
    }
    other = [more.get(c.code, c) for c in market.ALL]
    engine = await market_of(other)
    for code in more:
        done = await move(engine, asked(code, currency=code, allow_sooner=True), NOW)
        assert done.run.moved.lots == 1, code
    assert await market.balances(engine, ada, NOW + days(7)) == {
        "HELD": (0, 9, 0, 0), "SENT": (0, 8, 0, 0), "PLAIN": (7, 0, 0, 0),
    }  # fmt: skip
    assert (await market.balances(engine, ada, NOW + days(14)))["HELD"] == (9, 0, 0, 0)
    await market.shipped(engine, "P1", NOW + days(20))
    assert (await market.balances(engine, ada, NOW + days(20)))["SENT"] == (8, 0, 0, 0)
    assert (await market.balances(engine, ada, NOW + days(29)))["SENT"] == (8, 0, 0, 0)
    assert "SENT" not in await market.balances(engine, ada, NOW + days(31))
    assert (await market.balances(engine, ada, NOW + days(73)))["HELD"] == (9, 0, 0, 0)
    assert "HELD" not in await market.balances(engine, ada, NOW + days(74))
    assert (await market.balances(engine, ada, NOW + days(97)))["PLAIN"] == (7, 0, 0, 0)
    assert await market.balances(engine, ada, NOW + days(98)) == {}
    assert await prove() == []
    await night(engine, NOW + days(99))
    assert await prove() == []


async def market_of(currencies: Sequence[Currency]) -> Engine:
    """The market again, with other terms of its currencies."""
    declared = Declared(
        "market", "1", Partner("market", "The Market", currencies=currencies),
        earn_rules=market.RULES,
    )  # fmt: skip
    row = await ProgrammeRow.all().order_by("-version").first()
    assert row is not None
    return Engine(await install(Programme.model_validate(row.settings), [declared], NOW))


async def test_points_that_come_back_later_are_moved_by_another_run(database: str) -> None:
    _, ada, _ = await shop_of_three()
    shop = await changed(expires="365D")
    held = await redeem(shop, wish(ada, "bag", hold="5D"), NOW)
    await move(shop, asked(), NOW)
    await cancel(shop, ada, held.id, "till", "c", NOW + days(1))
    assert (await ends())[100] == "10 v1"
    done = await move(shop, asked("2"), NOW + days(1))
    assert done.run.moved == Moved(1, 1, 100, 0, 100, 0)
    assert (await ends())[100] == "285 v2"
    assert await prove() == []


async def test_adjusted_lots_move_like_others(database: str) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    await adjust(shop, AdjustRequest("a", "1", "admin", ada, "STAR", 5, "goodwill"), NOW)
    shop = await changed(expires="365D")
    assert (await move(shop, asked(), NOW)).run.moved == Moved(1, 1, 5, 0, 5, 0)
    assert await prove() == []


@pytest.mark.parametrize(
    ("change", "kind", "path"),
    [
        ({"key": ""}, BadInput, ("key",)),
        ({"currency": "NONE"}, UnknownReference, ("currency",)),
        ({"currency": "x\0"}, BadInput, ("currency",)),
    ],
)
async def test_refusals(
    database: str, change: dict[str, object], kind: type[Refusal], path: tuple[str, ...]
) -> None:
    shop = await open_shop()
    before = await dump()
    with pytest.raises(Refusal) as caught:
        await move(shop, replace(asked(), **change), NOW)  # type: ignore[arg-type]
    assert (type(caught.value), caught.value.path) == (kind, path)
    assert await dump() == before
