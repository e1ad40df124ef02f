"""The proof of what came with returns, nights, adjustments and lot moves: it names what is forged.

A season is booked once; each falsification gets a copy of it, done as an administrator of the
server could: with every trigger and foreign key off.
"""
# ruff: noqa: E501 -- SQL reads better in its own columns

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio

from app.postgres import database_url
from core.adjustments import AdjustRequest, adjust
from core.bought import Returned
from core.check import prove
from core.db import Connection, connected
from core.lot_moves import MoveRequest, move
from core.models import ProgrammeRow
from core.nightly import run
from core.posting import Engine
from core.programme import Programme
from core.purchases import LineInput, find_partner
from core.redemptions import redeem
from core.returning import record
from core.returns import check_edit
from core.store.reference import Declared, install
from laurels import Partner
from tests.core import market
from tests.core.market import bring_back, buy, cancelled, line, returned, shipped
from tests.core.shop import days, dump, wish
from tests.support import NOW, Databases, enrol_cards

REPLAY = "decisions replayed = transfers, hashes"
COMMANDS = "commands = their events"
POLICIES = "lots = their policies"
RETURNS = "returns = what is still earned"
MOVES = "transfers = what their events may do"
OWNERS = "events on purchases = their purchases"
ACTIVATIONS = "activations = pending lots"
LAPSES = "lapses = pending lots"
EXPIRIES = "expiries = ends of lots"
ADJUSTED = "adjustments = their events"
COUNTED = "qualifications = what was earned"
LOT_MOVES = "lot moves = their events"
MEASURES = "measures = what qualified"
CREDITS = "lots = their credits"
GUARDS = "guards stand"


async def book_a_season() -> None:
    """Every kind of event on purchases, of night, of adjustment; then a policy that changes."""
    engine = await market.open_market()
    ada, bob = await enrol_cards(["1", "2"])
    await buy(engine, "P1", ("PLAIN", "120.00"), ("HELD", "20.00"), ("SOFT", "30.00"))
    await buy(engine, "P2", ("PLAIN", "40.00"), ("PLAIN", "60.00"))
    await buy(engine, "P3", ("SENT", "50.00"), ("PLAIN", "10.00"), at=NOW + days(1))
    await buy(engine, "P4", ("SENT", "70.00"), ("LATE", "11.00"), at=NOW + days(1))
    await buy(engine, "P5", ("SLIDE", "25.00"), ("KIND", "33.00"), at=NOW + days(1))
    await buy(engine, "B1", ("PLAIN", "80.00"), at=NOW + days(1), member="2")
    await redeem(engine, wish(bob, "x-plain", partner="market"), NOW + days(2))
    await returned(engine, "T1", "P1", line(1, amount="30.00"), line(2, "0.5"), at=NOW + days(3))
    await returned(engine, "T2", "P1", amount="12.34", at=NOW + days(4))
    await cancelled(engine, "B1", NOW + days(4))
    await _edited(engine, "P2", 2, ("PLAIN", "30.00"), ("PLAIN", "90.00"), at=5)
    await _edited(engine, "P2", 3, ("PLAIN", "20.00"), at=6)
    await shipped(engine, "P3", NOW + days(7))
    for n in (8, 16, 40):
        await run(engine, NOW + days(n))
    cause = await buy(engine, "P6", ("PLAIN", "15.00"), at=NOW + days(41))
    await buy(engine, "B2", ("PLAIN", "5.00"), at=NOW + days(41), member="2")
    given = AdjustRequest("admin:", "1", "admin", ada, "PLAIN", 77, "goodwill", cause.event, True)
    await adjust(engine, replace(given, note="For the wait"), NOW + days(42))
    await adjust(engine, replace(given, key="2", points=-9, reason="fraud"), NOW + days(43))
    await bring_back(engine, "T3", "P6", line(1, "1"), at=NOW + days(44))
    changed = [replace(c, expires="95D") if c.code == "PLAIN" else c for c in market.ALL]
    partner = Partner("market", "The Market", currencies=changed)
    again = Declared("market", "1", partner, earn_rules=market.RULES)
    engine = Engine(await install(await _programme(), [again], NOW + days(45)))
    done = await move(engine, MoveRequest("admin:", "3", "PLAIN"), NOW + days(45))
    assert done.run.moved.lots > 1
    await run(engine, NOW + days(60))


