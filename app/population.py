"""Who lives in the demo coalition: people with habits, the same people for the same seed.

Pure: no clock, no engine. What they do on which day is `app.lives`' affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from random import Random

_FIRST = (
    "Ada", "Ayşe", "Amina", "Aylin", "Ben", "Berk", "Beatrice", "Can", "Chiara", "Clara",
    "Dario", "Deniz", "Diego", "Ebru", "Elif", "Emeka", "Esra", "Fatma", "Felix", "Giulia",
    "Hakan", "Hana", "Ines", "Iris", "Jonas", "Kemal", "Lale", "Leo", "Luca", "Maya",
    "Mert", "Mina", "Naomi", "Nil", "Noah", "Olga", "Onur", "Paolo", "Pelin", "Rosa",
    "Samir", "Selin", "Sofia", "Tariq", "Tomas", "Umut", "Vera", "Yusuf", "Zara", "Zeynep",
)  # fmt: skip
_LAST = (
    "Acar", "Bauer", "Bianchi", "Çelik", "Conti", "Costa", "Demir", "Dubois", "Ekici",
    "Ferrari", "Fischer", "Gomez", "Güneş", "Haddad", "Ivanova", "Jansen", "Karaca", "Kaya",
    "Koch", "Kowalska", "Lindqvist", "Lopez", "Mancini", "Moreau", "Müller", "Nkemelu",
    "Novak", "Okafor", "Öztürk", "Park", "Peters", "Rossi", "Russo", "Sahin", "Santos",
    "Silva", "Sørensen", "Tanaka", "Torres", "Uysal", "Varga", "Weber", "Zengin", "Aydin",
)  # fmt: skip
#: Members whom the README and the tour name. They come often, and stay.
NAMED = (
    ("Ada Karaca", "ada@example.com", "9012"),
    ("Ben Okafor", "ben@example.com", "9013"),
    ("Chiara Conti", "chiara@example.com", "9014"),
)
#: Days from the first on in which people join: most early, some until the very end.
_JOINING = 600
_FIRST_CARD = 910_000
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Temper(Enum):
    """What kind of customer somebody is."""

    STEADY = "steady"
    KEEN = "keen"
    RARE = "rare"
    SLY = "sly"


#: Of a hundred people, how many are of each temper, and how often they come, to others' once.
_TEMPERS = (
    (Temper.STEADY, 55, 1.0),
    (Temper.KEEN, 15, 2.6),
    (Temper.RARE, 28, 0.3),
    (Temper.SLY, 2, 1.2),
)
#: Visits a day of a steady customer, and of how many out of a hundred people a brand is known.
_BRANDS = {
    "grocer": (0.030, 80), "cafe": (0.020, 45), "outfitter": (0.005, 40), "coffee": (0.020, 30),
    "marketplace": (0.008, 35), "shop": (0.003, 20), "outdoors": (0.003, 20),
    "voice": (0.002, 25),
}  # fmt: skip
#: The first so many of those without a name work at one place, in these teams.
_COLLEAGUES, _TEAMS = 40, ("atelier", "counter", "kitchen", "workshop")


@dataclass(frozen=True, slots=True)
class Habit:
    """How somebody buys at a brand: visits a day at first, what changes in a year, the basket.

    `drift` multiplies the rate each year: below one it fades. `basket` multiplies usual amounts.
    """

    rate: float
    drift: float
    basket: float


@dataclass(frozen=True, slots=True)
class Persona:
    """Somebody, from `joins` days after the first on, until `leaves` (None: stays)."""

    name: str
    email: str
    card: str
    birthday: int
    temper: Temper
    joins: int
    leaves: int | None
    looks: float
    habits: Mapping[str, Habit] = field(default_factory=dict)
    referred_by: str | None = None
    team: str | None = None


def population(size: int, seed: int) -> list[Persona]:
    """So many people, those with a name first. A larger one begins with the smaller one."""
    people = [_named(n, seed) for n in range(min(size, len(NAMED)))]
    people += [_anyone(n, seed, people) for n in range(len(NAMED), size)]
    return people


def _named(n: int, seed: int) -> Persona:
    die = Random(f"{seed} named {n}")
    name, email, card = NAMED[n]
    habits = {brand: Habit(4 * rate, 1.0, 1.0) for brand, (rate, _) in _BRANDS.items()}
    return Persona(name, email, card, _birthday(die), Temper.KEEN, 0, None, 0.04, habits)


def _anyone(n: int, seed: int, before: list[Persona]) -> Persona:
    die = Random(f"{seed} person {n}")
    first, last = die.choice(_FIRST), die.choice(_LAST)
    temper, pace = _temper(die)
    joins = int(_JOINING * die.random() ** 1.7)
    leaves = None
    if temper is not Temper.KEEN and die.random() < 0.35:  # who simply stops to come
        leaves = joins + 30 + int(die.expovariate(1 / 240))
    habits = {
        brand: Habit(
            pace * rate * die.lognormvariate(0, 0.5), die.lognormvariate(0, 0.35),
            die.lognormvariate(0, 0.3),
        )
        for brand, (rate, known) in _BRANDS.items()
        if die.random() * 100 < known
    }  # fmt: skip
    # Some by the word of a friend who is there already.
    friend = die.choice(before) if die.random() < 0.08 else None
    return Persona(
        f"{first} {last}", f"member{n}@example.com", str(_FIRST_CARD + n), _birthday(die), temper,
        joins, leaves, 0.012 * pace, habits,
        friend.card if friend is not None and friend.joins < joins else None,
        _TEAMS[n % len(_TEAMS)] if n < len(NAMED) + _COLLEAGUES else None,
    )  # fmt: skip


def _temper(die: Random) -> tuple[Temper, float]:
    point = die.randrange(100)
    for temper, share, pace in _TEMPERS:
        if point < share:
            return temper, pace
        point -= share
    raise AssertionError("the shares come to a hundred")


def _birthday(die: Random) -> int:
    """Month and day as one number: 423 is the 23rd of April."""
    month = die.randrange(12)
    return 100 * (month + 1) + die.randrange(_MONTHS[month]) + 1
