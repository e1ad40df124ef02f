"""One view of a guest of Quayside Hotels: a year of what it bought and said, and what to do next.

Every figure is worked out by hand beside it, and all goes through the API alone.
"""

from __future__ import annotations

from typing import Any

from core.check import prove
from tests.schema.client import REDEEM, Client
from tests.schema.hooks import register
from tests.stories.test_voice import FOLLOW, HOTEL, LINK, Hotel

NEXT = """query($card: String!, $partner: String!) { member(by: { card: $card }) {
  nextBestAction(partner: $partner) { kind because figures { name value } } } }"""
VIEW = """query($card: String!) { member(by: { card: $card }) { name
  ledgers { balance { active } } tiers { ladder { code } current { code } }
  purchases(first: 2) { edges { node { externalId total { amount } } cursor }
    pageInfo { hasNextPage endCursor } }
  surveyInvitations(answered: true) { edges { node { code answer { score } } } }
  offers { rule } redemptions { edges { node { reward { code } } } }
  contacts { at kind note invitation { code answer { score } } partner { code } } } }"""
MORE = """query($after: String!) { me { purchases(after: $after) { edges { node { externalId } }
  pageInfo { hasNextPage } } } }"""
NOTE = """mutation($input: NoteMemberInput!) { noteMember(input: $input) { __typename } }"""
ADJUST = """mutation($input: AdjustPointsInput!) { adjustPoints(input: $input) { __typename
  ... on Error { message } } }"""


class Desk(Hotel):
    """The hotel's desk, which looks at the guest with card 1."""

    async def next(self, who: str = HOTEL, partner: str = "voice") -> dict[str, Any] | None:
        """What it is told to do."""
        member = await self.api.ask(who, NEXT, card="1", partner=partner)
        found: dict[str, Any] | None = member["nextBestAction"]
        return found

    async def pressing(self) -> tuple[str, str]:
        """The same as (kind, because)."""
        found = await self.next()
        assert found is not None
        return found["kind"], found["because"]

    async def visit(self, number: str, day: str, amount: str) -> None:
        """A stay of the guest's, told as it ends: at ten."""
        self.go(f"{day}T10:00:00+00:00")
        await self.stay(number, "1", f"{day}T10:00:00Z", amount)

    async def asked(self, day: str, score: int, comment: str = "") -> None:
        """Four hours after a stay the guest is asked, and answers."""
        self.go(f"{day}T14:00:00+00:00")
        done = await self.answer(await self.link(), score, comment)
        assert done["__typename"] == "SurveyAnswered", done


async def test_one_view_of_a_guest(api: Client) -> None:
    """A glad summer, a long absence, a bad night, and a year that ends."""
    desk = Desk(api)
    await register(api, "voice", LINK, changes=["SURVEY_INVITED"])
    desk.go("2026-06-01T09:00:00+00:00")
    dina = await desk.enrol("1", "Dina")
    assert await api.ask(HOTEL, NEXT, card="1", partner="voice") is None  # it doesn't know her yet
    await _summer(desk, dina)
    await _away(desk)
    await _a_bad_night(desk)
    await _the_view(desk, dina)
    await _a_year_on(desk)
    assert await prove() == []


async def _summer(desk: Desk, dina: str) -> None:
    # 500 anchors for 500 euros: breakfast for two is 400 of them.
    await desk.visit("V-1", "2026-06-01", "500.00")
    assert await desk.pressing() == ("REWARD", "has the 400 Anchors for 'Breakfast for two'")
    # A ten, and 25 for it: 525. She has her breakfast: 125, and checking out at two is 150.
    await desk.asked("2026-06-01", 10)
    order = {"key": "b", "partner": "voice", "reward": "breakfast"}
    assert (await desk.api.ask(dina, REDEEM, input=order))["__typename"] == "RewardRedeemed"
    assert await desk.next() == {
        "kind": "THANK", "because": "answered 10 to 'Your stay' on 2026-06-01",
        "figures": [{"name": "score", "value": 10}, {"name": "days since", "value": 0}],
    }  # fmt: skip
    # 400 euros more: 525 in hand. Of the year's 1000 for a regular 500 + 25 + 400 are earned: 75
    # are missing, which is less than a fifth.
    await desk.visit("V-2", "2026-07-01", "400.00")
    assert await desk.next() == {
        "kind": "TIER", "because": "75 Anchors more of 1000 make Regular",
        "figures": [{"name": "missing", "value": 75}, {"name": "needed", "value": 1000}],
    }  # fmt: skip
    # The desk offers her 200 for coming back; she does, and the offer is used: 525 + 100 + 200.
    noted = {"partner": "voice", "member": {"card": "1"}, "notes": [{"name": "offer:come-back"}]}
    await desk.api.ask(HOTEL, NOTE, input=noted)
    assert await desk.pressing() == (
        "OFFER", "'200 when you come back to us' is on offer, and wasn't used yet",
    )  # fmt: skip
    await desk.visit("V-3", "2026-07-31", "100.00")
    assert await desk.anchors(dina) == 825
    assert (await desk.pressing())[0] == "REWARD"


