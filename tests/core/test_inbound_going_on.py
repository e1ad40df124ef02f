"""A delivery that waits goes on from where it waits: what it did it doesn't do again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from core.bought import Returned
from core.inbound import PATIENCE, replay, work
from core.posting import Engine
from core.purchases import LineInput, find_partner
from core.returning import record
from core.returns import check_edit
from laurels import (
    CancelPurchase,
    Command,
    Delivery,
    DeliveryError,
    EditPurchase,
    Message,
    Received,
    SoldLine,
)
from tests.core.webshop import (
    ADAPTER,
    arrive,
    created,
    customer,
    edited,
    in_sequence,
    log,
    open_webshop,
    points,
    put,
    refunded,
    states,
    understand,
)
from tests.support import NOW, scalar

UNKNOWN = CancelPurchase("99", NOW)


def edit(price: str) -> EditPurchase:
    """The order 1 is of one book at this price."""
    return EditPurchase("1", NOW, "USD", [SoldLine("book", price)])


async def opened(said: Callable[[Delivery], Sequence[Command]]) -> Engine:
    """The shop with an order of 10.00, whose edits are these commands."""

    def read(message: Message) -> Received:
        found = understand(message)
        if isinstance(found, Delivery) and found.id.startswith("edit"):
            return replace(found, commands=said(found))
        return found

    shop = await open_webshop(replace(ADAPTER, read=read))
    await arrive(shop, customer(7), created(1, 1, ("10.00", 1)))
    return shop


async def test_a_later_edit_by_others_stands_while_the_rest_of_it_waits(database: str) -> None:
    shop = await opened(lambda _: [edit("20.00"), UNKNOWN])
    await arrive(shop, edited(1, 2))
    assert await points() == 20
    partner = find_partner(shop.rulebook, "webshop")
    unit = check_edit(partner, "1", 3, NOW, [LineInput("book", "50.00")], "USD")
    (outcome,) = await record(shop, [unit], NOW)
    assert isinstance(outcome, Returned)
    await work(shop, NOW + timedelta(minutes=5))
    assert await points() == 50
    # What it waits for comes: it is done, and still it undoes nothing.
    await arrive(shop, created(99, 5, ("1.00", 1)), now=NOW + timedelta(hours=2))
    await work(shop, NOW + timedelta(hours=4))
    assert (await states())[2:] == [("edit-1-2", "done"), ("create-99-5", "done")]
    assert [x["what"] for x in (await log())[2].outcome] == ["booked", "booked"]
    assert await points() == 50
    assert await scalar("SELECT count(*) FROM event WHERE kind = 10") == 2


async def test_edits_that_undo_one_another_end(database: str) -> None:
    shop = await opened(lambda _: [edit("20.00"), edit("30.00"), UNKNOWN])
    await arrive(shop, edited(1, 2))
    for minutes in (5, 10, 90):
        await work(shop, NOW + timedelta(minutes=minutes))
    assert (await states())[2:] == [("edit-1-2", "waiting")]
    assert await points() == 30
    assert await scalar("SELECT count(*) FROM event WHERE kind = 10") == 2


async def test_what_a_new_version_says_otherwise_is_done_from_the_first(database: str) -> None:
    said: list[Command] = [edit("20.00"), UNKNOWN]
    shop = await opened(lambda _: said)
    await arrive(shop, edited(1, 2))
    said[:] = [CancelPurchase("1", NOW)]
    await work(shop, NOW + timedelta(minutes=5))
    assert (await states())[2:] == [("edit-1-2", "done")]
    assert await points() == 0


async def test_a_twin_that_was_never_done_opens_no_way(database: str) -> None:
    broken: list[bool] = []

    def read(message: Message) -> Received:
        if broken:
            raise DeliveryError("it can't be read just now")
        found = understand(message)
        if isinstance(found, Delivery) and found.id.startswith("edit"):
            return replace(found, commands=[*found.commands, UNKNOWN])
        return found

    first, second, third = in_sequence(
        [created(1, 1, ("10.00", 2)), edited(1, 2, ("20.00", 2)), refunded(1, 3, 5, (1, 1))]
    )
    shop = await open_webshop(replace(ADAPTER, read=read))
    await arrive(shop, customer(7), first, second)
    broken.append(True)
    await put(shop, second)  # the same again, kept by what it says
    broken.clear()
    await arrive(shop, third)
    assert [state for _, state in await states()] == [
        "done", "done", "waiting", "superseded", "waiting",
    ]  # fmt: skip
    await arrive(shop, created(99, 5, ("1.00", 1)), now=NOW + timedelta(hours=2))
    await work(shop, NOW + timedelta(hours=4))
    assert (await states())[4] == ("refund-5", "done")
    assert await points() == 10


async def test_what_is_replayed_may_wait_as_long_as_what_comes(database: str) -> None:
    shop = await open_webshop()
    await arrive(shop, customer(7))
    await put(shop, edited(1, 2, ("20.00", 1)))
    late = NOW + PATIENCE + timedelta(days=1)
    await work(shop, late)
    assert (await states())[1:] == [("edit-1-2", "refused")]
    await replay(shop, [(await log())[1].id], late)
    assert (await states())[1:] == [("edit-1-2", "waiting")]
    await arrive(shop, created(1, 1, ("10.00", 1)), now=late)
    assert {state for _, state in await states()} == {"done"}
    await work(shop, late + PATIENCE)
    assert await points() == 20
