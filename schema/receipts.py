"""A purchase as it stands: its lines, what came back of them, what is still earned, and since when.

Knows nothing of how a return is booked (`schema.returns`).
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry
from strawberry import relay

from core.events import EventKind
from core.purchases import check_text, find_partner
from core.receipts import Step, Story
from laurels import money
from schema.access import STAFF, allow
from schema.context import Context, Info
from schema.enums import words
from schema.fields import answer
from schema.ledgers import LedgerEntry
from schema.money import Money
from schema.movements import quantity_text
from schema.partners import Currency, Partner, currency_of, partner_of
from schema.receipt_lines import PurchaseLine
from schema.redemptions import LazyMember
from schema.scalars import BigInt
from schema.why_not import WhyNot, why_not


class PurchaseEventKind(Enum):
    """What can happen to a purchase; the numbers are the engine's."""

    RETURN = EventKind.RETURN.value
    CANCEL = EventKind.CANCEL.value
    EDIT = EventKind.EDIT.value
    FULFILMENT = EventKind.FULFILMENT.value


words(
    PurchaseEventKind,
    "What can happen to a purchase.",
    RETURN="Part of it came back.",
    CANCEL="All that was left of it came back.",
    EDIT="A new revision of its lines was sent.",
    FULFILMENT="An event came that pending points waited for.",
)
_AFTER = tuple(EventKind(kind.value) for kind in PurchaseEventKind)


@strawberry.type(description="Part of a line that came back.")
class ReturnedLine:
    """As the return named it."""

    number: int = strawberry.field(description="The line's place on the receipt, from 1.")
    quantity: str | None = strawberry.field(description="How many; null where by amount.")
    amount: Money | None = strawberry.field(description="How much money; null where by quantity.")


@strawberry.type(description="What one rule gave for a purchase, and what of it is still earned.")
class PurchaseAward:
    """As the last revision was judged."""

    rule: str = strawberry.field(description="The rule's code.")
    title: str = strawberry.field(description="What the rule gives, as it said then.")
    currency: Currency = strawberry.field(description="The unit.")
    given: BigInt = strawberry.field(description="The points it gave.")
    earned: BigInt = strawberry.field(
        description="What of them is still earned, after all that came back."
    )


@strawberry.type(description="What a return, a cancel or an edit took back in one currency.")
class PointsTakenBack:
    """`lost` = `expired` + `charged`, and `charged` = `taken` + `owed` + `letGo`."""

    currency: Currency = strawberry.field(description="The unit.")
    lost: BigInt = strawberry.field(description="By how much what is earned fell.")
    expired: BigInt = strawberry.field(
        description="What of it had expired or lapsed before: it isn't charged."
    )
    charged: BigInt = strawberry.field(description="What was charged.")
    taken: BigInt = strawberry.field(description="What was taken from points that were there.")
    owed: BigInt = strawberry.field(description="What became arrears: later credits repay it.")
    let_go: BigInt = strawberry.field(
        description="What the currency's terms let go, for its returns don't reach so far."
    )


async def taken_back(info: Info, story: Story, event: int) -> list[PointsTakenBack]:
    """What an event of a purchase took back, by the stored decision."""
    return [
        PointsTakenBack(
            currency=await currency_of(info, currency), lost=BigInt(lost),
            expired=BigInt(lost - charged), charged=BigInt(charged), taken=BigInt(taken),
            owed=BigInt(owed), let_go=BigInt(forgiven),
        )
        for currency, lost, charged, taken, owed, forgiven in story.step(event).content.get("t", ())
    ]  # fmt: skip


