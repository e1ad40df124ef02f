"""Queries on what a member did at partners, for its page: what it bought, which rules gave, notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import reading
from core.store.posting import columns


class Bought(NamedTuple):
    """A purchase in the order of booking."""

    event: int
    booked_at: datetime
    occurred_at: datetime


class Noted(NamedTuple):
    """What staff wrote when it adjusted points; `partner` 0: in the programme's name."""

    holder: int
    event: int
    partner: int
    at: datetime
    reason: str
    note: str


async def purchases(
    holders: Sequence[int], before: datetime | None, limit: int, partner: int | None
) -> Mapping[int, list[Bought]]:
    """A page of each holder's purchases (at one partner), the newest booked first."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT d.holder_id, d.event_id, d.booked_at, d.occurred_at "
            "FROM unnest($1::bigint[]) AS k (h) CROSS JOIN LATERAL ("
            "SELECT * FROM decision d WHERE d.holder_id = k.h AND d.kind = 1 "
            "AND ($2::timestamptz IS NULL OR d.booked_at < $2) "
            "AND ($4::int IS NULL OR d.partner_id = $4) ORDER BY d.booked_at DESC LIMIT $3) d",
            list(holders),
            before,
            limit,
            partner,
        )
    found: dict[int, list[Bought]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(Bought(*tuple(row)[1:]))
    return found


async def last_given(
    keys: Sequence[tuple[int, int, str]],
) -> Mapping[tuple[int, int, str], datetime]:
    """When a rule last gave a member points, by (holder, partner, rule's code); never: not there."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT k.h, k.p, k.c, max(t.occurred_at) "
            "FROM unnest($1::bigint[], $2::int[], $3::text[]) AS k (h, p, c) "
            "JOIN rule r ON r.partner_id = k.p AND r.code = k.c "
            "JOIN transfer t ON t.holder_id = k.h AND t.rule_id = r.id GROUP BY 1, 2, 3",
            *columns(keys, 3),
        )
    return {(row[0], row[1], row[2]): row[3] for row in rows}


async def notes(
    holders: Sequence[int], limit: int, partner: int | None
) -> Mapping[int, list[Noted]]:
    """The newest words of staff on each holder (of one partner's), as long as they are kept."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT x.* FROM unnest($1::bigint[]) AS k (h) CROSS JOIN LATERAL ("
            "SELECT a.holder_id, a.event_id, a.partner_id, a.at, a.reason, n.note "
            "FROM adjustment_note n JOIN adjustment a USING (holder_id, event_id) "
            "WHERE n.holder_id = k.h AND ($3::int IS NULL OR a.partner_id = $3) "
            "ORDER BY a.at DESC, a.event_id DESC LIMIT $2) x",
            list(holders),
            limit,
            partner,
        )
    found: dict[int, list[Noted]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(Noted(*row))
    return found
