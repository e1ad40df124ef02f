"""Where a partner wants to be told of changes: the object, and who may see it.

What is done with it is `schema.webhooks`'.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import strawberry
from strawberry import relay

from core.errors import UnknownReference
from core.store import webhooks as store
from core.webhooks import EndpointState, Topic
from schema.acts import watch
from schema.context import Context, Info
from schema.enums import words
from schema.fields import answer
from schema.ids import numbers, parse_number
from schema.partners import Partner, partner_of

QUERY = (
    "A GraphQL query whose answer is sent. It runs as the partner, with the scopes of the key that "
    "saved it (saved by an admin: with every scope that reads), and until that key ends: see "
    "queryEndsAt. It may ask for `$member: ID`, "
    "`$purchase: ID`, `$redemption: ID` and `$invitation: ID`: the ids of what the change is "
    "about. One declared as `ID!` that a change lacks, or an answer of 20 kB, and only the ids "
    "are sent. Null: always only the ids."
)


class WebhookChange(enum.Enum):
    """What kinds of changes are told; the numbers are the engine's."""

    PURCHASE_RECORDED = Topic.PURCHASE_RECORDED.value
    PURCHASE_CHANGED = Topic.PURCHASE_CHANGED.value
    ACTIVITY_RECORDED = Topic.ACTIVITY_RECORDED.value
    REDEMPTION_CHANGED = Topic.REDEMPTION_CHANGED.value
    TIER_CHANGED = Topic.TIER_CHANGED.value
    POINTS_CHANGED = Topic.POINTS_CHANGED.value
    MEMBERSHIP_CHANGED = Topic.MEMBERSHIP_CHANGED.value
    MEMBERSHIP_DUE = Topic.MEMBERSHIP_DUE.value
    SURVEY_INVITED = Topic.SURVEY_INVITED.value
    SURVEY_ANSWERED = Topic.SURVEY_ANSWERED.value
    SURVEY_DETRACTOR = Topic.SURVEY_DETRACTOR.value


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
    MEMBERSHIP_CHANGED="A membership was joined, renewed, cancelled or resumed.",
    MEMBERSHIP_DUE="A membership's term is over within a day: take the next one's fee, then call "
    "renewMembership.",
    SURVEY_INVITED="A member is to be asked: send it the link that the query finds by "
    "`$invitation`.",
    SURVEY_ANSWERED="A survey was answered.",
    SURVEY_DETRACTOR="A survey was answered by somebody unhappy: NPS up to 6, CSAT up to 2.",
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
    query_ends_at: datetime | None = strawberry.field(
        description="From when on the query isn't asked, and only the ids are sent: the API key "
        "that saved it was revoked or ends then. Who saves the endpoint by updateWebhookEndpoint "
        "lends it their own permissions. Null: there is no query, or no such end."
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
            query=row.query, scopes=list(row.scopes),
            query_ends_at=None if row.query is None else row.ends, created_at=row.created_at,
            state=WebhookEndpointState(row.state), disabled_at=row.disabled_at,
            delivered_at=row.took_at,
        )  # fmt: skip


async def watched_endpoint(context: Context, id: strawberry.ID) -> store.Endpoint:
    """The endpoint of this id, for a change: an admin's is recorded."""
    known = await own_endpoint(context, id)

    async def look() -> Mapping[str, Any] | None:
        row = (await store.read([known.id])).get(known.id)
        if row is None:
            return None
        changes = [Topic(number).name for number in row.topics]
        state = EndpointState(row.state).name
        return {"url": row.url, "changes": changes, "query": row.query, "state": state}

    await watch(context, f"webhook endpoint {known.id}", look)
    return known


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
