"""Who may call what: every root field for every role, and whom each role may read.

A refusal changes nothing: the books are the same row for row after the whole table.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from graphql import build_schema

from app.tokens import issue
from core.db import reading
from tests.schema.client import (
    CANCEL,
    CONFIRM,
    ENROL,
    REDEEM,
    SECRET,
    Client,
    receipt,
)
from tests.schema.roots import HERO, PURCHASE, TABLE
from tests.schema.roots_engaged import AT

SDL = Path(__file__).parents[2] / "schema" / "schema.graphql"
_TABLES = [
    "event",
    "decision",
    "transfer",
    "lot",
    "allocation",
    "member",
    "identifier",
    "redemption",
    "request_key",
    "waiting",
    "webhook_endpoint",
    "webhook_delivery",
]


async def _books() -> dict[str, list[tuple[Any, ...]]]:
    async with reading() as connection:
        return {
            table: sorted(map(tuple, await connection.fetch(f"SELECT * FROM {table}")), key=repr)
            for table in _TABLES
        }


def test_the_table_names_every_root_field() -> None:
    """A new root field must say here who may call it."""
    schema = build_schema(SDL.read_text())
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    assert set(TABLE) == {*schema.query_type.fields, *schema.mutation_type.fields}


async def test_every_role_at_every_root_field(api: Client) -> None:
    """Allowed is reached, refused is told so; and after all refusals the books are as before."""
    member = await api.enrol("1")
    await api.buy("admin:root", "grocer", receipt("R", "1", AT, ("PRODUCE", "9.00")))
    callers = {
        "anonymous": None,
        "member": api.member(member),
        "partner": "partner:grocer",
        "admin": "admin:root",
        "gone": "partner:nobody",
    }
    before = await _books()
    for field, (query, variables, allowed) in TABLE.items():
        for role, who in callers.items():
            if role in allowed:
                continue
            answer = await api.send(who, query, **variables)
            [error] = answer["errors"]
            wanted = "UNAUTHENTICATED" if role == "anonymous" else "FORBIDDEN"
            assert error["extensions"]["code"] == wanted, (field, role)
            assert not answer["data"] or answer["data"][field] is None, (field, role)
    assert await _books() == before
    for field, (query, variables, allowed) in TABLE.items():
        for role in allowed:
            answer = await api.send(callers[role], query, **variables)
            assert "errors" not in answer, (field, role, answer)


async def test_a_member_sees_itself_and_nobody_else(api: Client) -> None:
    """By every way there is to name another member or another member's things."""
    ada, bob = await api.enrol("1"), await api.enrol("2")
    await api.buy("admin:root", "grocer", receipt("R", "2", AT, ("PRODUCE", "200.00")))
    bobs = (await api.ask(api.member(bob), _ALL))["ledgers"]
    held = await api.ask(api.member(bob), REDEEM, input={**HERO, "hold": "1D"})
    things = [bob, held["redemption"]["id"]]
    for ledger in bobs:
        things += [ledger["id"], *_ids(ledger["entries"]), *_ids(ledger["lots"])]
    assert len(things) == 8
    for thing in things:
        for who, found in ((api.member(bob), True), (api.member(ada), False), ("admin:root", True)):
            node = await api.ask(who, "query($id: ID!) { node(id: $id) { id } }", id=thing)
            assert (node == {"id": thing}) is found, (who, base64.b64decode(thing))
    for by in ({"card": "2"}, {"id": bob}):
        query = "query($by: MemberBy!) { member(by: $by) { name } }"
        assert await api.ask(api.member(ada), query, by=by) is None
    stolen = {**HERO, "key": "x", "member": {"card": "2"}}
    assert (await api.ask(api.member(ada), REDEEM, input=stolen))["code"] == "NOT_ALLOWED"
    settle = {"key": "y", "redemption": held["redemption"]["id"]}
    assert (await api.ask(api.member(ada), CANCEL, input=settle))["code"] == "UNKNOWN_REFERENCE"


