"""Giving over HTTP: what is refused and by which field, who may erase, and what lists cost."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from core.check import prove
from core.db import reading
from core.redemptions import time_out
from tests.schema.client import CANCEL, ENROL, REDEEM, Client, statements
from tests.stories.test_workplace import (
    COLLEAGUES,
    DECLINE,
    ERASE,
    FEED,
    GIVE,
    OFFICE,
    QUEUE,
    REPORT,
    hired,
    thanks,
    wallet,
)

LISTS = {
    "colleagues": """query($n: Int!) { colleagues(partner: "workplace", first: $n) {
      edges { node { id name team } } } }""",
    "recognitions": """query($n: Int!) { recognitions(partner: "workplace", first: $n) {
      edges { node { points message value { title } currency { code } gave { code }
        partner { code } giver { name team } receiver { name team } } } } }""",
    "fulfilmentQueue": """query($n: Int!) { fulfilmentQueue(partner: "workplace", first: $n) {
      edges { node { state note decidedAt redemption { points reward { title } member { name }
        currency { code } partner { code } ledger { balance { reserved } } } } } } }""",
}
SPAN = {"from": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}


def gid(kind: str, key: str) -> str:
    """An id as this API would hand it out."""
    return base64.b64encode(f"{kind}:{key}".encode()).decode()


async def staff(api: Client, count: int) -> tuple[list[str], list[str]]:
    """So many colleagues in two teams: their callers, and their ids."""
    who = [await hired(api, f"{n}", f"N{n}", "red" if n % 2 else "blue") for n in range(count)]
    found = await api.ask("admin:root", COLLEAGUES)
    return who, [edge["node"]["id"] for edge in found["edges"]]


async def test_lists_cost_the_same_however_long_and_the_report_too(api: Client) -> None:
    """No statement for each row; the report's are three, within one transaction."""
    who, ids = await staff(api, 6)
    for n in range(6):
        for m in (1, 2):
            sent = thanks(ids[(n + m) % 6], 30, "care", "Thank you", f"{m}")
            done = await api.ask(who[n], GIVE, input=sent)
            assert done["__typename"] == "RecognitionGiven", done
        wish = {"key": "w", "partner": "workplace", "reward": "book"}
        if n > 1:  # 60 from the two before
            api.clock.tick(seconds=1)
            assert (await api.ask(who[n], REDEEM, input=wish))["__typename"] == "RewardRedeemed"
    for name, query in LISTS.items():
        counts = []
        for n in (1, 2, 4):
            with statements() as sent_:
                found = await api.ask(OFFICE, query, n=n)
            counts.append(len(sent_))
        assert len(found["edges"]) == 4, name
        assert counts == [counts[0]] * 3, (name, counts)
        assert counts[0] <= 12, (name, counts)
    with statements() as sent_:
        told = await api.ask(OFFICE, REPORT, **SPAN)
    assert (told["times"], told["points"], told["pairs"]) == (12, 360, 12)
    assert len([x for x in sent_ if "gift" in x]) == 3
    assert await prove() == []


