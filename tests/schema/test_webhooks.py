"""Webhooks out as a partner sees them: registered, told, tried again, looked at, sent once more."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from core.db import transaction
from tests.core.listening import Receiver
from tests.core.test_webhooks import VerificationError, verify
from tests.schema.client import REDEEM, Client, receipt, statements
from tests.schema.hooks import (
    CREATE,
    DELETE,
    DISABLE,
    ENABLE,
    LIST,
    LOG,
    REPLAY,
    ROTATE,
    TEST,
    UPDATE,
    deliver,
    register,
)
from tests.schema.roots import HERO
from tests.schema.roots_engaged import AT
from tests.support import scalar

NAME = "query($member: ID!) { member(by: {id: $member}) { id name } }"
WHOLE = """query($member: ID!, $purchase: ID!) { member(by: {id: $member}) { name
  ledgers { currency { code } balance { active } } }
  node(id: $purchase) { ... on Purchase { externalId } } }"""


async def buy(api: Client, number: str = "R", card: str = "1", partner: str = "grocer") -> None:
    line = ("PRODUCE", "30.00")
    done = await api.buy("admin:root", partner, receipt(number, card, AT, line))
    assert [one["__typename"] for one in done] == ["PurchaseRecorded"]


def now(api: Client) -> str:
    """The instant, as an answer has it."""
    return api.clock().isoformat().replace("+00:00", "Z")


def told(receiver: Receiver, place: int = -1) -> dict[str, Any]:
    """A payload that came."""
    body: dict[str, Any] = orjson.loads(receiver.got[place][2])
    return body


# --- told -----------------------------------------------------------------------------------------


async def test_a_partner_is_told_by_its_own_query(api: Client) -> None:
    await api.enrol("1")
    hook = await register(api, "grocer", WHOLE)
    receiver = Receiver(api.clock)
    await buy(api)
    assert await deliver(api, receiver) == 1
    body = told(receiver)
    assert (body["type"], body["also"]) == ("purchase.recorded", ["points.changed"])
    assert body["timestamp"] == api.clock().isoformat()
    assert "errors" not in body
    data = body["data"]
    assert data["node"] == {"externalId": "R"}
    assert data["member"]["name"] == "Ada"
    assert {x["currency"]["code"] for x in data["member"]["ledgers"]} == {"BASKET", "LAUREL"}
    _, said, raw = receiver.got[0]
    verify(hook["secret"], raw, said, api.clock())
    with pytest.raises(VerificationError):
        verify(hook["secret"], raw.replace(b"Ada", b"Bob"), said, api.clock())
    assert await deliver(api, receiver) == 0


async def test_the_ids_are_the_partners_own(api: Client) -> None:
    """What it is told it can ask for; an admin's id of the same member is another."""
    ada = await api.enrol("1")
    await register(api, "grocer", NAME)
    receiver = Receiver(api.clock)
    await buy(api)
    await deliver(api, receiver)
    found = told(receiver)["data"]["member"]["id"]
    assert found == api.told("partner:grocer", ada) != ada
    query = "query($id: ID!) { node(id: $id) { ... on Member { name } } }"
    assert await api.ask("partner:grocer", query, id=found) == {"name": "Ada"}
    assert await api.ask("partner:cafe", query, id=found) is None


async def test_without_a_query_only_the_ids_are_sent(api: Client) -> None:
    ada = await api.enrol("1")
    for partner in ("grocer", "outfitter"):
        await register(api, partner)
    await api.buy("admin:root", "grocer", receipt("R", "1", AT, ("WINE", "400.00")))
    order = {"key": "k", "partner": "outfitter", "reward": "tote", "currency": "LAUREL"}
    redeemed = await api.ask("admin:root", REDEEM, input={**order, "member": {"card": "1"}})
    receiver = Receiver(api.clock)
    assert await deliver(api, receiver) == 2
    bodies = {host: orjson.loads(body) for host, _, body in receiver.got}
    bought, spent = bodies["grocer.example"], bodies["outfitter.example"]
    assert (bought["type"], bought["thin"]) == ("purchase.recorded", True)
    assert bought["data"]["member"] == api.told("partner:grocer", ada)
    assert bought["data"]["redemption"] is None
    query = "query($id: ID!) { node(id: $id) { ... on Purchase { externalId } } }"
    found = await api.ask("partner:grocer", query, id=bought["data"]["purchase"])
    assert found == {"externalId": "R"}
    assert (spent["type"], spent["thin"]) == ("redemption.changed", True)
    assert spent["data"] == {
        "member": api.told("partner:outfitter", ada),
        "purchase": None,
        "redemption": api.told("partner:outfitter", redeemed["redemption"]["id"]),
        "invitation": None,
    }


