"""The figures of recognition at a company in a span of time: each statement is one question.

Teams are those of then. Who gave to whom is counted, and nobody is named.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from core.db import transaction
from core.store.gifts import TEAM

_SPAN = "g.partner_id = $1 AND g.at >= $2 AND g.at < $3"
_VALUES = f"""
SELECT g.value, count(*), sum(g.points)::bigint FROM gift g WHERE {_SPAN}
GROUP BY 1 ORDER BY 3 DESC, 1
"""
_TEAMS = f"""
SELECT f.team, t.team, count(*), sum(g.points)::bigint FROM gift g
LEFT JOIN LATERAL ({TEAM.format(holder="g.giver_id", partner="$1", name="$4", at="g.at")}) f ON true
LEFT JOIN LATERAL ({TEAM.format(holder="g.receiver_id", partner="$1", name="$4", at="g.at")}) t ON true
WHERE {_SPAN} GROUP BY 1, 2 ORDER BY 1 NULLS LAST, 2 NULLS LAST
"""
# Of a pair that gave both ways all that went between the two counts.
_FIGURES = f"""
WITH g AS (SELECT * FROM gift g WHERE {_SPAN}), pairs AS (
    SELECT count(DISTINCT giver_id) = 2 AS mutual, sum(points) AS points
    FROM g GROUP BY least(giver_id, receiver_id), greatest(giver_id, receiver_id)
), colleagues AS (
    SELECT count(*) AS n FROM relation r CROSS JOIN LATERAL (
        {TEAM.format(holder="r.holder_id", partner="$1", name="$4", at="$5::timestamptz")}) t
    WHERE r.partner_id = $1 AND t.team IS NOT NULL
), received AS (
    SELECT sum(points) AS points, row_number() OVER (ORDER BY sum(points) DESC, receiver_id) AS place
    FROM g GROUP BY receiver_id
)
SELECT (SELECT count(*) FROM g), (SELECT coalesce(sum(points), 0)::bigint FROM g),
    (SELECT n FROM colleagues), (SELECT count(DISTINCT giver_id) FROM g),
    (SELECT count(*) FROM received), (SELECT count(*) FROM pairs),
    (SELECT count(*) FROM pairs WHERE mutual),
    (SELECT coalesce(sum(points) FILTER (WHERE mutual), 0)::bigint FROM pairs),
    (SELECT coalesce(sum(points), 0)::bigint FROM received
        WHERE place <= (SELECT ceil(n / 10.0) FROM colleagues))
"""


class OfValue(NamedTuple):
    """Gifts for one value; None: for none."""

    value: str | None
    times: int
    points: int


class BetweenTeams(NamedTuple):
    """Gifts from one team to another; None: of whom no team is known."""

    giver: str | None
    receiver: str | None
    times: int
    points: int


class Figures(NamedTuple):
    """All gifts; of so many `colleagues` who gave and who received; pairs, those that gave both
    ways and the points between them; and what the tenth of colleagues received that got most.
    """

    times: int
    points: int
    colleagues: int
    givers: int
    receivers: int
    pairs: int
    mutual: int
    mutual_points: int
    top_tenth: int


class Report(NamedTuple):
    """Of one span of time."""

    figures: Figures
    values: list[OfValue]
    teams: list[BetweenTeams]


async def report(
    partner: int, team: str, since: datetime, until: datetime, now: datetime
) -> Report:
    """The figures of [since, until), in one snapshot; `team` names the attribute.

    Colleagues are counted at its end, or now.
    """
    async with transaction() as connection:
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        figures = await connection.fetchrow(_FIGURES, partner, since, until, team, min(until, now))
        values = await connection.fetch(_VALUES, partner, since, until)
        teams = await connection.fetch(_TEAMS, partner, since, until, team)
    assert figures is not None
    return Report(
        Figures(*figures), [OfValue(*row) for row in values], [BetweenTeams(*row) for row in teams]
    )
