"""Webhooks out: where a partner wants to be told of changes, by a query of its own.

What was sent is `schema.webhook_deliveries`'. Knows nothing of how anything is sent.
"""

from __future__ import annotations

import enum
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated

import strawberry
from strawberry import relay

from core import endpoints as engine
from core.endpoints import LONGEST_OVERLAP, MOST_ENDPOINTS, Request, Wanted
from core.errors import UnknownReference
from core.rulebook import PartnerTerms
from core.store import webhooks as store
from core.webhooks import EndpointState, Topic
from schema.access import MANAGERS, SCOPES, STAFF, allow, allow_change, partner_for
from schema.context import Context, Info
from schema.enums import words
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    UnknownReferenceError,
)
from schema.fields import answer, change
from schema.ids import numbers, parse_number
from schema.paging import After, First, check_first, cursor, page, read_number
from schema.partners import Partner, partner_of
from schema.payloads import check_query, viewer_of

#: Hours for which the secret before the newest signs too, unless another number is asked for.
_OVERLAP = 24
QUERY = (
    "A GraphQL query whose answer is sent. It runs as the partner, with the scopes of the key that "
    "saved it (saved by an admin: with every scope that reads). It may ask for `$member: ID`, "
    "`$purchase: ID` and `$redemption: ID`: the ids of what the change is about. One declared as "
    "`ID!` that a change lacks, or an answer of 20 kB, and only the ids are sent. Null: always "
    "only the ids."
)


class WebhookChange(enum.Enum):
    """What kinds of changes are told; the numbers are the engine's."""

    PURCHASE_RECORDED = Topic.PURCHASE_RECORDED.value
    PURCHASE_CHANGED = Topic.PURCHASE_CHANGED.value
    ACTIVITY_RECORDED = Topic.ACTIVITY_RECORDED.value
    REDEMPTION_CHANGED = Topic.REDEMPTION_CHANGED.value
    TIER_CHANGED = Topic.TIER_CHANGED.value
    POINTS_CHANGED = Topic.POINTS_CHANGED.value


class WebhookEndpointState(enum.Enum):
    """Whether an endpoint is sent anything; the numbers are the engine's."""

    ENABLED = EndpointState.ENABLED.value
    DISABLED = EndpointState.DISABLED.value
    GONE = EndpointState.GONE.value
    FAILING = EndpointState.FAILING.value


words(
    WebhookChange,
    "What happened. A change may be several of these.",
    PURCHASE_RECORDED="A purchase was recorded.",
    PURCHASE_CHANGED="A purchase was returned, cancelled, edited or fulfilled.",
    ACTIVITY_RECORDED="An activity was recorded or withdrawn.",
    REDEMPTION_CHANGED="A redemption went on.",
    TIER_CHANGED="A tier changed.",
    POINTS_CHANGED="Points moved.",
)
words(
    WebhookEndpointState,
    "Whether an endpoint is sent anything.",
    ENABLED="It is.",
    DISABLED="Not: it was disabled by hand.",
    GONE="Not: its receiver said that it is gone (410).",
    FAILING="Not: it took nothing for days.",
)