async def _programme() -> Programme:
    row = await ProgrammeRow.all().order_by("-version").first()
    assert row is not None
    return Programme.model_validate(row.settings)


async def _edited(
    engine: Engine, purchase: str, revision: int, *lines: tuple[str, str], at: int
) -> None:
    partner = find_partner(engine.rulebook, "market")
    now = NOW + days(at)
    given = [LineInput(kind, amount) for kind, amount in lines]
    unit = check_edit(partner, purchase, revision, now, given, "USD")
    (outcome,) = await record(engine, [unit], now)
    assert isinstance(outcome, Returned), outcome


_numbers = count()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def season(databases: Databases) -> AsyncIterator[str]:
    """The URL of a database that holds the season."""
    async with databases.migrated() as url:
        async with connected(url):
            await book_a_season()
        yield url


@pytest_asyncio.fixture(loop_scope="session")
async def copy(databases: Databases, season: str) -> AsyncIterator[str]:
    """The URL of a copy of the season of its own; this process is connected to it."""
    source = urlsplit(season).path.lstrip("/")
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


def _event(name: str) -> str:
    return f"(SELECT id FROM event WHERE external_id = '{name}' AND kind > 7)"


def _content(name: str, old: str, new: str) -> str:
    return (
        f"UPDATE decision SET content = regexp_replace(content, '{old}', '{new}') "
        f"WHERE event_id = {_event(name)}"
    )


_LAST_MOVE = "(SELECT max(c.booked_at) FROM lot_change c JOIN event e ON e.id = c.event_id WHERE e.kind = 17)"

