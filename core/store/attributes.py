"""Queries on what partners have noted of members, and on the occasions that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

import orjson

from core.db import Connection, reading
from core.noted import AttributeRow, Occasion
from core.store.posting import columns
from core.store.writes import Writes

#: So often an occasion is tried.
MOST_ATTEMPTS = 12
_ROW = "holder_id, partner_id, name, at, id, event_id, value, until_at"
# What had begun before a member was erased may still end: nothing personal comes of it.
_NOTE = f"""
INSERT INTO attribute ({_ROW})
SELECT n.* FROM unnest($1::bigint[], $2::int[], $3::text[], $4::timestamptz[], $5::bigint[],
    $6::bigint[], $7::text[], $8::timestamptz[]) AS n (a, b, c, d, e, f, g, h)
JOIN holder x ON x.id = n.a AND x.erased_at IS NULL
"""
# What was to be told once stays as it is; what was told is an event, and is never told again.
_OCCUR = """
INSERT INTO occasion (partner_id, external_id, holder_id, type, attributes, at, next_at)
SELECT n.a, n.b, n.c, n.d, n.e::jsonb, n.f, $7
FROM unnest($1::int[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[])
    AS n (a, b, c, d, e, f)
JOIN holder x ON x.id = n.c AND x.erased_at IS NULL
ON CONFLICT DO NOTHING
"""
_THANK = """
INSERT INTO occasion (partner_id, external_id, holder_id, type, attributes, at, next_at)
SELECT r.partner_id, 'referral:' || r.holder_id, r.referrer_id, 'referral',
    jsonb_build_object('for', n.d), n.c, $5
FROM unnest($1::bigint[], $2::int[], $3::timestamptz[], $4::bigint[]) AS n (a, b, c, d)
JOIN referral r ON r.holder_id = n.a AND r.partner_id = n.b
WHERE NOT EXISTS (SELECT FROM event e WHERE e.partner_id = r.partner_id AND e.kind = 19
    AND e.external_id = 'referral:' || r.holder_id)
ON CONFLICT DO NOTHING
"""


# What another said since stands.
_UNNOTE = f"""
INSERT INTO attribute ({_ROW})
SELECT a.holder_id, a.partner_id, a.name, n.c, n.d, NULL, NULL, NULL
FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::bigint[]) AS n (a, b, c, d)
JOIN attribute a ON a.holder_id = n.a AND a.event_id = n.b AND a.value IS NOT NULL
WHERE NOT EXISTS (SELECT FROM attribute x WHERE x.holder_id = a.holder_id
    AND x.partner_id = a.partner_id AND x.name = a.name AND (x.at, x.id) > (a.at, a.id))
"""


async def write(connection: Connection, writes: Writes, now: datetime) -> None:
    """Add what a batch noted, and what is to be told for it. Nothing where there is nothing."""
    if writes.attributes:
        await connection.execute(_NOTE, *columns(writes.attributes, 8))
    if writes.occasions:
        await occur(connection, writes.occasions, now)
    if writes.unnoted:
        await connection.execute(_UNNOTE, *columns(writes.unnoted, 4))
    if writes.thanks:
        await connection.execute(_THANK, *columns(sorted(set(writes.thanks)), 4), now)


async def note(connection: Connection, rows: Sequence[AttributeRow]) -> None:
    """Add what was noted by hand."""
    await connection.execute(_NOTE, *columns(rows, 8))


async def occur(connection: Connection, found: Sequence[Occasion], now: datetime) -> None:
    """Add what is to be told, once; in one order for all."""
    rows = [
        (o.partner, o.external_id, o.holder, o.type, orjson.dumps(dict(o.attributes)).decode(), o.at)
        for o in sorted(found, key=lambda o: o[:2])
    ]  # fmt: skip
    await connection.execute(_OCCUR, *columns(rows, 6), now)


class Due(NamedTuple):
    """An occasion that is to be told, and how often that failed."""

    occasion: Occasion
    attempts: int


async def due(now: datetime, limit: int, holders: Sequence[int] | None) -> list[Due]:
    """What is to be told by now (of these members, or of all), the earliest first."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT partner_id, external_id, holder_id, type, attributes, at, attempts "
            "FROM occasion WHERE attempts < 12 AND next_at <= $1 AND at <= $1 "
            "AND ($3::bigint[] IS NULL OR holder_id = ANY($3)) "
            "ORDER BY at, partner_id, external_id LIMIT $2",
            now,
            limit,
            None if holders is None else list(holders),
        )
    return [
        Due(Occasion(row[0], row[1], row[2], row[3], orjson.loads(row[4]), row[5]), row[6])
        for row in rows
    ]


