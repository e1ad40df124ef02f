"""Webhooks out: where a partner wants to be told of changes, by a query of its own.

What was sent is `schema.webhook_deliveries`'. Knows nothing of how anything is sent.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import strawberry
from strawberry import relay

from core import endpoints as engine
from core.endpoints import KEPT, LONGEST_OVERLAP, MOST_ENDPOINTS, Request, Wanted
from core.errors import UnknownReference
from core.rulebook import PartnerTerms
from core.store import webhooks as store
from core.webhooks import Topic
from schema.access import MANAGERS, STAFF, allow, allow_change, partner_for
from schema.context import Context, Info
from schema.errors import (
    BadInputError,
    IdempotencyConflictError,
    NotAllowedError,
    UnknownReferenceError,
)
from schema.fields import answer, change
from schema.paging import After, First, check_first, cursor, page, read_number
from schema.payloads import check_query, viewer_of
from schema.roles import SCOPES
from schema.webhook_endpoints import QUERY, WebhookChange, WebhookEndpoint, watched_endpoint

#: Hours for which the secret before the newest signs too, unless another number is asked for.
_OVERLAP = 24


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
        known = await watched_endpoint(info.context, input.id)
        partner = info.context.engine.rulebook.partner_by_id(known.partner)
        if partner is None:
            raise UnknownReference("the partner's plugin isn't installed", "id")
        saved = await engine.update(
            known.id, lambda stands: _checked(info, partner, _merged(stands, input))
        )
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
        known = await watched_endpoint(context, input.id)
        request = Request(context.viewer.caller, input.key)
        overlap = timedelta(hours=input.overlap_hours)
        made = await engine.rotate(known.id, overlap, request, context.instant)
        return WebhookSecretIssued(endpoint=WebhookEndpoint.of(made.endpoint), secret=made.secret)

    @change(
        "Send an endpoint nothing more; what is still to be sent waits until it is enabled, for up "
        f"to {KEPT.days} days after it happened.",
        extensions=allow_change(partner="webhooks:write", admin=MANAGERS),
    )
    async def disable_webhook_endpoint(
        self, info: Info, id: EndpointId
    ) -> SwitchWebhookEndpointResult | None:
        return await _switch(info.context, id, on=False)

    @change(
        "Send an endpoint what happens from now on, and what waited since it was disabled and "
        f"happened in the last {KEPT.days} days.",
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
        known = await watched_endpoint(info.context, id)
        await engine.delete(known.id)
        return WebhookEndpointDeleted(id=id)


def _cursor(node: WebhookEndpoint) -> str:
    return cursor("webhookEndpoint", node.row.id)


def _merged(stands: store.Endpoint, input: UpdateWebhookEndpointInput) -> Wanted:
    topics = {Topic(number) for number in stands.topics}
    if input.changes is not None:
        topics = {Topic(wanted.value) for wanted in input.changes.value}
    return Wanted(
        stands.url if input.url is None else input.url.value,
        topics,
        stands.query if input.query is None else input.query.value,
        (),
    )


def _checked(info: Info, partner: PartnerTerms, wanted: Wanted) -> Wanted:
    """What is wanted, with the permissions of whoever wants it; raises BadInput."""
    context = info.context
    viewer = context.viewer
    reads = {scope for scope in SCOPES if scope.endswith(":read")}
    scopes = viewer.scopes if viewer.role == "partner" else frozenset(reads)
    engine.check(wanted, context.engine.private_hosts)
    if wanted.query is not None:
        check_query(info.schema, viewer_of(partner.code, frozenset(scopes)), wanted.query)
    key = viewer.subject if viewer.role == "partner" else ""
    return replace(wanted, scopes=scopes, saved_by=key or None)


async def _switch(context: Context, id: strawberry.ID, *, on: bool) -> WebhookEndpointSaved:
    known = await watched_endpoint(context, id)
    saved = await engine.switch(known.id, on, context.instant)
    return WebhookEndpointSaved(endpoint=WebhookEndpoint.of(saved))
