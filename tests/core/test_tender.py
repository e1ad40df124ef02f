"""How a purchase was paid: kept, judged by, kept through an edit, proven; silent where unsaid."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from asyncpg import CheckViolationError

from core.check import prove
from core.commands import checked
from core.db import Connection, reading
from core.errors import BadInput, IdempotencyConflict
from core.expressions import condition
from core.posting import Engine
from core.purchases import (
    Incoming,
    LineInput,
    PurchaseInput,
    check_purchase,
    content_hash,
    find_partner,
)
from core.returning import record
from core.returns import check_edit
from core.seeing import Seen
from laurels import (
    DeliveryError,
    Facts,
    Line,
    MemberBy,
    PointsPerAmount,
    Purchase,
    PurchaseError,
    RecordPurchase,
    SoldLine,
    earn_rule,
    nothing,
)
from laurels.basis import Basis
from laurels.purchase import check_receipt
from tests.core.outlet import has, opened
from tests.support import NOW, card

ONE = PointsPerAmount("POINT", 1, "1.00 USD", code="one")


@earn_rule("by-card", "One more for each dollar by our card")
def by_card(purchase: Purchase, facts: Facts) -> Any:
    """Gives only for what our own card paid."""
    if purchase.tender != "stored-value":
        return nothing("not by our card")
    return ONE.evaluate(purchase, facts)


async def pay(engine: Engine, tender: str = "", name: str = "A") -> Any:
    lines = [LineInput("tea", "7.00")]
    given = PurchaseInput(name, card("1"), NOW, "USD", lines, tender=tender)
    item = check_purchase(find_partner(engine.rulebook, "outlet"), given)
    (outcome,) = await engine.record_purchases([item], NOW)
    return outcome


async def tenders() -> list[str | None]:
    async with reading() as connection:
        rows = await connection.fetch("SELECT tender FROM event ORDER BY id")
    return [row[0] for row in rows]


async def test_a_rule_reads_how_it_was_paid_and_the_books_keep_it(database: str) -> None:
    """7 for each of three; 7 more for the one that the card paid."""
    engine = await opened(ONE, by_card)
    for name, tender in (("A", ""), ("B", "cash"), ("C", "stored-value")):
        await pay(engine, tender, name)
    assert await has(engine) == 28
    assert await tenders() == [None, "cash", "stored-value"]
    assert await prove() == []


async def test_sent_again_otherwise_paid_it_is_another_purchase(database: str) -> None:
    engine = await opened(ONE, by_card)
    await pay(engine, "card")
    assert (await pay(engine, "card")).replayed
    for other in ("", "cash"):
        assert isinstance(await pay(engine, other), IdempotencyConflict)
    assert await tenders() == ["card"]


async def test_an_edit_changes_lines_and_stays_paid_as_it_was(database: str) -> None:
    """10.00 by the card: 20, and not 10."""
    engine = await opened(ONE, by_card)
    await pay(engine, "stored-value")
    partner = find_partner(engine.rulebook, "outlet")
    unit = check_edit(partner, "A", 2, NOW, [LineInput("tea", "10.00")], "USD")
    await record(engine, [unit], NOW)
    assert await has(engine) == 20
    assert await tenders() == ["stored-value"] * 2
    assert await prove() == []


async def test_who_changes_it_afterwards_is_found(database: str) -> None:
    engine = await opened(ONE, by_card)
    await pay(engine, "card")
    owner: Connection = await asyncpg.connect(database)
    try:
        await owner.execute("SET session_replication_role = replica")
        with pytest.raises(CheckViolationError):
            await owner.execute("UPDATE event SET tender = ''")
        await owner.execute("UPDATE event SET tender = 'stored-value'")
    finally:
        await owner.close()
    assert {f.problem for f in await prove()} == {"the receipt isn't the one that was recorded"}


@pytest.mark.parametrize("tender", ["two words", "a" * 65, "é", "a\0"])
async def test_what_is_no_code_is_refused_by_its_field(database: str, tender: str) -> None:
    engine = await opened(ONE)
    with pytest.raises(BadInput) as refused:
        await pay(engine, tender)
    assert refused.value.path == ("tender",)
    assert await tenders() == []


def test_one_that_does_not_say_is_hashed_as_ever() -> None:
    """The figure is the hash that such a purchase had before there were tenders."""
    plain = Purchase("", "R-1", NOW, "USD", (Line("tea", 700),), "S")
    said = Purchase("", "R-1", NOW, "USD", (Line("tea", 700),), "S", tender="card")
    assert content_hash(plain, 7).hex() == "08d3c0b42bb43dd1bca39b55a04fe90c"
    assert content_hash(said, 7) != content_hash(plain, 7)


def test_conditions_and_views_on_a_basis_know_it() -> None:
    bought = Purchase("", "R-1", NOW, "USD", (Line("tea", 700, tax=70),), tender="card")
    seen = Basis(without=["tax"]).view(bought)
    assert (seen.total_minor, seen.tender) == (630, "card")
    for tender in ("card", "cash"):
        told = condition(f"purchase.tender == '{tender}'", "when").holds(Seen(bought, Facts()))
        assert told is (tender == "card")
    with pytest.raises(PurchaseError, match="tender"):
        check_receipt(Purchase("", "R", NOW, "USD", (Line("a", 1),), tender="a b"))


async def test_a_shops_webhook_says_it_too(database: str) -> None:
    engine = await opened(ONE)
    partner = find_partner(engine.rulebook, "outlet")
    sold = [SoldLine("tea", "7.00")]
    command = RecordPurchase("A", MemberBy(card="1"), NOW, "USD", sold, tender="stored-value")
    item = checked(partner, command, NOW, waited=False)
    assert isinstance(item, Incoming)
    assert item.purchase.tender == "stored-value"
    with pytest.raises(DeliveryError, match="tender"):
        RecordPurchase("A", MemberBy(card="1"), NOW, "USD", sold, tender=7)  # type: ignore[arg-type]
