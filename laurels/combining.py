"""Which of several awards stand: groups of rules of which one gives, on the receipt or each line.

Without a group rules add up. Groups nest: what stands of one competes within the group around it,
as one. Pure, as the evaluator that asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from laurels.errors import DeclarationError, check_code, shown
from laurels.evaluation import Granted, Refused


class Mode(StrEnum):
    """Which rule of a group gives, where several would."""

    HIGHEST = "highest"
    LOWEST = "lowest"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class Group:
    """Rules of which one gives: by `mode` the one with the most points, the fewest, or the first.

    Each currency is judged by itself; equals stand in the order of the rules. `each_line` chooses
    for each line of the receipt. `within` is the group around it. Raises DeclarationError.
    """

    code: str
    mode: Mode = Mode.HIGHEST
    each_line: bool = False
    within: Group | None = None

    def __post_init__(self) -> None:
        check_code("group", self.code)
        try:
            object.__setattr__(self, "mode", Mode(self.mode))
        except ValueError:
            raise DeclarationError(
                f"group {self.code}: mode: {shown(self.mode)} is none of {', '.join(Mode)}"
            ) from None
        around = self.within
        if around is not None and not isinstance(around, Group):
            raise DeclarationError(f"group {self.code}: within: {shown(around)} is no group")
        if around is not None and self.code in around.codes:
            raise DeclarationError(f"group {self.code}: it stands within itself")

    @property
    def codes(self) -> tuple[str, ...]:
        """Its own, and those around it."""
        return (self.code, *(() if self.within is None else self.within.codes))

    @property
    def told(self) -> dict[str, str | int]:
        """As it is stored with a rule's terms."""
        around = "" if self.within is None else "/".join(reversed(self.within.codes))
        return {
            "code": self.code,
            "mode": str(self.mode),
            "each_line": int(self.each_line),
            "within": around,
        }


def combine(
    groups: Mapping[int, Group], granted: Sequence[Granted], titles: Sequence[str]
) -> tuple[list[Granted], list[Refused]]:
    """What stands of awards, and which rules gave nothing because another did.

    `groups` are those of rules by their place; the awards of the others stand as they are.
    """
    standing: dict[int, Granted] = dict(enumerate(granted))
    refused: dict[int, str] = {}
    # Each unit is what competes as one: the awards of a rule, then what stands of a group.
    units: dict[Group, list[list[int]]] = {}
    for place in dict.fromkeys(g.rule for g in granted if g.rule in groups):
        own = [n for n, g in standing.items() if g.rule == place]
        units.setdefault(groups[place], []).append(own)
    while units:
        group = max(units, key=lambda g: len(g.codes))
        rivals = sorted(units.pop(group), key=lambda unit: granted[unit[0]].rule)
        _choose(group, rivals, standing, refused, titles)
        left = [n for unit in rivals for n in unit if n in standing]
        if group.within is not None and left:
            units.setdefault(group.within, []).append(left)
    given = {g.rule for g in standing.values()}
    return list(standing.values()), [
        Refused(place, why) for place, why in refused.items() if place not in given
    ]


def _choose(
    group: Group,
    rivals: Sequence[Sequence[int]],
    standing: dict[int, Granted],
    refused: dict[int, str],
    titles: Sequence[str],
) -> None:
    for currency in dict.fromkeys(standing[n].currency for unit in rivals for n in unit):
        units = [[n for n in unit if standing[n].currency == currency] for unit in rivals]
        units = [unit for unit in units if unit]
        if len(units) < 2:
            continue
        lines = [_lines(unit, standing) for unit in units]
        if group.each_line:
            kept = [_best(group.mode, column) for column in zip(*lines, strict=True)]
        else:
            kept = [_best(group.mode, [sum(each) for each in lines])] * len(lines[0])
        names = [titles[standing[unit[0]].rule] for unit in units]
        for place, unit in enumerate(units):
            mine = [place == winner for winner in kept]
            others = dict.fromkeys(f"'{names[winner]}'" for winner in kept if winner != place)
            for n in unit:
                _keep(n, mine, standing, refused, f"{' and '.join(others)} gave instead")


def _lines(unit: Sequence[int], standing: Mapping[int, Granted]) -> list[int]:
    return [sum(column) for column in zip(*(standing[n].lines for n in unit), strict=True)]


def _best(mode: Mode, points: Sequence[int]) -> int:
    """The place of the one that gives; of equals the first. Who gives nothing is no rival."""
    places = [n for n, some in enumerate(points) if some]
    if not places:
        return 0
    if mode is Mode.FIRST:
        return places[0]
    choose = max if mode is Mode.HIGHEST else min
    return choose(places, key=points.__getitem__)


def _keep(
    n: int,
    mine: Sequence[bool],
    standing: dict[int, Granted],
    refused: dict[int, str],
    why: str,
) -> None:
    """Leave an award what it has won; the rest another gave."""
    award = standing[n]
    lines = [points if own else 0 for points, own in zip(award.lines, mine, strict=True)]
    points = sum(lines)
    if points == award.points:
        return
    if points:
        standing[n] = award._replace(points=points, lines=lines, wanted=None)
    else:
        del standing[n]
        refused[award.rule] = why
