"""Reads by key for whoever shows the books: members, single rows, and what stands behind them.

Each takes many keys and is one statement, so that a page costs the same however long it is. Knows
nothing of who may see what it returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Row, reading
from core.entries import Transfer
from core.models import CurrencyRow, PartnerRow, PolicyRow, RewardRow
from core.rulebook import CurrencyTerms, PolicyTerms
from core.store.posting import columns
from core.store.redemptions import COLUMNS as _REDEMPTION
from laurels.policies import Policy


class MemberRecord(NamedTuple):
    """Who a holder is."""

    holder: int
    name: str | None
    claimed: bool
    enrolled_at: datetime


class LotRecord(NamedTuple):
    """A lot as it stands; `version`, `held` and `policy` are of the policy that is pinned on it.

    `active_at` is None while an event is awaited, at the latest until `lapses_at`.
    """

    holder: int
    currency: int
    seq: int
    amount: int
    remaining: int
    occurred_at: datetime
    active_at: datetime | None
    expires_at: datetime | None
    lapses_at: datetime | None
    partner: int
    rule: int | None
    pending: bool
    version: int
    held: str | None
    policy: str | None


class EventRecord(NamedTuple):
    """A booked event; of later ones of a purchase `purchase` is the purchase's event."""

    id: int
    holder: int
    kind: int
    occurred_at: datetime
    booked_at: datetime
    partner: int
    purchase: int | None
    external_id: str


class Source(NamedTuple):
    """What a transfer took from one lot."""

    lot: int
    amount: int
    occurred_at: datetime
    expires_at: datetime | None
    policy: str | None


class TierChange(NamedTuple):
    """A member's rank on a ladder changed."""

    ladder: int
    at: datetime
    before: int
    after: int


_MEMBER = "m.holder_id, m.name, m.claimed, m.enrolled_at"
_TRANSFER = """t.holder_id, t.currency_id, t.seq, t.booked_at, t.occurred_at, t.kind, t.source,
    t.target, t.amount, t.partner_id, t.rule_id, t.event_id"""
_KEYS3 = "unnest($1::bigint[], $2::int[], $3::int[]) AS k (holder_id, currency_id, seq)"


async def _fetch(sql: str, *arguments: object) -> list[Row]:
    async with reading() as connection:
        return list(await connection.fetch(sql, *arguments))


async def members(holders: Sequence[int]) -> dict[int, MemberRecord]:
    """Members by holder."""
    rows = await _fetch(
        f"SELECT {_MEMBER} FROM member m WHERE m.holder_id = ANY($1)", list(holders)
    )
    return {row[0]: MemberRecord(*row) for row in rows}


async def member_page(
    after: int,
    limit: int,
    partner: int | None = None,
    identifier: tuple[int, int, str] | None = None,
) -> list[MemberRecord]:
    """Members with a holder id above `after`, in its order.

    `partner` keeps those who have dealt with it, `identifier` (kind, scope, value) the one known so.
    """
    where, arguments = ["m.holder_id > $1"], [after, limit]
    extra: list[object] = []
    if partner is not None:
        extra.append(partner)
        where.append(
            "EXISTS (SELECT FROM relation r WHERE r.holder_id = m.holder_id "
            f"AND r.partner_id = ${2 + len(extra)})"
        )
    if identifier is not None:
        at = 3 + len(extra)
        extra += identifier
        where.append(
            "m.holder_id IN (SELECT i.holder_id FROM identifier i "
            f"WHERE i.kind = ${at} AND i.scope = ${at + 1} AND i.value = ${at + 2})"
        )
    rows = await _fetch(
        f"SELECT {_MEMBER} FROM member m WHERE {' AND '.join(where)} ORDER BY m.holder_id LIMIT $2",
        *arguments,
        *extra,
    )
    return [MemberRecord(*row) for row in rows]


async def holder_of(kind: int, scope: int, value: str) -> int | None:
    """The holder that is known by this identifier."""
    rows = await _fetch(
        "SELECT holder_id FROM identifier WHERE kind = $1 AND scope = $2 AND value = $3",
        kind,
        scope,
        value,
    )
    return rows[0][0] if rows else None


