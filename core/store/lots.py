"""Queries on lots, many ledgers at a time, each lot with the policy that it was opened under."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from core.db import Connection, Row
from core.entries import Lot
from core.ledger import Ledger
from core.rulebook import PolicyTerms
from core.store.posting import columns
from laurels.policies import Policy

COLUMNS = """l.holder_id, l.currency_id, l.seq, l.amount, l.remaining, l.occurred_at,
    nullif(l.active_at, 'infinity'), nullif(l.expires_at, 'infinity'),
    nullif(l.lapses_at, 'infinity'), l.partner_id, l.rule_id, l.pending, l.policy_id,
    p.version, p.pending, p.expires, p.returns, p.grace, p.time_zone"""
#: What time does to a lot next; the index `lot_due` is on this very expression.
DUE = "(CASE WHEN l.pending THEN least(l.active_at, l.lapses_at) ELSE l.expires_at END)"

_OPEN = f"""
SELECT {COLUMNS} FROM lot l JOIN policy p ON p.id = l.policy_id
WHERE l.holder_id = ANY($1) AND l.currency_id = ANY($2) AND l.remaining > 0
"""
_DUE = f"""
SELECT {COLUMNS} FROM lot l JOIN policy p ON p.id = l.policy_id
WHERE l.holder_id = ANY($1) AND l.remaining > 0 AND {DUE} <= $2
"""
# Lots that purchases opened, spent ones too, with the event of each and what of it went unused.
_EARNED = f"""
SELECT {COLUMNS}, t.event_id, coalesce(g.gone, 0)::bigint
FROM unnest($1::bigint[], $2::bigint[]) AS k (holder_id, event_id)
JOIN decision d ON d.holder_id = k.holder_id AND d.event_id = k.event_id
JOIN transfer t ON t.holder_id = d.holder_id AND t.booked_at = d.booked_at AND t.kind = 1
JOIN lot l ON l.holder_id = t.holder_id AND l.currency_id = t.currency_id AND l.seq = t.seq
JOIN policy p ON p.id = l.policy_id
LEFT JOIN LATERAL (
    SELECT sum(a.amount) AS gone FROM allocation a
    JOIN transfer x ON x.holder_id = a.holder_id AND x.currency_id = a.currency_id AND x.seq = a.seq
    WHERE a.holder_id = l.holder_id AND a.currency_id = l.currency_id AND a.lot_seq = l.seq
        AND x.kind IN (3, 9)
) g ON true
"""


@lru_cache(maxsize=4096)
def _terms(number: int, version: int, *texts: str | None) -> PolicyTerms:
    pending, expires, returns, grace, time_zone = texts
    assert returns is not None
    assert time_zone is not None
    return PolicyTerms(number, Policy.parse(pending, expires, returns, grace, time_zone), version)


def lot_from(row: Row) -> Lot:
    """A lot as it stands; see COLUMNS."""
    return Lot(
        row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10],
        _terms(row[12], row[13], row[14], row[15], row[16], row[17], row[18]), row[11], dirty=False,
    )  # fmt: skip


#: A lot with the (holder, currency) of its ledger.
Placed = tuple[tuple[int, int], Lot]


def _placed(rows: Sequence[Row]) -> list[Placed]:
    return [((row[0], row[1]), lot_from(row)) for row in rows]


async def open_lots(
    connection: Connection, holders: Sequence[int], currencies: Sequence[int]
) -> list[Placed]:
    """The lots that still hold points, of these holders in these currencies."""
    return _placed(await connection.fetch(_OPEN, list(holders), list(currencies)))


async def due_lots(connection: Connection, holders: Sequence[int], now: datetime) -> list[Placed]:
    """The lots to which time has done something by now that isn't booked yet."""
    return _placed(await connection.fetch(_DUE, list(holders), now))


async def earned_lots(connection: Connection, keys: Sequence[tuple[int, int]]) -> list[Placed]:
    """The lots that these (holder, event) opened, also spent ones: `event` and `gone` filled in."""
    found = []
    for row in await connection.fetch(_EARNED, *columns(keys, 2)):
        lot = lot_from(row)
        lot.event, lot.gone = row[19], row[20]
        found.append(((row[0], row[1]), lot))
    return found


async def ledgers(connection: Connection, keys: Sequence[tuple[int, int]]) -> list[Ledger]:
    """These (holder, currency) ledgers as they stand, without their lots."""
    rows = await connection.fetch(
        "SELECT g.holder_id, g.currency_id, g.seq, g.active, g.reserved, g.pending, g.arrears, "
        "g.latest_at FROM unnest($1::bigint[], $2::int[]) AS k (holder_id, currency_id) "
        "JOIN ledger g USING (holder_id, currency_id)",
        *columns(keys, 2),
    )
    return [Ledger(*row) for row in rows]
