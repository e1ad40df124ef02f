"""Queries of the nightly review."""

from __future__ import annotations

from datetime import datetime

from core.db import Connection


async def lock_ranked(connection: Connection, after: int, limit: int) -> dict[int, datetime | None]:
    """Lock the next holders, in id order, that stand above the foot of some ladder."""
    rows = await connection.fetch(
        "SELECT h.id, h.booked_at FROM holder h WHERE h.id > $1 AND EXISTS ("
        "SELECT FROM standing s WHERE s.holder_id = h.id AND s.rank > 0) "
        "ORDER BY h.id LIMIT $2 FOR NO KEY UPDATE OF h",
        after,
        limit,
    )
    return {row[0]: row[1] for row in rows}