async def test_a_change_that_lacks_what_the_query_needs_is_told_thinly(api: Client) -> None:
    await api.enrol("1")
    await register(api, "grocer", WHOLE)
    await api.buy("admin:root", "grocer", receipt("R", "1", AT, ("PRODUCE", "500.00")))
    receiver = Receiver(api.clock)
    await deliver(api, receiver)
    assert "thin" not in told(receiver)  # the control: a purchase has one
    done = await api.ask("admin:root", REDEEM, input={**HERO, "member": {"card": "1"}})
    assert done["__typename"] == "RewardRedeemed", done
    assert await deliver(api, receiver) == 1
    assert (told(receiver)["type"], told(receiver)["thin"]) == ("redemption.changed", True)


async def test_it_runs_with_the_partners_own_permissions(api: Client) -> None:
    """Another's member can't be read through one's own query, whatever id is written into it."""
    ada = await api.enrol("1")
    await api.enrol("2", "Bob")
    await buy(api, "R", "1")
    grocers = api.told("partner:grocer", ada)
    await api.buy("admin:root", "cafe", receipt("C", "2", AT, ("COFFEE", "4.00"), currency="EUR"))
    query = f"""query($member: ID!) {{ own: node(id: $member) {{ ... on Member {{ name }} }}
      one: node(id: "{grocers}") {{ ... on Member {{ name }} }}
      two: node(id: "{ada}") {{ ... on Member {{ name }} }}
      card: member(by: {{card: "1"}}) {{ name }}
      all: members {{ edges {{ node {{ name }} }} }} }}"""
    await register(api, "cafe", query)
    await register(api, "grocer", query)
    receiver = Receiver(api.clock)
    await api.buy("admin:root", "cafe", receipt("D", "2", AT, ("COFFEE", "4.00"), currency="EUR"))
    await buy(api, "S", "1")
    await deliver(api, receiver)
    bodies = {host: orjson.loads(body) for host, _, body in receiver.got}
    bob = {"name": "Bob"}
    assert bodies["cafe.example"]["data"] == {
        "own": bob, "one": None, "two": None, "card": None, "all": {"edges": [{"node": bob}]},
    }  # fmt: skip
    ada_ = {"name": "Ada"}  # the control: the grocer, who knows her, may
    assert bodies["grocer.example"]["data"] == {
        "own": ada_, "one": ada_, "two": None, "card": ada_, "all": {"edges": [{"node": ada_}]},
    }  # fmt: skip


async def test_it_runs_with_the_scopes_that_it_was_saved_with(api: Client) -> None:
    await api.enrol("1")
    await register(api, "grocer", NAME)
    receiver = Receiver(api.clock)
    await buy(api, "R")
    await deliver(api, receiver)
    assert told(receiver)["data"]["member"]["name"] == "Ada"
    async with transaction() as connection:
        await connection.execute("UPDATE webhook_endpoint SET scopes = '{purchases:read}'")
    await buy(api, "S")
    await deliver(api, receiver)
    body = told(receiver)
    assert body["data"] in (None, {"member": None})
    assert [e["extensions"]["code"] for e in body["errors"]] == ["FORBIDDEN"]


async def test_saved_by_an_admin_it_reads_and_does_no_more(api: Client) -> None:
    hook = await register(api, "grocer", NAME, who="admin:root")
    assert hook["scopes"]
    assert all(scope.endswith(":read") for scope in hook["scopes"])


# --- registered -----------------------------------------------------------------------------------


async def test_a_secret_is_shown_once_and_replaced_with_an_overlap(api: Client) -> None:
    hook = await register(api, "grocer")
    again = await register(api, "grocer")
    assert (again["id"], again["secret"]) == (hook["id"], None)
    given = {"key": "r", "id": hook["id"]}
    turned = await api.ask("partner:grocer", ROTATE, input=given)
    assert turned["secret"] not in (None, hook["secret"])
    assert turned["endpoint"]["oldSecretUntil"] is not None
    assert (await api.ask("partner:grocer", ROTATE, input=given))["secret"] is None
    receiver = Receiver(api.clock)
    await api.ask("partner:grocer", TEST, input={"key": "t", "id": hook["id"]})
    await deliver(api, receiver)
    _, said, body = receiver.got[0]
    for secret in (hook["secret"], turned["secret"]):
        verify(secret, body, said, api.clock())
    api.clock.tick(hours=25)
    await api.ask("partner:grocer", TEST, input={"key": "u", "id": hook["id"]})
    await deliver(api, receiver)
    _, said, body = receiver.got[1]
    verify(turned["secret"], body, said, api.clock())
    with pytest.raises(VerificationError):
        verify(hook["secret"], body, said, api.clock())


