"""How many statements a list costs: as many for one row as for a dozen."""

from __future__ import annotations

import pytest

from schema.build import build_schema
from tests.schema.client import RECORD, REDEEM, Client, receipt, statements
from tests.schema.counted import asked_for, lists
from tests.schema.returning import RETURN, bring, item, part
from tests.schema.roots import HOOK, MEMBERSHIP
from tests.schema.test_adjustments import ADJUST, asked

AT = "2026-11-22T09:00:00Z"
FIND = (
    """query($id: String!) { purchase(partner: "grocer", externalId: $id) { id member { id } } }"""
)
ENDPOINT = """mutation($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) {
  __typename } }"""
JOIN = "mutation($input: JoinPlanInput!) { joinPlan(input: $input) { __typename } }"

ORDER = "mutation($input: OrderAheadInput!) { orderAhead(input: $input) { __typename } }"
AHEAD = {
    "partner": "grocer",
    "store": "",
    "pickupAt": "2026-11-22T13:00:00Z",
    "currency": "USD",
    "lines": [{"amount": "1.00"}],
}

LISTS = {
    "members, all of it": """query($n: Int!) { members(first: $n) { edges { node {
      id name enrolledAt identifiers { kind value }
      ledgers { currency { code } balance { active reserved } earned expired
        expiring(within: "12M") { at amount }
        entries(first: 10) { edges { node { kind amount partner { name }
          explanation { text rules { title version } lines { points } } } } }
        activating(within: "12M") { at amount }
        lots(first: 10) { edges { node { remaining partner { code } } } } }
      tiers { ladder { code } current { code } toNext { missing } toKeep { missing } }
      rewards { edges { node { title left partner { name } eligibility { can reasons } } } }
      notices(first: 10) { edges { node { kind dueAt currency { code } } } }
      redemptions { edges { node { status reward { title } partner { code }
        currency { code } member { name } } } } } } } }""",
    "members, past": """query($n: Int!) { members(first: $n) { edges { node {
      tiers(asOf: "2026-01-01T00:00:00Z") { value }
      ledgers { balance(asOf: "2026-01-01T00:00:00Z") { active } } } } } }""",
    "members, as noted": """query($n: Int!) { members(first: $n) { edges { node {
      attributes { name partner { code } } badges { times currency { code } }
      offers { title taken partner { code } } progress { current partner { code } }
      aheadOrders { edges { node { partner { code } redemptions { status } } } } } } } }""",
    "members, their memberships": """query($n: Int!) { members(first: $n) { edges { node {
      plans { state partner { code } plan { title } saved { money { amount } perks { times }
          points { points currency { code } } }
        terms { edges { node { until points { amount } } } } }
      perks { perk { title } partner { code } } } } } }""",
    "members, one view": """query($n: Int!) { members(first: $n) { edges { node {
      purchases(first: 5) { edges { node { externalId total { amount } member { name }
        entries { amount } partner { code } } } }
      contacts { at kind note partner { code } notice { kind } invitation { code } }
      surveyInvitations { edges { node { code } } }
      nextBestAction(partner: "grocer") { kind because figures { name value } } } } } }""",
    "orders ahead": """query($n: Int!) { aheadOrders(partner: "grocer", first: $n) { edges { node {
      state member { id name } partner { code } redemptions { status } purchase { id } } } } }""",
    "rewards": "query($n: Int!) { rewards(first: $n) { edges { node { title left } } } }",
    "adjustments": """query($n: Int!) { adjustments(first: $n) { edges { node { points
      runningTotal causeCameBack currency { code } partner { code } member { id name }
      cause { externalId member { id } entries { amount } }
      entry { amount explanation { text } } } } } }""",
    "waiting": """query($n: Int!) { waitingReturns(first: $n) { edges { node { purchase
      partner { code } } } } }""",
    "webhooks": """query($n: Int!) { webhookEndpoints(first: $n) { edges { node { url
      deliveredAt partner { code } } } } }""",
}
AUDITED = """query($n: Int!) { auditRecords(first: $n) { edges { node { action before
  members { id name ledgers { balance { active } } } } } } }"""
