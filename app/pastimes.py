"""What people do besides shopping: memberships, reviews, walks, thanks between colleagues.

Pure, as `app.lives`: each of somebody's pastimes has a die of its own. Who does it, and when; how
it is booked is `app.doing`'s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from random import Random
from typing import TypeAlias

from app.population import Persona

#: What the outdoor brand's walks are on, in turn.
_TRAILS = ("ridge", "coast", "lake", "canyon", "forest")
#: Values that thanks are given for, the first far more often than the last.
_VALUES = ("care", "care", "care", "craft", "craft", "courage", "candour")
_WORDS = (
    "Thank you for staying late with me.", "You explained it so that I understood.",
    "The customers noticed, and so did I.", "Without you we would have missed it.",
)  # fmt: skip
_SAID = ("The lift was broken, and nobody knew.", "The breakfast, and the view of the quay.")
#: Of a hundred who know the marketplace, how many try its membership.
_TRY_PLUS = 30
#: Of a hundred months, after how many a member has had enough of it.
_HAD_ENOUGH = 6


class Step(Enum):
    """What becomes of a membership."""

    TRIAL = "trial"
    PAID = "paid"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Membership:
    """A step of somebody's membership of the marketplace; `number` counts them."""

    person: Persona
    number: int
    step: Step


@dataclass(frozen=True, slots=True)
class Review:
    """Somebody writes of what was bought at the web shop."""

    person: Persona
    number: int


@dataclass(frozen=True, slots=True)
class Walk:
    """The outdoor brand invites to a walk, nine days ahead."""

    code: str
    trail: str
    on: date


@dataclass(frozen=True, slots=True)
class Seat:
    """Somebody registers for a walk, or (`arrives`) is there on the day."""

    person: Persona
    walk: str
    arrives: bool


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody begins to work in a team."""

    person: Persona


@dataclass(frozen=True, slots=True)
class Thanks:
    """A colleague thanks another, with points and in words."""

    person: Persona
    to: Persona
    number: int
    points: int
    value: str
    words: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Somebody answers what it was asked after a stay, if it was asked."""

    person: Persona
    number: int
    score: int
    comment: str


Pastime: TypeAlias = Membership | Review | Walk | Seat | Colleague | Thanks | Answer


def answer_to(die: Random, person: Persona, partner: str, number: int) -> Answer | None:
    """What somebody will answer of a visit; None: nothing. Most are content."""
    answers, score, speaks = die.random() < 0.45, die.random(), die.random() < 0.3
    if partner != "voice" or not answers:
        return None
    # Eleven steps from 0 to 10, the high ones by far the most likely.
    stars = min(10, int(11 * score**0.35))
    return Answer(person, number, stars, _SAID[0 if stars < 7 else 1] if speaks else "")


def pastimes(
    people: Sequence[Persona], seed: int, began: date, until: date
) -> Iterator[tuple[date, Pastime]]:
    """Everything from `began` to before `until`, by day, in no order but that of each pastime."""
    for when, pastime in _all(people, seed, began, until):
        if when < until:
            yield when, pastime


def _all(
    people: Sequence[Persona], seed: int, began: date, until: date
) -> Iterator[tuple[date, Pastime]]:
    yield from _walks(people, seed, began, until)
    for person in people:
        joined, end = began + timedelta(days=person.joins), _end(person, began, until)
        if "marketplace" in person.habits:
            yield from _membership(person, seed, joined, end)
        if "shop" in person.habits:
            die = Random(f"{seed} {person.card} reviews")
            for n, day in enumerate(_now_and_then(die, 0.004, joined, end)):
                yield day, Review(person, n)
    yield from _thanks([p for p in people if p.team is not None], seed, began, until)


def _end(person: Persona, began: date, until: date) -> date:
    if person.leaves is None:
        return until
    return min(until, began + timedelta(days=person.leaves))


def _now_and_then(die: Random, rate: float, first: date, end: date) -> Iterator[date]:
    after = 0.0
    while True:
        after += die.expovariate(rate)
        day = first + timedelta(days=min(int(after), 100_000))
        if day >= end:
            return
        yield day


def _membership(
    person: Persona, seed: int, joined: date, end: date
) -> Iterator[tuple[date, Pastime]]:
    die = Random(f"{seed} {person.card} plus")
    if die.randrange(100) >= _TRY_PLUS:
        return
    day = joined + timedelta(days=die.randrange(5, 200))
    for n in range(1000):
        if day >= end:
            return
        if n and die.randrange(100) < (45 if n == 1 else _HAD_ENOUGH):
            yield day, Membership(person, n, Step.CANCELLED)
            return
        yield day, Membership(person, n, Step.PAID if n else Step.TRIAL)
        # The first term's thirty days, then months: paid a little before they end.
        day += timedelta(days=28 if n == 0 else 30)


def _walks(
    people: Sequence[Persona], seed: int, began: date, until: date
) -> Iterator[tuple[date, Pastime]]:
    """A walk a month, on its tenth day."""
    first = began.replace(day=1)
    for month in range(10_000):
        year, place = divmod(first.month - 1 + month, 12)
        told = date(first.year + year, place + 1, 1)
        if told >= until:
            return
        if told < began:
            continue
        walk = Walk(f"walk-{told:%Y-%m}", _TRAILS[month % len(_TRAILS)], told + timedelta(days=9))
        yield told, walk
        for person in people:
            there = began + timedelta(days=person.joins) < told < _end(person, began, until)
            die = Random(f"{seed} {person.card} {walk.code}")
            if "outdoors" not in person.habits or not there or die.random() > 0.25:
                continue
            yield told + timedelta(days=die.randrange(1, 8)), Seat(person, walk.code, arrives=False)
            if die.random() < 0.8:
                yield walk.on, Seat(person, walk.code, arrives=True)


def _thanks(
    colleagues: Sequence[Persona], seed: int, began: date, until: date
) -> Iterator[tuple[date, Pastime]]:
    for person in colleagues:
        joined = began + timedelta(days=person.joins)
        yield joined, Colleague(person)
        die = Random(f"{seed} {person.card} thanks")
        for n, day in enumerate(_now_and_then(die, 0.05, joined + timedelta(days=1), until)):
            others = [
                x for x in colleagues
                if x is not person and began + timedelta(days=x.joins) < day
            ]  # fmt: skip
            team = [x for x in others if x.team == person.team]
            # Of one's own team more often than of another.
            to = team if team and die.random() < 0.6 else others
            chosen = die.random()
            points, value, words = (
                die.choice((5, 10, 10, 20)), die.choice(_VALUES), die.choice(_WORDS),
            )  # fmt: skip
            if to:
                one = to[int(chosen * len(to))]
                yield day, Thanks(person, one, n, points, value, words)
