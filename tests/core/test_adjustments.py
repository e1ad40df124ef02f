"""Adjustments by hand: what they move, their limits, their reasons, and the report of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from core.adjustments import Adjusted, AdjustRequest, adjust
from core.check import prove
from core.db import transaction
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotAllowed,
    NotEligible,
    Refusal,
    UnknownReference,
)
from core.posting import Engine
from core.programme import AdjustmentLimits, AdjustmentSettings, check
from core.redemptions import redeem
from core.reviews import review_tiers
from core.store import adjustments as store
from core.store import reads
from core.store.adjustments import Filter, Total
from core.store.reference import install
from tests.core import market
from tests.core.shop import CAFE, GROCER, PROGRAMME, balance, days, dump, earn, open_shop, wish
from tests.support import NOW, enrol_cards, scalar

LIMITED = AdjustmentSettings(
    reasons={"goodwill": "Goodwill", "fix": "A fix"},
    admin=AdjustmentLimits(each=100, per_day=150),
    partner=AdjustmentLimits(each=50),
)


async def limited_shop(settings: AdjustmentSettings = LIMITED, zone: str = "UTC") -> Engine:
    update = {"adjustments": settings, "time_zone": zone}
    programme = PROGRAMME.model_copy(update=update)
    return Engine(await install(programme, [GROCER, CAFE], NOW))


def asked(holder: int, points: int, key: str = "k", **more: object) -> AdjustRequest:
    base = AdjustRequest("admin:", key, "admin", holder, "STAR", points, "goodwill")
    return replace(base, **more)  # type: ignore[arg-type]


async def refused(
    engine: Engine, request: AdjustRequest, kind: type[Refusal], now: datetime = NOW
) -> Refusal:
    """The refusal, after which nothing at all was written."""
    before = await dump()
    with pytest.raises(Refusal) as caught:
        await adjust(engine, request, now)
    assert type(caught.value) is kind, caught.value
    assert await dump() == before
    return caught.value


async def test_what_is_given_is_a_lot_of_its_own(database: str) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    done = await adjust(shop, asked(ada, 70, note="Sorry for the queue"), NOW)
    assert not done.replayed
    assert done.told.note == "Sorry for the queue"
    assert done.row[2:] == (
        NOW, NOW, done.row.currency, 1, 70, "goodwill", None, False, 0, "admin", "admin:",
    )  # fmt: skip
    assert await balance(shop, ada, NOW) == {
        "active": 70, "pending": 0, "reserved": 0, "arrears": 0, "earned": 70, "expired": 0,
    }  # fmt: skip
    # By the currency's policy, 90 days.
    assert (await balance(shop, ada, NOW + days(90)))["active"] == 0
    assert (await balance(shop, ada, NOW + days(90) - timedelta(seconds=1)))["active"] == 70
    row = await scalar("SELECT (kind, source, target, amount, partner_id)::text FROM transfer")
    assert row == "(10,14,1,70,0)"
    assert await prove() == []


async def test_given_points_are_never_pending(database: str) -> None:
    engine = await market.open_market()
    (ada,) = await enrol_cards(["1"])
    await adjust(engine, asked(ada, 5, currency="HELD"), NOW)
    await adjust(engine, asked(ada, 6, "2", currency="SENT"), NOW)
    assert await market.balances(engine, ada, NOW) == {"HELD": (5, 0, 0, 0), "SENT": (6, 0, 0, 0)}
    assert await prove() == []


async def test_arrears_are_repaid_first(database: str) -> None:
    engine = await market.open_market()
    (ada,) = await enrol_cards(["1"])
    await market.buy(engine, "R1", ("PLAIN", "30.00"))
    await redeem(engine, replace(wish(ada, "x-plain", partner="market")), NOW)
    await market.returned(engine, "T1", "R1", market.line(1, "1"))
    assert await market.balances(engine, ada, NOW) == {"PLAIN": (0, 0, 0, 10)}
    await adjust(engine, asked(ada, 25, currency="PLAIN"), NOW)
    assert await market.balances(engine, ada, NOW) == {"PLAIN": (15, 0, 0, 0)}
    assert await prove() == []


async def test_what_is_taken_comes_from_what_expires_first(database: str) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    await earn(shop, "R1", "40.00", at=NOW - days(2), now=NOW)
    await earn(shop, "R2", "30.00", at=NOW - days(1), now=NOW)
    done = await adjust(shop, asked(ada, -50, reason="correction"), NOW)
    assert done.row.points == -50
    left = await scalar("SELECT array_agg(remaining ORDER BY seq) FROM lot")
    assert left == [0, 20]
    assert (await balance(shop, ada, NOW))["active"] == 20
    assert await prove() == []


async def test_more_than_there_is_is_refused_with_the_figures(database: str) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    await earn(shop, "R1", "40.00")
    found = await refused(shop, asked(ada, -55), NotEligible)
    assert found.message == "55 STAR can't be taken: 40 are there, 15 are missing"
    assert found.path == ("points",)
    # Dead points aren't there, although no night has booked their end.
    later = NOW + days(91)
    found = await refused(shop, asked(ada, -1), NotEligible, later)
    assert found.message == "1 STAR can't be taken: 0 are there, 1 are missing"
    # Exactly all of it is fine.
    await adjust(shop, asked(ada, -40), NOW)
    assert (await balance(shop, ada, NOW))["active"] == 0


async def test_it_counts_for_tiers_only_where_asked(database: str) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    await adjust(shop, asked(ada, 70, "1"), NOW)
    assert await scalar("SELECT count(*) FROM qualification") == 0
    await adjust(shop, asked(ada, 70, "2", counts=True), NOW)
    ranks = "SELECT rank FROM standing s JOIN ladder l ON l.id = ladder_id WHERE code = 'coalition'"
    assert await scalar(ranks) == 1
    await adjust(shop, asked(ada, -20, "3", counts=True), NOW + days(1))
    assert (
        await scalar(
            "SELECT value FROM standing WHERE ladder_id = (SELECT id FROM ladder "
            "WHERE code = 'coalition')"
        )
        == 50
    )
    # Down at the review, as ever.
    assert await review_tiers(shop, NOW + days(2)) == 1
    assert await scalar(ranks) == 0
    assert await scalar("SELECT array_agg(amount ORDER BY amount) FROM qualification") == [-20, 70]
    assert await prove() == []


async def test_the_first_outcome_is_answered_again(database: str) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    first = await adjust(shop, asked(ada, 70), NOW)
    before = await dump()
    again = await adjust(shop, asked(ada, 70), NOW + days(400))
    assert again == Adjusted(first.told, replayed=True)
    assert await dump() == before
    for other in (asked(ada, 71), asked(ada, 70, note="x"), asked(ada, 70, counts=True)):
        found = await refused(shop, other, IdempotencyConflict)
        assert found.path == ("key",)
    # Another caller's key is another key.
    await adjust(shop, asked(ada, 70, caller="admin:2"), NOW)
    assert (await balance(shop, ada, NOW))["active"] == 140


async def test_two_at_once_with_one_key_are_one(database: str) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    done = await asyncio.gather(*(adjust(shop, asked(ada, 70), NOW) for _ in range(8)))
    assert sorted(x.replayed for x in done) == [False] + [True] * 7
    assert (await balance(shop, ada, NOW))["active"] == 70


@pytest.mark.parametrize(
    ("change", "kind", "path"),
    [
        ({"reason": "because"}, BadInput, ("reason",)),
        ({"reason": "x\0"}, BadInput, ("reason",)),
        ({"currency": "NONE"}, UnknownReference, ("currency",)),
        ({"points": 0}, BadInput, ("points",)),
        ({"points": 10**15 + 1}, BadInput, ("points",)),
        ({"points": -(10**15) - 1}, BadInput, ("points",)),
        ({"key": ""}, BadInput, ("key",)),
        ({"note": "x" * 2001}, BadInput, ("note",)),
        ({"note": "\ud800"}, BadInput, ("note",)),
        ({"partner": "nobody"}, UnknownReference, ("partner",)),
        ({"partner": "cafe"}, NotAllowed, ("currency",)),  # it issues no stars
        ({"holder": 1}, UnknownReference, ("member",)),
        ({"cause": 0}, UnknownReference, ("cause",)),
        ({"cause": 2**70}, UnknownReference, ("cause",)),
        ({"role": "partner", "partner": "grocer"}, NotAllowed, ()),  # not by default
    ],
)
async def test_each_field_is_held_to_its_word(
    database: str, change: dict[str, object], kind: type[Refusal], path: tuple[str, ...]
) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    found = await refused(shop, replace(asked(ada, 5), **change), kind)  # type: ignore[arg-type]
    assert found.path == path


async def test_a_cause_is_an_event_of_that_member(database: str) -> None:
    shop = await open_shop()
    ada, _ = await enrol_cards(["1", "2"])
    hers = await earn(shop, "R1", "10.00")
    bobs = await earn(shop, "R2", "10.00", "2")
    found = await refused(shop, asked(ada, 5, cause=bobs.event), UnknownReference)
    assert found.path == ("cause",)
    done = await adjust(shop, asked(ada, 5, cause=hers.event), NOW)
    assert (done.row.cause, done.told.for_purchase, done.told.came_back) == (
        hers.event, True, False,
    )  # fmt: skip
    # Any event will do: an adjustment of an adjustment.
    next_ = await adjust(shop, asked(ada, 5, "2", cause=done.row.event), NOW)
    assert (next_.told.for_purchase, next_.told.came_back) == (False, None)


async def test_limits_of_an_admin(database: str) -> None:
    shop = await limited_shop()
    ada, bob = await enrol_cards(["1", "2"])
    found = await refused(shop, asked(ada, 101), NotAllowed)
    assert found.message == "at most 100 STAR are adjusted at once, not 101"
    assert found.path == ("points",)
    await refused(shop, asked(ada, -101), NotAllowed)
    await adjust(shop, asked(ada, 100, "1"), NOW)
    # What is taken counts like what is given, whoever's it is.
    await adjust(shop, asked(ada, -40, "2"), NOW)
    found = await refused(shop, asked(bob, 11, "3"), NotAllowed)
    assert found.message == (
        "at most 150 STAR are adjusted in a day: 140 were today, so 10 are left, not 11"
    )
    await adjust(shop, asked(bob, 10, "4"), NOW)
    await refused(shop, asked(bob, 1, "5"), NotAllowed)
    # Another caller, another currency, another day have limits of their own.
    await adjust(shop, asked(bob, 100, "6", caller="admin:2"), NOW)
    await adjust(shop, asked(bob, 100, "7", currency="BEAN"), NOW)
    await adjust(shop, asked(bob, 100, "8"), NOW + days(1))
    # The first outcome is answered whatever the limit says by now.
    assert (await adjust(shop, asked(ada, 100, "1"), NOW)).replayed


async def test_a_day_is_the_programmes_own(database: str) -> None:
    shop = await limited_shop(zone="America/New_York")
    (ada,) = await enrol_cards(["1"])
    midnight = datetime.fromisoformat("2026-03-16T00:00:00-04:00")
    await adjust(shop, asked(ada, 100, "1"), midnight - timedelta(minutes=1))
    await refused(shop, asked(ada, 51, "2"), NotAllowed, midnight - timedelta(seconds=1))
    await adjust(shop, asked(ada, 51, "2"), midnight)
    await refused(shop, asked(ada, 100, "3"), NotAllowed, midnight + timedelta(hours=23))


async def test_a_daily_limit_holds_when_many_come_at_once(database: str) -> None:
    shop = await limited_shop()
    holders = await enrol_cards([str(n) for n in range(12)])
    done = await asyncio.gather(
        *(adjust(shop, asked(h, 20, str(n)), NOW) for n, h in enumerate(holders)),
        return_exceptions=True,
    )
    # Seven times 20 fit into 150.
    assert sum(isinstance(x, Adjusted) for x in done) == 7
    assert sum(isinstance(x, NotAllowed) for x in done) == 5
    assert await scalar("SELECT sum(points) FROM adjustment") == 140


async def test_a_partner_adjusts_what_it_issues_for_whom_it_knows(database: str) -> None:
    shop = await limited_shop()
    ada, bob = await enrol_cards(["1", "2"])
    await earn(shop, "R1", "10.00")
    own = asked(ada, 50, role="partner", partner="grocer", caller="partner:grocer")
    await refused(shop, replace(own, points=51), NotAllowed)
    await refused(shop, replace(own, currency="BEAN"), NotAllowed)
    found = await refused(shop, replace(own, holder=bob), UnknownReference)
    assert (found.message, found.path) == ("no such member", ("member",))
    await refused(shop, replace(own, partner=None), BadInput)
    done = await adjust(shop, own, NOW)
    grocer = shop.rulebook.partners["grocer"].id
    assert done.row.partner == grocer
    assert await scalar("SELECT partner_id FROM lot WHERE seq = 2") == grocer
    assert await prove() == []


async def test_the_report_pages_filters_and_sums(database: str) -> None:
    shop = await open_shop()
    ada, bob = await enrol_cards(["1", "2"])
    bought = await earn(shop, "R1", "10.00")
    plan = [
        (asked(ada, 10, "1", cause=bought.event), NOW),
        (asked(bob, 20, "2", reason="correction", partner="grocer"), NOW + days(1)),
        (asked(ada, -5, "3"), NOW + days(2)),
        (asked(ada, 7, "4", currency="BEAN", note="A note"), NOW + days(3)),
    ]
    for request, at in plan:
        await adjust(shop, request, at)
    found, totals = await store.report(Filter(), None, 10)
    assert [(x.row.points, x.running) for x in found] == [(7, 7), (-5, 5), (20, 20), (10, 10)]
    assert [x.note for x in found] == ["A note", None, None, None]
    ids = {c.code: c.id for c in shop.rulebook.currencies.values()}
    assert totals == [
        Total("correction", ids["STAR"], 1, 20, 0),
        *sorted(
            [Total("goodwill", ids["STAR"], 2, 10, 5), Total("goodwill", ids["BEAN"], 1, 7, 0)],
            key=lambda t: t.currency,
        ),
    ]
    first, _ = await store.report(Filter(), None, 2)
    last = first[-1].row
    rest, _ = await store.report(Filter(), (last.at, last.event), 2)
    assert [*first, *rest] == found
    only, totals = await store.report(Filter(reason="correction"), None, 10)
    assert ([x.row.points for x in only], len(totals)) == ([20], 1)
    grocer = shop.rulebook.partners["grocer"].id
    only, _ = await store.report(Filter(partner=grocer), None, 10)
    assert [x.row.points for x in only] == [20]
    only, _ = await store.report(Filter(since=NOW + days(1), until=NOW + days(3)), None, 10)
    # What was before isn't summed: -5 stands alone.
    assert [(x.row.points, x.running) for x in only] == [(-5, -5), (20, 20)]


async def test_the_report_shows_a_purchase_that_came_back_whole(database: str) -> None:
    engine = await market.open_market()
    (ada,) = await enrol_cards(["1"])
    for name in ("A", "B", "C"):
        cause = await market.buy(engine, name, ("PLAIN", "10.00"), ("SOFT", "5.00"))
        await adjust(engine, asked(ada, 1, name, currency="PLAIN", cause=cause.event), NOW)

    async def back() -> dict[str, bool | None]:
        found, _ = await store.report(Filter(), None, 10)
        return {f"{x.row.seq}": x.came_back for x in reversed(found)}

    assert list((await back()).values()) == [False, False, False]
    await market.cancelled(engine, "A")
    await market.returned(engine, "T1", "B", market.line(1, "1"))
    await market.returned(engine, "T2", "C", amount="14.99")
    assert list((await back()).values()) == [True, False, False]
    await market.returned(engine, "T3", "B", market.line(2, "1"))
    await market.returned(engine, "T4", "C", amount="0.01")
    assert list((await back()).values()) == [True, True, True]
    # No claw-back of its own: the point that was given stays given.
    assert (await market.balances(engine, ada, NOW))["PLAIN"] == (3, 0, 0, 0)


async def test_notes_can_be_erased_and_the_books_stand(database: str) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    done = await adjust(shop, asked(ada, 5, note="Ada Lovelace wrote"), NOW)
    for table, rows in (await dump()).items():
        assert table == "adjustment_note" or "Lovelace" not in str(rows), table
    async with transaction() as connection:
        await store.erase_notes(connection, ada)
    told = await store.read(ada, done.row.event)
    assert told is not None
    assert told.note is None
    assert "Lovelace" not in str(await dump())
    assert await prove() == []


async def test_the_lot_is_told_as_the_programmes(database: str) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    done = await adjust(shop, asked(ada, 5), NOW)
    (row,) = await reads.lots([(ada, done.row.currency)], reads.NEWEST, 5)
    assert (row["amount"], row["partner_id"], row["rule_id"]) == (5, 0, None)


@pytest.mark.parametrize(
    "reasons", [{"no good": "A title"}, {"ok": ""}, {"ok": "x" * 201}, {"": "Nothing"}]
)
def test_reasons_are_checked_when_the_settings_are_read(reasons: dict[str, str]) -> None:
    settings = PROGRAMME.model_copy(update={"adjustments": AdjustmentSettings(reasons=reasons)})
    with pytest.raises(BadInput, match=r"adjustments\.reasons"):
        check(settings)
