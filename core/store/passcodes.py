"""Queries on codes by which somebody shows that an address is theirs: keyed digests alone.

Neither the address nor where the request came from nor the code can be read from what is kept, and
it is kept for a day, to count.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from core.db import Connection, transaction

#: How often a code may be tried.
MOST_ATTEMPTS = 5
#: How long rows are kept, to count them.
KEPT = timedelta(days=1)
PASSCODE_TABLE = f"""
CREATE TABLE passcode (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identifier bytea NOT NULL CHECK (length(identifier) = 32),
    origin bytea NOT NULL CHECK (length(origin) = 32),
    digest bytea NOT NULL CHECK (length(digest) = 32),
    at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    attempts smallint NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND {MOST_ATTEMPTS}),
    used_at timestamptz,
    CONSTRAINT passcode_lives CHECK (expires_at > at AND expires_at <= at + interval '10 minutes'),
    CONSTRAINT passcode_tried CHECK (used_at IS NULL OR attempts > 0)
);
CREATE INDEX passcode_of ON passcode (identifier, at);
CREATE INDEX passcode_from ON passcode (origin, at);
CREATE INDEX passcode_old ON passcode (at);
GRANT SELECT, INSERT, UPDATE, DELETE ON passcode TO laurels_app;
"""
#: What must stand, for `laurels check`.
PASSCODE_CONSTRAINTS = {
    "passcode": "pkey identifier_check origin_check digest_check attempts_check lives tried"
}
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('passcode|' || encode($1, 'hex'), 7))"
_ADD = """
INSERT INTO passcode (identifier, origin, digest, at, expires_at) VALUES ($1, $2, $3, $4, $5)
RETURNING id
"""
_COUNT = """
SELECT count(*) FILTER (WHERE identifier = ANY($1) AND at > $3),
    count(*) FILTER (WHERE identifier = ANY($1)),
    count(*) FILTER (WHERE origin = ANY($2) AND at > $3)
FROM passcode WHERE (identifier = ANY($1) OR origin = ANY($2)) AND at > $4
"""
_LATEST = """
SELECT id, digest, used_at IS NULL AND expires_at > $2 AND attempts < 5 FROM passcode
WHERE identifier = ANY($1) ORDER BY at DESC, id DESC LIMIT 1 FOR UPDATE
"""
_TRY = "UPDATE passcode SET attempts = attempts + 1, used_at = $2 WHERE id = $1"


class Latest(NamedTuple):
    """The latest code that an address was sent; `good`: it may still be tried."""

    id: int
    digest: bytes
    good: bool


class Sent(NamedTuple):
    """How many codes an address was sent within an hour and a day; and one place within an hour."""

    hour: int
    day: int
    from_there: int


async def lock(connection: Connection, identifier: bytes) -> None:
    """Wait for others that ask or try for this address."""
    await connection.execute(_LOCK, identifier)


async def count(
    connection: Connection, identifiers: Sequence[bytes], origins: Sequence[bytes], now: datetime
) -> Sent:
    """How many were sent, under each of the keys there are."""
    row = await connection.fetchrow(
        _COUNT, list(identifiers), list(origins), now - timedelta(hours=1), now - KEPT
    )
    assert row is not None
    return Sent(*row)


async def add(
    connection: Connection,
    identifier: bytes,
    origin: bytes,
    digest: bytes,
    now: datetime,
    expires_at: datetime,
) -> int:
    """Keep a code's digest; its number."""
    number: int = await connection.fetchval(_ADD, identifier, origin, digest, now, expires_at)
    return number


async def latest(
    connection: Connection, identifiers: Sequence[bytes], now: datetime
) -> Latest | None:
    """The latest code of an address, if it was sent one."""
    row = await connection.fetchrow(_LATEST, list(identifiers), now)
    return None if row is None else Latest(*row)


async def tried(connection: Connection, number: int, used_at: datetime | None) -> None:
    """Count an attempt; `used_at` where it was the right one."""
    await connection.execute(_TRY, number, used_at)


async def drop(number: int) -> None:
    """Forget a code that was never sent."""
    async with transaction() as connection:
        await connection.execute("DELETE FROM passcode WHERE id = $1", number)


async def forget(now: datetime) -> int:
    """Drop those whose day is over; how many there were."""
    async with transaction() as connection:
        done = await connection.execute("DELETE FROM passcode WHERE at <= $1", now - KEPT)
    return int(done.rpartition(" ")[2])
