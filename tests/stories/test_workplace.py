"""Four colleagues at Lantern Works over two months: who thanks whom, and what is left of it.

Told through GraphQL alone. Times are Istanbul's, three hours ahead of the clock here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from core.check import prove
from core.occasions import keep_days, tell
from core.posting import Engine
from core.programme import Programme
from core.store.reference import Declared, install
from laurels.testing import brand
from plugins.host import collect
from tests.schema.client import CONFIRM, ENROL, REDEEM, Client
from tests.schema.conftest import client_of
from tests.support import NOW

OFFICE = "partner:workplace"
NOTE = """mutation($input: NoteMemberInput!) { noteMember(input: $input) { __typename
  ... on Error { code message } } }"""
COLLEAGUES = """query($first: Int! = 20, $after: String, $named: String) {
  colleagues(partner: "workplace", first: $first, after: $after, named: $named) {
    edges { node { id name team } } pageInfo { hasNextPage endCursor } } }"""
GIVE = """mutation($input: GiveRecognitionInput!) { giveRecognition(input: $input) { __typename
  ... on RecognitionGiven { replayed recognition { id points message value { title }
    currency { code name symbol } gave { code } giver { name } receiver { name } } }
  ... on Error { code message path } } }"""
FEED = """query($first: Int! = 20, $after: String, $colleague: ID, $team: String, $value: String) {
  recognitions(partner: "workplace", first: $first, after: $after, colleague: $colleague,
      team: $team, value: $value) {
    edges { node { id at points message value { code } giver { name team }
      receiver { name team } } }
    pageInfo { hasNextPage endCursor } } }"""
ERASE = """mutation($id: ID!) { eraseRecognitionMessage(recognition: $id) { __typename
  ... on RecognitionMessageErased { recognition { message points } }
  ... on Error { code path } } }"""
WALLET = """{ me { ledgers { currency { code } balance { active reserved }
  entries { edges { node { kind amount explanation { text } } } } } } }"""
QUEUE = """query($state: FulfilmentState) { fulfilmentQueue(partner: "workplace", state: $state) {
  edges { node { id state note redemption { id points reward { code } } } } } }"""
SETTLED = """{ __typename ... on RewardRedeemed { replayed redemption { status } }
  ... on Error { code message path } } }"""
APPROVE = "mutation($input: SettleRedemptionInput!) { approveRedemption(input: $input) " + SETTLED
DECLINE = "mutation($input: DeclineRedemptionInput!) { declineRedemption(input: $input) " + SETTLED
REPORT = """query($from: DateTime!, $until: DateTime!) {
  recognitionReport(partner: "workplace", from: $from, until: $until) { times points
    values { value { code } times points share } teams { giver receiver times points }
    colleagues givers receivers pairs mutualPairs mutualShare topTenthShare } }"""
TERMS = """{ givingTerms(partner: "workplace") { gives { code symbol } arrives { name symbol }
  values { code title } each perDay toOne { points per } back { points per } wordless } }"""


async def hired(api: Client, number: str, name: str, team: str) -> str:
    """The office enrols somebody, and says in which team; the member's token's name."""
    given = {"card": number, "name": name, "partner": "workplace"}
    done = await api.ask(OFFICE, ENROL, input=given)
    assert done["created"], done
    notes = [{"name": "team", "value": team}, {"name": "segment:colleague"}]
    who = {"id": done["memberId"]}
    noted = await api.ask(
        OFFICE, NOTE, input={"partner": "workplace", "member": who, "notes": notes}
    )
    assert noted["__typename"] == "MemberNoted", noted
    return api.member(done["memberId"])


async def team_of_four(api: Client) -> tuple[dict[str, str], dict[str, str]]:
    """By first name, the callers and their ids as colleagues."""
    teams = {"Ada": "engineering", "Bob": "engineering", "Cem": "sales", "Dana": "sales"}
    who = {
        name: await hired(api, f"{n}", name, team) for n, (name, team) in enumerate(teams.items())
    }
    found = await api.ask(who["Ada"], COLLEAGUES)
    known = {edge["node"]["name"]: edge["node"] for edge in found["edges"]}
    assert {name: node["team"] for name, node in known.items()} == teams
    return who, {name: node["id"] for name, node in known.items()}


def thanks(to: str, points: int, value: str, message: str, key: str) -> dict[str, Any]:
    """An input."""
    return {
        "key": key, "partner": "workplace", "to": {"id": to}, "points": points, "value": value,
        "message": message,
    }  # fmt: skip


async def wallet(api: Client, who: str) -> dict[str, tuple[int, int]]:
    """By currency, what can be spent and what is held."""
    found = (await api.ask(who, WALLET))["ledgers"]
    return {
        x["currency"]["code"]: (x["balance"]["active"], x["balance"]["reserved"]) for x in found
    }


async def test_two_months_at_lantern_works(api: Client) -> None:
    """November, December; each balance as it is worked out beside it."""
    who, ids = await team_of_four(api)
    # Whoever joins has 100 sparks to give away, until the month is over.
    assert [await wallet(api, w) for w in who.values()] == [{"SPARK": (100, 0)}] * 4

    gives = partial(_gives, api, who, ids)
    first = await _november(api, who, gives)
    await _month_changes(api, who)
    await _december(api, who, gives)
    await _feed(api, who, ids, first)
    await _catalogue(api, who)
    await _report(api, who)
    assert await prove() == []


#: Somebody gives (giver, to, points, value, words): what is answered.
Gives = Callable[..., Awaitable[dict[str, Any]]]


async def _gives(
    api: Client,
    who: dict[str, str],
    ids: dict[str, str],
    giver: str,
    to: str,
    points: int,
    value: str,
    words: str = "Thank you",
) -> dict[str, Any]:
    api.clock.tick(minutes=1)
    key = api.clock.at.isoformat()
    sent = thanks(ids[to], points, value, words, key)
    done: dict[str, Any] = await api.ask(who[giver], GIVE, input=sent)
    return done


async def _november(api: Client, who: dict[str, str], gives: Gives) -> str:
    """Six gifts, and what the limits refuse; the id of the first one."""
    first = await gives("Ada", "Bob", 40, "courage", "You said it aloud")
    assert first["__typename"] == "RecognitionGiven", first
    told = first["recognition"]
    assert (told["points"], told["message"]) == (40, "You said it aloud")
    assert told["value"] == {"title": "Courage"}
    assert told["currency"] == {"code": "GLOW", "name": "Glows", "symbol": "🏮"}
    assert (told["giver"], told["receiver"]) == ({"name": "Ada"}, {"name": "Bob"})
    # 60 is the most for one in a month: 20 are left of it, not 30. 50 is the most at once.
    done = await gives("Ada", "Bob", 30, "courage")
    assert (done["code"], done["path"]) == ("NOT_ALLOWED", ["points"])
    assert "40 were, so 20 are left, not 30" in done["message"]
    assert (await gives("Ada", "Cem", 51, "craft"))["code"] == "NOT_ALLOWED"
    assert (await gives("Ada", "Ada", 5, "craft"))["path"] == ["to"]
    assert (await gives("Ada", "Cem", 5, "greed"))["path"] == ["value"]
    await gives("Ada", "Dana", 50, "craft")
    await gives("Bob", "Ada", 20, "care")
    # Ada gave Bob something: within 30 days 20 may go back, and these were.
    done = await gives("Bob", "Ada", 1, "care")
    assert "20 were, so 0 are left, not 1" in done["message"]
    await gives("Cem", "Dana", 10, "courage")
    await gives("Dana", "Cem", 20, "candour")
    await gives("Dana", "Bob", 30, "care")
    assert {name: await wallet(api, w) for name, w in who.items()} == {
        "Ada": {"SPARK": (10, 0), "GLOW": (20, 0)},  # 100 - 40 - 50; 20 from Bob
        "Bob": {"SPARK": (80, 0), "GLOW": (70, 0)},  # 100 - 20; 40 from Ada, 30 from Dana
        "Cem": {"SPARK": (90, 0), "GLOW": (20, 0)},  # 100 - 10; 20 from Dana
        "Dana": {"SPARK": (50, 0), "GLOW": (60, 0)},  # 100 - 20 - 30; 50 from Ada, 10 from Cem
    }
    return str(told["id"])


async def _month_changes(api: Client, who: dict[str, str]) -> None:
    """The allowance doesn't accumulate."""
    # A minute before December what is left is still there; at its beginning it is gone, and there
    # are 100 again: not 110, 180, 190 and 150. What was received stays.
    api.clock.at = datetime(2026, 11, 30, 20, 59, tzinfo=UTC)
    assert (await wallet(api, who["Cem"]))["SPARK"] == (90, 0)
    api.clock.at = datetime(2026, 11, 30, 21, 0, tzinfo=UTC)
    assert (await wallet(api, who["Cem"])).get("SPARK") == (0, 0)
    for _ in range(2):  # the second time there is nothing left to do
        await keep_days(api.engine, api.clock.at)
        await tell(api.engine, api.clock.at)
    assert {name: await wallet(api, w) for name, w in who.items()} == {
        "Ada": {"SPARK": (100, 0), "GLOW": (20, 0)},
        "Bob": {"SPARK": (100, 0), "GLOW": (70, 0)},
        "Cem": {"SPARK": (100, 0), "GLOW": (20, 0)},
        "Dana": {"SPARK": (100, 0), "GLOW": (60, 0)},
    }