async def identifiers(holders: Sequence[int]) -> dict[int, list[tuple[int, int, str]]]:
    """(kind, scope, value) of each holder's identifiers, in one order."""
    found: dict[int, list[tuple[int, int, str]]] = {}
    for row in await _fetch(
        "SELECT holder_id, kind, scope, value FROM identifier WHERE holder_id = ANY($1) "
        "ORDER BY holder_id, kind, scope, value",
        list(holders),
    ):
        found.setdefault(row[0], []).append((row[1], row[2], row[3]))
    return found


async def related(partner: int, holders: Sequence[int]) -> dict[int, bool]:
    """Which of these holders have dealt with the partner."""
    rows = await _fetch(
        "SELECT holder_id FROM relation WHERE partner_id = $1 AND holder_id = ANY($2)",
        partner,
        list(holders),
    )
    return {row[0]: True for row in rows}


async def ledgers(holders: Sequence[int]) -> dict[int, list[int]]:
    """The currencies of each holder's ledgers."""
    found: dict[int, list[int]] = {}
    for row in await _fetch(
        "SELECT holder_id, currency_id FROM ledger WHERE holder_id = ANY($1) ORDER BY 1, 2",
        list(holders),
    ):
        found.setdefault(row[0], []).append(row[1])
    return found


async def entries(
    keys: Sequence[tuple[int, int, int]],
) -> dict[tuple[int, int, int], Transfer]:
    """Transfers by (holder, currency, seq)."""
    rows = await _fetch(
        f"SELECT {_TRANSFER} FROM {_KEYS3} JOIN transfer t USING (holder_id, currency_id, seq)",
        *columns(keys, 3),
    )
    return {(row[0], row[1], row[2]): Transfer(*row) for row in rows}


async def lots(keys: Sequence[tuple[int, int, int]]) -> dict[tuple[int, int, int], LotRecord]:
    """Lots by (holder, currency, seq)."""
    rows = await _fetch(
        "SELECT l.holder_id, l.currency_id, l.seq, l.amount, l.remaining, l.occurred_at, "
        "nullif(l.active_at, 'infinity'), nullif(l.expires_at, 'infinity'), "
        "nullif(l.lapses_at, 'infinity'), l.partner_id, l.rule_id, l.pending, p.version, p.pending, "
        f"p.expires FROM {_KEYS3} JOIN lot l USING (holder_id, currency_id, seq) "
        "JOIN policy p ON p.id = l.policy_id",
        *columns(keys, 3),
    )
    return {(row[0], row[1], row[2]): LotRecord(*row) for row in rows}


async def sources(
    keys: Sequence[tuple[int, int, int]],
) -> dict[tuple[int, int, int], list[Source]]:
    """Which lots these transfers took from (or gave back to), oldest first."""
    found: dict[tuple[int, int, int], list[Source]] = {}
    for row in await _fetch(
        "SELECT a.holder_id, a.currency_id, a.seq, a.lot_seq, a.amount, l.occurred_at, "
        f"nullif(l.expires_at, 'infinity'), p.expires FROM {_KEYS3} "
        "JOIN allocation a USING (holder_id, currency_id, seq) "
        "JOIN lot l ON l.holder_id = a.holder_id AND l.currency_id = a.currency_id "
        "AND l.seq = a.lot_seq JOIN policy p ON p.id = l.policy_id ORDER BY 1, 2, 3, 4",
        *columns(keys, 3),
    ):
        found.setdefault((row[0], row[1], row[2]), []).append(Source(*row[3:]))
    return found


