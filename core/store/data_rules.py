"""Queries on data rules: their revisions, as saved and as they are in force."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core.db import Connection, reading

#: On this channel every process hears that the rulebook has changed.
CHANNEL = "laurels_rulebook"
_COLUMNS = """partner_id, code, revision, definition, saved_by, saved_at, rule_id, from_at, until_at,
    shadow_at"""


class DataRuleRow(NamedTuple):
    """A revision of a data rule; `from_at` None: it was never activated.

    A draft judges in shadow since `shadow_at`; None: it doesn't.
    """

    partner: int
    code: str
    revision: int
    definition: dict[str, Any]
    saved_by: str
    saved_at: datetime
    rule: int | None
    from_at: datetime | None
    until_at: datetime | None
    shadow_at: datetime | None = None


async def lock(connection: Connection, partner: int, code: str) -> list[DataRuleRow]:
    """All revisions of a rule, the latest first; one change of a partner's rules at a time."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('rules|' || $1::int, 7))", partner
    )
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM data_rule WHERE partner_id = $1 AND code = $2 "
        "ORDER BY revision DESC",
        partner,
        code,
    )
    return [_row(row) for row in rows]


async def add(connection: Connection, row: DataRuleRow) -> None:
    """Add a revision as it was saved."""
    await connection.execute(
        "INSERT INTO data_rule (partner_id, code, revision, definition, saved_by, saved_at) "
        "VALUES ($1, $2, $3, $4::jsonb, $5, $6)",
        *row[:3],
        orjson.dumps(row.definition).decode(),
        *row[4:6],
    )


async def in_force(connection: Connection, partner: int, since: datetime) -> list[dict[str, Any]]:
    """What a partner's data rules say that are in force after an instant."""
    rows = await connection.fetch(
        "SELECT definition FROM data_rule WHERE partner_id = $1 AND from_at IS NOT NULL "
        "AND (until_at IS NULL OR until_at > $2) ORDER BY code, revision",
        partner,
        since,
    )
    return [orjson.loads(row[0]) for row in rows]


async def put_in_force(
    connection: Connection,
    row: DataRuleRow,
    rule: int,
    from_at: datetime,
    until_at: datetime | None,
) -> None:
    """A revision judges from then on, by this stored version, and no more in shadow."""
    await connection.execute(
        "UPDATE data_rule SET rule_id = $4, from_at = $5, until_at = $6, shadow_at = NULL "
        "WHERE partner_id = $1 AND code = $2 AND revision = $3",
        *row[:3],
        rule,
        from_at,
        until_at,
    )


async def shadow(connection: Connection, row: DataRuleRow, since: datetime | None) -> None:
    """A draft judges in shadow, and no other revision of its rule does; None: nor does it."""
    await connection.execute(
        "UPDATE data_rule SET shadow_at = NULL "
        "WHERE partner_id = $1 AND code = $2 AND shadow_at IS NOT NULL",
        *row[:2],
    )
    if since is not None:
        await connection.execute(
            "UPDATE data_rule SET shadow_at = $4 "
            "WHERE partner_id = $1 AND code = $2 AND revision = $3",
            *row[:3],
            since,
        )


async def end(connection: Connection, row: DataRuleRow, until_at: datetime) -> None:
    """A revision judges nothing from then on."""
    await connection.execute(
        "UPDATE data_rule SET until_at = $4 WHERE partner_id = $1 AND code = $2 AND revision = $3",
        *row[:3],
        until_at,
    )


async def tell(connection: Connection) -> None:
    """With the commit, tell every process that the rulebook has changed."""
    await connection.execute("SELECT pg_notify($1, '')", CHANNEL)


async def of_partner(partner: int, code: str | None, limit: int) -> list[DataRuleRow]:
    """A partner's data rules (or one) with their revisions, the latest first."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} FROM data_rule WHERE partner_id = $1 "
            "AND ($2::text IS NULL OR code = $2) ORDER BY code, revision DESC LIMIT $3",
            partner,
            code,
            limit,
        )
    return [_row(row) for row in rows]


def _row(row: Any) -> DataRuleRow:
    return DataRuleRow(row[0], row[1], row[2], orjson.loads(row[3]), *row[4:])
