"""The real application for the suites of others: `python -m tests.conformance.serve [NAME…]`.

The server that `laurels serve` runs, on a free port and a throw-away database. Through its own API
a small past is made beside the demo's: for every NAME a member who took twelve coffees at the café,
and the tenth drink for an earlier nine. When it answers, one line of JSON says where it is and
which tokens open it; it stops when its input ends. Holds no assertion.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from rich.console import Console
from strawberry import relay

from app import demo, serving, tokens
from app.postgres import throwaway
from app.runtime import Runtime
from app.settings import Settings

SECRET = "a secret that only the conformance suites sign with"
PARTNERS = ("cafe", "grocer", "outfitter")
#: Coffees of each member: nine are spent on the drink that is free, twelve stamps stay.
VISITS = 21

_ENROL = """mutation Enrol($input: EnrolMemberInput!) { enrolMember(input: $input) {
  ... on MemberEnrolled { memberId } ... on Error { code message } } }"""
_RECORD = """mutation Record($input: RecordPurchasesInput!) { recordPurchases(input: $input) {
  results { __typename ... on Error { code message } } } }"""
_REDEEM = """mutation Redeem($input: RedeemRewardInput!) { redeemReward(input: $input) {
  ... on RewardRedeemed { redemption { id } } ... on Error { code message } } }"""


@dataclass(frozen=True, slots=True)
class Served:
    """Where it is, and which tokens open it; members and their cards by the names asked for."""

    origin: str
    url: str
    admin: str
    partners: dict[str, str]
    members: dict[str, str] = field(default_factory=dict)
    cards: dict[str, str] = field(default_factory=dict)


def main(names: Sequence[str]) -> None:
    """Serve until the input ends."""
    with throwaway() as server:
        settings = Settings(
            database_url=server.url, secret=SECRET, port=_free_port(), log_level="warning"
        )
        try:
            asyncio.run(_serve(settings, names))
        except KeyboardInterrupt:
            return


async def _serve(settings: Settings, names: Sequence[str]) -> None:
    async def prepare(runtime: Runtime, secret: str, address: str) -> list[str]:
        await demo.seed(runtime.engine, datetime.now(UTC))
        told = asyncio.create_task(_tell(secret, address, names))
        told.add_done_callback(_stop)
        return []

    await serving.serve(settings, "conformance", Console(stderr=True), prepare=prepare)


def _stop(told: asyncio.Task[None]) -> None:
    if not told.cancelled():
        if (error := told.exception()) is not None:
            print(f"the server can't be prepared: {error!r}", file=sys.stderr)
        os.kill(os.getpid(), signal.SIGTERM)


async def _tell(secret: str, address: str, names: Sequence[str]) -> None:
    """Wait for the server, make the past, say so, and return when nobody listens any more."""

    def token(role: str, subject: str) -> str:
        return tokens.issue(secret, role, subject, timedelta(hours=1), datetime.now(UTC))

    partners = {code: token("partner", code) for code in PARTNERS}
    served = Served(address, f"{address}/graphql", token("admin", "root"), partners)
    async with httpx.AsyncClient(base_url=address, timeout=30) as http:
        await _answering(http)
        for place, name in enumerate(names):
            served.cards[name] = f"98{place:02}"
            holder = await _live(http, served, name)
            served.members[name] = token("member", holder)
    print(json.dumps(asdict(served)), flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def _answering(http: httpx.AsyncClient) -> None:
    for _ in range(600):
        try:
            # Not "ready": that it never is on a server which forgets for the sake of speed.
            if (await http.get("/health/live")).is_success:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)
    raise TimeoutError("the server doesn't answer")


async def _live(http: httpx.AsyncClient, served: Served, name: str) -> str:
    """Enrol the member and let it shop; returns its number."""
    cafe, card = served.partners["cafe"], served.cards[name]
    # By an admin: a partner is told its own name for the member, and no token knows that.
    enrol = {"card": card, "name": name.capitalize()}
    member = (await _ask(http, served.admin, _ENROL, enrol))["memberId"]
    now = datetime.now(UTC)
    visits = [
        {
            "externalId": f"{name}-{n}",
            "member": {"card": card},
            "occurredAt": (now - timedelta(days=VISITS - n)).isoformat(),
            "currency": "EUR",
            "lines": [{"productType": "coffee", "amount": "4.50"}],
        }
        for n in range(VISITS)
    ]
    batch = await _ask(http, cafe, _RECORD, {"partner": "cafe", "purchases": visits})
    if any(result["__typename"] != "PurchaseRecorded" for result in batch["results"]):
        raise RuntimeError(f"a purchase was refused: {batch}")
    redeem = {
        "key": f"{name}-first",
        "partner": "cafe",
        "reward": "free-drink",
        "member": {"card": card},
    }
    await _ask(http, cafe, _REDEEM, redeem)
    return relay.GlobalID.from_id(str(member)).node_id


async def _ask(http: httpx.AsyncClient, token: str, query: str, given: Any) -> dict[str, Any]:
    """The root field's answer. Raises RuntimeError for a refusal."""
    body = {"query": query, "variables": {"input": given}}
    answer = await http.post("/graphql", json=body, headers={"authorization": f"Bearer {token}"})
    told = answer.json()
    (result,) = (told.get("data") or {"": None}).values()
    if not result or "errors" in told or "code" in result:
        raise RuntimeError(f"refused: {told}")
    return dict(result)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main(sys.argv[1:])
