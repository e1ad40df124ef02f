"""The rows that one batch adds or changes, as the posting path's statements take them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from core.containment import Fault
from core.ledger import Ledger
from core.lines import more_of
from core.noted import AttributeRow, Occasion
from core.redeemed import Settled
from laurels.purchase import Line, LineKind


class Tip(NamedTuple):
    """Where the chain of a holder's decisions ends: when the last was booked, and its hash.

    Of a holder of whom nothing is booked yet, None and what the chain begins with.
    """

    booked_at: datetime | None
    head: bytes


class EventRow(NamedTuple):
    """A row of `event`, in the order of `posting.EVENTS`."""

    id: int
    holder: int
    occurred_at: datetime
    booked_at: datetime
    total: int | None
    partner: int
    kind: int
    money: str | None
    content_hash: bytes
    external_id: str
    store: str = ""
    purchase: int | None = None
    tender: str | None = None


class DecisionRow(NamedTuple):
    """A row of `decision`, in the order of `posting.HOLDERS`."""

    holder: int
    booked_at: datetime
    event: int
    occurred_at: datetime
    partner: int
    rulebook: int
    kind: int
    head: bytes
    content: str


class IssueRow(NamedTuple):
    """A row of `issue`: a reward that a rule wants to be taken for a member, as a purchase's `place`."""

    holder: int
    event: int
    rule: int
    place: int
    partner: int
    reward: str
    quantity: int
    currency: str | None
    order: str
    at: datetime


class Given(NamedTuple):
    """What one rule gave: an amount of a currency, or pieces of a reward that it issues."""

    rule: str
    title: str
    amount: int
    currency: str | None
    reward: str | None = None


class ShadowRow(NamedTuple):
    """What a run of shadow rules made of one purchase.

    `points` are those of the rules in force and of the shadow's, by currency. `live` and `shadow`
    are JSON of who gave what, where they differ. `failed`: the shadow's rules did; then neither.
    """

    run: int
    event: int
    holder: int
    at: datetime
    points: Mapping[str, tuple[int, int]]
    live: str | None = None
    shadow: str | None = None
    failed: bool = False


class QualifiedRow(NamedTuple):
    """A row of `qualification`."""

    holder: int
    ladder: int
    at: datetime
    counts_from: datetime
    event: int
    amount: int


class StandingRow(NamedTuple):
    """A row of `standing`; `due` None: time alone won't change the rank."""

    holder: int
    ladder: int
    measured_at: datetime
    value: int
    rank: int
    since: datetime | None
    due: datetime | None
    terms: int


class TierChangeRow(NamedTuple):
    """A row of `tier_change`."""

    holder: int
    ladder: int
    booked_at: datetime
    at: datetime
    from_rank: int
    to_rank: int
    event: int


class ChangeRow(NamedTuple):
    """A row of `outbox`, in the order of `posting.HOLDERS`: what of an event others are told.

    `currencies` of ledgers that it moved, `ladders` on which the member's tier changed.
    """

    event: int
    holder: int
    partner: int
    kind: int
    currencies: tuple[int, ...] = ()
    ladders: tuple[int, ...] = ()
    redemption: int | None = None


class Lines:
    """The receipts' lines, ten times as many as anything else: copied as they stand."""

    __slots__ = ("_parts", "_receipts")

    def __init__(self) -> None:
        self._receipts: list[tuple[int, Sequence[Line]]] = []
        self._parts: list[tuple[int, int, int, int]] = []

    def add(self, event: int, lines: Sequence[Line]) -> None:
        """The lines of one event, in their order."""
        self._receipts.append((event, lines))

    def add_part(self, event: int, line: int, quantity: int, amount: int) -> None:
        """Part of a receipt's line that an event is about; either figure is 0."""
        self._parts.append((event, line, amount, quantity))

    def rows(self) -> Iterator[tuple[int | str | None, ...]]:
        """Rows of `event_line`, in the order of `posting.LINES`."""
        for event, lines in self._receipts:
            for n, line in enumerate(lines, 1):
                product_type, amount, quantity, sku, discount, tax, paid, kind = line
                if kind is LineKind.GOODS and not (discount or tax or paid):  # as most are
                    yield event, n, amount, quantity, product_type, sku, None, None, None, None
                else:
                    yield event, n, amount, quantity, product_type, sku, *more_of(line)
        for event, n, amount, quantity in self._parts:
            yield event, n, amount, quantity, "", "", None, None, None, None


@dataclass(slots=True)
class Writes:
    """All rows that one batch adds or changes."""

    events: list[EventRow] = field(default_factory=list)
    lines: Lines = field(default_factory=Lines)
    tips: dict[int, Tip] = field(default_factory=dict)
    decisions: list[DecisionRow] = field(default_factory=list)
    ledgers: list[Ledger] = field(default_factory=list)
    qualified: list[QualifiedRow] = field(default_factory=list)
    standings: list[StandingRow] = field(default_factory=list)
    tier_changes: list[TierChangeRow] = field(default_factory=list)
    relations: list[tuple[int, int, int]] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    issues: list[IssueRow] = field(default_factory=list)
    attributes: list[AttributeRow] = field(default_factory=list)
    occasions: list[Occasion] = field(default_factory=list)
    #: (holder, partner, instant, purchase): who referred the holder there is thanked for it.
    thanks: list[tuple[int, int, datetime, int]] = field(default_factory=list)
    #: (holder, activity, instant, id): what was noted for it stands no longer.
    unnoted: list[tuple[int, int, datetime, int]] = field(default_factory=list)
    shadowed: list[ShadowRow] = field(default_factory=list)
    #: Runs of shadow rules that failed too often in a row: they judge no more.
    paused: set[int] = field(default_factory=set)
    #: By run how often it failed in a row, and what its rules did wrong: told once this stands.
    failing: dict[int, int] = field(default_factory=dict)
    shadow_faults: list[tuple[Fault, int]] = field(default_factory=list)
    awaited: bool = False
    outbox: list[ChangeRow] = field(default_factory=list)
