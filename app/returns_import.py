"""Books the returns of an imported file, beside its purchases and in their order.

A row may name its line by what was sold: that is looked up here. A return of a purchase that comes
later in the file waits for it. Knows no format (`app.readers`) and no rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

from app.readers import ReturnedPart, ReturnReceipt, RowError, located
from core.errors import BadInput, Refusal, UnknownReference
from core.events import EventKind
from core.members import MemberRef
from core.posting import Engine
from core.purchases import Incoming, check_text
from core.returning import Waiting, record
from core.returns import ReturnedLine, ReturnInput, Unit, check_return
from core.rulebook import PartnerTerms
from core.store import receipts as store
from core.store.returns import Waits, waiting_now

#: Returns kept in memory until their purchase is read, for what it sold tells their lines.
MOST_KEPT = 50_000
_SLICE = 5000


class GivenBack(NamedTuple):
    """A return of the file, with the member that it names."""

    found: ReturnReceipt
    member: MemberRef

    @property
    def named(self) -> bool:
        """Whether a line of it is told by what was sold, not by its number."""
        return any(part.line is None and not part.whole for part in self.found.parts)


class Sold(NamedTuple):
    """What a return must know of its purchase; `lines` are (number, product type, sku)."""

    holder: int
    money: str
    member: int | None
    lines: list[tuple[int, str, str]]


#: Purchases, then returns: as many as may be booked at once, each member's in the file's order.
Step: TypeAlias = tuple[list[int], list[GivenBack]]


def steps(items: Sequence[Incoming], returns: Sequence[tuple[int, GivenBack]]) -> list[Step]:
    """Split a chunk so that no member's purchases and returns change their order.

    `returns` come with the number of purchases read before each. Members don't bear on each other.
    """
    if not returns:
        return [(list(range(len(items))), [])]
    found: list[Step] = []
    last: dict[MemberRef, tuple[int, bool]] = {}
    for index, back in _merged(len(items), returns):
        member = items[index].member if back is None else back.member
        step, returned = last.get(member, (0, False))
        if back is None and returned:
            step += 1
        last[member] = (step, back is not None)
        while len(found) <= step:
            found.append(([], []))
        if back is None:
            found[step][0].append(index)
        else:
            found[step][1].append(back)
    return found


def _merged(
    count: int, returns: Sequence[tuple[int, GivenBack]]
) -> Iterator[tuple[int, GivenBack | None]]:
    rest = iter(returns)
    upcoming = next(rest, None)
    for index in range(count + 1):
        while upcoming is not None and upcoming[0] == index:
            yield index, upcoming[1]
            upcoming = next(rest, None)
        if index < count:
            yield index, None


class Returns:
    """The returns of one file: booked, waiting, or kept until their purchase is read."""

    def __init__(self, engine: Engine, partner: PartnerTerms, now: datetime) -> None:
        self._engine = engine
        self._partner = partner
        self._now = now
        self._kept: dict[str, list[GivenBack]] = {}
        self._keeping = 0
        self._waiting: dict[str, int] = {}
        self.booked = 0
        self.replayed = 0

    @property
    def waiting(self) -> int:
        """How many wait for their purchase."""
        return len(self._waiting)

    def due(self, purchases: Iterable[str]) -> list[GivenBack]:
        """What was kept for these purchases, which are booked now."""
        if not self._kept:
            return []
        found = [back for purchase in purchases for back in self._kept.pop(purchase, ())]
        self._keeping -= len(found)
        return found

    async def book(self, given: Sequence[GivenBack], *, last: bool = False) -> list[RowError]:
        """Book these; returns what is wrong with some. `last`: keep none for a later purchase."""
        errors: list[RowError] = []
        for start in range(0, len(given), _SLICE):
            errors += await self._book(given[start : start + _SLICE], last)
        return errors

    async def finish(self) -> list[RowError]:
        """At the end of the file: the rest, and what became of those that waited."""
        errors = await self.book([b for kept in self._kept.values() for b in kept], last=True)
        names = list(self._waiting)
        still: dict[str, Waits] = {}
        for start in range(0, len(names), _SLICE):
            some = names[start : start + _SLICE]
            found = await waiting_now(self._partner.id, EventKind.RETURN, some)
            still |= {row.external_id: row for row in found}
        for name in names:
            row = still.get(name)
            if row is not None and not row.problem:
                continue
            number = self._waiting.pop(name)
            if row is None:
                self.booked += 1
            else:
                errors.append(RowError(number, "returns", name, row.problem))
        return errors

    async def _book(self, all_: Sequence[GivenBack], last: bool) -> list[RowError]:
        given, units, known, errors = [], [], [], []
        for back in all_:
            try:
                check_text(back.found.purchase, "purchase", 200, least=1)
                given.append(back)
            except Refusal as refusal:
                errors.append(located(refusal, back.found.external_id, back.found.rows))
        sold = await self._sold(given)
        for n, back in enumerate(given):
            try:
                if n not in sold and back.named and not last and self._keep(back):
                    continue
                units.append(self._unit(back, sold.get(n)))
                known.append(back.found)
            except Refusal as refusal:
                errors.append(located(refusal, back.found.external_id, back.found.rows))
        outcomes = await record(self._engine, units, self._now, historical=True)
        for found, outcome in zip(known, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                errors.append(located(outcome, found.external_id, found.rows))
            elif isinstance(outcome, Waiting):
                self._waiting[found.external_id] = found.rows[0]
            elif outcome.replayed:
                self.replayed += 1
            else:
                self.booked += 1
        return errors

    def _keep(self, back: GivenBack) -> bool:
        """Keep a return until its purchase is read; False where there are too many already."""
        if self._keeping >= MOST_KEPT:
            return False
        self._keeping += 1
        self._kept.setdefault(back.found.purchase, []).append(back)
        return True

    async def _sold(self, given: Sequence[GivenBack]) -> dict[int, Sold]:
        keys = [
            (n, self._partner.id, back.found.purchase, *back.member.key, back.named)
            for n, back in enumerate(given)
        ]
        found: dict[int, Sold] = {}
        for place, holder, money, member, *line in await store.sold(keys) if keys else ():
            sold = found.setdefault(place, Sold(holder, money, member, []))
            sold.lines.append((line[0], line[1], line[2]))
        return found

    def _unit(self, back: GivenBack, sold: Sold | None) -> Unit:
        found = back.found
        if sold is not None:
            if sold.member != sold.holder:
                raise BadInput("the purchase is another member's", "member")
            if found.currency and found.currency != sold.money:
                raise BadInput(f"the purchase was in {sold.money}", "currency")
        parts = found.parts
        whole = parts[0].amount if parts[0].whole else None
        lines = [] if parts[0].whole else [_line(n, p, found, sold) for n, p in enumerate(parts)]
        given = ReturnInput(found.external_id, found.purchase, found.occurred_at, lines, whole)
        return check_return(self._partner, given)


def _line(n: int, part: ReturnedPart, found: ReturnReceipt, sold: Sold | None) -> ReturnedLine:
    """The part with its line's number. Raises Refusal where what was sold doesn't tell it."""
    if part.line is not None:
        return ReturnedLine(part.line, part.quantity, part.amount)
    name = "sku" if part.sku else "product_type"
    wanted = part.sku or part.product_type
    if sold is None:
        raise UnknownReference(
            f"no purchase {found.purchase!r:.60} is recorded; a return that names its lines by "
            "number may wait for it",
            "purchase",
        )
    alike = [
        number
        for number, product_type, sku in sold.lines
        if (not part.sku or part.sku == sku)
        and (not part.product_type or part.product_type == product_type)
    ]
    if len(alike) != 1:
        told = f"{len(alike)} lines" if alike else "no line"
        raise BadInput(
            f"receipt {found.purchase!r:.60} has {told} of {name} {wanted!r:.60}: name one by its "
            "number",
            "lines", n, name,
        )  # fmt: skip
    return ReturnedLine(alike[0], part.quantity, part.amount)
