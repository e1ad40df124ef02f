"""The judge: holds what clients were told against what the books say. Pure; reads no database.

It shares nothing with the engine's own proof (`core.check`), which asks whether the books agree
with themselves: books that forgot an event, or booked it under two names, agree with themselves.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tests.crash.acknowledgements import NATURAL, Act, Operation, logical


class Wrong(StrEnum):
    """What can be wrong."""

    LOST = "lost"
    DOUBLED = "doubled"
    DIFFERENT = "different"
    UNASKED = "unasked"
    UNSETTLED = "unsettled"
    REFUSED = "refused"
    BALANCE = "balance"


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference between what was told and what is booked."""

    wrong: Wrong
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.wrong}: {self.where}: {self.problem}"


@dataclass(frozen=True, slots=True)
class BookedEvent:
    """The event of a purchase or return; `changes` of active balances as in `Answer`."""

    name: str
    card: str
    changes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class BookedRedemption:
    """A redemption with its status and its events' kinds, in lower case, sorted.

    `key` is the idempotency key that leads to it; empty where none does.
    """

    number: int
    key: str
    card: str
    currency: str
    points: int
    status: str
    events: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Books:
    """What the database holds of the operations asked about, or of all."""

    events: Sequence[BookedEvent] = ()
    redemptions: Sequence[BookedRedemption] = ()
    #: (card, currency) to (active, reserved).
    balances: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)


#: How a redemption stands after each act, and by which events it got there.
_STANDS: dict[Act, tuple[str, tuple[str, ...]]] = {
    Act.REDEEM: ("completed", ("redemption",)),
    Act.HOLD: ("held", ("reservation",)),
    Act.CONFIRM: ("completed", ("confirmation", "reservation")),
    Act.CANCEL: ("cancelled", ("cancellation", "reservation")),
}
#: A member may lack the points, or the shelf the reward; nothing else is refused in this load.
_MAY_REFUSE = (Act.REDEEM, Act.HOLD)
NOT_ELIGIBLE = "NOT_ELIGIBLE"


def judge(operations: Iterable[Operation], books: Books, *, whole: bool) -> list[Finding]:
    """Everything that is wrong.

    `whole` says that these are all operations and all books, at rest: then what nobody asked for,
    what nobody knows the end of, and balances that don't follow from the acknowledgements are wrong
    too. Settling operations must come with the holds they settle.
    """
    given = {operation.name: operation for operation in operations}
    events: defaultdict[str, list[BookedEvent]] = defaultdict(list)
    for event in books.events:
        events[logical(event.name)].append(event)
    redemptions: defaultdict[str, list[BookedRedemption]] = defaultdict(list)
    for redemption in books.redemptions:
        redemptions[logical(redemption.key)].append(redemption)
    settling: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in given.values():
        if operation.target:
            settling[operation.target].append(operation)
    findings: list[Finding] = []
    for operation in given.values():
        if operation.act in NATURAL:
            findings += _event(operation, events.pop(operation.name, []))
        elif not operation.target:
            booked = redemptions.pop(operation.name, [])
            findings += _redemption(operation, settling[operation.name], booked)
        if whole:
            findings += _end(operation)
    if whole:
        left = [x.name for booked in events.values() for x in booked]
        left += [f"redemption {x.number}" for booked in redemptions.values() for x in booked]
        findings += [Finding(Wrong.UNASKED, where, "nobody asked for it") for where in left]
        findings += _balances(given.values(), books)
    return findings


def _count(operation: Operation, booked: int) -> Iterator[Finding]:
    """An acknowledged one is there once, one that may have been done at most once, others never."""
    if booked > 1:
        what = f"booked {booked} times, sent {operation.sent} times"
        yield Finding(Wrong.DOUBLED, operation.name, what)
    elif operation.answer is not None and booked == 0:
        yield Finding(Wrong.LOST, operation.name, "acknowledged, and not in the books")
    elif booked and operation.refusal and not operation.unanswered:
        what = f"refused ({operation.refusal}), yet booked"
        yield Finding(Wrong.UNASKED, operation.name, what)


def _event(operation: Operation, booked: Sequence[BookedEvent]) -> Iterator[Finding]:
    yield from _count(operation, len(booked))
    for event in booked:
        if event.card != operation.card:
            what = f"asked for card {operation.card}, booked for {event.card}"
            yield Finding(Wrong.DIFFERENT, operation.name, what)
    if operation.answer is not None and len(booked) == 1:
        [event] = booked
        if event.changes != operation.answer.changes:
            what = f"told {operation.answer.changes}, booked {event.changes}"
            yield Finding(Wrong.DIFFERENT, operation.name, what)


def _redemption(
    operation: Operation, settling: Sequence[Operation], booked: Sequence[BookedRedemption]
) -> Iterator[Finding]:
    yield from _count(operation, len(booked))
    if operation.answer is None or len(booked) != 1:
        return
    [found] = booked
    told = (operation.answer.redemption, operation.card, operation.answer.changes)
    stands = (found.number, found.card, ((found.currency, -found.points),))
    if told != stands:
        yield Finding(Wrong.DIFFERENT, operation.name, f"told {told}, booked {stands}")
    done = [x for x in settling if x.answer is not None]
    perhaps = [x for x in settling if x.answer is None and (x.unanswered or not x.refusal)]
    if len(done) > 1:
        what = f"settled by {', '.join(x.name for x in done)}"
        yield Finding(Wrong.DOUBLED, operation.name, what)
        return
    expected = [_STANDS[x.act] for x in done or [operation, *perhaps]]
    if (found.status, found.events) not in expected:
        wrong = Wrong.LOST if done and found.status == "held" else Wrong.DIFFERENT
        what = f"it is {found.status} by {found.events}, not as in {expected}"
        yield Finding(wrong, (done or [operation])[0].name, what)


def _end(operation: Operation) -> Iterator[Finding]:
    if not operation.settled:
        yield Finding(Wrong.UNSETTLED, operation.name, f"no answer to {operation.sent} sendings")
    elif operation.refusal and not (
        operation.act in _MAY_REFUSE and operation.refusal == NOT_ELIGIBLE
    ):
        yield Finding(Wrong.REFUSED, operation.name, operation.refusal)


def _balances(operations: Iterable[Operation], books: Books) -> Iterator[Finding]:
    """Each balance is the sum of what clients were told, and of what they can't have been told."""
    active: Counter[tuple[str, str]] = Counter()
    reserved: Counter[tuple[str, str]] = Counter()
    given = list(operations)
    settled = {x.target: x.act for x in given if x.target and x.answer is not None}
    for operation in given:
        if operation.answer is None or operation.target:
            continue
        for currency, change in operation.answer.changes:
            place = (operation.card, currency)
            if settled.get(operation.name) is Act.CANCEL:
                continue
            active[place] += change
            if operation.act is Act.HOLD and operation.name not in settled:
                reserved[place] -= change
    # A refused one of which an earlier sending got no answer may have been booked by that sending.
    untold = {x.name for x in given if x.answer is None and x.unanswered}
    for redemption in books.redemptions:
        if logical(redemption.key) in untold:
            place = (redemption.card, redemption.currency)
            active[place] -= redemption.points
            if redemption.status == "held":
                reserved[place] += redemption.points
    for card, currency in sorted({*active, *reserved, *books.balances}):
        due = (active[card, currency], reserved[card, currency])
        stands = books.balances.get((card, currency), (0, 0))
        if due != stands:
            what = f"active and reserved are {stands}, by what was told {due}"
            yield Finding(Wrong.BALANCE, f"card {card}, {currency}", what)
