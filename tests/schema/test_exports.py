"""Bulk exports: downloads that are whole, cut off, forged or too late; and who reads what."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from app import exports as downloads
from app.exports import OVER, link
from core.signing import Secrets
from core.store import exports as store
from core.store import lookups
from schema.exports import read_page
from tests.schema.client import Client, receipt, statements
from tests.schema.exporting import EXPORT, MEMBERS, ask, call, crowd, fetch, stored, url_of

AT = "2026-11-22T09:00:00Z"


async def test_every_row_comes_once_and_the_last_line_says_so(api: Client) -> None:
    """In the connection's own order, whatever the length of a page."""
    ids = await crowd(api, 7)
    for size in ("", "(first: 1)", "(first: 3)", "(first: 7)"):
        lines = await fetch(api, await url_of(api, "admin:root", _sized(size)))
        assert lines[-1] == {"complete": True, "count": 7}
        assert [line["node"] for line in lines[:-1]] == [
            {"id": id_, "name": f"M{n}"} for n, id_ in enumerate(ids)
        ]
        assert all(set(line) == {"cursor", "node"} for line in lines[:-1])


def _sized(size: str) -> str:
    return MEMBERS.replace("(first: 3)", size)


async def test_resumed_at_every_cut_it_is_the_same(api: Client) -> None:
    """Also where rows are added meanwhile: nothing is left out, nothing comes twice."""
    await crowd(api, 7)
    url = await url_of(api, "admin:root", MEMBERS)
    whole = await fetch(api, url)
    for cut in range(1, 8):
        rest = await fetch(api, f"{url}&after={whole[cut - 1]['cursor']}")
        assert [*whole[:cut], *rest[:-1]] == whole[:-1]
        assert rest[-1] == {"complete": True, "count": 7 - cut}
    await api.enrol("late", "Late")
    rest = await fetch(api, f"{url}&after={whole[3]['cursor']}")
    assert rest[:-2] == whole[4:-1]
    assert rest[-2]["node"]["name"] == "Late"


async def test_what_is_booked_while_it_is_downloaded_moves_nothing(api: Client) -> None:
    """A list that begins with its newest row: the new one stands before the place that was read."""
    member = await api.enrol("1")
    for n in range(1, 6):
        await api.buy("admin:root", "grocer", receipt(str(n), "1", AT, ("X", f"{n}.00")))
    ledgers = await api.ask(api.member(member), "{ me { ledgers { id } } }")
    query = """query($id: ID!) { node(id: $id) { ... on Ledger { entries(first: 2) {
      edges { node { amount } } } } } }"""
    [ledger] = [ledger["id"] for ledger in ledgers["ledgers"]][:1]
    url = await url_of(api, api.member(member), query, {"id": ledger})
    before = await fetch(api, url)
    seen: list[bytes] = []

    async def send(message: Any) -> None:
        if message.get("body"):
            seen.append(message["body"])
            if len(seen) == 1:
                bought = receipt("new", "1", AT, ("X", "9.00"))
                await api.buy("admin:root", "grocer", bought)

    await call(api, url, send)
    assert [orjson.loads(line) for line in b"".join(seen).splitlines()] == before
    assert (await fetch(api, url))[-1]["count"] == before[-1]["count"] + 1


async def test_a_page_is_read_when_the_one_before_was_taken(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And none at all once the client is gone, whose place another takes."""
    await crowd(api, 7)
    url = await url_of(api, "admin:root", MEMBERS)
    pages = _counted(monkeypatch)
    gone, taken = asyncio.Event(), 0

    async def send(message: Any) -> None:
        nonlocal taken
        if message.get("body"):
            taken += 1
            assert len(pages) == taken
            gone.set()
            await asyncio.Event().wait()  # takes no more

    await call(api, url, send, gone)
    assert (taken, len(pages)) == (1, 1)
    assert (await fetch(api, url))[-1] == {"complete": True, "count": 7}
    assert len(pages) == 4


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    pages: list[Any] = []
    original = read_page

    async def counting(*arguments: Any) -> Any:
        pages.append(arguments)
        return await original(*arguments)

    monkeypatch.setattr(downloads, "read_page", counting)
    return pages


def _altered(url: str, name: str, value: str) -> str:
    path, _, query = url.partition("?")
    parts = dict(part.split("=") for part in query.split("&"))
    return f"{path}?" + "&".join(f"{k}={v}" for k, v in {**parts, name: value}.items())


async def test_a_forged_url_opens_nothing(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither altered nor by another secret; the database isn't even asked."""
    url = await url_of(api, "admin:root", MEMBERS)
    other = await url_of(api, "admin:root", MEMBERS)
    number = int(url.partition("?")[0].rpartition("/")[2])
    later = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())
    forged = [
        url.partition("?")[0],
        url.replace(f"/{number}?", f"/{number + 1}?"),
        url.replace(f"/{number}?", "/x?"),
        url.replace(f"/{number}?", f"/{'9' * 30}?"),
        url.replace(f"/{number}?", "/٣?"),
        _altered(url, "expires", str(later)),
        _altered(url, "expires", "-1"),
        _altered(url, "signature", ""),
        _altered(url, "signature", "é"),
        _altered(url, "signature", other.rpartition("=")[2]),
        link(Secrets("x" * 40), number, datetime(2027, 1, 1, tzinfo=UTC)),
    ]

    async def untouched(*_: Any) -> Any:
        raise AssertionError("a forged URL is refused before anything is read")

    monkeypatch.setattr(store, "find", untouched)
    for bad in forged:
        response = await api.http.get(bad)
        assert response.status_code == 403, bad
        [error] = response.json()["errors"]
        assert error["message"] == "this URL isn't one of ours"
    for method in ("POST", "HEAD", "DELETE"):
        refused = await api.http.request(method, url)
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET")


