"""Meetups over HTTP: who reads and changes what, page by page, at the same cost however many."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from core.check import prove
from schema.build import build_schema
from schema.context import Context, Viewer
from schema.roles import Scope
from tests.schema.client import Client, statements

STAFF = "partner:outdoors"
CREATE = """mutation($input: CreateMeetupInput!) { createMeetup(input: $input) { __typename
  ... on MeetupSaved { replayed meetup { id code } } ... on Error { code message path } } }"""
REGISTER = """mutation($input: MeetupSeatInput!) { registerForMeetup(input: $input) { __typename
  ... on RegistrationSaved { replayed registration { id } } ... on Error { code path } } }"""
CHECK_IN = """mutation($input: CheckInInput!) { checkIn(input: $input) { __typename
  ... on CheckedIn { replayed registration { id bookedAt } } ... on Error { code path } } }"""
ALL = """query($first: Int!, $after: String) { meetups(first: $first, after: $after) {
  pageInfo { hasNextPage endCursor } edges { node { id code } } } }"""
WHOLE = """query($n: Int!) { meetups(first: $n) { edges { node { code placesLeft partner { name }
  place { name radius } tier { tier } myRegistration { attendedAt meetup { code } }
  registrations(first: 10) { edges { node { attendedAt bookedAt entries { amount }
    meetup { code } member { id name registrations { edges { node { attendedAt } } } } } } }
  } } } }"""
MEMBERS = """query($n: Int!) { members(first: $n) { edges { node { registrations(first: 5) {
  edges { node { attendedAt bookedAt entries { amount } meetup { code partner { code } } } } }
  progress { missingThings } } } } }"""
WHO = """query($id: ID!, $after: String) { node(id: $id) { ... on Meetup {
  registrations(first: 2, after: $after) { pageInfo { hasNextPage endCursor }
    edges { node { id member { id } } } } } } }"""
NODE = "query($id: ID!) { node(id: $id) { __typename id } }"
CODE = "query($id: ID!) { node(id: $id) { ... on MeetupRegistration { checkInCode { text } } } }"


def meetup(api: Client, code: str, hours: float = 0, **more: Any) -> dict[str, Any]:
    """One that begins now, or later."""
    begins = api.clock() + timedelta(hours=hours)
    return {
        "partner": "outdoors", "code": code, "title": code,
        "place": {"name": "The gate", "latitude": 40.0, "longitude": -105.0},
        "startsAt": begins.isoformat(), "endsAt": (begins + timedelta(hours=9)).isoformat(), **more,
    }  # fmt: skip


async def _season(api: Client, members: int, meetups: int) -> list[str]:
    """So many members, each at so many meetups, checked in at the first: their tokens' names."""
    found = [api.member(await api.enrol(str(n))) for n in range(members)]
    for m in range(meetups):
        given = meetup(api, f"m-{m}", m / 8, tags=["ridge", f"t-{m}"])
        assert (await api.ask(STAFF, CREATE, input=given))["__typename"] == "MeetupSaved"
        for who in found:
            seat = {"partner": "outdoors", "meetup": f"m-{m}"}
            done = await api.ask(who, REGISTER, input=seat)
            assert done["__typename"] == "RegistrationSaved", done
            if not m:
                done = await _checked_in(api, who, done["registration"]["id"])
                assert done["registration"]["bookedAt"] is not None
    return found


async def _checked_in(api: Client, who: str, registration: str) -> Any:
    shown = await api.ask(who, CODE, id=registration)
    code = shown["checkInCode"]["text"]
    given = {"partner": "outdoors", "code": code, "latitude": 40.0, "longitude": -105.0}
    return await api.ask(STAFF, CHECK_IN, input=given)


@pytest.mark.parametrize("who", ["admin:root", STAFF])
async def test_lists_cost_the_same_however_long(api: Client, who: str) -> None:
    await _season(api, 4, 4)
    for query in (WHOLE, MEMBERS):
        counts = []
        for n in (1, 2, 4):
            with statements() as sent:
                found = await api.ask(who, query, n=n)
            counts.append(len(sent))
            assert len(found["edges"]) == n
        assert counts == [counts[0]] * 3, query
    assert await prove() == []


