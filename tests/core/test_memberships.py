"""Memberships at their edges: at once, twice, wrong amounts, the calendar; and any life of one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from core.check import prove
from core.digests import DigestKey
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotEligible,
    Refusal,
    UnknownReference,
    WrongState,
)
from core.membership import State
from core.memberships import Changed, begin_term
from core.nightly import run
from core.perks import UseRequest, use
from core.renewals import AHEAD, renew_due
from laurels import Fee, MembershipPlan, Money
from tests.core.plans import (
    BARE,
    earn,
    end,
    go_on,
    join,
    open_club,
    rank,
    renew,
    standing,
    term,
)
from tests.support import DAY, NEW_YORK, NOW, enrol_cards, scalar

TICK = timedelta(microseconds=1)
_SECOND_TRIAL = """INSERT INTO membership_term (holder_id, event_id, partner_id, plan, number,
    booked_at, at, kind, per, from_at, until_at, grace_until, after_number, after_until)
SELECT holder_id, 1, partner_id, plan, 2, booked_at, at, 1, '1D', until_at,
    until_at + interval '1 day', until_at + interval '1 day', 1, until_at
FROM membership_term WHERE holder_id = $1"""
#: All that a term writes to.
_TABLES = ("event", "membership_term", "assignment", "redemption", "request_key", "relation")


def utc(year: int, month: int, day: int, hour: int = 12) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


async def test_two_joins_at_once_give_one_trial(database: str) -> None:
    engine = await open_club()
    [ada] = await enrol_cards(["1"])
    done = await asyncio.gather(
        *(join(engine, ada, f"k{n}") for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(x, Changed) for x in done) == 1
    assert sum(isinstance(x, WrongState) for x in done) == 4
    assert await scalar("SELECT count(*) FROM membership_term") == 1
    assert await scalar("SELECT count(*) FROM assignment") == 1
    assert await prove() == []


async def test_one_trial_ever(database: str) -> None:
    engine = await open_club()
    [ada, bob] = await enrol_cards(["1", "2"])
    await join(engine, ada, "1")
    await end(engine, ada, "2", NOW + DAY)
    with pytest.raises(NotEligible, match="who never had it"):
        await join(engine, ada, "3", now=NOW + 40 * DAY)
    # Nor for who began by paying; nor where the plan has none.
    await join(engine, bob, "4", "day", renews=None, chosen=True)
    with pytest.raises(NotEligible, match="who never had it"):
        await join(engine, bob, "5", now=NOW + 40 * DAY)
    with pytest.raises(NotEligible, match="it has no trial"):
        await join(engine, bob, "6", plan="bare")
    with pytest.raises(asyncpg.CheckViolationError, match="membership_term_trial"):
        await scalar(_SECOND_TRIAL, ada)


async def test_a_key_and_a_payment_pay_one_term(database: str) -> None:
    engine = await open_club()
    ada, bob = await enrol_cards(["1", "2"])
    first = await join(engine, ada, "j", "month")
    soon = NOW + DAY
    done = await asyncio.gather(*(renew(engine, ada, "r", "month", soon) for _ in range(3)))
    assert sorted(x.replayed for x in done) == [False, True, True]
    assert len({x.event for x in done}) == 1
    assert (await join(engine, ada, "j", "month")).event == first.event
    with pytest.raises(IdempotencyConflict, match="key"):
        await renew(engine, ada, "r", "year", soon)
    with pytest.raises(WrongState, match="renewed already"):
        await renew(engine, ada, "r2", "month", soon)
    later = NOW + 32 * DAY
    with pytest.raises(IdempotencyConflict, match="payment"):
        await renew(engine, ada, "r3", "month", later, paid=Money(1000, "USD"), payment="pay-r")
    tries = [
        begin_term(
            engine, term(who, f"x{who}", "month", renewal=who == ada, paid=Money(1000, "USD"),
                         payment="one"), later
        )
        for who in (ada, bob)
    ]  # fmt: skip
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(x, Changed) for x in outcomes) == 1
    assert sum(isinstance(x, IdempotencyConflict) for x in outcomes) == 1
    assert await prove() == []


@pytest.mark.parametrize(
    ("more", "kind", "path"),
    [
        ({"paid": Money(999, "USD"), "payment": "p"}, BadInput, ("paid", "amount")),
        ({"paid": Money(1000, "EUR"), "payment": "p"}, BadInput, ("paid", "amount")),
        ({"paid": None, "payment": None}, BadInput, ("paid",)),
        ({"paid": Money(1000, "USD"), "payment": ""}, BadInput, ("paid", "reference")),
        ({"fee": "none", "paid": None}, UnknownReference, ("fee",)),
        ({"renews": "none", "chosen": True}, UnknownReference, ("renews",)),
        ({"plan": "none"}, UnknownReference, ("plan",)),
        ({"fee": "points", "paid": Money(1, "USD"), "payment": "p"}, BadInput, ("paid",)),
        ({"fee": None, "paid": Money(1, "USD"), "payment": "p"}, BadInput, ("paid",)),
        ({"fee": "points"}, NotEligible, ("fee",)),
        ({"fee": "both"}, NotEligible, ("fee",)),
        ({"renewal": True}, WrongState, ("plan",)),
    ],
)
async def test_what_is_refused_leaves_nothing(
    database: str, more: dict[str, object], kind: type[Refusal], path: tuple[str, ...]
) -> None:
    engine = await open_club()
    [ada] = await enrol_cards(["1"])
    given = {"fee": "month", **more}
    with pytest.raises(kind) as refused:
        await begin_term(engine, term(ada, "k", given.pop("fee"), **given), NOW)  # type: ignore[arg-type]
    assert refused.value.path == path
    for table in (
        "event",
        "membership_term",
        "assignment",
        "redemption",
        "request_key",
        "relation",
    ):
        assert await scalar(f"SELECT count(*) FROM {table}") == 0


async def test_months_end_where_they_began_and_february_has_29_days(database: str) -> None:
    engine = await open_club(time_zone="Europe/Istanbul")
    [ada, bob] = await enrol_cards(["1", "2"])
    at = utc(2028, 1, 31)
    await join(engine, ada, "1", "month", at)
    for n, now in enumerate((utc(2028, 2, 10), utc(2028, 3, 10), utc(2028, 4, 10)), 2):
        await renew(engine, ada, f"{n}", "month", now)
    ends = [t.until for t in (await standing(ada)).terms]
    assert ends == [utc(2028, 2, 29), utc(2028, 3, 31), utc(2028, 4, 30), utc(2028, 5, 31)]
    await join(engine, bob, "b1", "year", utc(2028, 2, 29))
    for n, year in enumerate((2028, 2029, 2030, 2031), 2):
        await renew(engine, bob, f"b{n}", "year", utc(year, 12, 1))
    assert [t.until for t in (await standing(bob)).terms] == [
        utc(2029, 2, 28), utc(2030, 2, 28), utc(2031, 2, 28), utc(2032, 2, 29), utc(2033, 2, 28),
    ]  # fmt: skip


async def test_each_instant_has_its_state(database: str) -> None:
    engine = await open_club()
    [ada] = await enrol_cards(["1"])
    await join(engine, ada, "1")
    trial, grace = NOW + 30 * DAY, NOW + 37 * DAY
    found = await standing(ada)
    wanted = {
        NOW: State.TRIAL, trial - TICK: State.TRIAL, trial: State.GRACE,
        grace - TICK: State.GRACE, grace: State.LAPSED,
    }  # fmt: skip
    assert {at: found.state(at) for at in wanted} == wanted
    assert [await rank(engine, ada, at) for at in wanted] == [1, 1, 1, 1, 0]
    # Renewed in its grace, it lasts from the end of the term; after it, from now on.
    done = await renew(engine, ada, "2", "month", grace - TICK)
    assert (done.membership.last.since, done.membership.since) == (trial, NOW)
    late = utc(2026, 6, 20)
    anew = await renew(engine, ada, "3", "month", late)
    assert (anew.membership.last.since, anew.membership.since) == (late, late)
    assert await prove() == []


async def test_a_cancel_in_the_grace_ends_it_at_once(database: str) -> None:
    engine = await open_club()
    [ada] = await enrol_cards(["1"])
    await join(engine, ada, "1")
    now = NOW + 33 * DAY
    done = await end(engine, ada, "2", now)
    assert done.membership.ends_at == now
    assert [await rank(engine, ada, at) for at in (now - TICK, now)] == [1, 0]
    with pytest.raises(WrongState):
        await go_on(engine, ada, "3", now)
    again = await end(engine, ada, "2", now + DAY)
    assert (again.replayed, again.event) == (True, done.event)
    assert await prove() == []


async def test_a_plan_that_is_gone_can_be_cancelled_with_its_tier(database: str) -> None:
    engine = await open_club()
    [ada] = await enrol_cards(["1"])
    await join(engine, ada, "1", "month")
    engine = await open_club(BARE)
    now = NOW + DAY
    await end(engine, ada, "2", now)
    ends = utc(2026, 4, 15)
    assert [await rank(engine, ada, at) for at in (now, ends - TICK, ends)] == [1, 1, 0]
    assert (await standing(ada)).ends_at == ends
    with pytest.raises(UnknownReference):
        await go_on(engine, ada, "3", now)
    with pytest.raises(UnknownReference):
        await renew(engine, ada, "4", "month", now)
    assert await prove() == []


async def test_a_lapsed_members_perk_is_refused_and_a_use_counts_once(database: str) -> None:
    engine = await open_club()
    ada, bob = await enrol_cards(["1", "2"])
    ask = UseRequest("club", ada, "parking", "O1")
    with pytest.raises(NotEligible):
        await use(engine, ask, NOW)
    await join(engine, ada, "1")
    await join(engine, bob, "2")
    last = NOW + 37 * DAY - TICK
    done = await asyncio.gather(*(use(engine, ask, last) for _ in range(4)))
    assert sorted(x.replayed for x in done) == [False, True, True, True]
    assert (done[0].row.amount, done[0].row.money) == (300, "USD")
    with pytest.raises(IdempotencyConflict):
        await use(engine, UseRequest("club", bob, "parking", "O1"), last)
    with pytest.raises(IdempotencyConflict):
        await use(engine, UseRequest("club", ada, "parking", "O1", Money(1, "USD")), last)
    assert (await use(engine, UseRequest("club", ada, "lounge", "O1"), last)).row.amount is None
    with pytest.raises(UnknownReference):
        await use(engine, UseRequest("club", ada, "sauna", "O1"), last)
    for worth in (Money(0, "USD"), Money(-1, "USD"), Money(1, "EUR")):
        with pytest.raises(BadInput):
            await use(engine, UseRequest("club", ada, "parking", "O2", worth), last)
    with pytest.raises(NotEligible):
        await use(engine, UseRequest("club", ada, "parking", "O2"), last + TICK)
    # What was used stays used: sent again later, it is the same.
    assert (await use(engine, ask, last + DAY)).replayed
    assert await scalar("SELECT count(*) FROM perk_use") == 2
    assert await prove() == []


async def test_one_order_for_two_members_at_once(database: str) -> None:
    engine = await open_club()
    both = await enrol_cards(["1", "2"])
    for who in both:
        await join(engine, who, f"{who}")
    done = await asyncio.gather(
        *(use(engine, UseRequest("club", who, "lounge", "O1"), NOW) for who in both),
        return_exceptions=True,
    )
    assert sum(isinstance(x, IdempotencyConflict) for x in done) == 1
    assert await scalar("SELECT count(*) FROM perk_use") == 1


async def test_the_night_renews_by_points_or_asks_once(database: str) -> None:
    engine = await open_club()
    ada, bob, eve = await enrol_cards(["1", "2", "3"])
    await earn(engine, "1", "R1", NOW)
    for who in (ada, bob):
        await join(engine, who, f"j{who}", renews="points", chosen=True)
    await join(engine, eve, "e", "month", plan="bare", renews=None, chosen=True)
    assert await renew_due(engine, NOW + 30 * DAY - AHEAD - TICK) == (0, 0)
    # Ada has five points, Bob none; Eve's isn't to be renewed.
    assert await renew_due(engine, NOW + 30 * DAY - AHEAD) == (1, 1)
    assert await renew_due(engine, NOW + 30 * DAY - AHEAD) == (0, 0)
    assert await renew_due(engine, NOW + 31 * DAY) == (0, 0)
    assert (await standing(ada)).last.points == 5
    assert (await standing(bob)).state(NOW + 31 * DAY) is State.GRACE
    # What Bob earns in his grace pays for him, from the end of the trial on.
    await earn(engine, "2", "R2", NOW + 32 * DAY)
    night = await run(engine, NOW + 33 * DAY)
    assert (night.renewed, night.asked) == (1, 0)
    assert (await standing(bob)).last.since == NOW + 30 * DAY
    assert await prove() == []


async def test_one_that_cannot_be_renewed_keeps_no_other_from_its_night(database: str) -> None:
    """Bob's is renewed all the same, and the night is sealed; then it says that it failed."""
    engine = await open_club()
    ada, bob = await enrol_cards(["1", "2"])
    for card, who in (("1", ada), ("2", bob)):
        await earn(engine, card, f"R{card}", NOW)
        await join(engine, who, f"j{who}", renews="points", chosen=True)
    connection = await asyncpg.connect(database)
    try:
        await connection.execute(
            "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'no term for her'; END $$; CREATE TRIGGER broken BEFORE INSERT "
            f"ON membership_term FOR EACH ROW WHEN (NEW.holder_id = {ada}) "
            "EXECUTE FUNCTION broken()"
        )
        with pytest.raises(asyncpg.RaiseError, match="no term for her"):
            await run(engine, NOW + 29 * DAY, key=DigestKey.of("a secret for a night"))
        assert [(await standing(who)).last.number for who in (ada, bob)] == [1, 2]
        assert await scalar("SELECT count(*) FROM head_digest") == 1
        await connection.execute("DROP FUNCTION broken CASCADE")
    finally:
        await connection.close()
    assert (await run(engine, NOW + 29 * DAY)).renewed == 1
    assert (await standing(ada)).last.number == 2
    assert await prove() == []


