"""The database refuses on its own what the engine must never do: constraints, grants, triggers.

And its schema is what the migrations and the models both say, however often they run.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from tortoise import Tortoise
from tortoise.migrations.autodetector import MigrationAutodetector

from core.db import Connection, config, connected, migrate, reading
from core.models import PartnerRow
from core.posting import Engine
from core.store.books import APPEND_ONLY
from tests.support import NOW, Databases, enrol_cards, receipt

HOLDER = "FOREIGN KEY (holder_id) REFERENCES holder(id)"
TRANSFER = "REFERENCES transfer(holder_id, currency_id, seq)"
CONSTRAINTS = {
    "allocation": {
        "CHECK ((amount <> 0))",
        "FOREIGN KEY (holder_id, currency_id, lot_seq) REFERENCES lot(holder_id, currency_id, seq)",
        f"FOREIGN KEY (holder_id, currency_id, seq) {TRANSFER}",
        "PRIMARY KEY (holder_id, currency_id, seq, lot_seq)",
    },
    "assignment": {
        "CHECK (((kind = 3) = (ends IS NOT NULL)))",
        "CHECK (((kind >= 1) AND (kind <= 3)))",
        "CHECK (((length(reason) >= 1) AND (length(reason) <= 64)))",
        "CHECK ((rank >= 0))",
        "CHECK ((until_at > from_at))",
        HOLDER,
        "PRIMARY KEY (holder_id, event_id)",
        "UNIQUE (holder_id, ends)",
    },
    "currency": {"PRIMARY KEY (id)", "UNIQUE (code)"},
    "decision": {
        "CHECK (((length(heads) % 20) = 0))",
        HOLDER,
        "PRIMARY KEY (holder_id, booked_at)",
    },
    "event": {
        "CHECK (((length(external_id) >= 1) AND (length(external_id) <= 200)))",
        "CHECK ((length(content_hash) = 16))",
        "CHECK ((total >= 0))",
        "PRIMARY KEY (id)",
        "UNIQUE (partner_id, kind, external_id)",
    },
    "event_line": {
        "CHECK ((amount >= 0))",
        "CHECK ((line >= 1))",
        "CHECK ((quantity >= 0))",
        "FOREIGN KEY (event_id) REFERENCES event(id)",
        "PRIMARY KEY (event_id, line)",
    },
    "holder": {"PRIMARY KEY (id)"},
    "identifier": {"PRIMARY KEY (id)", "UNIQUE (kind, scope, value)"},
    "ladder": {"PRIMARY KEY (id)", "UNIQUE (code)"},
    "ledger": {
        "CHECK (((active = 0) OR (arrears = 0)))",
        "CHECK ((active >= 0))",
        "CHECK ((arrears >= 0))",
        "CHECK ((pending >= 0))",
        "CHECK ((reserved >= 0))",
        "CHECK ((seq >= 0))",
        HOLDER,
        "PRIMARY KEY (holder_id, currency_id)",
    },
    "lot": {
        "CHECK (((remaining >= 0) AND (remaining <= amount)))",
        "CHECK ((amount > 0))",
        "CHECK ((expires_at > active_at))",
        f"FOREIGN KEY (holder_id, currency_id, seq) {TRANSFER}",
        "PRIMARY KEY (holder_id, currency_id, seq)",
    },
    "member": {"PRIMARY KEY (holder_id)"},
    "partner": {"PRIMARY KEY (id)", "UNIQUE (code)"},
    "programme": {"PRIMARY KEY (version)"},
    "qualification": {
        "CHECK ((amount <> 0))",
        "CHECK ((counts_from >= at))",
        HOLDER,
        "PRIMARY KEY (holder_id, ladder_id, counts_from, event_id)",
    },
    "redemption": {
        "CHECK ((((status = 5) = (reversed_at IS NOT NULL)) AND ((status = 5) = (reason IS NOT NULL)) "
        "AND ((status = 5) OR (NOT written_off))))",
        "CHECK (((length(order_id) >= 1) AND (length(order_id) <= 200)))",
        "CHECK (((length(reason) >= 1) AND (length(reason) <= 64)))",
        "CHECK (((quantity >= 1) AND (quantity <= 100)))",
        "CHECK ((cash > 0))",
        "CHECK (((reward_id IS NULL) <> (rule IS NULL)))",
        "CHECK (((status <> 1) OR (hold_until IS NOT NULL)))",
        "CHECK (((status = 1) = (settled_at IS NULL)))",
        "CHECK (((status >= 1) AND (status <= 5)))",
        "CHECK ((points > 0))",
        "CHECK ((worth > 0))",
        HOLDER,
        "PRIMARY KEY (holder_id, id)",
    },
    "relation": {"CHECK ((purchases >= 0))", HOLDER, "PRIMARY KEY (holder_id, partner_id)"},
    "request_key": {
        "CHECK (((length(key) >= 1) AND (length(key) <= 255)))",
        "PRIMARY KEY (caller, key)",
    },
    "reward": {"PRIMARY KEY (id)", "UNIQUE (partner_id, code)"},
    "reward_stock": {"CHECK ((remaining >= 0))", "PRIMARY KEY (reward_id, slice)"},
    "rule": {"PRIMARY KEY (id)", "UNIQUE (partner_id, code, version)"},
    "rulebook": {"PRIMARY KEY (version)", "UNIQUE (digest)"},
    "standing": {"CHECK ((rank >= 0))", HOLDER, "PRIMARY KEY (holder_id, ladder_id)"},
    "stock_move": {
        "CHECK ((((kind = 1) = (redemption_id IS NULL)) "
        "AND ((holder_id IS NULL) = (redemption_id IS NULL))))",
        "CHECK (((kind >= 1) AND (kind <= 4)))",
        "CHECK ((amount >= 0))",
        "PRIMARY KEY (reward_id, slice, event_id)",
    },
    "tier_change": {
        "CHECK ((to_rank <> from_rank))",
        HOLDER,
        "PRIMARY KEY (holder_id, ladder_id, booked_at, at, from_rank)",
    },
    "transfer": {
        "CHECK ((amount > 0))",
        "CHECK ((target <> source))",
        "FOREIGN KEY (holder_id, booked_at) REFERENCES decision(holder_id, booked_at)",
        "FOREIGN KEY (holder_id, currency_id) REFERENCES ledger(holder_id, currency_id)",
        "PRIMARY KEY (holder_id, currency_id, seq)",
    },
    "voucher": {
        "CHECK ((((state = 1) = (redemption_id IS NULL)) "
        "AND ((holder_id IS NULL) = (redemption_id IS NULL)) "
        "AND ((state <> 1) OR (reward_id IS NOT NULL))))",
        "CHECK (((length(code) >= 1) AND (length(code) <= 200)))",
        "CHECK (((state >= 1) AND (state <= 4)))",
        "PRIMARY KEY (partner_id, code)",
    },
}
_CONSTRAINTS = """
SELECT conrelid::regclass::text AS "table", pg_get_constraintdef(oid) AS text, convalidated
FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c')
    AND conrelid <> 'tortoise_migrations'::regclass
