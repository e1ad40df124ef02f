"""Redemptions sent again, and many at once: the first outcome stands, nothing is taken twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from core.check import prove
from core.eligibility import eligibility
from core.errors import IdempotencyConflict, NotEligible, Refusal, WrongState
from core.posting import Engine
from core.pricing import RedeemRequest
from core.redeemed import Redemption, Status
from core.redemptions import cancel, confirm, redeem, time_out
from core.rulebook import PartnerTerms
from laurels import Duration
from tests.core.shop import active, days, dump, earn, open_shop, wish
from tests.support import NOW, enrol_cards, scalar


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.shop` on a fresh database."""
    return await open_shop()


@pytest.fixture
async def ada(shop: Engine) -> int:
    """A member with 350 stars."""
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "350.00")
    return holder


@pytest.mark.parametrize("hold", [None, "1D"])
async def test_the_same_key_answers_with_the_first_outcome(
    shop: Engine, ada: int, hold: str | None
) -> None:
    first = await redeem(shop, wish(ada, "mug", hold=hold), NOW)
    before = await dump()
    again = await redeem(shop, wish(ada, "mug", hold=hold), NOW + days(3))
    assert again == replace(first, replayed=True)
    assert await dump() == before


OTHERS: list[tuple[str, object]] = [
    ("partner", "cafe"),
    ("reward", "bag"),
    ("currency", "STAR"),
    ("hold", Duration.parse("2D")),
    ("hold", None),
]


@pytest.mark.parametrize(("field", "value"), OTHERS)
async def test_the_same_key_for_something_else_is_a_conflict(
    shop: Engine, ada: int, field: str, value: object
) -> None:
    request = wish(ada, "mug", hold="1D")
    await redeem(shop, request, NOW)
    before = await dump()
    with pytest.raises(IdempotencyConflict) as refused:
        await redeem(shop, replace(request, **{field: value}), NOW)  # type: ignore[arg-type]
    assert refused.value.path == ("key",)
    assert await dump() == before


async def test_the_same_key_for_another_member_is_a_conflict(shop: Engine, ada: int) -> None:
    (other,) = await enrol_cards(["2"])
    await redeem(shop, wish(ada), NOW)
    before = await dump()
    with pytest.raises(IdempotencyConflict):
        await redeem(shop, wish(other), NOW)
    assert await dump() == before


