"""Queries of the nightly run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.db import reading, transaction
from core.store.lots import DUE
from core.store.posting import columns

#: Of `notice.kind`; stored.
WILL_EXPIRE = 1
WILL_BE_DOWNGRADED = 2


async def due_holders(now: datetime, *, pending: bool) -> list[int]:
    """The holders to whose lots time has done something by now, in id order."""
    only = "AND l.pending" if pending else ""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT DISTINCT l.holder_id FROM lot l WHERE l.remaining > 0 AND {DUE} <= $1 {only} "
            "ORDER BY 1",
            now,
        )
    return [row[0] for row in rows]


async def announce_expiry(currency: int, lead: str, now: datetime, until: datetime) -> int:
    """Note what expires in (now, until], once for each member, instant and lead time."""
    async with transaction() as connection:
        done = await connection.execute(
            "INSERT INTO notice (holder_id, kind, subject_id, due_at, lead, amount, at) "
            f"SELECT l.holder_id, {WILL_EXPIRE}, l.currency_id, l.expires_at, $2, "
            "sum(l.remaining), $3 "
            f"FROM lot l WHERE l.remaining > 0 AND {DUE} > $3 AND {DUE} <= $4 "
            "AND NOT l.pending AND l.currency_id = $1 GROUP BY 1, 3, 4 ON CONFLICT DO NOTHING",
            currency,
            lead,
            now,
            until,
        )
    return int(done.rpartition(" ")[2])


async def ranked(ladders: Sequence[int], after: int, limit: int) -> list[int]:
    """The next holders, in id order, who stand above the foot of one of these ladders."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT s.holder_id FROM standing s WHERE s.ladder_id = ANY($1) "
            "AND s.rank > 0 AND s.holder_id > $2 ORDER BY 1 LIMIT $3",
            list(ladders),
            after,
            limit,
        )
    return [row[0] for row in rows]


async def announce_falls(rows: Sequence[tuple[int, int, datetime, str, int]], now: datetime) -> int:
    """Note tiers that will be lost: (holder, ladder, when, lead time, what would keep it) each."""
    if not rows:
        return 0
    async with transaction() as connection:
        done = await connection.execute(
            "INSERT INTO notice (holder_id, kind, subject_id, due_at, lead, amount, at) "
            f"SELECT a, {WILL_BE_DOWNGRADED}, b, c, d, e, $6 FROM unnest($1::bigint[], $2::int[], "
            "$3::timestamptz[], $4::text[], $5::bigint[]) AS n (a, b, c, d, e) "
            "ON CONFLICT DO NOTHING",
            *columns(rows, 5),
            now,
        )
    return int(done.rpartition(" ")[2])
