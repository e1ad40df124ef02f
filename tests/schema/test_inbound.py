"""Webhooks over HTTP: who gets in, what is answered; what admins and the partner see of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from app.bodies import MOST_BYTES
from core.db import PASSING
from core.inbound import work
from core.store.inbound import Filter, listed
from laurels import Hmac
from tests.core.webshop import (
    ADAPTER,
    NAME,
    OLD_SECRET,
    SECRET,
    SIGNATURE,
    Webhook,
    created,
    customer,
    edited,
    log,
    open_webshop,
    refunded,
    stamp,
)
from tests.schema.client import Client, statements
from tests.support import NOW, scalar

PATH = "/in/webshop/shopify"
LOG = """query($state: InboundState, $adapter: String, $subject: String, $first: Int! = 20,
  $after: String, $partner: String) {
  inbound(state: $state, adapter: $adapter, subject: $subject, first: $first, after: $after,
    partner: $partner) { pageInfo { hasNextPage endCursor } edges { node { id delivery subject
    version state attempts problem nextAt doneAt conflicts body partner { code }
    outcomes { command what told purchase revision activity } } } } }"""
REPLAY = """mutation($input: ReplayInboundInput!) { replayInbound(input: $input) { __typename
  ... on InboundReplayed { replayed deliveries { delivery state } }
  ... on Error { code message path } } }"""


async def send(
    api: Client, hook: Webhook, secret: str = SECRET, path: str = PATH, **headers: str
) -> httpx.Response:
    """As the shop sends it."""
    signed = Hmac(secret, SIGNATURE).sign(hook.body, NOW)
    return await api.http.post(
        path, content=hook.body, headers={**hook.headers, **signed, **headers}
    )


async def nodes(api: Client, who: str, **wanted: Any) -> list[dict[str, Any]]:
    """The log."""
    found = await api.ask(who, LOG, **wanted)
    return [edge["node"] for edge in found["edges"]]


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_a_genuine_one_is_taken_at_once_and_done(webshop: Client, secret: str) -> None:
    for hook in (customer(7), created(1, 1, ("10.00", 1))):
        answer = await send(webshop, hook, secret)
        assert (answer.status_code, answer.json()) == (202, {"status": "received"})
    assert [row.state.name for row in await log()] == ["DONE", "DONE"]
    answer = await send(webshop, hook, secret)
    assert (answer.status_code, answer.json()) == (200, {"status": "known"})
    assert len(await log()) == 2


@pytest.mark.parametrize("wrong", ["another secret", "", "none", "another body", "later"])
async def test_a_forged_one_learns_nothing_and_leaves_nothing(webshop: Client, wrong: str) -> None:
    hook = customer(7)
    if wrong == "none":
        answer = await webshop.http.post(PATH, content=hook.body, headers=hook.headers)
    elif wrong == "another body":
        signed = Hmac(SECRET, SIGNATURE).sign(hook.body, NOW)
        answer = await webshop.http.post(
            PATH, content=hook.body + b" ", headers={**hook.headers, **signed}
        )
    elif wrong == "":
        answer = await send(webshop, hook, **{SIGNATURE: ""})
    else:
        answer = await send(webshop, hook, "whsec-other")
    assert answer.status_code == 401
    assert answer.json() == {
        "errors": [
            {"message": "the signature isn't good", "extensions": {"code": "UNAUTHENTICATED"}}
        ]
    }
    assert await log() == []


@pytest.mark.parametrize(
    ("path", "status"),
    [("/in/webshop/other", 404), ("/in/nobody/shopify", 404), ("/in/webshop", 404),
     ("/in/webshop/%00", 404), ("/in/webshop/shopify/", 307)],
)  # fmt: skip
async def test_where_nobody_listens(webshop: Client, path: str, status: int) -> None:
    assert (await send(webshop, customer(7), path=path)).status_code == status
    assert await log() == []


async def test_only_posts_of_a_size_are_taken(webshop: Client) -> None:
    answer = await webshop.http.get(PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    answer = await webshop.http.post(PATH, content=b"x" * (MOST_BYTES + 1))
    assert answer.status_code == 413
    assert await log() == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000, b"{}", b"1" * 5000]
)
async def test_no_body_costs_a_500(webshop: Client, body: bytes) -> None:
    signed = Hmac(SECRET, SIGNATURE).sign(body, NOW)
    headers = {**customer(7).headers, **signed}
    answer = await webshop.http.post(PATH, content=body, headers=headers)
    assert answer.status_code == 202
    (row,) = await log()
    assert (row.state.name, row.delivery[:7], row.body) == ("REFUSED", "sha256:", body)
    answer = await webshop.http.post(PATH, content=body, headers=headers)
    assert (answer.status_code, len(await log())) == (200, 1)


@pytest.mark.parametrize("value", [b"\0", b"\xe9\x80", b"x" * 3000])
async def test_no_header_costs_a_500(webshop: Client, value: bytes) -> None:
    hook = customer(7)
    signed = Hmac(SECRET, SIGNATURE).sign(hook.body, NOW)
    headers = {k.encode(): v.encode() for k, v in {**hook.headers, **signed}.items()}
    answer = await webshop.http.post(
        PATH, content=hook.body, headers={**headers, NAME.encode(): value}
    )
    assert answer.status_code == (400 if value == b"\0" else 202)


async def test_a_name_with_another_body_is_refused_and_noted(webshop: Client) -> None:
    first = customer(7)
    await send(webshop, first)
    other = replace(first, said={**first.said, "name": "Eve"})
    answer = await send(webshop, other)
    assert answer.status_code == 409
    (node,) = await nodes(webshop, "admin:root")
    assert (node["conflicts"], node["body"]) == (1, first.body.decode())
    assert await scalar("SELECT name FROM member") == "Ada"


async def test_a_body_under_another_topic_is_another_message(webshop: Client) -> None:
    hook = Webhook("shop/update", "s", {"id": 1})  # it has no name, for it is ignored
    for topic, status in (("shop/update", 202), ("shop/closed", 202), ("shop/update", 200)):
        assert (await send(webshop, replace(hook, topic=topic))).status_code == status
    assert len(await log()) == 2


async def test_reviews_and_their_withdrawal_name_the_activity(webshop: Client) -> None:
    await send(webshop, customer(7))
    said = {"id": 5, "updated_at": stamp(1), "customer": 7, "stars": 4}
    for topic in ("reviews/create", "reviews/delete"):
        await send(webshop, Webhook(topic, topic, said))
    found = [node["outcomes"][0] for node in (await nodes(webshop, "admin:root"))[:2]]
    assert [(x["command"], x["what"], x["activity"], x["purchase"]) for x in found] == [
        ("WithdrawActivity", "booked", "5", None), ("RecordActivity", "booked", "5", None)
    ]  # fmt: skip


async def test_without_a_database_it_is_to_be_sent_again(
    webshop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object) -> None:
        raise PASSING[0]

    monkeypatch.setattr("core.store.inbound.add", gone)
    answer = await send(webshop, customer(7))
    told = {"message": "not now: send it again", "extensions": {"code": "UNAVAILABLE"}}
    assert (answer.status_code, answer.json()) == (503, {"errors": [told]})


async def test_what_is_left_is_done_by_the_job(
    webshop: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as dying:
        dying.setattr("app.inbox.work", dies)
        assert (await send(webshop, customer(7))).status_code == 202
    assert [row.state.name for row in await log()] == ["RECEIVED"]
    assert await work(webshop.engine, NOW) == 1
    assert [row.state.name for row in await log()] == ["DONE"]


async def test_the_log_is_told_newest_first_to_admins_and_the_partner(webshop: Client) -> None:
    for hook in (customer(7), edited(1, 2, ("20.00", 1)), refunded(2, 1, 9, (1, 1))):
        await send(webshop, hook)
    found = await nodes(webshop, "admin:root")
    assert [node["delivery"] for node in found] == ["refund-9", "edit-1-2", "customer-7"]
    assert found[1] == {
        "id": found[1]["id"], "delivery": "edit-1-2", "subject": "1",
        "version": 1773572520000000, "state": "WAITING", "attempts": 1,
        "problem": "no purchase '1' is recorded yet", "nextAt": "2026-03-15T12:01:00Z",
        "doneAt": None, "conflicts": 0, "body": edited(1, 2, ("20.00", 1)).body.decode(),
        "partner": {"code": "webshop"}, "outcomes": [],
    }  # fmt: skip
    assert found[2]["outcomes"] == [
        {
            "command": "Enrol",
            "what": "booked",
            "told": None,
            "purchase": None,
            "revision": None,
            "activity": None,
        }
    ]
    own = await nodes(webshop, "partner:webshop", state="WAITING")
    assert [(node["delivery"], node["body"]) for node in own] == [
        ("refund-9", None), ("edit-1-2", None)
    ]  # fmt: skip
    assert [n["delivery"] for n in await nodes(webshop, "admin:root", subject="1")] == ["edit-1-2"]
    assert await nodes(webshop, "admin:root", adapter="other") == []
    first = await webshop.ask("admin:root", LOG, first=2)
    assert first["pageInfo"]["hasNextPage"]
    rest = await nodes(webshop, "admin:root", first=2, after=first["pageInfo"]["endCursor"])
    assert [node["delivery"] for node in rest] == ["customer-7"]


async def test_bodies_are_loaded_where_they_are_asked_for_and_together(webshop: Client) -> None:
    for n in range(4):
        await send(webshop, customer(n))
    assert [row.body for row in await listed(Filter(), 2**63 - 1, 9)] == [None] * 4
    for who, asked, count in (
        ("admin:root", "body", 1), ("admin:root", "delivery", 0), ("partner:webshop", "body", 0)
    ):  # fmt: skip
        with statements() as sent:
            await webshop.ask(who, f"{{ inbound {{ edges {{ node {{ {asked} }} }} }} }}")
        assert sum("SELECT id, body FROM inbound" in one for one in sent) == count


NODE = "query($id: ID!) { node(id: $id) { ... on InboundDelivery { delivery body } } }"


async def test_one_is_found_by_its_id_by_whoever_may_see_it(webshop: Client) -> None:
    await send(webshop, customer(7))
    (node,) = await nodes(webshop, "admin:root")
    told = await webshop.ask("admin:root", NODE, id=node["id"])
    assert told == {"delivery": "customer-7", "body": customer(7).body.decode()}
    told = await webshop.ask("partner:webshop", NODE, id=node["id"])
    assert told == {"delivery": "customer-7", "body": None}
    member = webshop.member(await webshop.enrol("1"))
    assert await webshop.ask(member, NODE, id=node["id"]) is None


async def test_adapters_are_told_to_admins_and_the_partner(webshop: Client) -> None:
    asked = '{ partners(code: "webshop") { adapters { code path } } }'
    for who in ("admin:root", "partner:webshop"):
        assert await webshop.ask(who, asked) == [
            {"adapters": [{"code": "shopify", "path": "/in/webshop/shopify"}]}
        ]
    member = webshop.member(await webshop.enrol("1"))
    assert await webshop.ask(member, asked) == [{"adapters": None}]


async def test_a_replay_uses_the_present_read(webshop: Client) -> None:
    def broken(message: object) -> Any:
        raise KeyError

    good = webshop.engine.rulebook
    webshop.engine.rulebook = (await open_webshop(replace(ADAPTER, read=broken))).rulebook
    await send(webshop, customer(7))
    await send(webshop, created(1, 1, ("10.00", 1)))
    found = await nodes(webshop, "admin:root", state="REFUSED")
    assert {node["problem"] for node in found} == {"adapter 'shopify': its read raised KeyError"}
    webshop.engine.rulebook = good
    ids = [node["id"] for node in found][::-1]
    told = await webshop.ask("partner:webshop", REPLAY, input={"ids": ids, "key": "k"})
    assert told == {
        "__typename": "InboundReplayed", "replayed": False,
        "deliveries": [
            {"delivery": "customer-7", "state": "DONE"}, {"delivery": "create-1-1", "state": "DONE"}
        ],
    }  # fmt: skip
    attempts = await scalar("SELECT array_agg(attempts) FROM inbound")
    again = await webshop.ask("partner:webshop", REPLAY, input={"ids": ids, "key": "k"})
    assert again == {**told, "replayed": True}
    assert await scalar("SELECT array_agg(attempts) FROM inbound") == attempts
    without = await webshop.ask("partner:webshop", REPLAY, input={"ids": ids})
    assert without == told
    assert await scalar("SELECT count(*) FROM event WHERE kind = 1") == 1


async def test_what_can_not_be_replayed(webshop: Client) -> None:
    await send(webshop, customer(7))
    (node,) = await nodes(webshop, "admin:root")
    await webshop.ask("admin:root", REPLAY, input={"ids": [node["id"]], "key": "k"})

    async def refused(**given: Any) -> tuple[str, list[str]]:
        told = await webshop.ask("admin:root", REPLAY, input=given)
        return told["__typename"], told["path"]

    nobody = "SW5ib3VuZERlbGl2ZXJ5Ojk5"
    assert await refused(ids=[]) == ("BadInputError", ["ids"])
    assert await refused(ids=["x"]) == ("BadInputError", ["ids"])
    assert await refused(ids=[node["id"], nobody]) == ("UnknownReferenceError", ["ids", "1"])
    assert await refused(ids=[node["id"]], key="") == ("BadInputError", ["key"])
    await send(webshop, customer(8))
    (other, _) = await nodes(webshop, "admin:root")
    assert await refused(ids=[other["id"]], key="k") == ("IdempotencyConflictError", ["key"])
    await scalar("UPDATE inbound SET body = NULL RETURNING 1")
    assert await refused(ids=[node["id"]]) == ("BadInputError", ["ids", "0"])
