"""Partners' API keys: made, listed, rotated and revoked by a partner itself or by the programme.

A secret is told once, in the answer of what made it. Nobody hands out more than they have: a key
makes, and renews the secret of, no key that opens more than itself, and makes none that ends later;
revoked, it takes with it all that it made. Knows nothing of digests.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry import relay

from core.errors import NotAllowed
from core.keys import ApiKeys, Issued, KeyRow, listed, maker
from core.store.webhooks import saved_by
from schema.access import MANAGERS, allow, allow_change, partner_for
from schema.acts import watch
from schema.context import Context, Info
from schema.errors import (
    BadInputError,
    NotAllowedError,
    UnknownReferenceError,
    WrongStateError,
)
from schema.fields import answer, change
from schema.inputs import parse_duration


@strawberry.enum(description="What a partner's API key opens.")
class ApiKeyScope(enum.Enum):
    """The scopes of `schema.context`, as names of GraphQL's."""

    MEMBERS_READ = strawberry.enum_value("members:read", description="Reading members.")
    MEMBERS_WRITE = strawberry.enum_value(
        "members:write", description="Enrolling members, and noting things of them."
    )
    PURCHASES_READ = strawberry.enum_value(
        "purchases:read", description="Reading and quoting receipts."
    )
    PURCHASES_WRITE = strawberry.enum_value(
        "purchases:write", description="Recording purchases, returns and activities."
    )
    REDEMPTIONS_READ = strawberry.enum_value("redemptions:read", description="Looking up codes.")
    REDEMPTIONS_WRITE = strawberry.enum_value(
        "redemptions:write", description="Redeeming, confirming and cancelling."
    )
    POINTS_ADJUST = strawberry.enum_value(
        "points:adjust", description="Giving and taking points by hand."
    )
    RULES_READ = strawberry.enum_value("rules:read", description="Reading rules.")
    RULES_WRITE = strawberry.enum_value("rules:write", description="Changing rules.")
    WEBHOOKS_READ = strawberry.enum_value("webhooks:read", description="Reading webhooks.")
    WEBHOOKS_WRITE = strawberry.enum_value("webhooks:write", description="Changing webhooks.")
    ENGAGEMENT_READ = strawberry.enum_value(
        "engagement:read", description="Reading memberships, events, surveys and personal offers."
    )
    ENGAGEMENT_WRITE = strawberry.enum_value(
        "engagement:write", description="Selling memberships, holding events, sending surveys."
    )
    KEYS_WRITE = strawberry.enum_value("keys:write", description="These keys.")


_SCOPES: dict[ApiKeyScope, str] = {
    scope: scope.name.lower().replace("_", ":") for scope in ApiKeyScope
}


@strawberry.type(description="An API key of a partner, without its secret.")
class ApiKey:
    """Whoever hands one out has asked whether the viewer may read it."""

    row: strawberry.Private[KeyRow]

    @answer("Its id, which is also the middle of the key itself.")
    def id(self) -> strawberry.ID:
        return strawberry.ID(self.row.id)

    @answer("What it is for, in words.")
    def title(self) -> str:
        return self.row.title

    @answer("What it opens.")
    def scopes(self) -> list[ApiKeyScope]:
        return [scope for scope, name in _SCOPES.items() if name in self.row.scopes]

    @answer("When it was made.")
    def created_at(self) -> datetime:
        return self.row.created_at

    @answer("By whom it was made: a key, the partner's token, or an admin; admins are told which.")
    def created_by(self, info: Info) -> str:
        role, _, _ = self.row.created_by.partition(":")
        # Which admin it was is no partner's affair.
        told = role != "admin" or info.context.viewer.role == "admin"
        return self.row.created_by if told else role

    @answer("When it ends; null: not by itself.")
    def expires_at(self) -> datetime | None:
        return self.row.expires_at

    @answer("When it was revoked; null: it wasn't.")
    def revoked_at(self) -> datetime | None:
        return self.row.revoked_at

    @answer("When it was last used, to the minute or so; null: never.")
    def used_at(self) -> datetime | None:
        return self.row.used_at