async def _december(api: Client, who: dict[str, str], gives: Gives) -> None:
    """One more gift, a refusal, and how entries are told."""
    api.clock.tick(days=1)
    # A new month, but 30 days aren't over: Bob gave Ada something, and she gave him 40 since.
    done = await gives("Ada", "Bob", 5, "craft")
    assert "40 were, so 0 are left, not 5" in done["message"]
    await gives("Ada", "Cem", 50, "craft")
    assert await wallet(api, who["Ada"]) == {"SPARK": (50, 0), "GLOW": (20, 0)}
    assert await wallet(api, who["Cem"]) == {"SPARK": (100, 0), "GLOW": (70, 0)}
    entries = (await api.ask(who["Cem"], WALLET))["ledgers"]
    texts = [
        edge["node"]["explanation"]["text"]
        for ledger in entries
        for edge in ledger["entries"]["edges"]
        if edge["node"]["kind"] == "GIFT"
    ]
    assert sorted(texts) == [
        "10 Sparks given to a colleague, for Courage.",
        "20 Glows received from a colleague, for Candour.",
        "50 Glows received from a colleague, for Craft.",
    ]


async def _feed(api: Client, who: dict[str, str], ids: dict[str, str], first: str) -> None:
    """Newest first, for colleagues and the office; words go when one of the two wants it."""
    nodes = [edge["node"] for edge in (await api.ask(who["Cem"], FEED))["edges"]]
    assert [(x["giver"]["name"], x["receiver"]["name"], x["points"]) for x in nodes] == [
        ("Ada", "Cem", 50), ("Dana", "Bob", 30), ("Dana", "Cem", 20), ("Cem", "Dana", 10),
        ("Bob", "Ada", 20), ("Ada", "Dana", 50), ("Ada", "Bob", 40),
    ]  # fmt: skip
    assert nodes[-1]["message"] == "You said it aloud"

    async def points(**how: Any) -> list[int]:
        found = await api.ask(OFFICE, FEED, **how)
        return [edge["node"]["points"] for edge in found["edges"]]

    assert await points(value="craft") == [50, 50]
    assert await points(team="sales") == [50, 30, 20, 10, 50]
    assert await points(team="engineering", value="care") == [30, 20]
    bob = api.told(OFFICE, ids["Bob"])
    assert await points(colleague=bob) == [30, 20, 40]
    page = await api.ask(who["Bob"], FEED, first=3)
    assert page["pageInfo"]["hasNextPage"]
    rest = await api.ask(who["Bob"], FEED, after=page["pageInfo"]["endCursor"])
    assert [e["node"]["id"] for e in (*page["edges"], *rest["edges"])] == [x["id"] for x in nodes]
    # Cem has no say in what Ada wrote to Bob; Bob has.
    assert (await api.ask(who["Cem"], ERASE, id=first))["code"] == "UNKNOWN_REFERENCE"
    for _ in range(2):
        erased = await api.ask(who["Bob"], ERASE, id=first)
        assert erased["recognition"] == {"message": None, "points": 40}
    node = "query($id: ID!) { node(id: $id) { ... on Recognition { message points } } }"
    assert await api.ask(who["Cem"], node, id=first) == {"message": None, "points": 40}
    # Nobody else is told anything: neither another brand's member, nor another brand.
    stranger = api.member(await api.enrol("9", "Zoe"))
    for query in (FEED, COLLEAGUES, TERMS):
        assert (await api.ask(stranger, query) or {"edges": []})["edges"] == []
        (error,) = (await api.send("partner:grocer", query))["errors"]
        assert "acts for 'grocer' only" in error["message"], error
    assert await api.ask(stranger, node, id=first) is None
    refused = await api.ask(stranger, GIVE, input=thanks(ids["Bob"], 5, "care", "Hi", "z"))
    assert refused["code"] == "NOT_ALLOWED"


