"""The keys under which partners' names for members are made: one for each, made once, never shown."""

from __future__ import annotations

from collections.abc import Collection

from core.db import Connection

PSEUDONYM_TABLE = """
CREATE TABLE pseudonym_key (
    partner_id integer PRIMARY KEY REFERENCES partner (id),
    -- 244 random bits, hashed to the length of the key.
    key bytea NOT NULL CHECK (length(key) = 16) DEFAULT
        substr(sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 1, 16)
);
GRANT SELECT, INSERT ON pseudonym_key TO laurels_app;
"""


async def keys(connection: Connection, partners: Collection[int]) -> dict[int, bytes]:
    """The key of each partner, made where there is none yet."""
    ids = list(partners)
    await connection.execute(
        "INSERT INTO pseudonym_key (partner_id) SELECT unnest($1::int[]) ON CONFLICT DO NOTHING",
        ids,
    )
    rows = await connection.fetch(
        "SELECT partner_id, key FROM pseudonym_key WHERE partner_id = ANY($1)", ids
    )
    return {row["partner_id"]: row["key"] for row in rows}
