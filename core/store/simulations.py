"""Queries of what-if: the history that is judged again, and the runs that were asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, NamedTuple

import orjson

from core.db import Connection, Row, aside, reading

#: On this channel workers hear that a run is asked for.
CHANNEL = "laurels_simulation"
#: Without a sign of life for so long a run counts as left behind: another worker begins it anew.
LEFT_AFTER = timedelta(seconds=60)
_PERIOD = (
    "FROM event WHERE partner_id = $1 AND kind IN (1, 18, 19) AND occurred_at >= $2 "
    "AND occurred_at < $3"
)


async def count(connection: Connection, partner: int, begin: datetime, end: datetime) -> int:
    """How many purchases and activities a partner has in [begin, end)."""
    found: int = await connection.fetchval(f"SELECT count(*) {_PERIOD}", partner, begin, end)
    return found


class Step(NamedTuple):
    """A purchase (`purchase` None), or what came back of one, in the order of the books."""

    event: int
    purchase: int | None


async def events(
    connection: Connection, partner: int, begin: datetime, end: datetime, size: int
) -> AsyncIterator[list[Step]]:
    """Purchases and activities of [begin, end) and all returns and cancels of them, so many at a time."""
    cursor = await connection.cursor(
        "SELECT e.id, e.purchase_id FROM event e LEFT JOIN event p ON p.id = e.purchase_id "
        "WHERE e.partner_id = $1 AND e.kind IN (1, 8, 9, 18, 19, 20) "
        "AND coalesce(p.occurred_at, e.occurred_at) >= $2 "
        "AND coalesce(p.occurred_at, e.occurred_at) < $3 ORDER BY e.booked_at, e.id",
        partner,
        begin,
        end,
    )
    while rows := await cursor.fetch(size):
        yield [Step(*row) for row in rows]


async def uses_before(
    connection: Connection,
    partner: int,
    since: Mapping[str, datetime | None],
    before: datetime,
    size: int,
) -> AsyncIterator[list[Row]]:
    """What was counted under these caps, each since an instant or ever, as `cap_use` has it."""
    cursor = await connection.cursor(
        "SELECT u.holder_id, u.partner_id, u.key, u.event_id, u.rule_id, u.currency_id, u.at, "
        "u.points, u.times, nullif(u.period, '-infinity') "
        "FROM unnest($3::text[], $4::timestamptz[]) AS k (key, since) JOIN cap_use u "
        "ON u.partner_id = $1 AND u.key = k.key AND u.at < $2 "
        "AND (k.since IS NULL OR u.at >= k.since)",
        partner,
        before,
        list(since),
        list(since.values()),
    )
    while rows := await cursor.fetch(size):
        yield rows


async def budgets_before(connection: Connection, partner: int, before: datetime) -> list[Row]:
    """(key, period, points) that a partner's budgets had given before."""
    return await connection.fetch(
        "SELECT key, nullif(period, '-infinity'), sum(points)::bigint FROM cap_use "
        "WHERE partner_id = $1 AND at < $2 AND key LIKE 'budget:%' GROUP BY 1, 2",
        partner,
        before,
    )


async def carried_before(connection: Connection, partner: int, before: datetime) -> list[Row]:
    """(holder, rule, amount) that a partner's rules carried over from purchases before."""
    return await connection.fetch(
        "SELECT d.holder_id, g ->> 0, sum((g ->> 4)::bigint)::bigint FROM decision d "
        "JOIN event e ON e.id = d.event_id LEFT JOIN event p ON p.id = e.purchase_id "
        "CROSS JOIN LATERAL jsonb_array_elements(d.content::jsonb -> 'c') g "
        "WHERE d.partner_id = $1 AND d.kind IN (1, 8, 9, 10, 18, 19, 20) AND d.content LIKE '%\"c\":[[%' "
        "AND coalesce(p.occurred_at, e.occurred_at) < $2 "
        "AND EXISTS (SELECT FROM carry WHERE partner_id = $1) GROUP BY 1, 2",
        partner,
        before,
    )


async def standings(
    connection: Connection, ladder: int, holders: Sequence[int]
) -> list[tuple[int, datetime, list[Sequence[Any]], list[Sequence[Any]]]]:
    """(holder, enrolled at, rows that qualified, ranks given by hand) on a ladder.

    Ranks as `core.qualifying.floors_from` reads them.
    """
    rows = await connection.fetch(
        "SELECT h.id, h.created_at, q.at, q.counts_from, q.amount FROM holder h "
        "LEFT JOIN qualification q ON q.holder_id = h.id AND q.ladder_id = $1 "
        "WHERE h.id = ANY($2) ORDER BY h.id, q.counts_from, q.event_id",
        ladder,
        list(holders),
    )
    given = await connection.fetch(
        "SELECT 6, holder_id, ladder_id, rank, kind, event_id, ends, NULL, from_at, until_at, "
        "reason FROM assignment WHERE ladder_id = $1 AND holder_id = ANY($2)",
        ladder,
        list(holders),
    )
    found: dict[int, tuple[int, datetime, list[Sequence[Any]], list[Sequence[Any]]]] = {}
    for holder, enrolled, *row in rows:
        own = found.setdefault(holder, (holder, enrolled, [], []))
        if row[0] is not None:
            own[2].append(row)
    for floor in given:
        found[floor[1]][3].append(list(floor))
    return list(found.values())