@strawberry.type(description="A key with a new secret.")
class ApiKeyIssued:
    """Done."""

    api_key: ApiKey = strawberry.field(description="The key.")
    secret: str = strawberry.field(
        description="The whole key as it is sent: `Authorization: Bearer laurels_…`. It is told "
        "here and never again."
    )

    @classmethod
    def of(cls, issued: Issued) -> ApiKeyIssued:
        """From the engine."""
        return cls(api_key=ApiKey(row=issued.row), secret=issued.text)


@strawberry.type(description="The key is revoked.")
class ApiKeyRevoked:
    """Done."""

    api_key: ApiKey = strawberry.field(description="The key.")
    replayed: bool = strawberry.field(description="Whether it was revoked before.")
    webhook_endpoints: list[strawberry.ID] = strawberry.field(
        description="The ids of the webhook endpoints whose query it saved: they are sent only ids "
        "from now on, until another saves them by updateWebhookEndpoint."
    )


IssueKeyResult = Annotated[
    ApiKeyIssued | BadInputError | UnknownReferenceError | NotAllowedError | WrongStateError,
    strawberry.union("ApiKeyIssuedResult", description="The key, or why there is none."),
]
RevokeKeyResult = Annotated[
    ApiKeyRevoked | BadInputError | UnknownReferenceError | NotAllowedError,
    strawberry.union("ApiKeyRevokedResult", description="The key, or what is wrong."),
]


@strawberry.input(description="A key to make.")
class CreateApiKeyInput:
    """Sent again it makes another one: revoke what isn't needed."""

    partner: str = strawberry.field(description="The code of the partner whose key it is.")
    title: str = strawberry.field(description="What it is for: up to 100 characters.")
    scopes: list[ApiKeyScope] = strawberry.field(description="What it is to open.")
    expires_at: strawberry.Maybe[datetime] = strawberry.field(
        description="When it ends; left out: not by itself. A key that is made by another ends "
        "with that one at the latest."
    )


@strawberry.input(description="A key to get a new secret.")
class RotateApiKeyInput:
    """Safe to send again: each time there is one secret more, and the old ones go on."""

    partner: str = strawberry.field(description="The code of the partner whose key it is.")
    id: strawberry.ID = strawberry.field(description="Which key.")
    overlap: strawberry.Maybe[str] = strawberry.field(
        description="How long its secrets so far go on, such as 12h or 7D; at most 90D. Left out: "
        "they end at once."
    )


@strawberry.input(description="A key to end at once.")
class RevokeApiKeyInput:
    """Safe to send again."""

    partner: str = strawberry.field(description="The code of the partner whose key it is.")
    id: strawberry.ID = strawberry.field(description="Which key.")


@strawberry.type(description="Queries on API keys.")
class KeyQueries:
    """Root fields."""

    @answer(
        "A partner's API keys, without secrets: those in use first, then the latest first.",
        extensions=allow(partner="keys:write", admin=MANAGERS),
    )
    async def api_keys(
        self,
        info: Info,
        partner: Annotated[str, strawberry.argument(description="The partner's code.")],
    ) -> list[ApiKey]:
        terms = partner_for(info.context, partner)
        return [ApiKey(row=row) for row in await listed(terms.id)]