async def test_an_endpoint_is_changed_disabled_enabled_and_deleted(api: Client) -> None:
    await api.enrol("1")
    hook = await register(api, "grocer", NAME)
    change = {"id": hook["id"], "changes": ["TIER_CHANGED"], "query": None}
    saved = (await api.ask("partner:grocer", UPDATE, input=change))["endpoint"]
    assert (saved["changes"], saved["query"]) == (["TIER_CHANGED"], None)
    assert saved["url"] == hook["url"]
    off = (await api.ask("partner:grocer", DISABLE, id=hook["id"]))["endpoint"]
    assert (off["state"], off["disabledAt"]) == ("DISABLED", now(api))
    await buy(api)
    assert await deliver(api, Receiver(api.clock)) == 0
    on = (await api.ask("partner:grocer", ENABLE, id=hook["id"]))["endpoint"]
    assert (on["state"], on["disabledAt"]) == ("ENABLED", None)
    assert await api.ask("partner:grocer", DELETE, id=hook["id"]) == {
        "__typename": "WebhookEndpointDeleted",
        "id": hook["id"],
    }
    gone = await api.ask("partner:grocer", DELETE, id=hook["id"])
    assert (gone["code"], gone["path"]) == ("UNKNOWN_REFERENCE", ["id"])
    assert await scalar("SELECT count(*) FROM webhook_endpoint") == 0


BAD: list[tuple[dict[str, Any], str, list[str]]] = [
    ({"url": "http://grocer.example/"}, "BAD_INPUT", ["url"]),
    ({"url": "https://10.0.0.1/"}, "BAD_INPUT", ["url"]),
    ({"url": "https://x.example/\0"}, "BAD_INPUT", ["url"]),
    ({"changes": []}, "BAD_INPUT", ["changes"]),
    ({"key": ""}, "BAD_INPUT", ["key"]),
    ({"key": "\0"}, "BAD_INPUT", ["key"]),
    ({"partner": "cafe"}, "NOT_ALLOWED", ["partner"]),
    ({"partner": "none"}, "UNKNOWN_REFERENCE", ["partner"]),
    ({"query": ""}, "BAD_INPUT", ["query"]),
    ({"query": "x" * 10_001}, "BAD_INPUT", ["query"]),
    ({"query": "\0"}, "BAD_INPUT", ["query"]),
    ({"query": "{ none }"}, "BAD_INPUT", ["query"]),
]


@pytest.mark.parametrize(("bad", "code", "path"), BAD)
async def test_what_is_wrong_is_refused_by_name(
    api: Client, bad: dict[str, Any], code: str, path: list[str]
) -> None:
    given = {
        "key": "k",
        "partner": "grocer",
        "url": "https://g.example/",
        "changes": ["TIER_CHANGED"],
    }
    done = await api.ask("partner:grocer", CREATE, input={**given, **bad})
    assert (done["code"], done["path"]) == (code, path)
    assert await scalar("SELECT count(*) FROM webhook_endpoint") == 0
    good = await api.ask("partner:grocer", CREATE, input=given)  # the control
    assert good["__typename"] == "WebhookSecretIssued"


async def test_another_partner_sees_and_changes_nothing(api: Client) -> None:
    hook = await register(api, "grocer", NAME)
    sent = await api.ask("partner:grocer", TEST, input={"key": "t", "id": hook["id"]})
    delivery = sent["delivery"]["id"]
    node = "query($id: ID!) { node(id: $id) { id } }"
    before = await scalar("SELECT e::text FROM webhook_endpoint e")
    tries: list[tuple[str, dict[str, Any]]] = [
        (UPDATE, {"input": {"id": hook["id"], "url": "https://cafe.example/"}}),
        (ROTATE, {"input": {"key": "r", "id": hook["id"]}}),
        (DISABLE, {"id": hook["id"]}),
        (DELETE, {"id": hook["id"]}),
        (TEST, {"input": {"key": "u", "id": hook["id"]}}),
        (REPLAY, {"id": delivery}),
    ]
    for operation, variables in tries:
        done = await api.ask("partner:cafe", operation, **variables)
        assert (done["code"], done["path"]) == ("UNKNOWN_REFERENCE", ["id"])
    for thing in (hook["id"], delivery):
        assert await api.ask("partner:cafe", node, id=thing) is None
        assert await api.ask("partner:grocer", node, id=thing) == {"id": thing}
        assert await api.ask("admin:root", node, id=thing) == {"id": thing}
    assert (await api.ask("partner:cafe", LIST))["edges"] == []
    assert (await api.ask("partner:cafe", LOG))["edges"] == []
    refused = await api.send("partner:cafe", LOG, endpoint=hook["id"])
    assert refused["errors"][0]["extensions"]["reason"] == "UNKNOWN_REFERENCE"
    assert await scalar("SELECT e::text FROM webhook_endpoint e") == before
    assert await scalar("SELECT count(*) FROM webhook_delivery") == 1
    assert await scalar("SELECT count(*) FROM webhook_secret") == 1


