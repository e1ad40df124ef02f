"""Queries on rewards that a person hands out: requests, and what was decided on them.

The books know each as a redemption that is held; why one was declined is in words that can be erased.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Connection, Row, reading
from core.redeemed import Redemption, from_row
from core.store.posting import columns
from core.store.redemptions import COLUMNS

FULFILMENT_TABLE = """
CREATE TABLE fulfilment (
    holder_id bigint NOT NULL,
    redemption_id bigint NOT NULL,
    partner_id integer NOT NULL,
    requested_at timestamptz NOT NULL,
    decided_at timestamptz,
    approved boolean,
    caller text CHECK (length(caller) BETWEEN 1 AND 200),
    reason text CHECK (length(reason) BETWEEN 1 AND 500),
    PRIMARY KEY (holder_id, redemption_id),
    FOREIGN KEY (holder_id, redemption_id) REFERENCES redemption (holder_id, id),
    CONSTRAINT fulfilment_decided CHECK ((decided_at IS NULL) = (approved IS NULL)
        AND (caller IS NULL) = (approved IS NULL) AND (reason IS NULL OR NOT approved))
);
CREATE INDEX fulfilment_by_time ON fulfilment (partner_id, requested_at, redemption_id);
GRANT SELECT, INSERT, UPDATE ON fulfilment TO laurels_app;
"""
#: What must stand, for `laurels check`.
FULFILMENT_CONSTRAINTS = {
    "fulfilment": "pkey holder_id_redemption_id_fkey caller_check reason_check decided"
}
# Handed out is what somebody approved; what was declined gave its points back.
FULFILMENT_QUESTIONS = {
    "requests = their redemptions": """
        SELECT 'request ' || f.holder_id || '/' || f.redemption_id, format('%s, and its redemption stands at %s',
            CASE WHEN f.approved THEN 'approved' WHEN f.approved IS NULL THEN 'not decided on' ELSE 'declined' END,
            r.status)
        FROM fulfilment f LEFT JOIN redemption r ON r.holder_id = f.holder_id AND r.id = f.redemption_id
        WHERE r.id IS NULL OR r.partner_id <> f.partner_id OR r.requested_at <> f.requested_at
            OR r.status IN (2, 5) AND f.approved IS NOT TRUE OR r.status <> 3 AND f.approved IS FALSE
        ORDER BY 1 LIMIT 20""",
}
# 1 requested, 2 approved, 3 delivered, 4 declined, 5 ended otherwise: its time ran out, its member
# gave it up, or it was reversed.
_FOUND = f"""
SELECT {COLUMNS}, f.decided_at, f.reason AS why,
    CASE WHEN r.status = 1 AND r.hold_until > $1 THEN CASE WHEN f.approved THEN 2 ELSE 1 END
        WHEN r.status = 2 THEN 3 WHEN NOT f.approved THEN 4 ELSE 5 END AS state
FROM fulfilment f JOIN redemption r ON r.holder_id = f.holder_id AND r.id = f.redemption_id
"""


class Fulfilling(NamedTuple):
    """A reward that a person hands out: its redemption, and how far it has come."""

    redemption: Redemption
    state: int
    decided_at: datetime | None
    reason: str | None


class Wanted(NamedTuple):
    """Which ones; None: all."""

    partner: int | None = None
    holder: int | None = None
    state: int | None = None


async def add(connection: Connection, done: Redemption) -> None:
    """Somebody asks for it."""
    await connection.execute(
        "INSERT INTO fulfilment (holder_id, redemption_id, partner_id, requested_at) "
        "VALUES ($1, $2, $3, $4)",
        done.holder,
        done.id,
        done.partner,
        done.requested_at,
    )


async def undecided(connection: Connection, found: Redemption) -> bool:
    """Whether it waits to be approved."""
    waits: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM fulfilment WHERE holder_id = $1 AND redemption_id = $2 "
        "AND approved IS NULL)",
        found.holder,
        found.id,
    )
    return waits


async def undecided_of(
    connection: Connection, keys: Sequence[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Which of these (holder, redemption) wait to be approved."""
    rows = await connection.fetch(
        "SELECT holder_id, redemption_id FROM unnest($1::bigint[], $2::bigint[]) "
        "AS k (holder_id, redemption_id) JOIN fulfilment f USING (holder_id, redemption_id) "
        "WHERE f.approved IS NULL",
        *columns(keys, 2),
    )
    return {(row[0], row[1]) for row in rows}


async def decide(
    connection: Connection,
    found: Redemption,
    caller: str,
    now: datetime,
    *,
    approved: bool,
    reason: str | None,
) -> bool:
    """Approve or decline; what was approved may still be declined. False where it is too late."""
    done = await connection.execute(
        "UPDATE fulfilment SET decided_at = $3, approved = $4, caller = $5, reason = $6 "
        "WHERE holder_id = $1 AND redemption_id = $2 "
        "AND (approved IS NULL OR approved AND NOT $4::boolean)",
        found.holder,
        found.id,
        now,
        approved,
        caller[:200],
        reason,
    )
    return bool(done.endswith(" 1"))


async def page(
    wanted: Wanted, now: datetime, after: tuple[datetime, int] | None, limit: int
) -> list[Fulfilling]:
    """Those wanted, the longest waiting first, after (requested at, redemption) of the last seen."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT * FROM ({_FOUND} WHERE ($2::int IS NULL OR f.partner_id = $2) "
            "AND ($3::bigint IS NULL OR f.holder_id = $3) AND ($4::timestamptz IS NULL "
            "OR (f.requested_at, f.redemption_id) > ($4, $5::bigint))) x "
            "WHERE $6::int IS NULL OR state = $6 ORDER BY requested_at, id LIMIT $7",
            now,
            wanted.partner,
            wanted.holder,
            *(after or (None, None)),
            wanted.state,
            limit,
        )
    return [_fulfilling(row) for row in rows]


async def read(holder: int, redemption: int, now: datetime) -> Fulfilling | None:
    """The one of this redemption, if a person hands it out."""
    async with reading() as connection:
        row = await connection.fetchrow(
            f"{_FOUND} WHERE f.holder_id = $2 AND f.redemption_id = $3", now, holder, redemption
        )
    return None if row is None else _fulfilling(row)


def _fulfilling(row: Row) -> Fulfilling:
    return Fulfilling(from_row(row), row["state"], row["decided_at"], row["why"])
