"""A query that a key saved is asked until that key ends; and what is saved at once stays whole."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from core.db import transaction
from tests.app.working import PATIENCE
from tests.core.listening import Receiver
from tests.schema import hooks
from tests.schema.client import Client
from tests.schema.hooks import CREATE, UPDATE, deliver, register
from tests.schema.test_keys import REVOKE, by, create
from tests.schema.test_webhooks import NAME, buy, told
from tests.support import scalar

SCOPES = ["MEMBERS_READ", "WEBHOOKS_READ", "WEBHOOKS_WRITE"]
TICK = timedelta(microseconds=1)
ENDS_AT = "2027-01-01T00:00:00Z"


async def saved_by_key(api: Client, query: str | None = NAME, **more: Any) -> tuple[str, Any]:
    """A key of the grocer's, and the endpoint that it made."""
    made = await create(api, "admin:root", partner="grocer", scopes=SCOPES, **more)
    given = {
        "key": "k", "partner": "grocer", "url": "https://grocer.example/", "changes": hooks.ALL,
        "query": query,
    }  # fmt: skip
    done = await by(api, made["secret"], CREATE, input=given)
    return made["apiKey"]["id"], done["data"]["createWebhookEndpoint"]["endpoint"]


async def named(api: Client, receiver: Receiver, number: str) -> Any:
    """What is told of a purchase; None: no more than ids."""
    await buy(api, number)
    assert await deliver(api, receiver) == 1
    body = told(receiver)
    assert "errors" not in body
    return None if body.get("thin") else body["data"]["member"]["name"]


async def revoke(api: Client, key: str) -> dict[str, Any]:
    given = {"partner": "grocer", "id": key}
    done: dict[str, Any] = await api.ask(
        "admin:root", REVOKE.replace("replayed", "replayed webhookEndpoints"), input=given
    )
    return done


async def test_a_revoked_keys_query_is_asked_no_more(api: Client) -> None:
    await api.enrol("1")
    receiver = Receiver(api.clock)
    key, hook = await saved_by_key(api)
    assert hook["queryEndsAt"] is None
    assert await named(api, receiver, "R") == "Ada"  # the control
    done = await revoke(api, key)
    assert done["webhookEndpoints"] == [hook["id"]]
    node = "query($id: ID!) { node(id: $id) { ... on WebhookEndpoint { queryEndsAt query } } }"
    shown = await api.ask("partner:grocer", node, id=hook["id"])
    assert shown == {"queryEndsAt": done["apiKey"]["revokedAt"], "query": NAME}
    assert await named(api, receiver, "S") is None
    # Another lends it its own permissions.
    saved = (await api.ask("admin:root", UPDATE, input={"id": hook["id"]}))["endpoint"]
    assert saved["queryEndsAt"] is None
    assert await named(api, receiver, "T") == "Ada"
    assert (await revoke(api, key))["webhookEndpoints"] == []


async def test_a_key_that_expires_takes_its_query_along(api: Client) -> None:
    await api.enrol("1")
    receiver = Receiver(api.clock)
    _, hook = await saved_by_key(api, expiresAt=ENDS_AT)
    assert hook["queryEndsAt"] == ENDS_AT
    assert await named(api, receiver, "R") == "Ada"
    async with transaction() as connection:
        await connection.execute("UPDATE api_key SET expires_at = $1", api.clock() + TICK)
    assert await named(api, receiver, "S") == "Ada"
    api.clock.at += TICK
    assert await named(api, receiver, "T") is None


async def test_what_has_no_query_and_what_no_key_saved_goes_on(api: Client) -> None:
    await api.enrol("1")
    key, hook = await saved_by_key(api, None, expiresAt=ENDS_AT)
    assert hook["queryEndsAt"] is None
    assert (await revoke(api, key))["webhookEndpoints"] == []
    await register(api, "cafe", NAME)
    assert await scalar("SELECT saved_by FROM webhook_endpoint WHERE query IS NOT NULL") is None


async def test_two_changes_at_once_are_both_made(api: Client) -> None:
    """The second waits for the first, and keeps what that one made otherwise."""
    hook = await register(api, "grocer", NAME)
    moved = "https://moved.example/"
    async with transaction() as connection:
        await connection.execute("UPDATE webhook_endpoint SET url = $1", moved)
        given = {"id": hook["id"], "changes": ["TIER_CHANGED"]}
        second = asyncio.create_task(api.ask("partner:grocer", UPDATE, input=given))
        async with asyncio.timeout(PATIENCE):
            while not await scalar("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                assert not second.done()
    saved = (await second)["endpoint"]
    assert (saved["url"], saved["changes"]) == (moved, ["TIER_CHANGED"])