@strawberry.type(description="What happened to a purchase after it was recorded.")
class PurchaseEvent:
    """One return, cancel, revision or fulfilment."""

    kind: PurchaseEventKind = strawberry.field(description="What happened.")
    external_id: str = strawberry.field(
        description="The partner's own number: of the return, else of the purchase."
    )
    at: datetime = strawberry.field(description="When it happened.")
    booked_at: datetime = strawberry.field(description="When it was booked.")
    money: Money | None = strawberry.field(
        description="The money that came back, or the total of the revision; null for neither."
    )
    lines: list[ReturnedLine] = strawberry.field(
        description="The lines of which part came back; empty where an amount of the whole did."
    )
    revision: int | None = strawberry.field(description="The number of the revision, if it is one.")
    event: str | None = strawberry.field(description="The event that came, such as shipped.")
    story: strawberry.Private[Story]
    number: strawberry.Private[int]

    @answer("What it took back, in each currency in which less is earned now.")
    async def taken_back(self, info: Info) -> list[PointsTakenBack]:
        return await taken_back(info, self.story, self.number)

    @answer("What was booked for it.")
    async def entries(self, info: Info) -> list[LedgerEntry]:
        key = (self.story.bought.holder, self.booked_at)
        return [LedgerEntry.of(t) for t in await info.context.loaders.posted.load(key)]

    @classmethod
    def of(cls, story: Story, step: Step) -> PurchaseEvent:
        """From the books."""
        code = story.bought.money
        fulfilled = step.kind is EventKind.FULFILMENT
        return cls(
            kind=PurchaseEventKind(step.kind.value),
            external_id=step.external_id if step.kind is EventKind.RETURN
            else story.bought.external_id,
            at=step.occurred_at, booked_at=step.booked_at,
            money=None if fulfilled else _money(step.money, code),
            lines=[
                ReturnedLine(
                    number=p.line, quantity=quantity_text(p.quantity) if p.quantity else None,
                    amount=_money(p.amount, code) if p.amount else None,
                )
                for p in step.parts
            ],
            revision=step.content.get("rev"), event=step.content.get("event"),
            story=story, number=step.event,
        )  # fmt: skip


def _money(minor: int, code: str) -> Money:
    return Money.of(money.Money(minor, code))


