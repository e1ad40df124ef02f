"""The posting path: batches of any size, replay, conflict, time limits, faults of rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.db import connected, reading
from core.entries import AHEAD
from core.errors import (
    IdempotencyConflict,
    NotAllowed,
    PartnerRuleFailed,
    Refusal,
    UnknownReference,
)
from core.outcomes import Recorded
from core.posting import Engine
from core.purchases import Incoming
from laurels import Award, Facts, Multiply, Nothing, Purchase, award, earn_rule
from tests.support import (
    DAY,
    NOW,
    Databases,
    books,
    enrol_cards,
    ladder_terms,
    receipt,
    scalar,
    small_rulebook,
)

TICK = timedelta(microseconds=1)


async def post(engine: Engine, *items: Incoming, now: datetime = NOW) -> list[Any]:
    return await engine.record_purchases(items, now)


def points(outcome: Any) -> dict[str, int]:
    assert isinstance(outcome, Recorded), outcome
    assert outcome.evaluation is not None
    return {c: n for c in ("STAR", "BEAN") if (n := outcome.evaluation.points(c))}


# --- what one purchase does -----------------------------------------------------------------------


async def test_a_purchase_stands_in_every_table_that_explains_it(engine: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    (done,) = await post(engine, receipt(engine, "R1", "1", NOW - DAY, ("PRODUCE", "10.00")))
    assert points(done) == {"STAR": 35}  # three for each dollar, and the welcome of five
    found = await books()
    (event,) = found["event"]
    assert (event["id"], event["holder_id"], event["total"]) == (done.event, holder, 1000)
    assert [t["amount"] for t in found["transfer"]] == [30, 5]
    assert {t["event_id"] for t in found["transfer"]} == {done.event}
    assert [x["rule_id"] for x in found["lot"]] == [10, 12]
    assert {x["expires_at"] for x in found["lot"]} == {NOW + 89 * DAY}
    (ledger,) = found["ledger"]
    assert (ledger["active"], ledger["seq"]) == (35, 2)
    assert {(q["ladder_id"], q["amount"]) for q in found["qualification"]} == {(1, 35), (2, 1000)}
    (decision,) = found["decision"]
    assert decision["booked_at"] == found["holder"][0]["booked_at"] == done.booked_at == NOW


async def test_tiers_before_the_purchase_decide_and_what_it_climbs_is_announced(
    engine: Engine,
) -> None:
    await enrol_cards(["1"])
    at = NOW - DAY
    first, second = await post(
        engine,
        receipt(engine, "R1", "1", at, ("PRODUCE", "20.00")),
        receipt(engine, "R2", "1", at + TICK, ("PRODUCE", "20.00")),
    )
    assert points(first) == {"STAR": 65}
    assert [(m.ladder, m.before, m.after, m.at) for m in first.moves] == [(1, 0, 1, at)]
    assert points(second) == {"STAR": 75}
    assert second.moves == ()


async def test_booking_times_rise_for_each_holder_even_when_the_clock_goes_back(
    engine: Engine,
) -> None:
    await enrol_cards(["1", "2"])
    items = [receipt(engine, f"R{n}", m, NOW - DAY) for n, m in enumerate("112")]
    done = await post(engine, *items)
    assert [d.booked_at for d in done] == [NOW, NOW + TICK, NOW]
    (later,) = await post(engine, receipt(engine, "R9", "1", NOW - DAY), now=NOW - timedelta(1))
    assert later.booked_at == NOW + 2 * TICK


# --- the size of a batch never shows --------------------------------------------------------------

MEMBERS = ["1", "2", "3"]
RECEIPTS = st.lists(
    st.tuples(
        st.sampled_from([*MEMBERS, "nobody"]),
        st.integers(0, 45),  # its external id: some come twice, some with other content
        st.sampled_from(["grocer", "cafe"]),
        st.one_of(
            st.integers(0, 72), st.integers(0, 24 * 120)
        ),  # hours ago; late ones in any order
        st.lists(
            st.tuples(
                st.sampled_from(["PRODUCE", "GIFT", "COFFEE", "MISC"]),
                st.sampled_from(["0.00", "3.99", "12.50", "49.00"]),
            ),
            min_size=1,
            max_size=3,
        ),
    ),
    min_size=30,
    max_size=40,
)


def outcome_key(outcome: Any) -> tuple[object, ...]:
    if isinstance(outcome, Refusal):
        return (outcome.code, str(outcome), outcome.path)
    return (outcome.event, outcome.booked_at, outcome.replayed, outcome.evaluation, outcome.moves)


async def run_in_batches(databases: Databases, drawn: Sequence[Any], size: int) -> Any:
    async with databases.migrated() as url, connected(url):
        engine = Engine(small_rulebook())
        await enrol_cards(MEMBERS)
        items = [
            receipt(engine, f"R{n}", who, NOW - timedelta(hours=ago), *lines, partner=shop)
            for who, n, shop, ago, lines in drawn
        ]
        outcomes: list[Any] = []
        for start in range(0, len(items), size):
            outcomes += await post(engine, *items[start : start + size])
        return [outcome_key(o) for o in outcomes], await books()


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(RECEIPTS)
async def test_batches_of_1_7_and_500_give_identical_books(
    databases: Databases, drawn: Sequence[Any]
) -> None:
    one = await run_in_batches(databases, drawn, 1)
    for size in (7, 500):
        outcomes, found = await run_in_batches(databases, drawn, size)
        assert outcomes == one[0]
        for table, rows in found.items():
            assert rows == one[1][table], table


async def test_what_leaves_a_long_window_is_found_again(database: str) -> None:
    """A window of twelve months is 365 days long, or 366: never 12 times 31."""
    ladders = {
        number: ladder_terms(number, "visits", {"a": 0, "b": 2}, window)
        for number, window in enumerate(["12M", "1Y", "1M", "3M", "30D", "5W"], 1)
    }
    rulebook = replace(small_rulebook(grocer=[]), ladders=ladders)
    engine = Engine(rulebook)
    await enrol_cards(["1"])
    for n in range(0, 400, 3):
        at = NOW - (400 - n) * DAY
        (done,) = await engine.record_purchases(
            [receipt(engine, f"R{n}", "1", at)], at, historical=True
        )
        assert isinstance(done, Recorded)
    async with reading() as connection:
        for number, ladder in rulebook.ladders.items():
            assert ladder.window is not None
            latest = NOW - DAY
            start = ladder.window.before(latest, "UTC")
            row = await connection.fetchrow("SELECT * FROM standing WHERE ladder_id = $1", number)
            assert row is not None
            assert row["measured_at"] == latest
            counted = await connection.fetchval(
                "SELECT count(*) FROM event WHERE occurred_at > $1", start
            )
            assert row["value"] == counted, ladder.window


# --- replay, conflict, who and when ---------------------------------------------------------------


async def test_a_replay_answers_the_first_outcome_and_books_nothing(engine: Engine) -> None:
    await enrol_cards(["1"])
    item = receipt(engine, "R1")
    (first,) = await post(engine, item)
    before = await books()
    again, twice = await post(engine, item, item, now=NOW + 400 * DAY)
    for replay in (again, twice):
        assert replay.replayed
        assert (replay.event, replay.holder, replay.booked_at) == (
            first.event, first.holder, first.booked_at,
        )  # fmt: skip
    assert await books() == before


async def test_a_receipt_that_stands_twice_in_a_batch_is_booked_once(engine: Engine) -> None:
    await enrol_cards(["1"])
    first, second = await post(engine, receipt(engine, "R1"), receipt(engine, "R1"))
    assert (first.replayed, second.replayed, second.event) == (False, True, first.event)
    assert await scalar("SELECT count(*) FROM decision") == 1


@pytest.mark.parametrize("together", [True, False])
async def test_other_content_under_the_same_external_id_is_a_conflict(
    engine: Engine, together: bool
) -> None:
    await enrol_cards(["1", "2"])
    first = receipt(engine, "R1")
    others = [
        receipt(engine, "R1", "2"),
        receipt(engine, "R1", "1", NOW - TICK),
        receipt(engine, "R1", "1", NOW, ("PRODUCE", "10.01")),
        receipt(engine, "R1", "1", NOW, ("PRODUCE", "10.00"), ("GIFT", "0.00")),
    ]
    if together:
        done, *refused = await post(engine, first, *others)
    else:
        (done,) = await post(engine, first)
        refused = await post(engine, *others)
    assert isinstance(done, Recorded)
    assert [type(r) for r in refused] == [IdempotencyConflict] * 4
    assert {r.path for r in refused} == {("externalId",)}
    assert await scalar("SELECT count(*) FROM event") == 1


async def test_an_external_id_counts_within_its_partner(engine: Engine) -> None:
    await enrol_cards(["1"])
    grocer, cafe = await post(engine, receipt(engine, "R1"), receipt(engine, "R1", partner="cafe"))
    assert isinstance(grocer, Recorded)
    assert isinstance(cafe, Recorded)


async def test_a_failure_is_not_remembered(engine: Engine) -> None:
    item = receipt(engine, "R1")
    (refused,) = await post(engine, item)
    assert isinstance(refused, UnknownReference)
    assert refused.path == ("member",)
    await enrol_cards(["1"])
    (done,) = await post(engine, item)
    assert isinstance(done, Recorded)
    assert not done.replayed


async def test_a_batch_of_nobody_or_nothing_books_nothing(engine: Engine) -> None:
    assert await post(engine) == []
    outcomes = await post(engine, receipt(engine, "R1"), receipt(engine, "R2"))
    assert [type(o) for o in outcomes] == [UnknownReference] * 2
    assert all(not rows for rows in (await books()).values())


async def test_the_limits_of_time_are_exact(engine: Engine) -> None:
    await enrol_cards(["1"])
    late = engine.rulebook.partners["grocer"].late
    outcomes = await post(
        engine,
        receipt(engine, "early", "1", NOW + AHEAD + TICK),
        receipt(engine, "just", "1", NOW + AHEAD),
        receipt(engine, "old", "1", NOW - late - TICK),
        receipt(engine, "oldest", "1", NOW - late),
    )
    assert [type(o) for o in outcomes] == [NotAllowed, Recorded, NotAllowed, Recorded]
    assert [o.path for o in outcomes[::2]] == [("occurredAt",)] * 2
    (imported,) = await engine.record_purchases(
        [receipt(engine, "old", "1", NOW - 3000 * DAY)], NOW, historical=True
    )
    assert isinstance(imported, Recorded)


async def test_a_lot_that_is_dead_on_arrival_still_counts_for_tiers(engine: Engine) -> None:
    await enrol_cards(["1"])
    at = NOW - 90 * DAY  # lots of STAR live ninety days: this one dies at this very instant
    (done,) = await post(engine, receipt(engine, "R1", "1", at))
    assert points(done) == {"STAR": 35}
    assert await scalar("SELECT active FROM ledger") == 0
    assert await scalar("SELECT sum(remaining)::int FROM lot") == 0
    kinds = await scalar("SELECT array_agg(kind ORDER BY seq) FROM transfer")
    assert kinds == [1, 3, 1, 3]
    assert await scalar("SELECT amount FROM qualification WHERE ladder_id = 1") == 35


# --- a rule's fault is its own --------------------------------------------------------------------


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even this")


def _raise(error: BaseException) -> Any:
    raise error


FAULTS: dict[str, Any] = {
    "raises": lambda: _raise(ZeroDivisionError()),
    "raises what can't be told": lambda: _raise(MuteError()),
    "exits": lambda: _raise(SystemExit(1)),
    "no effect": lambda: 5,
    "a text": lambda: "STAR",
    "among others": lambda: [award("STAR", 1), object()],
    "a float": lambda: Award("STAR", 1.5),  # type: ignore[arg-type]
    "a boolean": lambda: Award("STAR", True),
    "negative": lambda: Award("STAR", -1),
    "beyond one award": lambda: Award("STAR", 10**15 + 1),
    "beyond one purchase": lambda: [Award("STAR", 10**15)] * 2,
    "lines of another sum": lambda: Award("STAR", 3, [1]),
    "more lines": lambda: Award("STAR", 3, [1, 2]),
    "another's currency": lambda: award("BEAN", 1),
    "no currency": lambda: award("EUROS", 1),
    "currency of no type": lambda: Award(7, 1),  # type: ignore[arg-type]
    "wanted beyond 64 bits": lambda: Award("STAR", 1, wanted=2**70),
    "half a character in a reason": lambda: Nothing("\ud800"),
    "half a character in an award": lambda: award("STAR", 1, because="\udfff"),
    "a zero byte": lambda: Nothing("\0"),
    "a factor beyond reason": lambda: Multiply("STAR", Fraction(10**30)),
    "a factor below one": lambda: Multiply("STAR", Fraction(1, 2)),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_faulty_rule_fails_its_own_purchase_and_no_other(database: str, fault: str) -> None:
    @earn_rule("faulty", "Goes wrong on a trigger")
    def faulty(purchase: Purchase, facts: Facts) -> Any:
        if purchase.external_id == "bad":
            return FAULTS[fault]()
        return award("STAR", 7)

    @earn_rule("steady", "Ten stars")
    def steady(purchase: Purchase, facts: Facts) -> Any:
        return award("STAR", 10)

    engine = Engine(small_rulebook(grocer=[steady, faulty]))
    await enrol_cards(["1"])
    good, bad, cafe, after = await post(
        engine,
        receipt(engine, "good"),
        receipt(engine, "bad"),
        receipt(engine, "good", partner="cafe"),
        receipt(engine, "after"),
    )
    assert isinstance(bad, PartnerRuleFailed), bad
    assert "grocer" in bad.message
    assert points(good) == points(after) == {"STAR": 17}
    assert isinstance(cafe, Recorded)
    assert after.booked_at == NOW + 2 * TICK
    assert await scalar("SELECT active FROM ledger WHERE currency_id = 1") == 34
    assert await scalar("SELECT count(*) FROM event WHERE external_id = 'bad'") == 0
    assert await scalar("SELECT purchases FROM relation WHERE partner_id = 1") == 2


async def test_a_ledger_that_is_full_refuses_one_purchase_and_not_the_batch(
    database: str,
) -> None:
    @earn_rule("jackpot", "A fortune each time")
    def jackpot(purchase: Purchase, facts: Facts) -> Any:
        return award("STAR", 10**15)

    engine = Engine(small_rulebook(grocer=[jackpot]))
    await enrol_cards(["1", "2"])
    items = [receipt(engine, f"R{n}") for n in range(1001)] + [receipt(engine, "X", "2")]
    *fits, over, other = await post(engine, *items)
    assert all(isinstance(o, Recorded) for o in fits)
    assert isinstance(over, PartnerRuleFailed)
    assert isinstance(other, Recorded)
    assert await scalar("SELECT max(active) FROM ledger") == 10**18