@strawberry.type(description="Where a partner wants to be told of changes.")
class WebhookEndpoint(relay.Node):
    """Whoever hands one out has asked whether the viewer may read it."""

    key: relay.NodeID[int]
    row: strawberry.Private[store.Endpoint]
    url: str = strawberry.field(description="The address.")
    changes: list[WebhookChange] = strawberry.field(description="Of what it is told.")
    query: str | None = strawberry.field(description=QUERY)
    scopes: list[str] = strawberry.field(
        description="The permissions with which the query runs: those of the key that saved it."
    )
    created_at: datetime = strawberry.field(description="When it was made.")
    state: WebhookEndpointState = strawberry.field(description="Whether it is sent anything.")
    disabled_at: datetime | None = strawberry.field(
        description="Since when it isn't sent anything; null: it is."
    )
    delivered_at: datetime | None = strawberry.field(
        description="When it last took something; null: never."
    )

    @answer("The partner.")
    async def partner(self, info: Info) -> Partner:
        return await partner_of(info, self.row.partner)

    @answer("Until when the secret before the newest signs too; null: it doesn't.")
    def old_secret_until(self, info: Info) -> datetime | None:
        until = self.row.until
        return until if until is not None and until > info.context.instant else None

    @classmethod
    def of(cls, row: store.Endpoint) -> WebhookEndpoint:
        """From the store."""
        return cls(
            key=row.id, row=row, url=row.url, changes=[WebhookChange(n) for n in row.topics],
            query=row.query, scopes=list(row.scopes), created_at=row.created_at,
            state=WebhookEndpointState(row.state), disabled_at=row.disabled_at,
            delivered_at=row.took_at,
        )  # fmt: skip


@strawberry.input(description="A new endpoint.")
class CreateWebhookEndpointInput:
    """What is wanted."""

    key: str = strawberry.field(
        description="An idempotency key: sent again with it, no second endpoint is made."
    )
    partner: str = strawberry.field(description="The partner's code.")
    url: str = strawberry.field(description="An https address that anybody could reach.")
    changes: list[WebhookChange] = strawberry.field(description="Of what it is to be told.")
    query: strawberry.Maybe[str | None] = strawberry.field(description=QUERY)


@strawberry.input(description="What of an endpoint is to be otherwise; the rest stays.")
class UpdateWebhookEndpointInput:
    """The query runs with the permissions of whoever changed the endpoint last."""

    id: strawberry.ID = strawberry.field(description="The endpoint.")
    url: strawberry.Maybe[str] = strawberry.field(
        description="An https address that anybody could reach."
    )
    changes: strawberry.Maybe[list[WebhookChange]] = strawberry.field(
        description="Of what it is to be told."
    )
    query: strawberry.Maybe[str | None] = strawberry.field(description=QUERY)


@strawberry.input(description="An endpoint that is given a new secret.")
class RotateWebhookSecretInput:
    """For a while both sign: a receiver has time to take up the new one."""

    key: str = strawberry.field(
        description="An idempotency key: sent again with it, no further secret is made."
    )
    id: strawberry.ID = strawberry.field(description="The endpoint.")
    overlap_hours: int = strawberry.field(
        description="For how many hours the old secret signs too, at most "
        f"{int(LONGEST_OVERLAP.total_seconds()) // 3600}.",
        default=_OVERLAP,
    )


@strawberry.type(description="An endpoint, and the secret that signs what it is sent.")
class WebhookSecretIssued:
    """The secret is shown this once."""

    endpoint: WebhookEndpoint = strawberry.field(description="The endpoint as it stands.")
    secret: str | None = strawberry.field(
        description="The secret, by Standard Webhooks 1.0. It is shown this once: null where the "
        "key was used before. One that was lost is replaced by rotateWebhookSecret."
    )


@strawberry.type(description="The endpoint stands as it was asked for.")
class WebhookEndpointSaved:
    """As it stands now."""

    endpoint: WebhookEndpoint = strawberry.field(description="The endpoint.")


@strawberry.type(description="The endpoint is no more, nor is what was sent there.")
class WebhookEndpointDeleted:
    """Safe to ask again: then it isn't known."""

    id: strawberry.ID = strawberry.field(description="The id that it had.")


