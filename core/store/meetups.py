"""Queries on meetups, who is registered for them and who was there; and the tables that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Connection, reading
from core.store.posting import columns

#: As many tags as a meetup has.
MOST_TAGS = 20
#: As long as one lasts, in days: so what hasn't ended is found by when it started.
LONGEST = 31
MEETUP_TABLES = f"""
CREATE TABLE meetup (
    id bigint PRIMARY KEY,
    partner_id integer NOT NULL,
    code text NOT NULL CHECK (length(code) BETWEEN 1 AND 64),
    title text NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
    place text NOT NULL CHECK (length(place) BETWEEN 1 AND 200),
    latitude double precision NOT NULL CHECK (latitude BETWEEN -90 AND 90),
    longitude double precision NOT NULL CHECK (longitude BETWEEN -180 AND 180),
    radius integer NOT NULL CHECK (radius BETWEEN 1 AND 100000),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    -- Check-in is open from then (inclusive) until the end (exclusive).
    opens_at timestamptz NOT NULL,
    capacity integer CHECK (capacity >= 1),
    -- Whoever is on this tier or above may register; from all_from on anybody.
    ladder text,
    tier text,
    all_from timestamptz,
    tags text[] NOT NULL CHECK (cardinality(tags) <= {MOST_TAGS}),
    content_hash bytea NOT NULL CHECK (length(content_hash) = 16),
    created_at timestamptz NOT NULL,
    cancelled_at timestamptz,
    taken integer NOT NULL DEFAULT 0,
    UNIQUE (partner_id, code),
    CONSTRAINT meetup_times CHECK (opens_at <= starts_at AND starts_at < ends_at
        AND ends_at <= starts_at + interval '{LONGEST * 24}h'),
    CONSTRAINT meetup_room CHECK (taken >= 0 AND (capacity IS NULL OR taken <= capacity)),
    CONSTRAINT meetup_for_tier CHECK (
        (ladder IS NULL) = (tier IS NULL) AND (tier IS NOT NULL OR all_from IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX meetup_by_start ON meetup (starts_at, id);
CREATE TABLE registration (
    holder_id bigint NOT NULL REFERENCES holder (id),
    meetup_id bigint NOT NULL,
    partner_id integer NOT NULL,
    at timestamptz NOT NULL,
    cancelled_at timestamptz,
    attended_at timestamptz,
    -- Of the code that checked in: the same call is known by it when it is sent again.
    code bytea CHECK (length(code) = 16),
    PRIMARY KEY (holder_id, meetup_id),
    CONSTRAINT registration_attended CHECK ((attended_at IS NULL) = (code IS NULL)
        AND (attended_at IS NULL OR cancelled_at IS NULL))
);
CREATE INDEX registration_of_meetup ON registration (meetup_id, holder_id);
GRANT SELECT, INSERT, UPDATE ON meetup, registration TO laurels_app;
REVOKE DELETE, TRUNCATE ON meetup FROM laurels_app;
GRANT DELETE ON registration TO laurels_app;
"""
#: What must stand, for `laurels check`.
MEETUP_CONSTRAINTS = {
    "meetup": "pkey code_check title_check place_check latitude_check longitude_check radius_check "
    "capacity_check tags_check content_hash_check partner_id_code_key times room for_tier",
    "registration": "pkey holder_id_fkey code_check attended",
}
_FIELDS = (
    "id, partner_id, code, title, place, latitude, longitude, radius, starts_at, ends_at, "
    "opens_at, capacity, ladder, tier, all_from, tags, content_hash, created_at"
)
_MEETUP = f"{_FIELDS}, cancelled_at, taken"
_REGISTRATION = "holder_id, meetup_id, partner_id, at, cancelled_at, attended_at, code"


class MeetupRow(NamedTuple):
    """A row of `meetup`. `taken` is how many are registered; `capacity` None: for any number.

    On tier (`ladder`, `tier`) or above one may register; from `all_from` on without. `radius` is in
    metres.
    """

    id: int
    partner: int
    code: str
    title: str
    place: str
    latitude: float
    longitude: float
    radius: int
    starts_at: datetime
    ends_at: datetime
    opens_at: datetime
    capacity: int | None
    ladder: str | None
    tier: str | None
    all_from: datetime | None
    tags: list[str]
    content_hash: bytes
    created_at: datetime
    cancelled_at: datetime | None = None
    taken: int = 0


class RegistrationRow(NamedTuple):
    """A row of `registration`; `code` is the digest of the code that checked in."""

    holder: int
    meetup: int
    partner: int
    at: datetime
    cancelled_at: datetime | None = None
    attended_at: datetime | None = None
    code: bytes | None = None


async def add(connection: Connection, row: MeetupRow) -> MeetupRow:
    """Add a meetup: it, or the one that has its code already."""
    given = row[:18]
    places = ", ".join(f"${n}" for n in range(1, len(given) + 1))
    await connection.execute(
        f"INSERT INTO meetup ({_FIELDS}) VALUES ({places}) ON CONFLICT (partner_id, code) DO NOTHING",
        *given,
    )
    found = await find(connection, row.partner, row.code)
    assert found is not None
    return found


async def find(connection: Connection, partner: int, code: str) -> MeetupRow | None:
    """A partner's meetup by its code."""
    row = await connection.fetchrow(
        f"SELECT {_MEETUP} FROM meetup WHERE partner_id = $1 AND code = $2", partner, code
    )
    return None if row is None else MeetupRow(*row)


async def held(connection: Connection, meetup: int) -> MeetupRow | None:
    """A meetup by its id, which isn't cancelled until this transaction ends."""
    row = await connection.fetchrow(f"SELECT {_MEETUP} FROM meetup WHERE id = $1 FOR SHARE", meetup)
    return None if row is None else MeetupRow(*row)


async def cancel(connection: Connection, meetup: int, now: datetime) -> None:
    """It doesn't take place."""
    await connection.execute(
        "UPDATE meetup SET cancelled_at = $2 WHERE id = $1 AND cancelled_at IS NULL", meetup, now
    )


async def take_place(connection: Connection, meetup: int) -> bool:
    """One place more is taken; False where none is left, or the meetup is cancelled."""
    done = await connection.execute(
        "UPDATE meetup SET taken = taken + 1 WHERE id = $1 AND cancelled_at IS NULL "
        "AND (capacity IS NULL OR taken < capacity)",
        meetup,
    )
    return bool(done.endswith(" 1"))


async def free_place(connection: Connection, meetup: int) -> None:
    """One place is free again."""
    await connection.execute("UPDATE meetup SET taken = taken - 1 WHERE id = $1", meetup)


async def registration(connection: Connection, holder: int, meetup: int) -> RegistrationRow | None:
    """A member's registration for a meetup, cancelled ones too."""
    row = await connection.fetchrow(
        f"SELECT {_REGISTRATION} FROM registration WHERE holder_id = $1 AND meetup_id = $2",
        holder,
        meetup,
    )
    return None if row is None else RegistrationRow(*row)


async def keep(connection: Connection, row: RegistrationRow) -> None:
    """Write a registration as it stands now. Whoever registers deals with the partner."""
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(
        f"INSERT INTO registration ({_REGISTRATION}) VALUES ({places}) "
        "ON CONFLICT (holder_id, meetup_id) DO UPDATE SET at = excluded.at, "
        "cancelled_at = excluded.cancelled_at, attended_at = excluded.attended_at, "
        "code = excluded.code",
        *row,
    )
    await connection.execute(
        "INSERT INTO relation (holder_id, partner_id, purchases) VALUES ($1, $2, 0) "
        "ON CONFLICT DO NOTHING",
        row.holder,
        row.partner,
    )


class Wanted(NamedTuple):
    """Which meetups: that end after `since`; of one partner, and start before `until` (None: all)."""

    partner: int | None
    since: datetime
    until: datetime | None = None


async def page(wanted: Wanted, after: tuple[datetime, int] | None, limit: int) -> list[MeetupRow]:
    """Meetups as they start, after (start, id) of the last one seen."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_MEETUP} FROM meetup WHERE ($1::int IS NULL OR partner_id = $1) "
            f"AND ends_at > $2 AND starts_at > $2 - interval '{LONGEST * 24}h' "
            "AND ($3::timestamptz IS NULL OR starts_at < $3) "
            "AND ($4::timestamptz IS NULL OR (starts_at, id) > ($4, $5::bigint)) "
            "ORDER BY starts_at, id LIMIT $6",
            *wanted,
            *(after or (None, None)),
            limit,
        )
    return [MeetupRow(*row) for row in rows]


async def by_id(ids: Sequence[int]) -> Mapping[int, MeetupRow]:
    """Meetups by their ids."""
    async with reading() as connection:
        rows = await connection.fetch(f"SELECT {_MEETUP} FROM meetup WHERE id = ANY($1)", list(ids))
    return {row[0]: MeetupRow(*row) for row in rows}


async def registrations(
    keys: Sequence[tuple[int, int]],
) -> Mapping[tuple[int, int], RegistrationRow]:
    """Registrations by (holder, meetup), cancelled ones too."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_REGISTRATION} FROM registration "
            "JOIN unnest($1::bigint[], $2::bigint[]) AS k (h, m) "
            "ON holder_id = k.h AND meetup_id = k.m",
            *columns(keys, 2),
        )
    return {(row[0], row[1]): RegistrationRow(*row) for row in rows}


async def of_holders(
    holders: Sequence[int], before: int, limit: int, partner: int | None
) -> Mapping[int, list[RegistrationRow]]:
    """A page of each holder's (at one partner), of the newest meetups first below an id."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_REGISTRATION} FROM unnest($1::bigint[]) AS k (h) CROSS JOIN LATERAL ("
            "SELECT * FROM registration r WHERE r.holder_id = k.h AND r.meetup_id < $2 "
            "AND ($4::int IS NULL OR r.partner_id = $4) ORDER BY r.meetup_id DESC LIMIT $3) r",
            list(holders),
            before,
            limit,
            partner,
        )
    found: dict[int, list[RegistrationRow]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(RegistrationRow(*row))
    return found


async def of_meetups(
    meetups: Sequence[int], after: int, limit: int
) -> Mapping[int, list[RegistrationRow]]:
    """A page of each meetup's that aren't cancelled, by holder above one."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_REGISTRATION} FROM unnest($1::bigint[]) AS k (m) CROSS JOIN LATERAL ("
            "SELECT * FROM registration r WHERE r.meetup_id = k.m AND r.holder_id > $2 "
            "AND r.cancelled_at IS NULL ORDER BY r.holder_id LIMIT $3) r",
            list(meetups),
            after,
            limit,
        )
    found: dict[int, list[RegistrationRow]] = {}
    for row in rows:
        found.setdefault(row[1], []).append(RegistrationRow(*row))
    return found


async def booked(keys: Sequence[tuple[int, str]]) -> Mapping[tuple[int, str], datetime]:
    """When these occasions were booked, by (partner, external id); others aren't there."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT e.partner_id, e.external_id, e.booked_at "
            "FROM unnest($1::int[], $2::text[]) AS k (p, x) "
            "JOIN event e ON e.partner_id = k.p AND e.kind = 19 AND e.external_id = k.x",
            *columns(keys, 2),
        )
    return {(row[0], row[1]): row[2] for row in rows}
