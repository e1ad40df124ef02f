"""How many statements a list costs: as many for one row as for a dozen."""

from __future__ import annotations

import pytest

from tests.schema.client import RECORD, REDEEM, Client, receipt, statements
from tests.schema.returning import bring, item, part

AT = "2026-11-22T09:00:00Z"

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
    "rewards": "query($n: Int!) { rewards(first: $n) { edges { node { title left } } } }",
}


async def _coalition(api: Client, members: int) -> None:
    """Members who each bought twice, brought back once, redeemed once and hold once."""
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


async def test_a_batch_costs_the_same_however_long(api: Client) -> None:
    """Recorded, and answered with every entry and its explanation."""
    await api.enrol("1")
    await api.buy("admin:root", "grocer", receipt("warm", "1", AT, ("WINE", "11.00")))
    counts = []
    for size in (1, 2, 20):
        batch = [receipt(f"{size}.{n}", "1", AT, ("WINE", "11.00")) for n in range(size)]
        given = {"partner": "grocer", "purchases": batch}
        with statements() as sent:
            done = await api.ask("partner:grocer", RECORD, input=given)
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
