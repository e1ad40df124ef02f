"""The proof of redemptions: silent on honest books, and it names each falsification of them.

Every way in which a redemption stands or ended is booked once; each falsification gets a copy of
that database and is done with all triggers, foreign keys and checks off.
"""
# ruff: noqa: E501 -- SQL reads better in its own columns

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from app.postgres import database_url
from core.check import prove
from core.db import Connection, connected
from core.paying import PayRequest, pay
from core.redemptions import cancel, confirm, time_out
from core.reversals import ReverseRequest, reverse_redemption
from laurels import Money
from tests.core.counter import fill, member, open_counter, take
from tests.core.shop import days
from tests.support import NOW, Databases

REDEEMED = "redemptions = their events"
CODES = "codes = their redemptions"
STOCK = "stock = its moves"
MOVES = "stock moves = redemptions"
COMMANDS = "commands = their events"
GUARDS = "guards stand"


async def book_all_ends() -> None:
    """Mugs of a stock and tickets of a pool: held, completed, cancelled, timed out, reversed."""
    shop = await open_counter()
    ada = await member(shop)
    await fill(shop, "cinema", *(f"C{n}" for n in range(10)))
    for reward in ("mug", "cinema"):
        await take(shop, ada, reward, key=f"{reward} held", hold="20D")
        await take(shop, ada, reward, key=f"{reward} timed out", hold="1D")
        off = await take(shop, ada, reward, key=f"{reward} cancelled", hold="20D")
        await cancel(shop, ada, off.id, "till", f"{reward} off", NOW)
        later = await take(shop, ada, reward, key=f"{reward} confirmed", hold="20D")
        await confirm(shop, ada, later.id, "till", f"{reward} yes", NOW)
        await reverse_redemption(
            shop, ReverseRequest("till", f"{reward} r", ada, later.id, "damaged"), NOW
        )
        await take(shop, ada, reward, key=f"{reward} done", order="O-1")
        lost = await take(shop, ada, reward, key=f"{reward} lost")
        await reverse_redemption(
            shop, ReverseRequest("till", f"{reward} w", ada, lost.id, "lost", write_off=True), NOW
        )
    bill = PayRequest("till", "bill", "grocer", ada, "pay-with-points", Money(2000, "USD"), 100)
    await pay(shop, bill, NOW)
    assert await time_out(shop, NOW + days(1)) == 2


_numbers = count()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ends(databases: Databases) -> AsyncIterator[str]:
    """The URL of a database that holds them all."""
    async with databases.migrated() as url:
        async with connected(url):
            await book_all_ends()
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def copy(databases: Databases, ends: str) -> AsyncIterator[str]:
    """The URL of a copy of its own; this process is connected to it."""
    source = urlsplit(ends).path.lstrip("/")
    name = f"{source}_{next(_numbers)}"
    admin: Connection = await asyncpg.connect(databases.server)
    try:
        await admin.execute(f"CREATE DATABASE {name} TEMPLATE {source}")
        url = database_url(databases.server, name)
        async with connected(url):
            yield url
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await admin.close()


_ONE = "WHERE (m.holder_id, m.redemption_id) IN (SELECT holder_id, id FROM redemption WHERE"
_RECOUNT = """UPDATE reward_stock s SET remaining = (
    SELECT coalesce(sum(CASE kind WHEN 2 THEN -amount WHEN 4 THEN 0 ELSE amount END), 0)
    FROM stock_move m WHERE (m.reward_id, m.slice) = (s.reward_id, s.slice))"""