async def posted(
    keys: Sequence[tuple[int, datetime]],
) -> dict[tuple[int, datetime], list[Transfer]]:
    """The transfers of each posting, by (holder, booked at), in their order."""
    found: dict[tuple[int, datetime], list[Transfer]] = {}
    for row in await _fetch(
        f"SELECT {_TRANSFER} FROM unnest($1::bigint[], $2::timestamptz[]) "
        "AS k (holder_id, booked_at) JOIN transfer t USING (holder_id, booked_at) "
        "ORDER BY t.holder_id, t.booked_at, t.currency_id, t.seq",
        *columns(keys, 2),
    ):
        found.setdefault((row[0], row[3]), []).append(Transfer(*row))
    return found


async def tier_changes(
    keys: Sequence[tuple[int, datetime]],
) -> dict[tuple[int, datetime], list[TierChange]]:
    """The tier changes of each posting, by (holder, booked at)."""
    found: dict[tuple[int, datetime], list[TierChange]] = {}
    for row in await _fetch(
        "SELECT c.holder_id, c.booked_at, c.ladder_id, c.at, c.from_rank, c.to_rank "
        "FROM unnest($1::bigint[], $2::timestamptz[]) AS k (holder_id, booked_at) "
        "JOIN tier_change c USING (holder_id, booked_at) ORDER BY 1, 2, 3, 4",
        *columns(keys, 2),
    ):
        found.setdefault((row[0], row[1]), []).append(TierChange(*row[2:]))
    return found


async def redemptions(keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], Row]:
    """Redemptions by (holder, id), as `core.redemptions.from_row` reads them."""
    rows = await _fetch(
        f"SELECT {_REDEMPTION} FROM unnest($1::bigint[], $2::bigint[]) AS k (holder_id, id) "
        "JOIN redemption r USING (holder_id, id)",
        *columns(keys, 2),
    )
    return {(row[0], row[1]): row for row in rows}


async def redemption_page(
    keys: Sequence[int], before: int, limit: int, partner: int | None = None
) -> dict[int, list[Row]]:
    """The newest redemptions of each holder (at one partner) with an id below `before`."""
    found: dict[int, list[Row]] = {}
    for row in await _fetch(
        f"SELECT {_REDEMPTION} FROM unnest($1::bigint[]) AS k (holder_id) CROSS JOIN LATERAL "
        "(SELECT * FROM redemption r WHERE r.holder_id = k.holder_id AND r.id < $2 "
        "AND ($4::int IS NULL OR r.partner_id = $4) ORDER BY r.id DESC LIMIT $3) r",
        list(keys),
        before,
        limit,
        partner,
    ):
        found.setdefault(row[0], []).append(row)
    return found


async def events(ids: Sequence[int]) -> dict[int, EventRecord]:
    """Booked events by id."""
    rows = await _fetch(
        "SELECT id, holder_id, kind, occurred_at, booked_at, partner_id, purchase_id, external_id "
        "FROM event WHERE id = ANY($1)",
        list(ids),
    )
    return {row[0]: EventRecord(*row) for row in rows}


async def partners(ids: Sequence[int]) -> dict[int, PartnerRow]:
    """Partners by id, those too whose plugin is no longer installed."""
    return {row.id: row for row in await PartnerRow.filter(id__in=list(ids))}


async def currencies(ids: Sequence[int]) -> dict[int, CurrencyTerms]:
    """Currencies by id, those too that nobody declares any more, on their last terms."""
    latest = {
        p.currency_id: p
        for p in await PolicyRow.filter(currency_id__in=list(ids)).order_by("version")
    }
    found: dict[int, CurrencyTerms] = {}
    for row in await CurrencyRow.filter(id__in=list(ids)):
        p = latest[row.id]
        policy = Policy.parse(p.pending, p.expires, p.returns, p.grace, p.time_zone)
        terms = PolicyTerms(p.id, policy, p.version)
        found[row.id] = CurrencyTerms(
            row.id,
            row.code,
            row.name,
            row.symbol,
            terms,
            row.owner_id,
            redeemable=row.redeemable,
            badge=row.badge,
        )
    return found


async def rewards(ids: Sequence[int]) -> dict[int, RewardRow]:
    """Rewards by id, withdrawn ones too."""
    return {row.id: row for row in await RewardRow.filter(id__in=list(ids))}
