"""How a loader is made, and the loaders of purchases as they stand and of what lies behind entries.

Knows the store's reads and nothing of GraphQL types or of who may see what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import NamedTuple, TypeAlias, TypeVar

from strawberry.dataloader import DataLoader

from core.db import Row
from core.noted import AttributeRow
from core.receipts import Story, stories
from core.store import ahead, attributes, meetups, memberships, personal, receipts, shadows
from core.store.caps import CarriedRow, carried, runs
from core.store.issues import Issue, of_purchases
from core.store.memberships import Found, Saved, SpanOf
from core.tally import UseRow

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LedgerKey: TypeAlias = tuple[int, int]
EntryKey: TypeAlias = tuple[int, int, int]
PostingKey: TypeAlias = tuple[int, datetime]


class SpanKey(NamedTuple):
    """What of one ledger happens in (after, until]."""

    holder: int
    currency: int
    after: datetime
    until: datetime


class NoticeKey(NamedTuple):
    """A page of a member's notices, newest first: on these subjects, older than `before`."""

    holder: int
    currencies: tuple[int, ...]
    ladders: tuple[int, ...]
    before: tuple[datetime, datetime, int, int, str] | None
    limit: int


class SurveyPage(NamedTuple):
    """A page of a member's invitations, newest first: at one partner, (not) answered; None: all."""

    holder: int
    before: int
    limit: int
    partner: int | None = None
    answered: bool | None = None


class PurchasePage(NamedTuple):
    """A page of a member's purchases, the newest booked first; at one partner, or (None) at all."""

    holder: int
    before: datetime | None
    limit: int
    partner: int | None = None


class NotePage(NamedTuple):
    """The newest words of staff on a member; of one partner's, or (None) of all."""

    holder: int
    limit: int
    partner: int | None = None


class Coming(NamedTuple):
    """Points that become active: at an instant, or when an event comes before they lapse."""

    at: datetime | None
    lapses_at: datetime | None
    held: str | None
    amount: int


def one(
    fetch: Callable[[list[K]], Awaitable[Mapping[K, V]]],
) -> DataLoader[K, V | None]:
    """A loader of one value for each key."""

    async def load(keys: list[K]) -> Sequence[V | None]:
        found = await fetch(keys)
        return [found.get(key) for key in keys]

    return DataLoader(load_fn=load)


def many(
    fetch: Callable[[list[K]], Awaitable[Mapping[K, list[V]]]],
) -> DataLoader[K, list[V]]:
    """A loader of a list for each key."""

    async def load(keys: list[K]) -> Sequence[list[V]]:
        found = await fetch(keys)
        return [found.get(key, []) for key in keys]

    return DataLoader(load_fn=load)