CreateWebhookEndpointResult = Annotated[
    WebhookSecretIssued
    | BadInputError
    | UnknownReferenceError
    | NotAllowedError
    | IdempotencyConflictError,
    strawberry.union("CreateWebhookEndpointResult", description="The endpoint, or why none."),
]
UpdateWebhookEndpointResult = Annotated[
    WebhookEndpointSaved | BadInputError | UnknownReferenceError,
    strawberry.union("UpdateWebhookEndpointResult", description="The endpoint, or why not."),
]
RotateWebhookSecretResult = Annotated[
    WebhookSecretIssued | BadInputError | UnknownReferenceError | IdempotencyConflictError,
    strawberry.union("RotateWebhookSecretResult", description="The new secret, or why none."),
]
SwitchWebhookEndpointResult = Annotated[
    WebhookEndpointSaved | BadInputError | UnknownReferenceError,
    strawberry.union("SwitchWebhookEndpointResult", description="The endpoint, or why not."),
]
DeleteWebhookEndpointResult = Annotated[
    WebhookEndpointDeleted | BadInputError | UnknownReferenceError,
    strawberry.union("DeleteWebhookEndpointResult", description="Its id, or why it stays."),
]
EndpointId = Annotated[strawberry.ID, strawberry.argument(description="The endpoint.")]


@strawberry.type(description="Queries on where partners want to be told.")
class WebhookQueries:
    """Root fields."""

    @answer(
        "Webhook endpoints, oldest first. A partner is told its own.",
        extensions=allow(partner="webhooks:read", admin=STAFF),
    )
    async def webhook_endpoints(
        self,
        info: Info,
        first: First = 20,
        after: After = None,
        partner: Annotated[
            str | None, strawberry.argument(description="Only those of this partner's code.")
        ] = None,
    ) -> relay.Connection[WebhookEndpoint]:
        own = info.context.partner
        if partner is not None:
            own = partner_for(info.context, partner)
        beyond = read_number("webhookEndpoint", after, 0)
        if beyond >= 2**31:  # no endpoint has such a number
            beyond = 2**31 - 1
        rows = await store.listed(None if own is None else own.id, beyond, check_first(first) + 1)
        return page([WebhookEndpoint.of(row) for row in rows], first, after, _cursor)


@strawberry.type(description="Commands on where partners want to be told.")
class WebhookMutations:
    """Root fields."""

    @change(
        "Have a partner told of changes at an address of its own, signed by Standard Webhooks 1.0. "
        f"A partner has at most {MOST_ENDPOINTS} endpoints.",
        extensions=allow_change(partner="webhooks:write", admin=MANAGERS),
    )
    async def create_webhook_endpoint(
        self,
        info: Info,
        input: Annotated[
            CreateWebhookEndpointInput, strawberry.argument(description="What is wanted.")
        ],
    ) -> CreateWebhookEndpointResult | None:
        context = info.context
        partner = partner_for(context, input.partner)
        query = None if input.query is None else input.query.value
        topics = [Topic(wanted.value) for wanted in input.changes]
        wanted = _checked(info, partner, Wanted(input.url, set(topics), query, ()))
        made = await engine.create(
            partner.id, wanted, Request(context.viewer.caller, input.key), context.instant
        )
        return WebhookSecretIssued(endpoint=WebhookEndpoint.of(made.endpoint), secret=made.secret)

    @change(
        "Change where an endpoint is, what it is told, or by which query.",
        extensions=allow_change(partner="webhooks:write", admin=MANAGERS),
    )
    async def update_webhook_endpoint(
        self,
        info: Info,
        input: Annotated[
            UpdateWebhookEndpointInput, strawberry.argument(description="What is to be otherwise.")
        ],
    ) -> UpdateWebhookEndpointResult | None:
        known = await own_endpoint(info.context, input.id)
        topics = {Topic(number) for number in known.topics}
        if input.changes is not None:
            topics = {Topic(wanted.value) for wanted in input.changes.value}
        wanted = Wanted(
            known.url if input.url is None else input.url.value,
            topics,
            known.query if input.query is None else input.query.value,
            (),
        )
        partner = info.context.engine.rulebook.partner_by_id(known.partner)
        if partner is None:
            raise UnknownReference("the partner's plugin isn't installed", "id")
        saved = await engine.update(known.id, _checked(info, partner, wanted))
        return WebhookEndpointSaved(endpoint=WebhookEndpoint.of(saved))

    @change(
        "Give an endpoint a new secret. For a while the old one signs too.",
        extensions=allow_change(partner="webhooks:write", admin=MANAGERS),
    )
    async def rotate_webhook_secret(
        self,
        info: Info,
        input: Annotated[RotateWebhookSecretInput, strawberry.argument(description="Of which.")],
    ) -> RotateWebhookSecretResult | None:
        context = info.context
        known = await own_endpoint(context, input.id)
        request = Request(context.viewer.caller, input.key)
        overlap = timedelta(hours=input.overlap_hours)
        made = await engine.rotate(known.id, overlap, request, context.instant)
        return WebhookSecretIssued(endpoint=WebhookEndpoint.of(made.endpoint), secret=made.secret)

    @change(
        "Send an endpoint nothing more; what is still to be sent waits until it is enabled.",
        extensions=allow_change(partner="webhooks:write", admin=MANAGERS),
    )
    async def disable_webhook_endpoint(
        self, info: Info, id: EndpointId
    ) -> SwitchWebhookEndpointResult | None:
        return await _switch(info.context, id, on=False)

    @change(
        "Send an endpoint what happens from now on, and what waited since it was disabled.",
        extensions=allow_change(partner="webhooks:write", admin=MANAGERS),
    )
    async def enable_webhook_endpoint(
        self, info: Info, id: EndpointId
    ) -> SwitchWebhookEndpointResult | None:
        return await _switch(info.context, id, on=True)

    @change(
        "Delete an endpoint with its secrets and the log of what was sent there.",
        extensions=allow_change(partner="webhooks:write", admin=MANAGERS),
    )
    async def delete_webhook_endpoint(
        self, info: Info, id: EndpointId
    ) -> DeleteWebhookEndpointResult | None:
        known = await own_endpoint(info.context, id)
        await engine.delete(known.id)
        return WebhookEndpointDeleted(id=id)