PARTNERS = """query($code: String) { partners(code: $code) { name issues { code } accepts { code }
  faults { rule } shadow { points { currency live } differences(first: 5) { at
  purchase { externalId } live { points } } } } }"""
NODES = """query($ids: [ID!]!) { nodes(ids: $ids) { ... on Purchase { externalId member { name }
  entries { amount partner { name } explanation { text } } awards { earned currency { code } }
  lines { number } events { kind entries { amount currency { code } } takenBack { charged } }
  } } }"""
TOLD = RECORD.replace("externalId replayed", "externalId replayed issued { quantity }", 1)
#: Lists whose rows have fields that wait, and that are counted by none of these. Why that may be.
ELSEWHERE = {
    "StaffGrants.rows": "two statements in all; currencies are the rulebook's",
    "StaffGrants.outliers": "the same",
    "CurrencyBalance.partners": "the sheet has one row a partner, whatever is in the books",
    "TrialBalance.currencies": "the sheet has one row a currency, whatever is in the books",
    "CurrencyStatistics.partners": "a row a partner, and the rulebook has those installed",
    "ProgrammeStatistics.currencies": "a row a currency, which the rulebook has",
    "EditPurchasesPayload.results": "answers of a batch: the fields are those of recordPurchases",
    "CancelPurchasesPayload.results": "answers of a batch: the fields are those of recordReturns",
    "FulfilPurchasesPayload.results": "answers of a batch: the fields are those of recordReturns",
    "RecordActivitiesPayload.results": "answers of a batch: the fields are recordPurchases' too",
    "WithdrawActivitiesPayload.results": "answers of a batch: the fields are recordPurchases' too",
    "ActivityRecorded.issued": "asks of all what PurchaseRecorded.issued asks",
    "MemberNoted.attributes": "of the one member that was noted: Member.attributes is counted",
    "LotMovePreview.examples": "ten at most, of the preview's one statement",
    "SimulationReport.losers": "ten at most, kept with the report",
    "SimulationReport.winners": "ten at most, kept with the report",
    "Query.lotMoves": "its rows ask for currencies, which the rulebook has",
    "Query.simulations": "its rows ask for losers and winners",
    "Query.inbound": "its rows ask for a body, which has a loader",
    "InboundReplayed.deliveries": "as Query.inbound",
    "Query.failingOccasions": "its rows ask for a member, who has a loader",
    "Query.webhookDeliveries": "its rows ask for an event, which has a loader",
    "Query.surveyAnswers": "counted by tests/schema/test_surveys.py",
    "SurveyAnswer.entries": "as Query.surveyAnswers",
    "Query.meetups": "counted by tests/schema/test_meetups.py, with the three below",
    "Meetup.registrations": "as Query.meetups",
    "Member.registrations": "as Query.meetups",
    "MeetupRegistration.entries": "as Query.meetups",
    "Query.colleagues": "counted in test_giving",
    "Query.recognitions": "counted in test_giving",
    "Query.fulfilmentQueue": "counted in test_giving",
    "Query.membershipPlans": "its rows ask for rules and ladders, which the rulebook has",
    "BookedEvent.entries": "by the loader of Posted.entries",
}


