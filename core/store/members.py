"""Queries on members and their identifiers. Personal data: nothing here reaches the books."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from core.db import Connection
from core.store.awaiting import arrived
from core.store.posting import columns

#: Logins that were taken away from a member: they don't come back to it, by whatever address.
PARTED_TABLE = """
CREATE TABLE parted_login (
    holder_id bigint NOT NULL,
    login text NOT NULL CHECK (login ~ '^[0-9a-f]{64}$'),
    PRIMARY KEY (holder_id, login)
);
GRANT SELECT, INSERT, DELETE ON parted_login TO laurels_app;
"""
#: What must stand, for `laurels check`.
PARTED_CONSTRAINTS = {"parted_login": "pkey login_check"}
#: The kind of identifier that a login is: `core.members.IdentifierKind`.
LOGIN = 5
CARD = 3
# A key's lock waits for whoever enrols the same person at this moment, before it exists as a row.
_LOCK = """
SELECT pg_advisory_xact_lock(x) FROM (
    SELECT DISTINCT hashtextextended(k.kind || '|' || k.scope || '|' || k.value, 7) AS x
    FROM unnest($1::smallint[], $2::int[], $3::text[]) AS k (kind, scope, value) ORDER BY 1
) locks
"""
_FIND = """
SELECT i.kind, i.scope, i.value, i.holder_id
FROM unnest($1::smallint[], $2::int[], $3::text[]) AS k (kind, scope, value)
JOIN identifier i ON i.kind = k.kind AND i.scope = k.scope AND i.value = k.value
"""
_ADD = """
WITH h AS (
    INSERT INTO holder (id, created_at) SELECT id, $9 FROM unnest($1::bigint[]) AS h (id)
), m AS (
    INSERT INTO member (holder_id, name, claimed, birthday, enrolled_at)
    SELECT id, name, claimed, birthday, $9 FROM unnest($1::bigint[], $2::text[], $3::bool[], $4::smallint[])
        AS m (id, name, claimed, birthday)
), r AS (
    INSERT INTO relation (holder_id, partner_id, purchases)
    SELECT holder_id, partner_id, 0 FROM unnest($10::bigint[], $11::int[])
        AS r (holder_id, partner_id)
    ON CONFLICT DO NOTHING
)
INSERT INTO identifier (kind, scope, value, holder_id)
SELECT * FROM unnest($5::smallint[], $6::int[], $7::text[], $8::bigint[])
"""


async def lock_keys(connection: Connection, keys: Sequence[tuple[int, int, str]]) -> None:
    """Wait for others that enrol one of these identifiers, in one order for all."""
    await connection.execute(_LOCK, *columns(keys, 3))


async def find(
    connection: Connection, keys: Sequence[tuple[int, int, str]]
) -> dict[tuple[int, int, str], int]:
    """The holders that are known by these identifiers."""
    rows = await connection.fetch(_FIND, *columns(keys, 3))
    return {(r[0], r[1], r[2]): r[3] for r in rows}


async def add(
    connection: Connection,
    holders: Sequence[tuple[int, str | None, bool, int | None]],
    identifiers: Sequence[tuple[int, int, str, int]],
    met: Sequence[tuple[int, int]],
    now: datetime,
) -> None:
    """Add members, identifiers, and which partner met whom by enrolling them.

    What came in before and waits for one of them is tried at once.
    """
    await connection.execute(
        _ADD, *columns(holders, 4), *columns(identifiers, 4), now, *columns(met, 2)
    )
    if identifiers:
        await arrived(connection, [row[:3] for row in identifiers], now)


async def claim(
    connection: Connection, people: Mapping[int, tuple[str | None, int | None, bool, int | None]]
) -> None:
    """Somebody enrols who is known: the member is claimed, and what is missing is filled in.

    Of each (name, birthday, sure, partner): a name only where an import had opened the member, a
    birthday once and for all, and from a partner that isn't `sure` only if it has dealt with them.
    """
    await connection.execute(
        "UPDATE member m SET claimed = true, birthday = coalesce(m.birthday, c.birthday), "
        "name = CASE WHEN m.claimed THEN m.name ELSE coalesce(m.name, c.name) END "
        "FROM (SELECT k.id, k.name, CASE WHEN k.sure OR EXISTS (SELECT FROM relation r "
        "WHERE r.holder_id = k.id AND r.partner_id = k.partner) THEN k.birthday END AS birthday "
        "FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::bool[], $5::int[]) "
        "AS k (id, name, birthday, sure, partner)) c "
        "WHERE m.holder_id = c.id AND (NOT m.claimed OR m.birthday IS NULL AND c.birthday IS NOT NULL)",
        *columns([(holder, *known) for holder, known in people.items()], 5),
    )


async def set_birthday(connection: Connection, holder: int, birthday: int, *, anew: bool) -> bool:
    """Set it; False where another is set already, unless it is set `anew`."""
    done = await connection.execute(
        "UPDATE member SET birthday = $2 WHERE holder_id = $1 "
        "AND ($3 OR birthday IS NULL OR birthday = $2)",
        holder,
        birthday,
        anew,
    )
    return bool(done.endswith(" 1"))


async def has_login(connection: Connection, holder: int) -> bool:
    """Whether a member has a login; nobody else gives it one until this transaction ends."""
    found = await connection.fetchval(
        "SELECT login FROM member WHERE holder_id = $1 FOR UPDATE", holder
    )
    return found is not None


async def set_logins(connection: Connection, logins: Mapping[int, str]) -> None:
    """Members' logins, each by its holder: one at most, for there is one column."""
    await connection.execute(
        "UPDATE member m SET login = l.value FROM unnest($1::bigint[], $2::text[]) AS l (id, value) "
        "WHERE m.holder_id = l.id",
        *columns(list(logins.items()), 2),
    )


