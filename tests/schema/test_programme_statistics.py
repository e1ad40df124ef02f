"""The programme's statistics as admins ask for them: figures by hand, and how many statements."""

from __future__ import annotations

import pytest

from tests.schema.client import REDEEM, Client, receipt, statements

ASK = """query($from: DateTime, $until: DateTime, $by: PeriodLength) {
  programmeStatistics(from: $from, until: $until, by: $by) { timeZone
    periods { start end joined active members }
    currencies { currency { code } partners { partner { code } issued redeemed }
      periods { start issued redeemed expired lapsed clawedBack given taken outstanding ended
        endedExpired breakage } }
    ladders { ladder { code } periods { start tiers { tier { code } members } } }
    cohorts { start members active } } }"""
SPAN = {"from": "2026-10-31T12:00:00Z", "until": "2026-11-22T12:00:00Z"}
NONE = {"redeemed": 0, "expired": 0, "lapsed": 0, "clawedBack": 0, "given": 0, "taken": 0}


async def _shopped(api: Client) -> None:
    """Ada spends 400.00 on meat, two points each, in November, and takes five off for 500."""
    await api.enrol("9012")
    await api.enrol("9013", "Ben")
    bought = receipt("R1", "9012", "2026-11-21T11:00:00Z", ("MEAT", "400.00"))
    await api.buy("partner:grocer", "grocer", bought)
    order = {"key": "k", "partner": "grocer", "reward": "five-off", "member": {"card": "9012"}}
    done = await api.ask("partner:grocer", REDEEM, input=order)
    assert done["__typename"] == "RewardRedeemed", done


async def test_two_months_by_hand(api: Client) -> None:
    await _shopped(api)
    found = await api.ask("admin:root", ASK, **SPAN)
    october, november = "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"
    assert found["timeZone"] == "UTC"
    assert found["periods"] == [
        {"start": october, "end": november, "joined": 0, "active": 0, "members": 0},
        {"start": november, "end": "2026-12-01T00:00:00Z", "joined": 2, "active": 1, "members": 2},
    ]
    [basket] = [x for x in found["currencies"] if x["currency"]["code"] == "BASKET"]
    no_lot = {"ended": 0, "endedExpired": 0, "breakage": None}
    assert basket["periods"] == [
        {"start": october, "issued": 0, **NONE, "outstanding": 0, **no_lot},
        {"start": november, "issued": 800, **NONE, "redeemed": 500, "outstanding": 300, **no_lot},
    ]
    assert basket["partners"] == [{"partner": {"code": "grocer"}, "issued": 800, "redeemed": 500}]
    [ranks] = [x for x in found["ladders"] if x["ladder"]["code"] == "grocer"]
    assert [[t["members"] for t in x["tiers"]] for x in ranks["periods"]] == [
        [0, 0, 0, 0], [2, 0, 0, 0],
    ]  # fmt: skip
    assert [(x["members"], x["active"]) for x in found["cohorts"]] == [(0, [0, 0]), (2, [1])]
    # By the week: Monday the 16th begins the one that the purchase was in.
    weeks = await api.ask("admin:root", ASK, **{**SPAN, "by": "WEEK"})
    assert [(x["start"][:10], x["active"]) for x in weeks["periods"]] == [
        ("2026-10-26", 0), ("2026-11-02", 0), ("2026-11-09", 0), ("2026-11-16", 1),
    ]  # fmt: skip
    assert len((await api.ask("admin:root", ASK))["periods"]) == 12


@pytest.mark.parametrize("who", ["admin:x:finance", "admin:x:auditor", "admin:x:manager"])
async def test_who_reads_the_books_as_a_whole(api: Client, who: str) -> None:
    assert len((await api.ask(who, ASK, **SPAN))["periods"]) == 2


@pytest.mark.parametrize("who", ["admin:x:support", "partner:grocer", "member:7"])
async def test_others_are_refused(api: Client, who: str) -> None:
    answer = await api.send(who, ASK, **SPAN)
    assert [e["extensions"]["code"] for e in answer["errors"]] == ["FORBIDDEN"]


async def test_a_span_that_there_is_not(api: Client) -> None:
    for given in ({"from": "2026-12-01T00:00:00Z"}, {"from": "1950-01-01T00:00:00Z"}):
        answer = await api.send("admin:root", ASK, **{**SPAN, **given})
        [error] = answer["errors"]
        assert (error["extensions"]["code"], answer["data"]) == ("BAD_USER_INPUT", None)


async def test_it_takes_as_many_statements_whatever_there_is(api: Client) -> None:
    """As many for twelve months as for one, and for a coalition as for nothing."""
    counts = []
    for _ in range(2):
        for given in ({"from": SPAN["until"], "until": SPAN["until"]}, {}):
            with statements() as sent:
                await api.ask("admin:root", ASK, **given)
            counts.append(len(sent))
        if len(counts) == 2:
            await _shopped(api)
    assert counts == [counts[0]] * 4
    assert counts[0] <= 7, counts
