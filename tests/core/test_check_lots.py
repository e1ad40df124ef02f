"""The proof of lots' lives: silent on honest books, and it names each falsification of them.

Lots of every kind of life are booked once; each falsification gets a copy of that database and is
done with all triggers and foreign keys off.
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
from core import nightly
from core.check import prove
from core.db import Connection, connected
from core.redemptions import cancel, redeem
from tests.core.market import buy, cancelled, line, open_market, returned, shipped
from tests.core.shop import days, wish
from tests.support import NOW, Databases, enrol_cards

BALANCES = "balances = transfers"
CREDITS = "lots = their credits"
OPEN_LOTS = "balances = open lots"
COVER = "allocations cover every debit"
REPLAY = "decisions replayed = transfers, hashes"
POLICIES = "lots = their policies"
ACTIVATED = "activations = pending lots"
LAPSED = "lapses = pending lots"
EXPIRED = "expiries = ends of lots"
POSTED = "transfers and changes = their postings"


async def book_lives() -> None:
    """What is held back, waits, lapses, is renewed, has grace, is owed, repaid, taken back."""
    market = await open_market()
    (ada,) = await enrol_cards(["1"])

    async def take(code: str, key: str, at: float, hold: str | None = None) -> int:
        request = wish(ada, f"x-{code}", key=key, partner="market", hold=hold)
        return (await redeem(market, request, NOW + days(at))).id

    await buy(market, "P0", ("PLAIN", "30.00"), ("HELD", "25.00"), ("SENT", "11.00"))
    await buy(market, "P1", ("SENT", "12.00"), ("SLIDE", "30.00"), ("KIND", "30.00"))
    for n in range(3):
        await take("plain", f"p{n}", 0)
    held = await take("kind", "k", 0, hold="30D")
    await cancelled(market, "P0", NOW + days(1))  # thirty PLAIN are owed
    await buy(market, "P2", ("HELD", "20.00"), ("LATE", "50.00"), at=NOW + days(2))
    await shipped(market, "P1", NOW + days(3))
    await buy(market, "P3", ("SLIDE", "5.00"), at=NOW + days(10))
    await take("slide", "s", 15)
    await nightly.run(market, NOW + days(20))
    await cancel(market, ada, held, "till", "off", NOW + days(25))
    await buy(market, "P4", ("SENT", "17.00"), ("SENT", "1.00"), at=NOW + days(26))
    await returned(market, "R4", "P4", line(2, "1"), at=NOW + days(27))
    await buy(market, "P5", ("SENT", "14.00"), ("HELD", "16.00"), at=NOW + days(50))
    await nightly.run(market, NOW + days(58))


_numbers = count()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lives(databases: Databases) -> AsyncIterator[str]:
    """The URL of a database that holds them."""
    async with databases.migrated() as url:
        async with connected(url):
            await book_lives()
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def copy(databases: Databases, lives: str) -> AsyncIterator[str]:
    """The URL of a copy of its own; this process is connected to it."""
    source = urlsplit(lives).path.lstrip("/")
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


# One lot of each kind, by what only it is.
VICTIMS = """
SET session_replication_role = replica;
CREATE TEMP VIEW named AS SELECT o.*, c.code, p.pending AS words FROM lot o JOIN currency c ON c.id = o.currency_id
JOIN policy p ON p.id = o.policy_id;
CREATE TEMP TABLE waiting AS SELECT * FROM named WHERE code = 'SENT' AND amount = 14;
CREATE TEMP TABLE lapsed AS SELECT * FROM named WHERE code = 'SENT' AND amount = 18;
CREATE TEMP TABLE shipped AS SELECT * FROM named WHERE code = 'SENT' AND amount = 12;
CREATE TEMP TABLE held AS SELECT * FROM named WHERE code = 'HELD' AND amount = 16;
CREATE TEMP TABLE expired AS SELECT * FROM named WHERE code = 'HELD' AND amount = 20;
CREATE TEMP TABLE taken AS SELECT * FROM named WHERE code = 'HELD' AND amount = 25;
CREATE TEMP TABLE spent AS SELECT * FROM named WHERE code = 'PLAIN' AND amount = 30;
CREATE TEMP TABLE late AS SELECT * FROM named WHERE code = 'PLAIN' AND amount = 50;
CREATE TEMP TABLE renewed AS SELECT * FROM named WHERE code = 'SLIDE' AND amount = 30;
CREATE TEMP TABLE graced AS SELECT * FROM named WHERE code = 'KIND';
CREATE TEMP TABLE first_change AS SELECT c.* FROM lot_change c JOIN renewed r ON r.holder_id = c.holder_id
    AND r.currency_id = c.currency_id AND r.seq = c.lot_seq ORDER BY c.booked_at LIMIT 1;
