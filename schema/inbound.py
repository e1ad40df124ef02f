"""Webhooks that came in by partners' adapters: the log, and doing some of them once more.

Knows nothing of what they are made of, or of how they are done.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core import inbound as engine
from core.errors import BadInput, UnknownReference
from core.purchases import check_text
from core.store import inbound as store
from schema.access import SERVICE, STAFF, allow, allow_change, partner_for
from schema.context import Context, Info
from schema.enums import words
from schema.errors import BadInputError, IdempotencyConflictError, UnknownReferenceError
from schema.fields import answer, change
from schema.ids import numbers, parse_number
from schema.paging import NEWEST, After, First, check_first, cursor, page, read_number
from schema.partners import Partner, partner_of
from schema.scalars import BigInt

MOST_REPLAYED = 100


class InboundState(enum.Enum):
    """Where a delivery stands; the numbers are the engine's."""

    RECEIVED = store.State.RECEIVED.value
    DONE = store.State.DONE.value
    WAITING = store.State.WAITING.value
    SUPERSEDED = store.State.SUPERSEDED.value
    REFUSED = store.State.REFUSED.value
    IGNORED = store.State.IGNORED.value


words(
    InboundState,
    "Where a delivery stands.",
    RECEIVED="It waits for its turn.",
    DONE="It was done.",
    WAITING="It waits for what must come before it.",
    SUPERSEDED="A newer one of its subject came first.",
    REFUSED="It can't be done as it is.",
    IGNORED="There was nothing to do.",
)


@strawberry.type(description="What one command of a delivery came to.")
class InboundOutcome:
    """As it was noted when it was done last."""

    command: str = strawberry.field(description="The command's name; empty for the whole delivery.")
    what: str = strawberry.field(description="booked, known, superseded or ignored.")
    told: str | None = strawberry.field(description="Why, where there is more to say.")
    purchase: str | None = strawberry.field(description="The number of the purchase, if any.")
    revision: int | None = strawberry.field(description="The revision that an edit became.")
    activity: str | None = strawberry.field(description="The name of the activity, if any.")


