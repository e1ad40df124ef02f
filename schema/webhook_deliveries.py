"""What was sent by webhook: the log with its attempts, sending once more, and a try-out.

Knows nothing of how anything is sent.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import strawberry
from strawberry import relay

from core import endpoints as engine
from core.endpoints import Request
from core.errors import UnknownReference
from core.store import webhook_deliveries as store
from core.webhooks import TEST_TYPE, DeliveryState, Topic, message_id
from schema.access import MANAGERS, STAFF, allow, allow_change, partner_for
from schema.context import Context, Info
from schema.enums import words
from schema.errors import BadInputError, IdempotencyConflictError, UnknownReferenceError
from schema.fields import answer, change
from schema.ids import numbers, parse_number
from schema.paging import NEWEST, After, First, check_first, cursor, page, read_number
from schema.webhook_endpoints import WebhookChange, WebhookEndpoint, own_endpoint, sees


class WebhookDeliveryState(enum.Enum):
    """Where a delivery stands; the numbers are the engine's."""

    PENDING = DeliveryState.PENDING.value
    DELIVERED = DeliveryState.DELIVERED.value
    FAILED = DeliveryState.FAILED.value


words(
    WebhookDeliveryState,
    "Where a delivery stands.",
    PENDING="It is to be tried, for the first time or again.",
    DELIVERED="Its receiver took it.",
    FAILED="It was given up.",
)


@strawberry.type(description="One attempt to deliver.")
class WebhookAttempt:
    """As it went."""

    at: datetime = strawberry.field(description="When it ended.")
    status: int | None = strawberry.field(
        description="The HTTP status of the answer; null: there was none."
    )
    milliseconds: int = strawberry.field(description="How long it took.")
    problem: str | None = strawberry.field(description="What was wrong; null: nothing.")


@strawberry.type(description="Something that an endpoint is sent, and how that went.")
class WebhookDelivery(relay.Node):
    """What was sent isn't kept: it is the partner's query's answer, as it is when it is sent."""

    key: relay.NodeID[int]
    row: strawberry.Private[store.Delivery]
    message_id: str = strawberry.field(
        description="The header webhook-id: the same at every attempt, and when replayed."
    )
    type: str = strawberry.field(description="What happened, as the payload's type says it.")
    changes: list[WebhookChange] = strawberry.field(
        description="What happened, the most telling first; empty where it was only tried out."
    )
    state: WebhookDeliveryState = strawberry.field(description="Where it stands.")
    created_at: datetime = strawberry.field(description="When it was to be sent first.")
    next_at: datetime | None = strawberry.field(
        description="When it is tried next; null where it is done."
    )
    done_at: datetime | None = strawberry.field(
        description="When it was taken or given up; null: it is pending."
    )
    attempts: list[WebhookAttempt] = strawberry.field(description="The attempts, oldest first.")

    @answer("Where it goes.")
    async def endpoint(self, info: Info) -> WebhookEndpoint | None:
        row = await info.context.loaders.endpoint.load(self.row.endpoint)
        return None if row is None else WebhookEndpoint.of(row)

    @classmethod
    def of(cls, row: store.Delivery) -> WebhookDelivery:
        """From the store."""
        return cls(
            key=row.id, row=row, message_id=message_id(row.id),
            type=Topic(row.topics[0]).type if row.topics else TEST_TYPE,
            changes=[WebhookChange(number) for number in row.topics],
            state=WebhookDeliveryState(row.state), created_at=row.created_at, next_at=row.next_at,
            done_at=row.done_at,
            attempts=[
                WebhookAttempt(
                    at=a.at, status=a.status, milliseconds=a.milliseconds,
                    problem=a.problem or None,
                )
                for a in row.attempts
            ],
        )  # fmt: skip


@strawberry.input(description="An endpoint to try out.")
class SendTestWebhookInput:
    """What it is sent says that it is about nothing."""

    key: str = strawberry.field(
        description="An idempotency key: sent again with it, nothing is sent again."
    )
    id: strawberry.ID = strawberry.field(description="The endpoint.")