FALSIFICATIONS: dict[str, tuple[str, str]] = {
    # Where they stand.
    "reversed flipped to completed": (
        REDEEMED,
        "UPDATE redemption SET status = 2, reversed_at = NULL, reason = NULL, written_off = false WHERE status = 5",
    ),
    "completed flipped to reversed": (
        REDEEMED,
        "UPDATE redemption SET status = 5, reversed_at = settled_at, reason = 'lost' WHERE status = 2",
    ),
    "reversal dated back": (REDEEMED, "UPDATE redemption SET reversed_at = reversed_at - interval '1 s'"),
    "completion dated later": (
        REDEEMED,
        "UPDATE redemption SET settled_at = settled_at + interval '40 days' WHERE status = 2",
    ),
    "request dated back": (REDEEMED, "UPDATE redemption SET requested_at = requested_at - interval '1 s'"),
    "event of a reversal deleted": (
        REDEEMED,
        "DELETE FROM decision WHERE kind = 13; DELETE FROM event WHERE kind = 13",
    ),
    # What was agreed.
    "quantity": (COMMANDS, "UPDATE redemption SET quantity = 2"),
    "cash": (COMMANDS, "UPDATE redemption SET cash = cash - 100"),
    "cash of another money": (COMMANDS, "UPDATE redemption SET cash_money = 'EUR' WHERE cash IS NOT NULL"),
    "cash dropped": (COMMANDS, "UPDATE redemption SET cash = NULL, cash_money = NULL"),
    "order": (COMMANDS, "UPDATE redemption SET order_id = 'O-9' WHERE order_id IS NOT NULL"),
    "order invented": (COMMANDS, "UPDATE redemption SET order_id = 'O-9' WHERE order_id IS NULL"),
    "terms prolonged": (COMMANDS, "UPDATE redemption SET reversible = '31D'"),
    "worth": (COMMANDS, "UPDATE redemption SET worth = worth + 1"),
    "reason": (COMMANDS, "UPDATE redemption SET reason = 'stolen' WHERE reason = 'lost'"),
    "no longer of a stock": (COMMANDS, "UPDATE redemption SET stocked = false"),
    "no longer of a pool": (COMMANDS, "UPDATE redemption SET pooled = false"),
    # Codes.
    "issued code voided": (CODES, "UPDATE voucher SET state = 3 WHERE state = 2"),
    "void code issued again": (CODES, "UPDATE voucher SET state = 2 WHERE state = 3"),
    "code set aside is shown": (CODES, "UPDATE voucher SET state = 2 WHERE state = 4"),
    "issued code back in the pool": (
        CODES,
        "UPDATE voucher SET state = 1, holder_id = NULL, redemption_id = NULL WHERE state = 2 AND reward_id IS NOT NULL",
    ),
    "void code back in the pool": (
        CODES,
        "UPDATE voucher SET state = 1, holder_id = NULL, redemption_id = NULL WHERE state = 3",
    ),
    "one code more": (
        CODES,
        "INSERT INTO voucher SELECT partner_id, 'MORE', reward_id, 2, holder_id, redemption_id, at FROM voucher WHERE state = 2 LIMIT 1",
    ),
    "code deleted": (CODES, "DELETE FROM voucher WHERE state = 3"),
    "code of nobody's redemption": (CODES, "UPDATE voucher SET redemption_id = -redemption_id"),
    "codes of another reward": (CODES, "UPDATE voucher SET reward_id = 99 WHERE state = 2"),
    "codes of another partner": (CODES, "UPDATE voucher SET partner_id = 99 WHERE state = 2"),
    # Stock.
    "stock raised": (STOCK, "UPDATE reward_stock SET remaining = remaining + 1"),
    "stock lowered": (STOCK, "UPDATE reward_stock SET remaining = remaining - 1 WHERE remaining > 0"),
    "slice deleted": (STOCK, "DELETE FROM reward_stock WHERE slice = 0"),
    "slice added": (STOCK, "INSERT INTO reward_stock SELECT reward_id, 9, 5 FROM reward_stock LIMIT 1"),
    "a hold's time, of one that ended": (COMMANDS, "UPDATE redemption SET hold_until = hold_until - interval '1 h' WHERE status IN (2, 3, 4)"),
    "first stock hidden, and what is left": (STOCK, f"DELETE FROM stock_move WHERE kind = 1; {_RECOUNT}"),
    "what was taken, and the stock": (
        MOVES,
        f"UPDATE stock_move SET amount = amount + 1 WHERE kind = 2; {_RECOUNT}",
    ),
    "taking hidden, and the stock": (MOVES, f"DELETE FROM stock_move m {_ONE} status = 2); {_RECOUNT}"),
    "write-off told as a return": (MOVES, "UPDATE stock_move SET kind = 3 WHERE kind = 4"),
    "return told as a write-off": (MOVES, "UPDATE stock_move SET kind = 4 WHERE kind = 3"),
    "written off after all": (
        MOVES,
        "UPDATE redemption SET written_off = true WHERE status = 5 AND stocked",
    ),
    "moved by another event": (MOVES, "UPDATE stock_move SET event_id = event_id + 500 WHERE kind = 3"),
    "moved by an event that isn't such": (
        MOVES,
        "UPDATE stock_move m SET event_id = (SELECT max(event_id) + 900 FROM stock_move) FROM event e WHERE e.id = m.event_id AND e.kind = 13",
    ),
    "moves of nobody's redemption": (
        MOVES,
        "UPDATE stock_move SET redemption_id = -redemption_id WHERE redemption_id IS NOT NULL",
    ),
    # Guards.
    "trigger of the moves dropped": (GUARDS, "DROP TRIGGER stock_move_only_added ON stock_move"),
    "right to change moves": (GUARDS, "GRANT UPDATE ON stock_move TO laurels_app"),
    "right to delete codes": (GUARDS, "GRANT DELETE ON voucher TO laurels_app"),
    "right to delete redemptions": (GUARDS, "GRANT DELETE ON redemption TO laurels_app"),
    "two of a code allowed": (GUARDS, "ALTER TABLE voucher DROP CONSTRAINT voucher_pkey"),
    "reversals without a reason": (GUARDS, "ALTER TABLE redemption DROP CONSTRAINT redemption_reversed"),
}  # fmt: skip
_CHECKS = (
    "ALTER TABLE voucher DROP CONSTRAINT voucher_owned",
    "ALTER TABLE redemption DROP CONSTRAINT redemption_reversed",
    "ALTER TABLE reward_stock DROP CONSTRAINT reward_stock_not_overdrawn",
)


