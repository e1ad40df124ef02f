"""API keys through GraphQL: by the programme, and by a partner within what its own key opens."""

from __future__ import annotations

from typing import Any

import pytest

from schema.keys import ApiKeyScope
from schema.roles import SCOPES, STAFF_ROLES
from tests.schema.client import Client
from tests.support import scalar

CREATE = """mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { __typename
  ... on ApiKeyIssued { secret apiKey { id title scopes createdBy expiresAt revokedAt usedAt } }
  ... on Error { code message path } } }"""
ROTATE = """mutation($input: RotateApiKeyInput!) { rotateApiKey(input: $input) { __typename
  ... on ApiKeyIssued { secret apiKey { id scopes } } ... on Error { code message path } } }"""
REVOKE = """mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { __typename
  ... on ApiKeyRevoked { replayed apiKey { id revokedAt } } ... on Error { code path } } }"""
LIST = "query($partner: String!) { apiKeys(partner: $partner) { id title createdBy } }"
MEMBERS = "{ members { edges { cursor } } }"
WANTED: dict[str, Any] = {"partner": "cafe", "title": "Till", "scopes": ["MEMBERS_READ"]}


async def create(api: Client, who: str, **changed: Any) -> dict[str, Any]:
    """A new key, as it is answered."""
    done: dict[str, Any] = await api.ask(who, CREATE, input={**WANTED, **changed})
    return done


async def by(api: Client, key: str, query: str, **variables: Any) -> dict[str, Any]:
    """The whole answer to whoever has this key, or that it opens nothing."""
    response = await api.http.post(
        "/graphql",
        json={"query": query, "variables": variables},
        headers={"authorization": f"Bearer {key}"},
    )
    if response.status_code == 401:
        return {"unauthorised": True}
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    answer.pop("extensions", None)  # what it cost
    return answer


def test_every_scope_has_a_name_here() -> None:
    """And no other."""
    assert {scope.name.lower().replace("_", ":") for scope in ApiKeyScope} == set(SCOPES)