async def test_pages_are_complete_and_end(api: Client) -> None:
    members = await _season(api, 3, 3)
    after, seen = None, []
    while True:
        found = await api.ask(members[0], ALL, first=2, after=after)
        seen += [e["node"]["code"] for e in found["edges"]]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert seen == ["m-0", "m-1", "m-2"]
    first = (await api.ask(STAFF, ALL, first=1))["edges"][0]["node"]["id"]
    page = (await api.ask(STAFF, WHO, id=first))["registrations"]
    assert (len(page["edges"]), page["pageInfo"]["hasNextPage"]) == (2, True)
    rest = await api.ask(STAFF, WHO, id=first, after=page["pageInfo"]["endCursor"])
    ids = [e["node"]["member"]["id"] for x in (page, rest["registrations"]) for e in x["edges"]]
    assert len(ids) == len(set(ids)) == 3
    # What a partner is told of places in a list holds no member's number.
    cursor = base64.urlsafe_b64decode(page["pageInfo"]["endCursor"]).decode()
    holders = [who.partition(":")[2] for who in members]
    assert not any(holder in cursor for holder in holders)
    for field, variables in ((ALL, {"first": 1}), (WHO, {"id": first})):
        answer = await api.send(STAFF, field, **variables, after="bm9uZTox")
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_what_has_not_ended_is_listed_unless_another_span_is_asked_for(api: Client) -> None:
    for hours in (0, 24):
        given = meetup(api, f"in-{hours}", hours)
        given["endsAt"] = (api.clock() + timedelta(hours=hours + 31 * 24)).isoformat()
        assert (await api.ask(STAFF, CREATE, input=given))["__typename"] == "MeetupSaved"
    query = """query($from: DateTime, $until: DateTime) { meetups(from: $from, until: $until) {
      edges { node { code } } } }"""

    async def listed(**span: str) -> list[str]:
        found = await api.ask("admin:root", query, **span)
        return [e["node"]["code"] for e in found["edges"]]

    began = api.clock()
    assert await listed() == ["in-0", "in-24"]
    assert await listed(until=(began + timedelta(hours=24)).isoformat()) == ["in-0"]
    api.clock.at = began + timedelta(days=31, microseconds=-1)
    assert await listed() == ["in-0", "in-24"]
    api.clock.at = began + timedelta(days=31)  # the very end
    assert await listed() == ["in-24"]
    api.clock.at = began + timedelta(days=32)
    assert await listed() == []
    assert await listed(**{"from": began.isoformat()}) == ["in-0", "in-24"]


async def test_staff_write_a_rule_on_a_tag_and_a_quote_tells_of_it(pantry: Client) -> None:
    """As the guide has it: in CEL a tag is an attribute by its name."""
    await pantry.enrol("9")
    rule = {
        "code": "ridge", "title": "Seven for the ridge", "on": "attended",
        "when": "'tag-ridge' in activity && activity.meetup != 'm-9'",
        "award": {"currency": "STAR", "points": 7},
    }  # fmt: skip
    quote = """query($activity: ActivitiesItemInput!, $draft: DataRuleInput) {
      quoteActivity(partner: "grocer", activity: $activity, draft: $draft) {
        ... on PurchaseQuoted { awards { amount } } ... on Error { message } } }"""
    for tag, name, points in (("ridge", "m-1", [7]), ("coast", "m-1", []), ("ridge", "m-9", [])):
        told = [{"name": "meetup", "value": name}, {"name": f"tag-{tag}", "value": True}]
        given = {
            "externalId": "Q", "member": {"card": "9"}, "type": "attended",
            "occurredAt": pantry.clock().isoformat(), "attributes": told,
        }  # fmt: skip
        found = await pantry.ask("partner:grocer", quote, activity=given, draft=rule)
        assert [award["amount"] for award in found["awards"]] == points, found


async def test_by_its_id_each_reads_what_is_its_affair(api: Client) -> None:
    ada, ben = await _season(api, 2, 1)
    first = (await api.ask(ada, ALL, first=1))["edges"][0]["node"]["id"]
    registered = await api.ask(ada, REGISTER, input={"partner": "outdoors", "meetup": "m-0"})
    mine = registered["registration"]["id"]
    assert registered["replayed"]
    theirs = api.told(STAFF, mine)
    for who, key, reads in (
        (ada, first, True), (STAFF, first, True), ("admin:root", first, True),
        ("partner:grocer", first, False),
        (ada, mine, True), (ben, mine, False), (STAFF, theirs, True), ("admin:root", mine, True),
        ("partner:grocer", api.told("partner:grocer", mine), False),
        (STAFF, mine, False),  # by a member's number a partner knows nobody
    ):  # fmt: skip
        found = await api.ask(who, NODE, id=key)
        assert (found is not None) == reads, (who, key)
    # The code is for its member's eyes alone, and is gone once it was used.
    for who, key in ((STAFF, theirs), ("admin:root", mine), (ada, mine)):
        assert await api.ask(who, CODE, id=key) == {"checkInCode": None}


