"""Surveys over HTTP: counted, paged, and told to nobody whose affair they aren't."""

from __future__ import annotations

from typing import Any

from core.check import prove
from core.surveys import invite
from tests.core.inn import dispatched
from tests.schema.client import Client, receipt, statements
from tests.stories.test_voice import ANSWER, HOTEL, MINE

ANSWERS = """query($first: Int!, $after: String) { surveyAnswers(partner: "voice", survey: "stay",
  first: $first, after: $after) { edges { cursor node { id code invitedAt survey { question }
    partner { code } member { name } purchase { externalId }
    answer { score comment followedUpAt entries { amount explanation { text } } } } }
  pageInfo { hasNextPage endCursor } } }"""
NODE = "query($id: ID!) { node(id: $id) { ... on SurveyInvitation { code token link } } }"
WRONG = """query($after: String) { surveyAnswers(partner: "voice", survey: "stay",
  after: $after) { edges { cursor } } }"""


async def guests(api: Client, count: int) -> list[str]:
    """So many who stayed at seven, were asked at eleven, and answered in that order by noon."""
    made = []
    for n in range(count):
        made.append(api.member(await api.enrol(str(n), f"Guest {n}")))
        bought = receipt(f"S-{n}", str(n), "2026-11-22T07:00:00Z", ("room", "9.00"), currency="EUR")
        await api.buy(HOTEL, "voice", bought)
    await dispatched(api.engine, api.clock())
    assert await invite(api.engine, api.clock()) == count
    for n, who in enumerate(made):
        api.clock.tick(minutes=1)
        [edge] = (await api.ask(who, MINE))["surveyInvitations"]["edges"]
        given = {"invitation": edge["node"]["id"], "score": n % 11, "comment": f"By {n}"}
        done = await api.ask(who, ANSWER, input=given)
        assert done["__typename"] == "SurveyAnswered", done
    return made


async def test_a_list_of_answers_costs_the_same_however_long(api: Client) -> None:
    await guests(api, 6)
    for who in (HOTEL, "admin:root"):
        counts = []
        for first in (1, 6):
            with statements() as sent:
                found = await api.ask(who, ANSWERS, first=first)
            assert len(found["edges"]) == first
            counts.append(len(sent))
        assert counts[0] == counts[1], (who, counts)


async def test_pages_begin_where_the_last_one_ended(api: Client) -> None:
    await guests(api, 5)
    seen: list[int] = []
    after = None
    while True:
        found = await api.ask(HOTEL, ANSWERS, first=2, after=after)
        seen += [edge["node"]["answer"]["score"] for edge in found["edges"]]
        if not found["pageInfo"]["hasNextPage"]:
            break
        after = found["pageInfo"]["endCursor"]
    assert seen == [4, 3, 2, 1, 0]
    for wrong in ("x", "bm90ZTox", "YW5zd2VyOngueA==", "YW5zd2VyOjk5OTk5OTk5OTk5OTk5OTk5OS4x"):
        answer = await api.send(HOTEL, WRONG, after=wrong)
        assert answer["errors"][0]["extensions"]["field"] == ["after"], wrong


async def test_an_invitation_is_its_members_and_its_partners(api: Client) -> None:
    """The token is the partner's alone: not even an admin could answer in a member's place."""
    [ada] = await guests(api, 1)
    stranger = api.member(await api.enrol("9", "Bob"))
    [edge] = (await api.ask(HOTEL, ANSWERS, first=1))["edges"]
    known = edge["node"]["id"]
    own = (await api.ask(ada, MINE))["surveyInvitations"]["edges"][0]["node"]["id"]
    assert known == api.told(HOTEL, own) != own
    seen: dict[str, Any] = {}
    for who, id in ((HOTEL, known), (ada, own), ("admin:root", own), (stranger, own)):
        seen[who] = await api.ask(who, NODE, id=id)
    token = seen[HOTEL]["token"]
    assert seen[HOTEL]["link"] == f"https://quayside.example/survey#{token}"
    assert seen[ada] == seen["admin:root"] == {"code": "stay", "token": None, "link": None}
    assert seen[stranger] is None
    assert await api.ask("partner:grocer", NODE, id=known) is None


async def test_the_answers_of_who_was_erased_are_nobodys(api: Client) -> None:
    """They are counted and listed on; whose they were is nobody's to tell, nor a fault."""
    ada, _ = await guests(api, 2)
    [_, edge] = (await api.ask(HOTEL, ANSWERS, first=2))["edges"]
    token = (await api.ask(HOTEL, NODE, id=edge["node"]["id"]))["token"]
    erase = 'mutation { eraseMember(input: {key: "e", confirm: true}) { __typename } }'
    assert (await api.ask(ada, erase))["__typename"] == "MemberErased"
    for who in (HOTEL, "admin:root"):
        nodes = [e["node"] for e in (await api.ask(who, ANSWERS, first=2))["edges"]]
        told = [(n["member"] and n["member"]["name"], n["answer"]["comment"]) for n in nodes]
        assert told == [("Guest 1", "By 1"), (None, None)], who
    late = await api.ask(None, ANSWER, input={"token": token, "score": 9, "comment": "I was Ada"})
    assert late["__typename"] != "SurveyAnswered"
    assert await prove() == []
