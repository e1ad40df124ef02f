"""Codes: generated and unique, or from an imported pool; shown when they may be, void after."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from core import vouchers
from core.check import prove
from core.eligibility import eligibility
from core.errors import BadInput, NotEligible, Refusal, UnknownReference
from core.posting import Engine
from core.redeemed import Redemption, Status, from_row
from core.redemptions import cancel, confirm, redeem, time_out
from core.store import redemptions as store
from core.vouchers import BadCode, import_codes
from tests.core.counter import fill, left, member, open_counter, take, want
from tests.core.shop import active, days, dump
from tests.support import NOW, scalar

STATES = "SELECT array_agg(code || ' ' || state ORDER BY code) FROM voucher"


@pytest.fixture
async def shop(database: str) -> Engine:
    """The coalition of `tests.core.counter` on a fresh database."""
    return await open_counter()


@pytest.fixture
async def ada(shop: Engine) -> int:
    """A member with 350 stars."""
    return await member(shop)


async def test_a_code_that_is_taken_is_made_anew(
    shop: Engine, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: Iterator[str] = iter(["A", "A", "A", "A", "B", "C"])
    monkeypatch.setattr(vouchers, "_make", lambda: next(made))
    first = await take(shop, ada, key="1")
    second = await take(shop, ada, key="2", quantity=2)
    assert (first.codes, second.codes) == (("A",), ("B", "C"))
    assert await prove() == []


async def test_the_same_code_at_two_partners_is_two_codes(
    shop: Engine, ada: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vouchers, "_make", lambda: "A")
    at = {"grocer": await take(shop, ada, key="1")}
    at["rival"] = await take(shop, ada, "tea", key="2", partner="rival")
    for partner, done in at.items():
        row = await store.by_code(shop.rulebook.partners[partner].id, "A")
        assert row is not None
        assert from_row(row) == done


async def test_an_import_counts_what_is_new_known_and_bad(shop: Engine) -> None:
    done = await import_codes(shop, "grocer", "cinema", ["A", " B\t", "A"], NOW)
    assert (done.added, done.known, done.refused) == (2, 1, ())
    given = ["B", "", "C", "x" * 201, "a\0b", "D\x07", "   "]
    done = await import_codes(shop, "grocer", "cinema", given, NOW, first_line=11)
    assert (done.added, done.known) == (1, 1)
    assert [bad.line for bad in done.refused] == [12, 14, 15, 16, 17]
    assert await scalar(STATES) == ["A 1", "B 1", "C 1"]
    done = await import_codes(shop, "grocer", "opera", ["Z", "C"], NOW)
    assert (done.added, done.known) == (1, 0)
    assert done.refused == (BadCode(2, "'C' is a code of another reward already"),)
    assert (await left(shop, "cinema"), await left(shop, "opera")) == (3, 1)
    assert await prove() == []


@pytest.mark.parametrize(
    ("partner", "reward", "kind", "path"),
    [
        ("nobody", "cinema", UnknownReference, "partner"),
        ("grocer", "nothing", UnknownReference, "reward"),
        ("rival", "cinema", UnknownReference, "reward"),
        ("grocer", "mug", BadInput, "reward"),
    ],
)
async def test_codes_go_to_a_reward_with_a_pool(
    shop: Engine, partner: str, reward: str, kind: type[Refusal], path: str
) -> None:
    before = await dump()
    with pytest.raises(kind) as caught:
        await import_codes(shop, partner, reward, ["A"], NOW)
    assert caught.value.path == (path,)
    assert await dump() == before


async def test_ten_thousand_at_once_and_no_more(shop: Engine) -> None:
    codes = [f"C{n}" for n in range(10_001)]
    with pytest.raises(BadInput, match="at most 10000 codes at once, not 10001"):
        await import_codes(shop, "grocer", "cinema", codes, NOW)
    assert (await import_codes(shop, "grocer", "cinema", codes[1:], NOW)).added == 10_000
    assert (await import_codes(shop, "grocer", "cinema", codes[:1], NOW)).added == 1
    assert await left(shop, "cinema") == 10_000  # counted so far, and no further


async def test_imports_of_the_same_codes_at_once_add_each_once(shop: Engine) -> None:
    codes = [f"C{n}" for n in range(500)]
    both = (codes, codes[::-1], codes, codes[::-1])
    done = await asyncio.gather(*(import_codes(shop, "grocer", "cinema", c, NOW) for c in both))
    assert sum(x.added for x in done) == 500
    assert sum(x.known for x in done) == 1500


async def test_a_pool_code_is_handed_out_at_completion(shop: Engine, ada: int) -> None:
    await fill(shop)
    assert (await take(shop, ada, "cinema", key="1")).codes == ("C1",)
    held = await take(shop, ada, "cinema", key="2", hold="1D")
    assert held.codes == ()
    assert await scalar(STATES) == ["C1 2", "C2 4", "C3 1"]
    grocer = shop.rulebook.partners["grocer"].id
    assert await store.by_code(grocer, "C2") is None
    assert await store.by_code(grocer, "C3") is None
    done = await confirm(shop, ada, held.id, "till", "c", NOW)
    assert done.codes == ("C2",)
    row = await store.by_code(grocer, "C2")
    assert row is not None
    assert from_row(row) == done
    assert (await redeem(shop, want(ada, "cinema", key="2", hold="1D"), NOW)).codes == ("C2",)
    assert await prove() == []


@pytest.mark.parametrize("timed_out", [False, True])
async def test_a_hold_that_ends_leaves_the_pool_as_it_was(
    shop: Engine, ada: int, timed_out: bool
) -> None:
    await fill(shop)
    held = await take(shop, ada, "cinema", quantity=3, hold="1D")
    assert await left(shop, "cinema") == 0
    if timed_out:
        assert await time_out(shop, NOW + days(1)) == 1
    else:
        assert (await cancel(shop, ada, held.id, "till", "c", NOW)).codes == ()
    assert await scalar(STATES) == ["C1 1", "C2 1", "C3 1"]
    assert await prove() == []


async def test_a_generated_code_of_a_cancelled_hold_is_void(shop: Engine, ada: int) -> None:
    held = await take(shop, ada, hold="1D")
    (code,) = held.codes  # shown at once: the till confirms by it
    await cancel(shop, ada, held.id, "till", "c", NOW)
    assert await scalar(STATES) == [f"{code} 3"]
    row = await store.by_code(held.partner, code)
    assert row is not None
    assert from_row(row).status is Status.CANCELLED
    assert await prove() == []


async def test_out_of_codes_is_out_of_stock(shop: Engine, ada: int) -> None:
    told = await eligibility(shop, [ada], NOW)
    cinema, opera = (
        shop.rulebook.partners["grocer"].rewards[code].id for code in ("cinema", "opera")
    )
    assert [told[ada, r].reasons for r in (cinema, opera)] == [("out of stock",)] * 2
    await fill(shop)
    await fill(shop, "opera", "B1", "B2", "B3")
    told = await eligibility(shop, [ada], NOW)
    assert [told[ada, r].can for r in (cinema, opera)] == [True, True]
    assert (await left(shop, "cinema"), await left(shop, "opera")) == (3, 2)
    await take(shop, ada, "opera", key="1", quantity=2)  # codes are left, boxes aren't
    before = await dump()
    for reward, n in (("opera", 1), ("cinema", 4)):
        with pytest.raises(NotEligible, match="is out of stock") as caught:
            await take(shop, ada, reward, key="2", quantity=n)
        assert caught.value.path == ("reward",)
    assert await dump() == before
    assert await prove() == []


@pytest.mark.parametrize("hold", [None, "1D"])
async def test_five_at_once_for_three_codes(shop: Engine, hold: str | None) -> None:
    people = [await member(shop, str(n)) for n in range(5)]
    await fill(shop)
    calls = (redeem(shop, want(h, "cinema", key=f"k{h}", hold=hold), NOW) for h in people)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    done = [x for x in outcomes if isinstance(x, Redemption)]
    assert len(done) == 3
    assert sum(isinstance(x, NotEligible) for x in outcomes) == 2, outcomes
    if hold is None:
        assert sorted(x.codes for x in done) == [("C1",), ("C2",), ("C3",)]
    assert sum([await active(shop, h, NOW) for h in people]) == 5 * 350 - 30
    assert await prove() == []


async def test_a_reward_that_left_its_pool_keeps_what_was_shown(shop: Engine, ada: int) -> None:
    """Codes follow the redemption, not what the reward says today."""
    await fill(shop)
    held = await take(shop, ada, "cinema", hold="1D")
    grocer = shop.rulebook.partners["grocer"]
    cinema = grocer.rewards["cinema"]
    rewards = {"cinema": replace(cinema, reward=replace(cinema.reward, codes="generated"))}
    partners = {"grocer": replace(grocer, rewards=rewards)}
    later = Engine(replace(shop.rulebook, partners=partners))
    assert (await confirm(later, ada, held.id, "till", "c", NOW)).codes == ("C1",)
    assert len((await take(later, ada, "cinema", key="2")).codes[0]) == 10
    assert await prove() == []