async def falsify(url: str, statements: str, *, unchecked: bool = False) -> None:
    """Do this to the books, with everything off that would refuse it."""
    connection: Connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")
        if unchecked:
            await connection.execute("; ".join(_CHECKS))
        await connection.execute(statements)
    finally:
        await connection.close()


async def test_honest_books_hold_and_hold_all_of_it(copy: str) -> None:
    assert await prove() == []
    connection: Connection = await asyncpg.connect(copy)
    try:
        for query, wanted in {
            "SELECT array_agg(DISTINCT status::int ORDER BY status::int) FROM redemption": [1, 2, 3, 4, 5],
            "SELECT array_agg(DISTINCT state::int ORDER BY state::int) FROM voucher": [1, 2, 3, 4],
            "SELECT array_agg(DISTINCT kind::int ORDER BY kind::int) FROM stock_move": [1, 2, 3, 4],
            "SELECT array_agg(DISTINCT kind::int ORDER BY kind::int) FROM event": [1, 2, 3, 4, 5, 6, 13],
        }.items():  # fmt: skip
            assert await connection.fetchval(query) == wanted, query
    finally:
        await connection.close()


@pytest.mark.parametrize("name", FALSIFICATIONS)
async def test_a_falsification_is_named(copy: str, name: str) -> None:
    check, statements = FALSIFICATIONS[name]
    await falsify(copy, statements, unchecked=check in (CODES, MOVES, STOCK))
    found = {finding.check for finding in await prove()}
    assert check in found
    if check in (CODES, MOVES, STOCK):  # what has no figures of its own says nothing of it
        assert found <= {CODES, MOVES, STOCK, COMMANDS, GUARDS}


async def test_the_proof_names_no_code(copy: str) -> None:
    """A code is as good as the reward: a report is no place for it."""
    await falsify(copy, FALSIFICATIONS["issued code voided"][1])
    told = " ".join(str(finding) for finding in await prove())
    assert told
    connection: Connection = await asyncpg.connect(copy)
    try:
        codes = [
            r[0] for r in await connection.fetch("SELECT code FROM voucher WHERE length(code) = 10")
        ]
    finally:
        await connection.close()
    assert codes
    assert not any(code in told for code in codes)
