"""Queries on the codes that members show: pools imported ahead, and codes made when wanted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.db import Connection

# Whoever comes at the same time passes over what is being taken, and waits for nobody.
_TAKE = """
UPDATE voucher SET state = $3, holder_id = $4, redemption_id = $5, at = $6
WHERE (partner_id, code) IN (
    SELECT partner_id, code FROM voucher WHERE reward_id = $1 AND state = 1
    ORDER BY code LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING code
"""
_ISSUE = """
INSERT INTO voucher (partner_id, code, reward_id, state, holder_id, redemption_id, at)
SELECT $1, c, $3, 2, $4, $5, $6 FROM unnest($2::text[]) AS c ORDER BY c
ON CONFLICT DO NOTHING RETURNING code
"""
# In one order for all: two imports of the same codes wait for each other, and not both ways.
_IMPORT = """
INSERT INTO voucher (partner_id, code, reward_id, state, at)
SELECT $1, c, $3, 1, $4 FROM unnest($2::text[]) AS c ORDER BY c
ON CONFLICT DO NOTHING RETURNING code
"""


async def take(
    connection: Connection,
    reward: int,
    quantity: int,
    of: tuple[int, int],
    now: datetime,
    *,
    shown: bool,
) -> list[str]:
    """Take codes from a pool `of` a (holder, redemption), fewer where fewer are left.

    What isn't shown yet is set aside only.
    """
    rows = await connection.fetch(_TAKE, reward, quantity, 2 if shown else 4, *of, now)
    return sorted(row[0] for row in rows)


async def issue(
    connection: Connection,
    partner: int,
    codes: Sequence[str],
    reward: int | None,
    of: tuple[int, int],
    now: datetime,
) -> list[str]:
    """Issue codes that were just made up; those that the partner has already are left out."""
    return [r[0] for r in await connection.fetch(_ISSUE, partner, list(codes), reward, *of, now)]


async def add(
    connection: Connection, partner: int, reward: int, codes: Sequence[str], now: datetime
) -> set[str]:
    """Put codes into a pool; returns those that are new to the partner."""
    rows = await connection.fetch(_IMPORT, partner, list(codes), reward, now)
    return {row[0] for row in rows}


async def strangers(
    connection: Connection, partner: int, reward: int, codes: Sequence[str]
) -> set[str]:
    """Which of these codes the partner has for something else than this reward."""
    rows = await connection.fetch(
        "SELECT code FROM voucher WHERE partner_id = $1 AND code = ANY($2) "
        "AND reward_id IS DISTINCT FROM $3",
        partner,
        list(codes),
        reward,
    )
    return {row[0] for row in rows}
