"""Tiers over HTTP: what is shown of them to whom, and giving one by hand."""

from __future__ import annotations

from typing import Any

from tests.schema.client import Client, receipt
from tests.schema.tiers import ASSIGN, END, TIERS

AT = "2026-03-15T09:00:00Z"


async def club(market: Client, who: str, as_of: str | None = None) -> dict[str, Any]:
    """Where the member with card 1 stands on the club's ladder."""
    told = await market.ask(who, TIERS, card="1", asOf=as_of)
    (found,) = [x for x in told["tiers"] if x["ladder"]["code"] == "club"]
    return dict(found)


def given(**more: Any) -> dict[str, Any]:
    """The input of a gift of gold until June."""
    return {
        "key": "k", "member": {"card": "1"}, "ladder": "club", "tier": "gold",
        "until": "2026-06-01T00:00:00Z", "reason": "airline-gold", "statusMatch": True, **more,
    }  # fmt: skip


async def test_a_tier_tells_since_when_until_when_and_what_lies_ahead(market: Client) -> None:
    await market.enrol("1")
    foot = await club(market, "admin:root")
    assert (foot["since"], foot["until"], foot["projected"], foot["toKeep"]) == (None,) * 4
    await market.buy("admin:root", "market", receipt("R", "1", AT, ("PLAIN", "70.00")))
    told = await club(market, "admin:root")
    assert told["current"] == {"code": "silver"}
    assert told["since"] == "2026-03-15T09:00:00Z"
    assert told["until"] == told["toKeep"]["until"] == "2026-04-15T00:00:00Z"
    assert told["projected"] == {"tier": {"code": "base"}, "at": "2026-04-15T00:00:00Z"}
    assert told["assignment"] is None
    ladder = told["ladder"]
    assert (ladder["window"], ladder["hold"], ladder["grace"]) == ("30D", None, None)
    assert (ladder["softLanding"], ladder["timeZone"]) == (False, "UTC")
    assert [t["neverDown"] for t in ladder["tiers"]] == [False] * 3


async def test_an_admin_gives_a_tier_and_ends_it(market: Client) -> None:
    member = await market.enrol("1")
    await market.buy("admin:root", "market", receipt("R", "1", AT, ("PLAIN", "1.00")))
    done = await market.ask("admin:root", ASSIGN, input=given())
    number = done["assignment"].pop("id")
    assert done == {
        "__typename": "TierAssigned",
        "replayed": False,
        "ladder": {"code": "club"},
        "member": {"id": member},
        "assignment": {
            "tier": {"code": "gold"},
            "since": "2026-03-15T12:00:00Z",
            "until": "2026-06-01T00:00:00Z",
            "statusMatch": True,
            "reason": "airline-gold",
        },
        "tierChanges": [
            {"at": "2026-03-15T12:00:00Z", "from": {"code": "base"}, "to": {"code": "gold"}}
        ],
    }
    told = await club(market, "admin:root")
    assert (told["current"], told["until"]) == ({"code": "gold"}, "2026-06-01T00:00:00Z")
    assert told["assignment"]["id"] == number
    for who, reason in ((market.member(member), None), ("partner:market", None)):
        query = TIERS if who.startswith("partner") else TIERS.replace(
            "query($card: String!, $asOf: DateTime) { member(by: {card: $card})",
            "query($asOf: DateTime) { me",
        )  # fmt: skip
        seen = await market.ask(who, query, **({"card": "1"} if who.startswith("partner") else {}))
        (own,) = [x for x in seen["tiers"] if x["ladder"]["code"] == "club"]
        assert own["assignment"]["tier"] == {"code": "gold"}
        assert own["assignment"]["reason"] == reason
    again = await market.ask("admin:root", ASSIGN, input=given())
    assert (again["replayed"], again["assignment"]["id"]) == (True, number)
    market.clock.tick(days=1)
    end = {"key": "e", "assignment": number, "reason": "mistake"}
    ended = await market.ask("admin:root", END, input=end)
    assert ended["assignment"] == {"until": "2026-03-16T12:00:00Z"}
    assert ended["tierChanges"] == [{"from": {"code": "gold"}, "to": {"code": "base"}}]
    assert (await club(market, "admin:root"))["current"] == {"code": "base"}
    assert (await club(market, "admin:root", "2026-03-16T11:59:59Z"))["current"] == {"code": "gold"}


async def test_what_is_wrong_is_told_as_a_member_of_the_union(market: Client) -> None:
    await market.enrol("1")
    wrong = [
        (given(tier="platinum"), "UnknownReferenceError", ["tier"]),
        (given(ladder="none"), "UnknownReferenceError", ["ladder"]),
        (given(tier="base"), "BadInputError", ["tier"]),
        (given(until="2026-03-15T12:00:00Z"), "BadInputError", ["until"]),
        (given(reason="so kind"), "BadInputError", ["reason"]),
        (given(member={"card": "2"}), "UnknownReferenceError", ["member"]),
    ]
    for n, (value, kind, path) in enumerate(wrong):
        told = await market.ask("admin:root", ASSIGN, input={**value, "key": f"k{n}"})
        assert (told["__typename"], told["path"]) == (kind, path)
    done = await market.ask("admin:root", ASSIGN, input=given())
    told = await market.ask("admin:root", ASSIGN, input=given(tier="silver"))
    assert told["__typename"] == "IdempotencyConflictError"
    number = done["assignment"]["id"]
    end = {"assignment": number, "reason": "mistake"}
    assert (await market.ask("admin:root", END, input={**end, "key": "1"}))["replayed"] is False
    for value, kind in (
        ({**end, "key": "2"}, "WrongStateError"),
        ({**end, "key": "3", "assignment": "x"}, "BadInputError"),
        ({**end, "key": "4", "assignment": "VGllckFzc2lnbm1lbnQ6MS4x"}, "UnknownReferenceError"),
    ):
        assert (await market.ask("admin:root", END, input=value))["__typename"] == kind