async def test_a_key_from_beginning_to_end(api: Client) -> None:
    """Made and shown once, used within its scopes, rotated with an overlap, revoked."""
    made = await create(api, "admin:root", expiresAt="2027-01-01T00:00:00Z")
    key, secret = made["apiKey"], made["secret"]
    assert key == {
        "id": secret.split("_")[1],
        "title": "Till",
        "scopes": ["MEMBERS_READ"],
        "createdBy": "admin:root",
        "expiresAt": "2027-01-01T00:00:00Z",
        "revokedAt": None,
        "usedAt": None,
    }
    assert await by(api, secret, MEMBERS) == {"data": {"members": {"edges": []}}}
    beyond = await by(api, secret, '{ dataRules(partner: "cafe") { code } }')
    assert beyond["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    other = await by(api, secret, '{ members(partner: "grocer") { edges { cursor } } }')
    assert other["errors"][0]["extensions"]["reason"] == "NOT_ALLOWED"
    turned = await api.ask(
        "admin:root", ROTATE, input={"partner": "cafe", "id": key["id"], "overlap": "2h"}
    )
    for text in (secret, turned["secret"]):
        assert "data" in await by(api, text, MEMBERS)
    api.clock.tick(hours=2)
    assert await by(api, secret, MEMBERS) == {"unauthorised": True}
    assert "data" in await by(api, turned["secret"], MEMBERS)
    [listed] = await api.ask("admin:root", LIST, partner="cafe")
    assert (listed["id"], listed["title"]) == (key["id"], "Till")
    for replayed in (False, True):
        done = await api.ask("admin:root", REVOKE, input={"partner": "cafe", "id": key["id"]})
        assert (done["replayed"], done["apiKey"]["revokedAt"]) == (
            replayed,
            "2026-11-22T14:00:00Z",
        )
    assert await by(api, turned["secret"], MEMBERS) == {"unauthorised": True}


async def test_a_key_hands_out_no_more_than_it_has(api: Client) -> None:
    """Neither by making another one nor by renewing the secret of one that has more."""
    mine = ["MEMBERS_READ", "KEYS_WRITE"]
    staff = await create(api, "admin:root", scopes=mine)
    strong = await create(api, "admin:root", scopes=[*mine, "POINTS_ADJUST"])
    own = staff["secret"]
    before = await scalar("SELECT count(*) FROM api_key_secret")
    for scopes in (["POINTS_ADJUST"], [*mine, "POINTS_ADJUST"], ["PURCHASES_WRITE"]):
        wanted = {**WANTED, "scopes": scopes}
        refused = (await by(api, own, CREATE, input=wanted))["data"]["createApiKey"]
        assert (refused["code"], refused["path"]) == ("NOT_ALLOWED", ["scopes"])
    turn = {"partner": "cafe", "id": strong["apiKey"]["id"], "overlap": "1D"}
    refused = (await by(api, own, ROTATE, input=turn))["data"]["rotateApiKey"]
    assert (refused["code"], refused["path"]) == ("NOT_ALLOWED", ["scopes"])
    assert await scalar("SELECT count(*) FROM api_key_secret") == before
    # The control: as much as it has it may, itself renewed too; and revoke any, which opens less.
    made = (await by(api, own, CREATE, input={**WANTED, "scopes": mine}))["data"]["createApiKey"]
    assert made["apiKey"]["createdBy"] == f"key:{staff['apiKey']['id']}"
    itself = {"partner": "cafe", "id": staff["apiKey"]["id"]}
    assert (await by(api, own, ROTATE, input=itself))["data"]["rotateApiKey"]["secret"]
    assert await by(api, own, MEMBERS) == {"unauthorised": True}
    gone = {"partner": "cafe", "id": strong["apiKey"]["id"]}
    done = (await by(api, made["secret"], REVOKE, input=gone))["data"]["revokeApiKey"]
    assert done["__typename"] == "ApiKeyRevoked"
    assert await by(api, strong["secret"], MEMBERS) == {"unauthorised": True}


async def test_a_partner_keeps_to_its_own_keys(api: Client) -> None:
    """Another's are neither listed, nor made, nor changed; nor by a key without the scope."""
    made = await create(api, "admin:root", partner="grocer")
    plain = (await create(api, "admin:root"))["secret"]
    who = "partner:cafe"
    answer = await api.send(who, LIST, partner="grocer")
    assert answer["errors"][0]["extensions"]["reason"] == "NOT_ALLOWED"
    assert (await create(api, who, partner="grocer"))["code"] == "NOT_ALLOWED"
    for query in (ROTATE, REVOKE):
        there = {"partner": "grocer", "id": made["apiKey"]["id"]}
        assert (await api.ask(who, query, input=there))["code"] == "NOT_ALLOWED"
        here = {"partner": "cafe", "id": made["apiKey"]["id"]}
        assert (await api.ask(who, query, input=here))["code"] == "UNKNOWN_REFERENCE"
    for query, variables in (
        (LIST, {"partner": "cafe"}),
        (CREATE, {"input": WANTED}),
        (REVOKE, {"input": {"partner": "cafe", "id": plain.split("_")[1]}}),
    ):
        answer = await by(api, plain, query, **variables)
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert "data" in await by(api, made["secret"], MEMBERS)
    assert "data" in await by(api, plain, MEMBERS)


@pytest.mark.parametrize("role", STAFF_ROLES)
async def test_which_admins_may(api: Client, role: str) -> None:
    """Those who run the programme."""
    answer = await api.send(f"admin:sam:{role}", CREATE, input=WANTED)
    made = await scalar("SELECT count(*) FROM api_key")
    if role in ("manager", "owner"):
        assert (answer["data"]["createApiKey"]["__typename"], made) == ("ApiKeyIssued", 1)
    else:
        assert (answer["errors"][0]["extensions"]["code"], made) == ("FORBIDDEN", 0)


async def test_which_admin_it_was_is_no_partners_affair(api: Client) -> None:
    """A partner is told that it was one."""
    await create(api, "admin:root")
    [told] = await api.ask("partner:cafe", LIST, partner="cafe")
    assert told["createdBy"] == "admin"
    await create(api, "partner:cafe")
    makers = [k["createdBy"] for k in await api.ask("partner:cafe", LIST, partner="cafe")]
    assert sorted(makers) == ["admin", "partner:cafe"]


@pytest.mark.parametrize(
    ("changed", "code", "path"),
    [
        ({"title": ""}, "BAD_INPUT", ["title"]),
        ({"title": "a\0"}, "BAD_INPUT", ["title"]),
        ({"scopes": []}, "BAD_INPUT", ["scopes"]),
        ({"expiresAt": "2026-11-22T12:00:00Z"}, "BAD_INPUT", ["expiresAt"]),
        ({"partner": "none"}, "UNKNOWN_REFERENCE", ["partner"]),
    ],
)
async def test_what_makes_no_key(
    api: Client, changed: dict[str, Any], code: str, path: list[str]
) -> None:
    """The field is named; nothing is written."""
    refused = await create(api, "admin:root", **changed)
    assert (refused["code"], refused["path"]) == (code, path)
    assert await scalar("SELECT count(*) FROM api_key") == 0


@pytest.mark.parametrize(
    ("changed", "code", "path"),
    [
        ({"overlap": "91D"}, "BAD_INPUT", ["overlap"]),
        ({"overlap": "x"}, "BAD_INPUT", ["overlap"]),
        ({"overlap": "9999Y"}, "BAD_INPUT", ["overlap"]),
        ({"id": "x"}, "UNKNOWN_REFERENCE", ["id"]),
        ({"id": "\0"}, "UNKNOWN_REFERENCE", ["id"]),
    ],
)
async def test_what_rotates_no_key(
    api: Client, changed: dict[str, Any], code: str, path: list[str]
) -> None:
    """The field is named; the key goes on as it was."""
    made = await create(api, "admin:root")
    given = {"partner": "cafe", "id": made["apiKey"]["id"], **changed}
    refused = await api.ask("admin:root", ROTATE, input=given)
    assert (refused["code"], refused["path"]) == (code, path)
    assert "data" in await by(api, made["secret"], MEMBERS)
    assert await scalar("SELECT count(*) FROM api_key_secret") == 1


async def test_a_key_of_a_partner_that_is_gone_opens_nothing(api: Client) -> None:
    """Its plugin isn't installed any more."""
    made = await create(api, "admin:root")
    partners = api.engine.rulebook.partners
    assert isinstance(partners, dict)
    cafe = partners.pop("cafe")
    try:
        answer = await by(api, made["secret"], MEMBERS)
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    finally:
        partners["cafe"] = cafe
    assert "data" in await by(api, made["secret"], MEMBERS)


async def test_a_key_hands_out_nothing_that_outlives_it(api: Client) -> None:
    """Neither a key, nor the secret of one; an admin's, and the control's, have no end."""
    ends, sooner = "2026-11-22T13:00:00Z", "2026-11-22T12:30:00Z"
    scopes = ["MEMBERS_READ", "KEYS_WRITE"]
    brief = await create(api, "admin:root", scopes=scopes, expiresAt=ends)
    later = await create(api, "admin:root", expiresAt="2026-11-22T13:00:01Z")
    same = await create(api, "admin:root", expiresAt=ends)
    endless = await create(api, "admin:root", scopes=scopes)
    assert endless["apiKey"]["expiresAt"] is None

    async def made_by(key: str, **given: Any) -> Any:
        done = await by(api, key, CREATE, input={**WANTED, **given})
        return done["data"]["createApiKey"]["apiKey"]["expiresAt"]

    for given, told in (
        ({}, ends), ({"expiresAt": sooner}, sooner), ({"expiresAt": "2027-01-01T00:00:00Z"}, ends)
    ):  # fmt: skip
        assert await made_by(brief["secret"], **given) == told
    assert await made_by(endless["secret"]) is None
    token = await create(api, "partner:cafe")  # a token of twelve hours
    assert token["apiKey"]["expiresAt"] == "2026-11-23T00:00:00Z"
    secrets = await scalar("SELECT count(*) FROM api_key_secret")
    for other in (later, endless):
        turn = {"partner": "cafe", "id": other["apiKey"]["id"], "overlap": "1D"}
        refused = (await by(api, brief["secret"], ROTATE, input=turn))["data"]["rotateApiKey"]
        assert (refused["code"], refused["path"]) == ("NOT_ALLOWED", ["id"])
    assert await scalar("SELECT count(*) FROM api_key_secret") == secrets
    for who, own in ((brief, same), (brief, brief), (endless, later), (endless, endless)):
        turn = {"partner": "cafe", "id": own["apiKey"]["id"], "overlap": "1h"}
        done = (await by(api, who["secret"], ROTATE, input=turn))["data"]["rotateApiKey"]
        assert done["__typename"] == "ApiKeyIssued"
    # The secret before, which ends in an hour now, still gets its own key another one.
    turn = {"partner": "cafe", "id": endless["apiKey"]["id"], "overlap": "1h"}
    done = (await by(api, endless["secret"], ROTATE, input=turn))["data"]["rotateApiKey"]
    assert done["__typename"] == "ApiKeyIssued"


async def test_a_revoked_key_takes_with_it_what_it_made(api: Client) -> None:
    """And what that made; nobody else's."""
    scopes = ["MEMBERS_READ", "KEYS_WRITE"]
    first = await create(api, "admin:root", scopes=scopes)
    beside = await create(api, "admin:root", scopes=scopes)

    async def made_by(key: dict[str, Any]) -> dict[str, Any]:
        done = await by(api, key["secret"], CREATE, input={**WANTED, "scopes": scopes})
        made: dict[str, Any] = done["data"]["createApiKey"]
        return made

    child, theirs = await made_by(first), await made_by(beside)
    grandchild = await made_by(child)
    line = (first, child, grandchild)
    for key in (*line, beside, theirs):
        assert "data" in await by(api, key["secret"], MEMBERS)
    gone = {"partner": "cafe", "id": first["apiKey"]["id"]}
    assert (await api.ask("admin:root", REVOKE, input=gone))["replayed"] is False
    for key in line:
        assert await by(api, key["secret"], MEMBERS) == {"unauthorised": True}
    for key in (beside, theirs):
        assert "data" in await by(api, key["secret"], MEMBERS)
    assert await scalar("SELECT count(*) FROM api_key WHERE revoked_at IS NOT NULL") == 3
