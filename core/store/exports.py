"""Exports that were asked for: what to read, as whom, until when. Nothing of what is read is kept.

A row says all that is needed to read anew; it is dropped when its time is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from core.db import reading, transaction

#: Of the document and of its variables as JSON, in characters.
MOST_QUERY, MOST_VARIABLES = 10_000, 20_000
EXPORT_TABLES = f"""
CREATE TABLE export (
    id bigint PRIMARY KEY,
    viewer jsonb NOT NULL CHECK (jsonb_typeof(viewer) = 'object'),
    query text NOT NULL CHECK (length(query) BETWEEN 1 AND {MOST_QUERY}),
    variables text NOT NULL CHECK (length(variables) BETWEEN 2 AND {MOST_VARIABLES}),
    at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT export_a_day_at_most CHECK (expires_at > at AND expires_at <= at + interval '24h')
);
CREATE INDEX export_by_end ON export (expires_at);
GRANT SELECT, INSERT, DELETE ON export TO laurels_app;
"""
#: What must stand, for `laurels check`.
EXPORT_CONSTRAINTS = {"export": "pkey viewer_check query_check variables_check a_day_at_most"}


@dataclass(frozen=True, slots=True)
class Export:
    """One export: the document and its variables, as whom it is read, and until when."""

    id: int
    viewer: Mapping[str, Any]
    query: str
    variables: Mapping[str, Any]
    at: datetime
    expires_at: datetime


async def add(export: Export) -> None:
    """Keep it."""
    async with transaction() as connection:
        await connection.execute(
            "INSERT INTO export (id, viewer, query, variables, at, expires_at) "
            "VALUES ($1, $2::jsonb, $3, $4, $5, $6)",
            export.id,
            orjson.dumps(export.viewer).decode(),
            export.query,
            orjson.dumps(export.variables).decode(),
            export.at,
            export.expires_at,
        )


async def find(export: int, now: datetime) -> Export | None:
    """The export of this id, if there is one, and neither it nor the key that asked has ended."""
    async with reading() as connection:
        row = await connection.fetchrow(
            "SELECT id, viewer, query, variables, at, expires_at FROM export "
            "WHERE id = $1 AND expires_at > $2 AND NOT EXISTS (SELECT FROM api_key k "
            "WHERE viewer ->> 'role' = 'partner' AND k.id = viewer ->> 'subject' "
            "AND (k.revoked_at IS NOT NULL OR k.expires_at <= $2))",
            export,
            now,
        )
    if row is None:
        return None
    viewer, variables = orjson.loads(row["viewer"]), orjson.loads(row["variables"])
    return Export(row["id"], viewer, row["query"], variables, row["at"], row["expires_at"])


async def forget(now: datetime) -> int:
    """Drop those whose time is over; how many there were."""
    async with transaction() as connection:
        done = await connection.execute("DELETE FROM export WHERE expires_at <= $1", now)
    return int(done.rpartition(" ")[2])
