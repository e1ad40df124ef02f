"""Any life of a membership, held against what it must be by a reckoning apart from the engine."""

from __future__ import annotations

import random
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from core.check import prove
from core.errors import Refusal
from core.nightly import run
from core.posting import Engine
from tests.core.plans import end, go_on, join, open_club, rank, renew, standing
from tests.support import DAY, NOW, enrol_cards, scalar

TICK = timedelta(microseconds=1)
_STEPS = ("trial", "join", "join", "renew", "renew", "cancel", "resume", "night")


@dataclass
class Life:
    """What the membership must be: stretches of [from, until), with the grace."""

    grace: timedelta = 7 * DAY
    stretches: list[list[datetime]] = field(default_factory=list)
    until: datetime = NOW
    renews: bool = False
    ahead: datetime = NOW
    run: tuple[str, datetime, int] = ("", NOW, 0)

    def live(self, at: datetime) -> bool:
        """Whether it lasts, or lasted, then."""
        return any(begun <= at < ended for begun, ended in self.stretches)

    def allows(self, step: str, now: datetime) -> bool:
        """Whether this may be done now."""
        live = self.live(now)
        match step:
            case "trial":
                return not self.stretches
            case "join":
                return not live
            case "renew":
                return bool(self.stretches) and not (live and self.ahead > now)
            case "cancel":
                return live and self.renews
            case "resume":
                return live and not self.renews
        return True

    def does(self, step: str, fee: str, now: datetime) -> None:
        """Do it."""
        if step == "trial":
            self._term("trial", now, renews=True)
            self.run = ("", now, 0)
        elif step in ("join", "renew"):
            self._term(fee, now, renews=not self.live(now) or self.renews)
        elif step in ("cancel", "resume"):
            self.renews = step == "resume"
            self._stretch(now)

    def _term(self, per: str, now: datetime, *, renews: bool) -> None:
        """After the last one, or anew; terms of a kind in a row are counted from the first."""
        start = self.until
        if not self.live(now):
            start = now
            self.stretches.append([now, now])
            self.run = ("", now, 0)
        kind, anchor, times = self.run
        if kind != per:
            anchor, times = start, 0
        self.run = (per, anchor, times + 1)
        self.ahead, self.until, self.renews = start, _after(anchor, per, times + 1), renews
        self._stretch(now)

    def _stretch(self, now: datetime) -> None:
        self.stretches[-1][1] = self.until + self.grace if self.renews else max(self.until, now)


def _after(at: datetime, per: str, times: int) -> datetime:
    if per in ("trial", "day"):
        return at + times * (30 * DAY if per == "trial" else DAY)
    months = at.year * 12 + at.month - 1 + times * (12 if per == "year" else 1)
    year, month = divmod(months, 12)
    day = min(at.day, monthrange(year, month + 1)[1])
    return at.replace(year=year, month=month + 1, day=day)


async def _do(engine: Engine, holder: int, step: str, fee: str, key: str, now: datetime) -> bool:
    """Do it to the engine: whether it was done."""
    try:
        match step:
            case "trial":
                await join(engine, holder, key, now=now)
            case "join":
                await join(engine, holder, key, fee, now)
            case "renew":
                await renew(engine, holder, key, fee, now)
            case "cancel":
                await end(engine, holder, key, now)
            case "resume":
                await go_on(engine, holder, key, now)
            case _:
                await run(engine, now)
    except Refusal:
        return False
    return True


_OVERLAPS = """SELECT count(*) FROM membership_term a JOIN membership_term b USING (holder_id, plan)
WHERE a.number < b.number AND a.until_at > b.from_at"""


async def _lived(seed: int, life: Life) -> None:
    """Live it, and hold it against what it must be."""
    dice = random.Random(seed)
    engine = await open_club()
    [ada] = await enrol_cards(["1"])
    now, refused = NOW, 0
    for n in range(40):
        now += timedelta(hours=dice.choice((0, 1, 20, 100, 400, 1200)))
        step, fee = dice.choice(_STEPS), dice.choice(("day", "day", "month", "month", "year"))
        allowed = life.allows(step, now)
        assert await _do(engine, ada, step, fee, f"{n}", now) is allowed, (n, step)
        if allowed:
            life.does(step, fee, now)
        refused += not allowed
    assert 0 < refused < 40
    found = await standing(ada)
    assert await scalar(_OVERLAPS) == 0
    assert (found.last.until, found.ends_at) == (life.until, life.stretches[-1][1])
    edges = {edge for stretch in life.stretches for edge in stretch}
    for at in sorted({at for edge in edges for at in (edge - TICK, edge) if at >= NOW}):
        assert await rank(engine, ada, at) == int(life.live(at)), at
    assert await prove() == []
    await run(engine, now + 800 * DAY)
    assert await prove() == []


@pytest.mark.parametrize("seed", range(6))
async def test_any_life_is_what_it_must_be(database: str, seed: int) -> None:
    """Terms never overlap; the tier is held as long as terms and grace say, to the instant."""
    await _lived(seed, Life())


async def test_another_grace_would_be_seen(database: str) -> None:
    """The reckoning can fail."""
    with pytest.raises(AssertionError):
        await _lived(1, Life(grace=6 * DAY))
