"""What the tests of returns send, and how they read the answers. Holds no assertion."""

from __future__ import annotations

from typing import Any

from tests.schema.client import Client, receipt

AT = "2026-11-21T09:00:00Z"
LATER = "2026-11-22T09:00:00Z"
TILL = "partner:grocer"

_STANDS = """replayed bookedAt takenBack { currency { code } lost expired charged taken owed letGo }
    entries { id kind amount currency { code } explanation { text } }
    tierChanges { ladder { code } from { code } to { code } } member { id }
    purchase current { id revision cancelled returned { amount } }"""
_REST = """... on ReturnWaiting { id kind externalId purchase occurredAt since problem
    partner { code } } ... on Error { code message path }"""
RETURN = f"""mutation($input: RecordReturnsInput!) {{ recordReturns(input: $input) {{ results {{
  __typename ... on ReturnRecorded {{ externalId money {{ amount currency }} {_STANDS} }}
  {_REST} }} }} }}"""
CANCELS = f"""mutation($input: CancelPurchasesInput!) {{ cancelPurchases(input: $input) {{
  results {{ __typename ... on PurchaseCancelled {{ money {{ amount currency }} {_STANDS} }}
  {_REST} }} }} }}"""
EDITS = f"""mutation($input: EditPurchasesInput!) {{ editPurchases(input: $input) {{
  results {{ __typename ... on PurchaseEdited {{ revision total {{ amount currency }} {_STANDS} }}
  ... on Error {{ code message path }} }} }} }}"""
FULFILS = f"""mutation($input: FulfilPurchasesInput!) {{ fulfilPurchases(input: $input) {{
  results {{ __typename ... on PurchaseFulfilled {{ event {_STANDS} }}
  {_REST} }} }} }}"""
WAITING = """query($first: Int! = 20, $after: String, $partner: String) {
  waitingReturns(first: $first, after: $after, partner: $partner) {
    edges { node { id kind externalId purchase since problem partner { code } } }
    pageInfo { hasNextPage endCursor } } }"""
PURCHASE = """query($partner: String!, $id: String!) {
  purchase(partner: $partner, externalId: $id) { id externalId partner { code } member { id }
  occurredAt store revision cancelled
  total { amount currency } returned { amount currency }
  lines { number productType sku quantity amount { amount } returnedQuantity
    returnedAmount { amount } }
  awards { rule title currency { code } given earned }
  events { kind externalId at money { amount } lines { number quantity amount { amount } }
    revision event takenBack { currency { code } lost owed } entries { kind amount } }
  entries { kind amount currency { code } } } }"""


def item(
    external_id: str, purchase: str, at: str, *lines: dict[str, Any], amount: str | None = None
) -> dict[str, Any]:
    """A return as a till sends it."""
    given: dict[str, Any] = {"externalId": external_id, "purchase": purchase, "occurredAt": at}
    if lines:
        given["lines"] = list(lines)
    if amount is not None:
        given["amount"] = amount
    return given


def part(line: int, quantity: str | None = None, amount: str | None = None) -> dict[str, Any]:
    """Part of a line that comes back."""
    given = {"line": line, "quantity": quantity, "amount": amount}
    return {name: value for name, value in given.items() if value is not None}


async def bring(
    api: Client, who: str, partner: str, *returns: dict[str, Any]
) -> list[dict[str, Any]]:
    """The results of a batch of returns."""
    return await results(api, who, RETURN, partner=partner, returns=list(returns))


async def results(api: Client, who: str, operation: str, **given: Any) -> list[dict[str, Any]]:
    """The results of any batch."""
    done: list[dict[str, Any]] = (await api.ask(who, operation, input=given))["results"]
    return done


async def balances(api: Client, who: str) -> dict[str, dict[str, int]]:
    """A member's balances by currency, those that aren't all zero."""
    query = "{ me { ledgers { currency { code } balance { active pending reserved arrears } } } }"
    me = await api.ask(who, query)
    return {
        ledger["currency"]["code"]: {k: v for k, v in ledger["balance"].items() if v}
        for ledger in me["ledgers"]
        if any(ledger["balance"].values())
    }


async def texts(api: Client, who: str, currency: str) -> list[str]:
    """Why each entry of a member's ledger is there, oldest first."""
    query = """query($code: String!) { me { ledgers(currency: $code) { entries(first: 100) {
      edges { node { explanation { text } } } } } } }"""
    [ledger] = (await api.ask(who, query, code=currency))["ledgers"]
    found = [edge["node"]["explanation"]["text"] for edge in ledger["entries"]["edges"]]
    return found[::-1]


async def sold(api: Client, number: str = "R-1", card: str = "9012", at: str = AT) -> str:
    """A member who bought three pieces for 40.00 and one for 60.50."""
    who = api.member(await api.enrol(card))
    bought = receipt(number, card, at, ("PRODUCE", "40.00"), ("WINE", "60.50"))
    bought["lines"][0]["quantity"] = "3"
    await api.buy(TILL, "grocer", bought)
    return who


def cancel(purchase: str = "R-1", at: str = LATER) -> dict[str, Any]:
    """A cancel as a till sends it."""
    return {"purchase": purchase, "occurredAt": at}


def edit(revision: int, *amounts: str, purchase: str = "R-1", **other: Any) -> dict[str, Any]:
    """A revision as a till sends it, of a line for each amount."""
    lines = [{"productType": "PRODUCE", "amount": amount} for amount in amounts]
    given = {"purchase": purchase, "revision": revision, "occurredAt": LATER, "currency": "USD"}
    return {**given, "lines": lines, **other}
