"""Moving lots over HTTP: an admin's alone, previewed, done once, told afterwards."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.check import prove
from core.rulebook import Rulebook
from core.store.lot_moves import policy
from laurels import Policy
from tests.schema.client import Client, receipt
from tests.support import NOW

PREVIEW = """query($currency: String!, $fromVersion: Int) {
  previewLotMove(currency: $currency, fromVersion: $fromVersion) { members
    currency { code expires } moved { lots points } sooner { lots points } later { lots points }
    atOnce { lots points }
    examples { points expiresBefore expiresAfter lot { amount } member { id } } } }"""
MOVE = """mutation($input: MoveLotsInput!) { moveLots(input: $input) { __typename
  ... on LotsMoved { replayed move { id at doneAt fromVersion allowSooner members lots points sooner
    later expired caller currency { code } } }
  ... on Error { code message path } } }"""
MOVES = """query($after: String) { lotMoves(first: 1, after: $after) {
  edges { node { id points } } pageInfo { hasNextPage endCursor } } }"""
NODE = "query($id: ID!) { node(id: $id) { id } }"


async def changed(rulebook: Rulebook, code: str, expires: str) -> None:
    """The currency's policy is another one from now on."""
    (currency,) = [c for c in rulebook.currencies.values() if c.code == code]
    texts = currency.policy.texts()
    wanted = Policy.parse(texts[0], expires, *texts[2:])
    terms = await policy(currency.id, wanted, NOW)
    book = dict(rulebook.currencies)
    book[currency.id] = replace(currency, terms=terms)
    object.__setattr__(rulebook, "currencies", book)


async def test_a_move_is_previewed_done_and_told(api: Client, coalition: Rulebook) -> None:
    ada = await api.enrol("9012")
    await api.buy(
        "partner:grocer", "grocer",
        receipt("R1", "9012", "2026-11-22T11:00:00Z", ("PRODUCE", "10.00")),
    )  # fmt: skip
    none = await api.ask("admin:root", PREVIEW, currency="LAUREL")
    assert (none["members"], none["examples"]) == (0, [])
    await changed(coalition, "LAUREL", "24M")
    found = await api.ask("admin:root", PREVIEW, currency="LAUREL")
    points = found["moved"]["points"]
    assert (found["members"], found["moved"]["lots"]) == (1, 1)
    assert found["currency"] == {"code": "LAUREL", "expires": "24M"}
    assert found["later"] == found["moved"]
    assert found["sooner"] == found["atOnce"] == {"lots": 0, "points": 0}
    assert found["examples"] == [
        {"points": points, "expiresBefore": "2027-11-22T11:00:00Z",
         "expiresAfter": "2028-11-22T11:00:00Z", "lot": {"amount": points}, "member": {"id": ada}}
    ]  # fmt: skip
    other = await api.ask("admin:root", PREVIEW, currency="LAUREL", fromVersion=9)
    assert other["members"] == 0
    given = {"key": "1", "currency": "LAUREL"}
    done = await api.ask("admin:root", MOVE, input=given)
    made = done["move"]
    assert {k: v for k, v in made.items() if k != "id"} == {
        "at": "2026-11-22T12:00:00Z", "doneAt": "2026-11-22T12:00:00Z", "fromVersion": None,
        "allowSooner": False, "members": 1, "lots": 1, "points": points, "sooner": 0,
        "later": points, "expired": 0, "caller": "admin:root", "currency": {"code": "LAUREL"},
    }  # fmt: skip
    assert await api.ask("admin:root", MOVE, input=given) == {**done, "replayed": True}
    await api.ask("admin:root", MOVE, input={**given, "key": "2", "fromVersion": 1})
    first = await api.ask("admin:root", MOVES)
    assert first["edges"][0]["node"]["points"] == 0
    rest = await api.ask("admin:root", MOVES, after=first["pageInfo"]["endCursor"])
    assert rest["edges"][0]["node"] == {"id": made["id"], "points": points}
    assert not rest["pageInfo"]["hasNextPage"]
    assert await api.ask("admin:root", NODE, id=made["id"]) == {"id": made["id"]}
    assert await api.ask("partner:grocer", NODE, id=made["id"]) is None
    assert await prove() == []


async def test_refusals(api: Client, coalition: Rulebook) -> None:
    for change, code, path in (
        ({"currency": "NONE"}, "UNKNOWN_REFERENCE", ["currency"]),
        ({"key": ""}, "BAD_INPUT", ["key"]),
    ):
        given = {"key": "1", "currency": "LAUREL", **change}
        done = await api.ask("admin:root", MOVE, input=given)
        assert (done["code"], done["path"]) == (code, path)
    await api.ask("admin:root", MOVE, input={"key": "1", "currency": "LAUREL"})
    sooner = {"key": "1", "currency": "LAUREL", "allowSooner": True}
    assert (await api.ask("admin:root", MOVE, input=sooner))["code"] == "IDEMPOTENCY_CONFLICT"
    assert "errors" in await api.send("admin:root", PREVIEW, currency="NONE")
    assert "errors" in await api.send("admin:root", MOVES, after="bG90TW92ZTp4")


@pytest.mark.parametrize("who", [None, "partner:grocer", "member"])
async def test_it_is_for_admins_alone(api: Client, who: str | None) -> None:
    if who == "member":
        who = api.member(await api.enrol("9012"))
    assert "errors" in await api.send(who, PREVIEW, currency="LAUREL")
    assert "errors" in await api.send(who, MOVES)
    assert "errors" in await api.send(who, MOVE, input={"key": "1", "currency": "LAUREL"})