async def test_a_url_ends_after_a_day_and_its_row_is_dropped(api: Client) -> None:
    """What was asked stands in the row, a member's card perhaps: it isn't kept any longer."""
    done = await ask(*await _with_key(api), MEMBERS)
    assert done["expiresAt"] == "2026-11-23T12:00:00Z"
    api.clock.tick(hours=23, minutes=59, seconds=59)
    assert (await fetch(api, done["url"]))[-1]["complete"]
    assert await store.forget(api.clock()) == 0
    api.clock.tick(seconds=1)
    late = await api.http.get(done["url"])
    assert late.status_code == 410
    assert late.json()["errors"][0]["message"] == OVER
    assert await store.forget(api.clock()) == 1
    api.clock.tick(hours=-1)
    assert (await api.http.get(done["url"])).status_code == 410


async def test_it_ends_with_the_token_that_asked(api: Client) -> None:
    """Nobody reads by a URL for longer than it could itself."""
    done = await ask(api, "admin:root", MEMBERS)
    assert done["expiresAt"] == "2026-11-23T00:00:00Z"


async def test_it_ends_in_the_middle_too(api: Client) -> None:
    """With a line that says why, and none that says it is complete."""
    await crowd(api, 7)
    url = await url_of(api, "admin:root", MEMBERS)
    bodies: list[bytes] = []

    async def send(message: Any) -> None:
        bodies.append(message.get("body", b""))
        api.clock.tick(hours=12 if bodies[-1] else 0)

    await call(api, url, send)
    lines = [orjson.loads(line) for line in b"".join(bodies).splitlines()]
    assert len(lines) == 4
    assert lines[-1] == {"error": {"message": OVER}}


async def test_it_reads_as_whoever_asked(api: Client) -> None:
    """A partner gets the members it has dealt with, a member its own, by the same documents."""
    ids = await crowd(api, 3)
    await api.buy("admin:root", "grocer", receipt("R", "c1", AT, ("PRODUCE", "90.00")))
    told = await api.ask("partner:grocer", MEMBERS)
    lines = await fetch(api, await url_of(api, "partner:grocer", MEMBERS))
    assert [line.get("node") for line in lines] == [told["edges"][0]["node"], None]
    assert lines[0]["node"]["name"] == "M1"
    assert (await fetch(api, await url_of(api, "partner:cafe", MEMBERS)))[0]["complete"]
    ledger = (await api.ask(api.member(ids[1]), "{ me { ledgers { id } } }"))["ledgers"][0]["id"]
    entries = """query($id: ID!) { node(id: $id) { ...L } }
      fragment L on Ledger { entries { edges { node { ...E } } } }
      fragment E on LedgerEntry { amount }"""
    own = await fetch(api, await url_of(api, api.member(ids[1]), entries, {"id": ledger}))
    assert own[-1] == {"complete": True, "count": len(own) - 1}
    assert own[0]["node"]["amount"] > 0
    others = await ask(api, api.member(ids[0]), entries, {"id": ledger})
    assert others["message"] == "there is nothing to export by this query"
    assert await stored() == 3


_KEY = """mutation($scopes: [ApiKeyScope!]!) { createApiKey(input: {partner: "grocer", title: "t",
  scopes: $scopes}) { ... on ApiKeyIssued { secret apiKey { id } } } }"""
_REVOKE = """mutation($id: ID!) { revokeApiKey(input: {partner: "grocer", id: $id}) {
  __typename } }"""


async def _with_key(api: Client) -> tuple[Client, str]:
    """A client that sends a new key of the grocer's, which reads members, and the key's id."""
    made = await api.ask("admin:root", _KEY, scopes=["MEMBERS_READ"])
    return replace(api, tokens={made["apiKey"]["id"]: made["secret"]}), made["apiKey"]["id"]