_ALL = (
    """{ me { ledgers { id entries { edges { node { id } } } lots { edges { node { id } } } } } }"""
)


def _ids(connection: dict[str, Any]) -> list[str]:
    return [edge["node"]["id"] for edge in connection["edges"]]


async def test_a_partner_acts_for_itself_and_reads_those_it_has_dealt_with(api: Client) -> None:
    """Not for another partner, and not the ledgers and doings that are another's."""
    ada = await api.enrol("1")
    await api.enrol("2", "Bob")
    for_another = await api.buy("partner:cafe", "grocer", receipt("R", "1", AT, ("BREAD", "1.00")))
    assert [r["code"] for r in for_another] == ["NOT_ALLOWED"]
    redeemed = await api.ask("partner:cafe", REDEEM, input={**HERO, "member": {"card": "1"}})
    assert (redeemed["code"], redeemed["path"]) == ("NOT_ALLOWED", ["partner"])
    query = "{ members { edges { node { name } } } }"
    assert await api.ask("partner:grocer", query) == {"edges": []}
    by_card = 'query { member(by: {card: "1"}) { name } }'
    assert await api.ask("partner:grocer", by_card) is None
    await api.buy("partner:grocer", "grocer", receipt("R", "1", AT, ("PRODUCE", "200.00")))
    await api.buy("partner:cafe", "cafe", receipt("R", "1", AT, ("COFFEE", "4.00"), currency="EUR"))
    assert _names(await api.ask("partner:grocer", query)) == ["Ada"]
    other = await api.send("partner:grocer", '{ members(partner: "cafe") { edges { cursor } } }')
    assert other["errors"][0]["extensions"]["reason"] == "NOT_ALLOWED"
    assert _names(
        await api.ask("admin:root", '{ members(partner: "cafe") { edges { node { name } } } }')
    ) == ["Ada"]
    assert _names(await api.ask("admin:root", query)) == ["Ada", "Bob"]
    reading = """{ member(by: {card: "1"}) { identifiers { value } tiers { ladder { code } }
      ledgers { currency { code } entries { edges { node { partner { code }
      explanation { text } } } } } } }"""
    seen = await api.ask("partner:outfitter", reading)
    assert seen is None
    seen = await api.ask("partner:grocer", reading)
    assert seen["identifiers"] == []
    assert {x["currency"]["code"] for x in seen["ledgers"]} == {"BASKET", "LAUREL"}
    assert [t["ladder"]["code"] for t in seen["tiers"]] == ["grocer"]
    held = (await api.ask(api.member(ada), REDEEM, input={**HERO, "hold": "1D"}))["redemption"]
    by_code = """query($code: String!, $partner: String!) {
      redemptionByCode(partner: $partner, code: $code) { id } }"""
    [code] = held["codes"]
    assert await api.ask("partner:cafe", by_code, partner="cafe", code=code) is None
    mine = await api.ask("partner:grocer", by_code, partner="grocer", code=code)
    for who, known in (("partner:cafe", held), ("partner:cafe", mine), ("partner:grocer", held)):
        settle = {"key": "s", "redemption": known["id"]}
        assert (await api.ask(who, CONFIRM, input=settle))["code"] == "UNKNOWN_REFERENCE", who
    settle = {"key": "s", "redemption": mine["id"]}
    assert (await api.ask("partner:grocer", CONFIRM, input=settle))["redemption"]["ledger"]


def _names(connection: dict[str, Any]) -> list[str]:
    return [edge["node"]["name"] for edge in connection["edges"]]