@strawberry.type(description="Commands on API keys.")
class KeyMutations:
    """Root fields."""

    @change(
        "Make an API key. A key can't make one that opens more than itself, or for longer.",
        extensions=allow_change(partner="keys:write", admin=MANAGERS),
    )
    async def create_api_key(
        self,
        info: Info,
        input: Annotated[CreateApiKeyInput, strawberry.argument(description="What it opens.")],
    ) -> IssueKeyResult | None:
        context = info.context
        partner = partner_for(context, input.partner)
        scopes = [_SCOPES[scope] for scope in input.scopes]
        _within_own(context, scopes)
        return ApiKeyIssued.of(
            await _keys(context).create(
                partner.id, input.title, scopes, _maker(context), context.instant,
                expires_at=_within_time(context, input.expires_at),
            )
        )  # fmt: skip

    @change(
        "Give an API key a new secret; for a while the old ones may go on.",
        extensions=allow_change(partner="keys:write", admin=MANAGERS),
    )
    async def rotate_api_key(
        self,
        info: Info,
        input: Annotated[RotateApiKeyInput, strawberry.argument(description="Which, how.")],
    ) -> IssueKeyResult | None:
        context = info.context
        partner = partner_for(context, input.partner)
        keys, now = _keys(context), context.instant
        row = await keys.read(partner.id, input.id)
        _within_own(context, row.scopes)
        _not_longer(context, row)
        await _watch(context, row)
        until = now
        if input.overlap is not None:
            until = parse_duration(input.overlap.value, "overlap").after(now, "UTC")
        return ApiKeyIssued.of(await keys.rotate(partner.id, input.id, until, now))

    @change(
        "Revoke an API key, and with it all keys that it made, that they made, and so on: whoever "
        "had it may have those. They are refused at once by the server that answers, and within "
        "seconds by all others.",
        extensions=allow_change(partner="keys:write", admin=MANAGERS),
    )
    async def revoke_api_key(
        self,
        info: Info,
        input: Annotated[RevokeApiKeyInput, strawberry.argument(description="Which.")],
    ) -> RevokeKeyResult | None:
        context = info.context
        partner = partner_for(context, input.partner)
        keys = _keys(context)
        await _watch(context, await keys.read(partner.id, input.id))
        row, replayed = await keys.revoke(partner.id, input.id, context.instant)
        ended = [
            strawberry.ID(str(relay.GlobalID("WebhookEndpoint", str(number))))
            for number in await saved_by(row.id)
        ]
        return ApiKeyRevoked(api_key=ApiKey(row=row), replayed=replayed, webhook_endpoints=ended)


def _keys(context: Context) -> ApiKeys:
    if context.keys is None:
        raise NotAllowed("keys are made and changed over HTTP alone")
    return context.keys


async def _watch(context: Context, row: KeyRow) -> None:
    """Record what an admin makes of a key."""

    async def look() -> Mapping[str, Any]:
        now = await _keys(context).read(row.partner_id, row.id)
        return {
            "partner": now.partner,
            "title": now.title,
            "scopes": now.scopes,
            "revokedAt": now.revoked_at and now.revoked_at.isoformat(),
        }

    await watch(context, f"key {row.id}", look)


def _within_own(context: Context, scopes: list[str]) -> None:
    """Raise NotAllowed where a partner's key would hand out more than it has."""
    beyond = [] if context.viewer.role == "admin" else set(scopes) - context.viewer.scopes
    if beyond:
        raise NotAllowed(f"your own key doesn't open {', '.join(sorted(beyond))}", "scopes")


def _within_time(context: Context, wanted: strawberry.Maybe[datetime]) -> datetime | None:
    """When a new key ends: a partner's key, or token, makes none that outlives it."""
    asked = None if wanted is None else wanted.value
    ends = [asked, context.viewer.until if context.viewer.role == "partner" else None]
    return min((end for end in ends if end is not None), default=None)


def _not_longer(context: Context, row: KeyRow) -> None:
    """Raise NotAllowed where whoever ends would get the secret of a key that goes on after it.

    Of its own key anybody gets a new one: that is what a secret that is about to end is good for.
    """
    viewer = context.viewer
    if viewer.role == "admin" or viewer.until is None or viewer.subject == row.id:
        return
    if row.expires_at is None or row.expires_at > viewer.until:
        raise NotAllowed("what you have ends before that key does", "id")


def _maker(context: Context) -> str:
    viewer = context.viewer
    if viewer.role == "partner":
        return maker(viewer.subject) if viewer.subject else f"partner:{viewer.partner}"
    return f"{viewer.role}:{viewer.subject}"