"""
#: What the application may do with a table beside reading and adding, where that isn't everything.
_KEPT = "holder ledger lot standing relation redemption voucher reward_stock"
KEPT = {table: {"UPDATE"} for table in _KEPT.split()}


@asynccontextmanager
async def owner(url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def test_every_constraint_is_there_and_no_other(database: str) -> None:
    found: dict[str, set[str]] = {}
    async with reading() as connection:
        for row in await connection.fetch(_CONSTRAINTS):
            assert row["convalidated"]
            found.setdefault(row["table"], set()).add(row["text"])
    assert found == CONSTRAINTS


async def test_the_application_has_the_rights_it_needs_and_no_more(database: str) -> None:
    everything = ["UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES"]
    async with reading() as connection:
        assert await connection.fetchval("SELECT current_user") == "laurels_app"
        for table in CONSTRAINTS:
            for right in ["SELECT", "INSERT", *everything]:
                has = await connection.fetchval("SELECT has_table_privilege($1, $2)", table, right)
                usual = set() if table in APPEND_ONLY else {"UPDATE", "DELETE"}
                wanted = {"SELECT", "INSERT"} | KEPT.get(table, usual)
                assert has == (right in wanted), (table, right)


CHANGES = ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"]


async def _column(connection: Connection, table: str) -> str:
    column: str = await connection.fetchval(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum = 1", table
    )
    return column


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("change", CHANGES)
async def test_what_is_only_added_is_refused_to_the_application_and_to_the_owner(
    engine: Engine, database: str, table: str, change: str
) -> None:
    await enrol_cards(["1"])
    await engine.record_purchases([receipt(engine, "R1")], NOW)
    async with reading() as connection:
        statement = change.format(table, *[await _column(connection, table)] * 2)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    async with owner(database) as connection:
        assert await connection.fetchval("SELECT current_user") != "laurels_app"
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(statement)


@pytest.mark.parametrize("table", ["holder", "ledger", "lot"])
async def test_the_rows_beneath_can_not_be_emptied_around_the_guards(
    database: str, table: str
) -> None:
    async with owner(database) as connection:
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute(f"TRUNCATE {table} CASCADE")


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE event DISABLE TRIGGER ALL",
        "DROP TRIGGER event_only_added ON event",
        "DROP TABLE reward_stock",
        "CREATE TABLE mine (id int)",
        "SET session_replication_role = replica",
    ],
)
async def test_the_application_can_not_lift_a_guard(database: str, statement: str) -> None:
    async with reading() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE ledger SET arrears = 1", "ledger_no_points_beside_arrears"),
        ("UPDATE ledger SET active = -1", "ledger_active_check"),
        ("UPDATE lot SET remaining = amount + 1", "lot_check"),
        ("INSERT INTO reward_stock VALUES (1, 0, -1)", "reward_stock_not_overdrawn"),
    ],
)
async def test_a_broken_balance_is_refused_by_the_database_too(
    engine: Engine, statement: str, constraint: str
) -> None:
    await enrol_cards(["1"])
    await engine.record_purchases([receipt(engine, "R1")], NOW)
    async with reading() as connection:
        with pytest.raises(asyncpg.CheckViolationError) as refused:
            await connection.execute(statement)
    assert refused.value.constraint_name == constraint


# --- migrations -----------------------------------------------------------------------------------

_SCHEMA = """
SELECT table_name, column_name, data_type, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2
"""


async def _schema(url: str) -> list[tuple[object, ...]]:
    async with owner(url) as connection:
        return [tuple(row) for row in await connection.fetch(_SCHEMA)]


async def test_models_and_migrations_say_the_same(database: str) -> None:
    detector = MigrationAutodetector(Tortoise.apps, config(database)["apps"])
    assert await detector.changes() == []
    for model in Tortoise.apps["core"].values():
        assert await model.all() == []


async def test_a_difference_between_models_and_migrations_would_be_found(database: str) -> None:
    apps = {"core": {k: v for k, v in Tortoise.apps["core"].items() if v is not PartnerRow}}
    (found,) = await MigrationAutodetector(apps, config(database)["apps"]).changes()  # type: ignore[arg-type]  # a plain dict will do
    assert any("PartnerRow" in repr(vars(operation)) for operation in found.operations)


async def test_migrating_again_changes_nothing_and_keeps_the_rows(databases: Databases) -> None:
    async with databases.migrated() as url:
        before = await _schema(url)
        async with connected(url):
            await enrol_cards(["1"])
        await migrate(url)
        assert await _schema(url) == before
        async with connected(url), reading() as connection:
            assert await connection.fetchval("SELECT count(*) FROM holder") == 1


async def test_migrating_three_times_at_once_in_one_process(databases: Databases) -> None:
    async with databases.migrated() as known, databases.empty() as url:
        await asyncio.gather(migrate(url), migrate(url), migrate(url))
        assert await _schema(url) == await _schema(known)


async def test_migrating_from_three_processes_at_once(databases: Databases) -> None:
    program = "import asyncio, sys, core.db; asyncio.run(core.db.migrate(sys.argv[1]))"
    async with databases.migrated() as known, databases.empty() as url:
        started = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", program, url)
            for _ in range(3)
        ]
        assert [await process.wait() for process in started] == [0, 0, 0]
        assert await _schema(url) == await _schema(known)
