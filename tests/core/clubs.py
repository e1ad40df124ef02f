"""Clubs with ladders of every policy on real books, for tests of tiers. Holds no test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from core.db import reading
from core.members import Enrolment, enrol
from core.posting import Engine
from core.programme import LadderSettings, TierSettings
from core.reviews import review_tiers
from core.standings import TierStatus, standings
from core.store.ids import Ids
from core.store.reference import install
from tests.core.shop import CAFE, GROCER, PROGRAMME
from tests.support import NOW, card, scalar

Move = tuple[datetime, int, int]
TICK = timedelta(microseconds=1)


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def ladder(
    window: str | None,
    *steps: int,
    kept: Sequence[int] = (),
    measure: str = "earned:STAR",
    **policy: Any,
) -> LadderSettings:
    """The programme's one ladder; the tiers whose places are `kept` are never taken."""
    thresholds = steps or (60, 200)
    tiers = [TierSettings(code="t0", at=0)]
    for n, at in enumerate(thresholds, 1):
        tiers.append(TierSettings(code=f"t{n}", at=at, never_down=n in kept))
    return LadderSettings(code="club", measure=measure, tiers=tuple(tiers), window=window, **policy)


async def open_club(terms: LadderSettings) -> Engine:
    """The coalition of `tests.core.shop` with this ladder."""
    programme = PROGRAMME.model_copy(update={"ladders": (terms,)})
    return Engine(await install(programme, [GROCER, CAFE], NOW))


async def reopen(terms: LadderSettings) -> Engine:
    """The coalition again, with its ladder declared anew."""
    programme = PROGRAMME.model_copy(update={"ladders": (terms,)})
    settings = programme.model_dump_json()
    await scalar("UPDATE programme SET settings = $1::jsonb RETURNING 1", settings)
    return Engine(await install(programme, [GROCER, CAFE], NOW))


async def member(at: datetime = NOW) -> int:
    """A member with the card 1, enrolled then."""
    ((holder, _),) = await enrol(Ids(), [Enrolment([card("1")])], at)
    return holder


async def moves(holder: int) -> list[Move]:
    """(when, from, to) of each change of rank on the club's ladder, as booked."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT c.at, c.from_rank, c.to_rank FROM tier_change c JOIN ladder l "
            "ON l.id = c.ladder_id AND l.code = 'club' WHERE c.holder_id = $1 "
            "ORDER BY c.booked_at, c.at",
            holder,
        )
    return [tuple(row) for row in rows]


async def status(engine: Engine, holder: int, at: datetime) -> TierStatus:
    """Where the member stands on the club's ladder at an instant."""
    (found,) = [
        x for x in (await standings(engine, [holder], at))[holder] if x.ladder.ladder.code == "club"
    ]
    return found


async def rank(engine: Engine, holder: int, at: datetime) -> int:
    return (await status(engine, holder, at)).rank


async def nights(engine: Engine, first: datetime, last: datetime, step: int = 1) -> None:
    """Every night's review, five minutes after midnight."""
    at = first
    while at <= last:
        await review_tiers(engine, at + timedelta(minutes=5))
        at += timedelta(days=step)
