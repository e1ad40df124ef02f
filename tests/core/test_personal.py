"""Personal offers: chosen once, alike however run; the control group is offered nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from core import personal
from core.check import prove
from core.containment import Breakers
from core.db import reading
from core.nightly import run
from core.personal import Made, make_offers
from core.posting import Engine
from core.programme import Programme
from core.pseudonyms import Pseudonyms
from core.purchases import LineInput, PurchaseInput, check_purchase, find_partner
from core.returning import record
from core.returns import check_cancel, check_edit
from core.store import personal as store
from core.store.faults import all_by_code
from core.store.reference import Declared, install
from laurels import Choice, Currency, History, Partner, PersonalOffers, PointsPerVisit, offered
from laurels.personal import Choices
from tests.core.club import forge
from tests.schema.client import statements
from tests.support import DAY, NOW, card, enrol_cards, scalar

#: NOW is a Sunday: the next day a week of the calendar begins.
MONDAY = datetime(2026, 3, 16, tzinfo=UTC)
TUESDAY, NEXT = MONDAY + DAY, MONDAY + 7 * DAY
POINT = Currency("POINT", "Points")
RULES = (
    PointsPerVisit(POINT, 1, code="visit", title="One a visit"),
    offered(PointsPerVisit(POINT, 50, code="pair", title="Fifty")),
    offered(PointsPerVisit(POINT, 7, code="other", title="Seven")),
)


def cake(history: History) -> Choices:
    """Whoever bought cake, and why."""
    times = history.bought("cake").times
    return Choice("pair", f"you bought cake {times} times") if times else None


async def open_deli(
    choose: Callable[[History], Choices] = cake, control: str = "0%", **terms: str
) -> Engine:
    """A brand that chooses so."""
    partner = Partner("deli", "The Deli", currencies=[POINT])
    offers = [PersonalOffers("weekly", choose, control=control, **terms)]
    declared = Declared("deli", "1", partner, earn_rules=RULES, personal=offers)
    return Engine(await install(Programme(), [declared], NOW))


async def buy(
    engine: Engine, name: str, member: str, at: datetime, *lines: LineInput
) -> dict[str, int]:
    """Buy cake, or these: what each rule gave."""
    sold = lines or (LineInput("cake", "3.00"),)
    given = PurchaseInput(name, card(member), at, "USD", sold)
    item = check_purchase(find_partner(engine.rulebook, "deli"), given)
    (outcome,) = await engine.record_purchases([item], max(at, NOW))
    rules = engine.rulebook.partners["deli"].rules
    return {rules[g.rule].code: g.points for g in outcome.evaluation.granted}  # type: ignore[union-attr]


async def chosen(what: str = "holder_id, period_at, rule, until_at, because, control") -> list[Any]:
    async with reading() as connection:
        rows = await connection.fetch(f"SELECT {what} FROM personal_offer ORDER BY 1, rule")
    return [tuple(row) for row in rows]


async def noted() -> list[tuple[int, str]]:
    """To whom which rule is on offer."""
    async with reading() as connection:
        rows = await connection.fetch("SELECT holder_id, name FROM attribute ORDER BY 1, 2")
    return [tuple(row) for row in rows]


async def forget(url: str) -> None:
    """As if nothing had ever been chosen."""
    for table in ("personal_offer", "attribute", "schedule_day"):
        await forge(url, f"DELETE FROM {table}")


async def test_what_is_chosen_is_on_offer_from_the_night_until_the_period_ends(
    database: str,
) -> None:
    """1 for a visit; 50 more for who bought cake, from Monday on, and not the Monday after."""
    engine = await open_deli()
    ada, _ = await enrol_cards(["1", "2"])
    await buy(engine, "A", "1", NOW)
    await buy(engine, "B", "1", NOW)
    await buy(engine, "C", "2", NOW, LineInput("tea", "3.00"))
    assert (await run(engine, MONDAY)).offered == 1
    assert await chosen() == [(ada, MONDAY, "pair", NEXT, "you bought cake 2 times", False)]
    assert await noted() == [(ada, "offer:pair")]
    assert await buy(engine, "D", "1", TUESDAY) == {"visit": 1, "pair": 50}
    assert await buy(engine, "E", "2", TUESDAY) == {"visit": 1}
    assert await buy(engine, "F", "1", NEXT) == {"visit": 1}
    assert not (await run(engine, TUESDAY)).offered  # once in a period
    # In the next one all four of Ada's, and Bob's.
    assert await make_offers(engine, NEXT + DAY) == Made(2, 0)
    assert [row[4] for row in await chosen()][1:] == [
        "you bought cake 3 times", "you bought cake 1 times",
    ]  # fmt: skip
    assert await prove() == []


async def test_it_lasts_as_long_as_it_says_and_a_late_run_does_not_prolong_it(
    database: str,
) -> None:
    engine = await open_deli(lasts="3D")
    await enrol_cards(["1"])
    await buy(engine, "A", "1", NOW)
    assert await make_offers(engine, MONDAY + 3 * DAY) == Made()  # it would be over
    assert await make_offers(engine, MONDAY + 2 * DAY) == Made(1, 0)
    assert (await chosen("from_at, until_at"))[0] == (MONDAY + 2 * DAY, MONDAY + 3 * DAY)
    assert await buy(engine, "B", "1", TUESDAY) == {"visit": 1}  # not yet
    assert await buy(engine, "C", "1", MONDAY + 2 * DAY) == {"visit": 1, "pair": 50}
    assert await buy(engine, "D", "1", MONDAY + 3 * DAY) == {"visit": 1}


async def test_the_same_past_has_the_same_offers_whenever_and_however_it_is_run(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, by threes, all at once; later in the week, when more was bought."""
    engine = await open_deli(control="40%")
    await enrol_cards([str(n) for n in range(20)])
    for n in range(20):
        await buy(engine, f"R{n}", str(n), NOW)
    told = []
    for size, at in ((1000, MONDAY), (1, MONDAY), (3, TUESDAY)):
        monkeypatch.setattr(personal, "BATCH", size)
        await make_offers(engine, at)
        told.append(await chosen())
        await forget(database)
        await buy(engine, f"S{size}", "1", MONDAY, LineInput("tea", "1.00"))
    assert len(told[0]) == 20
    assert told[1:] == told[:1] * 2
    # What was bought in the week counts in the next one's: then it is another choice.
    await make_offers(engine, NEXT)
    assert [row[2:] for row in await chosen()] != [row[2:] for row in told[0]]