@strawberry.type(description="A webhook as it came, and what became of it.")
class InboundDelivery(relay.Node):
    """Partners are told of their own; the body is for admins."""

    key: relay.NodeID[int]
    row: strawberry.Private[store.Inbound]
    adapter: str = strawberry.field(description="The code of the adapter.")
    delivery: str = strawberry.field(description="Its name, by which one sent again is known.")
    received_at: datetime = strawberry.field(description="When it came.")
    state: InboundState = strawberry.field(description="Where it stands.")
    attempts: int = strawberry.field(description="How often it was tried.")
    next_at: datetime | None = strawberry.field(
        description="When it is tried next; null where it is done."
    )
    done_at: datetime | None = strawberry.field(description="When it was done; null: not yet.")
    conflicts: int = strawberry.field(
        description="How many messages of its name said something else, and were refused."
    )

    @answer("The partner whose shop sent it.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.row.partner)

    @answer("What it is about, such as an order; null where it couldn't be read.")
    def subject(self) -> str | None:
        return self.row.subject or None

    @answer(
        "Its place among those of its subject: a number, or microseconds since 1970. Null: in the "
        "order in which they came."
    )
    def version(self) -> BigInt | None:
        return None if self.row.version is None else BigInt(self.row.version)

    @answer("Why it waits or was refused; null else.")
    def problem(self) -> str | None:
        return self.row.problem or None

    @answer("What its commands came to.")
    def outcomes(self) -> list[InboundOutcome]:
        return [
            InboundOutcome(
                command=said["command"], what=said["what"], told=said.get("told"),
                purchase=said.get("purchase"), revision=said.get("revision"),
                activity=said.get("activity"),
            )
            for said in self.row.outcome
        ]  # fmt: skip

    @answer(
        "The body as it came. Null for partners, and from 30 days after it was done: it is "
        "personal data and dropped then."
    )
    async def body(self, info: Info) -> str | None:
        if info.context.viewer.role != "admin":
            return None
        body = await info.context.loaders.body.load(self.row.id)
        return None if body is None else body.decode("utf-8", "replace")

    @classmethod
    def of(cls, row: store.Inbound) -> InboundDelivery:
        """From the store."""
        return cls(
            key=row.id, row=row, adapter=row.adapter, delivery=row.delivery,
            received_at=row.received_at, state=InboundState(row.state.value),
            attempts=row.attempts, next_at=row.next_at, done_at=row.done_at,
            conflicts=row.conflicts,
        )  # fmt: skip


@strawberry.input(description="Deliveries to do once more.")
class ReplayInboundInput:
    """By the plugin's present version; what is booked already isn't booked twice."""

    ids: list[strawberry.ID] = strawberry.field(description=f"Which ones, at most {MOST_REPLAYED}.")
    key: strawberry.Maybe[str] = strawberry.field(
        description="An idempotency key, if you like: sent again with it, nothing is done again."
    )


@strawberry.type(description="The deliveries were done once more.")
class InboundReplayed:
    """Safe to ask again."""

    replayed: bool = strawberry.field(description="Whether the key was used before.")
    deliveries: list[InboundDelivery] = strawberry.field(
        description="As they stand now, in the order of the input."
    )


ReplayInboundResult = Annotated[
    InboundReplayed | BadInputError | UnknownReferenceError | IdempotencyConflictError,
    strawberry.union("ReplayInboundResult", description="What became of them, or why nothing."),
]


@strawberry.type(description="Queries on what came in.")
class InboundQueries:
    """Root fields."""

    @answer(
        "Webhooks that came in, newest first. A partner is told its own.",
        extensions=allow(partner="webhooks:read", admin=STAFF),
    )
    async def inbound(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        partner: Annotated[
            str | None, strawberry.argument(description="Only those of this partner's code.")
        ] = None,
        adapter: Annotated[
            str | None, strawberry.argument(description="Only those of this adapter's code.")
        ] = None,
        state: Annotated[
            InboundState | None, strawberry.argument(description="Only those that stand so.")
        ] = None,
        subject: Annotated[
            str | None, strawberry.argument(description="Only those of this subject.")
        ] = None,
    ) -> relay.Connection[InboundDelivery]:
        own = info.context.partner
        if partner is not None:
            own = partner_for(info.context, partner)
        wanted = store.Filter(
            None if own is None else own.id,
            None if adapter is None else check_text(adapter, "adapter", 64),
            None if state is None else store.State(state.value),
            None if subject is None else check_text(subject, "subject", 200),
        )
        before = read_number("inbound", after, NEWEST)
        rows = await store.listed(wanted, before, check_first(first) + 1)
        return page([InboundDelivery.of(row) for row in rows], first, after, _cursor)


def _cursor(node: InboundDelivery) -> str:
    return cursor("inbound", node.row.id)


@strawberry.type(description="Commands on what came in.")
class InboundMutations:
    """Root fields."""

    @change(
        "Do webhooks once more, by the present version of their partner's plugin. What is booked "
        "already isn't booked twice.",
        extensions=allow_change(partner="webhooks:write", admin=SERVICE),
    )
    async def replay_inbound(
        self,
        info: Info,
        input: Annotated[ReplayInboundInput, strawberry.argument(description="Which ones.")],
    ) -> ReplayInboundResult | None:
        context = info.context
        if not 1 <= len(input.ids) <= MOST_REPLAYED:
            raise BadInput(f"1 to {MOST_REPLAYED} ids are wanted", "ids")
        ids = [parse_number(context, "InboundDelivery", number, "ids") for number in input.ids]
        await _check_visible(context, ids)
        key = None if input.key is None else (context.viewer.caller, input.key.value)
        done = await engine.replay(context.engine, ids, context.instant, key)
        rows = {row.id: row for row in await store.read(ids)}
        return InboundReplayed(
            replayed=not done, deliveries=[InboundDelivery.of(rows[number]) for number in ids]
        )


async def _check_visible(context: Context, ids: Sequence[int]) -> None:
    rows = {row.id: row for row in await store.read(ids)}
    for place, number in enumerate(ids):
        if number not in rows or not _visible(context, rows[number]):
            raise UnknownReference("no such delivery", "ids", place)


def _visible(context: Context, row: store.Inbound) -> bool:
    own = context.partner
    return context.viewer.role == "admin" or (own is not None and own.id == row.partner)


async def visible_delivery(info: Info, key: str) -> InboundDelivery | None:
    """The delivery of this number, if there is one and the viewer may read it."""
    found = numbers(key, 1)
    rows = [] if found is None else await store.read(found)
    return InboundDelivery.of(rows[0]) if rows and _visible(info.context, rows[0]) else None
