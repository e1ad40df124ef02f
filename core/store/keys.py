"""Queries on partners' API keys, and the tables that hold them: terms, and digests of secrets.

A key has several secrets while it is being rotated. No secret is stored, only its keyed digest with
the id of the key that made it.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from core.db import Connection, reading

KEY_TABLES = """
CREATE TABLE api_key (
    id text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{16}$'),
    partner_id integer NOT NULL,
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 100),
    scopes text[] NOT NULL CHECK (cardinality(scopes) BETWEEN 1 AND 50),
    created_by text NOT NULL CHECK (length(created_by) BETWEEN 1 AND 300),
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    used_at timestamptz,
    CONSTRAINT api_key_lives CHECK (expires_at > created_at)
);
CREATE INDEX api_key_of_partner ON api_key (partner_id, created_at);
CREATE TABLE api_key_secret (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    key_id text NOT NULL REFERENCES api_key (id),
    digest_key text NOT NULL CHECK (digest_key ~ '^[0-9a-f]{16}$'),
    created_at timestamptz NOT NULL,
    ends_at timestamptz
);
CREATE INDEX api_key_secret_of_key ON api_key_secret (key_id);
GRANT SELECT, INSERT, UPDATE ON api_key TO laurels_app;
REVOKE DELETE, TRUNCATE ON api_key FROM laurels_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON api_key_secret TO laurels_app;
"""
#: How `created_by` begins where a key made it; the maker's id follows.
BY_KEY = "key:"
#: What must stand, for `laurels check`.
KEY_CONSTRAINTS = {
    "api_key": "pkey id_check title_check scopes_check created_by_check lives",
    "api_key_secret": "pkey key_id_fkey digest_check digest_key_check",
}
_COLUMNS = (
    "k.id, k.partner_id, p.code, k.title, k.scopes, k.created_by, k.created_at, k.expires_at, "
    "k.revoked_at, k.used_at"
)
_FROM = "FROM api_key k JOIN partner p ON p.id = k.partner_id"


class KeyRow(NamedTuple):
    """A row of `api_key`, with its partner's code."""

    id: str
    partner_id: int
    partner: str
    title: str
    scopes: list[str]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None


class SecretRow(NamedTuple):
    """One secret of a key: its digest, by which derived key it was made, and when it ends."""

    digest: bytes
    digest_key: str
    created_at: datetime
    ends_at: datetime | None


async def read(key_id: str) -> tuple[KeyRow, list[SecretRow]] | None:
    """A key with its secrets; as much is asked for where there is none."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS}, s.digest, s.digest_key, s.created_at, s.ends_at {_FROM} "
            "LEFT JOIN api_key_secret s ON s.key_id = k.id WHERE k.id = $1",
            key_id,
        )
    if not rows:
        return None
    n = len(KeyRow._fields)
    found = [SecretRow(*row[n:]) for row in rows if row[n] is not None]
    return KeyRow(*rows[0][:n]), found


async def secrets(connection: Connection, key_id: str) -> int:
    """How many secrets a key has."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM api_key_secret WHERE key_id = $1", key_id
    )
    return count


async def lock(connection: Connection, partner: int, key_id: str) -> KeyRow | None:
    """A partner's key, locked against whoever else would change it."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} {_FROM} WHERE k.id = $1 AND k.partner_id = $2 FOR UPDATE OF k",
        key_id,
        partner,
    )
    return None if row is None else KeyRow(*row)


async def of_partner(partner: int, limit: int) -> list[KeyRow]:
    """A partner's keys, those in use first, then the latest first."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} {_FROM} WHERE k.partner_id = $1 "
            "ORDER BY k.revoked_at IS NOT NULL, k.created_at DESC, k.id LIMIT $2",
            partner,
            limit,
        )
    return [KeyRow(*row) for row in rows]


async def living(connection: Connection, partner: int) -> int:
    """How many keys of a partner aren't revoked; whoever asks is the only one for now."""
    await hold(connection, partner)
    count: int = await connection.fetchval(
        "SELECT count(*) FROM api_key WHERE partner_id = $1 AND revoked_at IS NULL", partner
    )
    return count


async def hold(connection: Connection, partner: int) -> None:
    """Nobody else makes or revokes a key of a partner until the transaction ends."""
    await connection.execute("SELECT pg_advisory_xact_lock($1, $2)", _LOCK, partner)


async def is_revoked(connection: Connection, key_id: str) -> bool:
    """Whether there is such a key, and it is revoked."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM api_key WHERE id = $1 AND revoked_at IS NOT NULL)", key_id
    )
    return found


#: Of the advisory lock with a partner's id; any constant will do.
_LOCK = 5287


async def add(connection: Connection, row: KeyRow) -> None:
    """Add a key; its secret is another row."""
    await connection.execute(
        "INSERT INTO api_key (id, partner_id, title, scopes, created_by, created_at, expires_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        row.id, row.partner_id, row.title, row.scopes, row.created_by, row.created_at,
        row.expires_at,
    )  # fmt: skip


async def add_secret(connection: Connection, key_id: str, row: SecretRow) -> None:
    """Add a secret to a key."""
    await connection.execute(
        "INSERT INTO api_key_secret (key_id, digest, digest_key, created_at, ends_at) "
        "VALUES ($1, $2, $3, $4, $5)",
        key_id,
        *row,
    )


async def end_secrets(connection: Connection, key_id: str, at: datetime, now: datetime) -> None:
    """The secrets of a key end at an instant, if not before; those that have ended are forgotten."""
    await connection.execute(
        "DELETE FROM api_key_secret WHERE key_id = $1 AND (ends_at <= $2 OR $3 <= $2)",
        key_id,
        now,
        at,
    )
    await connection.execute(
        "UPDATE api_key_secret SET ends_at = least(ends_at, $2) WHERE key_id = $1", key_id, at
    )


async def revoke(connection: Connection, partner: int, key_id: str, now: datetime) -> list[str]:
    """A key opens nothing from now on, nor do those that it made, that they made, and so on.

    What their secrets were is forgotten. Answers those that weren't revoked before.
    """
    rows = await connection.fetch(
        "WITH RECURSIVE gone AS (SELECT $2::text AS id UNION "
        "SELECT k.id FROM gone JOIN api_key k ON k.created_by = $4 || gone.id "
        "WHERE k.partner_id = $1) "
        "UPDATE api_key k SET revoked_at = $3 FROM gone "
        "WHERE k.id = gone.id AND k.revoked_at IS NULL RETURNING k.id",
        partner,
        key_id,
        now,
        BY_KEY,
    )
    ended = [row[0] for row in rows]
    await connection.execute("DELETE FROM api_key_secret WHERE key_id = ANY($1)", ended)
    return ended


async def used(connection: Connection, key_id: str, now: datetime, least: datetime) -> None:
    """A key was used; written only where the last time that is known lies at `least` or before."""
    await connection.execute(
        "UPDATE api_key SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at <= $3)",
        key_id,
        now,
        least,
    )


async def digest_anew(connection: Connection, old: bytes, new: bytes, digest_key: str) -> None:
    """A secret's digest by another derived key; whoever was faster did the same."""
    await connection.execute(
        "UPDATE api_key_secret SET digest = $2, digest_key = $3 WHERE digest = $1",
        old,
        new,
        digest_key,
    )