async def _catalogue(api: Client, who: dict[str, str]) -> None:
    """Asked for, approved or declined, delivered; the office does it by hand."""

    def wish(reward: str, key: str) -> dict[str, Any]:
        return {"key": key, "partner": "workplace", "reward": reward}

    # Cem has 70 glows, and lunch is 90.
    done = await api.ask(who["Cem"], REDEEM, input=wish("lunch", "1"))
    assert (done["code"], done["message"]) == ("NOT_ELIGIBLE", "20 more points are needed")
    asked = {}
    for name in ("Bob", "Dana"):
        done = await api.ask(who[name], REDEEM, input=wish("book", name))
        assert done["redemption"]["status"] == "HELD", done
        asked[name] = done["redemption"]["id"]
        api.clock.tick(minutes=1)
    assert await wallet(api, who["Bob"]) == {"SPARK": (100, 0), "GLOW": (10, 60)}  # 70 - 60
    queue = [e["node"] for e in (await api.ask(OFFICE, QUEUE, state="REQUESTED"))["edges"]]
    bobs, danas = [x["redemption"]["id"] for x in queue]
    assert (bobs, danas) == (api.told(OFFICE, asked["Bob"]), api.told(OFFICE, asked["Dana"]))
    early = await api.ask(OFFICE, CONFIRM, input={"key": "early", "redemption": bobs})
    assert (early["code"], early["message"]) == ("WRONG_STATE", "it waits to be approved")
    for replayed in (False, True):
        done = await api.ask(OFFICE, APPROVE, input={"key": "a", "redemption": bobs})
        assert done == {
            "__typename": "RewardRedeemed", "replayed": replayed, "redemption": {"status": "HELD"},
        }  # fmt: skip
    done = await api.ask(OFFICE, CONFIRM, input={"key": "done", "redemption": bobs})
    assert done["redemption"]["status"] == "COMPLETED"
    wordless = await api.ask(OFFICE, DECLINE, input={"key": "n", "redemption": danas, "note": ""})
    assert (wordless["code"], wordless["path"]) == ("BAD_INPUT", ["note"])
    no = {"key": "n", "redemption": danas, "note": "It is out of print"}
    assert (await api.ask(OFFICE, DECLINE, input=no))["redemption"]["status"] == "CANCELLED"
    late = await api.ask(OFFICE, APPROVE, input={"key": "late", "redemption": danas})
    assert late["code"] == "WRONG_STATE"
    assert await wallet(api, who["Bob"]) == {"SPARK": (100, 0), "GLOW": (10, 0)}
    assert await wallet(api, who["Dana"]) == {"SPARK": (100, 0), "GLOW": (60, 0)}  # all back
    (own,) = [e["node"] for e in (await api.ask(who["Dana"], QUEUE))["edges"]]
    assert (own["state"], own["note"]) == ("DECLINED", "It is out of print")
    states = [e["node"]["state"] for e in (await api.ask("admin:root", QUEUE))["edges"]]
    assert states == ["DELIVERED", "DECLINED"]


