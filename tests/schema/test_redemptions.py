"""Redemption over HTTP: pieces, money beside points, codes, orders, reversals; who may do which."""

from __future__ import annotations

from typing import Any

import pytest

from core.check import prove
from tests.core.shop import dump
from tests.schema.client import CONFIRM, Client, receipt, statements

AT = "2026-03-15T11:00:00Z"
_WHOLE = """id status codes quantity points worth { amount currency } cash { amount currency }
    order settledAt reversedAt reason writtenOff reversibleUntil rule"""
REDEEM = f"""mutation($input: RedeemRewardInput!) {{ redeemReward(input: $input) {{ __typename
  ... on RewardRedeemed {{ replayed redemption {{ {_WHOLE} }} }}
  ... on Error {{ code message path }} }} }}"""
REVERSE = f"""mutation($input: ReverseRedemptionInput!) {{ reverseRedemption(input: $input) {{
  __typename ... on RewardRedeemed {{ replayed redemption {{ {_WHOLE} }} }}
  ... on Error {{ code message path }} }} }}"""
PAY = """mutation($input: PayWithPointsInput!) { payWithPoints(input: $input) { __typename
  ... on RewardRedeemed { redemption { order points worth { amount } reversibleUntil codes } }
  ... on Error { code path } } }"""
IMPORT = """mutation($input: ImportRewardCodesInput!) { importRewardCodes(input: $input) {
  __typename ... on RewardCodesImported { added known refused { line message } }
  ... on Error { code message path } } }"""
BY_CODE = """query($partner: String!, $code: String!) {
  redemptionByCode(partner: $partner, code: $code) { status codes member { name } } }"""
REWARD = """query { rewards(partner: "grocer", first: 100) { edges { node {
  code left codes reversible cash { amount currency } eligibility { can reasons } } } } }"""
ENTRIES = """{ me { ledgers(currency: "STAR") { balance { active }
  entries { edges { node { kind amount explanation { text } } } } } } }"""


async def rich(api: Client, card: str = "1") -> str:
    """A member with 350 stars."""
    who = api.member(await api.enrol(card))
    await api.buy("admin:root", "grocer", receipt(f"P{card}", card, AT, ("X", "350.00")))
    return who


async def take(api: Client, who: str, reward: str, **how: Any) -> dict[str, Any]:
    """What a redemption of this reward came to."""
    order = {"key": reward, "partner": "grocer", "reward": reward, **how}
    done: dict[str, Any] = await api.ask(who, REDEEM, input=order)
    return done


def back(done: dict[str, Any], **how: Any) -> dict[str, Any]:
    """The input that takes it back."""
    return {"key": "r", "redemption": done["redemption"]["id"], "reason": "damaged", **how}


async def offers(api: Client, who: str) -> dict[str, dict[str, Any]]:
    """The grocer's rewards by code."""
    found = await api.ask(who, REWARD)
    return {edge["node"]["code"]: edge["node"] for edge in found["edges"]}


async def test_pieces_with_money_beside_their_points(counter: Client) -> None:
    who = await rich(counter)
    done = (await take(counter, who, "mug", quantity=2, order="O-1"))["redemption"]
    codes = done.pop("codes")
    assert len(set(codes)) == 2
    del done["id"]
    assert done == {
        "status": "COMPLETED", "quantity": 2, "points": 20, "worth": None,
        "cash": {"amount": "5.00", "currency": "USD"}, "order": "O-1",
        "settledAt": "2026-03-15T12:00:00Z", "reversedAt": None, "reason": None,
        "writtenOff": False, "reversibleUntil": "2026-04-14T12:00:00Z", "rule": None,
    }  # fmt: skip
    mug = (await offers(counter, who))["mug"]
    assert (mug["left"], mug["cash"]) == (3, {"amount": "2.50", "currency": "USD"})
    assert (mug["codes"], mug["reversible"]) == ("GENERATED", "30D")