async def _coalition(api: Client, members: int) -> None:
    """Members who each bought twice, brought back once, redeemed once and hold once.

    For each, too, a return that waits, a webhook's end point, and something given by hand.
    """
    for n in range(members):
        card = str(n)
        await api.enrol(card)
        await api.buy(
            "admin:root",
            "grocer",
            receipt(f"{n}a", card, AT, ("PRODUCE", "400.00"), ("WINE", "9.99")),
            receipt(f"{n}b", card, AT, ("MEAT", "10.00")),
        )
        back = item(f"{n}c", f"{n}a", AT, part(2, "0.5"))
        [done] = await bring(api, "admin:root", "grocer", back)
        assert done["__typename"] == "ReturnRecorded", done
        order = {"partner": "grocer", "reward": "five-off", "member": {"card": card}}
        for key, more in (("x", {}), ("y", {"hold": "1D"})):
            given = {**order, **more, "key": f"{key}{n}"}
            done = await api.ask("admin:root", REDEEM, input=given)
            assert done["__typename"] == "RewardRedeemed", done
        [waits] = await bring(
            api, "admin:root", "grocer", item(f"{n}w", f"none{n}", AT, part(1, "1"))
        )
        assert waits["__typename"] == "ReturnWaiting", waits
        hook = {**HOOK, "key": f"h{n}", "url": f"https://grocer.example/{n}"}
        done = await api.ask("admin:root", ENDPOINT, input=hook)
        assert done["__typename"] == "WebhookSecretIssued", done
        join = {**MEMBERSHIP, "key": f"m{n}", "member": {"card": card}}
        done = await api.ask("admin:root", JOIN, input=join)
        assert done["__typename"] == "MembershipChanged", done
        cause = await api.ask("admin:root", FIND, id=f"{n}a")
        who = api.member(cause["member"]["id"])
        done = await api.ask(who, ORDER, input={**AHEAD, "key": f"o{n}"})
        assert done["__typename"] == "OrderedAhead", done
        given = asked(cause["member"]["id"], 5, f"a{n}", cause=cause["id"], partner="grocer")
        done = await api.ask("admin:root", ADJUST, input=given)
        assert done["__typename"] == "PointsAdjusted", done


@pytest.mark.parametrize("who", ["admin:root", "partner:grocer"])
@pytest.mark.parametrize("name", LISTS)
async def test_a_list_costs_the_same_however_long(api: Client, name: str, who: str) -> None:
    """No statement for each row, at any depth."""
    await _coalition(api, 6)
    counts = []
    for n in (1, 2, 6):
        with statements() as sent:
            found = await api.ask(who, LISTS[name], n=n)
        counts.append(len(sent))
    assert len(found["edges"]) >= 5
    assert counts == [counts[0]] * 3, name
    assert counts[0] <= 27, counts


async def test_staff_s_lists_cost_the_same_however_long(api: Client) -> None:
    """What is listed otherwise than by `first`, or to admins alone."""
    await _coalition(api, 6)
    found = [await api.ask("admin:root", FIND, id=f"{n}a") for n in range(6)]
    ids = [each["id"] for each in found]
    for query, few, many in (
        (AUDITED, {"n": 1}, {"n": 6}),
        (PARTNERS, {"code": "grocer"}, {}),
        (NODES, {"ids": ids[:1]}, {"ids": ids}),
    ):
        counts, rows = [], []
        for given in (few, many):
            with statements() as sent:
                told = await api.ask("admin:root", query, **given)
            counts.append(len(sent))
            rows.append(len(told["edges"] if isinstance(told, dict) else told))
        assert rows[0] == 1 < rows[1], query
        assert counts[0] == counts[1], query


async def test_returns_cost_the_same_however_many(api: Client) -> None:
    """A batch of them, answered with every entry."""
    await _coalition(api, 1)
    lots = [receipt(f"r{n}", "0", AT, ("WINE", "11.00")) for n in range(8)]
    await api.buy("partner:grocer", "grocer", *lots)
    counts = []
    for places in ((0,), (1,), range(2, 8)):
        back = [item(f"b{n}", f"r{n}", AT, part(1, "1")) for n in places]
        with statements() as sent:
            done = await bring(api, "partner:grocer", "grocer", *back)
        assert {each["__typename"] for each in done} == {"ReturnRecorded"}
        counts.append(len(sent))
    assert counts[1:] == [counts[1]] * 2  # the first finds nothing kept