async def test_a_code_is_shown_to_its_member_alone(api: Client) -> None:
    ada = api.member(await api.enrol("1"))
    await api.ask(STAFF, CREATE, input=meetup(api, "m"))
    done = await api.ask(ada, REGISTER, input={"partner": "outdoors", "meetup": "m"})
    mine = done["registration"]["id"]
    assert (await api.ask(ada, CODE, id=mine))["checkInCode"] is not None
    for who, key in ((STAFF, api.told(STAFF, mine)), ("admin:root", mine)):
        assert await api.ask(who, CODE, id=key) == {"checkInCode": None}
    # Nor where this process has no secret to make one by.
    viewer = Viewer("member", holder=int(ada.partition(":")[2]))
    context = Context(api.engine, viewer, api.clock)
    answer = await build_schema().execute(CODE, {"id": mine}, context_value=context)
    assert answer.data == {"node": {"checkInCode": None}}


async def test_keys_reach_meetups_by_their_scopes_and_no_other_partners(api: Client) -> None:
    [ada] = await _season(api, 1, 1)
    found = await api.send("partner:grocer", CREATE, input=meetup(api, "m"))
    assert found["data"]["createMeetup"]["code"] == "NOT_ALLOWED"
    found = await api.send(
        "partner:grocer", '{ meetups(partner: "outdoors") { edges { cursor } } }'
    )
    assert found["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert (await api.ask("partner:grocer", ALL, first=5))["edges"] == []
    query = "{ members { edges { node { registrations { edges { cursor } } } } } }"
    keys: list[tuple[frozenset[Scope], int]] = [
        (frozenset({"members:read", "engagement:read"}), 1),
        (frozenset({"members:read"}), 0),
    ]
    for scopes, places in keys:
        viewer = Viewer("partner", partner="outdoors", scopes=scopes)
        context = Context(api.engine, viewer, api.clock)
        answer = await build_schema().execute(query, context_value=context)
        assert answer.errors is None
        assert answer.data is not None
        [edge] = answer.data["members"]["edges"]
        assert len(edge["node"]["registrations"]["edges"]) == places
    assert ada.startswith("member:")


@pytest.mark.parametrize(
    ("operation", "who", "given", "refused"),
    [
        (REGISTER, "ada", {"meetup": "none"}, ("UNKNOWN_REFERENCE", ["meetup"])),
        (REGISTER, "ada", {"meetup": "\0"}, ("BAD_INPUT", ["meetup"])),
        (REGISTER, "ada", {"partner": "none", "meetup": "m"}, ("UNKNOWN_REFERENCE", ["partner"])),
        (CHECK_IN, STAFF, {"code": "x"}, ("BAD_INPUT", ["code"])),
        (CHECK_IN, STAFF, {"code": "x", "latitude": 91}, ("BAD_INPUT", ["latitude"])),
        (CHECK_IN, STAFF, {"code": "x", "partner": "cafe"}, ("NOT_ALLOWED", ["partner"])),
        (CHECK_IN, STAFF, {"code": "x", "at": "2000-01-01T00:00:00Z"}, ("NOT_ALLOWED", ["at"])),
        (CREATE, STAFF, {"tags": ["ü"]}, ("BAD_INPUT", ["tags"])),
        (CREATE, STAFF, {"tier": {"ladder": "outdoors", "tier": "x"}},
            ("UNKNOWN_REFERENCE", ["tier"])),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named(
    api: Client, operation: str, who: str, given: dict[str, Any], refused: tuple[str, list[str]]
) -> None:
    ada = api.member(await api.enrol("1"))
    whole: dict[str, Any] = {"partner": "outdoors"}
    if operation == CHECK_IN:
        whole |= {"latitude": 40.0, "longitude": -105.0}
    if operation == CREATE:
        whole = meetup(api, "m")
    done = await api.ask(ada if who == "ada" else who, operation, input={**whole, **given})
    assert (done["code"], done["path"]) == refused
