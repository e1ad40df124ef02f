"""Any order and duplication of the webhooks of an order's life ends in the same books.

Edits and what comes back don't commute (what came back is of the lines as they were), so of a shop
that tells only when things happened lives have one or the other; of one that counts what it says
of an order (`after`) they have both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.check import prove
from core.inbound import work
from core.posting import Engine
from core.store.inbound import purchases
from laurels import Delivery, Message, Received
from tests.core.webshop import (
    ADAPTER,
    Webhook,
    arrive,
    cancelled,
    created,
    customer,
    edited,
    in_sequence,
    open_webshop,
    put,
    refunded,
    understand,
)
from tests.support import NOW, figures, scalar

#: A life: lines at first, what they became, what came back of them, whether it was cancelled.
Life = tuple[list[int], list[list[int]], list[tuple[int, int]], bool]
_numbers = count(1)
_prices = st.lists(st.integers(1, 90), min_size=2, max_size=3)


@st.composite
def lives(draw: st.DrawFn, *, mixed: bool) -> Life:
    """Quantities are 5 of each line, so that what comes back was always bought."""
    first = draw(_prices)
    edits = draw(st.lists(_prices, max_size=3))
    back = draw(st.lists(st.tuples(st.integers(1, 2), st.just(1)), max_size=3))
    if not mixed and edits:
        back = []
    return first, edits, back, draw(st.booleans())


def told(life: Life, order: int) -> list[Webhook]:
    """What the shop sends of it, in its order."""
    first, edits, back, ends = life
    hooks = [created(order, 0, *_sold(first), customer=order)]
    for lines in edits:
        hooks.append(edited(order, len(hooks), *_sold(lines)))
    for place, part in enumerate(back):
        hooks.append(refunded(order, len(hooks), 100 * order + place, part))
    if ends:
        hooks.append(cancelled(order, len(hooks)))
    return hooks


def _sold(prices: Sequence[int]) -> list[tuple[str, int]]:
    return [(f"{price}.00", 5) for price in prices]


async def ended(engine: Engine, order: int) -> tuple[Any, ...]:
    """Its member's balances, and its lines if it stands."""
    holder = await scalar(
        "SELECT holder_id FROM identifier WHERE kind = 4 AND value = $1", str(order)
    )
    partner = engine.rulebook.partners["webshop"].id
    stored = (await purchases([(0, partner, str(order))]))[0]
    over = await scalar(
        "SELECT count(*) FROM event WHERE kind = 9 AND purchase_id = $1", stored.event
    )
    balances = [row[1:6] for row in await figures([holder], NOW)]
    return balances, [] if over else stored.lines


async def lived(
    engine: Engine, life: Life, sent: st.DataObject, *, sequence: bool = False
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """How it ends in its order, and how in another, some of it twice and some at once."""
    plain, shuffled = next(_numbers), next(_numbers)
    hooks, others = told(life, plain), told(life, shuffled)
    if sequence:
        hooks, others = in_sequence(hooks), in_sequence(others)
    # All is drawn before anything is done: an example that is given up halfway leaves no rows.
    again = sent.draw(st.lists(st.sampled_from(others), max_size=4))
    coming = sent.draw(st.permutations([*others, *again]))
    pauses = sent.draw(st.lists(st.booleans(), min_size=len(coming), max_size=len(coming)))
    for order in (plain, shuffled):
        await arrive(engine, customer(order))
    await arrive(engine, *hooks)
    for hook, pause in zip(coming, pauses, strict=True):
        await put(engine, hook)
        if pause:
            await work(engine, NOW)
    await work(engine, NOW)
    return await ended(engine, plain), await ended(engine, shuffled)


@pytest.fixture
async def shop(database: str) -> Engine:
    """The web shop on a fresh database."""
    return await open_webshop()


SETTINGS = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def alike(engine: Engine, life: Life, sent: st.DataObject, *, sequence: bool) -> None:
    """It ends alike, nothing is left over, and the books hold."""
    plain, shuffled = await lived(engine, life, sent, sequence=sequence)
    assert plain == shuffled
    assert await scalar("SELECT max(subject) FROM inbound WHERE done_at IS NULL") is None
    assert await prove() == []


@SETTINGS
@given(lives(mixed=False), st.data())
async def test_any_order_ends_in_the_same_books(
    shop: Engine, life: Life, sent: st.DataObject
) -> None:
    await alike(shop, life, sent, sequence=False)


@SETTINGS
@given(lives(mixed=True), st.data())
async def test_any_order_of_what_is_counted_ends_in_the_same_books(
    shop: Engine, life: Life, sent: st.DataObject
) -> None:
    await alike(shop, life, sent, sequence=True)


def unversioned(message: Message) -> Received:
    """Forgets when things happened: what came last counts."""
    found = understand(message)
    return replace(found, version=None) if isinstance(found, Delivery) else found


async def test_without_versions_the_order_shows(database: str) -> None:
    """The negative control: the same lives, told by an adapter that forgets their order."""
    engine = await open_webshop(replace(ADAPTER, read=unversioned))
    await arrive(engine, customer(1), customer(2))
    life: Life = ([10, 10], [[20, 20], [30, 30]], [], False)
    first, *edits = told(life, 1)
    await arrive(engine, first, *edits)
    first, *edits = told(life, 2)
    await arrive(engine, first, *edits[::-1])
    one, two = await ended(engine, 1), await ended(engine, 2)
    assert (one[0][0][1], two[0][0][1]) == (60, 40)