def test_every_list_is_counted() -> None:
    """A list that is new is counted here, or says why not; and one that is counted says nothing."""
    schema = build_schema()._schema
    counted = set(asked_for(schema, [*LISTS.values(), AUDITED, PARTNERS, NODES, TOLD, RETURN]))
    wanted = {name: fields for name, fields in lists(schema).items() if not fields & counted}
    left = {sorted(fields)[0] for fields in wanted.values()}
    assert left == set(ELSEWHERE)


def test_a_list_that_nobody_counts_is_seen() -> None:
    """The control."""
    schema = build_schema()._schema
    counted = set(asked_for(schema, [LISTS["rewards"]]))
    assert "Query.rewards" in counted
    assert any(
        fields == {"Query.members"} and not fields & counted for fields in lists(schema).values()
    )


async def test_a_batch_costs_the_same_however_long(api: Client) -> None:
    """Recorded, and answered with every entry and its explanation."""
    await api.enrol("1")
    await api.buy("admin:root", "grocer", receipt("warm", "1", AT, ("WINE", "11.00")))
    counts = []
    for size in (1, 2, 20):
        batch = [receipt(f"{size}.{n}", "1", AT, ("WINE", "11.00")) for n in range(size)]
        given = {"partner": "grocer", "purchases": batch}
        with statements() as sent:
            done = await api.ask("partner:grocer", TOLD, input=given)
        assert all(r["entries"][0]["explanation"]["text"] for r in done["results"])
        counts.append(len(sent))
    assert counts == [counts[0]] * 3


async def test_pages_join_without_gap_or_repeat(api: Client) -> None:
    """Also while members join and entries are added in between."""
    cards = [str(n) for n in range(5)]
    ids = [await api.enrol(card) for card in cards]
    query = """query($after: String) { members(first: 2, after: $after) {
      edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage endCursor } } }"""
    seen: list[str] = []
    after = None
    for place, more in enumerate((True, True, False)):
        page = await api.ask("admin:root", query, after=after)
        seen += [edge["node"]["id"] for edge in page["edges"]]
        assert page["pageInfo"]["hasNextPage"] is more
        assert page["pageInfo"]["hasPreviousPage"] is (place > 0)
        after = page["pageInfo"]["endCursor"]
        if place == 0:
            cards.append("late")
            ids.append(await api.enrol("late"))
            more = True
        if place == 1:
            assert page["pageInfo"]["hasNextPage"]
    assert seen == ids[: len(seen)]
    assert len(seen) == 6


async def test_entries_page_backwards_through_time_while_more_come(api: Client) -> None:
    """The cursor names the last entry seen, so a new one at the head shifts nothing."""
    who = api.member(await api.enrol("1"))
    await api.buy(
        "admin:root", "grocer", *(receipt(str(n), "1", AT, ("X", f"{n}.00")) for n in range(1, 4))
    )
    query = """query($after: String) { me { ledgers(currency: "BASKET") { entries(first: 2,
      after: $after) { edges { node { amount } } pageInfo { endCursor hasNextPage } } } } }"""
    first = (await api.ask(who, query))["ledgers"][0]["entries"]
    await api.buy("admin:root", "grocer", receipt("new", "1", AT, ("X", "9.00")))
    after = first["pageInfo"]["endCursor"]
    rest = (await api.ask(who, query, after=after))["ledgers"][0]["entries"]
    amounts = [e["node"]["amount"] for e in (*first["edges"], *rest["edges"])]
    assert amounts == [3, 2, 1]
    assert not rest["pageInfo"]["hasNextPage"]


async def test_the_exact_identifier_finds_one_member(api: Client) -> None:
    """Not a prefix, and in its normal form."""
    await api.enrol("9012")
    await api.enrol("90123", "Bob")
    query = "query($s: MemberIdentifier!) { members(search: $s) { edges { node { name } } } }"
    found = await api.ask("admin:root", query, s={"card": " 9012 "})
    assert [e["node"]["name"] for e in found["edges"]] == ["Ada"]
    assert (await api.ask("admin:root", query, s={"card": "901"}))["edges"] == []
    assert (await api.ask("partner:grocer", query, s={"card": "9012"}))["edges"] == []
