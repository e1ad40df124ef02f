"""A member's ledger in one currency: balance, entries, lots, and what expires when.

Whoever hands out a `Ledger` has asked whether the viewer may read it. Knows nothing of tokens.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry
from strawberry import relay

from core.entries import Account, Kind, Transfer
from core.reviews import PROGRAMME
from core.store import reads
from core.store.lookups import LotRecord
from laurels.policies import Pending
from schema.context import Info
from schema.enums import words
from schema.explanations import Explanation, explain, may_be_told
from schema.fields import answer
from schema.ids import HolderNode
from schema.inputs import parse_duration
from schema.loaders import Balances, PageKey, Totals
from schema.loading import Coming, SpanKey
from schema.paging import After, First, check_first, cursor, page, read_number
from schema.partners import Currency, Partner, currency_of, partner_of
from schema.scalars import BigInt

words(
    Kind,
    "What an entry is for.",
    name="EntryKind",
    ACCRUAL="Points were earned.",
    ACTIVATION="Pending points became active.",
    ADJUSTMENT="Given or taken by hand, with a reason.",
    CLAWBACK="An accrual was taken back.",
    EXPIRY="Points expired.",
    GIFT="Given to a colleague, or received from one.",
    LAPSE="Pending points were lost: the event that they waited for never came.",
    REDEMPTION="Points were spent.",
    RELEASE="Reserved points were set free again.",
    REPAYMENT="A credit repaid arrears.",
    RESERVATION="Points were held for a redemption.",
    REVERSAL="A redemption was taken back.",
)
words(
    Account,
    "Where points stand, within the ledger and outside it.",
    name="Account",
    ACTIVE="In the ledger: can be spent.",
    ADJUSTED="Outside: where adjustments come from and go to.",
    ARREARS="In the ledger: owed; later credits repay it.",
    CLAWED_BACK="Outside: accruals that were taken back.",
    EXPIRED="Outside: points that expired.",
    IN_TRANSIT="Outside: points on their way from one member to another; none stay there.",
    ISSUED="Outside: where earned points come from.",
    LAPSED="Outside: points whose event never came.",
    PENDING="In the ledger: earned, and not to be spent yet.",
    REDEEMED="Outside: points that were spent.",
    RESERVED="In the ledger: held for redemptions.",
)
AsOf = Annotated[
    datetime | None,
    strawberry.argument(description="The instant to reckon at; left out: now."),
]


@strawberry.type(description="A ledger's balance at an instant.")
class Balance:
    """Active above zero beside arrears above zero never happens."""

    active: BigInt = strawberry.field(description="Points that can be spent.")
    pending: BigInt = strawberry.field(
        description="Points earned that can't be spent yet: for a time, until a date, or until an "
        "event such as shipped is reported. `activating` says when they become active."
    )
    reserved: BigInt = strawberry.field(
        description="Points held for redemptions. "
        "What is held beyond its time can be spent again at once, and shows here for a minute more."
    )
    arrears: BigInt = strawberry.field(description="Points owed; later credits repay them first.")


@strawberry.type(description="Points that expire at one instant.")
class Expiring:
    """As the lots stand now."""

    at: datetime = strawberry.field(description="The first instant at which they are gone.")
    amount: BigInt = strawberry.field(description="How many.")


@strawberry.type(description="Pending points that become active at one instant, or by one event.")
class Activating:
    """As the lots stand now."""

    at: datetime | None = strawberry.field(
        description="The first instant at which they can be spent; null where an event is awaited."
    )
    event: str | None = strawberry.field(
        description="The event awaited, such as shipped; null where the instant is known."
    )
    lapses_at: datetime | None = strawberry.field(
        description="When they lapse unless the event was reported; null where none is awaited."
    )
    amount: BigInt = strawberry.field(description="How many.")

    @classmethod
    def of(cls, coming: Coming) -> Activating:
        """From the books."""
        event = None if coming.held is None else Pending.parse(coming.held).event or None
        return cls(
            at=coming.at, event=event, lapses_at=coming.lapses_at, amount=BigInt(coming.amount)
        )


@strawberry.type(description="A movement of points in a ledger. Entries are only ever added.")
class LedgerEntry(HolderNode):
    """One transfer; its id is that of the ledger with its place in it."""

    key: relay.NodeID[str]
    transfer: strawberry.Private[Transfer]

    @classmethod
    def of(cls, transfer: Transfer) -> LedgerEntry:
        """From the books."""
        key = f"{transfer.holder}.{transfer.currency}.{transfer.seq}"
        return cls(key=key, transfer=transfer)

    @answer("When it took effect.")
    def at(self) -> datetime:
        return self.transfer.occurred_at

    @answer("When it was booked.")
    def booked_at(self) -> datetime:
        return self.transfer.booked_at

    @answer("What it is for.")
    def kind(self) -> Kind:
        return Kind(self.transfer.kind)

    @answer("The points moved, always above zero.")
    def amount(self) -> BigInt:
        return BigInt(self.transfer.amount)

    @answer("What it does to the active balance: below zero where points leave it.")
    def change(self) -> BigInt:
        moved = self.transfer
        gained = moved.amount if moved.target == Account.ACTIVE else 0
        return BigInt(gained - (moved.amount if moved.source == Account.ACTIVE else 0))

    @answer("From which account the points came.")
    def source(self) -> Account:
        return Account(self.transfer.source)

    @answer("To which account the points went.")
    def target(self) -> Account:
        return Account(self.transfer.target)

    @answer("The unit.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.transfer.currency)

    @answer("At which partner it came about; null for the programme's own: at night, or by hand.")
    async def partner(self, info: Info) -> Partner | None:
        if self.transfer.partner == PROGRAMME:
            return None
        return await partner_of(info, self.transfer.partner)

    @answer("Why it is there. Null where a partner asks about another partner's business.")
    async def explanation(self, info: Info) -> Explanation | None:
        if not await may_be_told(info, self.transfer):
            return None
        return await explain(info, self.transfer)


class LotStatus(Enum):
    """By its instants, not by what was booked."""

    PENDING = "pending"
    ACTIVE = "active"
    SPENT = "spent"
    EXPIRED = "expired"
    LAPSED = "lapsed"


words(
    LotStatus,
    "Where a lot stands.",
    PENDING="Its points can't be spent yet.",
    ACTIVE="What is left of it can be spent.",
    SPENT="Nothing is left of it.",
    EXPIRED="What was left of it expired.",
    LAPSED="The event that it waited for never came.",
)


def _status(lot: LotRecord, now: datetime) -> LotStatus:
    if lot.expires_at is not None and lot.expires_at <= now:
        return LotStatus.EXPIRED
    if lot.active_at is None and lot.lapses_at is not None and lot.lapses_at <= now:
        return LotStatus.LAPSED
    if not lot.remaining:
        return LotStatus.SPENT
    active = lot.active_at is not None and lot.active_at <= now
    return LotStatus.ACTIVE if active else LotStatus.PENDING


@strawberry.type(description="What remains of one credit; debits take the soonest to expire first.")
class Lot(HolderNode):
    """One lot; its id is that of the ledger with its place in it."""

    key: relay.NodeID[str]
    record: strawberry.Private[LotRecord]

    @classmethod
    def of(cls, record: LotRecord) -> Lot:
        """From the books."""
        return cls(key=f"{record.holder}.{record.currency}.{record.seq}", record=record)

    @answer("The points credited.")
    def amount(self) -> BigInt:
        return BigInt(self.record.amount)

    @answer("The points that are left of it.")
    def remaining(self) -> BigInt:
        return BigInt(self.record.remaining)

    @answer("When they were earned.")
    def earned_at(self) -> datetime:
        return self.record.occurred_at

    @answer("From when on they can be spent; null while the event that `pending` names is awaited.")
    def active_at(self) -> datetime | None:
        return self.record.active_at

    @answer("When they lapse if that event hasn't come; null where none is awaited.")
    def lapses_at(self) -> datetime | None:
        return self.record.lapses_at

    @answer("The first instant at which they are gone; null: never.")
    def expires_at(self) -> datetime | None:
        return self.record.expires_at

    @answer("The expiry policy as it was when they were earned, such as 12M_U; empty: none.")
    def policy(self) -> str:
        return self.record.policy or ""

    @answer("What they were held back for when they were earned, such as 14D; empty: nothing.")
    def pending(self) -> str:
        active_at = self.record.active_at
        held = active_at is None or active_at > self.record.occurred_at
        return (self.record.held or "") if held else ""

    @answer("Where it stands at this instant, whatever was booked when.")
    def status(self, info: Info) -> LotStatus:
        return _status(self.record, info.context.instant)

    @answer("The version of the currency's terms that is pinned on them.")
    def policy_version(self) -> int:
        return self.record.version

    @answer("The partner that issued them. Null: given by hand in the programme's own name.")
    async def partner(self, info: Info) -> Partner | None:
        if self.record.partner == PROGRAMME:
            return None
        return await partner_of(info, self.record.partner)


@strawberry.type(description="A member's account in one currency.")
class Ledger(HolderNode):
    """One holder, one currency."""

    key: relay.NodeID[str]
    holder: strawberry.Private[int]
    currency_id: strawberry.Private[int]

    @classmethod
    def of(cls, holder: int, currency: int) -> Ledger:
        """By its key in the books."""
        return cls(key=f"{holder}.{currency}", holder=holder, currency_id=currency)

    async def _totals(self, info: Info, as_of: datetime | None) -> Totals:
        loader = info.context.loaders.totals(as_of or info.context.instant)
        return await loader.load((self.holder, self.currency_id)) or Totals()

    @answer("The unit.")
    async def currency(self, info: Info) -> Currency:
        return await currency_of(info, self.currency_id)

    @answer("The balance at an instant, whatever was booked when.")
    async def balance(self, info: Info, as_of: AsOf = None) -> Balance:
        loader = info.context.loaders.held(as_of or info.context.instant)
        found = (await loader.load(self.holder) or {}).get(self.currency_id, Balances())
        return Balance(
            active=BigInt(found.active), pending=BigInt(found.pending),
            reserved=BigInt(found.reserved), arrears=BigInt(found.arrears),
        )  # fmt: skip

    @answer("All points earned up to an instant, pending ones too.")
    async def earned(self, info: Info, as_of: AsOf = None) -> BigInt:
        return BigInt((await self._totals(info, as_of)).earned)

    @answer("All points that had expired by an instant.")
    async def expired(self, info: Info, as_of: AsOf = None) -> BigInt:
        return BigInt((await self._totals(info, as_of)).expired)

    @answer(
        "What becomes active from now on within a span, soonest first; last what an event is "
        "awaited for, which may come at any time."
    )
    async def activating(
        self,
        info: Info,
        within: Annotated[
            str, strawberry.argument(description="The span from now, such as 30D or 12M.")
        ] = "30D",
    ) -> list[Activating]:
        key = await self._span(info, within)
        return [Activating.of(c) for c in await info.context.loaders.activating.load(key)]

    async def _span(self, info: Info, within: str) -> SpanKey:
        now = info.context.instant
        currency = await currency_of(info, self.currency_id)
        until = parse_duration(within, "within").after(now, currency.time_zone)
        return SpanKey(self.holder, self.currency_id, now, until)

    @answer("What expires from now on within a span, soonest first; pending points too.")
    async def expiring(
        self,
        info: Info,
        within: Annotated[
            str, strawberry.argument(description="The span from now, such as 30D or 12M.")
        ] = "30D",
    ) -> list[Expiring]:
        key = await self._span(info, within)
        dying = await info.context.loaders.expiring.load(key)
        return [Expiring(at=at, amount=BigInt(points)) for at, points in dying]

    @answer("The entries, newest first.")
    async def entries(
        self, info: Info, first: First = 20, after: After = None
    ) -> relay.Connection[LedgerEntry]:
        before = read_number("entry", after, reads.NEWEST)
        key = PageKey(self.holder, self.currency_id, before, check_first(first) + 1)
        rows = await info.context.loaders.entries.load(key)
        nodes = [LedgerEntry.of(t) for t in rows]
        return page(nodes, first, after, lambda n: cursor("entry", n.transfer.seq))

    @answer("The lots, newest first.")
    async def lots(
        self, info: Info, first: First = 20, after: After = None
    ) -> relay.Connection[Lot]:
        before = read_number("lot", after, reads.NEWEST)
        key = PageKey(self.holder, self.currency_id, before, check_first(first) + 1)
        nodes = [Lot.of(r) for r in await info.context.loaders.lots.load(key)]
        return page(nodes, first, after, lambda n: cursor("lot", n.record.seq))
