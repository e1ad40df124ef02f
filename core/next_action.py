"""What to do next for a member at one partner: one thing, and the figures that it rests on. Pure.

The first of these that holds: ask why (unhappy, and nobody spoke with it since), win back (away for
twice as long as usual), remind of points that expire, of an offer that is open and unused, of a
tier that is near, of a reward that it can have; thank (glad lately); else nothing. What would be
lost first comes first; what only pleases comes last. Knows nothing of how the past is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise
from statistics import median

#: So many purchases tell a habit, at least.
HABIT = 3
#: Away for so many times the usual gap is away for long.
TWICE = 2
#: A gap of less is a day: whoever came twice on one day isn't away by the evening.
SHORTEST = timedelta(days=1)
#: So near is near: points that expire, and a glad answer.
SOON = timedelta(days=30)
#: A tier is near from four fifths on.
NEAR = 5


class ActionKind(Enum):
    """What to do, the most pressing first."""

    ASK_WHY = 1
    WIN_BACK = 2
    EXPIRING = 3
    OFFER = 4
    TIER = 5
    REWARD = 6
    THANK = 7
    NOTHING = 8


@dataclass(frozen=True, slots=True)
class Said:
    """A scored answer: to what, how much, and when."""

    survey: str
    score: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Open:
    """An offer that is open and unused, and until when; None: without an end."""

    title: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Dying:
    """Points that expire."""

    points: int
    currency: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Ahead:
    """The next tier of a ladder: what of `at` is still missing, in which measure."""

    tier: str
    missing: int
    at: int
    unit: str


@dataclass(frozen=True, slots=True)
class Affordable:
    """A reward that the member can have now."""

    title: str
    points: int
    currency: str


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a member at one partner.

    `unhappy` is its newest answer of a detractor that nobody followed up; `glad` its newest answer,
    where that is a promoter's. `visits` are its last purchases, the newest first.
    """

    now: datetime
    unhappy: Said | None = None
    glad: Said | None = None
    visits: Sequence[datetime] = ()
    dying: Sequence[Dying] = ()
    offers: Sequence[Open] = ()
    tiers: Sequence[Ahead] = ()
    rewards: Sequence[Affordable] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """What to do, why in words, and by which figures."""

    kind: ActionKind
    because: str
    figures: tuple[tuple[str, int], ...] = ()


def next_action(past: Past) -> Action:
    """The first that holds, in the order of `ActionKind`."""
    for candidate in _CANDIDATES:
        found = candidate(past)
        if found is not None:
            return found
    return Action(ActionKind.NOTHING, "nothing presses")


def usual_gap(visits: Sequence[datetime]) -> timedelta | None:
    """How long the member is usually away; None: nobody can tell yet."""
    if len(visits) < HABIT:
        return None
    ordered = sorted(visits)
    gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(ordered)]
    return max(timedelta(seconds=median(gaps)), SHORTEST)


def _ask_why(past: Past) -> Action | None:
    said = past.unhappy
    if said is None:
        return None
    why = f"{_answered(said)}, and nobody spoke with the member since"
    figures = (("score", said.score), ("days since", _days(past.now - said.at)))
    return Action(ActionKind.ASK_WHY, why, figures)


def _win_back(past: Past) -> Action | None:
    gap = usual_gap(past.visits)
    if gap is None:
        return None
    away = past.now - max(past.visits)
    if away <= TWICE * gap:
        return None
    why = f"usually comes every {_days(gap)} days, and was last here {_days(away)} days ago"
    return Action(
        ActionKind.WIN_BACK, why, (("usual days", _days(gap)), ("days away", _days(away)))
    )


def _expiring(past: Past) -> Action | None:
    soon = [d for d in past.dying if past.now < d.at <= past.now + SOON and d.points > 0]
    if not soon:
        return None
    first = min(soon, key=lambda d: (d.at, -d.points, d.currency))
    why = f"{first.points} {first.currency} expire on {_day(first.at)}"
    figures = (("points", first.points), ("days left", _days(first.at - past.now)))
    return Action(ActionKind.EXPIRING, why, figures)


def _offer(past: Past) -> Action | None:
    open_now = [o for o in past.offers if o.until is None or o.until > past.now]
    if not open_now:
        return None
    first = min(open_now, key=lambda o: (o.until is None, o.until or past.now, o.title))
    if first.until is None:
        return Action(ActionKind.OFFER, f"'{first.title}' is on offer, and wasn't used yet")
    why = f"'{first.title}' is on offer until {_day(first.until)}, and wasn't used yet"
    return Action(ActionKind.OFFER, why, (("days left", _days(first.until - past.now)),))


def _tier(past: Past) -> Action | None:
    near = [t for t in past.tiers if t.missing > 0 and NEAR * t.missing <= t.at]
    if not near:
        return None
    first = min(near, key=lambda t: (t.missing / t.at, t.tier))
    why = f"{first.missing} {first.unit} more of {first.at} make {first.tier}"
    return Action(ActionKind.TIER, why, (("missing", first.missing), ("needed", first.at)))


def _reward(past: Past) -> Action | None:
    if not past.rewards:
        return None
    best = max(past.rewards, key=lambda r: (r.points, r.title))
    why = f"has the {best.points} {best.currency} for '{best.title}'"
    return Action(ActionKind.REWARD, why, (("points", best.points),))


def _thank(past: Past) -> Action | None:
    said = past.glad
    if said is None or past.now - said.at > SOON:
        return None
    why = _answered(said)
    figures = (("score", said.score), ("days since", _days(past.now - said.at)))
    return Action(ActionKind.THANK, why, figures)


_CANDIDATES: tuple[Callable[[Past], Action | None], ...] = (
    _ask_why, _win_back, _expiring, _offer, _tier, _reward, _thank,
)  # fmt: skip


def _answered(said: Said) -> str:
    return f"answered {said.score} to '{said.survey}' on {_day(said.at)}"


def _days(span: timedelta) -> int:
    """Whole days."""
    return span // timedelta(days=1)


def _day(at: datetime) -> str:
    return at.date().isoformat()
