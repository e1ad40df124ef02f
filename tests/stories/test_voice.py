"""Guests of Quayside Hotels are asked after their stays: links, thanks, an unhappy one, a report.

Every figure is worked out by hand beside it, and all goes through the API alone; the worker's turns
are taken here.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from graphql import parse, validate

from app.sending import telling
from core import dispatching
from core.check import prove
from core.surveys import invite
from schema.build import build_schema
from tests.core.listening import Receiver
from tests.schema.client import Client, receipt
from tests.schema.hooks import deliver, register
from tests.schema.wire import Live, holder_of, live

README = Path(__file__).parents[2] / "plugins" / "partners" / "voice" / "README.md"
HOTEL = "partner:voice"
ANSWER = """mutation($input: AnswerSurveyInput!) { answerSurvey(input: $input) { __typename
  ... on SurveyAnswered { replayed answer { kind score comment detractor answeredAt
    entries { amount } followedUpAt } }
  ... on Error { code message path } } }"""
ASKED = """query($token: String!) { surveyByToken(token: $token) { title question kind comment
  partnerName } }"""
LINK = """query($invitation: ID!, $member: ID!) { node(id: $invitation) { ... on SurveyInvitation {
  code link token until survey { question } answer { score comment } purchase { externalId } } }
  member(by: { id: $member }) { name } }"""
MINE = """{ me { ledgers { currency { code } balance { active } }
  surveyInvitations { edges { node { id code token link invitedAt until answer { score comment
    entries { amount explanation { text } } } purchase { externalId } } } } } }"""
LIST = """query($detractors: Boolean!) { surveyAnswers(partner: "voice", survey: "stay",
  detractors: $detractors) { edges { node { id member { name } answer { score comment detractor
    followedUpAt } } } } }"""
FOLLOW = """mutation($invitation: ID!) { followUpSurvey(invitation: $invitation) { __typename
  ... on SurveyFollowedUp { invitation { answer { followedUpAt } } }
  ... on Error { code message path } } }"""
REPORT = """query($from: DateTime!, $until: DateTime!) { surveyReport(partner: "voice",
  survey: "stay", from: $from, until: $until) {
  total { sent answered rate promoters passives detractors nps mean distribution { score times } }
  months { month summary { sent answered nps } } } }"""
STREAM = """subscription { surveyAnswered(partner: "voice", survey: "stay") { code
  answer { score comment } member { name } } }"""
CLOSED = "this link doesn't take an answer (any more)"


class Hotel:
    """The client, with what the story does often."""

    def __init__(self, api: Client) -> None:
        self.api = api
        self.receiver = Receiver(api.clock)
        self.read = 0

    def go(self, at: str) -> None:
        """Move the clock."""
        self.api.clock.at = datetime.fromisoformat(at)

    async def enrol(self, card: str, name: str) -> str:
        """A guest: how it calls."""
        return self.api.member(await self.api.enrol(card, name))

    async def stay(self, number: str, card: str, at: str, amount: str) -> None:
        """A guest pays its bill."""
        bought = receipt(number, card, at, ("room", amount), currency="EUR")
        [done] = await self.api.buy(HOTEL, "voice", bought)
        assert done["__typename"] == "PurchaseRecorded", done

    async def turn(self) -> list[dict[str, Any]]:
        """A turn of the worker: what was sent to the hotel's messenger."""
        also = telling(self.api.engine, self.api.clock)
        while await dispatching.dispatch(also):
            pass
        await invite(self.api.engine, self.api.clock())
        await deliver(self.api, self.receiver)
        new = self.receiver.got[self.read :]
        self.read = len(self.receiver.got)
        return [orjson.loads(body) for _, _, body in new]

    async def link(self) -> str:
        """The token of the one invitation that is told now."""
        [told] = await self.turn()
        assert told["type"] == "survey.invited", told
        page, _, token = told["data"]["node"]["link"].partition("#")
        assert (page, token) == ("https://quayside.example/survey", told["data"]["node"]["token"])
        return str(token)

    async def answer(
        self, token: str, score: int | None, comment: str = "", who: str | None = None
    ) -> dict[str, Any]:
        """Somebody answers by a link."""
        given: dict[str, Any] = {"token": token, "comment": comment}
        if score is not None:
            given["score"] = score
        done: dict[str, Any] = await self.api.ask(who, ANSWER, input=given)
        return done

    async def anchors(self, who: str) -> int:
        """What a guest has."""
        me = await self.api.ask(who, MINE)
        held = {x["currency"]["code"]: x["balance"]["active"] for x in me["ledgers"]}
        return int(held["ANCHOR"])