async def test_two_that_run_at_once_offer_once(database: str) -> None:
    engine = await open_deli(control="40%")
    await enrol_cards([str(n) for n in range(30)])
    for n in range(30):
        await buy(engine, f"R{n}", str(n), NOW)
    made = await asyncio.gather(*(make_offers(engine, MONDAY) for _ in range(4)))
    assert sum(m.offered + m.held_back for m in made) == 30
    assert len(await noted()) == sum(m.offered for m in made)


async def test_who_was_stopped_goes_on_from_there(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def choose(history: History) -> Choices:
        asked.append(1)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return cake(history)

    engine = await open_deli(choose)
    await enrol_cards(["1", "2", "3"])
    for n in (1, 2, 3):
        await buy(engine, f"R{n}", str(n), NOW)
    monkeypatch.setattr(personal, "BATCH", 1)
    with pytest.raises(KeyboardInterrupt):
        await make_offers(engine, MONDAY)
    assert len(await noted()) == 1
    assert await make_offers(engine, MONDAY) == Made(2, 0)
    assert (len(await noted()), len(asked)) == (3, 4)


# -- the control group ---------------------------------------------------------------------------


async def left_out_and_yet_offered() -> int:
    """How many of the control group have what was held back from them. The oracle."""
    return int(
        await scalar(
            "SELECT count(*) FROM personal_offer p JOIN attribute a USING (holder_id, partner_id) "
            "WHERE p.control AND a.name = 'offer:' || p.rule AND a.value IS NOT NULL"
        )
    )


async def test_the_control_group_is_recorded_and_offered_nothing(database: str) -> None:
    """Of 60 at 50%; neither side is empty but once in 10^18 runs."""
    engine = await open_deli(control="50%")
    holders = await enrol_cards([str(n) for n in range(60)])
    for n in range(60):
        await buy(engine, f"R{n}", str(n), NOW)
    made = await make_offers(engine, MONDAY)
    control = {row[0] for row in await chosen() if row[5]}
    assert made == (60 - len(control), len(control))
    assert 0 < len(control) < 60
    assert await left_out_and_yet_offered() == 0
    for n, holder in enumerate(holders):
        gave = await buy(engine, f"S{n}", str(n), TUESDAY)
        assert gave == ({"visit": 1} if holder in control else {"visit": 1, "pair": 50})
    assert await prove() == []
    # Were one of them offered it, it would be seen.
    await forge(
        database,
        "INSERT INTO attribute SELECT holder_id, partner_id, 'offer:pair', from_at, 1, NULL, 'yes' "
        "FROM personal_offer WHERE control LIMIT 1",
    )
    assert await left_out_and_yet_offered() == 1


def test_the_lot_is_a_fair_one_and_another_in_each_period() -> None:
    """Under a fixed key: of 10,000 a tenth, give or take three deviations of 30 each."""
    names = Pseudonyms(bytes(range(16)))
    first = {n for n in range(10_000) if names.lot(n, "weekly", "2026-03-16") < 100}
    again = {n for n in range(10_000) if names.lot(n, "weekly", "2026-03-16") < 100}
    other = {n for n in range(10_000) if names.lot(n, "weekly", "2026-03-23") < 100}
    assert first == again
    assert 910 < len(first) < 1090
    assert 910 < len(other) < 1090
    assert len(first & other) < 190  # a tenth of a tenth, and not the same
    assert first != {n for n in range(10_000) if Pseudonyms(bytes(16)).lot(n, "weekly", "") < 100}


async def test_the_database_keeps_the_control_group_apart(database: str) -> None:
    engine = await open_deli()
    await enrol_cards(["1"])
    await buy(engine, "A", "1", NOW)
    await make_offers(engine, MONDAY)
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await forge(database, "UPDATE personal_offer SET control = true")
    assert refused.value.constraint_name == "personal_offer_control"
    async with reading() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE personal_offer SET because = 'x'")


# -- what is seen, and what it costs -------------------------------------------------------------


async def test_a_history_is_the_members_own_goods_of_the_span_as_they_stand(database: str) -> None:
    """Two weeks before Monday; an edit as it says now; nothing of gift cards, cancels, others."""
    seen: list[History] = []

    def choose(history: History) -> None:
        seen.append(history)

    engine = await open_deli(choose, span="2W")
    await enrol_cards(["1", "2", "3"])
    begins = MONDAY - 14 * DAY
    await buy(engine, "early", "1", begins - timedelta(seconds=1))
    await buy(engine, "first", "1", begins)
    lines = (LineInput("tea", "4.00", "1.5"), LineInput("tea", "1.00"), LineInput("cake", "2.00"))
    await buy(engine, "much", "1", NOW - DAY, *lines, LineInput("load", "50", kind="gift-card"))
    await buy(engine, "load", "1", NOW, LineInput("load", "50.00", kind="gift-card"))
    await buy(engine, "gone", "1", NOW)
    await buy(engine, "edited", "1", NOW)
    await buy(engine, "hers", "2", NOW)
    partner = find_partner(engine.rulebook, "deli")
    new = [LineInput("tea", "9.00")]
    units = [check_cancel(partner, "gone", NOW), check_edit(partner, "edited", 2, NOW, new, "USD")]
    await record(engine, units, NOW)
    await buy(engine, "late", "1", MONDAY)
    await make_offers(engine, MONDAY)
    assert [h.purchases for h in seen] == [3, 1]  # who never bought isn't asked about
    mine = seen[0]
    assert (mine.begins, mine.ends, mine.weeks) == (begins, MONDAY, 2)
    assert [(v.at, v.spend, dict(v.products)) for v in mine.visits] == [
        (begins, 300, {"cake": 1000}),
        (NOW - DAY, 700, {"tea": 2500, "cake": 1000}),
        (NOW, 900, {"tea": 1000}),
    ]


async def test_a_thousand_cost_as_many_statements_as_one(database: str) -> None:
    engine = await open_deli()
    await enrol_cards([str(n) for n in range(40)])

    async def cost(numbers: range, at: datetime) -> int:
        for n in numbers:
            await buy(engine, f"{at}{n}", str(n), at - DAY)
        with statements() as sent:
            await make_offers(engine, at)
        return len(sent)

    await cost(range(1), MONDAY)  # takes ids for the rest
    few = await cost(range(1), NEXT)
    assert (await cost(range(40), NEXT + 7 * DAY), few) == (few, few)
    assert few < 20


async def test_what_fails_costs_that_member_and_again_and_again_the_rest_waits(
    database: str,
) -> None:
    broken, clock = True, [0.0]

    def choose(history: History) -> Choices:
        if broken or history.bought("tea").times:
            raise ValueError("of a member's past")
        return cake(history)

    engine = await open_deli(choose)
    engine.containment.choosing = Breakers(lambda: clock[0])
    await enrol_cards([str(n) for n in range(8)])
    for n in range(8):
        await buy(engine, f"R{n}", str(n), NOW, LineInput("tea" if n == 6 else "cake", "1.00"))
    assert await make_offers(engine, MONDAY) == Made()
    assert await scalar("SELECT count(*) FROM schedule_day") == 0
    broken = False
    assert await make_offers(engine, MONDAY) == Made()  # suspended
    clock[0] = 31.0
    assert await make_offers(engine, MONDAY) == Made(7, 0)
    found = [(x.rule, x.what, x.faults) for _, x in await all_by_code()]
    assert found == [("offers/weekly", "raised ValueError", 6)]


async def test_whom_it_always_fails_on_keeps_nobody_else_from_their_offers(database: str) -> None:
    """Six in a row, of whose past it can't be asked: those before and after have theirs at once."""

    def choose(history: History) -> Choices:
        if history.bought("tea").times:
            raise ValueError("of a member's past")
        return cake(history)

    clock = [0.0]
    engine = await open_deli(choose)
    engine.containment.choosing = Breakers(lambda: clock[0])
    holders = await enrol_cards([str(n) for n in range(9)])
    for n in range(9):
        what = "tea" if 1 <= n <= 6 else "cake"
        await buy(engine, f"R{n}", str(n), NOW, LineInput(what, "1.00"))
    assert await make_offers(engine, MONDAY) == Made(1, 0)
    clock[0] = 31.0
    assert await make_offers(engine, MONDAY) == Made()  # the sixth
    clock[0] = 200.0
    assert await make_offers(engine, MONDAY) == Made(2, 0)
    assert [row[0] for row in await chosen()] == [holders[n] for n in (0, 7, 8)]
    # It has come to its end, and nobody is asked again in this period.
    assert await scalar("SELECT count(*) FROM schedule_day") == 1
    assert engine.containment.reached == {}
    clock[0] = 9999.0
    assert await make_offers(engine, MONDAY) == Made()


@pytest.mark.parametrize(
    "answer",
    [
        Choice("visit", "it isn't offered"),
        Choice("gone", "there is none"),
        Choice("pair", ""),
        [Choice("pair", "twice"), Choice("pair", "twice")],
        "pair",
        ["pair"],
    ],
)
async def test_what_none_may_choose_is_a_fault_and_nothing_is_offered(
    database: str, answer: Any
) -> None:
    engine = await open_deli(lambda history: answer)
    await enrol_cards(["1"])
    await buy(engine, "A", "1", NOW)
    assert await make_offers(engine, MONDAY) == Made()
    ((_, fault),) = await all_by_code()
    assert fault.what == "answered what none may choose"
    assert await chosen() == []


async def test_a_report_holds_those_offered_against_those_left_out(database: str) -> None:
    """Members of a drawn control group, whoever that is: 3.00 each before, more in their week."""
    engine = await open_deli(control="50%")
    holders = await enrol_cards([str(n) for n in range(12)])
    for n in range(12):
        await buy(engine, f"R{n}", str(n), NOW)
    await make_offers(engine, MONDAY)
    control = [n for n, h in enumerate(holders) if h in {r[0] for r in await chosen() if r[5]}]
    offered_to = [n for n in range(12) if n not in control]
    for n in offered_to:
        await buy(engine, f"S{n}", str(n), TUESDAY, LineInput("cake", "8.00"))
    for n in control[:1]:
        await buy(engine, f"S{n}", str(n), TUESDAY, LineInput("cake", "2.50"))
        await buy(engine, f"T{n}", str(n), NEXT, LineInput("cake", "99.00"))  # it is over
    partner = engine.rulebook.partners["deli"].id
    arms = await store.report(partner, "weekly", MONDAY, NEXT, "USD")
    many, few = len(offered_to), len(control)
    assert arms == ((many, many, many, 800 * many), (few, few, min(1, few), 250 * min(1, few)))
    assert await store.report(partner, "weekly", NEXT, NEXT + DAY, "USD") == (store.Arm(),) * 2
    assert await store.report(partner, "weekly", MONDAY, NEXT, "EUR") == (
        (many, many, 0, 0), (few, few, 0, 0),
    )  # fmt: skip
