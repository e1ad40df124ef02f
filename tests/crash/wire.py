"""GraphQL as a till speaks it: the operations, and what of an answer must never change.

An answer counts only if it came whole and says what became of the operation; everything else (a
dead connection, a 5xx, "internal error") leaves the client where it was: not knowing.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import orjson

from tests.crash.acknowledgements import Act, Answer

_REDEEMED = """__typename
  ... on RewardRedeemed { replayed redemption { id status codes points requestedAt holdUntil
    settledAt currency { code } reward { code } worth { amount currency } } }
  ... on Error { code message path }"""
ENROL = """mutation($input: EnrolMemberInput!) { answer: enrolMember(input: $input) {
  __typename ... on MemberEnrolled { memberId } ... on Error { code message path } } }"""
RECORD = """mutation($input: RecordPurchasesInput!) { answer: recordPurchases(input: $input) {
  results { __typename
    ... on PurchaseRecorded { externalId bookedAt replayed
      entries { id amount change currency { code } }
      tierChanges { ladder { code } from { code } to { code } at } }
    ... on Error { code message path } } } }"""
RETURN = """mutation($input: RecordReturnsInput!) { answer: recordReturns(input: $input) {
  results { __typename
    ... on ReturnRecorded { externalId bookedAt replayed
      entries { id amount change currency { code } }
      tierChanges { ladder { code } from { code } to { code } at } }
    ... on ReturnWaiting { since }
    ... on Error { code message path } } } }"""
TAKE = """mutation($input: RedeemRewardInput!) { answer: redeemReward(input: $input) {
  REDEEMED } }""".replace("REDEEMED", _REDEEMED)
CONFIRM = """mutation($input: SettleRedemptionInput!) { answer: confirmRedemption(input: $input) {
  REDEEMED } }""".replace("REDEEMED", _REDEEMED)
CANCEL = CONFIRM.replace("confirmRedemption", "cancelRedemption")
DOCUMENTS = {Act.REDEEM: TAKE, Act.HOLD: TAKE, Act.CONFIRM: CONFIRM, Act.CANCEL: CANCEL}


class NoAnswerError(Exception):
    """Nothing came that says what became of the operation."""


class Wire:
    """One client's connection, with its token."""

    def __init__(self, address: str, token: str) -> None:
        # trust_env: a proxy in the user's environment is for other hosts.
        self._http = httpx.AsyncClient(
            base_url=address,
            headers={"authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(15.0),
            trust_env=False,
        )

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()

    async def ask(self, document: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The one field's answer, whole. Raises NoAnswerError."""
        body = {"query": document, "variables": {"input": given}}
        try:
            response = await self._http.post("/graphql", json=body)
        except httpx.TransportError as error:
            raise NoAnswerError(repr(error)) from error
        try:
            told = response.json()
            answer: dict[str, Any] | None = told["data"]["answer"]
        except (ValueError, LookupError, TypeError) as error:
            raise NoAnswerError(f"{response.status_code} {response.text[:300]}") from error
        if response.status_code != 200 or told.get("errors") or answer is None:
            raise NoAnswerError(f"{response.status_code} {told.get('errors')}")
        return answer


def event_answer(told: Mapping[str, Any]) -> Answer:
    """What a till was told of a purchase or a return that stands in the books."""
    changes: Counter[str] = Counter()
    for entry in told["entries"]:
        changes[entry["currency"]["code"]] += int(entry["change"])
    return Answer(_text(told, "replayed"), tuple(sorted((c, n) for c, n in changes.items() if n)))


def redemption_answer(act: Act, told: Mapping[str, Any]) -> Answer:
    """What a till was told of a redemption. How a hold stands may change until it is settled."""
    found = told["redemption"]
    number = int(base64.b64decode(found["id"]).decode().rpartition(".")[2])
    text = _text(found, *(("status", "settledAt") if act is Act.HOLD else ()))
    return Answer(text, ((found["currency"]["code"], -int(found["points"])),), number)


def _text(told: Mapping[str, Any], *without: str) -> str:
    kept = {name: value for name, value in told.items() if name not in without}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()


def receipt(
    external_id: str, card: str, at: str, money: str, lines: Sequence[tuple[str, str]]
) -> Any:
    """A purchase as `recordPurchases` takes it."""
    return {
        "externalId": external_id,
        "member": {"card": card},
        "occurredAt": at,
        "currency": money,
        "lines": [{"productType": kind, "amount": amount} for kind, amount in lines],
    }