def _cursor(node: WebhookEndpoint) -> str:
    return cursor("webhookEndpoint", node.row.id)


def _checked(info: Info, partner: PartnerTerms, wanted: Wanted) -> Wanted:
    """What is wanted, with the permissions of whoever wants it; raises BadInput."""
    context = info.context
    viewer = context.viewer
    reads = {scope for scope in SCOPES if scope.endswith(":read")}
    scopes = viewer.scopes if viewer.role == "partner" else frozenset(reads)
    engine.check(wanted, context.engine.private_hosts)
    if wanted.query is not None:
        check_query(info.schema, viewer_of(partner.code, frozenset(scopes)), wanted.query)
    return replace(wanted, scopes=scopes)


async def _switch(context: Context, id: strawberry.ID, *, on: bool) -> WebhookEndpointSaved:
    known = await own_endpoint(context, id)
    saved = await engine.switch(known.id, on, context.instant)
    return WebhookEndpointSaved(endpoint=WebhookEndpoint.of(saved))


async def own_endpoint(context: Context, id: strawberry.ID, *path: str) -> store.Endpoint:
    """The endpoint of this id. Raises UnknownReference where the viewer has none such."""
    number = parse_number(context, "WebhookEndpoint", id, *(path or ("id",)))
    found = await store.read([number]) if number < 2**31 else {}
    if number not in found or not sees(context, found[number].partner):
        raise UnknownReference("no such endpoint", *(path or ("id",)))
    return found[number]


def sees(context: Context, partner: int) -> bool:
    """Whether the viewer may read what is a partner's own."""
    own = context.partner
    return context.viewer.role == "admin" or (own is not None and own.id == partner)


async def visible_endpoint(info: Info, key: str) -> WebhookEndpoint | None:
    """The endpoint of this number, if there is one and the viewer may read it."""
    found = numbers(key, 1)
    rows = await store.read(found) if found is not None and found[0] < 2**31 else {}
    row = next(iter(rows.values()), None)
    return WebhookEndpoint.of(row) if row and sees(info.context, row.partner) else None