async def told(keys: Sequence[tuple[int, str]]) -> None:
    """These are events now."""
    async with reading() as connection:
        await connection.execute(
            "DELETE FROM occasion o USING unnest($1::int[], $2::text[]) AS k (partner_id, external_id) "
            "WHERE o.partner_id = k.partner_id AND o.external_id = k.external_id",
            *columns(keys, 2),
        )


async def failed(rows: Sequence[tuple[int, str, datetime, str]]) -> None:
    """These couldn't be booked: (partner, external id, when to try again, why)."""
    async with reading() as connection:
        await connection.execute(
            "UPDATE occasion o SET attempts = attempts + 1, next_at = n.c, problem = left(n.d, 1000) "
            "FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[]) AS n (a, b, c, d) "
            "WHERE o.partner_id = n.a AND o.external_id = n.b AND o.attempts < 12",
            *columns(rows, 4),
        )


async def of_holder(connection: Connection, holder: int, partner: int) -> list[AttributeRow]:
    """All that one partner ever noted of a member."""
    rows = await connection.fetch(
        f"SELECT {_ROW} FROM attribute WHERE holder_id = $1 AND partner_id = $2", holder, partner
    )
    return [AttributeRow(*row) for row in rows]


async def recalled(
    connection: Connection, keys: Sequence[tuple[int, int]]
) -> dict[tuple[int, int], list[AttributeRow]]:
    """What was noted under these (holder, id); what was erased isn't there. Nothing asks nothing."""
    found: dict[tuple[int, int], list[AttributeRow]] = {}
    if keys:
        for row in await connection.fetch(
            f"SELECT {_ROW} FROM unnest($1::bigint[], $2::bigint[]) AS k (h, i) "
            "JOIN attribute a ON a.holder_id = k.h AND a.id = k.i",
            *columns(keys, 2),
        ):
            found.setdefault((row[0], row[4]), []).append(AttributeRow(*row))
    return found


async def found(keys: Sequence[tuple[int, int]]) -> dict[tuple[int, int], list[AttributeRow]]:
    """The same on a connection of its own."""
    if not keys:
        return {}
    async with reading() as connection:
        return await recalled(connection, keys)


async def of_holders(holders: Sequence[int]) -> dict[int, list[AttributeRow]]:
    """All that was ever noted of these members."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_ROW} FROM attribute WHERE holder_id = ANY($1) "
            "ORDER BY holder_id, partner_id, name, at, id",
            list(holders),
        )
    found: dict[int, list[AttributeRow]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(AttributeRow(*row))
    return found


async def days(connection: Connection, partner: int) -> dict[str, date]:
    """By trigger, the local day up to which a partner's occasions were made; others wait."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('days|' || $1::int, 7))", partner
    )
    rows = await connection.fetch(
        "SELECT trigger, day FROM schedule_day WHERE partner_id = $1", partner
    )
    return {row[0]: row[1] for row in rows}


async def made(connection: Connection, partner: int, trigger: str, day: date) -> None:
    """Its occasions were made up to this day."""
    await connection.execute(
        "INSERT INTO schedule_day VALUES ($1, $2, $3) ON CONFLICT (partner_id, trigger) "
        "DO UPDATE SET day = excluded.day",
        partner,
        trigger,
        day,
    )


_EVERYBODY = """
INSERT INTO occasion (partner_id, external_id, holder_id, type, attributes, at, next_at)
SELECT r.partner_id, $2 || ':' || $3 || ':' || r.holder_id, r.holder_id, $2, '{}', $4, $5
FROM relation r JOIN member m ON m.holder_id = r.holder_id WHERE r.partner_id = $1
ON CONFLICT DO NOTHING
"""
# Who was born on 29 February has a birthday on the 28th of other years.
_BIRTHDAYS = """
INSERT INTO occasion (partner_id, external_id, holder_id, type, attributes, at, next_at)
SELECT r.partner_id, 'birthday:' || extract(year FROM $3::date) || ':' || r.holder_id, r.holder_id,
    'birthday', '{}', $4, $5
FROM member m JOIN relation r ON r.holder_id = m.holder_id AND r.partner_id = $1
WHERE m.birthday = ANY($2)
ON CONFLICT DO NOTHING
"""


async def everybody(
    connection: Connection, partner: int, trigger: str, day: date, at: datetime, now: datetime
) -> None:
    """An occasion for each member that a partner knows."""
    await connection.execute(_EVERYBODY, partner, trigger, day.isoformat(), at, now)