@pytest.mark.parametrize(
    ("how", "kind", "path"),
    [
        ({"quantity": 0}, "BadInputError", ["quantity"]),
        ({"quantity": 101}, "BadInputError", ["quantity"]),
        ({"quantity": 6}, "NotEligibleError", ["reward"]),
        ({"order": ""}, "BadInputError", ["order"]),
        ({"order": "x" * 201}, "BadInputError", ["order"]),
    ],
)
async def test_what_is_refused_names_its_field(
    counter: Client, how: dict[str, Any], kind: str, path: list[str]
) -> None:
    who = await rich(counter)
    done = await take(counter, who, "mug", **how)
    assert (done["__typename"], done["path"]) == (kind, path)


async def test_its_partner_takes_it_back_and_the_member_reads_why(counter: Client) -> None:
    who = await rich(counter)
    done = await take(counter, who, "mug")
    done["redemption"]["id"] = counter.told("partner:grocer", done["redemption"]["id"])
    counter.clock.tick(days=1)
    gone = await counter.ask("partner:grocer", REVERSE, input=back(done, writeOff=True))
    found = gone["redemption"]
    assert (found["status"], found["reason"], found["writtenOff"]) == ("REVERSED", "damaged", True)
    assert found["reversedAt"] == "2026-03-16T12:00:00Z"
    assert found["codes"] == done["redemption"]["codes"]
    again = await counter.ask("partner:grocer", REVERSE, input=back(done, writeOff=True))
    assert (again["replayed"], again["redemption"]) == (True, found)
    [stars] = (await counter.ask(who, ENTRIES))["ledgers"]
    assert stars["balance"]["active"] == 350
    newest = stars["entries"]["edges"][0]["node"]
    assert (newest["kind"], newest["amount"]) == ("REVERSAL", 10)
    told = "10 Stars given back: the redemption of 'A mug' was reversed (damaged)."
    assert newest["explanation"]["text"] == told
    assert await prove() == []


def _told(counter: Client, partner: str, done: dict[str, Any]) -> dict[str, Any]:
    """A redemption as this partner is told of it."""
    return {"redemption": {"id": counter.told(f"partner:{partner}", done["redemption"]["id"])}}


async def test_who_may_take_what_back(counter: Client) -> None:
    """Its member not at all, another partner no more than what isn't there, an admin beyond."""
    who = await rich(counter)
    done, final = await take(counter, who, "mug"), await take(counter, who, "vase")
    assert (final["redemption"]["reversibleUntil"], final["redemption"]["status"]) == (
        None,
        "COMPLETED",
    )
    grocers, grocers_final = _told(counter, "grocer", done), _told(counter, "grocer", final)
    rivals = _told(counter, "rival", done)
    before = await dump()
    [error] = (await counter.send(who, REVERSE, input=back(done)))["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    for caller, given, kind, path in (
        ("partner:rival", back(grocers), "UnknownReferenceError", ["redemption"]),
        ("partner:rival", back(rivals), "UnknownReferenceError", ["redemption"]),
        ("partner:grocer", back(grocers_final), "NotAllowedError", ["redemption"]),
        ("partner:grocer", back(grocers, reason="no code"), "BadInputError", ["reason"]),
        ("partner:grocer", back(grocers, key=""), "BadInputError", ["key"]),
        ("partner:grocer", back(done, redemption="x"), "BadInputError", ["redemption"]),
    ):
        refused = await counter.ask(caller, REVERSE, input=given)
        assert (refused["__typename"], refused["path"]) == (kind, path)
    assert await dump() == before
    gone = await counter.ask("admin:root", REVERSE, input=back(final))
    assert gone["redemption"]["status"] == "REVERSED"
    late = await counter.ask("admin:root", REVERSE, input=back(final, key="r2"))
    assert late["__typename"] == "WrongStateError"
    other = await counter.ask("admin:root", REVERSE, input=back(final, reason="lost"))
    assert other["__typename"] == "IdempotencyConflictError"