async def test_the_key_that_asked_is_revoked_in_the_middle(api: Client) -> None:
    """The next page isn't read, and the URL opens nothing any more; another's goes on."""
    for n in range(5):
        await api.enrol(f"c{n}", f"M{n}")
        await api.buy("admin:root", "grocer", receipt(f"R{n}", f"c{n}", AT, ("PRODUCE", "9.00")))
    keyed, key = await _with_key(api)
    url, other = await url_of(keyed, key, MEMBERS), await url_of(*await _with_key(api), MEMBERS)
    bodies: list[bytes] = []

    async def send(message: Any) -> None:
        bodies.append(message.get("body", b""))
        if len(bodies) == 2:
            revoked = await api.ask("admin:root", _REVOKE, id=key)
            assert revoked["__typename"] == "ApiKeyRevoked"

    await call(api, url, send)
    lines = [orjson.loads(line) for line in b"".join(bodies).splitlines()]
    assert [set(line) for line in lines] == [{"cursor", "node"}] * 3 + [{"error"}]
    assert (await api.http.get(url)).status_code == 410
    assert (await fetch(api, other))[-1] == {"complete": True, "count": 5}


async def test_a_key_exports_what_its_scopes_open(api: Client) -> None:
    """The query within has a rule of its own."""
    keyed, key = await _with_key(api)
    done = await ask(keyed, key, "{ waitingReturns { edges { node { id } } } }")
    assert (done["__typename"], done["path"]) == ("NotAllowedError", ["query"])
    assert (await ask(keyed, key, MEMBERS))["__typename"] == "ExportReady"


async def test_the_partner_is_uninstalled_in_the_middle(api: Client) -> None:
    """The next page is refused as any request of its token is."""
    for n in range(5):
        await api.enrol(f"c{n}", f"M{n}")
        await api.buy("admin:root", "grocer", receipt(f"R{n}", f"c{n}", AT, ("PRODUCE", "9.00")))
    url = await url_of(api, "partner:grocer", MEMBERS)
    bodies: list[bytes] = []
    installed = api.engine.rulebook
    partners = {c: p for c, p in installed.partners.items() if c != "grocer"}

    async def send(message: Any) -> None:
        bodies.append(message.get("body", b""))
        api.engine.rulebook = replace(installed, partners=partners)

    await call(api, url, send)
    lines = [orjson.loads(line) for line in b"".join(bodies).splitlines()]
    assert [set(line) for line in lines] == [{"cursor", "node"}] * 3 + [{"error"}]
    assert lines[-1]["error"]["extensions"] == {"code": "FORBIDDEN"}
    refused = await api.http.get(url)
    assert refused.status_code == 400
    api.engine.rulebook = installed
    rest = await fetch(api, f"{url}&after={lines[2]['cursor']}")
    assert rest[-1] == {"complete": True, "count": 2}


async def test_a_fault_of_ours_in_the_middle_is_masked(
    api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A last line without a word of it; in the first page, 500."""
    await crowd(api, 5)
    url = await url_of(api, "admin:root", MEMBERS)
    bodies: list[bytes] = []

    async def broken(*_: Any) -> Any:
        raise RuntimeError("postgresql://laurels:hunter2@db")

    async def send(message: Any) -> None:
        bodies.append(message.get("body", b""))
        monkeypatch.setattr(lookups, "member_page", broken)

    await call(api, url, send)
    last = orjson.loads(b"".join(bodies).splitlines()[-1])
    assert last["error"]["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}
    assert last["error"]["message"].startswith("internal error ")
    assert b"hunter2" not in b"".join(bodies)
    failed = await api.http.get(url)
    assert (failed.status_code, "hunter2" in failed.text) == (500, False)
    answer = await api.send("admin:root", EXPORT, input={"query": MEMBERS})
    assert answer["errors"][0]["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}


async def test_a_page_costs_the_same_wherever_it_stands(api: Client) -> None:
    """For each page the row of the export, and as many statements as the query itself."""
    for n in range(6):
        await api.enrol(f"c{n}")
        await api.buy("admin:root", "grocer", receipt(f"R{n}", f"c{n}", AT, ("PRODUCE", "9.00")))
    query = """{ members(first: 2) { edges { node { name
      ledgers { currency { code } entries(first: 5) { edges { node { amount } } } } } } } }"""
    with statements() as alone:
        await api.ask("admin:root", query)
    url = await url_of(api, "admin:root", query)
    with statements() as sent:
        lines = await fetch(api, url)
    assert len(lines) == 7
    assert len(sent) == 3 + 3 * len(alone)


async def test_a_place_that_is_none(api: Client) -> None:
    """Refused before the first line."""
    url = await url_of(api, "admin:root", MEMBERS)
    refused = await api.http.get(f"{url}&after=x")
    assert refused.status_code == 400
    assert "no cursor" in refused.json()["errors"][0]["message"]
