"""Shadow rules in the database: their runs, what these counted, and where they differ.

A count is kept in slices, for many transactions count at once: each connection has its own, as a
rule. What is read are sums.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import orjson

from core.db import Connection, Row, reading, transaction
from core.store.data_rules import tell
from core.store.keeping import INSTALL_LOCK
from core.store.posting import columns
from core.store.writes import Given, ShadowRow, Writes

#: As many differences of a run are kept, the newest; and as many runs of a partner.
MOST_DIFFERENCES, MOST_RUNS = 1000, 10
_MOST = 2**63 - 1
_ADD = """
WITH d AS (
    INSERT INTO shadow_difference (run_id, event_id, holder_id, at, live, shadow)
    SELECT n.a, n.b, n.c, n.d, n.e::jsonb, n.f::jsonb
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[])
        AS n (a, b, c, d, e, f)
)
INSERT INTO shadow_count AS c (run_id, slice, currency, same, different, faults, live, shadow)
SELECT n.a, pg_backend_pid() % 64, n.b, n.c, n.d, n.e, n.f, n.g
FROM unnest($7::bigint[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::numeric[],
    $13::numeric[]) AS n (a, b, c, d, e, f, g)
ON CONFLICT (run_id, slice, currency) DO UPDATE SET same = c.same + excluded.same,
    different = c.different + excluded.different, faults = c.faults + excluded.faults,
    live = c.live + excluded.live, shadow = c.shadow + excluded.shadow
"""


async def write(connection: Connection, writes: Writes, now: datetime) -> None:
    """Count what was judged in shadow, in one statement; and pause runs that fail, which is rare."""
    if writes.shadowed:
        differences = [
            (x.run, x.event, x.holder, x.at, x.live, x.shadow)
            for x in writes.shadowed
            if x.live is not None
        ]
        counts = _counted(writes.shadowed)
        await connection.execute(_ADD, *columns(differences, 6), *columns(counts, 7))
    if writes.paused:
        paused = await connection.fetch(
            "UPDATE shadow_run SET paused_at = $2 WHERE id = ANY($1) AND paused_at IS NULL "
            "RETURNING id",
            sorted(writes.paused),
            now,
        )
        if paused:
            await tell(connection)


def _counted(rows: Iterable[ShadowRow]) -> list[tuple[int, str, int, int, int, int, int]]:
    """Rows of `shadow_count` without their slice, in one order for all transactions."""
    purchases: dict[int, list[int]] = {}
    points: dict[tuple[int, str], list[int]] = {}
    for x in rows:
        place = 2 if x.failed else 0 if x.live is None else 1
        purchases.setdefault(x.run, [0, 0, 0])[place] += 1
        for currency, (live, shadow) in x.points.items():
            sums = points.setdefault((x.run, currency), [0, 0])
            sums[0] += live
            sums[1] += shadow
    found = [(run, "", *counts, 0, 0) for run, counts in purchases.items()]
    found += [(*key, 0, 0, 0, *sums) for key, sums in points.items()]
    return sorted(found)  # type: ignore[arg-type]  # unpacked lists have no length to a type checker


# -- the runs --------------------------------------------------------------------------------------


class Draft(NamedTuple):
    """A revision of a data rule that judges in shadow."""

    code: str
    revision: int
    definition: str


async def drafts(connection: Connection) -> dict[int, list[Draft]]:
    """The revisions that judge in shadow, by partner and code."""
    found: dict[int, list[Draft]] = {}
    for partner, *row in await connection.fetch(
        "SELECT partner_id, code, revision, definition FROM data_rule "
        "WHERE shadow_at IS NOT NULL ORDER BY partner_id, code"
    ):
        found.setdefault(partner, []).append(Draft(*row))
    return found


class Run(NamedTuple):
    """A shadow set that judges, or did until it was paused."""

    id: int
    since: datetime
    paused_at: datetime | None


async def runs(
    connection: Connection, wanted: Sequence[tuple[int, str, str]], now: datetime
) -> dict[int, Run]:
    """The open runs of (partner, stamp, version), by partner; what is no more like that is ended.

    One that has been ended so goes on where its set is wanted again: any process that hasn't the
    shadow's package ends it. Not so one that was reset.
    """
    sets = columns(wanted, 3)
    await connection.execute(
        "UPDATE shadow_run r SET ended_at = $3 WHERE ended_at IS NULL AND NOT EXISTS (SELECT FROM "
        "unnest($1::int[], $2::text[]) AS w (p, d) WHERE w.p = r.partner_id AND w.d = r.digest)",
        *sets[:2],
        now,
    )
    if not wanted:
        return {}
    await connection.execute(_REOPEN, *sets[:2])
    await connection.execute(
        "INSERT INTO shadow_run (partner_id, digest, version, since) "
        "SELECT a, b, c, $4 FROM unnest($1::int[], $2::text[], $3::text[]) AS n (a, b, c) "
        "ON CONFLICT DO NOTHING",
        *sets,
        now,
    )
    rows = await connection.fetch(
        "SELECT partner_id, id, since, paused_at FROM shadow_run WHERE ended_at IS NULL"
    )
    return {row[0]: Run(*row[1:]) for row in rows}


_REOPEN = """
UPDATE shadow_run r SET ended_at = NULL
FROM (
    SELECT DISTINCT ON (w.p) x.id, x.partner_id
    FROM unnest($1::int[], $2::text[]) AS w (p, d)
    JOIN shadow_run x ON x.partner_id = w.p AND x.digest = w.d
    WHERE x.reset_at IS NULL
    ORDER BY w.p, x.id DESC
) l
WHERE r.id = l.id AND r.ended_at IS NOT NULL
    AND NOT EXISTS (SELECT FROM shadow_run o WHERE o.partner_id = l.partner_id AND o.ended_at IS NULL)
"""


async def end(partner: int, run: int, now: datetime) -> None:
    """End a partner's run for good, and this one; with the commit every process begins another.

    Under the installation's lock: nobody meanwhile reads which runs are open.
    """
    async with transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", INSTALL_LOCK)
        await connection.execute(
            "UPDATE shadow_run SET ended_at = coalesce(ended_at, $3), reset_at = $3 "
            "WHERE reset_at IS NULL AND (id = $2 OR partner_id = $1 AND ended_at IS NULL)",
            partner,
            run,
            now,
        )
        await tell(connection)


async def prune() -> None:
    """Drop what is beyond the newest differences of a run, and the newest runs of a partner."""
    async with transaction() as connection:
        await connection.execute(
            "DELETE FROM shadow_run WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER "
            "(PARTITION BY partner_id ORDER BY ended_at IS NULL DESC, id DESC) AS n "
            "FROM shadow_run) r WHERE n > $1)",
            MOST_RUNS,
        )
        for table in ("shadow_count", "shadow_difference"):
            await connection.execute(
                f"DELETE FROM {table} x WHERE NOT EXISTS "
                "(SELECT FROM shadow_run r WHERE r.id = x.run_id)"
            )
        await connection.execute(
            "DELETE FROM shadow_difference d USING (SELECT run_id, event_id, row_number() OVER "
            "(PARTITION BY run_id ORDER BY at DESC, event_id DESC) AS n FROM shadow_difference) o "
            "WHERE o.run_id = d.run_id AND o.event_id = d.event_id AND o.n > $1",
            MOST_DIFFERENCES,
        )


# -- what they came to -----------------------------------------------------------------------------


@dataclass(slots=True)
class Totals:
    """What a run counted: purchases, and points by currency as (in force, in shadow)."""

    same: int = 0
    different: int = 0
    faults: int = 0
    points: dict[str, tuple[int, int]] = field(default_factory=dict)


class Difference(NamedTuple):
    """A purchase of which the shadow rules gave something else; by rule what both sides gave."""

    run: int
    event: int
    holder: int
    at: datetime
    live: list[Given]
    shadow: list[Given]


_TOTALS = """SELECT run_id, currency, sum(same)::bigint, sum(different)::bigint,
    sum(faults)::bigint, sum(live), sum(shadow) FROM shadow_count WHERE run_id = ANY($1)
    GROUP BY 1, 2 ORDER BY 1, 2"""


async def totals(numbers: Sequence[int]) -> dict[int, Totals]:
    """What these runs counted so far."""
    async with reading() as connection:
        return _totals(await connection.fetch(_TOTALS, list(numbers)))


def _totals(rows: Iterable[Row]) -> dict[int, Totals]:
    found: dict[int, Totals] = {}
    for run, currency, same, different, faults, live, shadow in rows:
        mine = found.setdefault(run, Totals())
        if currency:
            mine.points[currency] = (min(int(live), _MOST), min(int(shadow), _MOST))
        else:
            mine.same, mine.different, mine.faults = same, different, faults
    return found


async def differences(numbers: Sequence[int], limit: int) -> Mapping[int, list[Difference]]:
    """The newest differences of these runs, so many of each."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT d.* FROM unnest($1::bigint[]) AS r (id) CROSS JOIN LATERAL ("
            "SELECT run_id, event_id, holder_id, at, live, shadow FROM shadow_difference "
            "WHERE run_id = r.id ORDER BY at DESC, event_id DESC LIMIT $2) d",
            list(numbers),
            limit,
        )
    found: dict[int, list[Difference]] = {}
    for row in rows:
        live, shadow = ([Given(*x) for x in orjson.loads(row[n])] for n in (4, 5))
        difference = Difference(row[0], row[1], row[2], row[3], live, shadow)
        found.setdefault(difference.run, []).append(difference)
    return found


class Shadowed(NamedTuple):
    """A partner's open run, as an operator sees it."""

    partner: str
    version: str
    since: datetime
    paused_at: datetime | None
    totals: Totals


async def all_by_code() -> list[Shadowed]:
    """The open runs of all partners, by their codes."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT r.id, p.code, r.version, r.since, r.paused_at FROM shadow_run r "
            "JOIN partner p ON p.id = r.partner_id WHERE r.ended_at IS NULL ORDER BY p.code"
        )
        found = _totals(await connection.fetch(_TOTALS, [row[0] for row in rows]))
    return [
        Shadowed(code, version, since, paused_at, found.get(run, Totals()))
        for run, code, version, since, paused_at in rows
    ]
