"""What members were told ahead of time: points that will expire, a tier that will be lost.

Knows nothing of how they are told, or of when a notice is due.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

import strawberry
from strawberry import relay

from core.errors import BadInput
from core.purchases import check_text
from core.store import nightly
from core.store import receipts as store
from schema.context import Info
from schema.enums import words
from schema.fields import answer
from schema.ids import HolderNode, numbers
from schema.ladders import TierLadder
from schema.loading import NoticeKey
from schema.paging import check_first, cursor, page, read_cursor
from schema.partners import Currency, currency_of
from schema.scalars import BigInt

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class NoticeKind(Enum):
    """The numbers are the store's."""

    WILL_EXPIRE = nightly.WILL_EXPIRE
    WILL_BE_DOWNGRADED = nightly.WILL_BE_DOWNGRADED


words(
    NoticeKind,
    "What a member was told.",
    WILL_EXPIRE="Points will expire.",
    WILL_BE_DOWNGRADED="A tier will be lost.",
)


@strawberry.type(description="What a member was told ahead of time. Each is told once.")
class Notice(HolderNode):
    """One kind, subject, instant and lead time."""

    key: relay.NodeID[str]
    record: strawberry.Private[store.Notice]

    @classmethod
    def of(cls, record: store.Notice) -> Notice:
        """From the store."""
        key = (record.holder, record.kind, record.subject, _micros(record.due_at))
        return cls(key=".".join(map(str, (*key, record.lead))), record=record)

    @answer("What it says.")
    def kind(self) -> NoticeKind:
        return NoticeKind(self.record.kind)

    @answer("When it was told.")
    def at(self) -> datetime:
        return self.record.at

    @answer("When it comes to pass, if nothing is done.")
    def due_at(self) -> datetime:
        return self.record.due_at

    @answer("How long before it was to be told, such as 30D.")
    def lead(self) -> str:
        return self.record.lead

    @answer("The points that will expire; of a tier, how much of the measure would keep it.")
    def amount(self) -> BigInt:
        return BigInt(self.record.amount)

    @answer("The unit of the points; null where a tier is meant.")
    async def currency(self, info: Info) -> Currency | None:
        if self.record.kind != nightly.WILL_EXPIRE:
            return None
        return await currency_of(info, self.record.subject)

    @answer("The ladder of the tier; null where points are meant, or where it is gone.")
    def ladder(self, info: Info) -> TierLadder | None:
        terms = info.context.engine.rulebook.ladders.get(self.record.subject)
        if self.record.kind != nightly.WILL_BE_DOWNGRADED or terms is None:
            return None
        return TierLadder.of(terms)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // _TICK


def _key(
    info: Info, holder: int, before: tuple[datetime, datetime, int, int, str] | None, limit: int
) -> NoticeKey:
    """A page of what the viewer may know: a partner of its currencies and ladders only."""
    rulebook, own = info.context.engine.rulebook, info.context.partner
    currencies = {c.id for c in rulebook.currencies.values()}
    if own is not None:
        currencies = {c.id for c in (*own.issues.values(), *own.accepts.values())}
    ladders = [x.id for x in rulebook.ladders.values() if own is None or x.owner in (None, own.id)]
    return NoticeKey(holder, tuple(sorted(currencies)), tuple(sorted(ladders)), before, limit)


async def notices_of(
    info: Info, holder: int, first: int, after: str | None
) -> relay.Connection[Notice]:
    """A page of a member's notices, newest first. Whoever asks has asked whether it may."""
    key = _key(info, holder, _place(after), check_first(first) + 1)
    rows = await info.context.loaders.notices.load(key)
    return page([Notice.of(row) for row in rows], first, after, _cursor)


async def notice_of(info: Info, key: Sequence[int], lead: str) -> Notice | None:
    """The notice of (holder, kind, subject, due at in microseconds) and lead, if one was given."""
    holder, kind, subject, due = key
    place = _within_reach(due)
    if place is None or kind >= 2**15 or subject >= 2**31 or "\0" in lead:
        return None
    allowed = _key(info, holder, None, 1)
    if subject not in (allowed.currencies if kind == nightly.WILL_EXPIRE else allowed.ladders):
        return None
    record = await store.notice(holder, kind, subject, place, lead)
    return None if record is None else Notice.of(record)


def _within_reach(micros: int) -> datetime | None:
    try:
        return _EPOCH + micros * _TICK
    except OverflowError:
        return None


def _cursor(node: Notice) -> str:
    r = node.record
    place = (_micros(r.at), _micros(r.due_at), r.kind, r.subject)
    return cursor("notice", ".".join(map(str, (*place, r.lead))))


def _place(after: str | None) -> tuple[datetime, datetime, int, int, str] | None:
    text = read_cursor("notice", after)
    if text is None:
        return None
    *head, lead = text.split(".", 4)
    found = numbers(".".join(head), 4)
    if found is None or found[2] >= 2**15 or found[3] >= 2**31:
        raise BadInput("after is no cursor of this list", "after")
    at, due_at = _within_reach(found[0]), _within_reach(found[1])
    if at is None or due_at is None:
        raise BadInput("after is no cursor of this list", "after")
    return at, due_at, found[2], found[3], check_text(lead, "after", 64)