"""
NAMES = [
    "waiting",
    "lapsed",
    "shipped",
    "held",
    "expired",
    "taken",
    "spent",
    "late",
    "renewed",
    "graced",
    "first_change",
]


def lot(name: str, change: str) -> str:
    """A change of one lot."""
    return (
        f"UPDATE lot o SET {change} FROM {name} v WHERE (o.holder_id, o.currency_id, o.seq) = "
        "(v.holder_id, v.currency_id, v.seq)"
    )


def change_of(name: str, change: str) -> str:
    """A change of all that is told of a lot's changes."""
    return (
        f"UPDATE lot_change c SET {change} FROM {name} v WHERE (c.holder_id, c.currency_id, c.lot_seq) "
        "= (v.holder_id, v.currency_id, v.seq)"
    )


def policy_of(name: str, change: str) -> str:
    """A change of the policy under which a lot was opened."""
    return f"UPDATE policy p SET {change} FROM {name} v WHERE p.id = v.policy_id"


_FIRST = "FROM first_change f WHERE (c.holder_id, c.currency_id, c.lot_seq, c.booked_at) = (f.holder_id, f.currency_id, f.lot_seq, f.booked_at)"
_TRANSFER = "(t.holder_id, t.currency_id) = (v.holder_id, v.currency_id)"
ANOTHER = "(SELECT max(id) FROM policy)"
HOUR = "interval '1 hour'"

_STRANGE = "SELECT holder_id, currency_id, seq, occurred_at + interval '1 s', 7, active_at, expires_at, policy_id"
_STRANGE_LAST = _STRANGE.replace("occurred_at + interval '1 s'", "'2100-01-01'")


def _credit(booked_at: str) -> str:
    """A hundred points beside a lot's, which its ledger's balance contains."""
    return f"""
        CREATE TEMP TABLE g AS SELECT v.*, l.seq + 1 AS next, t.event_id, {booked_at} AS booked_at FROM renewed v
        JOIN ledger l USING (holder_id, currency_id) JOIN transfer t ON (t.holder_id, t.currency_id, t.seq) = (v.holder_id, v.currency_id, v.seq);
        INSERT INTO transfer (holder_id, currency_id, seq, booked_at, occurred_at, event_id, amount, partner_id, rule_id, kind, source, target)
        SELECT holder_id, currency_id, next, booked_at, occurred_at, event_id, 100, partner_id, rule_id, 1, 10, 1 FROM g;
        INSERT INTO lot (holder_id, currency_id, seq, rule_id, amount, remaining, occurred_at, active_at, expires_at, partner_id, policy_id, pending, opened_under)
        SELECT holder_id, currency_id, next, rule_id, 100, 100, occurred_at, active_at, occurred_at + interval '30 days', partner_id, policy_id, false, policy_id FROM g;
        UPDATE ledger l SET seq = g.next, active = l.active + 100
        FROM g WHERE (l.holder_id, l.currency_id) = (g.holder_id, g.currency_id)"""