async def test_without_a_grace_there_is_no_gap_where_the_night_comes_in_time(
    database: str,
) -> None:
    engine = await open_club()
    [ada] = await enrol_cards(["1"])
    await join(engine, ada, "1", "month", plan="bare")
    ends = utc(2026, 4, 15)
    found = await standing(ada, "bare")
    assert [found.state(at) for at in (ends - TICK, ends)] == [State.ACTIVE, State.LAPSED]
    assert await renew_due(engine, ends - DAY) == (0, 1)
    done = await renew(engine, ada, "2", "month", ends - TICK, plan="bare")
    assert done.membership.last.since == ends
    assert BARE.tier is None
    assert await scalar("SELECT count(*) FROM assignment") == 0


async def test_no_term_ends_between_two_nights_unseen(database: str) -> None:
    """Clocks are put back in New York on 1 November 2026: that day has 25 hours."""
    plan = MembershipPlan("stamp", "Stamp", fees=[Fee("points", "1M", points=("POINT", 5))])
    engine = await open_club(plan, time_zone=NEW_YORK)
    [ada] = await enrol_cards(["1"])
    for name in ("A", "B"):
        await earn(engine, "1", name, NOW)
    begun = utc(2026, 10, 2, 3) + timedelta(minutes=30)  # 23:30 of the day before, there
    done = await join(engine, ada, "1", "points", begun, plan="stamp")
    assert done.membership.last.until == utc(2026, 11, 2, 4) + timedelta(minutes=30)
    # Midnight before that day, and after it; a little later the second time.
    assert (await run(engine, utc(2026, 11, 1, 4))).renewed == 1
    assert (await run(engine, utc(2026, 11, 2, 5) + timedelta(minutes=1))).renewed == 0
    found = await standing(ada, "stamp")
    assert (len(found.terms), found.state(utc(2026, 11, 2, 5))) == (2, State.ACTIVE)
    assert await prove() == []


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("UPDATE membership_term SET until_at = until_at + interval '1 hour'", "their events"),
        ("UPDATE membership_term SET points = 4 WHERE points = 5", "redemptions and tiers"),
        ("UPDATE membership_act SET renews = 'year' WHERE kind = 2", "their events"),
        ("UPDATE perk_use SET amount = 301", "their events"),
        ("DELETE FROM perk_use", "their events"),
        ("DELETE FROM assignment WHERE kind = 1", "redemptions and tiers"),
    ],
)
async def test_the_proof_sees_what_was_changed(database: str, change: str, check: str) -> None:
    engine = await open_club()
    [ada] = await enrol_cards(["1"])
    await earn(engine, "1", "R1", NOW)
    await join(engine, ada, "1", "points")
    await end(engine, ada, "2", NOW)
    await go_on(engine, ada, "3", NOW, "month")
    await use(engine, UseRequest("club", ada, "parking", "O1"), NOW)
    assert await prove() == []
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("SET session_replication_role = replica")
        assert not (await connection.execute(change)).endswith(" 0")
    finally:
        await connection.close()
    assert any(check in found.check for found in await prove())
