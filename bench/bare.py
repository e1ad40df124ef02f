"""The yardstick: the rows that an import wrote, written again by bare set-based INSERTs.

The second database is made by the same migrations, so that keys, checks, triggers and indexes are
the same. Rows are read and the arrays built outside the timing; only INSERT and COMMIT count.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from core.db import Connection

#: What is there once for each holder; it is inserted when it is new, and never updated.
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


class Bare:
    """Follows an import from one database to another and times its own INSERTs only."""

    def __init__(self, source: Connection, target: Connection, batch: int) -> None:
        self.seconds = 0.0
        self._source = source
        self._target = target
        self._batch = batch
        self._last = 0
        self._statements: dict[str, str] = {}

    async def follow(self) -> None:
        """Write what the import added since the last time."""
        if not self._statements:
            self._statements = {t: await _statement(self._target, t) for t in TABLES}
        rows = {t: await self._source.fetch(f"SELECT * FROM {t}") for t in _STANDING}
        await self._write(rows)
        new = "SELECT id FROM event WHERE id > $1 ORDER BY id"
        ids = [r[0] for r in await self._source.fetch(new, self._last)]
        for start in range(0, len(ids), self._batch):
            part = ids[start : start + self._batch]
            rows = {t: await self._source.fetch(q, part[0], part[-1]) for t, q in _ADDED.items()}
            await self._write(rows)
            self._last = part[-1]

    async def _write(self, rows: dict[str, list[asyncpg.Record]]) -> None:
        """One transaction of one statement a table."""
        arrays = {t: [list(c) for c in zip(*r, strict=True)] for t, r in rows.items() if r}
        start = time.perf_counter()
        async with self._target.transaction():
            for table, columns in arrays.items():
                await self._target.execute(self._statements[table], *columns)
        self.seconds += time.perf_counter() - start

    async def check_same(self) -> None:
        """Stop where a table holds other rows than the import's."""
        counts = [
            [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES]
            for connection in (self._source, self._target)
        ]
        if counts[0] != counts[1]:
            raise SystemExit(f"the second database differs: {TABLES} {counts}")


@asynccontextmanager
async def following(source_url: str, target_url: str, batch: int) -> AsyncIterator[Bare]:
    """A `Bare` on connections of its own; writing as the application does, by its role."""
    source = await asyncpg.connect(source_url)
    target = await asyncpg.connect(target_url, server_settings={"role": "laurels_app"})
    try:
        yield Bare(source, target, batch)
    finally:
        await source.close()
        await target.close()


async def _statement(connection: Connection, table: str) -> str:
    columns = await connection.fetch(_COLUMNS, table)
    names = ", ".join(c[0] for c in columns)
    # Of char(3) only the first of three characters would be left, so it goes as text.
    types = ["text" if c[1] == "character" else c[1] for c in columns]
    arrays = ", ".join(f"${n}::{t}[]" for n, t in enumerate(types, 1))
    kept = " ON CONFLICT DO NOTHING" if table in _STANDING else ""
    return f"INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays}){kept}"