async def _report(api: Client, who: dict[str, str]) -> None:
    """Seven gifts: 40 + 50 + 20 + 10 + 20 + 30 + 50 = 220 points."""
    span = {"from": "2026-11-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}
    told = await api.ask(OFFICE, REPORT, **span)
    assert told == await api.ask("admin:ann:auditor", REPORT, **span)
    assert (told["times"], told["points"]) == (7, 220)
    assert [(x["value"]["code"], x["times"], x["points"]) for x in told["values"]] == [
        ("craft", 2, 100), ("care", 2, 50), ("courage", 2, 50), ("candour", 1, 20),
    ]  # fmt: skip
    assert told["values"][0]["share"] == 100 / 220
    assert [(x["giver"], x["receiver"], x["times"], x["points"]) for x in told["teams"]] == [
        ("engineering", "engineering", 2, 60),  # Ada to Bob 40, Bob to Ada 20
        ("engineering", "sales", 2, 100),  # Ada to Dana 50, Ada to Cem 50
        ("sales", "engineering", 1, 30),  # Dana to Bob 30
        ("sales", "sales", 2, 30),  # Cem to Dana 10, Dana to Cem 20
    ]
    assert (told["colleagues"], told["givers"], told["receivers"]) == (4, 4, 4)
    # Ada and Bob (60) and Cem and Dana (30) gave both ways, of five pairs.
    assert (told["pairs"], told["mutualPairs"], told["mutualShare"]) == (5, 2, 90 / 220)
    # A tenth of four is one: Bob was given 70, as much as Cem.
    assert told["topTenthShare"] == 70 / 220
    span["until"] = "2026-11-23T00:00:00Z"
    november = await api.ask(OFFICE, REPORT, **span)
    assert (november["times"], november["points"]) == (6, 170)  # without the last 50
    for bad in ({**span, "until": span["from"]}, {**span, "from": span["until"]}):
        assert "errors" in await api.send(OFFICE, REPORT, **bad)
    assert "errors" in await api.send(who["Ada"], REPORT, **span)


async def test_it_works_with_no_rewards_and_a_name_of_ones_own(database: str) -> None:
    """By settings alone: nothing to have for points, another sign, no values, one limit."""
    chosen = {
        "catalogue": False, "currency": "High fives", "emoji": "🙌", "values": {}, "allowance": 30,
    }  # fmt: skip
    (plugin,) = [p for p in collect().installed if p.name == "workplace"]
    assert plugin.rewards  # as it is set without a word
    import plugins.partners.workplace as workplace

    made = brand(workplace, chosen)
    declared = Declared(
        made.name, "1", made.partner, made.earn_rules, rewards=made.rewards, giving=made.giving
    )
    engine = Engine(await install(Programme(), [declared], NOW))
    async with client_of(engine, datetime(2026, 11, 22, 12, tzinfo=UTC)) as api:
        who, ids = await team_of_four(api)
        terms = await api.ask(who["Ada"], TERMS)
        assert terms == {
            "gives": {"code": "SPARK", "symbol": "🎁"},
            "arrives": {"name": "High fives", "symbol": "🙌"}, "values": [], "each": 50,
            "perDay": None, "toOne": {"points": 60, "per": "calendar 1M"},
            "back": {"points": 20, "per": "30D"}, "wordless": False,
        }  # fmt: skip
        sent = thanks(ids["Bob"], 30, "", "Up here", "k")
        del sent["value"]
        done = await api.ask(who["Ada"], GIVE, input=sent)
        assert done["recognition"]["currency"]["name"] == "High fives"
        assert done["recognition"]["value"] is None
        assert await wallet(api, who["Ada"]) == {"SPARK": (0, 0)}
        assert await wallet(api, who["Bob"]) == {"SPARK": (30, 0), "GLOW": (30, 0)}
        rewards = await api.ask(who["Bob"], "{ rewards { edges { node { code } } } }")
        assert rewards["edges"] == []
        span = {"from": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}
        told = await api.ask(OFFICE, REPORT, **span)
        assert [(x["value"], x["points"]) for x in told["values"]] == [(None, 30)]
        await _leaves(api, who["Bob"], ids)
        assert await prove() == []


async def _leaves(api: Client, bob: str, ids: dict[str, str]) -> None:
    """Whoever is in no team any more gives nothing, is given nothing, and reads nothing."""
    given = {
        "partner": "workplace", "member": {"card": "1"}, "notes": [{"name": "team", "value": None}],
    }  # fmt: skip
    assert (await api.ask(OFFICE, NOTE, input=given))["__typename"] == "MemberNoted"
    api.clock.tick(seconds=1)
    sent = thanks(ids["Cem"], 5, "", "Bye", "b")
    del sent["value"]
    assert (await api.ask(bob, GIVE, input=sent))["code"] == "NOT_ALLOWED"
    back = {**sent, "key": "c", "to": {"id": api.told(OFFICE, ids["Bob"])}, "giver": {"card": "2"}}
    refused = await api.ask(OFFICE, GIVE, input=back)
    assert (refused["code"], refused["path"]) == ("UNKNOWN_REFERENCE", ["to"])
    assert (await api.ask(bob, FEED))["edges"] == []
    named = [e["node"]["name"] for e in (await api.ask(OFFICE, COLLEAGUES, named="a"))["edges"]]
    assert named == ["Ada", "Dana"]
