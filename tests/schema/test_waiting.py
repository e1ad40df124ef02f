"""What comes before its purchase: who sees it, how it is paged, what becomes of it."""

from __future__ import annotations

from tests.schema.client import Client, receipt
from tests.schema.returning import (
    AT,
    CANCELS,
    LATER,
    TILL,
    WAITING,
    balances,
    bring,
    cancel,
    item,
    part,
    results,
    sold,
)


async def test_what_comes_before_its_purchase_waits_visibly(api: Client) -> None:
    who = api.member(await api.enrol("9012"))
    given = item("B-1", "R-1", LATER, part(2, "1"))
    [put] = await bring(api, TILL, "grocer", given)
    assert (put["__typename"], put["kind"], put["externalId"], put["purchase"]) == (
        "ReturnWaiting", "RETURN", "B-1", "R-1",
    )  # fmt: skip
    assert (put["since"], put["problem"]) == ("2026-11-22T12:00:00Z", None)
    api.clock.tick(minutes=1)
    [again] = await bring(api, TILL, "grocer", given)
    assert again == put
    [other] = await bring(api, TILL, "grocer", item("B-1", "R-1", LATER, part(1, "1")))
    assert (other["__typename"], other["path"]) == (
        "IdempotencyConflictError", ["returns", "0", "externalId"],
    )  # fmt: skip
    given_up = {"partner": "cafe", "cancels": [cancel("R-1")]}
    [other] = await results(api, "partner:cafe", CANCELS, **given_up)
    assert (other["kind"], other["externalId"]) == ("CANCEL", "R-1")
    for viewer, seen in (("admin:root", {"grocer", "cafe"}), (TILL, {"grocer"})):
        page = await api.ask(viewer, WAITING)
        assert {e["node"]["partner"]["code"] for e in page["edges"]} == seen
    page = await api.ask("admin:root", WAITING, partner="cafe")
    assert [e["node"]["id"] for e in page["edges"]] == [other["id"]]
    refused = await api.send(TILL, WAITING, partner="cafe")
    assert refused["errors"][0]["extensions"]["reason"] == "NOT_ALLOWED"
    node = "query($id: ID!) { node(id: $id) { id } }"
    for viewer, found in (
        (TILL, True),
        ("partner:cafe", False),
        ("admin:root", True),
        (who, False),
    ):
        assert (await api.ask(viewer, node, id=put["id"]) == {"id": put["id"]}) is found
    await api.buy(
        TILL, "grocer", receipt("R-1", "9012", AT, ("PRODUCE", "40.00"), ("WINE", "60.50"))
    )
    assert await balances(api, who) == {"BASKET": {"active": 120}, "LAUREL": {"active": 4}}
    assert (await api.ask(TILL, WAITING))["edges"] == []
    [last] = await bring(api, TILL, "grocer", given)
    assert (last["__typename"], last["replayed"]) == ("ReturnRecorded", True)


async def test_what_waited_in_vain_says_why(api: Client) -> None:
    await bring(api, TILL, "grocer", item("B-1", "R-1", LATER, part(3, "1")))
    await sold(api)
    [edge] = (await api.ask(TILL, WAITING))["edges"]
    assert edge["node"]["problem"] == "the receipt has 2 lines"


async def test_what_waits_is_paged_without_gap_or_repeat(api: Client) -> None:
    """Also where a return and a cancel of several partners bear one number and one instant."""
    for partner in ("grocer", "cafe", "outfitter"):
        till = f"partner:{partner}"
        await bring(api, till, partner, item("X", "R", LATER, part(1, "1")))
        await results(api, till, CANCELS, partner=partner, cancels=[cancel("X")])
    whole = (await api.ask("admin:root", WAITING))["edges"]
    assert len({edge["node"]["id"] for edge in whole}) == 6
    seen, after, more = [], None, True
    while more:
        page = await api.ask("admin:root", WAITING, first=1, after=after)
        seen += page["edges"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == whole
    for cursor in ("eA==", "d2FpdGluZzp4", "d2FpdGluZzo5OTk5OTk5OTk5OTk5OTk5OTk5OTkuMS44Lng="):
        answer = await api.send("admin:root", WAITING, after=cursor)
        assert answer["errors"][0]["extensions"]["field"] == ["after"]
