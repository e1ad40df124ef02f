"""A membership as it stands at an instant, derived from what was agreed. Pure.

So it is right at every instant, whenever a job ran. Knows nothing of how a term comes about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from core.store.memberships import ActRow, Found, TermRow
from laurels.durations import Duration


class TermKind(IntEnum):
    """How a term came about; the numbers are stored."""

    TRIAL = 1
    PAID = 2


class ActKind(IntEnum):
    """What was done about a membership beside its terms; the numbers are stored."""

    CANCELLED = 1
    RESUMED = 2
    DUE = 3


class State(IntEnum):
    """Where a membership stands. In all but the last one its perks hold."""

    TRIAL = 1
    ACTIVE = 2
    GRACE = 3
    LAPSED = 4


@dataclass(frozen=True, slots=True)
class Membership:
    """One member's membership of one plan: its terms and acts, each in the order of booking."""

    terms: Sequence[TermRow]
    acts: Sequence[ActRow]

    @property
    def last(self) -> TermRow:
        """The last term."""
        return self.terms[-1]

    @property
    def _choice(self) -> TermRow | ActRow:
        """What last said whether it is renewed."""
        chosen = [act for act in self.acts if act.kind != ActKind.DUE]
        if chosen and chosen[-1].booked_at > self.last.booked_at:
            return chosen[-1]
        return self.last

    @property
    def renews(self) -> str | None:
        """The code of the fee by which it is to be renewed; None: it ends with its term."""
        return self._choice.renews

    @property
    def cancelled_at(self) -> datetime | None:
        """Since when it isn't to be renewed; None: it is."""
        choice = self._choice
        return choice.at if choice.renews is None else None

    @property
    def ends_at(self) -> datetime:
        """Until when its perks hold, if nothing more comes: with its grace, if it has any.

        One that was cancelled ends with its term, and at once where that is over.
        """
        choice = self._choice
        if choice.renews is not None:
            return self.last.grace_until
        return max(self.last.until, choice.at)

    @property
    def since(self) -> datetime:
        """Since when it lasts without a break."""
        begun = self.last.since
        for term in reversed(self.terms[:-1]):
            if term.until != begun:
                break
            begun = term.since
        return begun

    @property
    def agreed(self) -> list[str]:
        """The fees by which it was to be renewed so far, the last one last."""
        rows: list[TermRow | ActRow] = [*self.terms, *self.acts]
        rows.sort(key=lambda row: row.booked_at)
        return [row.renews for row in rows if row.renews is not None]

    @property
    def told_due(self) -> bool:
        """Whether it was told that the fee after its last term is due."""
        number = self.last.number
        return any(act.kind == ActKind.DUE and act.number == number for act in self.acts)

    def state(self, at: datetime) -> State:
        """Where it stands at an instant from its last booking on."""
        if at >= self.ends_at:
            return State.LAPSED
        for term in self.terms:
            if term.since <= at < term.until:
                return State.TRIAL if term.kind == TermKind.TRIAL else State.ACTIVE
        return State.GRACE

    def holds(self, at: datetime) -> bool:
        """Whether its perks hold."""
        return self.state(at) is not State.LAPSED

    def term_at(self, at: datetime) -> TermRow:
        """The term that an instant is in, or in whose grace it is."""
        begun = [term for term in self.terms if term.since <= at]
        return begun[-1] if begun else self.terms[0]

    @property
    def floors(self) -> frozenset[int]:
        """The events of the tiers that it gave."""
        given = [term.floor for term in self.terms] + [act.floor for act in self.acts]
        return frozenset(floor for floor in given if floor is not None)


def found(rows: Found, partner: int, plan: str) -> Membership | None:
    """One membership among a holder's."""
    one = rows.get((partner, plan))
    return None if one is None else Membership(*one)


def next_span(
    before: Membership | None, length: Duration, per: str, now: datetime, time_zone: str
) -> tuple[datetime, datetime]:
    """From when until when the next term lasts: after the last one, or from now on anew.

    Terms of one length that follow each other are counted from the first one: who joined on the
    31st pays on the last day of February, and on the 31st of March again.
    """
    if before is None or not before.holds(now):
        return now, length.after(now, time_zone)
    since = anchor = before.last.until
    times = 1
    for term in reversed(before.terms):
        if term.kind != TermKind.PAID or term.per != per or term.until != anchor:
            break
        anchor, times = term.since, times + 1
    whole = Duration(length.count * times, length.unit)
    return since, whole.after(anchor, time_zone)
