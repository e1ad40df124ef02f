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
from core.store.books import APPEND_ONLY as OF_THE_BOOKS
from core.store.proof_face import FACE_APPEND_ONLY
from tests.core.constraints import CONSTRAINTS
from tests.support import NOW, POLICIES, Databases, enrol_cards, receipt

_CONSTRAINTS = """
SELECT conrelid::regclass::text AS "table", pg_get_constraintdef(oid) AS text, convalidated
FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c', 'x')
    AND conrelid <> 'tortoise_migrations'::regclass
"""
APPEND_ONLY = (*OF_THE_BOOKS, *FACE_APPEND_ONLY)
#: What the application may do with a table beside reading and adding, where that isn't everything.
_KEPT = (
    "holder ledger lot standing relation redemption voucher reward_stock budget carry issue "
    "inbound api_key"
)
KEPT: dict[str, set[str]] = {table: {"UPDATE"} for table in _KEPT.split()}
KEPT["pseudonym_key"] = set()
KEPT["export"] = {"DELETE"}
KEPT["parted_login"] = {"DELETE"}
KEPT["meetup"] = {"UPDATE"}
KEPT["personal_offer"] = {"DELETE"}
KEPT["ahead_order"] = {"DELETE"}  # and UPDATE of how it ended
KEPT["gift_message"] = {"DELETE"}
KEPT["fulfilment"] = {"UPDATE"}
KEPT["survey_invitation"] = set()
KEPT["survey_answer"] = set()  # and UPDATE of when somebody followed up
KEPT["survey_comment"] = {"DELETE"}
KEPT["data_rule"] = set()  # of three columns: see test_rule_changes


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
        # The template holds the policies of hand-made rulebooks, and nothing else.
        assert {row.pk for row in await model.all()} <= set(POLICIES)


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