@strawberry.type(description="A purchase with all that became of it.")
class Purchase(relay.Node):
    """Whoever hands one out has asked whether the viewer may read it."""

    key: relay.NodeID[int]
    story: strawberry.Private[Story]

    @classmethod
    def of(cls, story: Story) -> Purchase:
        """From the books."""
        return cls(key=story.bought.event, story=story)

    @answer("The partner's own number of the receipt.")
    def external_id(self) -> str:
        return self.story.bought.external_id

    @answer("The partner that sold.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.story.bought.partner)

    @answer("Whose purchase it is. Null where the viewer may not read that member.")
    async def member(self, info: Info) -> LazyMember | None:
        from schema.members import visible_member  # members show purchases: a circle, closed here

        return await visible_member(info, self.story.bought.holder)

    @answer("When it happened.")
    def occurred_at(self) -> datetime:
        return self.story.bought.occurred_at

    @answer("When it was booked.")
    def booked_at(self) -> datetime:
        return self.story.steps[0].booked_at

    @answer("The shop; may be empty.")
    def store(self) -> str:
        return self.story.bought.store

    @answer("How it was paid, in the partner's own word; may be empty.")
    def tender(self) -> str:
        return self.story.bought.tender

    @answer("The number of its last revision; 1 where it was never edited.")
    def revision(self) -> int:
        return self.story.bought.revision

    @answer("Whether it was cancelled.")
    def cancelled(self) -> bool:
        return self.story.bought.cancelled

    @answer("What was paid for it, by its last revision.")
    def total(self) -> Money:
        bought = self.story.bought
        return _money(sum(line.amount for line in bought.remains.lines), bought.money)

    @answer("The money that came back so far.")
    def returned(self) -> Money:
        return _money(self.story.bought.remains.returned, self.story.bought.money)

    @answer("The lines of its last revision, with what came back of each.")
    def lines(self) -> list[PurchaseLine]:
        return _lines(self.story)

    @answer("What each rule gave, and what of it is still earned.")
    async def awards(self, info: Info) -> list[PurchaseAward]:
        bought = self.story.bought
        records = await info.context.loaders.rule.load_many([g.rule for g in bought.given])
        currencies = [await currency_of(info, g.currency) for g in bought.given]
        rows = zip(bought.given, records, currencies, bought.entitled(), strict=True)
        return [
            PurchaseAward(
                rule=record.code, title=record.title, currency=currency,
                given=BigInt(given.points), earned=BigInt(earned),
            )
            for given, record, currency, earned in rows if record is not None
        ]  # fmt: skip

    @answer(
        "Why a rule of its partner gave what it gave for it, or nothing: by the facts that were "
        "stored when it was judged. Null: the partner has no such rule."
    )
    async def why_not(
        self,
        info: Info,
        rule: Annotated[str, strawberry.argument(description="The rule's code.")],
    ) -> WhyNot | None:
        return await why_not(info, self.story, rule)

    @answer("What happened to it after it was recorded, oldest first.")
    def events(
        self,
        kinds: Annotated[
            list[PurchaseEventKind] | None,
            strawberry.argument(description="Only these; left out: all."),
        ] = None,
    ) -> list[PurchaseEvent]:
        wanted = _AFTER if kinds is None else tuple(EventKind(kind.value) for kind in kinds)
        return [PurchaseEvent.of(self.story, step) for step in self.story.of(*wanted)]

    @answer("All that was booked for it so far, in all currencies, oldest first.")
    async def entries(self, info: Info) -> list[LedgerEntry]:
        holder = self.story.bought.holder
        keys = [(holder, step.booked_at) for step in self.story.steps]
        posted = await info.context.loaders.posted.load_many(keys)
        return [LedgerEntry.of(transfer) for some in posted for transfer in some]


def _lines(story: Story) -> list[PurchaseLine]:
    remains, code = story.bought.remains, story.bought.money
    back: dict[int, int] = {}
    for step in story.of(EventKind.RETURN):
        for part in step.parts:
            back[part.line] = back.get(part.line, 0) + part.quantity
    return [
        PurchaseLine(
            number=number, product_type=line.product_type, sku=line.sku,
            quantity=quantity_text(line.quantity), amount=_money(line.amount, code),
            kind=line.kind, discount=_money(line.discount, code), tax=_money(line.tax, code),
            points_paid=_money(line.points_paid, code),
            returned_quantity=quantity_text(
                line.quantity if story.bought.cancelled else back.get(number, 0)
            ),
            returned_amount=_money(int(line.amount * gone), code),
        )
        for number, (line, gone) in enumerate(zip(remains.lines, remains.gone, strict=True), 1)
    ]  # fmt: skip


async def knows_purchase(info: Info, event: int) -> bool:
    """Whether there is a purchase of this event that is the viewer's affair: it may name it."""
    story = await info.context.loaders.story.load(event)
    return story is not None and _concerns(info.context, story)


async def visible_purchase(info: Info, event: int) -> Purchase | None:
    """The purchase of this event, if the viewer knows it and its key reads purchases at all."""
    viewer = info.context.viewer
    if viewer.role == "partner" and "purchases:read" not in viewer.scopes:
        return None
    story = await info.context.loaders.story.load(event)
    if story is None or not _concerns(info.context, story):
        return None
    return Purchase.of(story)


def _concerns(context: Context, story: Story) -> bool:
    """Its member, its partner and admins; another partner never, whoever its customer is."""
    match context.viewer.role:
        case "admin":
            return True
        case "member":
            return context.viewer.holder == story.bought.holder
        case "partner":
            return context.partner is not None and context.partner.id == story.bought.partner
    return False


@strawberry.type(description="Queries on purchases that stand in the books.")
class ReceiptQueries:
    """Root fields."""

    @answer(
        "A purchase by its number. Null where there is none, or none that the viewer may read.",
        extensions=allow(member=True, partner="purchases:read", admin=STAFF),
    )
    async def purchase(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The code of the partner.")],
        external_id: Annotated[
            str, strawberry.argument(description="The partner's own number of the receipt.")
        ],
    ) -> Purchase | None:
        check_text(external_id, "externalId", 200, least=1)
        terms = find_partner(info.context.engine.rulebook, partner)
        event = await info.context.loaders.purchase.load((terms.id, external_id))
        return None if event is None else await visible_purchase(info, event)
