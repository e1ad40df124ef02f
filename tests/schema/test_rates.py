"""What a caller may spend: buckets on a clock that the tests move, and what HTTP makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema import rates
from schema.access import AUDITORS
from schema.context import ANONYMOUS, Viewer
from schema.gate import Gate
from schema.rates import RATES, Buckets, Rate, caller
from schema.roles import Role
from tests.schema.client import ENROL, Client
from tests.schema.gated import Seconds, code, gated, post

MEMBER = Viewer("member", holder=1)
SMALL: dict[Role, Rate] = {
    "anonymous": Rate(100, 10),
    "member": Rate(100, 10),
    "partner": Rate(100, 10),
    "admin": Rate(100, 10),
}


def test_a_bucket_empties_and_fills() -> None:
    clock = Seconds()
    buckets = Buckets(SMALL, clock)
    assert [buckets.take(MEMBER, "", 40).remaining for _ in range(2)] == [60, 20]
    refused = buckets.take(MEMBER, "", 40)
    assert (refused.remaining, refused.wait) == (20, 2.0)
    clock.at += 1.9
    assert buckets.take(MEMBER, "", 40).wait == pytest.approx(0.1)
    clock.at += 0.1
    taken = buckets.take(MEMBER, "", 40)
    assert (taken.remaining, taken.wait) == (0, 0)
    clock.at += 1000
    assert buckets.take(MEMBER, "", 1).remaining == 99  # never fuller than full
    assert buckets.take(MEMBER, "", 500, whole=False).remaining == 0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 120)), max_size=40))
def test_nobody_gets_more_than_the_bucket_and_its_refill(steps: list[tuple[int, int]]) -> None:
    """Whatever the order: what was had is at most the size and what came back since."""
    clock = Seconds()
    buckets = Buckets(SMALL, clock)
    had = 0
    for pause, cost in steps:
        clock.at += pause
        if buckets.take(MEMBER, "", cost).wait == 0:
            had += cost
        assert had <= 100 + 10 * (clock.at - 1000.0)


def test_callers_have_buckets_of_their_own() -> None:
    """Keys of one partner share one; strangers are told apart by address, IPv6 by network."""
    same = [
        (Viewer("partner", partner="cafe", subject="a"), "", "partner:cafe"),
        (Viewer("partner", partner="cafe", subject="b"), "", "partner:cafe"),
        (MEMBER, "10.0.0.1", "member:1"),
        (MEMBER, "10.0.0.2", "member:1"),
        (Viewer("admin", subject="ada", staff=AUDITORS), "", "admin:ada"),
        (ANONYMOUS, "10.0.0.1", "stranger:10.0.0.1"),
        (ANONYMOUS, "2001:db8:0:1::1", "stranger:20010db800000001"),
        (ANONYMOUS, "2001:db8:0:1:ffff::2", "stranger:20010db800000001"),
        (ANONYMOUS, "2001:db8:0:2::1", "stranger:20010db800000002"),
        (ANONYMOUS, "::ffff:10.0.0.1", "stranger:::ffff:a00:1"),
        (ANONYMOUS, "", "stranger:"),
        (ANONYMOUS, "a socket", "stranger:a socket"),
    ]
    assert [caller(viewer, address) for viewer, address, _ in same] == [name for *_, name in same]


def test_idle_callers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full bucket is like none; and of too many callers those go who asked longest ago."""
    clock = Seconds()
    buckets = Buckets(SMALL, clock)
    for n in range(50):
        buckets.take(Viewer("member", holder=n + 1), "", 50)
    assert len(buckets) == 50
    clock.at += 4.9
    buckets.take(MEMBER, "", 1)
    assert len(buckets) == 50  # none is full yet
    clock.at += 0.1
    for n in range(30):
        buckets.take(Viewer("member", holder=100 + n), "", 50)
    assert len(buckets) == 31  # the fifty are gone but for the one who asked meanwhile
    monkeypatch.setattr(rates, "MOST_CALLERS", 10)
    buckets.take(MEMBER, "", 1)
    buckets.take(Viewer("member", holder=100), "", 0)
    for _ in range(20):
        buckets.take(MEMBER, "", 0)
    assert len(buckets) == 10