FALSIFICATIONS: dict[str, tuple[str, str]] = {
    # Where a lot stands in its life.
    "held back no longer": (ACTIVATED, lot("held", "pending = false")),
    "held back no longer, seen in balances": (OPEN_LOTS, lot("held", "pending = false")),
    "waits no longer": (OPEN_LOTS, lot("waiting", "pending = false, active_at = o.occurred_at")),
    "active held back": (OPEN_LOTS, lot("shipped", "pending = true")),
    "spent held back": (ACTIVATED, lot("spent", "pending = true")),
    "expired held back": (ACTIVATED, lot("expired", "pending = true")),
    "lapsed made active": (POLICIES, lot("lapsed", "pending = false, active_at = o.occurred_at")),
    "taken back made active": (POLICIES, lot("taken", "active_at = o.active_at - interval '9 days'")),
    # Its instants.
    "held back for longer": (POLICIES, lot("held", f"active_at = o.active_at + {HOUR}")),
    "held back for ever": (POLICIES, lot("held", "active_at = 'infinity'")),
    "shipped sooner": (POLICIES, lot("shipped", f"active_at = o.active_at - {HOUR}")),
    "shipped points live longer": (POLICIES, lot("shipped", f"expires_at = o.expires_at + {HOUR}")),
    "waits for longer": (POLICIES, lot("waiting", f"lapses_at = o.lapses_at + {HOUR}")),
    "waits for ever": (POLICIES, lot("waiting", "lapses_at = 'infinity'")),
    "lapse without an end": (POLICIES, lot("lapsed", "lapses_at = 'infinity'")),
    "shipped points lapse": (POLICIES, lot("shipped", f"lapses_at = o.lapses_at + {HOUR}")),
    "lapse where nothing is awaited": (POLICIES, lot("held", "lapses_at = o.active_at")),
    "renewed further": (POLICIES, lot("renewed", f"expires_at = o.expires_at + {HOUR}")),
    "renewal undone": (POLICIES, lot("renewed", "expires_at = o.occurred_at + interval '30 days'")),
    "grace undone": (POLICIES, lot("graced", "expires_at = o.occurred_at + interval '20 days'")),
    "grace prolonged": (POLICIES, lot("graced", f"expires_at = o.expires_at + {HOUR}")),
    "never expires": (POLICIES, lot("late", "expires_at = 'infinity'")),
    # What it was told to live by.
    "another policy": (POLICIES, lot("held", f"policy_id = {ANOTHER}")),
    "another policy of a renewed one": (POLICIES, lot("renewed", f"policy_id = {ANOTHER}")),
    "no policy": (POLICIES, lot("waiting", "policy_id = 999999")),
    "policy holds back for less": (POLICIES, policy_of("held", "pending = '13D'")),
    "policy holds nothing back": (POLICIES, policy_of("held", "pending = NULL")),
    "policy waits for longer": (POLICIES, policy_of("waiting", "pending = 'until shipped within 31D'")),
    "policy lets live longer": (POLICIES, policy_of("held", "expires = '31D'")),
    "policy without an end": (POLICIES, policy_of("late", "expires = NULL")),
    "policy is none": (POLICIES, policy_of("late", "expires = 'soon'")),
    "policy in no zone": (POLICIES, policy_of("late", "time_zone = 'Mars'")),
    "policy reaches less far on returns": (REPLAY, policy_of("late", "returns = 'pending'")),
    "policy gives more grace": (REPLAY, policy_of("late", "grace = '99D'")),
    "opened under another policy": (REPLAY, lot("held", f"opened_under = {ANOTHER}")),
    "policy deleted": (POLICIES, "DELETE FROM policy p USING held v WHERE p.id = v.policy_id"),
    # What is told of its changes.
    "last change altered": (POLICIES, change_of("shipped", f"expires_at = c.expires_at + {HOUR}")),
    "last change altered, the lot alike": (
        REPLAY,
        f"{change_of('graced', f'expires_at = c.expires_at + {HOUR}')}; {lot('graced', f'expires_at = o.expires_at + {HOUR}')}",
    ),
    "earlier change altered": (REPLAY, f"UPDATE lot_change c SET expires_at = c.expires_at - {HOUR} {_FIRST}"),
    "change of an activation altered, the lot alike": (
        REPLAY,
        f"{change_of('shipped', f'active_at = c.active_at - {HOUR}')}; {lot('shipped', f'active_at = o.active_at - {HOUR}')}",
    ),
    "change's policy": (REPLAY, change_of("renewed", f"policy_id = {ANOTHER}")),
    "change's policy, the lot alike": (
        REPLAY,
        f"{change_of('renewed', f'policy_id = {ANOTHER}')}; {lot('renewed', f'policy_id = {ANOTHER}')}",
    ),
    "change's event": (REPLAY, f"UPDATE lot_change c SET event_id = 7 {_FIRST}"),
    "change moved to another posting": (
        REPLAY,
        f"UPDATE lot_change c SET booked_at = (SELECT max(booked_at) FROM decision) {_FIRST}",
    ),
    "change deleted": (REPLAY, f"DELETE FROM lot_change c USING first_change f WHERE {_FIRST.partition('WHERE')[2]}"),
    "all changes of a lot deleted": (
        POLICIES,
        "DELETE FROM lot_change c USING shipped v WHERE (c.holder_id, c.currency_id, c.lot_seq) = (v.holder_id, v.currency_id, v.seq)",
    ),
    "all changes of a lot deleted, the lot as at first": (
        REPLAY,
        "DELETE FROM lot_change c USING renewed v WHERE (c.holder_id, c.currency_id, c.lot_seq) = (v.holder_id, v.currency_id, v.seq); "
        + lot("renewed", "expires_at = o.occurred_at + interval '30 days'"),
    ),
    "change added": (
        REPLAY,
        "INSERT INTO lot_change SELECT v.holder_id, v.currency_id, v.seq, d.booked_at, d.event_id, v.active_at, v.expires_at, v.policy_id "
        "FROM late v JOIN (SELECT * FROM decision ORDER BY booked_at DESC LIMIT 1) d ON d.holder_id = v.holder_id",
    ),
    "change of no posting": (POSTED, f"INSERT INTO lot_change {_STRANGE} FROM late"),
    "change of no posting, at the end": (POSTED, f"INSERT INTO lot_change {_STRANGE_LAST} FROM late"),
    # A credit that adds up with everything but that nobody decided.
    "credit of no posting": (POSTED, _credit("v.occurred_at + interval '1 s'")),
    "credit of no posting, at the end": (POSTED, _credit("timestamptz '2100-01-01'")),
    # What time was booked to have done.
    "activation deleted": (BALANCES, f"DELETE FROM transfer t USING late v WHERE {_TRANSFER} AND t.kind = 7"),
    "activation dated back": (REPLAY, f"UPDATE transfer t SET occurred_at = t.occurred_at - {HOUR} FROM late v WHERE {_TRANSFER} AND t.kind = 7"),
    "activation of less": (ACTIVATED, f"UPDATE transfer t SET amount = t.amount - 1 FROM late v WHERE {_TRANSFER} AND t.kind = 7"),
    "lapse dated back": (LAPSED, f"UPDATE transfer t SET occurred_at = t.occurred_at - {HOUR} FROM lapsed v WHERE {_TRANSFER} AND t.kind = 9"),
    "lapse told as expiry": (REPLAY, f"UPDATE transfer t SET kind = 3, target = 12 FROM lapsed v WHERE {_TRANSFER} AND t.kind = 9"),
    "lapse of no lot": (COVER, "DELETE FROM allocation a USING lapsed v WHERE (a.holder_id, a.currency_id, a.lot_seq) = (v.holder_id, v.currency_id, v.seq)"),
    "expiry dated back": (EXPIRED, f"UPDATE transfer t SET occurred_at = t.occurred_at - {HOUR} FROM expired v WHERE {_TRANSFER} AND t.kind = 3"),
    "expiry after a grace dated back": (EXPIRED, f"UPDATE transfer t SET occurred_at = t.occurred_at - {HOUR} FROM graced v WHERE {_TRANSFER} AND t.kind = 3"),
    "repayment dated back": (REPLAY, f"UPDATE transfer t SET occurred_at = t.occurred_at - {HOUR} FROM late v WHERE {_TRANSFER} AND t.kind = 6"),
    "credit of a lot that is held back at once": (REPLAY, f"UPDATE transfer t SET target = 1 FROM held v WHERE {_TRANSFER} AND t.seq = v.seq"),
}  # fmt: skip


async def falsify(url: str, statements: str) -> None:
    """Do this to the books, with everything off that would refuse it."""
    connection: Connection = await asyncpg.connect(url)
    try:
        await connection.execute(VICTIMS)
        for name in NAMES:
            assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 1, name
        await connection.execute(statements)
    finally:
        await connection.close()


async def test_honest_lives_hold(copy: str) -> None:
    assert await prove() == []


async def test_the_lives_are_of_every_kind(copy: str) -> None:
    """Were they bare, the silence of the proof would say nothing."""
    connection: Connection = await asyncpg.connect(copy)
    try:
        found = await connection.fetchval(
            "SELECT array_agg(DISTINCT kind::int ORDER BY kind::int) FROM transfer"
        )
        assert found == [1, 2, 3, 4, 5, 6, 7, 8, 9]
        assert await connection.fetchval("SELECT count(*) FROM lot_change") == 5
    finally:
        await connection.close()


@pytest.mark.parametrize("name", FALSIFICATIONS)
async def test_a_falsification_is_named(copy: str, name: str) -> None:
    check, statements = FALSIFICATIONS[name]
    await falsify(copy, statements)
    findings = await prove()
    assert check in {finding.check for finding in findings}, [str(x) for x in findings]
