"""A member's wallet with gql: checked documents, pages, a redemption, events.

Run it against `make demo`: LAURELS_TOKEN is a member's token, LAURELS_URL where the server is.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gql import Client, gql
from gql.client import AsyncClientSession
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

SCHEMA = Path(__file__).parents[2] / "schema" / "schema.graphql"

WALLET = gql("""
  query Wallet($currency: String, $first: Int!, $after: String) {
    me { name ledgers(currency: $currency) {
      currency { code symbol }
      balance { active reserved }
      entries(first: $first, after: $after) {
        edges { node { id at kind amount explanation { text } } }
        pageInfo { endCursor hasNextPage }
      } } }
  }""")

REDEEM = gql("""
  mutation Redeem($input: RedeemRewardInput!) {
    redeemReward(input: $input) {
      __typename
      ... on RewardRedeemed { replayed redemption { status codes ledger { balance { active } } } }
      ... on Error { code message path }
    }
  }""")

LEDGER_CHANGED = gql("""
  subscription LedgerChanged($currency: String) {
    ledgerChanged(currency: $currency) { currency { code } balance { active reserved } }
  }""")


def connect(url: str, token: str) -> Client:
    """A client for queries and mutations; a wrong document is refused before it is sent."""
    transport = HTTPXAsyncTransport(url, headers={"authorization": f"Bearer {token}"})
    return Client(transport=transport, schema=SCHEMA.read_text())


def follow(url: str, token: str) -> Client:
    """A client for subscriptions."""
    init = {"authorization": f"Bearer {token}"}
    address = url.replace("http", "ws", 1)
    return Client(transport=WebsocketsTransport(address, init_payload=init))


async def entries(session: AsyncClientSession, currency: str) -> AsyncIterator[dict[str, Any]]:
    """All entries of a ledger, page by page."""
    after = None
    while True:
        WALLET.variable_values = {"currency": currency, "first": 5, "after": after}
        (ledger,) = (await session.execute(WALLET))["me"]["ledgers"]
        for edge in ledger["entries"]["edges"]:
            yield edge["node"]
        if not ledger["entries"]["pageInfo"]["hasNextPage"]:
            return
        after = ledger["entries"]["pageInfo"]["endCursor"]


async def main() -> None:
    """Print the wallet, then follow it until Ctrl+C."""
    url = os.environ.get("LAURELS_URL", "http://127.0.0.1:8000/graphql")
    token = os.environ["LAURELS_TOKEN"]
    async with connect(url, token) as session:
        WALLET.variable_values = {"first": 3}
        me = (await session.execute(WALLET))["me"]
        print(me["name"])
        for ledger in me["ledgers"]:
            print(ledger["currency"]["code"], ledger["balance"]["active"])
            for edge in ledger["entries"]["edges"]:
                print("  ", edge["node"]["at"], edge["node"]["explanation"]["text"])
    async with follow(url, token) as session:
        async for change in session.subscribe(LEDGER_CHANGED):
            print(change["ledgerChanged"])


if __name__ == "__main__":
    asyncio.run(main())
