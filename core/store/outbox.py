"""The outbox in SQL: what was booked and isn't told yet. Knows nothing of who is told.

A row that is there is unsent: whoever tells it deletes it, in the transaction that tells. It is
claimed by that state and never by "a number greater than the last one's", for a transaction that
took its number early may commit late.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.db import Connection, reading
from core.store.writes import ChangeRow

#: No key and no index: rows are added at the end and taken from the front, all soon after.
OUTBOX_TABLES = """
CREATE TABLE outbox (
    event_id bigint NOT NULL,
    holder_id bigint NOT NULL,
    redemption_id bigint,
    partner_id integer NOT NULL,
    kind smallint NOT NULL CHECK (kind >= 1),
    currencies integer[] NOT NULL,
    ladders integer[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
GRANT SELECT, INSERT, UPDATE, DELETE ON outbox TO laurels_app;
"""

#: What is claimed by another that is at work is left to it.
CLAIM = """
DELETE FROM outbox WHERE ctid = ANY (ARRAY (
    SELECT ctid FROM outbox LIMIT $1 FOR UPDATE SKIP LOCKED
))
RETURNING event_id, holder_id, partner_id, kind, currencies, ladders, redemption_id
"""


async def waits() -> bool:
    """Whether anything is unsent, which another may be sending."""
    async with reading() as connection:
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM outbox)"))


async def claim(connection: Connection, most: int) -> list[ChangeRow]:
    """Take some of what is unsent out of the outbox: rolled back, it is there again."""
    return [
        ChangeRow(row[0], row[1], row[2], row[3], tuple(row[4]), tuple(row[5]), row[6])
        for row in await connection.fetch(CLAIM, most)
    ]


async def notify(connection: Connection, channel: str, notices: Sequence[str]) -> None:
    """Tell all who listen, once the transaction commits."""
    await connection.execute("SELECT pg_notify($1, n) FROM unnest($2::text[]) n", channel, notices)
