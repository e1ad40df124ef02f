"""A member sees and takes along what is kept, and leaves: over HTTP, by the member's own token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.check import prove
from tests.core.shop import dump
from tests.schema.client import ENROL, REDEEM, Client, receipt
from tests.schema.roots import AT, HERO
from tests.schema.test_adjustments import ADJUST, asked
from tests.schema.test_passcodes import CARD

DATA = """mutation($member: MemberBy) { personalData(member: $member) { __typename
  ... on PersonalData { memberId at lines } ... on Error { code path } } }"""
ERASE = """mutation($input: EraseMemberInput!) { eraseMember(input: $input) { __typename
  ... on MemberErased { at replayed } ... on Error { code message path } } }"""
ADA = {"email": "ada@example.com", "phone": "+905551234", "card": "1", "name": "Ada Karaca",
       "birthday": "12-10"}  # fmt: skip
ME = "{ me { name ledgers { balance { active } } } }"
SURE = {"key": "e", "confirm": True}


async def _ada(api: Client) -> str:
    done = await api.ask("admin:root", ENROL, input=ADA)
    await api.buy("partner:grocer", "grocer", receipt("R", "1", AT, ("PRODUCE", "10.00")))
    given = asked(done["memberId"], 60, note="Ada rang")
    assert (await api.ask("admin:root", ADJUST, input=given))["__typename"] == "PointsAdjusted"
    return str(done["memberId"])


def _lines(done: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done["lines"].splitlines()]


async def test_a_member_takes_along_what_is_kept(api: Client) -> None:
    ada = await _ada(api)
    await api.enrol("2", "Bob")
    before = await dump()
    done = await api.ask(api.member(ada), DATA)
    assert await dump() == before
    at = "2026-11-22T12:00:00+00:00"
    about, *told, books = _lines(done)
    assert (about["kind"], about["member"], about["known"]) == ("about", ada, True)
    assert "keyed digests" in about["notTold"]
    assert "bulkExport" in about["books"]
    assert told == [
        {"kind": "member", "name": "Ada Karaca", "birthday": 1210, "claimed": True,
         "enrolled_at": at},
        {"kind": "identifier", "of": "EMAIL", "partner": "", "value": "ada@example.com"},
        {"kind": "identifier", "of": "PHONE", "partner": "", "value": "+905551234"},
        {"kind": "identifier", "of": "CARD", "partner": "", "value": "1"},
        {"kind": "adjustment-note", "note": "Ada rang"},
    ]  # fmt: skip
    # A purchase and an adjustment: two events; a ledger of the grocer's and one of the programme's.
    assert books == {"kind": "books", "event": 2, "decision": 2, "ledger": 2, "transfer": 3,
                     "redemption": 0, "relation": 1, "notice": 0}  # fmt: skip


async def test_support_is_told_too_and_that_is_recorded(api: Client) -> None:
    ada = await _ada(api)
    by_sam = await api.ask("admin:sam:support", DATA, member={"id": ada})
    by_ada = await api.ask(api.member(ada), DATA)
    assert by_sam == by_ada
    query = """{ auditRecords(action: "personalData") { edges { node {
        actor outcome asked members { id } } } } }"""
    [edge] = (await api.ask("admin:root", query))["edges"]
    assert edge["node"] == {"actor": "sam", "outcome": "PersonalData", "members": [{"id": ada}],
                            "asked": {"member": {"id": ada}}}  # fmt: skip
    for other in ("admin:fin:finance", "admin:al:auditor", "partner:grocer"):
        answer = await api.send(other, DATA, member={"id": ada})
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    bob = api.member(await api.enrol("2", "Bob"))
    assert (await api.ask(bob, DATA, member={"id": ada}))["code"] == "NOT_ALLOWED"


async def test_who_erases_itself_is_nobody_from_then_on(api: Client) -> None:
    ada = await _ada(api)
    who = api.member(ada)
    assert (await api.ask(who, ME))["name"] == "Ada Karaca"
    before = await dump()
    unsure = await api.ask(who, ERASE, input={"key": "e", "confirm": False})
    assert (unsure["code"], unsure["path"]) == ("BAD_INPUT", ["confirm"])
    assert await dump() == before
    done = await api.ask(who, ERASE, input=SURE)
    assert done == {"__typename": "MemberErased", "at": "2026-11-22T12:00:00Z", "replayed": False}
    stands = await dump()
    # The token is as good as none: it reads nothing, changes nothing, and may only be told again.
    assert await api.ask(who, ME) is None
    nodes = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert await api.ask(who, nodes, ids=[ada]) == [None]
    birthday = 'mutation { setBirthday(birthday: "01-01") { __typename } }'
    code = "mutation { createReferralCode { __typename } }"
    for query in (REDEEM, DATA, CARD, birthday, code):
        answer = await api.send(who, query, **({"input": HERO} if query is REDEEM else {}))
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN", query
    api.clock.tick(hours=1)
    assert await api.ask(who, ERASE, input=SURE) == {**done, "replayed": True}
    assert await dump() == stands
    # Nobody else finds her either, and what she was is somebody new.
    assert await api.ask("admin:root", '{ member(by: {card: "1"}) { id } }') is None
    found = "query($id: ID!) { node(id: $id) { ... on Member { name } } }"
    assert await api.ask("admin:root", found, id=ada) is None
    [outcome] = await api.buy(
        "partner:grocer", "grocer", receipt("R2", "1", AT, ("PRODUCE", "10.00"))
    )
    assert outcome["code"] == "UNKNOWN_REFERENCE"
    again = await api.ask("admin:root", ENROL, input=ADA)
    assert again["created"]
    assert again["memberId"] != ada
    assert await prove() == []


async def test_the_books_are_read_on_without_her(api: Client) -> None:
    """What leads to a member leads to none, and nothing fails for it."""
    ada = await _ada(api)
    done = await api.ask(
        "admin:boss:manager", ERASE, input={**SURE, "member": {"id": ada}, "reason": "gdpr"}
    )
    assert done["__typename"] == "MemberErased"
    purchase = '{ purchase(partner: "grocer", externalId: "R") { externalId member { name } } }'
    assert await api.ask("admin:root", purchase) == {"externalId": "R", "member": None}
    adjusted = await api.ask(
        "admin:root", "{ adjustments { edges { node { points note caller member { name } "
        "reason { code } } } totals { reason { code } added taken } } }",
    )  # fmt: skip
    nodes = [edge["node"] for edge in adjusted["edges"]]
    given = {"points": 60, "note": None, "caller": "admin:root", "member": None}
    # One laurel of the purchase and 60 by hand; 30 of the grocer's own.
    lapsed = {**given, "caller": "programme:erased", "reason": {"code": "erased"}}
    assert sorted((n["points"], n["reason"]["code"]) for n in nodes)[:2] == [
        (-61, "erased"), (-30, "erased"),
    ]  # fmt: skip
    assert {**lapsed, "points": -61} in nodes
    assert given.items() <= next(n for n in nodes if n["points"] > 0).items()
    acts = "{ auditRecords { edges { node { action reason asked members { id } } } } }"
    [record, *_] = [edge["node"] for edge in (await api.ask("admin:root", acts))["edges"]]
    assert (record["action"], record["reason"], record["members"]) == ("eraseMember", "gdpr", [])
    assert await prove() == []


@pytest.mark.parametrize("who", ["admin:sam:support", "admin:fin:finance", "partner:grocer", None])
async def test_who_may_not_erase_changes_nothing(api: Client, who: str | None) -> None:
    ada = await _ada(api)
    before = await dump()
    answer = await api.send(who, ERASE, input={**SURE, "member": {"id": ada}})
    assert answer["errors"][0]["extensions"]["code"] in ("FORBIDDEN", "UNAUTHENTICATED")
    assert await dump() == before


async def test_a_member_erases_nobody_else(api: Client) -> None:
    ada, bob = await _ada(api), await api.enrol("2", "Bob")
    before = await dump()
    done = await api.ask(api.member(bob), ERASE, input={**SURE, "member": {"id": ada}})
    assert (done["code"], done["path"]) == ("NOT_ALLOWED", ["member"])
    assert await dump() == before
