"""A partner's till with a client that ariadne-codegen generated from till.graphql: typed answers.

Run it against `make demo`: LAURELS_TOKEN is the token of the grocer's till.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime

from laurels_client import Client, PurchasesItemInput
from laurels_client.input_types import MemberBy, MemberIdentifier, PurchaseLineInput

__all__ = ["MemberBy", "connect", "receipt"]


def connect(url: str, token: str) -> Client:
    """A client for everything; close it by `async with`."""
    authorization = f"Bearer {token}"
    return Client(
        url,
        headers={"authorization": authorization},
        ws_url=url.replace("http", "ws", 1),
        ws_connection_init_payload={"authorization": authorization},
    )


def receipt(external_id: str, card: str, currency: str, **amounts: str) -> PurchasesItemInput:
    """A receipt of now, by amounts of product types."""
    return PurchasesItemInput(
        externalId=external_id,
        member=MemberIdentifier(card=card),
        occurredAt=datetime.now(UTC),
        currency=currency,
        lines=[PurchaseLineInput(productType=k, amount=a) for k, a in amounts.items()],
    )


async def main() -> None:
    """Record a receipt, send it again, and print what it earned."""
    url = os.environ.get("LAURELS_URL", "http://127.0.0.1:8000/graphql")
    async with connect(url, os.environ["LAURELS_TOKEN"]) as client:
        number = f"T-{datetime.now(UTC):%H%M%S}"
        sale = receipt(number, "9012", "USD", PRODUCE="12.40", GROCERY="30.00")
        for _ in range(2):
            answer = await client.record("grocer", [sale])
            if answer.record_purchases is None:
                raise SystemExit("nothing was recorded")
            (result,) = answer.record_purchases.results
            if result.typename__ == "PurchaseRecorded":
                print("again" if result.replayed else "new")
                for entry in result.entries:
                    print("  ", entry.amount, entry.currency.code, entry.explanation)
            else:
                print("refused:", result.code, result.message)


if __name__ == "__main__":
    asyncio.run(main())