def test_the_readme_asks_what_the_schema_has() -> None:
    asked = re.findall(r"```graphql\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert asked
    for document in asked:
        assert validate(build_schema()._schema, parse(document)) == []
        wrong = document.replace("score", "stars")
        assert wrong == document or validate(build_schema()._schema, parse(wrong)) != []


async def test_a_stay_and_its_answer(api: Client) -> None:
    """From the bill to the report."""
    hotel = Hotel(api)
    await register(
        api, "voice", LINK, changes=["SURVEY_INVITED", "SURVEY_DETRACTOR"]
    )  # fmt: skip
    ada, ben = await hotel.enrol("1", "Ada"), await hotel.enrol("2", "Ben")
    await _by_the_link(hotel, ada)
    await _too_late(hotel, ben)
    await _glad_ones(hotel)
    await _the_report(hotel)
    await _the_unhappy_one(hotel)
    assert await prove() == []


async def _by_the_link(hotel: Hotel, ada: str) -> None:
    """Ada is asked four hours after her bill, once, and answers once."""
    api = hotel.api
    await hotel.stay("S-1", "1", "2026-11-22T11:30:00Z", "320.00")
    assert await hotel.turn() == []  # nobody is asked at the desk
    hotel.go("2026-11-22T15:29:59+00:00")
    assert await hotel.turn() == []
    hotel.go("2026-11-22T15:30:00+00:00")
    token = await hotel.link()
    assert await hotel.turn() == []  # and not twice
    # Whoever opens the link is told the question, and nobody's name.
    assert await api.ask(None, ASKED, token=token) == {
        "title": "Your stay", "question": "How likely are you to recommend us to a friend?",
        "kind": "NPS", "comment": True, "partnerName": "Quayside Hotels",
    }  # fmt: skip
    # A wrong score is said to be one, and the link is still good.
    wrong = await hotel.answer(token, 11)
    assert (wrong["code"], wrong["path"]) == ("BAD_INPUT", ["score"])
    assert (await hotel.answer(token, None, "well"))["path"] == ["score"]
    made_up = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    for text in (made_up, "x", ""):
        done = await hotel.answer(text, 4)
        assert (done["code"], done["message"], done["path"]) == ("NOT_ALLOWED", CLOSED, ["token"])
        assert await api.ask(None, ASKED, token=text) is None
    assert await hotel.anchors(ada) == 320  # an anchor a euro, and nothing for all that
    await _once(hotel, ada, token)


async def _once(hotel: Hotel, ada: str, token: str) -> None:
    """She answers, clicks again, and stays again soon after."""
    api = hotel.api
    hotel.go("2026-11-22T16:00:00+00:00")
    done = await hotel.answer(token, 4, "No hot water, and nobody came.")
    answer = {
        "kind": "NPS", "score": 4, "comment": "No hot water, and nobody came.",
        "detractor": True, "answeredAt": "2026-11-22T16:00:00Z",
        "entries": None, "followedUpAt": None,
    }  # fmt: skip
    assert done == {"__typename": "SurveyAnswered", "replayed": False, "answer": answer}
    # A second click says what the first did; another answer isn't taken, nor the question shown.
    hotel.go("2026-11-22T16:01:00+00:00")
    again = await hotel.answer(token, 4, "No hot water, and nobody came.")
    assert again == {**done, "replayed": True}
    other = await hotel.answer(token, 10, "No hot water, and nobody came.")
    assert (other["code"], other["message"]) == ("NOT_ALLOWED", CLOSED)
    assert await api.ask(None, ASKED, token=token) is None
    # 320 and 25 for the answer, once. That she was unhappy costs her nothing.
    assert await hotel.anchors(ada) == 345
    [edge] = (await api.ask(ada, MINE))["surveyInvitations"]["edges"]
    node = edge["node"]
    assert (node["code"], node["purchase"]["externalId"]) == ("stay", "S-1")
    assert (node["token"], node["link"]) == (None, None)  # a member needs none
    assert (node["invitedAt"], node["until"]) == ("2026-11-22T15:30:00Z", "2026-12-06T15:30:00Z")
    assert node["answer"]["score"] == 4
    assert [e["amount"] for e in node["answer"]["entries"]] == [25]
    # The hotel hears of it at once.
    [told] = await hotel.turn()
    assert told["type"] == "survey.detractor"
    assert told["data"]["node"]["answer"] == {
        "score": 4, "comment": "No hot water, and nobody came.",
    }  # fmt: skip
    assert told["data"]["member"] == {"name": "Ada"}
    # Another stay soon after: she was asked within ninety days, and isn't asked again.
    await hotel.stay("S-2", "1", "2026-11-22T16:00:30Z", "80.00")
    hotel.go("2026-11-22T21:00:00+00:00")
    assert await hotel.turn() == []
    assert await hotel.anchors(ada) == 425


async def _too_late(hotel: Hotel, ben: str) -> None:
    """Ben finds the link after two weeks: it is refused in the same words, and gives nothing."""
    hotel.go("2026-11-23T10:00:00+00:00")
    await hotel.stay("S-3", "2", "2026-11-23T10:00:00Z", "100.00")
    hotel.go("2026-11-23T14:00:00+00:00")
    token = await hotel.link()
    hotel.go("2026-12-07T14:00:00+00:00")
    done = await hotel.answer(token, 9)
    assert (done["code"], done["message"], done["path"]) == ("NOT_ALLOWED", CLOSED, ["token"])
    [edge] = (await hotel.api.ask(ben, MINE))["surveyInvitations"]["edges"]
    by_id = {"invitation": edge["node"]["id"], "score": 9}
    late = await hotel.api.ask(ben, ANSWER, input=by_id)
    assert (late["code"], late["path"]) == ("WRONG_STATE", ["invitation"])
    assert await hotel.anchors(ben) == 100
    assert await hotel.turn() == []


async def _glad_ones(hotel: Hotel) -> None:
    """Cem (a 9), Dina (a 10) and Eva (an 8) answer; Dina in her app, by the invitation."""
    api = hotel.api
    people = [await hotel.enrol("3", "Cem"), await hotel.enrol("4", "Dina")]
    people.append(await hotel.enrol("5", "Eva"))
    # Cem left in November, and the desk tells of it a week later: he is asked at once, in December.
    await hotel.stay("S-4", "3", "2026-11-30T10:00:00Z", "50.00")
    token = await hotel.link()
    assert (await hotel.answer(token, 9))["__typename"] == "SurveyAnswered"
    for number, card in (("S-5", "4"), ("S-6", "5")):
        await hotel.stay(number, card, "2026-12-07T10:00:00Z", "50.00")
    dinas, evas = await hotel.turn()
    [edge] = (await api.ask(people[1], MINE))["surveyInvitations"]["edges"]
    given = {"invitation": edge["node"]["id"], "score": 10, "comment": "The view!"}
    # Not by Eva, nor by nobody; and a till's token is no member's.
    assert (await api.ask(people[2], ANSWER, input=given))["code"] == "UNKNOWN_REFERENCE"
    assert (await api.ask(None, ANSWER, input=given))["code"] == "NOT_ALLOWED"
    assert "errors" in await api.send(HOTEL, ANSWER, input=given)
    assert (await api.ask(people[1], ANSWER, input=given))["__typename"] == "SurveyAnswered"
    assert (await hotel.answer(dinas["data"]["node"]["token"], 3))["code"] == "NOT_ALLOWED"
    assert (await hotel.answer(evas["data"]["node"]["token"], 8))["__typename"] == "SurveyAnswered"
    # 50 for the bill and 25 for the answer, each.
    assert [await hotel.anchors(who) for who in people] == [75, 75, 75]
    assert await hotel.turn() == []  # nobody of them is unhappy


async def _the_report(hotel: Hotel) -> None:
    """Asked: Ada and Ben in November; Cem, Dina and Eva in December, when they were."""
    span = {"from": "2026-11-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}
    report = await hotel.api.ask(HOTEL, REPORT, **span)
    # Five were asked, four answered: a 4, a 9, a 10 and an 8. Two glad less one unhappy of four is
    # a quarter; of November's one answer all are unhappy; of December's three two are glad.
    assert report == {
        "total": {
            "sent": 5, "answered": 4, "rate": 0.8, "promoters": 2, "passives": 1, "detractors": 1,
            "nps": 25.0, "mean": None, "distribution": [
                {"score": 4, "times": 1}, {"score": 8, "times": 1}, {"score": 9, "times": 1},
                {"score": 10, "times": 1}],
        },
        "months": [
            {"month": "2026-11-01", "summary": {"sent": 2, "answered": 1, "nps": -100.0}},
            {"month": "2026-12-01", "summary": {"sent": 3, "answered": 3, "nps": 100 * 2 / 3}},
        ],
    }  # fmt: skip
    assert await hotel.api.ask("admin:root:auditor", REPORT, **span) == report
    other = await hotel.api.send("partner:grocer", REPORT, **span)
    assert other["errors"][0]["extensions"]["field"] == ["partner"]
    answers = await hotel.api.ask(HOTEL, LIST, detractors=False)
    assert [e["node"]["answer"]["score"] for e in answers["edges"]] == [8, 10, 9, 4]


async def _the_unhappy_one(hotel: Hotel) -> None:
    """The manager finds Ada, calls her, and says so."""
    [edge] = (await hotel.api.ask(HOTEL, LIST, detractors=True))["edges"]
    assert edge["node"]["member"] == {"name": "Ada"}
    assert edge["node"]["answer"]["followedUpAt"] is None
    for who in ("partner:grocer", HOTEL, HOTEL):
        done = await hotel.api.ask(who, FOLLOW, invitation=edge["node"]["id"])
        if who != HOTEL:
            assert done["code"] == "UNKNOWN_REFERENCE"
        else:
            at = done["invitation"]["answer"]["followedUpAt"]
            assert at == "2026-12-07T14:00:00Z"
        hotel.api.clock.tick(minutes=0 if who != HOTEL else 1)


async def test_answers_are_told_live(api: Client) -> None:
    """The hotel's screen shows each as it comes; another partner's shows none."""
    hotel = Hotel(api)
    await register(api, "voice", LINK, changes=["SURVEY_INVITED"])
    ada = await api.enrol("1", "Ada")
    await hotel.stay("S-1", "1", "2026-11-22T07:00:00Z", "10.00")
    token = await hotel.link()
    async with live(api) as served, served.open(HOTEL) as wire:
        await wire.subscribe("1", STREAM)
        async with served.open("partner:grocer") as other:
            await other.subscribe("1", STREAM)
            assert (await other.error())["extensions"]["field"] == ["partner"]
        await served.followed(1)
        await hotel.answer(token, 2, "Never again")
        await wire.quiet()  # it wasn't told yet
        await _heard(served, holder_of(ada))
        assert await wire.next() == {
            "code": "stay", "answer": {"score": 2, "comment": "Never again"},
            "member": {"name": "Ada"},
        }  # fmt: skip
        await wire.quiet()


async def _heard(served: Live, holder: int) -> None:
    """Hand the feed what the dispatcher tells all processes."""
    from core.db import reading
    from core.outbox import notices
    from core.store.writes import ChangeRow

    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT event_id, holder_id, partner_id, kind, currencies, ladders, redemption_id "
            "FROM outbox"
        )
    changes = [ChangeRow(r[0], r[1], r[2], r[3], tuple(r[4]), tuple(r[5]), r[6]) for r in rows]
    assert {change.holder for change in changes} == {holder}
    for notice in notices(changes):
        served.feed.hear(notice)