async def _away(desk: Desk) -> None:
    # She comes every thirty days: sixty are twice as long, and a second more is too long.
    desk.go("2026-09-29T10:00:00+00:00")
    assert (await desk.pressing())[0] == "REWARD"
    desk.go("2026-09-29T10:00:01+00:00")
    assert await desk.next() == {
        "kind": "WIN_BACK",
        "because": "usually comes every 30 days, and was last here 60 days ago",
        "figures": [{"name": "usual days", "value": 30}, {"name": "days away", "value": 60}],
    }  # fmt: skip


async def _a_bad_night(desk: Desk) -> None:
    # Asked again, for the last time was four months ago. 825 + 10 + 200 (the offer stands) + 25.
    await desk.visit("V-4", "2026-10-01", "10.00")
    await desk.asked("2026-10-01", 3, "The room was cold")
    assert await desk.pressing() == (
        "ASK_WHY",
        "answered 3 to 'Your stay' on 2026-10-01, and nobody spoke with the member since",
    )
    # The manager calls, gives her 50, and says so.
    desk.go("2026-10-02T09:00:00+00:00")
    sorry = {
        "key": "s", "member": {"card": "1"}, "currency": "ANCHOR", "points": 50,
        "reason": "goodwill", "note": "Called; the heating was off", "partner": "voice",
    }  # fmt: skip
    done = await desk.api.ask("admin:root", ADJUST, input=sorry)
    assert done["__typename"] == "PointsAdjusted", done
    assert (await desk.pressing())[0] == "ASK_WHY"
    query = """{ surveyAnswers(partner: "voice", survey: "stay", detractors: true) {
      edges { node { id } } } }"""
    [edge] = (await desk.api.ask(HOTEL, query))["edges"]
    await desk.api.ask(HOTEL, FOLLOW, invitation=edge["node"]["id"])
    assert (await desk.pressing())[0] == "REWARD"


async def _the_view(desk: Desk, dina: str) -> None:
    view = await desk.api.ask("admin:root", VIEW, card="1")
    # 825 + 10 + 200 + 25 + 50 = 1110.
    assert [x["balance"]["active"] for x in view["ledgers"]] == [1110]
    # Earned in the year: 500 + 25 + 400 + 300 + 210 + 25: a regular.
    assert {"ladder": {"code": "voice"}, "current": {"code": "regular"}} in view["tiers"]
    assert [e["node"] for e in view["purchases"]["edges"]] == [
        {"externalId": "V-4", "total": {"amount": "10.00"}},
        {"externalId": "V-3", "total": {"amount": "100.00"}},
    ]
    assert view["purchases"]["pageInfo"]["hasNextPage"]
    rest = await desk.api.ask(dina, MORE, after=view["purchases"]["pageInfo"]["endCursor"])
    assert [e["node"]["externalId"] for e in rest["purchases"]["edges"]] == ["V-2", "V-1"]
    assert not rest["purchases"]["pageInfo"]["hasNextPage"]
    answers = [e["node"]["answer"]["score"] for e in view["surveyInvitations"]["edges"]]
    assert answers == [3, 10]
    assert view["offers"] == [{"rule": "come-back"}]
    contacts = [(c["at"][:10], c["kind"], c["note"]) for c in view["contacts"]]
    assert contacts == [
        ("2026-10-02", "NOTE", "Called; the heating was off"),
        ("2026-10-01", "ANSWERED", None),
        ("2026-10-01", "ASKED", None),
        ("2026-06-01", "ANSWERED", None),
        ("2026-06-01", "ASKED", None),
    ]
    assert {c["partner"]["code"] for c in view["contacts"]} == {"voice"}
    # The hotel sees the same; a guest no notes, and nothing of what to do with her.
    hotels = await desk.api.ask(HOTEL, VIEW, card="1")
    assert hotels == view | {"tiers": hotels["tiers"]}  # of other partners' ladders it isn't told
    own = await desk.api.ask(dina, VIEW, card="1")
    assert own["contacts"] == view["contacts"][1:]
    assert await desk.next(dina) is None
    assert await desk.next(HOTEL, "grocer") is None
    # Another partner doesn't know her; once it does, it is told nothing of the hotel's.
    assert await desk.api.ask("partner:grocer", VIEW, card="1") is None
    at = {"externalId": "G", "member": {"card": "1"}, "occurredAt": "2026-10-02T08:00:00Z"}
    line = {"currency": "USD", "lines": [{"productType": "PRODUCE", "amount": "1.00"}]}
    await desk.api.buy("partner:grocer", "grocer", {**at, **line})
    theirs = await desk.api.ask("partner:grocer", VIEW, card="1")
    assert [e["node"]["externalId"] for e in theirs["purchases"]["edges"]] == ["G"]
    assert theirs["contacts"] == theirs["surveyInvitations"]["edges"] == []
    assert await desk.next("partner:grocer") is None


async def _a_year_on(desk: Desk) -> None:
    # Of the first 500 anchors 100 are left after her breakfast; they last a year, until ten.
    await desk.visit("V-5", "2027-05-10", "10.00")
    desk.go("2027-05-15T10:00:00+00:00")
    assert await desk.next() == {
        "kind": "EXPIRING", "because": "100 Anchors expire on 2027-06-01",
        "figures": [{"name": "points", "value": 100}, {"name": "days left", "value": 17}],
    }  # fmt: skip