async def test_a_failure_is_not_remembered(shop: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    await earn(shop, "A", "99.00")
    with pytest.raises(NotEligible):
        await redeem(shop, wish(holder), NOW)
    assert await scalar("SELECT count(*) FROM request_key") == 0
    await earn(shop, "B", "1.00")
    assert not (await redeem(shop, wish(holder), NOW)).replayed


async def test_a_first_outcome_outlives_the_reward_it_was_for(shop: Engine, ada: int) -> None:
    first = await redeem(shop, wish(ada), NOW)
    grocer = shop.rulebook.partners["grocer"]
    partners: dict[str, PartnerTerms] = {"grocer": replace(grocer, rewards={})}
    later = Engine(replace(shop.rulebook, partners=partners))
    assert await redeem(later, wish(ada), NOW) == replace(first, replayed=True)


Settle = Callable[[Engine, int, int, str, str], Awaitable[Redemption]]


def _confirm(
    shop: Engine, holder: int, number: int, caller: str, key: str
) -> Awaitable[Redemption]:
    return confirm(shop, holder, number, caller, key, NOW)


def _cancel(shop: Engine, holder: int, number: int, caller: str, key: str) -> Awaitable[Redemption]:
    return cancel(shop, holder, number, caller, key, NOW)


@pytest.mark.parametrize(("settle", "other"), [(_confirm, _cancel), (_cancel, _confirm)])
async def test_settling_again_with_the_same_key(
    shop: Engine, ada: int, settle: Settle, other: Settle
) -> None:
    held = await redeem(shop, wish(ada, "mug", hold="1D"), NOW)
    another = await redeem(shop, wish(ada, "mug", key="k2", hold="1D"), NOW)
    first = await settle(shop, ada, held.id, "till", "s")
    before = await dump()
    assert await settle(shop, ada, held.id, "till", "s") == replace(first, replayed=True)
    for call in (
        other(shop, ada, held.id, "till", "s"),
        settle(shop, ada, another.id, "till", "s"),
    ):
        with pytest.raises(IdempotencyConflict):
            await call
    with pytest.raises(IdempotencyConflict):
        await redeem(shop, wish(ada, key="s"), NOW)
    assert await dump() == before
    assert await prove() == []


async def test_a_refused_confirmation_leaves_its_key_free(shop: Engine, ada: int) -> None:
    held = await redeem(shop, wish(ada, hold="1D"), NOW)
    with pytest.raises(WrongState):
        await confirm(shop, ada, held.id, "till", "s", NOW + days(2))
    done = await confirm(shop, ada, held.id, "till", "s", NOW + days(0.5))
    assert (done.status, done.replayed) == (Status.COMPLETED, False)


async def test_a_replay_tells_how_the_redemption_stands_today(shop: Engine, ada: int) -> None:
    held = await redeem(shop, wish(ada, hold="1D"), NOW)
    await confirm(shop, ada, held.id, "till", "s", NOW)
    again = await redeem(shop, wish(ada, hold="1D"), NOW)
    assert (again.id, again.status, again.codes) == (held.id, Status.COMPLETED, held.codes)


async def race(
    shop: Engine, requests: list[RedeemRequest]
) -> tuple[list[Redemption], list[Refusal]]:
    """All at once: those that succeeded, and those that were refused."""
    calls = (redeem(shop, request, NOW) for request in requests)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    done = [x for x in outcomes if isinstance(x, Redemption)]
    refused = [x for x in outcomes if isinstance(x, Refusal)]
    assert len(done) + len(refused) == len(requests), outcomes
    return done, refused


@pytest.mark.parametrize("hold", [None, "1D"])
async def test_ten_at_once_with_points_for_three(shop: Engine, ada: int, hold: str | None) -> None:
    done, refused = await race(shop, [wish(ada, key=f"k{n}", hold=hold) for n in range(10)])
    assert len(done) == 3
    assert {x.message for x in refused} == {"50 more points are needed"}
    assert await active(shop, ada, NOW) == 50
    assert await prove() == []


async def test_eight_members_at_once_for_two_mugs(shop: Engine) -> None:
    cards = [str(n) for n in range(8)]
    holders = await enrol_cards(cards)
    for card in cards:
        await earn(shop, f"R{card}", "50.00", card)
    done, refused = await race(shop, [wish(h, "mug", key=f"k{h}") for h in holders])
    assert len(done) == 2
    assert {x.message for x in refused} == {"'A mug' is out of stock"}
    assert await scalar("SELECT sum(remaining)::int FROM reward_stock s JOIN reward r "
                        "ON r.id = s.reward_id WHERE r.code = 'mug'") == 0  # fmt: skip
    assert sum([await active(shop, h, NOW) for h in holders]) == 6 * 50
    assert await prove() == []


async def test_the_same_request_ten_times_at_once_is_one_redemption(shop: Engine, ada: int) -> None:
    done, refused = await race(shop, [wish(ada, "mug", hold="1D")] * 10)
    assert refused == []
    assert {x.id for x in done} == {done[0].id}
    assert sorted(x.replayed for x in done) == [False] + [True] * 9
    assert await active(shop, ada, NOW) == 300
    assert await prove() == []


async def test_confirm_cancel_and_time_out_at_once_settle_once(shop: Engine, ada: int) -> None:
    late = NOW + days(1) - days(1) / 86400
    for n in range(5):
        held = await redeem(shop, wish(ada, "mug", key=f"k{n}", hold="1D"), NOW)
        outcomes = await asyncio.gather(
            *(confirm(shop, ada, held.id, "till", f"y{n}{i}", late) for i in range(3)),
            *(cancel(shop, ada, held.id, "till", f"n{n}{i}", late) for i in range(3)),
            time_out(shop, NOW + days(1)),
            time_out(shop, NOW + days(1)),
            return_exceptions=True,
        )
        unexpected = [x for x in outcomes if not isinstance(x, Redemption | WrongState | int)]
        assert unexpected == []
        assert sum(isinstance(x, Redemption) for x in outcomes) <= 1
        kinds = "SELECT array_agg(kind ORDER BY kind) FROM event WHERE external_id = $1"
        assert len(await scalar(kinds, str(held.id))) == 2
        ended = await scalar("SELECT status FROM redemption WHERE id = $1", held.id)
        assert ended in (Status.COMPLETED, Status.CANCELLED, Status.TIMED_OUT)
        if ended == Status.COMPLETED:
            break  # one mug is gone; the next round would find the shelf as it should be
    completed = await scalar("SELECT count(*) FROM redemption WHERE status = 2")
    assert await active(shop, ada, NOW + days(1)) == 350 - 50 * completed
    assert await prove() == []


async def test_what_is_told_to_be_had_is_had(shop: Engine, ada: int) -> None:
    """Eligibility and redemption are two ways to the same answer, for every reward on offer."""
    await earn(shop, "B", "4.00", partner="cafe")
    told = await eligibility(shop, [ada], NOW)
    for partner in shop.rulebook.partners.values():
        for code, reward in partner.rewards.items():
            verdict = told[ada, reward.id]
            payable = [c for c in reward.reward.prices if c not in verdict.missing]
            wanted = payable[0] if payable else next(iter(reward.reward.prices))
            request = wish(ada, code, key=code, partner=partner.code, currency=wanted, hold="1D")
            if verdict.can:
                held = await redeem(shop, request, NOW)
                await cancel(shop, ada, held.id, "till", f"no {code}", NOW)
            else:
                with pytest.raises(Refusal):
                    await redeem(shop, request, NOW)
    assert await prove() == []
