"""How the tests of the schema speak to it: over HTTP, as a role, with a clock of their own."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import httpx
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from app.tokens import issue
from core.posting import Engine
from schema.executor import FastExecutor

SECRET = "a secret of the tests, which is long enough"

ENROL = """mutation($input: EnrolMemberInput!) { enrolMember(input: $input) {
  __typename ... on MemberEnrolled { created memberId member { name } }
  ... on Error { code message path } } }"""
RECORD = """mutation($input: RecordPurchasesInput!) { recordPurchases(input: $input) { results {
  __typename
  ... on PurchaseRecorded { externalId replayed entries { id amount currency { code }
    explanation { text rule { title version points } lines { productType points rate } rate rounding
      caps rules { code points because } } }
    tierChanges { ladder { code } from { code } to { code } } }
  ... on Error { code message path } } } }"""
LINES = """query($id: String!) { purchase(partner: "grocer", externalId: $id) {
  total { amount } lines { number kind amount { amount } discount { amount } tax { amount }
    pointsPaid { amount } returnedAmount { amount } } } }"""
REDEEM = """mutation($input: RedeemRewardInput!) { redeemReward(input: $input) { __typename
  ... on RewardRedeemed { replayed redemption { id status codes points holdUntil settledAt
    reward { title } partner { code } currency { code } ledger { balance { active reserved } }
    member { id } } }
  ... on Error { code message path } } }"""
PAY = """mutation($input: PayWithPointsInput!) { payWithPoints(input: $input) { __typename
  ... on RewardRedeemed { replayed redemption { id status rule points worth { amount currency }
    reward { code } ledger { id balance { active } } } }
  ... on Error { code message path } } }"""
SETTLE = """mutation($input: SettleRedemptionInput!) { FIELD(input: $input) { __typename
  ... on RewardRedeemed { replayed redemption { id status ledger { balance { active reserved } } } }
  ... on Error { code message path } } }"""
CONFIRM = SETTLE.replace("FIELD", "confirmRedemption")
CANCEL = SETTLE.replace("FIELD", "cancelRedemption")


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    at: datetime

    def __call__(self) -> datetime:
        """Now."""
        return self.at

    def tick(self, **span: float) -> None:
        """Move on."""
        self.at += timedelta(**span)


@dataclass
class Tokens(Mapping[str, str]):
    """A token of each caller, made when it is asked for: they are good for hours alone."""

    clock: Clock

    def __getitem__(self, who: str) -> str:
        """The token of a role with its subject: `partner:grocer`, `admin:sam:support`."""
        role, subject, *staff = who.split(":")
        hours, now = timedelta(hours=12), self.clock()
        return issue(SECRET, role, subject, hours, now, staff=staff or ["owner"])

    def __iter__(self) -> Iterator[str]:
        """No list: everybody has one."""
        return iter(())

    def __len__(self) -> int:
        """See above."""
        return 0


@dataclass
class Client:
    """Sends operations; `who` is a role with its subject, or None for nobody."""

    http: httpx.AsyncClient
    clock: Clock
    tokens: Mapping[str, str]
    engine: Engine

    def member(self, member_id: str) -> str:
        """A caller's name for a member."""
        holder = base64.b64decode(member_id).decode().partition(":")[2]
        if not holder.isdigit():  # as a partner was told it
            names = [p.pseudonyms.holder(holder) for p in self.engine.rulebook.partners.values()]
            [holder] = [str(name) for name in names if name is not None]
        return f"member:{holder}"

    def told(self, who: str, thing: str) -> str:
        """The id by which a partner knows what admins and members know by this one."""
        role, _, code = who.partition(":")
        if role != "partner":
            return thing
        kind, _, key = base64.b64decode(thing).decode().partition(":")
        holder, dot, rest = key.partition(".")
        name = self.engine.rulebook.partners[code].pseudonyms.of(int(holder))
        return base64.b64encode(f"{kind}:{name}{dot}{rest}".encode()).decode()

    async def send(self, who: str | None, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer."""
        headers = {} if who is None else {"authorization": f"Bearer {self.tokens[who]}"}
        given = {"query": query, "variables": variables}
        response = await self.http.post("/graphql", json=given, headers=headers)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        if not _counting and not query.lstrip().startswith("mutation") and _SEEN[query] < _OFTEN:
            _SEEN[query] += 1
            with by_the_book():
                again = await self.http.post("/graphql", json=given, headers=headers)
            assert _said(again.json()) == _said(answer)
        return answer

    async def ask(self, who: str | None, query: str, **variables: Any) -> Any:
        """The only root field's answer, which has no errors."""
        answer = await self.send(who, query, **variables)
        assert "errors" not in answer, answer["errors"]
        [value] = answer["data"].values()
        return value

    async def enrol(self, card: str, name: str = "Ada") -> str:
        """A new member's id."""
        done = await self.ask("admin:root", ENROL, input={"card": card, "name": name})
        assert done["created"], done
        return str(done["memberId"])

    async def buy(self, who: str, partner: str, *purchases: dict[str, Any]) -> list[dict[str, Any]]:
        """The results of a batch."""
        given = {"partner": partner, "purchases": list(purchases)}
        done: list[dict[str, Any]] = (await self.ask(who, RECORD, input=given))["results"]
        return done


def receipt(
    number: str, card: str, at: str, *lines: tuple[str, str], currency: str = "USD"
) -> dict[str, Any]:
    """A purchase as a till sends it: lines are (product type, amount)."""
    return {
        "externalId": number,
        "member": {"card": card},
        "occurredAt": at,
        "currency": currency,
        "lines": [{"productType": kind, "amount": amount} for kind, amount in lines],
    }


#: Each fault has an id of its own.
_FAULT = re.compile("internal error [0-9a-f]+")
_counting: list[None] = []
#: A query is asked by both executors so often in one process: in as many of its first tests.
_OFTEN = 4
_SEEN: Counter[str] = Counter()


def _said(answer: dict[str, Any]) -> str:
    """Data and errors, in their order; what the caller has left to ask is another each time."""
    answer = {name: value for name, value in answer.items() if name != "extensions"}
    return _FAULT.sub("", json.dumps(answer))


@contextmanager
def by_the_book() -> Iterator[None]:
    """While inside, operations are executed by graphql-core's own executor, and by no plan."""
    name = "execute_collected_root_fields"
    kept = getattr(FastExecutor, name)
    setattr(FastExecutor, name, getattr(StrawberryGraphQLCoreExecutionContext, name))
    try:
        yield
    finally:
        setattr(FastExecutor, name, kept)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collects what this process sends to the database, each statement once for each sending."""
    sent: list[str] = []
    kept = {name: getattr(asyncpg.Connection, name) for name in _SENDING}

    def counting(name: str) -> Any:
        original = kept[name]

        async def call(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
            if not re.match(r"\s*(RESET|SELECT pg_advisory_unlock_all)", query):
                sent.append(query)
            return await original(self, query, *args, **kwargs)

        return call

    for name in _SENDING:
        setattr(asyncpg.Connection, name, counting(name))
    _counting.append(None)
    try:
        yield sent
    finally:
        _counting.pop()
        for name, original in kept.items():
            setattr(asyncpg.Connection, name, original)


_SENDING = ("execute", "executemany", "fetch", "fetchrow", "fetchval")