async def test_a_partner_is_not_told_of_anothers_receipts(api: Client) -> None:
    """The outfitter takes laurels, so it sees that ledger; but not what was bought for them."""
    await api.enrol("1")
    await api.buy("partner:grocer", "grocer", receipt("R", "1", AT, ("WINE", "400.00")))
    order = {"key": "k", "partner": "outfitter", "reward": "tote", "currency": "LAUREL"}
    await api.ask("partner:outfitter", REDEEM, input={**order, "member": {"card": "1"}})
    seen = await api.ask(
        "partner:outfitter",
        """{ member(by: {card: "1"}) { ledgers { entries { edges { node { kind
        explanation { text } } } } } redemptions { edges { node {
        reward { code } } } } } }""",
    )
    [laurels] = seen["ledgers"]
    told = {e["node"]["kind"]: e["node"]["explanation"] for e in laurels["entries"]["edges"]}
    assert told["ACCRUAL"] is None
    assert told["REDEMPTION"]["text"].startswith("40 ")


async def test_one_partners_reference_is_not_anothers(api: Client) -> None:
    """The same text means another member at another partner."""
    for partner in ("grocer", "cafe"):
        done = await api.ask(f"partner:{partner}", ENROL, input={"reference": "C-1"})
        assert done["created"]
    bought = {**PURCHASE, "member": {"reference": "C-1"}}
    [recorded] = await api.buy("partner:grocer", "grocer", bought)
    assert recorded["__typename"] == "PurchaseRecorded"
    own = '{ member(by: {reference: "C-1"}) { id } }'
    assert await api.ask("partner:grocer", own)
    assert await api.ask("partner:cafe", '{ member(by: {reference: "C-1"}) { id } }') is None
    scoped = '{ member(by: {reference: "C-1"}, partner: "%s") { id } }'
    [grocers, cafes] = [await api.ask("admin:root", scoped % p) for p in ("grocer", "cafe")]
    assert grocers
    assert cafes
    assert grocers != cafes
    unscoped = await api.send("admin:root", '{ member(by: {reference: "C-1"}) { id } }')
    assert unscoped["errors"][0]["extensions"]["field"] == ["member", "reference"]


async def test_enrolling_somebody_known_shows_a_partner_nothing(api: Client) -> None:
    """Knowing a card number is no key to its owner's name."""
    member = await api.enrol("1")
    done = await api.ask("partner:cafe", ENROL, input={"card": "1", "name": "Eve"})
    assert done.pop("memberId") != member  # its own name for the member, see test_ids
    assert done == {"__typename": "MemberEnrolled", "created": False, "member": None}


async def test_a_key_belongs_to_its_caller(api: Client) -> None:
    """Two members may use the same key; neither gets the other's redemption."""
    done = []
    for card in ("1", "2"):
        who = api.member(await api.enrol(card))
        await api.buy("admin:root", "grocer", receipt(card, card, AT, ("PRODUCE", "200.00")))
        done.append(await api.ask(who, REDEEM, input=HERO))
    assert [d["replayed"] for d in done] == [False, False]


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Bearer nonsense", "malformed, forged or expired"),
        ("Bearer a.b.c", "malformed, forged or expired"),
        ("Bearer ", "malformed, forged or expired"),
        ("Basic YTpi", "'Bearer'"),
        ("{forged}", "malformed, forged or expired"),
        ("{expired}", "malformed, forged or expired"),
        ("{person}", "names a member"),
    ],
)
async def test_a_bad_token_is_refused(api: Client, header: str, reason: str) -> None:
    """With 401, whatever is asked; never served as anonymous."""
    hour = timedelta(hours=1)
    now = api.clock()
    made = {
        "forged": issue("another secret, as long as the first one", "admin", "root", hour, now),
        "expired": issue(SECRET, "admin", "root", hour, now - hour),
        "person": issue(SECRET, "member", "Ada", hour, now),
    }
    sent = f"Bearer {made[header[1:-1]]}" if header.startswith("{") else header
    response = await api.http.post(
        "/graphql", json={"query": "{ __typename }"}, headers={"authorization": sent}
    )
    assert response.status_code == 401
    challenge = response.headers["www-authenticate"]
    assert challenge == 'Bearer realm="laurels", error="invalid_token"'
    assert response.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert reason in response.json()["errors"][0]["message"]
