"""Queries on whom deliveries wait for: members who aren't enrolled yet, by keyed digests alone.

Must not know what a delivery is, nor who enrols.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from core.db import Connection
from core.store.posting import columns

# Under a key of the partner's, for the digest outlives the body: nobody is found by guessing names.
_DIGEST = "sha256(p.key || convert_to(k.kind || '|' || k.scope || '|' || k.value, 'UTF8') || p.key)"
# Who enrolled since it was tried found nothing to wake: so it is looked for once more.
_AWAIT = f"""
UPDATE inbound i SET awaits = {_DIGEST}, next_at = CASE WHEN EXISTS (SELECT FROM identifier x
    WHERE x.kind = k.kind AND x.scope = k.scope AND x.value = k.value) THEN $2 ELSE i.next_at END
FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::text[]) AS k (id, kind, scope, value)
JOIN pseudonym_key p ON p.partner_id = $1
WHERE i.id = k.id AND i.done_at IS NULL
"""
_ARRIVED = f"""
UPDATE inbound i SET next_at = $1
FROM unnest($2::smallint[], $3::int[], $4::text[]) AS k (kind, scope, value)
JOIN pseudonym_key p ON k.scope IN (0, p.partner_id)
WHERE i.awaits = {_DIGEST} AND i.partner_id = p.partner_id AND i.next_at > $1
"""


async def wait_for(
    connection: Connection,
    partner: int,
    awaiting: Sequence[tuple[int, int, int, str]],
    now: datetime,
) -> None:
    """Deliveries of a partner's wait for a member each: (id, kind, scope, value), which is locked."""
    await connection.execute(_AWAIT, partner, now, *columns(awaiting, 4))


async def arrived(
    connection: Connection, keys: Sequence[tuple[int, int, str]], now: datetime
) -> None:
    """Somebody is known by these identifiers from now on: try what waits for them at once."""
    await connection.execute(_ARRIVED, now, *columns(keys, 3))
