"""Queries on personal offers: members' pasts, what was chosen for whom and why, and what came of it.

Personal, and of no book: it can be erased while the books stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from core.db import Connection, reading
from core.store.posting import columns
from laurels.personal import Visit

#: Later than any purchase: until then something is on offer that has no end.
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
#: What was chosen for a member in a period; of `control` it was offered nothing.
PERSONAL_TABLES = """
CREATE TABLE personal_offer (
    holder_id bigint NOT NULL REFERENCES holder (id),
    partner_id integer NOT NULL,
    offers text NOT NULL CHECK (length(offers) BETWEEN 1 AND 64),
    period_at timestamptz NOT NULL,
    rule text NOT NULL CHECK (length(rule) BETWEEN 1 AND 64),
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at > from_at),
    because text NOT NULL CHECK (length(because) BETWEEN 1 AND 300),
    control boolean NOT NULL,
    -- By which it is noted, where it is offered (see `attribute`).
    attribute_id bigint,
    PRIMARY KEY (holder_id, partner_id, offers, period_at, rule),
    CONSTRAINT personal_offer_control CHECK (control = (attribute_id IS NULL)),
    CONSTRAINT personal_offer_period CHECK (from_at >= period_at)
);
CREATE INDEX personal_offer_of ON personal_offer (partner_id, offers, period_at);
GRANT SELECT, INSERT, DELETE ON personal_offer TO laurels_app;
"""
#: What must stand, for `laurels check`.
PERSONAL_CONSTRAINTS = {
    "personal_offer": "pkey holder_id_fkey offers_check rule_check check because_check control period",
}

_KNOWN = """
SELECT r.holder_id FROM relation r JOIN holder h ON h.id = r.holder_id AND h.erased_at IS NULL
WHERE r.partner_id = $1 AND r.purchases > 0 AND r.holder_id > $2 AND NOT EXISTS (
    SELECT FROM personal_offer p WHERE p.holder_id = r.holder_id AND p.partner_id = $1
        AND p.offers = $3 AND p.period_at = $4)
ORDER BY 1 LIMIT $5
"""
# A purchase is booked five minutes before it happened, at the earliest. What a holder bought as its
# last revision says it, unless all of it was cancelled; of goods alone.
_BOUGHT = """
SELECT e.id, e.holder_id, d.occurred_at, e.money, l.spend, l.products, l.quantities
FROM decision d JOIN event e ON e.id = coalesce((
    SELECT x.id FROM event x WHERE x.purchase_id = d.event_id AND x.kind = 10
    ORDER BY x.booked_at DESC LIMIT 1), d.event_id)
JOIN LATERAL (
    SELECT sum(k.amount)::bigint AS spend, array_agg(k.product_type ORDER BY k.product_type) AS products,
        array_agg(k.quantity ORDER BY k.product_type) AS quantities
    FROM (SELECT y.product_type, sum(y.amount) AS amount, sum(y.quantity)::bigint AS quantity
        FROM event_line y WHERE y.event_id = e.id AND y.kind IS NULL GROUP BY 1) k
) l ON l.spend IS NOT NULL
WHERE d.holder_id = {holder} AND d.booked_at >= {begins} - interval '1 hour' AND d.kind = 1
    AND d.partner_id = $1 AND d.occurred_at >= {begins} AND d.occurred_at < {ends}
    AND NOT EXISTS (SELECT FROM event x WHERE x.purchase_id = d.event_id AND x.kind = 9)
"""
_HISTORIES = f"""
SELECT b.* FROM unnest($2::bigint[]) AS h (id)
JOIN LATERAL ({_BOUGHT.format(holder="h.id", begins="$3::timestamptz", ends="$4::timestamptz")}) b ON true
ORDER BY b.holder_id, b.occurred_at, b.id
"""


async def known(partner: int, offers: str, period: datetime, after: int, limit: int) -> list[int]:
    """The next of those who bought at a partner, in id order, for whom nothing was chosen yet."""
    async with reading() as connection:
        rows = await connection.fetch(_KNOWN, partner, after, offers, period, limit)
    return [row[0] for row in rows]


async def histories(
    partner: int, holders: Sequence[int], begins: datetime, ends: datetime
) -> dict[int, list[Visit]]:
    """What these members bought at a partner, the earliest first; who bought nothing isn't there."""
    found: dict[int, list[Visit]] = {}
    async with reading() as connection:
        for row in await connection.fetch(_HISTORIES, partner, list(holders), begins, ends):
            products = dict(zip(row[5], row[6], strict=True))
            found.setdefault(row[1], []).append(Visit(row[2], row[3], row[4], products))
    return found


class OfferRow(NamedTuple):
    """A row of `personal_offer`, in its order."""

    holder: int
    partner: int
    offers: str
    period: datetime
    rule: str
    from_at: datetime
    until: datetime
    because: str
    control: bool
    attribute: int | None