async def was_parted(connection: Connection, holder: int, login: str) -> bool:
    """Whether this login was taken away from this member."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM parted_login WHERE holder_id = $1 AND login = $2)",
        holder,
        login,
    )
    return found


async def part_login(connection: Connection, holder: int) -> bool:
    """Take a member's login away and keep which it was; False where there was none."""
    login = await connection.fetchval(
        "SELECT login FROM member WHERE holder_id = $1 FOR UPDATE", holder
    )
    if login is None:
        return False
    await connection.execute("UPDATE member SET login = NULL WHERE holder_id = $1", holder)
    await connection.execute(
        "DELETE FROM identifier WHERE holder_id = $1 AND kind = $2", holder, LOGIN
    )
    await connection.execute(
        "INSERT INTO parted_login (holder_id, login) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        holder,
        login,
    )
    return True


async def drop(connection: Connection, keys: Sequence[tuple[int, int, str]]) -> None:
    """Forget these identifiers: nobody is known by them."""
    await connection.execute(
        "DELETE FROM identifier i "
        "USING unnest($1::smallint[], $2::int[], $3::text[]) AS k (kind, scope, value) "
        "WHERE i.kind = k.kind AND i.scope = k.scope AND i.value = k.value",
        *columns(keys, 3),
    )


async def lock_member(connection: Connection, holder: int) -> bool:
    """Whether there is such a member; nobody else changes who it is until this transaction ends."""
    found = await connection.fetchval(
        "SELECT true FROM member WHERE holder_id = $1 FOR UPDATE", holder
    )
    return found is not None


async def cards(connection: Connection, holder: int) -> list[str]:
    """The numbers of a member's cards, in one order."""
    rows = await connection.fetch(
        "SELECT value FROM identifier WHERE holder_id = $1 AND kind = $2 ORDER BY value",
        holder,
        CARD,
    )
    return [row[0] for row in rows]


async def add_card(connection: Connection, holder: int, number: str) -> str | None:
    """Give a member a card; None where the number is another's."""
    added: str | None = await connection.fetchval(
        "INSERT INTO identifier (kind, scope, value, holder_id) VALUES ($1, 0, $2, $3) "
        "ON CONFLICT DO NOTHING RETURNING value",
        CARD,
        number,
        holder,
    )
    return added


async def keys_of(connection: Connection, holder: int) -> list[tuple[int, int, str]]:
    """By what a member is known: kind, scope, value."""
    rows = await connection.fetch(
        "SELECT kind, scope, value FROM identifier WHERE holder_id = $1", holder
    )
    return [(row[0], row[1], row[2]) for row in rows]