class StoryLoaders:
    """The part of a request's loaders that tells how things came about."""

    @cached_property
    def story(self) -> DataLoader[int, Story | None]:
        """A purchase with all that became of it, by its event."""
        return one(stories)

    @cached_property
    def purchase(self) -> DataLoader[tuple[int, str], int | None]:
        """The event of a purchase by (partner, external id)."""
        return one(receipts.find)

    @cached_property
    def origins(self) -> DataLoader[EntryKey, list[receipts.Origin]]:
        """The lots that a transfer took from or gave back to."""
        return many(receipts.origins)

    @cached_property
    def activated(self) -> DataLoader[EntryKey, list[receipts.Origin]]:
        """The lots one of which an activation made active."""
        return many(receipts.activated)

    @cached_property
    def activating(self) -> DataLoader[SpanKey, list[Coming]]:
        """What of a ledger becomes active in a span, soonest first."""

        async def fetch(keys: list[SpanKey]) -> Mapping[SpanKey, list[Coming]]:
            first, last = min(k.after for k in keys), max(k.until for k in keys)
            coming: dict[LedgerKey, list[Coming]] = {}
            ledgers = sorted({(k.holder, k.currency) for k in keys})
            for holder, currency, *rest in await receipts.activating(ledgers, first, last):
                coming.setdefault((holder, currency), []).append(Coming(*rest))
            return {key: [c for c in coming.get(key[:2], []) if _within(c, key)] for key in keys}

        return many(fetch)

    @cached_property
    def issued(self) -> DataLoader[tuple[int, int], list[Issue]]:
        """What rules issue for a purchase, by (holder, event)."""
        return many(of_purchases)

    @cached_property
    def noted(self) -> DataLoader[int, list[AttributeRow]]:
        """All that partners ever noted of a holder."""
        return many(attributes.of_holders)

    @cached_property
    def meetup(self) -> DataLoader[int, meetups.MeetupRow | None]:
        """A meetup by its id."""
        return one(meetups.by_id)

    @cached_property
    def registration(self) -> DataLoader[tuple[int, int], meetups.RegistrationRow | None]:
        """A registration by (holder, meetup), cancelled ones too."""
        return one(meetups.registrations)

    @cached_property
    def attended(self) -> DataLoader[tuple[int, str], datetime | None]:
        """When an occasion was booked, by (partner, external id)."""
        return one(meetups.booked)

    @cached_property
    def registrations(
        self,
    ) -> DataLoader[tuple[int, int, int, int | None], list[meetups.RegistrationRow]]:
        """A page of a holder's, by (holder, below which meetup, limit, at which partner)."""

        async def fetch(
            keys: list[tuple[int, int, int, int | None]],
        ) -> Mapping[tuple[int, int, int, int | None], list[meetups.RegistrationRow]]:
            found: dict[tuple[int, int, int, int | None], list[meetups.RegistrationRow]] = {}
            for rest in dict.fromkeys(key[1:] for key in keys):
                group = [key[0] for key in keys if key[1:] == rest]
                rows = await meetups.of_holders(group, *rest)
                found |= {(holder, *rest): rows[holder] for holder in rows}
            return found

        return many(fetch)

    @cached_property
    def registered(self) -> DataLoader[tuple[int, int, int], list[meetups.RegistrationRow]]:
        """A page of a meetup's that aren't cancelled, by (meetup, above which holder, limit)."""

        async def fetch(
            keys: list[tuple[int, int, int]],
        ) -> Mapping[tuple[int, int, int], list[meetups.RegistrationRow]]:
            found: dict[tuple[int, int, int], list[meetups.RegistrationRow]] = {}
            for rest in dict.fromkeys(key[1:] for key in keys):
                group = [key[0] for key in keys if key[1:] == rest]
                rows = await meetups.of_meetups(group, *rest)
                found |= {(meetup, *rest): rows[meetup] for meetup in rows}
            return found

        return many(fetch)

    @cached_property
    def chosen(self) -> DataLoader[int, list[personal.OfferRow]]:
        """What was ever offered to a holder for its own past."""
        return many(personal.of_holders)

    @cached_property
    def taken(self) -> DataLoader[personal.Taking, int | None]:
        """For how many purchases an offered rule gave a holder points."""
        return one(personal.taken)

    @cached_property
    def order(self) -> DataLoader[tuple[int, int], ahead.OrderRow | None]:
        """An order ahead by (holder, id)."""
        return one(ahead.orders)

    @cached_property
    def orders(self) -> DataLoader[ahead.PageKey, list[ahead.OrderRow]]:
        """A page of a holder's orders ahead."""
        return many(ahead.pages)

    @cached_property
    def on_order(self) -> DataLoader[tuple[int, int, str], list[Row]]:
        """What was redeemed on an order, by (holder, partner, external id)."""
        return many(ahead.redemptions)

    @cached_property
    def referral_code(self) -> DataLoader[int, str | None]:
        """By what code a holder refers others."""
        return one(attributes.codes)

    @cached_property
    def memberships(self) -> DataLoader[int, Found | None]:
        """All memberships that a holder ever had."""
        return one(memberships.of_holders)

    @cached_property
    def savings(self) -> DataLoader[SpanOf, Saved | None]:
        """What a membership saved in a span."""
        return one(memberships.saved)

    @cached_property
    def runs(self) -> DataLoader[int, list[UseRow]]:
        """What counts in runs of a holder's."""
        return many(runs)

    @cached_property
    def carried(self) -> DataLoader[int, list[CarriedRow]]:
        """What rules carry over to a member's next receipts."""
        return many(carried)

    @cached_property
    def shadow_totals(self) -> DataLoader[int, shadows.Totals | None]:
        """What a run of shadow rules counted."""
        return one(shadows.totals)

    @cached_property
    def shadow_differences(self) -> DataLoader[tuple[int, int], list[shadows.Difference]]:
        """The newest differences of a run, by (run, limit)."""

        async def fetch(
            keys: list[tuple[int, int]],
        ) -> Mapping[tuple[int, int], list[shadows.Difference]]:
            found: dict[tuple[int, int], list[shadows.Difference]] = {}
            for limit in dict.fromkeys(key[1] for key in keys):
                group = [key[0] for key in keys if key[1] == limit]
                rows = await shadows.differences(group, limit)
                found |= {(run, limit): rows[run] for run in rows}
            return found

        return many(fetch)

    @cached_property
    def notices(self) -> DataLoader[NoticeKey, list[receipts.Notice]]:
        """A page of a member's notices."""

        async def fetch(keys: list[NoticeKey]) -> Mapping[NoticeKey, list[receipts.Notice]]:
            found: dict[NoticeKey, list[receipts.Notice]] = {}
            for rest in dict.fromkeys(key[1:] for key in keys):
                group = [key.holder for key in keys if key[1:] == rest]
                rows = await receipts.notices(group, *rest)
                found |= {NoticeKey(holder, *rest): rows[holder] for holder in rows}
            return found

        return many(fetch)


def _within(coming: Coming, key: SpanKey) -> bool:
    """Whether it comes in this very span: one statement asked for the widest of several."""
    at = coming.at
    if at is not None:
        return key.after < at <= key.until
    return coming.lapses_at is not None and coming.lapses_at > key.after
