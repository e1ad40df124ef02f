"""A member's story at Bazaar Street: a trial, a paid year, a month for coins, grace, lapse, cancel.

Its days begin in Chicago, six hours behind UTC in winter; the clock starts there at 6:00 on
22 November 2026. A dollar earns a coin, and for members of Plus another one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from core.check import prove
from core.dispatching import dispatch
from core.nightly import run
from core.telling import tell
from tests.schema.client import REDEEM, Client, receipt
from tests.schema.returning import bring, item

SHOP = "partner:marketplace"
PLAN = {"partner": "marketplace", "plan": "plus"}
_CHANGED = """... on MembershipChanged { replayed term { number kind fee from until
    money { amount currency } points { amount } }
  membership { state since until graceUntil cancelledAt renews { code } perks { code } } }
  ... on Error { code message path } } }"""
JOIN = f"mutation($input: JoinPlanInput!) {{ joinPlan(input: $input) {{ __typename {_CHANGED}"
RENEW = f"""mutation($input: RenewMembershipInput!) {{ renewMembership(input: $input) {{
  __typename {_CHANGED}"""
CANCEL = f"""mutation($input: CancelMembershipInput!) {{ cancelMembership(input: $input) {{
  __typename {_CHANGED}"""
RESUME = f"""mutation($input: ResumeMembershipInput!) {{ resumeMembership(input: $input) {{
  __typename {_CHANGED}"""
USE = """mutation($input: UsePerkInput!) { usePerk(input: $input) { __typename
  ... on PerkUsed { perk replayed worth { amount currency } }
  ... on Error { code message path } } }"""
PAGE = """query($year: Int) { me { ledgers { balance { active } }
  tiers { ladder { code } current { code } }
  perks(partner: "marketplace") { perk { code title } until plan { code } }
  plans { code state since until graceUntil renews { code } partner { code }
    terms { edges { node { number kind fee money { amount } points { amount } payment } } }
    saved(year: $year) { from until money { amount currency }
      perks { perk title times worth { amount } }
      points { rule title points currency { code } } } } } }"""
CHECKOUT = """query($card: String!) { member(by: { card: $card }) {
  perks { perk { code } until } plans { state } } }"""
HOOK = """mutation($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) {
  __typename ... on Error { message } } }"""
TOLD = "{ webhookDeliveries { edges { node { type } } } }"


def paid(amount: str, reference: str) -> dict[str, str]:
    """A fee that the shop has taken."""
    return {"amount": amount, "currency": "USD", "reference": reference}


async def night(api: Client) -> None:
    """The nightly run, and what waits is told to webhooks."""
    await run(api.engine, api.clock())
    rulebook, now = api.engine.rulebook, api.clock()
    while await dispatch(lambda connection, found: tell(connection, rulebook, found, now)):
        pass


async def buy(api: Client, number: str, at: str, amount: str) -> list[int]:
    """A purchase of Ada's: the coins of each award."""
    [done] = await api.buy(SHOP, "marketplace", receipt(number, "9012", at, ("things", amount)))
    assert done["__typename"] == "PurchaseRecorded", done
    return [entry["amount"] for entry in done["entries"]]


async def use(api: Client, perk: str, order: str, **worth: str) -> dict[str, Any]:
    """A perk at the checkout."""
    given: dict[str, Any] = {
        "partner": "marketplace", "member": {"card": "9012"}, "perk": perk, "externalId": order,
    }  # fmt: skip
    if worth:
        given["worth"] = worth
    done: dict[str, Any] = await api.ask(SHOP, USE, input=given)
    return done


def at(text: str) -> datetime:
    """An instant of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def test_a_members_story(api: Client) -> None:
    ada = await api.enrol("9012")
    me = api.member(ada)
    hook = {"key": "w", "partner": "marketplace", "url": "https://bazaar.example/hook"}
    made = await api.ask(SHOP, HOOK, input={**hook, "changes": ["MEMBERSHIP_DUE"]})
    assert made["__typename"] == "WebhookSecretIssued", made
    await _the_trial(api, me)
    await _the_paid_year(api, me)
    await _a_month_for_coins(api, me)
    await _grace_and_lapse(api, me)
    await _anew_and_cancelled(api, me)
    assert await prove() == []


async def _the_trial(api: Client, me: str) -> None:
    # As a guest: 40 dollars, 40 coins, and nothing doubled.
    assert await buy(api, "O-1", "2026-11-22T11:00:00Z", "40.00") == [40]
    assert (await use(api, "delivery", "O-1"))["code"] == "NOT_ELIGIBLE"
    joined = await api.ask(me, JOIN, input={"key": "j", **PLAN})
    # Thirty days from 6:00 in Chicago: 22 December, 12:00 in UTC. And seven days of grace.
    assert joined == {
        "__typename": "MembershipChanged", "replayed": False,
        "term": {"number": 1, "kind": "TRIAL", "fee": None, "from": "2026-11-22T12:00:00Z",
                 "until": "2026-12-22T12:00:00Z", "money": None, "points": None},
        "membership": {
            "state": "TRIAL", "since": "2026-11-22T12:00:00Z", "until": "2026-12-22T12:00:00Z",
            "graceUntil": "2026-12-29T12:00:00Z", "cancelledAt": None,
            "renews": {"code": "monthly"},
            "perks": [{"code": "delivery"}, {"code": "media"}, {"code": "early"}]},
    }  # fmt: skip
    again = await api.ask(me, JOIN, input={"key": "j", **PLAN})
    assert again == {**joined, "replayed": True}
    second = await api.ask(me, JOIN, input={"key": "j2", **PLAN})
    assert (second["code"], second["path"]) == ("WRONG_STATE", ["plan"])
    # A hundred dollars: 100 coins, and 100 more by the tier. The coins are 240 now.
    api.clock.tick(hours=1)
    assert await buy(api, "O-2", "2026-11-22T13:00:00Z", "100.00") == [100, 100]
    # Delivery is free; that the till sends it twice changes nothing.
    told = await api.ask(SHOP, CHECKOUT, card="9012")
    assert [x["perk"]["code"] for x in told["perks"]] == ["delivery", "media", "early"]
    worth = {"amount": "5.99", "currency": "USD"}
    assert await use(api, "delivery", "O-2") == {
        "__typename": "PerkUsed", "perk": "delivery", "replayed": False, "worth": worth,
    }  # fmt: skip
    assert (await use(api, "delivery", "O-2", **worth))["replayed"]
    other = await use(api, "delivery", "O-2", amount="6.99", currency="USD")
    assert (other["code"], other["path"]) == ("IDEMPOTENCY_CONFLICT", ["externalId"])


async def _the_paid_year(api: Client, me: str) -> None:
    api.clock.at = at("2026-12-21T11:30")  # more than a day before the trial's end
    await night(api)
    assert (await api.ask(SHOP, TOLD))["edges"] == []
    api.clock.at = at("2026-12-21T12:30")
    await night(api)
    await night(api)
    assert (await api.ask(SHOP, TOLD))["edges"] == [{"node": {"type": "membership.due"}}]
    year = {**PLAN, "member": {"card": "9012"}, "fee": "yearly"}
    wrong = await api.ask(SHOP, RENEW, input={"key": "r", **year, "paid": paid("12.99", "ch_1")})
    assert (wrong["code"], wrong["path"]) == ("BAD_INPUT", ["paid", "amount"])
    own = await api.ask(me, RENEW, input={"key": "r", **PLAN, "paid": paid("129.00", "ch_1")})
    assert own["code"] == "NOT_ALLOWED"
    done = await api.ask(SHOP, RENEW, input={"key": "r", **year, "paid": paid("129.00", "ch_1")})
    assert done["term"] == {
        "number": 2, "kind": "PAID", "fee": "yearly", "from": "2026-12-22T12:00:00Z",
        "until": "2027-12-22T12:00:00Z", "money": {"amount": "129.00", "currency": "USD"},
        "points": None,
    }  # fmt: skip
    assert done["membership"]["state"] == "TRIAL"  # to its end, tomorrow
    twice = await api.ask(SHOP, RENEW, input={"key": "r2", **year, "paid": paid("129.00", "ch_1")})
    assert twice["code"] == "WRONG_STATE"
    api.clock.at = at("2026-12-23T12:00")
    assert (await use(api, "media", "F-1"))["worth"] == {"amount": "3.99", "currency": "USD"}
    page = await api.ask(me, PAGE)
    [own] = page["plans"]
    assert (own["state"], own["renews"]) == ("ACTIVE", {"code": "monthly"})
    # This year: a delivery of 5.99 and a film of 3.99 are 9.98, and 100 coins of the order O-2.
    assert own["saved"] == {
        "from": "2026-01-01T06:00:00Z", "until": "2027-01-01T06:00:00Z",
        "money": [{"amount": "9.98", "currency": "USD"}],
        "perks": [
            {"perk": "delivery", "title": "Free delivery", "times": 1, "worth": {"amount": "5.99"}},
            {"perk": "media", "title": "A film from the media pass", "times": 1,
             "worth": {"amount": "3.99"}}],
        "points": [{"rule": "plus-double", "title": "Double coins for Plus", "points": 100,
                    "currency": {"code": "COIN"}}],
    }  # fmt: skip


async def _a_month_for_coins(api: Client, me: str) -> None:
    # 300 dollars in March: 600 coins, 840 in all. 50 of them come back: 250 are 500, 740 in all.
    api.clock.at = at("2027-03-01T12:00")
    assert await buy(api, "O-3", "2027-03-01T12:00:00Z", "300.00") == [300, 300]
    back = item("B-1", "O-3", "2027-03-02T12:00:00Z", amount="50.00")
    api.clock.at = at("2027-03-02T12:00")
    [returned] = await bring(api, SHOP, "marketplace", back)
    assert returned["__typename"] == "ReturnRecorded", returned
    assert (await api.ask(me, PAGE))["ledgers"][0]["balance"]["active"] == 740
    # In June she cancels, thinks again, and will pay by coins.
    api.clock.at = at("2027-06-01T12:00")
    off = await api.ask(me, CANCEL, input={"key": "c", **PLAN})
    assert off["membership"] | {"perks": None} == {
        "state": "ACTIVE", "since": "2026-11-22T12:00:00Z", "until": "2027-12-22T12:00:00Z",
        "graceUntil": "2027-12-22T12:00:00Z", "cancelledAt": "2027-06-01T12:00:00Z",
        "renews": None, "perks": None,
    }  # fmt: skip
    assert (await api.ask(me, CANCEL, input={"key": "c2", **PLAN}))["code"] == "WRONG_STATE"
    on = await api.ask(me, RESUME, input={"key": "o", **PLAN, "renews": "monthly-coins"})
    assert on["membership"]["renews"] == {"code": "monthly-coins"}
    assert on["membership"]["graceUntil"] == "2027-12-29T12:00:00Z"
    # 300 dollars in November: 600 coins, 1340 in all; gift wrap takes 40, and 1300 are left.
    api.clock.at = at("2027-11-20T12:00")
    assert await buy(api, "O-4", "2027-11-20T12:00:00Z", "300.00") == [300, 300]
    wrap = {"key": "g", "partner": "marketplace", "reward": "gift-wrap"}
    assert (await api.ask(me, REDEEM, input=wrap))["redemption"]["points"] == 40
    api.clock.at = at("2027-12-21T12:30")
    await night(api)
    await night(api)
    page = await api.ask(me, PAGE)
    [own] = page["plans"]
    assert page["ledgers"][0]["balance"]["active"] == 0
    # A month after 22 December, 6:00 in Chicago.
    assert (own["until"], own["graceUntil"]) == ("2028-01-22T12:00:00Z", "2028-01-29T12:00:00Z")
    terms = [edge["node"] for edge in own["terms"]["edges"]]
    assert [(t["number"], t["fee"], t["money"], t["points"]) for t in terms] == [
        (3, "monthly-coins", None, {"amount": 1300}),
        (2, "yearly", {"amount": "129.00"}, None),
        (1, None, None, None),
    ]
    assert [t["payment"] for t in terms] == [None, None, None]  # no affair of a member's
    # Of 2027: the doubling of 250 dollars in March and of 300 in November, and no perk.
    assert own["saved"]["money"] == own["saved"]["perks"] == []
    assert [x["points"] for x in own["saved"]["points"]] == [550]
    # It was renewed by itself: nobody was asked for money a second time.
    assert len((await api.ask(SHOP, TOLD))["edges"]) == 1


async def _grace_and_lapse(api: Client, me: str) -> None:
    # In January there are no coins: the shop is asked for the fee, and it goes on in its grace.
    api.clock.at = at("2028-01-21T12:30")
    await night(api)
    assert len((await api.ask(SHOP, TOLD))["edges"]) == 2
    api.clock.at = at("2028-01-25T12:00")
    [own] = (await api.ask(me, PAGE))["plans"]
    assert own["state"] == "GRACE"
    assert await buy(api, "O-5", "2028-01-25T12:00:00Z", "10.00") == [10, 10]
    assert (await use(api, "delivery", "O-5"))["__typename"] == "PerkUsed"
    await night(api)
    # It lapses at its instant, though no night has come: nothing is doubled, no perk holds.
    api.clock.at = at("2028-01-29T12:00")
    page = await api.ask(me, PAGE)
    assert (page["plans"][0]["state"], page["plans"][0]["renews"]) == ("LAPSED", None)
    assert page["perks"] == []
    assert [t["current"] for t in page["tiers"] if t["ladder"]["code"] == "marketplace"] == [
        {"code": "guest"}
    ]
    assert await buy(api, "O-6", "2028-01-29T12:00:00Z", "10.00") == [10]
    tasting = {"key": "b", "partner": "marketplace", "reward": "tasting"}
    refused = await api.ask(me, REDEEM, input=tasting)
    assert refused["message"] == "'A box of things to try' is for tier Plus and above"
    gone = await use(api, "delivery", "O-6")
    assert (gone["code"], gone["path"]) == ("NOT_ELIGIBLE", ["perk"])
    assert (await api.ask(SHOP, CHECKOUT, card="9012"))["plans"] == [{"state": "LAPSED"}]
    assert (await api.ask(me, CANCEL, input={"key": "c3", **PLAN}))["code"] == "WRONG_STATE"
    await night(api)
    # Of 2028: one delivery, and the ten coins of the 25th of January.
    [own] = (await api.ask(me, PAGE, year=2028))["plans"]
    assert own["saved"]["money"] == [{"amount": "5.99", "currency": "USD"}]
    assert [x["points"] for x in own["saved"]["points"]] == [10]


async def _anew_and_cancelled(api: Client, me: str) -> None:
    # The trial was hers once; a month from 31 January ends on 29 February, for 2028 has one.
    api.clock.at = at("2028-01-31T12:00")
    trial = await api.ask(me, JOIN, input={"key": "t", **PLAN})
    assert (trial["code"], trial["path"]) == ("NOT_ELIGIBLE", ["fee"])
    half = await api.ask(me, JOIN, input={"key": "h", **PLAN, "fee": "monthly-half"})
    assert (half["code"], half["path"]) == ("NOT_ALLOWED", ["fee"])
    month = {**PLAN, "member": {"card": "9012"}, "fee": "monthly"}
    done = await api.ask(SHOP, JOIN, input={"key": "m", **month, "paid": paid("12.99", "ch_2")})
    assert (done["term"]["from"], done["term"]["until"]) == (
        "2028-01-31T12:00:00Z", "2028-02-29T12:00:00Z",
    )  # fmt: skip
    assert done["membership"]["since"] == "2028-01-31T12:00:00Z"
    assert (await api.ask(me, CANCEL, input={"key": "c4", **PLAN}))["__typename"] == (
        "MembershipChanged"
    )
    # Cancelled, it lasts for the rest of the term, with everything in it: and not a day of grace.
    api.clock.at = at("2028-02-28T12:00")
    await night(api)
    assert await buy(api, "O-7", "2028-02-28T12:00:00Z", "10.00") == [10, 10]
    api.clock.at = at("2028-02-29T12:00")
    assert await buy(api, "O-8", "2028-02-29T12:00:00Z", "10.00") == [10]
    assert (await use(api, "delivery", "O-8"))["code"] == "NOT_ELIGIBLE"
    await night(api)
    assert len((await api.ask(SHOP, TOLD))["edges"]) == 2
    # The coins: 10 + 10 in the grace, 10 after it, 10 + 10 in the last month, and 10.
    assert (await api.ask(me, PAGE))["ledgers"][0]["balance"]["active"] == 60