async def test_who_changes_an_endpoint_lends_it_its_own_permissions(api: Client) -> None:
    """Else a key that may not read members could have them sent to an address of its own."""
    hook = await register(api, "grocer", NAME)
    async with transaction() as connection:
        await connection.execute("UPDATE webhook_endpoint SET scopes = '{members:write}'")
    moved = {"id": hook["id"], "url": "https://other.example/"}
    saved = (await api.ask("admin:root", UPDATE, input=moved))["endpoint"]
    assert "members:read" in saved["scopes"]
    assert "members:write" not in saved["scopes"]


# --- looked at ------------------------------------------------------------------------------------


async def test_the_log_tells_each_attempt_and_what_was_wrong(api: Client) -> None:
    hook = await register(api, "grocer")
    receiver = Receiver(api.clock, {"grocer.example": 500})
    queued = await api.ask("partner:grocer", TEST, input={"key": "t", "id": hook["id"]})
    assert queued["delivery"]["attempts"] == []
    again = await api.ask("partner:grocer", TEST, input={"key": "t", "id": hook["id"]})
    assert again["delivery"]["id"] == queued["delivery"]["id"]
    assert await deliver(api, receiver) == 1
    [edge] = (await api.ask("partner:grocer", LOG, state="PENDING"))["edges"]
    node = edge["node"]
    at = now(api)
    assert node["attempts"] == [
        {"at": at, "status": 500, "milliseconds": 12, "problem": "it was answered 500"}
    ]
    assert (node["type"], node["changes"], node["state"]) == ("webhook.test", [], "PENDING")
    assert node["messageId"] == receiver.got[0][1]["webhook-id"]
    assert node["endpoint"] == {"id": hook["id"]}
    assert (await api.ask("partner:grocer", LOG, state="DELIVERED"))["edges"] == []
    receiver.answers.clear()
    queued = await api.ask("partner:grocer", REPLAY, id=node["id"])
    assert queued["delivery"]["nextAt"] == at
    assert await deliver(api, receiver) == 1
    [edge] = (await api.ask("partner:grocer", LOG, state="DELIVERED"))["edges"]
    assert [a["status"] for a in edge["node"]["attempts"]] == [500, 204]
    assert edge["node"]["doneAt"] == at


async def test_lists_are_pages(api: Client) -> None:
    hooks = [
        await register(api, "grocer", key=f"{n}", url=f"https://g{n}.example/") for n in range(3)
    ]
    ids = [hook["id"] for hook in hooks]
    first = await api.ask("partner:grocer", LIST, first=2)
    rest = await api.ask("partner:grocer", LIST, first=2, after=first["pageInfo"]["endCursor"])
    assert [e["node"]["id"] for p in (first, rest) for e in p["edges"]] == ids
    assert [p["pageInfo"]["hasNextPage"] for p in (first, rest)] == [True, False]
    sent = []
    for n in range(5):
        given = {"key": f"t{n}", "id": ids[n % 3]}
        sent.append((await api.ask("partner:grocer", TEST, input=given))["delivery"]["id"])
    found, after = [], None
    while True:
        part = await api.ask("partner:grocer", LOG, first=2, after=after)
        found += [edge["node"]["id"] for edge in part["edges"]]
        if not part["pageInfo"]["hasNextPage"]:
            break
        after = part["pageInfo"]["endCursor"]
    assert found == sent[::-1]
    own = await api.ask("partner:grocer", LOG, endpoint=ids[0])
    assert [edge["node"]["id"] for edge in own["edges"]] == [sent[3], sent[0]]


async def test_a_page_costs_a_fixed_number_of_statements(api: Client) -> None:
    counts = []
    for n in (1, 2):
        for k in range(n * 3):
            name = f"{n}.{k}"
            hook = await register(api, "grocer", key=name, url=f"https://g{n}{k}.example/")
            await api.ask("partner:grocer", TEST, input={"key": f"t{name}", "id": hook["id"]})
        with statements() as told_:
            await api.ask("partner:grocer", LOG)
            await api.ask("partner:grocer", LIST)
        counts.append(len(told_))
    assert counts[0] == counts[1]


async def test_an_admins_change_is_recorded(api: Client) -> None:
    hook = await register(api, "grocer", who="admin:root")
    await api.ask("admin:root", DISABLE, id=hook["id"])
    query = """{ auditRecords { edges { node { action before after asked } } } }"""
    records = [edge["node"] for edge in (await api.ask("admin:root", query))["edges"]]
    assert [r["action"] for r in records] == ["disableWebhookEndpoint", "createWebhookEndpoint"]
    [[before], [after]] = [list(records[0][when].values()) for when in ("before", "after")]
    assert (before["state"], after["state"]) == ("ENABLED", "DISABLED")
    assert hook["secret"] not in orjson.dumps(records).decode()