@pytest.mark.parametrize("text", ["", "5", "5/", "/5", "a/b", "0/1", "1/0", "-1/1", "1/2/3"])
def test_a_rate_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="a rate is"):
        Rate.of(text)


def test_a_rate_as_it_is_written() -> None:
    assert Rate.of("50000/2500") == RATES["member"]


async def test_the_state_is_told_with_every_answer(api: Client) -> None:
    """The cost is taken before it runs; what is refused as a document pays for being read."""
    async with gated(api, Gate(Buckets(SMALL, Seconds()))) as client:
        good = await post(client, "admin:root", {"query": "{ partners { name } }"})
        cost = {"requested": 5, "limit": 100, "remaining": 95, "restoredPerSecond": 10}
        assert good.json()["extensions"] == {"cost": cost}
        read = await post(client, "admin:root", {"query": "{" + " " * 119})
        assert code(read) == "GRAPHQL_PARSE_FAILED"
        cost = {**cost, "requested": 7, "remaining": 88}
        assert read.json()["extensions"] == {"cost": cost}
        invalid = await post(client, "admin:root", {"query": "{ nothing }"})
        assert code(invalid) == "GRAPHQL_VALIDATION_FAILED"
        assert invalid.json()["extensions"]["cost"]["remaining"] == 87
        other = await post(client, "partner:cafe", {"query": "{ partners { name } }"})
        assert other.json()["extensions"]["cost"]["remaining"] == 95


async def test_whoever_has_spent_it_comes_again_later(api: Client) -> None:
    """429 under both media types, and nothing is executed; then it is, when time has passed."""
    clock = Seconds()
    async with gated(api, Gate(Buckets(SMALL, clock))) as client:
        asked = {"query": ENROL, "variables": {"input": {"card": "1", "name": "Ada"}}}
        assert "errors" not in (await post(client, "admin:root", asked)).json()
        requested = 29  # 10 for the change, 10 for its item, and a value for each field
        for n, accept in enumerate(("application/json", "application/graphql-response+json") * 3):
            asked["variables"] = {"input": {"card": f"2{n}", "name": "Bea"}}
            response = await post(client, "admin:root", asked, accept)
            if response.status_code == 429:
                break
        assert response.status_code == 429
        for accept in ("application/json", "application/graphql-response+json"):
            asked["variables"] = {"input": {"card": "3", "name": "Cem"}}
            response = await post(client, "admin:root", asked, accept)
            assert (response.status_code, code(response)) == (429, "RATE_LIMITED")
            wait = int(response.headers["retry-after"])
            assert response.json()["errors"][0]["extensions"]["retryAfter"] == wait
            assert response.json()["extensions"]["cost"]["requested"] == requested
        found = '{ member(by: {card: "3"}) { id } }'
        assert await api.ask("admin:root", found) is None
        clock.at += wait
        assert (await post(client, "admin:root", asked)).status_code == 200
        assert await api.ask("admin:root", found) is not None


async def test_whoever_has_nothing_left_is_refused_unread(api: Client) -> None:
    """Also what can't be parsed is 429 then, and nothing is parsed."""
    gate = Gate(Buckets(SMALL, Seconds()))
    async with gated(api, gate) as client:
        long = {"query": "{" + " " * 3000}
        assert code(await post(client, None, long)) == "GRAPHQL_PARSE_FAILED"
        assert gate.parsed == 1
        for query in (long, {"query": "{ __typename }"}):
            response = await post(client, None, query)
            assert (response.status_code, code(response)) == (429, "RATE_LIMITED")
            assert response.headers["retry-after"] == "1"
        assert gate.parsed == 1


async def test_what_no_bucket_could_hold_is_too_expensive(api: Client) -> None:
    """To come again would be of no use."""
    async with gated(api, Gate(Buckets(SMALL, Seconds()))) as client:
        asked = {"query": "{ members(first: 60) { edges { node { id } } } }"}
        response = await post(client, "admin:root", asked)
        assert (response.status_code, code(response)) == (400, "TOO_EXPENSIVE")
        assert "at most 100 are answered" in response.json()["errors"][0]["message"]
