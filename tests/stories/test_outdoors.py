"""A member of Treeline through a season: walks, a streak, five trails, and a tent to test.

Every figure is worked out by hand beside it, and all goes through the API alone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from graphql import parse, validate

from core.check import prove
from schema.build import build_schema
from tests.schema.client import REDEEM, Client, receipt

README = Path(__file__).parents[2] / "plugins" / "partners" / "outdoors" / "README.md"
STAFF = "partner:outdoors"
CREATE = """mutation($input: CreateMeetupInput!) { createMeetup(input: $input) { __typename
  ... on MeetupSaved { replayed meetup { code placesLeft checkInFrom tags } }
  ... on Error { code message path } } }"""
CANCEL = """mutation($input: CancelMeetupInput!) { cancelMeetup(input: $input) { __typename
  ... on MeetupSaved { replayed meetup { cancelledAt } } ... on Error { code path } } }"""
REGISTER = """mutation($input: MeetupSeatInput!) { registerForMeetup(input: $input) { __typename
  ... on RegistrationSaved { replayed registration { meetup { code placesLeft } } }
  ... on Error { code message path } } }"""
GIVE_UP = """mutation($input: MeetupSeatInput!) { cancelRegistration(input: $input) { __typename
  ... on RegistrationSaved { replayed registration { cancelledAt meetup { placesLeft } } }
  ... on Error { code message path } } }"""
CHECK_IN = """mutation($input: CheckInInput!) { checkIn(input: $input) { __typename
  ... on CheckedIn { replayed registration { attendedAt entries { amount currency { code }
    explanation { text } } } }
  ... on Error { code message path } } }"""
MINE = """query($from: DateTime) { meetups(partner: "outdoors", from: $from) { edges { node { code
  placesLeft myRegistration { checkInCode { text until } attendedAt cancelledAt } } } } }"""
ME = """{ me { ledgers { currency { code } balance { active } }
  tiers { ladder { code } current { code } }
  progress { rule current target missing missingThings } badges { currency { code } times }
  registrations { edges { node { attendedAt cancelledAt meetup { code } } } } } }"""

#: The trailhead, near Boulder; and downtown Denver, some 40 km away.
TRAILHEAD = {"latitude": 39.9986, "longitude": -105.2935}
DOWNTOWN = {"latitude": 39.7392, "longitude": -104.9903}
START = datetime(2026, 11, 22, 12, tzinfo=UTC)


def walk(code: str, start: str, hours: float = 3, **more: Any) -> dict[str, Any]:
    """A meetup at the trailhead."""
    begins = datetime.fromisoformat(start)
    return {
        "partner": "outdoors", "code": code, "title": f"A walk: {code}",
        "place": {"name": "Chautauqua trailhead", **TRAILHEAD, "radius": 150},
        "startsAt": begins.isoformat(), "endsAt": (begins + timedelta(hours=hours)).isoformat(),
        **more,
    }  # fmt: skip


def seat(code: str) -> dict[str, str]:
    """A member's place."""
    return {"partner": "outdoors", "meetup": code}


class Season:
    """The client, with what the story does often."""

    def __init__(self, api: Client) -> None:
        self.api = api

    def go(self, at: str) -> None:
        """Move the clock."""
        self.api.clock.at = datetime.fromisoformat(at)

    async def code(self, who: str, meetup: str) -> str | None:
        """What a member's app shows for a meetup now."""
        found = await self.api.ask(who, MINE)
        [node] = [e["node"] for e in found["edges"] if e["node"]["code"] == meetup]
        shown = node["myRegistration"]["checkInCode"]
        return None if shown is None else str(shown["text"])

    async def scan(self, code: str | None, where: dict[str, float] = TRAILHEAD) -> dict[str, Any]:
        """A steward scans a code."""
        given = {"partner": "outdoors", "code": code, **where}
        done: dict[str, Any] = await self.api.ask(STAFF, CHECK_IN, input=given)
        return done

    async def attend(self, who: str, meetup: str) -> dict[str, int]:
        """A member registered comes and is checked in: what it earned."""
        done = await self.scan(await self.code(who, meetup))
        assert done["__typename"] == "CheckedIn", done
        assert not done["replayed"]
        return _earned(done)