async def birthdays(
    connection: Connection,
    partner: int,
    born: Sequence[int],
    day: date,
    at: datetime,
    now: datetime,
) -> None:
    """An occasion for each member that a partner knows and who was born on one of these days."""
    await connection.execute(_BIRTHDAYS, partner, list(born), day, at, now)


class Failing(NamedTuple):
    """An occasion that couldn't be booked."""

    partner: int
    external_id: str
    holder: int
    type: str
    at: datetime
    attempts: int
    next_at: datetime
    problem: str


async def failing(partner: int, limit: int) -> list[Failing]:
    """What of a partner's couldn't be booked, the earliest first."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT partner_id, external_id, holder_id, type, at, attempts, next_at, problem "
            "FROM occasion WHERE partner_id = $1 AND problem <> '' "
            "ORDER BY at, external_id LIMIT $2",
            partner,
            limit,
        )
    return [Failing(*row) for row in rows]


async def again(partner: int, now: datetime, limit: int) -> list[int]:
    """Let what failed be tried at once, as if for the first time; whose it is."""
    async with reading() as connection:
        rows = await connection.fetch(
            "UPDATE occasion o SET attempts = 0, next_at = $2 FROM ("
            "SELECT external_id FROM occasion WHERE partner_id = $1 AND problem <> '' "
            "ORDER BY at, external_id LIMIT $3 FOR UPDATE) f "
            "WHERE o.partner_id = $1 AND o.external_id = f.external_id RETURNING o.holder_id",
            partner,
            now,
            limit,
        )
    return sorted({row[0] for row in rows})


async def referrers_by(connection: Connection, codes: Sequence[str]) -> dict[str, int]:
    """Who refers others by these codes."""
    rows = await connection.fetch(
        "SELECT code, holder_id FROM referral_code WHERE code = ANY($1)", list(codes)
    )
    return {row[0]: row[1] for row in rows}


async def void(partner: int, name: str, purchase: int) -> str:
    """Take back an occasion that this purchase brought about: `told`, `waiting` or `none`.

    One that waits is gone; one that was told has its own withdrawal.
    """
    async with reading() as connection:
        gone = await connection.execute(
            "DELETE FROM occasion WHERE partner_id = $1 AND external_id = $2 "
            "AND attributes ->> 'for' = $3",
            partner,
            name,
            str(purchase),
        )
        content = await connection.fetchval(
            "SELECT d.content FROM event e JOIN decision d ON d.holder_id = e.holder_id "
            "AND d.booked_at = e.booked_at "
            "WHERE e.partner_id = $1 AND e.kind = 19 AND e.external_id = $2",
            partner,
            name,
        )
    if content is not None and orjson.loads(content)["x"][1].get("for") == purchase:
        return "told"
    return "none" if gone.endswith(" 0") else "waiting"


async def referrers(
    connection: Connection, thanks: Sequence[tuple[int, int, datetime, int]]
) -> list[int]:
    """Who referred these (holder, partner, …), where somebody did. Nothing asks nothing."""
    if not thanks:
        return []
    rows = await connection.fetch(
        "SELECT DISTINCT r.referrer_id FROM unnest($1::bigint[], $2::int[]) "
        "AS n (a, b) JOIN referral r ON r.holder_id = n.a AND r.partner_id = n.b ORDER BY 1",
        *columns([row[:2] for row in thanks], 2),
    )
    return [row[0] for row in rows]


async def refer(connection: Connection, rows: Sequence[tuple[int, int, int]], at: datetime) -> None:
    """Note who referred whom to which partner: (holder, partner, referrer). The first one stays."""
    await connection.execute(
        "INSERT INTO referral (holder_id, partner_id, referrer_id, at) "
        "SELECT a, b, c, $4 FROM unnest($1::bigint[], $2::int[], $3::bigint[]) AS n (a, b, c) "
        "ON CONFLICT DO NOTHING",
        *columns(rows, 3),
        at,
    )


async def codes(holders: Sequence[int]) -> Mapping[int, str]:
    """By what code these members refer others; who has none isn't there."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT holder_id, code FROM referral_code WHERE holder_id = ANY($1)", list(holders)
        )
    return {row[0]: row[1] for row in rows}


async def add_code(connection: Connection, holder: int, code: str, at: datetime) -> str | None:
    """Give a member this code, unless it has one: the one that stands; None: the code is taken."""
    await connection.execute(
        "INSERT INTO referral_code (code, holder_id, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        code,
        holder,
        at,
    )
    found: str | None = await connection.fetchval(
        "SELECT code FROM referral_code WHERE holder_id = $1", holder
    )
    return found