FALSIFICATIONS: dict[str, tuple[str, str]] = {
    # Returns.
    "a return of more lines' money": (
        RETURNS, f"UPDATE event_line SET amount = amount + 100 WHERE event_id = {_event('T1')} AND amount > 0"),
    "a return of more pieces": (
        RETURNS, f"UPDATE event_line SET quantity = quantity * 2 WHERE event_id = {_event('T1')} AND quantity > 0"),
    "a return of more than was bought": (
        RETURNS, f"UPDATE event_line SET amount = 99999999 WHERE event_id = {_event('T1')} AND amount > 0"),
    "a returned line deleted": (RETURNS, f"DELETE FROM event_line WHERE event_id = {_event('T1')} AND line = 2"),
    "a return of a line that isn't there": (RETURNS, f"UPDATE event_line SET line = 9 WHERE event_id = {_event('T1')} AND line = 2"),
    "a return's money": (RETURNS, f"UPDATE event SET total = total - 1 WHERE id = {_event('T2')}"),
    "a return's amount": (RETURNS, _content("T2", '"a":1234', '"a":1235')),
    "what a return said": (RETURNS, _content("T2", "12.34", "12.35")),
    "what a return said of a line": (RETURNS, _content("T1", "30.00", "30.01")),
    "a return's fall": (RETURNS, _content("T1", '"t":\\[\\[(\\d+),(\\d+)', '"t":[[\\1,9\\2')),
    "a return's charge": (RETURNS, _content("T1", '"t":\\[\\[(\\d+),(\\d+),(\\d+)', '"t":[[\\1,\\2,9\\3')),
    "a return's fall of nothing": (RETURNS, _content("T1", '"t":\\[.*\\]', '"t":[]')),
    "what is no longer earned": (RETURNS, _content("T1", '"e":\\[\\[(\\d+),(\\d+),(\\d+)', '"e":[[\\1,\\2,9\\3')),
    "a return for another purchase": (
        RETURNS, f"UPDATE decision SET content = replace(content, '\"p\":', '\"p\":9') WHERE event_id = {_event('T1')}"),
    "a return's decision is no JSON": (RETURNS, f"UPDATE decision SET content = '{{' WHERE event_id = {_event('T1')}"),
    "a return's decision is a list": (RETURNS, f"UPDATE decision SET content = '[]' WHERE event_id = {_event('T1')}"),
    "a return's decision is gone": (RETURNS, f"DELETE FROM decision WHERE event_id = {_event('T1')}"),
    "a return of another member's purchase": (
        OWNERS, f"UPDATE event SET purchase_id = (SELECT id FROM event WHERE external_id = 'B1' AND kind = 1) WHERE id = {_event('T1')}"),
    "a return of nothing": (OWNERS, f"UPDATE event SET purchase_id = NULL WHERE id = {_event('T1')}"),
    "a return of a return": (OWNERS, f"UPDATE event SET purchase_id = {_event('T2')} WHERE id = {_event('T1')}"),
    "a return at another partner": (OWNERS, f"UPDATE event SET partner_id = 99 WHERE id = {_event('T1')}"),
    "a return before its purchase": (OWNERS, f"UPDATE event SET occurred_at = occurred_at - interval '9 days' WHERE id = {_event('T1')}"),
    "a purchase that names one": (OWNERS, "UPDATE event SET purchase_id = id WHERE external_id = 'P1' AND kind = 1"),
    "a return's time": (RETURNS, f"UPDATE event SET occurred_at = occurred_at + interval '1 s' WHERE id = {_event('T1')}"),
    "a return's hash": (RETURNS, f"UPDATE event SET content_hash = decode(repeat('00', 16), 'hex') WHERE id = {_event('T1')}"),
    "a clawback raised": (RETURNS, f"UPDATE transfer SET amount = amount + 1 WHERE kind = 8 AND event_id = {_event('T1')}"),
    "a clawback made an expiry": (RETURNS, f"UPDATE transfer SET kind = 3, target = 12 WHERE kind = 8 AND event_id = {_event('T1')}"),
    "a clawback into what was redeemed": (MOVES, f"UPDATE transfer SET target = 11 WHERE kind = 8 AND event_id = {_event('T1')}"),
    "a clawback's event a purchase": (MOVES, f"UPDATE event SET kind = 1, external_id = 'X' WHERE id = {_event('T1')}"),
    "a return that counts less": (RETURNS, f"UPDATE qualification SET amount = amount + 1 WHERE event_id = {_event('T1')}"),
    "a return that doesn't count": (RETURNS, f"DELETE FROM qualification WHERE event_id = {_event('T1')}"),
    "a threshold's judgment": (RETURNS, _content("T1", '"j":\\[\\[(\\d+),(\\d+)\\]', '"j":[[\\1,50]')),
    # Cancels, revisions, fulfilments.
    "a cancel's name": (RETURNS, "UPDATE event SET external_id = 'B2' WHERE kind = 9"),
    "a cancel's arrears": (RETURNS, "UPDATE transfer SET source = 1 WHERE kind = 8 AND source = 4"),
    "a return after the cancel": (RETURNS, "UPDATE event SET purchase_id = (SELECT purchase_id FROM event WHERE kind = 9), holder_id = (SELECT holder_id FROM event WHERE kind = 9) WHERE external_id = 'T3'"),
    "a revision skipped": (RETURNS, _content("P2#3", '"rev":3', '"rev":4')),
    "a revision's line": (RETURNS, f"UPDATE event_line SET amount = amount + 1 WHERE event_id = {_event('P2#2')} AND line = 1"),
    "a revision's award": (RETURNS, _content("P2#2", '"g":\\[\\[(\\d+),(\\d+),\\[(\\d+)', '"g":[[\\1,\\2,[9\\3')),
    "a revision's money": (RETURNS, f"UPDATE event SET total = total + 1 WHERE id = {_event('P2#2')}"),
    "a revision's credit": (RETURNS, f"UPDATE transfer SET amount = amount + 5 WHERE kind = 1 AND event_id = {_event('P2#2')}"),
    "a revision that counts more": (RETURNS, f"UPDATE qualification SET amount = amount + 1 WHERE event_id = {_event('P2#3')}"),
    "a fulfilment of another event": (RETURNS, _content("P3#shipped", "shipped", "paid")),
    "a fulfilment of more": (RETURNS, _content("P3#shipped", '"l":\\[\\[(\\d+),(\\d+),(\\d+)', '"l":[[\\1,\\2,9\\3')),
    "a fulfilment of another purchase": (
        RETURNS, "UPDATE event SET purchase_id = (SELECT id FROM event WHERE external_id = 'P4' AND kind = 1) WHERE external_id = 'P3#shipped'"),
    # The lives of pending lots.
    "an activation raised": (ACTIVATIONS, "UPDATE transfer SET amount = amount + 1 WHERE kind = 7"),
    "an activation too early": (ACTIVATIONS, "UPDATE transfer SET occurred_at = occurred_at - interval '1 day' WHERE kind = 7"),
    "an activation deleted": (ACTIVATIONS, "DELETE FROM transfer WHERE kind = 7"),
    "an activation of another rule": (ACTIVATIONS, "UPDATE transfer SET rule_id = 99 WHERE kind = 7"),
    "a lot pending for ever": (ACTIVATIONS, "UPDATE lot SET pending = true FROM transfer t WHERE t.target = 2 AND (t.holder_id, t.currency_id, t.seq) = (lot.holder_id, lot.currency_id, lot.seq)"),
    "an active lot made pending": (ACTIVATIONS, "UPDATE lot SET pending = true FROM transfer t WHERE t.target = 1 AND (t.holder_id, t.currency_id, t.seq) = (lot.holder_id, lot.currency_id, lot.seq)"),
    "a lapse too early": (LAPSES, "UPDATE transfer SET occurred_at = occurred_at - interval '1 day' WHERE kind = 9"),
    "a lapsed lot active": (LAPSES, "UPDATE lot SET pending = false, active_at = occurred_at WHERE lapses_at < 'infinity' AND pending"),
    "a lapse's deadline": (POLICIES, "UPDATE lot SET lapses_at = lapses_at - interval '1 day' WHERE lapses_at < 'infinity'"),
    "a lapse made an expiry": (MOVES, "UPDATE transfer SET kind = 3, target = 12 WHERE kind = 9"),
    # Nights.
    "an expiry too early": (EXPIRIES, "UPDATE transfer SET occurred_at = occurred_at - interval '1 day' WHERE kind = 3"),
    "an expiry too late": (EXPIRIES, "UPDATE transfer SET occurred_at = occurred_at + interval '1 s' WHERE kind = 3"),
    "a night's decision": (COMMANDS, "UPDATE decision SET content = replace(content, 'expire', 'activate') WHERE kind = 14"),
    "a night's decision is no JSON": (COMMANDS, "UPDATE decision SET content = 'x' WHERE kind = 14"),
    "a night that redeems": (MOVES, "UPDATE transfer SET kind = 2, target = 11 WHERE kind = 3"),
    "a night that credits": (MOVES, "UPDATE event SET kind = 14 WHERE kind = 1 AND external_id = 'P6'"),
    # Adjustments.
    "an adjustment's points": (ADJUSTED, "UPDATE adjustment SET points = points + 1"),
    "an adjustment turned round": (ADJUSTED, "UPDATE adjustment SET points = -points"),
    "an adjustment deleted": (ADJUSTED, "DELETE FROM adjustment WHERE points < 0"),
    "an adjustment added": (ADJUSTED, "INSERT INTO adjustment SELECT holder_id, -event_id, at, booked_at, currency_id, seq, points, reason, cause_id, counts, partner_id, role, caller FROM adjustment"),
    "an adjustment's day": (ADJUSTED, "UPDATE adjustment SET at = at - interval '1 day'"),
    "an adjustment's reason": (COMMANDS, "UPDATE adjustment SET reason = 'correction'"),
    "an adjustment's caller": (COMMANDS, "UPDATE adjustment SET caller = 'admin:eve'"),
    "an adjustment's role": (COMMANDS, "UPDATE adjustment SET role = 'partner'"),
    "an adjustment's cause": (COMMANDS, "UPDATE adjustment SET cause_id = NULL"),
    "an adjustment's cause another member's": (ADJUSTED, "UPDATE adjustment SET cause_id = (SELECT id FROM event WHERE external_id = 'B1' AND kind = 1)"),
    "an adjustment that doesn't count": (COMMANDS, "UPDATE adjustment SET counts = false"),
    "an adjustment's decision": (COMMANDS, "UPDATE decision SET content = replace(content, '77', '78') WHERE kind = 12"),
    "an adjustment in a partner's name": (ADJUSTED, "UPDATE adjustment SET partner_id = 1"),
    "an adjustment's lot as earned": (MOVES, "UPDATE transfer SET kind = 1, source = 10 WHERE kind = 10 AND source = 14"),
    "an adjustment that counts more": (COUNTED, "UPDATE qualification q SET amount = amount + 1 FROM adjustment a WHERE a.event_id = q.event_id"),
    "an adjustment's lot deleted": (CREDITS, "DELETE FROM lot USING adjustment a WHERE (a.holder_id, a.currency_id, a.seq) = (lot.holder_id, lot.currency_id, lot.seq)"),
    "a note of nothing": (ADJUSTED, "INSERT INTO adjustment_note VALUES (1, 1, 'x')"),
    # What purchases count for.
    "a purchase that counts more, and its standing": (
        COUNTED, "UPDATE qualification q SET amount = amount + 1000 FROM event e WHERE e.id = q.event_id AND e.external_id = 'P6'; "
        "UPDATE standing SET value = value + 1000"),
    # Lot moves.
    "a moved lot's end": (POLICIES, f"UPDATE lot SET expires_at = lot.expires_at + interval '1 day' FROM lot_change c WHERE c.booked_at = {_LAST_MOVE} AND (c.holder_id, c.currency_id, c.lot_seq) = (lot.holder_id, lot.currency_id, lot.seq)"),
    "a moved lot's policy": (POLICIES, f"UPDATE lot SET policy_id = 1 FROM lot_change c WHERE c.booked_at = {_LAST_MOVE} AND (c.holder_id, c.currency_id, c.lot_seq) = (lot.holder_id, lot.currency_id, lot.seq)"),
    "a lot change of a move": (COMMANDS, f"UPDATE lot_change SET expires_at = expires_at + interval '1 day' WHERE booked_at = {_LAST_MOVE}"),
    "a lot change and its lot": (
        REPLAY, "UPDATE lot SET expires_at = expires_at + interval '1 day' WHERE remaining > 0 AND expires_at < 'infinity'; "
        "UPDATE lot_change SET expires_at = expires_at + interval '1 day'"),
    "a lot change deleted": (REPLAY, f"DELETE FROM lot_change WHERE booked_at = {_LAST_MOVE}"),
    "a move's figures": (LOT_MOVES, "UPDATE lot_move SET lots = lots + 1"),
    "a move deleted": (LOT_MOVES, "DELETE FROM lot_move"),
    "a move of another currency": (LOT_MOVES, "UPDATE lot_move SET currency_id = currency_id + 1"),
    "a move's decision": (COMMANDS, "UPDATE decision SET content = replace(content, '\"w\"', '\"x\"') WHERE kind = 17"),
    # Guards.
    "adjustments may be changed": (GUARDS, "GRANT UPDATE ON adjustment TO laurels_app"),
    "a trigger on digests dropped": (GUARDS, "DROP TRIGGER head_digest_only_added ON head_digest"),
    "a constraint on adjustments dropped": (GUARDS, "ALTER TABLE adjustment DROP CONSTRAINT adjustment_role_check"),
}  # fmt: skip