def _earned(done: dict[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in done["registration"]["entries"]:
        code = entry["currency"]["code"]
        found[code] = found.get(code, 0) + entry["amount"]
    return found


def _refused(done: dict[str, Any]) -> tuple[str, list[str]]:
    return done["code"], done["path"]


async def standing(api: Client, who: str) -> tuple[int, str, list[str]]:
    """(cairns, tier, what is missing of the trails)."""
    me = await api.ask(who, ME)
    held = {x["currency"]["code"]: x["balance"]["active"] for x in me["ledgers"]}
    [tier] = [t["current"]["code"] for t in me["tiers"] if t["ladder"]["code"] == "outdoors"]
    missing = [p["missingThings"] for p in me["progress"] if p["rule"] == "trails"]
    return held.get("CAIRN", 0), tier, missing[0] if missing else []


def test_the_readme_asks_what_the_schema_has() -> None:
    (asked,) = re.findall(r"```graphql\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert validate(build_schema()._schema, parse(asked)) == []
    assert validate(build_schema()._schema, parse(asked.replace("placesLeft", "seats"))) != []


async def test_a_season(api: Client) -> None:
    """From the first walk to the field test."""
    season = Season(api)
    ada = api.member(await api.enrol("1", "Ada"))
    ben = api.member(await api.enrol("2", "Ben"))
    await _first_walk(season, ada, ben)
    # 150 dollars of gear are 150 cairns; the gift card earns none. 100 + 150 = 250.
    season.go("2026-11-29T18:00:00+00:00")
    bought = receipt("T-1", "1", "2026-11-29T18:00:00Z", ("tent", "150.00"), ("gift card", "50.00"))
    [done] = await api.buy(STAFF, "outdoors", bought)
    assert [e["amount"] for e in done["entries"]] == [150]
    assert await standing(api, ada) == (250, "wanderer", ["coast", "lake", "canyon", "forest"])
    await _new_years_eve(season, ada)
    await _early_places(season, ada, ben)
    await _five_trails(season, ada, ben)
    await _a_storm(season, ada, ben)
    await _who_sees_what(season, ben)
    assert await prove() == []


async def _first_walk(season: Season, ada: str, ben: str) -> None:
    """One place; check-in at the wrong time, place and with dead codes; and then right."""
    api = season.api
    made = await api.ask(
        STAFF, CREATE, input=walk("ridge", "2026-11-28T16:00+00:00", capacity=1, tags=["ridge"])
    )
    assert made == {
        "__typename": "MeetupSaved", "replayed": False, "meetup": {
            "code": "ridge", "placesLeft": 1, "checkInFrom": "2026-11-28T15:30:00Z",
            "tags": ["ridge"],
        },
    }  # fmt: skip
    done = await api.ask(ada, REGISTER, input=seat("ridge"))
    assert done["registration"] == {"meetup": {"code": "ridge", "placesLeft": 0}}
    full = await api.ask(ben, REGISTER, input=seat("ridge"))
    assert (*_refused(full), full["message"]) == (
        "NOT_ELIGIBLE", ["meetup"], "all 1 places are taken",
    )  # fmt: skip
    # Half past three is when check-in opens: a second before is too early, at that very instant
    # it would be open.
    season.go("2026-11-28T15:29:59+00:00")
    assert _refused(await season.scan(await season.code(ada, "ridge"))) == ("NOT_ELIGIBLE", ["at"])
    season.go("2026-11-28T15:50:30+00:00")
    pictured = await season.code(ada, "ridge")
    far = await season.scan(pictured, DOWNTOWN)
    assert _refused(far) == ("NOT_ELIGIBLE", ["latitude"])
    # Of 15:50 and 15:51 it is good; sent on and shown at 15:52:00, it is dead.
    season.go("2026-11-28T15:52:00+00:00")
    late = await season.scan(pictured)
    assert _refused(late) == ("NOT_ELIGIBLE", ["code"])
    assert "run out" in late["message"]
    assert (await standing(season.api, ada))[0] == 0
    kept = await season.code(ada, "ridge")
    season.go("2026-11-28T15:53:10+00:00")
    shown = await season.code(ada, "ridge")
    assert shown != kept
    done = await season.scan(shown)
    assert done["registration"]["attendedAt"] == "2026-11-28T15:53:10Z"
    [entry] = done["registration"]["entries"]
    assert (entry["amount"], entry["currency"]["code"]) == (100, "CAIRN")
    assert entry["explanation"]["text"] == "100 for coming along: 100 Cairns; 100 a visit."
    # The very same call again is answered as before; the other code, as fresh, checks nobody in.
    again = await season.scan(shown)
    assert again == {**done, "replayed": True}
    assert _refused(await season.scan(kept)) == ("WRONG_STATE", ["code"])
    assert await season.code(ada, "ridge") is None
    # Who was there doesn't make room for Ben afterwards.
    assert _refused(await api.ask(ada, GIVE_UP, input=seat("ridge"))) == ("WRONG_STATE", ["meetup"])
    assert await standing(api, ada) == (100, "wanderer", ["coast", "lake", "canyon", "forest"])


async def _new_years_eve(season: Season, ada: str) -> None:
    """Ten in the evening of 31 December at Treeline: in UTC it is January."""
    api = season.api
    coast = walk("coast", "2027-01-01T04:00+00:00", 3.5, tags=["coast"])
    await api.ask(STAFF, CREATE, input=coast)
    done = await api.ask(ada, REGISTER, input=seat("coast"))
    assert done["registration"]["meetup"]["placesLeft"] is None
    season.go("2027-01-01T05:00:00+00:00")
    # 100 for coming; the second month in a row. 250 + 100 = 350: an explorer from 300 on.
    assert await season.attend(ada, "coast") == {"CAIRN": 100}
    assert await standing(api, ada) == (350, "explorer", ["lake", "canyon", "forest"])


async def _early_places(season: Season, ada: str, ben: str) -> None:
    """Explorers first: Ben must wait until the fifth."""
    api = season.api
    lake = walk(
        "lake", "2027-01-09T16:00+00:00", capacity=2, tags=["lake"],
        tier={"ladder": "outdoors", "tier": "explorer"}, openToAllAt="2027-01-05T07:00:00Z",
    )  # fmt: skip
    await api.ask(STAFF, CREATE, input=lake)
    season.go("2027-01-05T06:59:59+00:00")
    early = await api.ask(ben, REGISTER, input=seat("lake"))
    assert _refused(early) == ("NOT_ELIGIBLE", ["meetup"])
    assert early["message"].startswith("for tier Explorer and above until 2027-01-05T07:00")
    assert (await api.ask(ada, REGISTER, input=seat("lake")))["__typename"] == "RegistrationSaved"
    season.go("2027-01-05T07:00:00+00:00")
    done = await api.ask(ben, REGISTER, input=seat("lake"))
    assert done["registration"]["meetup"] == {"code": "lake", "placesLeft": 0}
    done = await api.ask(ben, GIVE_UP, input=seat("lake"))
    assert (done["replayed"], done["registration"]["meetup"]["placesLeft"]) == (False, 1)
    assert (await api.ask(ben, GIVE_UP, input=seat("lake")))["replayed"]
    season.go("2027-01-09T18:59:59.999999+00:00")
    # A breath before the end: 100, and 150 for November, December, January. 350 + 250 = 600.
    assert await season.attend(ada, "lake") == {"CAIRN": 250}
    assert await standing(api, ada) == (600, "explorer", ["canyon", "forest"])


async def _five_trails(season: Season, ada: str, ben: str) -> None:
    """The last two trails in one walk: the set, its badge, the tier, and what that opens."""
    api = season.api
    wish = {"key": "t", "partner": "outdoors", "reward": "field-test"}
    refused = await api.ask(ada, REDEEM, input=wish)
    assert refused["code"] == "NOT_ELIGIBLE"
    await api.ask(
        STAFF, CREATE, input=walk("both", "2027-01-23T16:00+00:00", tags=["canyon", "forest"])
    )
    await api.ask(ada, REGISTER, input=seat("both"))
    season.go("2027-01-23T16:00:00+00:00")
    # 100 for coming and 500 for the set; January has counted in the streak. 600 + 600 = 1200: a
    # pathfinder from 1000 on.
    assert await season.attend(ada, "both") == {"CAIRN": 600, "FIVE-TRAILS": 1}
    assert await standing(api, ada) == (1200, "pathfinder", [])
    me = await api.ask(ada, ME)
    assert me["badges"] == [{"currency": {"code": "FIVE-TRAILS"}, "times": 1}]
    assert [p for p in me["progress"] if p["missingThings"]] == []
    # The tent costs 250: 1200 - 250 = 950. The first look costs 1: 949.
    done = await api.ask(ada, REDEEM, input={**wish, "key": "t2"})
    assert done["__typename"] == "RewardRedeemed", done
    look = {**wish, "key": "l", "reward": "first-look"}
    assert (await api.ask(ada, REDEEM, input=look))["__typename"] == "RewardRedeemed"
    assert (await api.ask(ben, REDEEM, input=look))["code"] == "NOT_ELIGIBLE"
    # What was spent costs nobody a tier.
    assert await standing(api, ada) == (949, "pathfinder", [])


async def _a_storm(season: Season, ada: str, ben: str) -> None:
    """A meetup that doesn't take place."""
    api = season.api
    await api.ask(STAFF, CREATE, input=walk("peak", "2027-02-06T16:00+00:00", tags=["ridge"]))
    await api.ask(ada, REGISTER, input=seat("peak"))
    kept = await season.code(ada, "peak")
    assert kept is not None
    off = {"partner": "outdoors", "code": "peak"}
    done = await api.ask(STAFF, CANCEL, input=off)
    assert done["meetup"] == {"cancelledAt": "2027-01-23T16:00:00Z"}
    assert (await api.ask(STAFF, CANCEL, input=off))["replayed"]
    assert await season.code(ada, "peak") is None
    assert _refused(await season.scan(kept)) == ("WRONG_STATE", ["code"])
    assert _refused(await api.ask(ben, REGISTER, input=seat("peak"))) == ("WRONG_STATE", ["meetup"])
    assert (await standing(api, ada))[0] == 949


async def _who_sees_what(season: Season, ben: str) -> None:
    """Treeline sees who comes, others see nothing of it; a member's places are in one list."""
    api = season.api
    since = {"from": START.isoformat()}
    listed = """query($from: DateTime) { meetups(from: $from) { edges { node { code
      registrations { edges { node { attendedAt member { name } } } } } } } }"""
    found = await api.ask(STAFF, listed, **since)
    come = {
        e["node"]["code"]: [
            (x["node"]["member"]["name"], x["node"]["attendedAt"] is not None)
            for x in e["node"]["registrations"]["edges"]
        ]
        for e in found["edges"]
    }
    assert come == {
        "ridge": [("Ada", True)], "coast": [("Ada", True)], "lake": [("Ada", True)],
        "both": [("Ada", True)], "peak": [("Ada", False)],
    }  # fmt: skip
    assert (await api.ask("partner:grocer", listed, **since))["edges"] == []
    assert [e["node"]["registrations"] for e in (await api.ask(ben, listed, **since))["edges"]] == [
        None
    ] * 5
    mine = (await api.ask(ben, ME))["registrations"]["edges"]
    assert [(e["node"]["meetup"]["code"], e["node"]["cancelledAt"]) for e in mine] == [
        ("lake", "2027-01-05T07:00:00Z")
    ]