# -- runs ------------------------------------------------------------------------------------------


class State(IntEnum):
    """Where a run stands."""

    WAITING = 1
    RUNNING = 2
    DONE = 3
    CANCELLED = 4
    FAILED = 5


class Run(NamedTuple):
    """A row of `simulation`; `asked` holds the draft and the codes left out, `report` what came."""

    id: int
    partner: int
    caller: str
    asked: dict[str, Any]
    begin: datetime
    end: datetime
    requested_at: datetime
    state: State
    done: int
    total: int
    problem: str
    report: dict[str, Any] | None
    attempts: int


_RUN = """id, partner_id, caller, asked, from_at, until_at, requested_at, state, done, total, problem,
    report, attempts"""


def _run(row: Row) -> Run:
    report = None if row[11] is None else orjson.loads(row[11])
    return Run(
        row[0], row[1], row[2], orjson.loads(row[3]), row[4], row[5], row[6], State(row[7]), row[8],
        row[9], row[10], report, row[12],
    )  # fmt: skip


async def ask(
    connection: Connection,
    number: int,
    partner: int,
    caller: str,
    asked: Mapping[str, Any],
    period: tuple[datetime, datetime],
    now: datetime,
) -> None:
    """Ask for a run; workers hear of it with the commit."""
    await connection.execute(
        "INSERT INTO simulation (id, partner_id, caller, asked, from_at, until_at, requested_at) "
        "VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7)",
        number,
        partner,
        caller,
        orjson.dumps(asked).decode(),
        *period,
        now,
    )
    await connection.execute("SELECT pg_notify($1, '')", CHANNEL)


async def claim(only: int | None = None) -> Run | None:
    """Take a run (or this one) that waits, or that was left behind; None: there is none.

    Each claim is an attempt: whoever made an earlier one is told to stop by its number.
    """
    async with reading() as connection:
        row = await connection.fetchrow(
            "UPDATE simulation SET state = 2, done = 0, beat_at = now(), attempts = attempts + 1 "
            "WHERE id = (SELECT id FROM simulation "
            "WHERE (state = 1 OR state = 2 AND beat_at < now() - $1::interval) "
            "AND ($2::bigint IS NULL OR id = $2) "
            f"ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING {_RUN}",
            LEFT_AFTER,
            only,
        )
    return None if row is None else _run(row)


async def beat(run: Run, done: int, total: int) -> bool:
    """Give a sign of life, with how far a run has come; False where it is to stop."""
    async with aside() as connection:
        state = await connection.fetchval(
            "UPDATE simulation SET done = $3, total = $4, beat_at = now() "
            "WHERE id = $1 AND attempts = $2 RETURNING state",
            run.id,
            run.attempts,
            done,
            total,
        )
    return bool(state == State.RUNNING)


async def finish(run: Run, report: Mapping[str, Any] | None, problem: str = "") -> None:
    """Keep what came of a run, unless it was cancelled or begun anew meanwhile."""
    text = None if report is None else orjson.dumps(report).decode()
    async with reading() as connection:
        await connection.execute(
            "UPDATE simulation SET state = $3, report = $4::jsonb, problem = $5 "
            "WHERE id = $1 AND attempts = $2 AND state = 2",
            run.id,
            run.attempts,
            State.FAILED if report is None else State.DONE,
            text,
            problem[:1000],
        )


async def open_of(connection: Connection, partner: int) -> int:
    """How many runs of a partner wait or run."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM simulation WHERE partner_id = $1 AND state IN (1, 2)", partner
    )
    return found


async def cancel(number: int) -> None:
    """Stop a run, where it isn't over yet."""
    async with reading() as connection:
        await connection.execute(
            "UPDATE simulation SET state = 4 WHERE id = $1 AND state IN (1, 2)", number
        )


async def read(number: int) -> Run | None:
    """The run of this number."""
    async with reading() as connection:
        row = await connection.fetchrow(f"SELECT {_RUN} FROM simulation WHERE id = $1", number)
    return None if row is None else _run(row)


async def of_partner(partner: int | None, before: int, limit: int) -> list[Run]:
    """A partner's runs, or all, the latest first, of lower numbers than `before`."""
    async with reading() as connection:
        rows = await connection.fetch(
            f"SELECT {_RUN} FROM simulation WHERE ($1::int IS NULL OR partner_id = $1) "
            "AND id < $2 ORDER BY id DESC LIMIT $3",
            partner,
            before,
            limit,
        )
    return [_run(row) for row in rows]
