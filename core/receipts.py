"""A purchase as it stands now: its revisions, what came back of it, what is still earned.

Reads the books and books nothing; what a return does is `core.taking_back`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from core.bought import Bought
from core.events import EventKind
from core.lines import line_of
from core.store import attributes
from core.store import receipts as store
from laurels.purchase import Line


class Part(NamedTuple):
    """What of a line came back: its number from 1, so many thousandths of it, or so much money."""

    line: int
    quantity: int
    amount: int


@dataclass(frozen=True, slots=True)
class Step:
    """An event of a purchase: the purchase itself, a revision, a return, a cancel, a fulfilment.

    `money` is what was paid (purchase, revision) or what came back, in minor units; `lines` are
    those of a purchase or revision, `parts` what a return named.
    """

    event: int
    kind: EventKind
    external_id: str
    occurred_at: datetime
    booked_at: datetime
    content: Mapping[str, Any]
    money: int
    lines: tuple[Line, ...] = ()
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """A purchase with all that became of it, oldest first; the first step is the purchase."""

    bought: Bought
    steps: tuple[Step, ...]

    def of(self, *kinds: EventKind) -> list[Step]:
        """The steps of these kinds."""
        return [step for step in self.steps if step.kind in kinds]

    def step(self, event: int) -> Step:
        """The step of this event."""
        return next(step for step in self.steps if step.event == event)


async def stories(purchases: Sequence[int]) -> dict[int, Story]:
    """Purchases by their event's id, in two statements; in three where something was noted."""
    histories, lines = await store.history(purchases)
    by_event: dict[int, list[Any]] = {}
    for row in lines:
        by_event.setdefault(row[0], []).append(row)
    steps: dict[int, list[Step]] = {}
    for row in histories:
        steps.setdefault(row[0], []).append(_step(row, by_event.get(row[1], [])))
    gathered = Bought.gather([tuple(row)[:12] for row in histories], lines)
    noted = await attributes.found([(b.holder, n) for b in gathered.values() for n in b.noted])
    for bought in gathered.values():
        bought.recall(noted)
    return {key: Story(bought, tuple(steps[key])) for key, bought in gathered.items()}


def _step(row: Any, lines: Sequence[Any]) -> Step:
    kind = EventKind(row[2])
    sold = kind in (EventKind.PURCHASE, EventKind.EDIT)
    return Step(
        row[1], kind, row[8], row[4], row[5], orjson.loads(row[10]), row[12] or 0,
        tuple(line_of(x[2:]) for x in lines) if sold else (),
        () if sold else tuple(Part(x[1], x[4], x[3]) for x in lines),
    )  # fmt: skip
