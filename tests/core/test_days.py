"""Birthdays and schedules: once for each member and day, at the start of the partner's own day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.check import prove
from core.members import parse_birthday
from core.occasions import keep_days, tell
from tests.core.club import balance, bought, gift, join, open_club
from tests.support import DAY, NOW, enrol_cards, scalar

pytestmark = pytest.mark.asyncio


async def test_birthdays_are_kept_once_a_year_at_the_partners_midnight(database: str) -> None:
    engine = await open_club(gift("birthday", 25), time_zone="Europe/Istanbul")
    await join(engine, "1", birthday=parse_birthday("03-15"))
    await join(engine, "2", birthday=parse_birthday("03-16"))
    await join(engine, "3")
    await enrol_cards(["4"])
    midnight = datetime(2027, 3, 14, 21, tzinfo=UTC)  # the 15th begins in Istanbul
    for now in (midnight - timedelta(seconds=1), midnight, midnight, midnight + DAY / 2):
        await keep_days(engine, now)
        await tell(engine, now)
        assert await balance("1") == (25 if now >= midnight else 0)
    assert (await balance("2"), await balance("3"), await balance("4")) == (0, 0, 0)
    await keep_days(engine, midnight + DAY)
    await tell(engine, midnight + DAY)
    assert await balance("2") == 25
    assert await scalar("SELECT max(occurred_at) FROM event WHERE kind = 19") == midnight + DAY


@pytest.mark.parametrize(
    ("year", "day", "kept"), [(2027, 28, True), (2028, 28, False), (2028, 29, True)]
)
async def test_who_was_born_on_29_february_has_a_birthday_every_year(
    database: str, year: int, day: int, kept: bool
) -> None:
    engine = await open_club(gift("birthday"))
    await join(engine, "1", birthday=parse_birthday("02-29"))
    now = datetime(year, 2, day, 12, tzinfo=UTC)
    await keep_days(engine, now)
    await tell(engine, now)
    assert await balance() == 7 * kept


async def test_a_schedule_reaches_each_member_once_a_day_and_makes_up_for_days_missed(
    database: str,
) -> None:
    engine = await open_club(gift("schedule:weekly monday"), gift("schedule:monthly 31", 100))
    await join(engine, "1")
    await bought(engine, "R-1", member=str((await enrol_cards(["2"])) and 2))
    await enrol_cards(["3"])
    monday = datetime(2026, 3, 16, 1, tzinfo=UTC)
    await keep_days(engine, NOW)  # a Sunday
    assert await tell(engine, NOW) == 0
    for now in (monday, monday + DAY):
        await keep_days(engine, now)
        await tell(engine, now)
    assert [await balance(m) for m in "123"] == [7, 7, 0]
    # Nobody looked for more than a week: the last seven days are made up for.
    late = monday + 16 * DAY
    await keep_days(engine, late)
    await tell(engine, late)
    assert [await balance(m) for m in "123"] == [114, 114, 0]
    at = await scalar(
        "SELECT array_agg(DISTINCT e.occurred_at ORDER BY e.occurred_at) FROM transfer "
        "JOIN event e ON e.id = event_id AND e.kind = 19"
    )
    assert at == [datetime(2026, 3, d, tzinfo=UTC) for d in (16, 30, 31)]
    assert await prove() == []
