"""The proof of the books: silent on honest ones, and it names each of many falsifications.

A year is booked once; every falsification then gets a copy of that database, and is done the way
an intruder with the administrator's rights would: with all triggers and foreign keys off.
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
from core.check import Finding, prove
from core.db import Connection, connected
from core.outcomes import Recorded
from core.posting import Engine
from core.redemptions import cancel, confirm, redeem, time_out
from core.reviews import review_tiers
from core.store import proof
from tests.core.shop import days, dump, earn, open_shop, wish
from tests.support import NOW, Databases, enrol_cards, receipt

BALANCES = "balances = transfers"
CREDITS = "lots = their credits"
REMAINS = "lots less allocations = what remains"
OPEN_LOTS = "balances = open lots"
COVER = "allocations cover every debit"
ALLOCATED = "allocations = their transfers"
RESERVED = "reserved = held redemptions"
VISITS = "visits = purchases"
DECIDED = "every event has its decision"
HOLDERS = "holders = their last decision"
REDEEMED = "redemptions = their events"
RANKS = "ranks = tier changes"
QUALIFIED = "qualifications = their events"
GUARDS = "guards stand"
ACTIVITIES = "activities = their hashes"
RECEIPTS = "receipts = their hashes"
REPLAY = "decisions replayed = transfers, hashes"
COMMANDS = "commands = their events"
POLICIES = "lots = their policies"
MEASURES = "measures = what qualified"
RETURNS = "returns = what is still earned"


async def book_a_year() -> None:
    """Two members, two partners: purchases old and new, every way a redemption ends, a review."""
    shop = await open_shop()
    ada, bob = await enrol_cards(["1", "2"])
    old = [
        receipt(
            shop, f"H{n}", str(1 + n % 2), NOW - days(360 - 20 * n),
            ("PRODUCE", "40.00"), ("SHOES", "20.00"), partner="grocer" if n % 3 else "cafe",
        )
        for n in range(14)
    ]  # fmt: skip
    outcomes = await shop.record_purchases(old, NOW, historical=True)
    assert all(isinstance(x, Recorded) for x in outcomes), outcomes
    await earn(shop, "S1", "150.00", at=NOW - days(2), now=NOW)
    await earn(shop, "S2", "150.00", at=NOW - days(1), now=NOW)
    await earn(shop, "B1", "300.00", "2")
    await earn(shop, "N1", "0.50", "2")
    await earn(shop, "C1", "30.00", "2", partner="cafe")
    await redeem(shop, wish(ada, "coffee", key="1", partner="cafe"), NOW)
    await redeem(shop, wish(ada, "mug", key="2", hold="30D"), NOW)
    off = await redeem(shop, wish(bob, "bag", key="3", hold="1D"), NOW)
    await cancel(shop, bob, off.id, "till", "4", NOW)
    done = await redeem(shop, wish(bob, "bag", key="5", hold="1D"), NOW)
    await confirm(shop, bob, done.id, "till", "6", NOW)
    await redeem(shop, wish(bob, "bag", key="7", hold="1D"), NOW)
    assert await time_out(shop, NOW + days(2)) == 1
    assert await review_tiers(shop, NOW + days(40)) > 0


_numbers = count()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def year(databases: Databases) -> AsyncIterator[str]:
    """The URL of a database that holds the year."""
    async with databases.migrated() as url:
        async with connected(url):
            await book_a_year()
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def copy(databases: Databases, year: str) -> AsyncIterator[str]:
    """The URL of a copy of the year of its own; this process is connected to it."""
    source = urlsplit(year).path.lstrip("/")
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


# One victim of each kind, so that a statement below says only what it does to it.
VICTIMS = """
SET session_replication_role = replica;
CREATE TEMP TABLE v AS SELECT o.holder_id AS h, o.currency_id AS c, o.seq AS s, t.booked_at AS b, x.id AS e
FROM transfer t JOIN lot o USING (holder_id, currency_id, seq) JOIN event x ON x.id = t.event_id
WHERE x.external_id = 'S2';
CREATE TEMP TABLE debit AS SELECT a.* FROM allocation a
JOIN transfer t USING (holder_id, currency_id, seq) WHERE t.kind = 4 LIMIT 1;
CREATE TEMP TABLE many AS SELECT event_id AS e FROM event_line GROUP BY 1 HAVING count(*) = 2 LIMIT 1;
"""
_LOT = "FROM v WHERE (holder_id, currency_id, seq) = (v.h, v.c, v.s)"
_TRANSFER = _LOT
_LEDGER = "FROM v WHERE (holder_id, currency_id) = (v.h, v.c)"
_DECISION = "FROM v WHERE (holder_id, booked_at) = (v.h, v.b)"
_DEBIT = "d WHERE (a.holder_id, a.currency_id, a.seq, a.lot_seq) = (d.holder_id, d.currency_id, d.seq, d.lot_seq)"
_RAISE_ALL = f"""
UPDATE transfer SET amount = transfer.amount + 10 {_TRANSFER};
UPDATE lot SET amount = lot.amount + 10, remaining = remaining + 10 {_LOT};
UPDATE ledger SET active = active + 10 {_LEDGER};
"""

FALSIFICATIONS: dict[str, tuple[str, str]] = {
    # The ledger.
    "active raised": (BALANCES, f"UPDATE ledger SET active = active + 1 {_LEDGER}"),
    "active raised, seen in lots": (OPEN_LOTS, f"UPDATE ledger SET active = active + 1 {_LEDGER}"),
    "pending invented": (BALANCES, f"UPDATE ledger SET pending = 5 {_LEDGER}"),
    "reserved lowered": (RESERVED, f"UPDATE ledger SET reserved = reserved - 1 {_LEDGER}"),
    "head changed": (REPLAY, "UPDATE holder SET head = decode(repeat('00', 16), 'hex') FROM v WHERE id = v.h"),
    "latest set back": (
        BALANCES, f"UPDATE ledger SET latest_at = latest_at - interval '1 second' {_LEDGER}"
    ),
    "seq moved": (BALANCES, f"UPDATE ledger SET seq = ledger.seq + 1 {_LEDGER}"),
    "ledger deleted": (BALANCES, "DELETE FROM ledger USING v WHERE holder_id = h AND currency_id = c"),
    "holder's clock set back": (HOLDERS, "UPDATE holder SET booked_at = v.b FROM v WHERE id = v.h"),
    # Transfers.
    "debit taken from another lot": (REPLAY, """
        CREATE TEMP TABLE other AS SELECT o.holder_id, o.currency_id, o.seq, d.amount, d.lot_seq AS was, d.seq AS debit
        FROM lot o JOIN debit d USING (holder_id, currency_id)
        WHERE o.seq <> d.lot_seq AND o.remaining >= d.amount AND NOT o.pending LIMIT 1;
        UPDATE lot l SET remaining = remaining + o.amount FROM other o
        WHERE (l.holder_id, l.currency_id, l.seq) = (o.holder_id, o.currency_id, o.was);
        UPDATE lot l SET remaining = remaining - o.amount FROM other o
        WHERE (l.holder_id, l.currency_id, l.seq) = (o.holder_id, o.currency_id, o.seq);
        UPDATE allocation a SET lot_seq = o.seq FROM other o
        WHERE (a.holder_id, a.currency_id, a.seq, a.lot_seq) = (o.holder_id, o.currency_id, o.debit, o.was)
        """),
    "event renamed": (RECEIPTS, "UPDATE event SET external_id = 'S2-again' FROM v WHERE id = v.e"),
    "event renamed, its posting": (REPLAY, "UPDATE event SET external_id = 'S2-again' FROM v WHERE id = v.e"),
    "enrolled earlier": (REPLAY, "UPDATE holder SET created_at = created_at - interval '1 day' FROM v WHERE id = v.h"),
    "by another rulebook": (REPLAY, f"UPDATE decision SET rulebook = rulebook + 1 {_DECISION}"),
    "transfer raised": (BALANCES, f"UPDATE transfer SET amount = transfer.amount + 1 {_TRANSFER}"),
    "transfer deleted": (
        BALANCES,
        "DELETE FROM transfer USING v WHERE (holder_id, currency_id, seq) = (h, c, v.s)",
    ),
    "transfer added": (
        BALANCES,
        "INSERT INTO transfer SELECT h, c, 999, b, b, e, 7, 1, NULL, 1, 10, 1 FROM v",
    ),
    "transfer dated back": (REPLAY, f"UPDATE transfer SET occurred_at = occurred_at - interval '1 s' {_TRANSFER}"),
    "transfer of another kind": (REPLAY, f"UPDATE transfer SET kind = 5 {_TRANSFER}"),
    "transfer by another partner": (
        REPLAY,
        f"UPDATE transfer SET partner_id = 99 {_TRANSFER}; UPDATE lot SET partner_id = 99 {_LOT}",
    ),
    "transfer and lot by another rule": (
        REPLAY,
        f"UPDATE transfer SET rule_id = 99 {_TRANSFER}; UPDATE lot SET rule_id = 99 {_LOT}",
    ),
    # Lots and allocations.
    "lot's remainder": (REMAINS, f"UPDATE lot SET remaining = remaining - 1 {_LOT}"),
    "lot's amount": (CREDITS, f"UPDATE lot SET amount = lot.amount + 1 {_LOT}"),
    "lot's life prolonged": (
        POLICIES,
        f"UPDATE lot SET expires_at = expires_at + interval '1 day' {_LOT}",
    ),
    "lot's life without end": (POLICIES, f"UPDATE lot SET expires_at = 'infinity' {_LOT}"),
    "lot's policy is none": (POLICIES, "UPDATE policy SET expires = 'soon'"),
    "lot's rule": (CREDITS, f"UPDATE lot SET rule_id = 99 {_LOT}"),
    "lot's issuer": (CREDITS, f"UPDATE lot SET partner_id = 99 {_LOT}"),
    "lot active later": (
        POLICIES,
        f"UPDATE lot SET active_at = active_at + interval '1 h' {_LOT}",
    ),
    "lot deleted": (CREDITS, "DELETE FROM lot USING v WHERE (holder_id, currency_id, seq) = (h, c, v.s)"),
    "allocation deleted": (COVER, f"DELETE FROM allocation a USING debit {_DEBIT}"),
    "allocation changed": (COVER, f"UPDATE allocation a SET amount = a.amount + 1 FROM debit {_DEBIT}"),
    "allocation from another lot": (
        REMAINS,
        f"UPDATE allocation a SET lot_seq = (SELECT min(o.seq) FROM lot o WHERE o.holder_id = "
        f"d.holder_id AND o.currency_id = d.currency_id AND o.seq <> d.lot_seq) FROM debit {_DEBIT}",
    ),
    "allocation dated back": (
        ALLOCATED,
        f"UPDATE allocation a SET at = a.at - interval '1 day' FROM debit {_DEBIT}",
    ),
    # Decisions.
    "points moved between lines": (
        REPLAY,
        "UPDATE decision SET content = replace(content, '[120,20]', '[121,19]')",
    ),
    "decision's facts": (REPLAY, f"UPDATE decision SET content = replace(content, '\"f\":[', '\"f\":[9') {_DECISION}"),
    "decision is no JSON": (REPLAY, f"UPDATE decision SET content = 'x' {_DECISION}"),
    "decision is another JSON": (REPLAY, f"UPDATE decision SET content = '[]' {_DECISION}"),
    "decision's hash": (REPLAY, f"UPDATE decision SET head = overlay(head PLACING '\\x00' FROM 9) {_DECISION}"),
    "purchase that moved nothing, its facts": (REPLAY, """
        UPDATE decision d SET content = replace(content, '"f":[', '"f":[9') FROM event e
        WHERE e.id = d.event_id AND e.external_id = 'N1'
        """),
    "purchase that moved nothing, unmade": (REPLAY, """
        CREATE TEMP TABLE n AS SELECT * FROM event WHERE external_id = 'N1';
        DELETE FROM decision d USING n WHERE d.event_id = n.id;
        DELETE FROM event_line l USING n WHERE l.event_id = n.id;
        DELETE FROM qualification q USING n WHERE q.event_id = n.id;
        DELETE FROM event e USING n WHERE e.id = n.id;
        UPDATE relation r SET purchases = purchases - 1 FROM n
        WHERE (r.holder_id, r.partner_id) = (n.holder_id, n.partner_id)
        """),
    "decision deleted": (
        DECIDED,
        "DELETE FROM decision USING v WHERE (holder_id, decision.booked_at) = (h, b)",
    ),
    "decision's partner": (DECIDED, f"UPDATE decision SET partner_id = 99 {_DECISION}"),
    "decisions swapped": (
        REPLAY,
        "UPDATE decision d SET content = o.content FROM decision o, event x, event y "
        "WHERE x.external_id IN ('S1', 'S2') AND y.external_id IN ('S1', 'S2') AND x.id <> y.id "
        "AND d.event_id = x.id AND o.event_id = y.id",
    ),
    "all raised alike": (REPLAY, _RAISE_ALL),
    "all raised alike, and the decision": (
        REPLAY,
        f"{_RAISE_ALL}; UPDATE decision SET content = replace(content, '150', '160') {_DECISION}",
    ),
    "redemption's decision": (
        COMMANDS,
        "UPDATE decision SET content = replace(content, ',50,', ',51,') WHERE kind = 3",
    ),
    "review's decision": (
        COMMANDS,
        "UPDATE decision SET content = replace(content, ',0]', ',1]') WHERE kind = 7",
    ),
    "review's decision is no JSON": (COMMANDS, "UPDATE decision SET content = '{' WHERE kind = 7"),
    # Events.
    "event's total": (RECEIPTS, "UPDATE event SET total = total + 1 FROM v WHERE id = v.e"),
    "event's time": (RECEIPTS, "UPDATE event SET occurred_at = occurred_at + interval '1 s' FROM v WHERE id = v.e"),
    "event's time, and its decision's": (
        RECEIPTS,
        "UPDATE event SET occurred_at = occurred_at + interval '1 s' FROM v WHERE id = v.e; "
        f"UPDATE decision SET occurred_at = occurred_at + interval '1 s' {_DECISION}",
    ),
    "event's store": (RECEIPTS, "UPDATE event SET store = 'x' FROM v WHERE id = v.e"),
    "event's money": (RECEIPTS, "UPDATE event SET money = NULL FROM v WHERE id = v.e"),
    "event's holder": (DECIDED, "UPDATE event SET holder_id = 1 FROM v WHERE id = v.e"),
    "event deleted": (DECIDED, "DELETE FROM event USING v WHERE id = e"),
    "event added": (
        VISITS,
        "INSERT INTO event SELECT 1, holder_id, occurred_at, booked_at, total, partner_id, kind, money, "
        "content_hash, 'more', store FROM event WHERE external_id = 'S1'",
    ),
    "line's amount": (RECEIPTS, "UPDATE event_line SET amount = amount + 1 FROM many WHERE event_id = e AND line = 1"),
    "amounts moved between lines": (
        RECEIPTS,
        "UPDATE event_line SET amount = 6000 - amount FROM many WHERE event_id = e",
    ),
    "line's product type": (RECEIPTS, "UPDATE event_line SET product_type = 'x' FROM v WHERE event_id = e"),
    "line's quantity": (RECEIPTS, "UPDATE event_line SET quantity = 7 FROM v WHERE event_id = e"),
    "line deleted": (RECEIPTS, "DELETE FROM event_line USING many WHERE event_id = e AND line = 2"),
    "all lines deleted": (RECEIPTS, "DELETE FROM event_line USING many WHERE event_id = e"),
    # What hangs on a member.
    "visits": (VISITS, "UPDATE relation SET purchases = purchases + 1"),
    "relation deleted": (VISITS, "DELETE FROM relation USING v WHERE holder_id = h"),
    "standing's value": (MEASURES, "UPDATE standing SET value = value + 1"),
    "standing's rank": (RANKS, "UPDATE standing SET rank = rank + 1"),
    "standing deleted": (RANKS, "DELETE FROM standing"),
    "qualification deleted": (
        MEASURES,
        "DELETE FROM qualification q USING standing s WHERE s.holder_id = q.holder_id AND "
        "s.ladder_id = q.ladder_id AND s.value > 0",
    ),
    "qualification moved": (QUALIFIED, "UPDATE qualification SET at = at - interval '1 s'"),
    "qualification of no event": (QUALIFIED, "UPDATE qualification SET event_id = -event_id"),
    "tier change deleted": (RANKS, "DELETE FROM tier_change WHERE to_rank < from_rank"),
    "tier change of another ladder": (COMMANDS, "UPDATE tier_change SET ladder_id = -ladder_id"),
    "completed flipped to cancelled": (REDEEMED, "UPDATE redemption SET status = 3 WHERE status = 2"),
    "cancelled flipped to completed": (REDEEMED, "UPDATE redemption SET status = 2 WHERE status = 3"),
    "held flipped to completed": (RESERVED, "UPDATE redemption SET status = 2, settled_at = now() WHERE status = 1"),
    "redemption's points": (REDEEMED, "UPDATE redemption SET points = points - 1"),
    "redemption's reward": (COMMANDS, "UPDATE redemption SET reward_id = 99"),
    "redemption deleted": (REDEEMED, "DELETE FROM redemption WHERE status = 2"),
    # Guards.
    "trigger disabled": (GUARDS, "ALTER TABLE transfer DISABLE TRIGGER transfer_only_added"),
    "trigger for replicas only": (GUARDS, "ALTER TABLE event ENABLE REPLICA TRIGGER event_only_added"),
    "trigger dropped": (GUARDS, "DROP TRIGGER decision_only_added ON decision"),
    "trigger for less": (
        GUARDS,
        "DROP TRIGGER allocation_only_added ON allocation; CREATE TRIGGER allocation_only_added "
        "BEFORE DELETE ON allocation FOR EACH STATEMENT EXECUTE FUNCTION laurels_refuse()",
    ),
    "trigger that lets through": (
        GUARDS,
        "CREATE OR REPLACE FUNCTION laurels_refuse() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RETURN NULL; END'",
    ),
    "right to change": (GUARDS, "GRANT UPDATE ON transfer TO laurels_app"),
    "right to change one column": (GUARDS, "GRANT UPDATE (amount) ON transfer TO laurels_app"),
    "right to empty": (GUARDS, "GRANT TRUNCATE ON event TO laurels_app"),
    "right for everyone": (GUARDS, "GRANT DELETE ON qualification TO public"),
    "right to delete lots": (GUARDS, "GRANT DELETE ON lot TO laurels_app"),
    "natural key dropped": (GUARDS, "ALTER TABLE event DROP CONSTRAINT event_natural_key"),
    "foreign key dropped": (GUARDS, "ALTER TABLE transfer DROP CONSTRAINT transfer_holder_id_booked_at_fkey"),
    "check not valid": (
        GUARDS,
        "ALTER TABLE lot DROP CONSTRAINT lot_check; ALTER TABLE lot ADD CONSTRAINT lot_check "
        "CHECK (remaining >= 0) NOT VALID",
    ),
}  # fmt: skip


async def falsify(url: str, statements: str) -> None:
    """Do this to the books, with everything off that would refuse it."""
    connection: Connection = await asyncpg.connect(url)
    try:
        await connection.execute(VICTIMS)
        assert await connection.fetchval("SELECT count(*) FROM v, debit, many") == 1
        await connection.execute(statements)
    finally:
        await connection.close()


async def test_honest_books_hold_and_proving_them_changes_nothing(copy: str) -> None:
    before = await dump()
    begun: list[str] = []
    assert await prove(lambda name, rows: begun.append(name)) == []
    assert await dump() == before
    assert begun[: len(proof.QUESTIONS)] == list(proof.QUESTIONS)
    assert begun[len(proof.QUESTIONS) :] == [
        RECEIPTS, ACTIVITIES, REPLAY, COMMANDS, POLICIES, MEASURES, RETURNS,
    ]  # fmt: skip


async def test_the_year_holds_what_it_should(copy: str) -> None:
    """Were the books bare, the silence of the proof would say nothing."""
    found = await dump()
    for table in ("allocation", "decision", "event_line", "qualification", "redemption"):
        assert found[table], table
    connection: Connection = await asyncpg.connect(copy)
    try:
        kinds = "SELECT array_agg(DISTINCT kind::int ORDER BY kind::int) FROM "
        assert await connection.fetchval(kinds + "event") == [1, 2, 3, 4, 5, 6, 7]
        assert await connection.fetchval(kinds + "transfer") == [1, 2, 3, 4, 5]
    finally:
        await connection.close()


@pytest.mark.parametrize("name", FALSIFICATIONS)
async def test_a_falsification_is_named(copy: str, name: str) -> None:
    check, statements = FALSIFICATIONS[name]
    await falsify(copy, statements)
    findings = await prove()
    assert check in {finding.check for finding in findings}, [str(x) for x in findings]


async def test_a_forged_posting_is_named_once_and_not_all_that_follow(copy: str) -> None:
    await falsify(copy, FALSIFICATIONS["decision's facts"][1])
    (finding,) = await prove()
    assert finding.check == REPLAY
    assert finding.problem == "its hash doesn't follow from its content and the posting before"
    assert str(finding) == f"{finding.check}: {finding.where}: {finding.problem}"


async def test_each_check_names_twenty_at_most(database: str) -> None:
    shop: Engine = await open_shop()
    await enrol_cards(["1"])
    await shop.record_purchases([receipt(shop, f"R{n}") for n in range(25)], NOW)
    assert await prove() == []
    await _spoil(database, "UPDATE event_line SET sku = 'x'; UPDATE lot SET rule_id = 99")
    findings = await prove()
    assert [x.check for x in findings] == [CREDITS] * 20 + [RECEIPTS] * 20
    assert all(isinstance(x, Finding) for x in findings)


async def _spoil(url: str, statements: str) -> None:
    connection: Connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"SET session_replication_role = replica; {statements}")
    finally:
        await connection.close()


async def test_empty_books_hold(database: str) -> None:
    assert await prove() == []