async def test_refusals_name_their_fields(api: Client) -> None:
    """And what was refused moved nothing."""
    who, ids = await staff(api, 2)
    holder = who[1].partition(":")[2]
    elsewhere = gid("Colleague", f"{holder}.1")
    good = thanks(ids[1], 5, "care", "Thank you", "k")
    cases: list[tuple[str, dict[str, Any], str, list[str]]] = [
        (who[0], {"points": 0}, "BAD_INPUT", ["points"]),
        (who[0], {"points": 51}, "NOT_ALLOWED", ["points"]),
        (who[0], {"key": ""}, "BAD_INPUT", ["key"]),
        (who[0], {"value": "greed"}, "BAD_INPUT", ["value"]),
        (who[0], {"message": " "}, "BAD_INPUT", ["message"]),
        (who[0], {"message": "x" * 1001}, "BAD_INPUT", ["message"]),
        (who[0], {"partner": "none"}, "UNKNOWN_REFERENCE", ["partner"]),
        (who[0], {"partner": "grocer"}, "UNKNOWN_REFERENCE", ["to", "id"]),
        (who[0], {"giver": {"card": "0"}}, "NOT_ALLOWED", ["giver"]),
        (who[0], {"to": {"id": "x"}}, "BAD_INPUT", ["to", "id"]),
        (who[0], {"to": {"id": gid("Member", holder)}}, "BAD_INPUT", ["to", "id"]),
        (who[0], {"to": {"id": elsewhere}}, "UNKNOWN_REFERENCE", ["to", "id"]),
        (who[0], {"to": {"email": "nobody@example.org"}}, "UNKNOWN_REFERENCE", ["to"]),
        (who[0], {"to": {"email": "x"}}, "BAD_INPUT", ["to", "email"]),
        (who[0], {"to": {"reference": "none"}}, "UNKNOWN_REFERENCE", ["to"]),
        (OFFICE, {"to": {"id": api.told(OFFICE, ids[1])}}, "BAD_INPUT", ["giver"]),
        ("admin:root", {"giver": {"card": "none"}}, "UNKNOWN_REFERENCE", ["member"]),
        ("partner:grocer", {"giver": {"card": "0"}}, "NOT_ALLOWED", ["partner"]),
    ]  # fmt: skip
    for caller, change, code, path in cases:
        done = await api.ask(caller, GIVE, input={**good, **change})
        assert (done.get("code"), done.get("path")) == (code, path), (change, done)
    assert await wallet(api, who[0]) == {"SPARK": (100, 0)}
    for bad in ({"first": 0}, {"after": "x"}, {"after": gid("recognition", "1.x").rstrip("=")}):
        assert "errors" in await api.send(who[0], FEED, **bad)
    far = base64.urlsafe_b64encode(b"recognition:999999999999999999.1").decode()
    assert "errors" in await api.send(who[0], FEED, after=far)
    for text in ("zz' OR '1'='1", "%"):
        for name in ("value", "team"):
            assert (await api.ask(who[0], FEED, **{name: text}))["edges"] == []
        assert (await api.ask(who[0], COLLEAGUES, named=text))["edges"] == []


async def test_the_office_gives_in_a_colleague_s_name(api: Client) -> None:
    """By its key, as a chat bot does; an admin's act is recorded, and its words are left out."""
    who, ids = await staff(api, 2)
    enrolled = await api.ask(
        OFFICE, ENROL, input={"card": "1", "reference": "E-1", "partner": "workplace"}
    )
    assert enrolled["created"] is False
    sent = thanks("", 5, "care", "From the bot", "k")
    sent |= {"to": {"reference": "E-1"}, "giver": {"card": "0"}}
    done = await api.ask(OFFICE, GIVE, input=sent)
    assert done["recognition"]["receiver"] == {"name": "N1"}
    assert done["recognition"]["id"].startswith(gid("Recognition", "")[:10])
    sent |= {"to": {"id": ids[1]}, "key": "2", "message": "By an admin's hand"}
    assert (await api.ask("admin:root", GIVE, input=sent))["__typename"] == "RecognitionGiven"
    async with reading() as connection:
        rows = str(await connection.fetch("SELECT a::text FROM audit a"))
    assert "giveRecognition" in rows
    assert "admin's hand" not in rows
    assert await wallet(api, who[0]) == {"SPARK": (90, 0)}
    assert await prove() == []


async def test_who_may_erase_what_was_said(api: Client) -> None:
    """Either of the two, the office, the programme's service; nobody beside them."""
    who, ids = await staff(api, 3)
    given = []
    for n in range(4):
        done = await api.ask(who[0], GIVE, input=thanks(ids[1], 5, "care", f"W{n}", f"{n}"))
        given.append(done["recognition"]["id"])
    for other in (who[2], "partner:workplace"):
        # The third isn't asked, and the office knows it by another id.
        done = await api.ask(other, ERASE, id=given[0])
        assert done["code"] == "UNKNOWN_REFERENCE", other
    for caller, own in zip((who[0], who[1], OFFICE, "admin:sam:support"), given, strict=True):
        done = await api.ask(caller, ERASE, id=api.told(caller, own))
        assert done["recognition"] == {"message": None, "points": 5}
    async with reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM gift_message") == 0
    for bad, path in (("x", ["recognition"]), (gid("Recognition", "1.1"), ["recognition"])):
        assert (await api.ask(who[0], ERASE, id=bad))["path"] == path
    assert await prove() == []