# Who was chosen for meanwhile keeps what was chosen then: its holder is locked.
_ADD = """
WITH p AS (
    INSERT INTO personal_offer
    SELECT n.* FROM unnest($1::bigint[], $2::int[], $3::text[], $4::timestamptz[], $5::text[],
        $6::timestamptz[], $7::timestamptz[], $8::text[], $9::boolean[], $10::bigint[])
        AS n (a, b, c, d, e, f, g, h, i, j)
    WHERE NOT EXISTS (SELECT FROM personal_offer x WHERE x.holder_id = n.a AND x.partner_id = n.b
        AND x.offers = n.c AND x.period_at = n.d)
    RETURNING holder_id, partner_id, rule, from_at, until_at, attribute_id
), a AS (
    INSERT INTO attribute (holder_id, partner_id, name, at, id, event_id, value, until_at)
    SELECT holder_id, partner_id, 'offer:' || rule, from_at, attribute_id, NULL, 'yes', until_at
    FROM p WHERE attribute_id IS NOT NULL
)
SELECT count(*) FILTER (WHERE attribute_id IS NOT NULL), count(*) FILTER (WHERE attribute_id IS NULL)
FROM p
"""


async def add(connection: Connection, rows: Sequence[OfferRow]) -> tuple[int, int]:
    """Note what was chosen: how many rules are on offer now, and how many were held back.

    The members are locked.
    """
    row = await connection.fetchrow(_ADD, *columns(rows, 10))
    assert row is not None
    return row[0], row[1]


async def of_holders(holders: Sequence[int]) -> dict[int, list[OfferRow]]:
    """What was ever offered to these members; nothing of what was held back."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT * FROM personal_offer WHERE holder_id = ANY($1) AND NOT control "
            "ORDER BY holder_id, from_at, partner_id, offers, rule",
            list(holders),
        )
    found: dict[int, list[OfferRow]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(OfferRow(*row))
    return found


class Taking(NamedTuple):
    """An offered rule of a member's, and while it is on offer."""

    holder: int
    partner: int
    rule: str
    from_at: datetime
    until: datetime


_TAKEN = """
SELECT k.place, count(DISTINCT t.event_id)
FROM unnest($1::int[], $2::bigint[], $3::int[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS k (place, holder_id, partner_id, rule, begins, ends)
JOIN rule r ON r.partner_id = k.partner_id AND r.code = k.rule
JOIN transfer t ON t.holder_id = k.holder_id AND t.rule_id = r.id AND t.kind = 1
    AND t.occurred_at >= k.begins AND t.occurred_at < k.ends
WHERE NOT EXISTS (SELECT FROM event x WHERE x.purchase_id = t.event_id AND x.kind IN (9, 20))
GROUP BY 1
"""


async def taken(offers: Sequence[Taking]) -> dict[Taking, int]:
    """For how many purchases each of these gave points; those that were cancelled don't count."""
    async with reading() as connection:
        rows = await connection.fetch(_TAKEN, *columns([(n, *x) for n, x in enumerate(offers)], 6))
    counts = {row[0]: row[1] for row in rows}
    return {offer: counts.get(n, 0) for n, offer in enumerate(offers)}


class Arm(NamedTuple):
    """What became of those who were offered something, or of those who weren't.

    A member in a period is a round: `bought` are the rounds in which it bought while it was on
    offer, `spend` is what the goods cost, in minor units.
    """

    members: int = 0
    rounds: int = 0
    bought: int = 0
    spend: int = 0


_REPORT = f"""
SELECT p.control, count(DISTINCT p.holder_id), count(*), count(*) FILTER (WHERE b.n > 0),
    coalesce(sum(b.spend), 0)::bigint
FROM (
    SELECT holder_id, control, min(from_at) AS from_at, max(until_at) AS until_at FROM personal_offer
    WHERE partner_id = $1 AND offers = $2 AND period_at >= $3 AND period_at < $4
    GROUP BY holder_id, period_at, control
) p
CROSS JOIN LATERAL (SELECT count(*) AS n, sum(v.spend) AS spend FROM (
    {_BOUGHT.format(holder="p.holder_id", begins="p.from_at", ends="p.until_at")}) v
    WHERE v.money = $5
) b
GROUP BY 1
"""


async def report(
    partner: int, offers: str, begins: datetime, ends: datetime, money: str
) -> tuple[Arm, Arm]:
    """Who was offered something, and who wasn't though it was chosen, in periods that began then."""
    async with reading() as connection:
        rows = await connection.fetch(_REPORT, partner, offers, begins, ends, money)
    found = {row[0]: Arm(*tuple(row)[1:]) for row in rows}
    return found.get(False, Arm()), found.get(True, Arm())