@strawberry.type(description="It is sent in a moment; its delivery says how that went.")
class WebhookQueued:
    """Ask for the delivery's node to see how it went."""

    delivery: WebhookDelivery = strawberry.field(description="What is sent.")


SendTestWebhookResult = Annotated[
    WebhookQueued | BadInputError | UnknownReferenceError | IdempotencyConflictError,
    strawberry.union("SendTestWebhookResult", description="What is sent, or why nothing is."),
]
ReplayWebhookDeliveryResult = Annotated[
    WebhookQueued | BadInputError | UnknownReferenceError,
    strawberry.union("ReplayWebhookDeliveryResult", description="What is sent, or why nothing is."),
]


@strawberry.type(description="Queries on what was sent.")
class WebhookDeliveryQueries:
    """Root fields."""

    @answer(
        "What was sent by webhook in the last 30 days, newest first. A partner is told its own.",
        extensions=allow(partner="webhooks:read", admin=STAFF),
    )
    async def webhook_deliveries(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        partner: Annotated[
            str | None, strawberry.argument(description="Only those of this partner's code.")
        ] = None,
        endpoint: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only those of this endpoint.")
        ] = None,
        state: Annotated[
            WebhookDeliveryState | None,
            strawberry.argument(description="Only those that stand so."),
        ] = None,
    ) -> relay.Connection[WebhookDelivery]:
        context = info.context
        own = context.partner if partner is None else partner_for(context, partner)
        at = None if endpoint is None else await own_endpoint(context, endpoint, "endpoint")
        wanted = store.Filter(
            None if own is None else own.id,
            None if at is None else at.id,
            None if state is None else state.value,
        )
        before = read_number("webhookDelivery", after, NEWEST)
        rows = await store.listed(wanted, before, check_first(first) + 1)
        return page([WebhookDelivery.of(row) for row in rows], first, after, _cursor)


@strawberry.type(description="Commands on what is sent.")
class WebhookDeliveryMutations:
    """Root fields."""

    @change(
        "Send an endpoint something that is about nothing, to try it out.",
        extensions=allow_change(partner="webhooks:write", admin=MANAGERS),
    )
    async def send_test_webhook(
        self,
        info: Info,
        input: Annotated[SendTestWebhookInput, strawberry.argument(description="Which endpoint.")],
    ) -> SendTestWebhookResult | None:
        context = info.context
        known = await own_endpoint(context, input.id)
        request = Request(context.viewer.caller, input.key)
        number = await engine.send_test(known.id, request, context.instant)
        return WebhookQueued(delivery=await _known(context, number))

    @change(
        "Send something once more, under the id that it had, with as many attempts as at first. "
        "It says what is so when it is sent.",
        extensions=allow_change(partner="webhooks:write", admin=MANAGERS),
    )
    async def replay_webhook_delivery(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The delivery.")],
    ) -> ReplayWebhookDeliveryResult | None:
        context = info.context
        number = parse_number(context, "WebhookDelivery", id, "id")
        await _known(context, number)
        await engine.replay([number], context.instant)
        return WebhookQueued(delivery=await _known(context, number))


def _cursor(node: WebhookDelivery) -> str:
    return cursor("webhookDelivery", node.row.id)


async def _visible(context: Context, number: int) -> WebhookDelivery | None:
    row = (await store.read([number])).get(number)
    return WebhookDelivery.of(row) if row and sees(context, row.partner) else None


async def _known(context: Context, number: int) -> WebhookDelivery:
    found = await _visible(context, number)
    if found is None:
        raise UnknownReference("no such delivery", "id")
    return found


async def visible_sent(info: Info, key: str) -> WebhookDelivery | None:
    """The delivery of this number, if there is one and the viewer may read it."""
    found = numbers(key, 1)
    return None if found is None else await _visible(info.context, found[0])