@pytest.mark.parametrize("how", ["member", "time"])
async def test_a_request_that_ends_otherwise_gives_back_and_leaves_the_queue(
    api: Client, how: str
) -> None:
    """The member gives it up, or nobody decided in two weeks."""
    who, ids = await staff(api, 3)
    for n in (0, 1):
        await api.ask(who[n], GIVE, input=thanks(ids[2], 30, "care", "Thank you", "k"))
    wish = {"key": "w", "partner": "workplace", "reward": "book"}
    held = await api.ask(who[2], REDEEM, input={**wish, "hold": "2h", "key": "h"})
    assert (held["code"], held["path"]) == ("BAD_INPUT", ["hold"])
    done = (await api.ask(who[2], REDEEM, input=wish))["redemption"]
    assert done["holdUntil"] == "2026-12-06T12:00:00Z"  # 14 days
    assert (await wallet(api, who[2]))["GLOW"] == (0, 60)
    (edge,) = (await api.ask(OFFICE, QUEUE, state="REQUESTED"))["edges"]
    node = "query($id: ID!) { node(id: $id) { ... on Fulfilment { state } } }"
    assert await api.ask(OFFICE, node, id=edge["node"]["id"]) == {"state": "REQUESTED"}
    assert await api.ask(who[0], node, id=gid("Fulfilment", "1.1")) is None
    if how == "member":
        given = {"key": "c", "redemption": done["id"]}
        assert (await api.ask(who[2], CANCEL, input=given))["__typename"] == "RewardRedeemed"
    else:
        api.clock.tick(days=14)
        assert (await api.ask(OFFICE, QUEUE, state="REQUESTED"))["edges"] == []
        assert await time_out(api.engine, api.clock.at) == 1
    assert (await wallet(api, who[2])).get("GLOW") == (60, 0)
    (own,) = (await api.ask(who[2], QUEUE))["edges"]
    assert own["node"]["state"] == "ENDED"
    assert (await api.ask(OFFICE, QUEUE, state="REQUESTED"))["edges"] == []
    late = {"key": "n", "redemption": api.told(OFFICE, done["id"]), "note": "No"}
    assert (await api.ask(OFFICE, DECLINE, input=late))["code"] == "WRONG_STATE"
    assert await prove() == []


async def test_nobody_learns_by_giving_who_else_is_enrolled(api: Client) -> None:
    """Whatever is wrong with a gift, a stranger's address is answered as that of nobody."""
    who, _ = await staff(api, 1)
    outsider = api.member(await api.enrol("x", "Outsider"))
    await api.ask("admin:root", ENROL, input={"email": "known@example.org"})
    good = thanks("", 5, "care", "Thank you", "k")
    seen = []
    for caller in (who[0], outsider):
        for wrong in ({}, {"points": 0}, {"points": 51}, {"value": "greed"}, {"message": " "}):
            told = [
                await api.ask(caller, GIVE, input={**good, **wrong, "to": {"email": mail}})
                for mail in ("known@example.org", "nobody@example.org")
            ]
            assert told[0] == told[1], (caller, wrong)
            seen.append(told[0]["code"])
    # The control: they differ by what is wrong.
    assert set(seen) == {"UNKNOWN_REFERENCE", "BAD_INPUT", "NOT_ALLOWED"}


async def test_who_was_erased_reads_no_request_of_its_own(api: Client) -> None:
    """Nor the code of what it had asked for; the office goes on with it."""
    who, ids = await staff(api, 3)
    for n in (0, 1):
        await api.ask(who[n], GIVE, input=thanks(ids[2], 30, "care", "Thank you", "k"))
    wish = {"key": "w", "partner": "workplace", "reward": "book"}
    assert (await api.ask(who[2], REDEEM, input=wish))["__typename"] == "RewardRedeemed"
    node = "query($id: ID!) { node(id: $id) { ... on Fulfilment { redemption { codes } } } }"
    (own,) = (await api.ask(who[2], QUEUE))["edges"]
    assert (await api.ask(who[2], node, id=own["node"]["id"]))["redemption"]["codes"]
    erase = 'mutation { eraseMember(input: {key: "e", confirm: true}) { __typename } }'
    assert (await api.ask(who[2], erase))["__typename"] == "MemberErased"
    assert (await api.ask(who[2], QUEUE))["edges"] == []
    assert await api.ask(who[2], node, id=own["node"]["id"]) is None
    (left,) = (await api.ask(OFFICE, QUEUE))["edges"]
    assert left["node"]["state"] == "REQUESTED"
    assert await prove() == []
