"""What the people of the demo do on which day: visits, what comes back, looks at the catalogues.

Pure, and the same whenever it is asked: a life told in two halves is the life told in one go, for
each of somebody's habits has a die of its own that is cast from the first day on. Knows no engine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from app.pastimes import Pastime, answer_to, pastimes
from app.population import Habit, Persona, Temper

#: What is usual at a brand: product type, amount, and of how many visits out of a hundred.
RECEIPTS: Mapping[str, Sequence[tuple[str, str, int]]] = {
    "grocer": (
        ("GROCERY", "61.35", 90), ("PRODUCE", "34.20", 70), ("MEAT", "22.80", 45),
        ("SEAFOOD", "18.40", 15), ("FUEL", "48.00", 12),
    ),
    "cafe": (("coffee", "4.50", 95), ("cake", "3.80", 35), ("sandwich", "6.90", 20)),
    "outfitter": (
        ("jacket", "129.00", 30), ("coat", "189.00", 12), ("shoes", "95.00", 25),
        ("socks", "12.90", 40), ("sale", "39.00", 25),
    ),
    "coffee": (("coffee", "4.20", 92), ("cake", "3.90", 25), ("lunch", "8.50", 12)),
    "marketplace": (
        ("household", "24.00", 60), ("books", "17.50", 35), ("electronics", "139.00", 10),
    ),
    "shop": (("bowl", "34.00", 60), ("vase", "58.00", 30), ("glaze", "12.00", 35)),
    "voice": (("room", "118.00", 100), ("dinner", "46.00", 40), ("minibar", "9.50", 15)),
    "outdoors": (("boots", "149.00", 20), ("socks", "19.00", 50), ("stove", "64.00", 15)),
}  # fmt: skip
#: Of a hundred receipts of more than one line, how many lose one some days later.
_BROUGHT_BACK = 4
#: Of a hundred receipts, how many a till sends twice; of a thousand, how many with another amount.
_SENT_TWICE, _FORGED = 2, 3
_YEAR = 365.0
#: When somebody answers a survey that was sent after a stay.
_ASKED = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Visit:
    """A receipt. `twice`: a till sends it again; `forged`: and then with another amount."""

    person: Persona
    partner: str
    external_id: str
    at: datetime
    lines: tuple[tuple[str, str], ...]
    tender: str = ""
    twice: bool = False
    forged: bool = False


@dataclass(frozen=True, slots=True)
class Back:
    """A line of a receipt comes back, or all of it where `line` is None."""

    visit: Visit
    line: int | None


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody looks what is to be had for points. `fate` says what becomes of it, from 0 to 1."""

    person: Persona
    number: int
    fate: float


@dataclass(slots=True)
class Day:
    """All that happens on a day, each part in an order of its own."""

    joins: list[Persona] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    backs: list[Back] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    pastimes: list[Pastime] = field(default_factory=list)


def lives(
    people: Sequence[Persona], seed: int, began: date, until: date, zone: ZoneInfo
) -> dict[date, Day]:
    """Every day from `began` to before `until` on which something happens."""
    days: defaultdict[date, Day] = defaultdict(Day)
    for person in people:
        joined = began + timedelta(days=person.joins)
        if joined >= until:
            continue
        days[joined].joins.append(person)
        end = until
        if person.leaves is not None:
            end = min(until, began + timedelta(days=person.leaves))
        for partner, habit in person.habits.items():
            die = Random(f"{seed} {person.card} {partner}")
            for n, day in enumerate(_days(die, habit, joined, end)):
                visit = _visit(die, person, partner, n, day, zone)
                days[day].visits.append(visit)
                told = answer_to(die, person, partner, n)
                if told is not None and day + _ASKED < until:
                    days[day + _ASKED].pastimes.append(told)
                back = _back(die, visit, day)
                if back is not None and back[0] < until:
                    days[back[0]].backs.append(back[1])
        die = Random(f"{seed} {person.card} looks")
        for n, day in enumerate(_days(die, Habit(person.looks, 1.0, 1.0), joined, end)):
            days[day].looks.append(Look(person, n, die.random()))
    for when, pastime in pastimes(people, seed, began, until):
        days[when].pastimes.append(pastime)
    for whole in days.values():
        whole.visits.sort(key=lambda visit: (visit.at, visit.external_id))
    return dict(days)


def _days(die: Random, habit: Habit, first: date, end: date) -> Iterator[date]:
    """The days on which somebody comes: at random, at a rate that drifts."""
    if habit.rate <= 0:
        return
    after = 0.0
    while True:
        rate = habit.rate * habit.drift ** (after / _YEAR)
        # Whoever comes once in many years doesn't come.
        after += die.expovariate(max(rate, 1e-4))
        day = first + timedelta(days=min(int(after), 100_000))
        if day >= end:
            return
        yield day


def _visit(die: Random, person: Persona, partner: str, n: int, day: date, zone: ZoneInfo) -> Visit:
    basket = person.habits[partner].basket
    usual = RECEIPTS[partner]
    lines = [
        (kind, f"{float(amount) * basket * die.uniform(0.6, 1.5):.2f}")
        for kind, amount, often in usual
        if die.randrange(100) < often
    ] or [(usual[0][0], usual[0][1])]
    at = datetime.combine(day, time(die.randrange(8, 19), die.randrange(60)), zone)
    return Visit(
        person, partner, f"{person.card}-{n}", at, tuple(lines), _tender(person, partner),
        twice=die.randrange(100) < _SENT_TWICE, forged=die.randrange(1000) < _FORGED,
    )  # fmt: skip


def _tender(person: Persona, partner: str) -> str:
    """At the coffee bar two of three pay by its preloaded card, always."""
    return "stored-value" if partner == "coffee" and int(person.card) % 3 else ""


def _back(die: Random, visit: Visit, day: date) -> tuple[date, Back] | None:
    """When something of a visit comes back, if it does: of the sly whatever is dear, and all."""
    chance, after, line = die.randrange(100), die.randrange(2, 13), die.randrange(len(visit.lines))
    when = day + timedelta(days=after)
    if visit.person.temper is Temper.SLY and visit.partner == "outfitter":
        return (when, Back(visit, None)) if chance < 70 else None
    if len(visit.lines) > 1 and chance < _BROUGHT_BACK:
        return when, Back(visit, line + 1)
    return None