async def test_a_payment_names_its_order_and_its_terms(counter: Client) -> None:
    await rich(counter)
    bill = {
        "key": "p", "partner": "grocer", "rule": "pay-with-points", "member": {"card": "1"},
        "total": "20.00", "currency": "USD", "points": 200, "order": "O-1",
    }  # fmt: skip
    paid = (await counter.ask("partner:grocer", PAY, input=bill))["redemption"]
    assert (paid["order"], paid["points"], len(paid["codes"])) == ("O-1", 200, 1)
    assert paid["reversibleUntil"] == "2026-03-16T12:00:00Z"
    bad = await counter.ask("partner:grocer", PAY, input={**bill, "key": "q", "order": ""})
    assert (bad["code"], bad["path"]) == ("BAD_INPUT", ["order"])


async def test_codes_are_imported_handed_out_and_looked_up(counter: Client) -> None:
    who = await rich(counter)
    tickets = {"partner": "grocer", "reward": "cinema", "codes": ["A", "B", "\x07"]}
    offer = (await offers(counter, who))["cinema"]
    assert (offer["left"], offer["codes"]) == (0, "POOL")
    assert offer["eligibility"] == {"can": False, "reasons": ["out of stock"]}
    done = await counter.ask("partner:grocer", IMPORT, input=tickets)
    assert (done["added"], done["known"]) == (2, 0)
    assert done["refused"] == [
        {"line": 3, "message": "a code holds a character that can't be read"}
    ]
    offer = (await offers(counter, who))["cinema"]
    assert (offer["left"], offer["eligibility"]["can"]) == (2, True)

    held = await take(counter, who, "cinema", hold="1D")
    assert held["redemption"]["codes"] == []
    ask = {"partner": "grocer", "code": " A "}
    assert await counter.ask("partner:grocer", BY_CODE, **ask) is None
    held = _told(counter, "grocer", held)
    settle = {"key": "c", "redemption": held["redemption"]["id"]}
    await counter.ask("partner:grocer", CONFIRM, input=settle)
    found = await counter.ask("partner:grocer", BY_CODE, **ask)
    assert found == {"status": "COMPLETED", "codes": ["A"], "member": {"name": "Ada"}}
    assert await counter.ask("partner:rival", BY_CODE, partner="rival", code="A") is None
    await counter.ask("partner:grocer", REVERSE, input=back(held))
    found = await counter.ask("admin:root", BY_CODE, **ask)
    assert (found["status"], found["codes"]) == ("REVERSED", ["A"])
    assert (await offers(counter, who))["cinema"]["left"] == 1
    assert await prove() == []


async def test_codes_are_their_partners_business(counter: Client) -> None:
    who = await rich(counter)
    (code,) = (await take(counter, who, "mug"))["redemption"]["codes"]
    tickets = {"partner": "grocer", "reward": "cinema", "codes": ["A"]}
    for caller, change, kind, path in (
        ("partner:rival", {}, "NotAllowedError", ["partner"]),
        ("partner:grocer", {"partner": "nobody"}, "UnknownReferenceError", ["partner"]),
        ("partner:grocer", {"reward": "nothing"}, "UnknownReferenceError", ["reward"]),
        ("partner:grocer", {"reward": "mug"}, "BadInputError", ["reward"]),
        ("admin:root", {"codes": ["x"] * 10_001}, "BadInputError", ["codes"]),
    ):
        refused = await counter.ask(caller, IMPORT, input={**tickets, **change})
        assert (refused["__typename"], refused["path"]) == (kind, path)
    for caller in ("partner:rival", who):
        answer = await counter.send(caller, BY_CODE, partner="grocer", code=code)
        assert answer["errors"], caller
        assert answer["data"] is None or answer["data"]["redemptionByCode"] is None


async def test_a_page_of_redemptions_costs_the_same_however_long(counter: Client) -> None:
    """Codes come with them, not one statement for each."""
    who = await rich(counter)
    for n in range(6):
        await take(counter, who, "card", key=str(n), quantity=1)
    counts = []
    for n in (1, 2, 6):
        with statements() as sent:
            found = await counter.ask(
                who,
                "query($n: Int!) { me { redemptions(first: $n) { edges { node { codes } } } } }",
                n=n,
            )
        counts.append(len(sent))
        assert [len(e["node"]["codes"]) for e in found["redemptions"]["edges"]] == [1] * n
    assert counts == [counts[0]] * 3
