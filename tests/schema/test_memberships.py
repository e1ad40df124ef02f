"""Memberships over HTTP: who may do what to whom, who is told what, and what is refused by name."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from core.check import prove
from schema.build import build_schema
from schema.context import Context, Viewer
from tests.schema.client import Client, receipt
from tests.schema.returning import CANCELS
from tests.stories.test_marketplace import CANCEL, JOIN, PLAN, RENEW, RESUME, SHOP, USE, paid

PLANS = """query($partner: String) { membershipPlans(partner: $partner) { code title trial grace
  partner { code } fees { code per money { amount } points { amount currency { code } } }
  perks { code worth { amount } } tier { ladder { code } tier { code } } } }"""
SEEN = """query($id: ID!) { node(id: $id) { ... on Member { plans { code state
  terms { edges { node { id payment } } } saved { perks { times } money { amount } } }
  perks { perk { code } } } } }"""
SAVED = """query($year: Int, $from: DateTime, $until: DateTime) { me { plans {
  saved(year: $year, from: $from, until: $until) { from until } } } }"""
TERMS = """query($first: Int! = 20, $after: String) { me { plans { terms(first: $first,
  after: $after) { edges { cursor node { number } } pageInfo { hasNextPage endCursor } } } } }"""
NODE = "query($id: ID!) { node(id: $id) { ... on MembershipTerm { number payment } } }"
YEAR = {**PLAN, "member": {"card": "9012"}, "fee": "yearly", "paid": paid("129.00", "ch_1")}


async def test_anybody_with_a_token_reads_the_plans(api: Client) -> None:
    ada = api.member(await api.enrol("9012"))
    for who in (ada, "partner:grocer", "admin:root:auditor"):
        [plan] = await api.ask(who, PLANS)
    assert (plan["code"], plan["trial"], plan["grace"]) == ("plus", "30D", "7D")
    assert plan["tier"] == {"ladder": {"code": "marketplace"}, "tier": {"code": "plus"}}
    assert [fee["per"] for fee in plan["fees"]] == ["1M", "1Y", "1M", "1M"]
    assert plan["fees"][3] == {
        "code": "monthly-half", "per": "1M", "money": {"amount": "6.49"},
        "points": {"amount": 650, "currency": {"code": "COIN"}},
    }  # fmt: skip
    assert plan["perks"][2] == {"code": "early", "worth": None}
    assert await api.ask(ada, PLANS, partner="grocer") == []
    assert await api.ask(ada, PLANS, partner="marketplace") == [plan]


async def test_a_partner_acts_for_itself_and_a_member_for_itself(api: Client) -> None:
    ada = await api.enrol("9012")
    bob = await api.enrol("9013")
    me = api.member(ada)
    cases: list[tuple[str, str, dict[str, Any], str, list[str]]] = [
        ("partner:grocer", JOIN, YEAR, "NOT_ALLOWED", ["partner"]),
        ("partner:grocer", CANCEL, {**PLAN, "member": {"card": "1"}}, "NOT_ALLOWED", ["partner"]),
        (me, JOIN, {**PLAN, "member": {"id": bob}}, "NOT_ALLOWED", ["member"]),
        (me, CANCEL, {**PLAN, "member": {"card": "9013"}}, "NOT_ALLOWED", ["member"]),
        (me, JOIN, {**PLAN, "fee": "yearly"}, "NOT_ALLOWED", ["fee"]),
        (me, JOIN, {**PLAN, "paid": paid("129.00", "x")}, "NOT_ALLOWED", ["fee"]),
        (me, JOIN, {**PLAN, "fee": "monthly-coins"}, "NOT_ELIGIBLE", ["fee"]),
        (me, JOIN, {**PLAN, "plan": "none"}, "UNKNOWN_REFERENCE", ["plan"]),
        (me, JOIN, {**PLAN, "partner": "none"}, "UNKNOWN_REFERENCE", ["partner"]),
        (me, JOIN, {**PLAN, "renews": "none"}, "UNKNOWN_REFERENCE", ["renews"]),
        (me, RESUME, PLAN, "WRONG_STATE", ["plan"]),
        (SHOP, JOIN, PLAN, "BAD_INPUT", ["member"]),
        (SHOP, JOIN, {**YEAR, "member": {"card": "none"}}, "UNKNOWN_REFERENCE", ["member"]),
        (SHOP, JOIN, {**YEAR, "paid": paid("129.001", "x")}, "BAD_INPUT", ["paid", "amount"]),
        (SHOP, RENEW, YEAR, "WRONG_STATE", ["plan"]),
    ]  # fmt: skip
    for who, query, given, code, path in cases:
        done = await api.ask(who, query, input={"key": "k", **given})
        assert (done.get("code"), done.get("path")) == (code, path), (who, given, done)
    # By an id alone a partner can't reach a member that it never dealt with.
    stranger = {**YEAR, "key": "k", "member": {"id": api.told(SHOP, ada)}}
    assert (await api.ask(SHOP, JOIN, input=stranger))["code"] == "UNKNOWN_REFERENCE"
    assert "errors" in await api.send(None, JOIN, input={"key": "k", **PLAN})
    assert "errors" in await api.send("admin:root:auditor", JOIN, input={"key": "k", **YEAR})
    assert "errors" in await api.send(me, USE, input={
        "partner": "marketplace", "member": {"card": "9012"}, "perk": "delivery",
        "externalId": "O"})  # fmt: skip
    done = await api.ask("admin:root:support", JOIN, input={"key": "k", **YEAR})
    assert done["__typename"] == "MembershipChanged"
    assert await prove() == []


async def test_others_are_told_nothing(api: Client) -> None:
    ada = await api.enrol("9012")
    bought = receipt("R1", "9012", "2026-11-22T11:00:00Z", ("PRODUCE", "10.00"))
    await api.buy("partner:grocer", "grocer", bought)
    assert (await api.ask(SHOP, JOIN, input={"key": "k", **YEAR}))["__typename"]
    nothing: dict[str, Any] = {"plans": [], "perks": []}
    assert await api.ask("partner:grocer", SEEN, id=api.told("partner:grocer", ada)) == nothing
    own = await api.ask(SHOP, SEEN, id=api.told(SHOP, ada))
    [edge] = own["plans"][0]["terms"]["edges"]
    assert edge["node"]["payment"] == "ch_1"
    assert len(own["perks"]) == 3
    # What the payment is called is no affair of the member's.
    [seen] = (await api.ask(api.member(ada), SEEN, id=ada))["plans"]
    [theirs] = seen["terms"]["edges"]
    assert theirs["node"]["payment"] is None
    # A term by its id: to whom the membership is told.
    term = theirs["node"]["id"]
    assert await api.ask("admin:root", NODE, id=term) == {"number": 1, "payment": "ch_1"}
    assert await api.ask(SHOP, NODE, id=edge["node"]["id"]) == {"number": 1, "payment": "ch_1"}
    assert await api.ask(api.member(ada), NODE, id=term) == {"number": 1, "payment": None}
    assert await api.ask(api.member(await api.enrol("9013")), NODE, id=term) is None
    assert await api.ask("partner:grocer", NODE, id=api.told("partner:grocer", term)) is None
    for key in ("x", "1", "1.2.3", "9.9"):
        odd = base64.b64encode(f"MembershipTerm:{key}".encode()).decode()
        assert await api.ask("admin:root", NODE, id=odd) is None


async def test_a_key_without_the_scope_is_told_nothing(api: Client) -> None:
    ada = await api.enrol("9012")
    assert (await api.ask(SHOP, JOIN, input={"key": "k", **YEAR}))["__typename"]
    whole = build_schema()
    for scopes, told in (({"members:read"}, 0), ({"members:read", "engagement:read"}, 1)):
        viewer = Viewer("partner", partner="marketplace", scopes=frozenset(scopes))  # type: ignore[arg-type]
        context = Context(api.engine, viewer, api.clock)
        given = {"id": api.told(SHOP, ada)}
        answer = await whole.execute(SEEN, given, context_value=context)
        assert answer.errors is None
        assert answer.data is not None
        assert len(answer.data["node"]["plans"]) == told
        assert len(answer.data["node"]["perks"]) == 3 * told


async def test_a_key_that_may_not_redeem_spends_no_points(api: Client) -> None:
    await api.enrol("9012")
    bought = receipt("O-1", "9012", "2026-11-22T11:00:00Z", ("things", "3000.00"))
    await api.buy(SHOP, "marketplace", bought)
    whole = build_schema()

    async def done(query: str, *more: str, **given: Any) -> dict[str, Any]:
        scopes = frozenset({"engagement:write", *more})
        viewer = Viewer("partner", partner="marketplace", scopes=scopes)  # type: ignore[arg-type]
        asked = {"input": {**PLAN, "member": {"card": "9012"}, **given}}
        answer = await whole.execute(
            query, asked, context_value=Context(api.engine, viewer, api.clock)
        )
        assert answer.errors is None
        assert answer.data is not None
        [value] = answer.data.values()
        return dict(value)

    for query, field, given in (
        (JOIN, "fee", {"fee": "monthly-coins"}),
        (JOIN, "fee", {"fee": "monthly-half", "paid": paid("6.49", "p")}),
        (JOIN, "renews", {"renews": "monthly-coins"}),
    ):
        refused = await done(query, key="k", **given)
        assert (refused["code"], refused["path"]) == ("NOT_ALLOWED", [field])
    assert (await done(JOIN, key="k"))["__typename"] == "MembershipChanged"
    refused = await done(RESUME, key="o", renews="monthly-coins")
    assert (refused["code"], refused["path"]) == ("NOT_ALLOWED", ["renews"])
    given = {"key": "r", "fee": "monthly-coins"}
    assert (await done(RENEW, **given))["code"] == "NOT_ALLOWED"
    paid_by_coins = await done(RENEW, "redemptions:write", **given)
    assert paid_by_coins["term"]["points"] == {"amount": 1300}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"year": 1969}, "no year of trade"),
        ({"year": 9001}, "no year of trade"),
        ({"year": 2026, "from": "2026-01-01T00:00:00Z"}, "not both"),
        ({"from": "2026-01-01T00:00:00Z"}, "an end"),
        ({"from": "2026-01-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "an end"),
    ],
)
async def test_a_span_of_savings_is_one(api: Client, given: dict[str, Any], words: str) -> None:
    me = api.member(await api.enrol("9012"))
    await api.ask(me, JOIN, input={"key": "k", **PLAN})
    answer = await api.send(me, SAVED, **given)
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert words in error["message"]
    span = {"from": "2026-02-01T00:00:00Z", "until": "2027-01-02T00:00:00Z"}
    [own] = (await api.ask(me, SAVED, **span))["plans"]
    assert own["saved"] == span


async def test_an_order_that_was_cancelled_saved_nothing(api: Client) -> None:
    me = api.member(await api.enrol("9012"))
    await api.ask(me, JOIN, input={"key": "k", **PLAN})
    for number in ("O-1", "O-2"):
        bought = receipt(number, "9012", "2026-11-22T12:00:00Z", ("things", "10.00"))
        await api.buy(SHOP, "marketplace", bought)
        use = {"partner": "marketplace", "member": {"card": "9012"}, "perk": "delivery"}
        await api.ask(SHOP, USE, input={**use, "externalId": number})
    api.clock.tick(minutes=1)
    cancel = {"purchase": "O-1", "occurredAt": "2026-11-22T12:01:00Z"}
    await api.ask(SHOP, CANCELS, input={"partner": "marketplace", "cancels": [cancel]})
    saved = "{ me { plans { saved { perks { times } money { amount } points { points } } } } }"
    [own] = (await api.ask(me, saved))["plans"]
    assert own["saved"] == {
        "perks": [{"times": 1}], "money": [{"amount": "5.99"}], "points": [{"points": 10}],
    }  # fmt: skip


async def test_terms_are_paged_newest_first(api: Client) -> None:
    me = api.member(await api.enrol("9012"))
    await api.ask(me, JOIN, input={"key": "k", **PLAN})
    month = {**YEAR, "fee": "monthly"}
    for n in range(2, 5):
        api.clock.tick(days=30)
        given = {**month, "key": f"r{n}", "paid": paid("12.99", f"ch_{n}")}
        done = await api.ask(SHOP, RENEW, input=given)
        assert done["term"]["number"] == n, done
    [own] = (await api.ask(me, TERMS, first=3))["plans"]
    page = own["terms"]
    assert [edge["node"]["number"] for edge in page["edges"]] == [4, 3, 2]
    assert page["pageInfo"]["hasNextPage"]
    [own] = (await api.ask(me, TERMS, after=page["pageInfo"]["endCursor"]))["plans"]
    assert [edge["node"]["number"] for edge in own["terms"]["edges"]] == [1]
    assert "errors" in await api.send(me, TERMS, after="x")
    assert "errors" in await api.send(me, TERMS, first=0)


async def test_a_month_for_coins_is_explained(api: Client) -> None:
    me = api.member(await api.enrol("9012"))
    bought = receipt("O-1", "9012", "2026-11-22T11:00:00Z", ("things", "1300.00"))
    await api.buy(SHOP, "marketplace", bought)
    done = await api.ask(
        me, JOIN, input={"key": "k", **PLAN, "fee": "monthly-coins", "renews": None}
    )
    assert done["term"]["points"] == {"amount": 1300}
    assert (done["membership"]["renews"], done["membership"]["graceUntil"]) == (
        None, "2026-12-22T12:00:00Z",
    )  # fmt: skip
    text = """{ me { ledgers { balance { active } entries(first: 1) { edges { node {
      explanation { text } } } } } redemptions { edges { node { points rule reward { code }
      partner { code } } } } tiers { ladder { code } current { code }
      assignment { until } } } }"""
    told = await api.ask(me, text)
    [entry] = told["ledgers"][0]["entries"]["edges"]
    assert entry["node"]["explanation"]["text"] == (
        "1300 Coins redeemed for a term of 'Bazaar Plus'."
    )
    assert told["redemptions"]["edges"][0]["node"] == {
        "points": 1300, "rule": "membership.plus", "reward": None,
        "partner": {"code": "marketplace"},
    }  # fmt: skip
    [tier] = [t for t in told["tiers"] if t["ladder"]["code"] == "marketplace"]
    assert tier["current"] == {"code": "plus"}
    assert tier["assignment"] == {"until": "2026-12-22T12:00:00Z"}
    assert await prove() == []
