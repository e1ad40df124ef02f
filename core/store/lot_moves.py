"""Queries on lots that stand under an earlier policy of their currency, and on runs that move them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from core.db import Connection, Row, reading, transaction
from core.rulebook import PolicyTerms
from core.store.keeping import INSTALL_LOCK
from core.store.rules import Policies
from laurels.policies import Policy, Renewal

_PREFETCH = 10_000
# Of an open lot, what an earlier policy says otherwise. How long it was pending is past or under
# way; what a rule holds back by terms of its own isn't earlier for that.
_OUTDATED = """
FROM lot l JOIN policy p ON p.id = l.policy_id
WHERE l.currency_id = $1 AND l.remaining > 0
    AND (p.expires, p.returns, p.grace, p.time_zone) IS DISTINCT FROM ($2::text, $3::text, $4::text, $5::text)
    AND ($6::int IS NULL OR p.version = $6)
    AND l.expires_at > $7 AND (l.active_at < 'infinity' OR l.lapses_at > $7)
"""
# What of a ledger's past renews sliding points: the kinds of transfer of each activity.
_ACTIVITIES = {Renewal.EARNING: (1,), Renewal.SPENDING: (2, 4), Renewal.RETURNING: (8,)}
_RUN = """id, currency_id, policy_id, from_version, allow_sooner, caller, at, done_at, members, lots,
    points, sooner, later, expired"""


class Outdated(NamedTuple):
    """An open lot under an earlier policy; `pending` and `version` are that policy's."""

    holder: int
    seq: int
    remaining: int
    active_at: datetime | None
    expires_at: datetime | None
    waiting: bool
    pending: str | None
    version: int
    last: datetime | None


class Moved(NamedTuple):
    """What a run, or one batch of it, did: members, lots, points; of these sooner, later, dead."""

    members: int = 0
    lots: int = 0
    points: int = 0
    sooner: int = 0
    later: int = 0
    expired: int = 0


class Run(NamedTuple):
    """A row of `lot_move`."""

    id: int
    currency: int
    policy: int
    from_version: int | None
    allow_sooner: bool
    caller: str
    at: datetime
    done_at: datetime | None
    moved: Moved


#: What distinguishes policies that say otherwise: expires, returns, grace, time zone.
Terms = tuple[str | None, str, str | None, str]


async def outdated(
    connection: Connection,
    currency: int,
    terms: Terms,
    version: int | None,
    now: datetime,
    activities: Iterable[Renewal],
) -> AsyncIterator[Outdated]:
    """The open lots of a currency under other terms than these, by holder.

    `last` is when one of the `activities` was last seen in the lot's ledger.
    """
    kinds = [kind for activity in activities for kind in _ACTIVITIES[activity]]
    last = (
        "(SELECT max(t.occurred_at) FROM transfer t WHERE t.holder_id = l.holder_id "
        "AND t.currency_id = l.currency_id AND t.kind = ANY($8::int[]) AND t.source <> 3)"
    )
    query = (
        "SELECT l.holder_id, l.seq, l.remaining, nullif(l.active_at, 'infinity'), "
        "nullif(l.expires_at, 'infinity'), l.pending, p.pending, p.version, "
        f"CASE WHEN cardinality($8::int[]) > 0 THEN {last} END {_OUTDATED} ORDER BY 1, 2"
    )
    cursor = connection.cursor(query, currency, *terms, version, now, kinds, prefetch=_PREFETCH)
    async for row in cursor:
        yield Outdated(*row)


async def holders(currency: int, terms: Terms, version: int | None, now: datetime) -> list[int]:
    """The holders of such lots, in id order."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT DISTINCT l.holder_id {_OUTDATED} ORDER BY 1", currency, *terms, version, now
        )
    return [row[0] for row in rows]


async def last_activity(
    connection: Connection, holders: Sequence[int], currency: int, activities: Iterable[Renewal]
) -> dict[int, datetime]:
    """When one of these activities was last seen in each of these ledgers."""
    kinds = [kind for activity in activities for kind in _ACTIVITIES[activity]]
    if not kinds:
        return {}
    rows = await connection.fetch(
        "SELECT holder_id, max(occurred_at) FROM transfer WHERE holder_id = ANY($1) "
        "AND currency_id = $2 AND kind = ANY($3) AND source <> 3 GROUP BY 1",
        list(holders),
        currency,
        kinds,
    )
    return {row[0]: row[1] for row in rows}


async def pendings(currency: int) -> list[str | None]:
    """For how long points of a currency are, or ever were, held back."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT DISTINCT pending FROM policy WHERE currency_id = $1", currency
        )
    return [row[0] for row in rows]


async def policy(currency: int, wanted: Policy, now: datetime) -> PolicyTerms:
    """The stored version of a policy of a currency, made where there is none yet."""
    async with transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", INSTALL_LOCK)
        return await (await Policies.read(connection, now)).version(currency, wanted)


async def begin(connection: Connection, run: Run) -> None:
    """Note that a run begins."""
    await connection.execute(
        "INSERT INTO lot_move (id, currency_id, policy_id, from_version, allow_sooner, caller, at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        *run[:7],
    )


async def add(connection: Connection, run: int, moved: Moved) -> None:
    """Add what one batch did."""
    await connection.execute(
        "UPDATE lot_move SET members = members + $2, lots = lots + $3, points = points + $4, "
        "sooner = sooner + $5, later = later + $6, expired = expired + $7 WHERE id = $1",
        run,
        *moved,
    )


async def end(connection: Connection, run: int, now: datetime) -> None:
    """Note that a run is done."""
    await connection.execute(
        "UPDATE lot_move SET done_at = coalesce(done_at, $2) WHERE id = $1", run, now
    )


async def get(connection: Connection, run: int) -> Run | None:
    """A run as it stands."""
    row = await connection.fetchrow(f"SELECT {_RUN} FROM lot_move WHERE id = $1", run)
    return None if row is None else _run(row)


async def read(run: int) -> Run | None:
    """Like `get`, on a connection of its own."""
    async with reading() as connection:
        return await get(connection, run)


async def report(before: tuple[datetime, int] | None, limit: int) -> list[Run]:
    """Runs, newest first, before (at, id) of the last one seen."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_RUN} FROM lot_move WHERE $1::timestamptz IS NULL OR (at, id) < ($1, $2) "
            "ORDER BY at DESC, id DESC LIMIT $3",
            *(before or (None, None)),
            limit,
        )
    return [_run(row) for row in rows]


def _run(row: Row) -> Run:
    moved = Moved(*row[8:])
    return Run(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], moved)
