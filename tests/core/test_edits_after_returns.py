"""An order is edited after part of it came back: whichever comes first, it ends in the same books.

As long as what came back stays what it was: the same thing, in its place, at its price.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.bought import Returned
from core.check import prove
from core.errors import Refusal, WrongState
from core.inbound import work
from core.posting import Engine
from core.programme import Programme
from core.purchases import LineInput, find_partner
from core.returning import record
from core.returns import ReturnedLine, ReturnInput, check_edit, check_return
from core.store.reference import install
from laurels import Cap, Challenge, EarnRule, PointsPerAmount, capped, reevaluated
from tests.core.test_inbound_orders import ended
from tests.core.webshop import (
    POINT,
    WEBSHOP,
    Webhook,
    arrive,
    cancelled,
    created,
    customer,
    edited,
    open_webshop,
    put,
    refunded,
)
from tests.support import NOW, figures, scalar

#: Prices never change; quantities are five at least, of which at most three come back.
PRICES = (7, 31, 12, 55)
_numbers = count(1)
#: What happens in turn: the quantities of the first lines, or a line of which one comes back.
Step = list[int] | int
_steps = st.one_of(st.lists(st.integers(5, 9), min_size=2, max_size=4), st.integers(1, 2))


def told(first: list[int], steps: list[Step], order: int, *, ends: bool) -> list[Webhook]:
    """What the shop sends of an order's life, in its order."""
    hooks = [created(order, 0, *_sold(first), customer=order)]
    for n, step in enumerate(steps, 1):
        if isinstance(step, int):
            hooks.append(refunded(order, n, 100 * order + n, (step, 1)))
        else:
            hooks.append(edited(order, n, *_sold(step)))
    if ends:
        hooks.append(cancelled(order, len(hooks)))
    return hooks


def _sold(quantities: list[int]) -> list[tuple[str, int]]:
    """A line's amount is of all its pieces."""
    return [(f"{price * n}.00", n) for price, n in zip(PRICES, quantities, strict=False)]


@pytest.fixture
async def shop(database: str) -> Engine:
    """The web shop on a fresh database."""
    return await open_webshop()


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.integers(5, 9), min_size=2, max_size=3),
    st.lists(_steps, max_size=5).filter(lambda x: sum(isinstance(s, int) for s in x) <= 3),
    st.booleans(),
    st.data(),
)
async def test_any_order_of_edits_and_returns_ends_in_the_same_books(
    shop: Engine, first: list[int], steps: list[Step], ends: bool, data: st.DataObject
) -> None:
    plain, shuffled = next(_numbers), next(_numbers)
    hooks = told(first, steps, plain, ends=ends)
    others = told(first, steps, shuffled, ends=ends)
    again = data.draw(st.lists(st.sampled_from(others), max_size=3))
    coming = data.draw(st.permutations([*others, *again]))
    for order in (plain, shuffled):
        await arrive(shop, customer(order))
    await arrive(shop, *hooks)
    for hook in coming:
        await put(shop, hook)
        await work(shop, NOW)
    assert await ended(shop, plain) == await ended(shop, shuffled)
    assert await scalar("SELECT max(subject) FROM inbound WHERE done_at IS NULL") is None
    if not ends:  # what comes back of a cancelled order is refused, in either
        lost = "SELECT count(*) FROM inbound WHERE state = 5 AND subject = ANY($1)"
        assert await scalar(lost, [str(plain), str(shuffled)]) == 0
    assert await prove() == []


async def rules(*earn: EarnRule) -> Engine:
    """The shop with these rules, a member and the order 1: two books at 10.00 and one at 30.00."""
    declared = replace(WEBSHOP, earn_rules=list(earn))
    engine = Engine(await install(Programme(), [declared], NOW))
    await arrive(engine, customer(7), created(1, 0, ("20.00", 2), ("30.00", 1)))
    return engine


async def back(engine: Engine, *lines: ReturnedLine, amount: str | None = None) -> None:
    partner = find_partner(engine.rulebook, "webshop")
    given = ReturnInput("r", "1", NOW, lines, amount)
    [outcome] = await record(engine, [check_return(partner, given)], NOW)
    assert isinstance(outcome, Returned), outcome


async def edit(engine: Engine, *lines: LineInput) -> Returned | Refusal:
    partner = find_partner(engine.rulebook, "webshop")
    [outcome] = await record(engine, [check_edit(partner, "1", 2, NOW, lines, "USD")], NOW)
    assert isinstance(outcome, Returned | Refusal)
    return outcome


def book(amount: str, quantity: str = "1", sku: str = "B0", **more: Any) -> LineInput:
    """A line as the shop has it."""
    return LineInput("book", amount, quantity, sku, **more)


async def test_figures_of_one_that_grows(database: str) -> None:
    shop = await rules(PointsPerAmount(POINT, 1, "1.00 USD"))
    await back(shop, ReturnedLine(1, "1"))
    holder = await scalar("SELECT min(holder_id) FROM member")
    assert [row[2] for row in await figures([holder], NOW)] == [40]  # 10 and 30
    await edit(shop, book("30.00", "3"), book("5.00", sku="B1"), book("7.00", sku="B2"))
    # Three at 10.00 less the one that came back, and 5 and 7.
    assert [row[2] for row in await figures([holder], NOW)] == [32]
    assert await prove() == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([book("22.00", "2"), book("30.00", sku="B1")], "of line 1 part came back"),
        ([book("20.00", "2", "B9"), book("30.00", sku="B1")], "of line 1 part came back"),
        ([book("5.00", "0.5"), book("30.00", sku="B1")], "of line 1 part came back"),
        ([book("20.00", "2", kind="fee")], "of line 1 part came back"),
    ],
)
async def test_what_came_back_stays_what_it_was(
    database: str, lines: list[LineInput], words: str
) -> None:
    shop = await rules(PointsPerAmount(POINT, 1, "1.00 USD"))
    await back(shop, ReturnedLine(1, "1"))
    refused = await edit(shop, *lines)
    assert isinstance(refused, WrongState)
    assert refused.path == ("purchase",)
    assert refused.message.startswith(words)
    assert await scalar("SELECT count(*) FROM event WHERE kind = 10") == 0
    # The control: the same with that line as it was is no trouble.
    assert isinstance(await edit(shop, book("20.00", "2"), *lines[1:]), Returned)
    assert await prove() == []


async def test_what_came_back_as_a_whole_is_not_edited(database: str) -> None:
    shop = await rules(PointsPerAmount(POINT, 1, "1.00 USD"))
    await back(shop, amount="1.00")
    refused = await edit(shop, book("20.00", "2"), book("30.00", sku="B1"))
    assert isinstance(refused, WrongState)
    assert refused.message == "it came back as a whole; it can't be edited any more"


@pytest.mark.parametrize(
    "rule",
    [
        capped(PointsPerAmount(POINT, 1, "1.00 USD"), Cap(points=1000, per="7D")),
        PointsPerAmount(POINT, 1, "1.00 USD", carries=True),
        Challenge(POINT, 5, spend="20.00 USD"),
        reevaluated(PointsPerAmount(POINT, 1, "1.00 USD")),
    ],
)
async def test_rules_that_count_what_they_give_want_no_edit_after_a_return(
    database: str, rule: EarnRule
) -> None:
    shop = await rules(rule)
    await back(shop, ReturnedLine(1, "1"))
    refused = await edit(shop, book("20.00", "2"), book("40.00", sku="B1"))
    assert isinstance(refused, WrongState)
    assert "a rule that gave for it counts what it gives" in refused.message
    assert await prove() == []