async def falsify(url: str, statements: str) -> None:
    """Do this to the books with everything off that would refuse it; it must do something."""
    connection: Connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")
        for statement in statements.split("; "):
            done = await connection.execute(statement)
            assert not done.endswith(" 0"), f"nothing to falsify: {statement}"
    finally:
        await connection.close()


async def test_an_honest_season_holds(copy: str) -> None:
    before = await dump()
    assert await prove() == []
    assert await dump() == before


async def test_the_season_holds_what_it_should(copy: str) -> None:
    """Were the books bare, the silence of the proof would say nothing."""
    connection: Connection = await asyncpg.connect(copy)
    try:
        kinds = "SELECT array_agg(DISTINCT kind::int ORDER BY kind::int) FROM "
        found = set(await connection.fetchval(kinds + "event"))
        assert found >= {1, 2, 8, 9, 10, 11, 12, 14, 17}
        found = set(await connection.fetchval(kinds + "transfer"))
        assert found >= {1, 2, 3, 6, 7, 8, 9, 10}
        owed = await connection.fetchval(
            "SELECT count(*) FROM transfer WHERE kind = 8 AND source = 4"
        )
        assert owed
    finally:
        await connection.close()


@pytest.mark.parametrize("name", FALSIFICATIONS)
async def test_a_falsification_is_named(copy: str, name: str) -> None:
    check, statements = FALSIFICATIONS[name]
    await falsify(copy, statements)
    findings = await prove()
    assert check in {finding.check for finding in findings}, [str(x) for x in findings]


async def test_each_check_names_twenty_at_most(copy: str) -> None:
    await falsify(copy, "UPDATE event SET total = total + 1 WHERE purchase_id IS NOT NULL")
    findings = [x for x in await prove() if x.check == RETURNS]
    assert 5 <= len(findings) <= 20
    assert all("comes to" in x.problem for x in findings)
