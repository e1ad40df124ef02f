"""The yardstick: the rows that an import wrote, written again by bare set-based INSERTs.

The second database is made by the same migrations, so that keys, checks, triggers and indexes are
the same. Rows are read and the arrays built outside the timing; only INSERT and COMMIT count.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import asyncpg

from core.db import Connection

#: What is there once, before any receipt; what an import updates counts as it stood at the end.
_STANDING = ("holder", "ledger", "standing", "relation")
#: What each receipt adds, in an order that satisfies the foreign keys, and how to find it.
_ADDED = {
    "event": "SELECT t.* FROM event t WHERE t.id BETWEEN $1 AND $2 ORDER BY t.id",
    "event_line": "SELECT t.* FROM event_line t WHERE t.event_id BETWEEN $1 AND $2 ORDER BY 1, 2",
    "decision": "SELECT t.* FROM decision t WHERE t.event_id BETWEEN $1 AND $2 ORDER BY t.event_id",
    "transfer": "SELECT t.* FROM transfer t WHERE t.event_id BETWEEN $1 AND $2 ORDER BY t.event_id",
    "lot": "SELECT t.* FROM lot t JOIN transfer x USING (holder_id, currency_id, seq) "
    "WHERE x.event_id BETWEEN $1 AND $2 ORDER BY x.event_id",
    "allocation": "SELECT t.* FROM allocation t "
    "JOIN transfer x USING (holder_id, currency_id, seq) "
    "WHERE x.event_id BETWEEN $1 AND $2 ORDER BY x.event_id",
    "qualification": "SELECT t.* FROM qualification t WHERE t.event_id BETWEEN $1 AND $2 "
    "ORDER BY t.event_id",
    "tier_change": "SELECT t.* FROM tier_change t WHERE t.event_id BETWEEN $1 AND $2 "
    "ORDER BY t.event_id",
}
_COLUMNS = """
SELECT attname, format_type(atttypid, NULL) FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
TABLES = (*_STANDING, *_ADDED)


async def insert(source_url: str, target_url: str, batch: int) -> float:
    """Write the rows of the first database into the second; the seconds that it took."""
    source = await asyncpg.connect(source_url)
    target = await asyncpg.connect(target_url, server_settings={"role": "laurels_app"})
    try:
        statements = {table: await _statement(target, table) for table in TABLES}
        rows = {table: await source.fetch(f"SELECT * FROM {table}") for table in _STANDING}
        seconds = await _timed(target, statements, rows)
        ids = [r[0] for r in await source.fetch("SELECT id FROM event ORDER BY id")]
        for start in range(0, len(ids), batch):
            part = ids[start : start + batch]
            rows = {t: await source.fetch(q, part[0], part[-1]) for t, q in _ADDED.items()}
            seconds += await _timed(target, statements, rows)
        await _check_same(source, target)
    finally:
        await source.close()
        await target.close()
    return seconds


async def _statement(connection: Connection, table: str) -> str:
    columns = await connection.fetch(_COLUMNS, table)
    names = ", ".join(c[0] for c in columns)
    # Of char(3) only the first of three characters would be left, so it goes as text.
    types = ["text" if c[1] == "character" else c[1] for c in columns]
    arrays = ", ".join(f"${n}::{t}[]" for n, t in enumerate(types, 1))
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})"


async def _timed(
    target: Connection,
    statements: dict[str, str],
    rows: dict[str, list[asyncpg.Record]],
) -> float:
    """One transaction of one statement a table."""
    arrays = {t: [list(c) for c in zip(*r, strict=True)] for t, r in rows.items() if r}
    start = time.perf_counter()
    async with target.transaction():
        for table, columns in arrays.items():
            await target.execute(statements[table], *columns)
    return time.perf_counter() - start


async def _check_same(source: Connection, target: Connection) -> None:
    counts: list[Sequence[int]] = []
    for connection in (source, target):
        counts.append(
            [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]
        )
    if counts[0] != counts[1]:
        raise SystemExit(f"the second database differs: {dict(zip(TABLES, counts, strict=False))}")
