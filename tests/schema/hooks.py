"""Operations on webhooks, and a receiver behind the application's own sender. Holds no test."""

from __future__ import annotations

from typing import Any

from app.sending import payloads, telling
from core import dispatching
from core.sender import Sender
from tests.core.listening import Receiver
from tests.schema.client import Client

_ENDPOINT = """endpoint { id url changes query scopes queryEndsAt state disabledAt deliveredAt
  oldSecretUntil partner { code } }"""
_ERROR = "... on Error { code message path }"
CREATE = f"""mutation($input: CreateWebhookEndpointInput!) {{
  createWebhookEndpoint(input: $input) {{
  __typename ... on WebhookSecretIssued {{ secret {_ENDPOINT} }} {_ERROR} }} }}"""
UPDATE = f"""mutation($input: UpdateWebhookEndpointInput!) {{
  updateWebhookEndpoint(input: $input) {{
  __typename ... on WebhookEndpointSaved {{ {_ENDPOINT} }} {_ERROR} }} }}"""
ROTATE = f"""mutation($input: RotateWebhookSecretInput!) {{ rotateWebhookSecret(input: $input) {{
  __typename ... on WebhookSecretIssued {{ secret {_ENDPOINT} }} {_ERROR} }} }}"""
SWITCH = f"""mutation($id: ID!) {{ FIELD(id: $id) {{
  __typename ... on WebhookEndpointSaved {{ {_ENDPOINT} }} {_ERROR} }} }}"""
DISABLE = SWITCH.replace("FIELD", "disableWebhookEndpoint")
ENABLE = SWITCH.replace("FIELD", "enableWebhookEndpoint")
DELETE = f"""mutation($id: ID!) {{ deleteWebhookEndpoint(id: $id) {{
  __typename ... on WebhookEndpointDeleted {{ id }} {_ERROR} }} }}"""
_DELIVERY = """id messageId type changes state createdAt nextAt doneAt
  attempts { at status milliseconds problem } endpoint { id }"""
TEST = f"""mutation($input: SendTestWebhookInput!) {{ sendTestWebhook(input: $input) {{
  __typename ... on WebhookQueued {{ delivery {{ {_DELIVERY} }} }} {_ERROR} }} }}"""
REPLAY = f"""mutation($id: ID!) {{ replayWebhookDelivery(id: $id) {{
  __typename ... on WebhookQueued {{ delivery {{ {_DELIVERY} }} }} {_ERROR} }} }}"""
LIST = """query($first: Int, $after: String) { webhookEndpoints(first: $first, after: $after) {
  edges { node { id partner { code } } } pageInfo { hasNextPage endCursor } } }"""
LOG = f"""query($first: Int, $after: String, $endpoint: ID, $state: WebhookDeliveryState) {{
  webhookDeliveries(first: $first, after: $after, endpoint: $endpoint, state: $state) {{
    edges {{ node {{ {_DELIVERY} }} }} pageInfo {{ hasNextPage endCursor }} }} }}"""

ALL = [
    "PURCHASE_RECORDED", "PURCHASE_CHANGED", "ACTIVITY_RECORDED", "REDEMPTION_CHANGED",
    "TIER_CHANGED", "POINTS_CHANGED",
]  # fmt: skip


async def register(
    api: Client, partner: str, query: str | None = None, *, who: str | None = None, **more: Any
) -> dict[str, Any]:
    """A new endpoint of a partner's, with its secret."""
    given = {
        "key": f"key of {partner}", "partner": partner, "url": f"https://{partner}.example/",
        "changes": ALL, "query": query, **more,
    }  # fmt: skip
    made = await api.ask(who or f"partner:{partner}", CREATE, input=given)
    assert made["__typename"] == "WebhookSecretIssued", made
    return {**made["endpoint"], "secret": made["secret"]}


async def deliver(api: Client, receiver: Receiver) -> int:
    """Send on all that is booked, to the end; how many posts that were."""
    also = telling(api.engine, api.clock)
    while await dispatching.dispatch(also):
        pass
    found = payloads(api.engine, api.clock)
    sender = Sender(found, receiver.post, api.clock, lambda: 0.0)
    before = len(receiver.got)
    while await sender.turn():
        await sender.idle()
    return len(receiver.got) - before
