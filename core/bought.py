"""A purchase with all that became of it: revisions, what came back, what it still earns.

Gathered from the rows of `core.store.returns`; what is done with it is `core.taking_back`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from core.entitlement import Given, Item, Remains, changes_of, given_of, standing
from core.events import CANCELLING, EARNING, EventKind
from core.judging import TierMove
from core.lines import line_of
from core.noted import AttributeRow, values_of
from core.rulebook import PartnerTerms
from core.tally import Carried, carried_of
from laurels.activities import ACTIVITY_LINES, NO_MONEY, PURCHASE, Activity, Value
from laurels.purchase import Facts, Line, Purchase


@dataclass(frozen=True, slots=True)
class Request:
    """What came in on a purchase, with what it says of it as it was sent (`said`).

    `waited`: it came before its purchase, so that it is late by no fault of its own. Where it is
    known when it was `received_at`, it is as late as it was then.
    """

    partner: PartnerTerms
    kind: EventKind
    external_id: str
    occurred_at: datetime
    said: Mapping[str, Any] = field(default_factory=dict)
    waited: bool = False
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """It stands in the books; `replayed` where it stood there before."""

    event: int
    holder: int
    purchase: int
    booked_at: datetime
    replayed: bool = False
    moves: tuple[TierMove, ...] = ()


@dataclass(slots=True)
class Bought:
    """A purchase with all that became of it so far.

    `kept` are points, by currency, that revisions no longer gave and that weren't taken back: they
    had expired, or were let go. What a later revision gives again is these first. `carried` is what
    rules carried over by it, as it stands. `stages` are what remained after each thing that came
    back, and when that was. Of an activity `activity` is its type and what was told of it;
    `thanked` is whether who referred the member was to be thanked for it. Of what was `noted`
    of the member the `attributes` must be recalled.
    """

    event: int
    holder: int
    partner: int
    occurred_at: datetime
    money: str
    external_id: str
    store: str
    visits: int
    tiers: Mapping[str, str]
    noted: tuple[int, ...]
    balances: Mapping[str, int]
    given: tuple[Given, ...]
    remains: Remains
    judged: dict[int, int] = field(default_factory=dict)
    revision: int = 1
    cancelled: bool = False
    earning_events: list[int] = field(default_factory=list)
    fulfilled: dict[str, datetime] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)
    carried: dict[str, Carried] = field(default_factory=dict)
    stages: list[tuple[datetime, Remains]] = field(default_factory=list)
    activity: tuple[str, Mapping[str, Value]] | None = None
    thanked: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    tender: str = ""

    @property
    def trigger(self) -> str:
        """By which rules name it."""
        return PURCHASE if self.activity is None else self.activity[0]

    def facts(self, carried: Mapping[str, int] | None = None) -> Facts:
        """What its rules were told of the member, and of what they carried over."""
        return Facts(
            self.visits,
            dict(self.tiers),
            carried=carried or {},
            attributes=self.attributes,
            balances=self.balances,
        )

    @classmethod
    def gather(cls, histories: Sequence[Any], lines: Sequence[Any]) -> dict[int, Bought]:
        """Purchases by their event's id, from the rows of `core.store.returns.history`."""
        by_event: dict[int, list[Any]] = {}
        for row in lines:
            by_event.setdefault(row[0], []).append(row)
        found: dict[int, Bought] = {}
        for purchase, event, kind, holder, at, _, partner, money, name, *rest in histories:
            store, text, tender = rest
            content = orjson.loads(text)
            own = by_event.get(event, [])
            carried = carried_of(content)
            if kind in EARNING:
                visits, tiers, noted, balances = (*content["f"], [], {})[:4]
                activity = tuple(content["x"]) if "x" in content else None
                sold = [line_of(row[2:]) for row in own] if activity is None else ACTIVITY_LINES
                remains = Remains.whole(sold)
                found[purchase] = cls(
                    event, holder, partner, at, money or NO_MONEY, name, store, visits, tiers,
                    tuple(noted), balances, given_of(content), remains,
                    earning_events=[event], carried=carried, activity=activity,
                    thanked="th" in content, tender=tender or "",
                )  # fmt: skip
                continue
            found[purchase].carried.update(carried)
            if kind == EventKind.EDIT:
                bought = found[purchase]
                lines_now = [line_of(row[2:]) for row in own]
                earned = bought.revise(lines_now, given_of(content))
                bought.correct(changes_of(*earned), content["t"])
                bought.revision = content["rev"]
                bought.thanked = "th" in content
                bought.earning_events.append(event)
            elif kind == EventKind.RETURN or kind in CANCELLING:
                bought = found[purchase]
                items = [Item(row[1] - 1, row[4], row[3]) for row in own]
                bought.judged = dict(content["j"])
                bought.cancelled = kind in CANCELLING
                before = bought.remains
                bought.remains = (
                    before.emptied() if bought.cancelled else before.less(items, content["a"])
                )
                bought.stages.append((at, bought.remains))
            elif kind == EventKind.FULFILMENT:
                found[purchase].fulfilled[content["event"]] = at
        return found

    def receipt(self, partner: PartnerTerms, lines: tuple[Line, ...] | None = None) -> Purchase:
        """As rules see it: its last revision, or other lines in its place."""
        if self.activity is not None:
            return Activity.of(
                partner.code, self.external_id, self.occurred_at, *self.activity, partner.time_zone
            )
        return Purchase(
            partner.code, self.external_id, self.occurred_at, self.money,
            self.remains.lines if lines is None else lines, self.store, partner.time_zone,
            tender=self.tender,
        )  # fmt: skip

    def recall(self, found: Mapping[tuple[int, int], Sequence[AttributeRow]]) -> None:
        """What had been noted of the member when it was judged, as far as it wasn't erased.

        `found` are the rows of these (holder, id).
        """
        rows = [row for n in self.noted for row in found.get((self.holder, n), ())]
        self.attributes = values_of(rows)

    def creditable(self, currency: int, change: int) -> int:
        """What of a rise is to be credited: what was kept isn't given twice."""
        return max(0, change - self.kept.get(currency, 0))

    def correct(self, changes: Mapping[int, int], taken: Sequence[Sequence[int]]) -> None:
        """Note what a revision changed; `taken` as its decision has it."""
        collected = {row[0]: row[3] + row[4] for row in taken}
        for currency, change in changes.items():
            kept = self.kept.get(currency, 0) - change - collected.get(currency, 0)
            self.kept[currency] = max(0, kept)

    def revise(
        self, lines: Sequence[Line], given: tuple[Given, ...]
    ) -> tuple[tuple[Given, ...], tuple[Given, ...]]:
        """Take other lines and awards in place of its own; what they earned before, and earn now.

        Of what came back before so much is off still. Raises WrongState, having changed nothing.
        """
        before = standing(self.given, self.entitled())
        after = self.remains.revised(lines)
        self.stages = [(at, stage.revised(lines)) for at, stage in self.stages]
        self.remains, self.given, self.judged = after, given, {}
        return before, standing(given, self.entitled())

    def entitled(self) -> tuple[int, ...]:
        """The points of each award that are still earned."""
        return self.remains.entitled(self.given, self.judged)
