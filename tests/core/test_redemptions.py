"""Redemptions at once and held: points, lots, stock and events, by figures worked out by hand."""

from __future__ import annotations

import pytest

from core.check import prove
from core.errors import BadInput, NotEligible, Refusal, UnknownReference, WrongState
from core.posting import Engine
from core.pricing import RedeemRequest
from core.redeemed import Status
from core.redemptions import cancel, confirm, redeem, time_out
from core.store.redemptions import stock_left
from laurels import Money
from tests.core.shop import active, balance, days, dump, earn, open_shop, wish
from tests.support import NOW, enrol_cards, scalar

LATER = NOW + days(1)


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.shop` on a fresh database."""
    return await open_shop()


async def lots(holder: int) -> list[tuple[int, int]]:
    """(amount, remaining) of each lot of a member, oldest first."""
    found = await scalar(
        "SELECT array_agg(amount || ' ' || remaining ORDER BY currency_id, seq) FROM lot "
        "WHERE holder_id = $1",
        holder,
    )
    return [(int(a), int(r)) for a, r in (x.split() for x in found or [])]


async def left(engine: Engine, reward: str) -> int:
    """What is left of one of the grocer's rewards."""
    number = engine.rulebook.partners["grocer"].rewards[reward].id
    return (await stock_left([number]))[number]


async def test_redeemed_at_once_takes_the_points_soonest_to_expire(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "B", "80.00", at=NOW - days(1), now=NOW)
    await earn(shop, "A", "60.00", at=NOW - days(30), now=NOW)
    done = await redeem(shop, wish(holder), NOW)
    assert done.status is Status.COMPLETED
    assert (done.points, done.requested_at, done.settled_at) == (100, NOW, NOW)
    assert (done.hold_until, done.worth, done.replayed) == (None, None, False)
    assert [len(code) for code in done.codes] == [10]
    assert await lots(holder) == [(80, 40), (60, 0)]
    assert await balance(shop, holder, NOW) == {
        "active": 40, "pending": 0, "reserved": 0, "arrears": 0, "earned": 140, "expired": 0,
    }  # fmt: skip
    assert await active(shop, holder, NOW - days(0.5)) == 140
    assert await prove() == []


async def test_a_hold_reserves_and_a_confirmation_redeems(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "150.00")
    held = await redeem(shop, wish(holder, hold="2D"), NOW)
    # The grocer's clock: New York has summer time, so two days are 48 hours.
    assert (held.status, held.hold_until, held.settled_at) == (Status.HELD, NOW + days(2), None)
    assert await lots(holder) == [(150, 50)]
    found = await balance(shop, holder, NOW)
    assert (found["active"], found["reserved"]) == (50, 100)
    assert await prove() == []
    done = await confirm(shop, holder, held.id, "till", "c", LATER)
    assert (done.status, done.settled_at) == (Status.COMPLETED, LATER)
    found = await balance(shop, holder, LATER)
    assert (found["active"], found["reserved"]) == (50, 0)
    found = await balance(shop, holder, NOW)
    assert (found["active"], found["reserved"]) == (50, 100)
    assert await scalar("SELECT array_agg(kind ORDER BY id) FROM event") == [1, 3, 4]
    assert await prove() == []


async def test_a_cancelled_hold_gives_back_to_the_same_lots(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "60.00", at=NOW - days(30), now=NOW)
    await earn(shop, "B", "80.00", at=NOW - days(1), now=NOW)
    held = await redeem(shop, wish(holder, hold="2D"), NOW)
    assert await lots(holder) == [(60, 0), (80, 40)]
    off = await cancel(shop, holder, held.id, "till", "c", LATER)
    assert (off.status, off.settled_at) == (Status.CANCELLED, LATER)
    assert await lots(holder) == [(60, 60), (80, 80)]
    found = await balance(shop, holder, LATER)
    assert (found["active"], found["reserved"]) == (140, 0)
    assert await prove() == []


async def test_what_died_while_held_expires_the_moment_it_comes_back(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "70.00", at=NOW - days(89), now=NOW)  # dies at NOW + 1 day
    await earn(shop, "B", "80.00")
    await redeem(shop, wish(holder, hold="2D"), NOW)
    assert await lots(holder) == [(70, 0), (80, 50)]
    late = NOW + days(3)
    assert await time_out(shop, late) == 1
    assert await lots(holder) == [(70, 0), (80, 80)]
    found = await balance(shop, holder, late)
    assert (found["active"], found["reserved"], found["expired"]) == (80, 0, 70)
    # When its time ran out, not when somebody noticed.
    expired = "SELECT array_agg(occurred_at) FROM transfer WHERE kind = 3"
    assert await scalar(expired) == [NOW + days(2)]
    assert await scalar("SELECT settled_at FROM redemption") == NOW + days(2)
    assert await prove() == []


@pytest.mark.parametrize("late", [2, 2.5, 20])
async def test_the_books_dont_tell_how_late_a_hold_was_let_go(shop: Engine, late: float) -> None:
    """The lot dies half a day after its hold, as if it had been let go in time."""
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "70.00", at=NOW - days(87.5), now=NOW)
    await redeem(shop, wish(holder, "mug", hold="2D"), NOW)
    assert await time_out(shop, NOW + days(late)) == 1
    for day, left in ((1, 20), (2, 70), (2.4, 70), (2.5, 0)):
        assert await active(shop, holder, NOW + days(day)) == left, day
    assert (await balance(shop, holder, NOW + days(2.4)))["reserved"] == 0
    assert await prove() == []


async def test_what_is_held_beyond_its_time_can_be_spent(shop: Engine) -> None:
    """No job has run; the first attempt fails for another reason, and again changes nothing."""
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "100.00")
    held = await redeem(shop, wish(holder, "bag", key="1", hold="1D"), NOW)
    late = NOW + days(1)
    with pytest.raises(NotEligible, match="100 more points are needed"):
        await redeem(shop, wish(holder, "bag", key="2"), late - days(1) / 86400)
    assert await scalar("SELECT status::int FROM redemption") == Status.HELD
    # The first request again: its outcome, and nothing is let go for it.
    before = await dump()
    assert (await redeem(shop, wish(holder, "bag", key="1", hold="1D"), late)).replayed
    assert await dump() == before
    done = await redeem(shop, wish(holder, "bag", key="2"), late)
    assert done.status is Status.COMPLETED
    stands = "SELECT array_agg(ARRAY[id, status] ORDER BY id) FROM redemption"
    assert await scalar(stands) == [[held.id, Status.TIMED_OUT], [done.id, Status.COMPLETED]]
    assert await prove() == []


async def test_the_part_of_a_dead_lot_that_was_not_held_expires_at_its_own_time(
    shop: Engine,
) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "130.00", at=NOW - days(89), now=NOW)
    await redeem(shop, wish(holder, hold="2D"), NOW)
    late = NOW + days(3)
    assert await time_out(shop, late) == 1
    booked = await scalar(
        "SELECT array_agg(amount || '@' || occurred_at::date ORDER BY seq) FROM transfer "
        "WHERE kind = 3"
    )
    assert booked == ["30@2026-03-16", "100@2026-03-17"]
    assert (await balance(shop, holder, late))["expired"] == 130
    assert await prove() == []


async def test_time_out_releases_what_is_due_and_only_once(shop: Engine) -> None:
    first, second = await enrol_cards(["1", "2"])
    await earn(shop, "A", "50.00", "1")
    await earn(shop, "B", "50.00", "2")
    await redeem(shop, wish(first, "mug", key="1", hold="1D"), NOW)
    await redeem(shop, wish(second, "mug", key="2", hold="12h"), NOW)
    assert await left(shop, "mug") == 0
    assert await time_out(shop, NOW + days(0.5) - days(1) / 86400) == 0
    assert await time_out(shop, NOW + days(0.5)) == 1
    assert await active(shop, second, NOW + days(0.5)) == 50
    assert await active(shop, first, NOW + days(0.5)) == 0
    assert await left(shop, "mug") == 1
    before = await dump()
    assert await time_out(shop, NOW + days(0.5)) == 0
    assert await dump() == before
    assert await time_out(shop, NOW + days(9)) == 1
    assert await left(shop, "mug") == 2
    assert await scalar("SELECT array_agg(DISTINCT status) FROM redemption") == [4]
    assert await prove() == []


async def test_stock_is_taken_returned_and_runs_out(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "200.00")
    await redeem(shop, wish(holder, "mug", key="1"), NOW)
    held = await redeem(shop, wish(holder, "mug", key="2", hold="1D"), NOW)
    assert await left(shop, "mug") == 0
    before = await dump()
    with pytest.raises(NotEligible, match="'A mug' is out of stock") as refused:
        await redeem(shop, wish(holder, "mug", key="3"), NOW)
    assert refused.value.path == ("reward",)
    assert await dump() == before
    await cancel(shop, holder, held.id, "till", "c", NOW)
    assert await left(shop, "mug") == 1
    await redeem(shop, wish(holder, "mug", key="3"), NOW)
    assert await left(shop, "mug") == 0
    assert await active(shop, holder, NOW) == 100
    assert await prove() == []


async def test_a_reward_for_a_tier_asks_for_the_tier_held_now(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "59.00")
    before = await dump()
    with pytest.raises(NotEligible, match="'A tasting' is for tier Silver and above"):
        await redeem(shop, wish(holder, "tasting"), NOW)
    assert await dump() == before
    await earn(shop, "B", "1.00")
    assert (await redeem(shop, wish(holder, "tasting"), NOW)).points == 10
    # 30 days on the window is empty; the tier is held until the midnight after.
    dropped = NOW + days(30)
    assert (await redeem(shop, wish(holder, "tasting", key="2"), dropped)).points == 10
    before = await dump()
    with pytest.raises(NotEligible, match="for tier Silver"):
        await redeem(shop, wish(holder, "tasting", key="3"), dropped + days(0.5))
    assert await dump() == before
    assert await prove() == []


async def test_any_one_of_several_prices_pays(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "40.00")
    await earn(shop, "B", "25.00", partner="cafe")
    stars = await redeem(shop, wish(holder, "cake", key="1", partner="cafe", currency="STAR"), NOW)
    beans = await redeem(shop, wish(holder, "cake", key="2", partner="cafe", currency="BEAN"), NOW)
    assert (stars.points, beans.points) == (40, 5)
    assert stars.currency != beans.currency
    assert await active(shop, holder, NOW, "STAR") == 0
    assert await active(shop, holder, NOW, "BEAN") == 20
    off = await redeem(shop, wish(holder, "off", key="3", partner="cafe"), NOW)
    assert (off.points, off.worth) == (20, Money.parse("5.00 USD"))
    assert await prove() == []


async def test_earned_at_one_partner_and_redeemed_at_another(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "30.00", partner="grocer")
    done = await redeem(shop, wish(holder, "coffee", partner="cafe"), NOW)
    cafe, grocer = (shop.rulebook.partners[code].id for code in ("cafe", "grocer"))
    assert done.partner == cafe
    # Who pays: the lot's issuer; who is owed: the partner of the debit that took from it.
    settled = await scalar(
        "SELECT o.partner_id || ' owes ' || t.partner_id || ' for ' || a.amount FROM allocation a "
        "JOIN lot o ON o.seq = a.lot_seq JOIN transfer t ON t.seq = a.seq"
    )
    assert settled == f"{grocer} owes {cafe} for 30"
    assert await prove() == []


REFUSED: list[tuple[dict[str, object], type[Refusal], str, str]] = [
    ({"reward": "nope"}, UnknownReference, "reward", "The Grocer offers no reward 'nope'"),
    ({"partner": "nobody"}, UnknownReference, "partner", "no partner 'nobody' is installed"),
    ({"holder": 77}, UnknownReference, "member", "no such member"),
    ({"currency": "BEAN"}, BadInput, "currency", "'A bag' isn't to be had for BEAN"),
    ({"currency": "GEM"}, BadInput, "currency", "'A bag' isn't to be had for GEM"),
    (
        {"partner": "cafe", "reward": "cake"},
        BadInput,
        "currency",
        "choose a currency: STAR, BEAN",
    ),
    (
        {"partner": "cafe", "reward": "ring"},
        BadInput,
        "currency",
        "choose a currency: none is accepted",
    ),
    ({"reward": "lost"}, NotEligible, "reward", "'A lost one' is for tier gold and above"),
    ({}, NotEligible, "reward", "1 more points are needed"),
    ({"hold": "1D"}, NotEligible, "reward", "1 more points are needed"),
    ({"key": ""}, BadInput, "key", "has 1 to 255 characters, not 0"),
    ({"key": "k" * 256}, BadInput, "key", "has 1 to 255 characters, not 256"),
    ({"key": "a\0b"}, BadInput, "key", "holds a character that is no text"),
    ({"reward": "\ud800"}, BadInput, "reward", "holds a character that is no text"),
    ({"currency": "\0"}, BadInput, "currency", "holds a character that is no text"),
]


@pytest.mark.parametrize(("given", "kind", "path", "message"), REFUSED)
async def test_a_refusal_names_the_field_and_changes_nothing(
    shop: Engine, given: dict[str, str], kind: type[Refusal], path: str, message: str
) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "99.00")
    before = await dump()
    with pytest.raises(kind) as refused:
        await redeem(shop, wish(**{"holder": holder, **given}), NOW)  # type: ignore[arg-type]
    assert message in refused.value.message
    assert refused.value.path == (path,)
    assert await dump() == before


async def test_points_that_died_or_are_not_earned_yet_do_not_pay(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "60.00", at=NOW - days(89), now=NOW)
    await earn(shop, "B", "60.00")
    dies = NOW + days(1)
    before = await dump()
    for at, missing in ((dies, 40), (NOW - days(1), 40)):
        with pytest.raises(NotEligible, match=f"^{missing} more points are needed"):
            await redeem(shop, wish(holder), at)
        assert await dump() == before
    assert (await redeem(shop, wish(holder), dies - days(1) / 86400)).points == 100
    assert await prove() == []


async def held_bag(shop: Engine, hold: str = "1D") -> tuple[int, int]:
    """(holder, redemption) of a bag on hold."""
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "250.00")
    return holder, (await redeem(shop, wish(holder, hold=hold), NOW)).id


async def refuses(
    shop: Engine, call: object, message: str, kind: type[Refusal] = WrongState
) -> None:
    """Await the call: it is refused with this message, and no row of any table changes."""
    before = await dump()
    with pytest.raises(kind, match=message) as refused:
        await call  # type: ignore[misc]
    assert refused.value.path == ("redemption",)
    assert await dump() == before


async def test_what_is_settled_stays_settled(shop: Engine) -> None:
    holder, number = await held_bag(shop)
    await confirm(shop, holder, number, "till", "c", NOW)
    again = [confirm(shop, holder, number, "till", "c2", NOW)]
    again.append(cancel(shop, holder, number, "till", "c3", NOW))
    for call in again:
        await refuses(shop, call, "it is completed already")
    assert await time_out(shop, NOW + days(40)) == 0
    second = (await redeem(shop, wish(holder, key="k2", hold="1D"), NOW)).id
    await cancel(shop, holder, second, "till", "c4", NOW)
    await refuses(shop, confirm(shop, holder, second, "till", "c5", NOW), "it is cancelled already")
    third = (await redeem(shop, wish(holder, key="k3", hold="1D"), NOW)).id
    assert await time_out(shop, NOW + days(2)) == 1
    await refuses(shop, cancel(shop, holder, third, "till", "c6", NOW), "it is timed out already")
    at_once = await redeem(shop, wish(holder, key="k4"), NOW + days(2))
    await refuses(
        shop, confirm(shop, holder, at_once.id, "t", "c7", NOW), "it is completed already"
    )
    assert await active(shop, holder, NOW + days(2)) == 50
    assert await prove() == []


async def test_only_its_own_member_settles_a_redemption(shop: Engine) -> None:
    holder, number = await held_bag(shop)
    (other,) = await enrol_cards(["2"])
    stranger = confirm(shop, other, number, "till", "c", NOW)
    await refuses(shop, stranger, "no such redemption", UnknownReference)
    missing = cancel(shop, holder, number + 1, "till", "c", NOW)
    await refuses(shop, missing, "no such redemption", UnknownReference)


async def test_a_request_names_its_caller_so_that_keys_do_not_meet(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "200.00")
    asked: list[RedeemRequest] = [wish(holder, caller=caller) for caller in ("till", "app")]
    done = [await redeem(shop, request, NOW) for request in asked]
    assert [x.replayed for x in done] == [False, False]
    assert done[0].codes != done[1].codes
    assert await active(shop, holder, NOW) == 0
