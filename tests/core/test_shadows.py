"""Shadow rules on the real books: judged, counted, compared; and nothing of them is booked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.check import prove
from core.db import connected
from core.outcomes import Recorded
from core.posting import Engine
from core.programme import ContractSettings, CurrencySettings, Programme
from core.rule_changes import reset
from core.rulebook import Rulebook, ShadowTerms
from core.store import shadows
from core.store.casting import Understudy
from core.store.reference import Declared, install
from core.store.writes import Given
from laurels import (
    Basis,
    Cap,
    Currency,
    EarnRule,
    Effects,
    Facts,
    Partner,
    PointsPerAmount,
    PointsPerVisit,
    ProductTypeRewardCalculator,
    Purchase,
    Reward,
    capped,
    earn_rule,
    issue,
)
from tests.schema.client import statements
from tests.support import BOOKS, DAY, NOW, Databases, books, enrol_cards, receipt, scalar

STAR = "STAR"
GEM = Currency("GEM", "Gems")
PROGRAMME = Programme(
    currencies=(CurrencySettings(code=STAR, name=STAR),),
    contracts={c: ContractSettings(issues=(STAR,), accepts=(STAR,)) for c in ("grocer", "cafe")},
)


def brand(code: str, version: str, *rules: EarnRule, gems: bool = False) -> Declared:
    """A version of a brand, with these rules."""
    own = [GEM] if gems else []
    who = Partner(code, code.title(), currencies=own, issues=(STAR,), accepts=(STAR,))
    return Declared(
        code, version, who, earn_rules=rules, rewards=[Reward("coffee", "A coffee", {STAR: 1})]
    )


LIVE = brand("grocer", "1", ProductTypeRewardCalculator(STAR, {"TEA": 2}, default=1))
CAFE = brand("cafe", "1", PointsPerVisit(STAR, 1))
#: Three stars on tea; the rest as it was.
NEXT = brand("grocer", "2", ProductTypeRewardCalculator(STAR, {"TEA": 3}, default=1))


async def opened(*next_: Declared, live: Declared = LIVE) -> Engine:
    """An engine of both brands, with these shadows."""
    build = partial(install, PROGRAMME, [live, CAFE], shadows=[Understudy(d) for d in next_])
    return Engine(await build(NOW), build)


def shadow_of(book: Rulebook, code: str = "grocer") -> ShadowTerms:
    """What judges beside a partner's rules."""
    found = book.partners[code].shadow
    assert found is not None
    return found


async def totals(engine: Engine, code: str = "grocer") -> shadows.Totals:
    """What the partner's run counted."""
    run = shadow_of(engine.rulebook, code).run
    return (await shadows.totals([run])).get(run, shadows.Totals())


async def differences(engine: Engine, limit: int = 100) -> Sequence[shadows.Difference]:
    """The grocer's."""
    run = shadow_of(engine.rulebook).run
    return (await shadows.differences([run], limit)).get(run, [])


async def buy(
    engine: Engine, *names: str, kind: str = "TEA", partner: str = "grocer", member: str = "1"
) -> list[Recorded]:
    """Something for ten dollars each, in one batch."""
    items = [receipt(engine, n, member, NOW, (kind, "10.00"), partner=partner) for n in names]
    found = [x for x in await engine.record_purchases(items, NOW) if isinstance(x, Recorded)]
    assert len(found) == len(names)
    return found


async def test_a_next_version_judges_what_is_booked_and_differences_are_told(
    database: str,
) -> None:
    (holder,) = await enrol_cards(["1"])
    engine = await opened(NEXT)
    assert (shadow_of(engine.rulebook).version, shadow_of(engine.rulebook).since) == ("2", NOW)
    assert engine.rulebook.partners["cafe"].shadow is None
    (tea,) = await buy(engine, "T")
    await buy(engine, "B1", "B2", kind="BREAD")
    await buy(engine, "C", partner="cafe")
    told = await totals(engine)
    assert told == shadows.Totals(2, 1, 0, {STAR: (40, 50)})
    (difference,) = await differences(engine)
    run, title = shadow_of(engine.rulebook).run, LIVE.earn_rules[0].title
    code = LIVE.earn_rules[0].code
    assert difference == shadows.Difference(
        run, tea.event, holder, tea.booked_at,
        [Given(code, title, 20, STAR)], [Given(code, NEXT.earn_rules[0].title, 30, STAR)],
    )  # fmt: skip
    assert await scalar("SELECT active FROM ledger") == 41
    assert await scalar("SELECT count(*) FROM rule WHERE plugin_version = '2'") == 0
    assert await prove() == []
    (row,) = await shadows.all_by_code()
    assert row == shadows.Shadowed("grocer", "2", NOW, None, told)


KINDS = st.lists(st.sampled_from(["TEA", "BREAD", "GIFT"]), min_size=1, max_size=6)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(batches=st.lists(KINDS, min_size=1, max_size=4))
async def test_the_books_are_to_the_letter_those_without_a_shadow(
    databases: Databases, batches: list[list[str]]
) -> None:
    found = []
    for next_ in ((), (NEXT,)):
        async with databases.migrated() as url, connected(url):
            await enrol_cards(["1"])
            engine = await opened(*next_)
            for n, kinds in enumerate(batches):
                items = [
                    receipt(engine, f"{n}.{m}", "1", NOW, (kind, "7.00"))
                    for m, kind in enumerate(kinds)
                ]
                await engine.record_purchases(items, NOW)
            found.append(await books(BOOKS))
            if next_:
                told = await totals(engine)
                kinds = [kind for batch in batches for kind in batch]
                assert (told.same + told.different, told.different) == (
                    len(kinds), kinds.count("TEA"),
                )  # fmt: skip
    assert found[0] == found[1]


async def test_replays_quotes_and_history_are_not_judged(database: str) -> None:
    await enrol_cards(["1"])
    engine = await opened(NEXT)
    item = receipt(engine, "T", "1", NOW, ("TEA", "10.00"))
    await engine.quote([item], NOW)
    old = receipt(engine, "H", "1", NOW - DAY, ("TEA", "10.00"))
    await engine.record_purchases([old], NOW, historical=True)
    assert await totals(engine) == shadows.Totals()
    await engine.record_purchases([item], NOW)
    (replayed,) = await engine.record_purchases([item], NOW)
    assert isinstance(replayed, Recorded)
    assert replayed.replayed
    assert await totals(engine) == shadows.Totals(0, 1, 0, {STAR: (20, 30)})


async def test_what_a_member_gets_is_compared_whichever_rule_gives_it(database: str) -> None:
    """Two rules for one, a currency that isn't declared yet, a reward that only one issues."""
    await enrol_cards(["1"])
    split = brand(
        "grocer", "2", PointsPerAmount(STAR, 1, "1.00 USD"),
        PointsPerAmount(STAR, 1, "1.00 USD", code="again"),
    )  # fmt: skip
    engine = await opened(split)
    await buy(engine, "T")
    assert await totals(engine) == shadows.Totals(1, 0, 0, {STAR: (20, 20)})

    @earn_rule("gift", "A coffee")
    def gift(purchase: Purchase, facts: Facts) -> Effects:
        return [issue("coffee"), issue("coffee")]

    more = brand("grocer", "3", LIVE.earn_rules[0], PointsPerVisit(GEM, 7), gift, gems=True)
    engine = await opened(more)
    await buy(engine, "U")
    assert await totals(engine) == shadows.Totals(0, 1, 0, {STAR: (20, 20), "GEM": (0, 7)})
    (difference,) = await differences(engine)
    assert difference.shadow[1:] == [
        Given("visit", more.earn_rules[1].title, 7, "GEM"),
        Given("gift", "A coffee", 2, None, "coffee"),
    ]
    assert await scalar("SELECT count(*) FROM issue") == 0
    assert await scalar("SELECT count(*) FROM currency") == 1


async def test_caps_are_as_the_rules_in_force_left_them(database: str) -> None:
    """A raised cap gives the rest; one that no rule in force has finds nothing given yet."""
    await enrol_cards(["1"])
    visit = PointsPerVisit(STAR, 10)
    live = brand("grocer", "1", capped(visit, Cap(points=15)))
    engine = await opened(brand("grocer", "2", capped(visit, Cap(points=25))), live=live)
    await buy(engine, "1", "2", "3")
    # 10, 5, 0 in force; the raised cap finds 0, 10, 15 given.
    assert await totals(engine) == shadows.Totals(1, 2, 0, {STAR: (15, 30)})
    new = brand("grocer", "2", capped(visit, Cap(points=15, shared="new")))
    engine = await opened(new, live=live)
    await buy(engine, "4", "5")
    assert await totals(engine) == shadows.Totals(0, 2, 0, {STAR: (0, 20)})


async def test_another_set_is_another_run_and_the_same_goes_on(database: str) -> None:
    await enrol_cards(["1"])
    engine = await opened(NEXT)
    first = shadow_of(engine.rulebook)
    await buy(engine, "1")
    later = NOW + timedelta(hours=1)
    await engine.renew(later)
    assert shadow_of(engine.rulebook) == first
    other = await opened(replace(NEXT, version="3"))
    assert shadow_of(other.rulebook).run != first.run
    assert await totals(other) == shadows.Totals()
    live = replace(LIVE, version="1.1")  # compared with other rules it is another comparison
    again = await opened(replace(NEXT, version="3"), live=live)
    assert shadow_of(again.rulebook).run not in (first.run, shadow_of(other.rulebook).run)
    assert (await opened()).rulebook.partners["grocer"].shadow is None
    assert await scalar("SELECT count(*) FROM shadow_run WHERE ended_at IS NULL") == 0
    assert await shadows.all_by_code() == []
    # Who hasn't heard yet counts under its own run, which is ended; the purchase is booked.
    await buy(engine, "2")
    assert await totals(engine) == shadows.Totals(0, 2, 0, {STAR: (40, 60)})


async def test_a_reset_begins_at_zero(database: str) -> None:
    await enrol_cards(["1"])
    engine = await opened(NEXT)
    await buy(engine, "1")
    done = await reset(engine, "grocer", NOW + DAY)
    assert done.shadow is not None
    assert (done.shadow.since, done.shadow.version) == (NOW + DAY, "2")
    assert await totals(engine) == shadows.Totals()
    await buy(engine, "2")
    assert await totals(engine) == shadows.Totals(0, 1, 0, {STAR: (20, 30)})


async def test_one_statement_more_where_there_is_a_shadow_and_none_where_there_is_not(
    database: str,
) -> None:
    await enrol_cards(["1", "2"])
    counts = {}
    for name, next_ in (("without", ()), ("with", (NEXT,))):
        engine = await opened(*next_)
        await engine.ids.take(1)
        for size in (1, 40):
            items = [
                receipt(engine, f"{name}{size}.{n}", "12"[n % 2], NOW, ("TEA", "3.00"))
                for n in range(size)
            ]
            with statements() as sent:
                await engine.record_purchases(items, NOW)
            counts[name, size] = len(sent)
            shadowing = [text for text in sent if "shadow" in text]
            assert len(shadowing) == (1 if next_ else 0)
    assert counts["with", 1] == counts["with", 40] == counts["without", 1] + 1
    assert counts["without", 1] == counts["without", 40]
    # Of a partner without one in the same coalition, nothing either.
    with statements() as sent:
        await buy(engine, "C", partner="cafe")
    assert len(sent) == counts["without", 1]


async def test_many_count_at_once_and_none_is_lost(database: str) -> None:
    cards = [str(n) for n in range(12)]
    await enrol_cards(cards)
    engine = await opened(NEXT)
    await asyncio.gather(*(buy(engine, f"{c}.{n}", member=c) for c in cards for n in range(5)))
    assert await totals(engine) == shadows.Totals(0, 60, 0, {STAR: (1200, 1800)})
    assert await scalar("SELECT count(DISTINCT slice) FROM shadow_count") > 1


async def test_the_newest_differences_and_runs_are_kept(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "MOST_DIFFERENCES", 3)
    monkeypatch.setattr(shadows, "MOST_RUNS", 2)
    await enrol_cards(["1"])
    engine = await opened(NEXT)
    done = await buy(engine, *(f"a{n}" for n in range(5)))
    await shadows.prune()
    assert [x.event for x in await differences(engine)] == [x.event for x in done[:1:-1]]
    assert [x.event for x in await differences(engine, 2)] == [x.event for x in done[:2:-1]]
    assert (await totals(engine)).different == 5
    for n in range(2):
        await reset(engine, "grocer", NOW + DAY * (n + 1))
        await buy(engine, f"b{n}")
    await shadows.prune()
    assert await scalar("SELECT array_agg(n) FROM (SELECT count(*) AS n FROM shadow_difference "
                        "GROUP BY run_id ORDER BY run_id) x") == [1, 1]  # fmt: skip
    assert await scalar("SELECT count(DISTINCT run_id) FROM shadow_count") == 2
    assert await scalar("SELECT count(*) FROM shadow_run") == 2


async def test_a_next_version_counts_on_its_own_usual_basis(database: str) -> None:
    """And one that changes no more than that begins another run."""
    await enrol_cards(["1"])
    rule = PointsPerAmount(STAR, 1, "1.00 USD")

    def on(version: Declared, basis: Basis | None) -> Declared:
        return replace(version, partner=replace(version.partner, basis=basis))

    live, next_ = brand("grocer", "1", rule), brand("grocer", "2", rule)
    engine = await opened(on(next_, Basis(except_types=["TEA"])), live=live)
    first = shadow_of(engine.rulebook).run
    await buy(engine, "T")
    await buy(engine, "B", kind="BREAD")
    assert await totals(engine) == shadows.Totals(1, 1, 0, {STAR: (20, 10)})
    other = await opened(next_, live=live)
    assert shadow_of(other.rulebook).run != first
    # The control: live on that basis too, both sides count the same.
    usual = Basis(except_types=["TEA"])
    same = await opened(on(next_, usual), live=on(live, usual))
    await buy(same, "U")
    assert await totals(same) == shadows.Totals(1, 0, 0, {})


async def test_a_run_goes_on_whoever_was_started_without_its_shadow(database: str) -> None:
    await enrol_cards(["1"])
    engine = await opened(NEXT)
    run = shadow_of(engine.rulebook)
    await buy(engine, "1")
    assert (await opened()).rulebook.partners["grocer"].shadow is None  # a command of any kind, say
    assert await shadows.all_by_code() == []
    again = await opened(NEXT)
    assert shadow_of(again.rulebook) == replace(run, terms=shadow_of(again.rulebook).terms)
    await buy(again, "2")
    assert await totals(again) == shadows.Totals(0, 2, 0, {STAR: (40, 60)})
    # Another set, then the first again: each has its own.
    other = await opened(replace(NEXT, version="3"))
    await buy(other, "3")
    assert await totals(other) == shadows.Totals(0, 1, 0, {STAR: (20, 30)})
    again = await opened(NEXT)
    assert shadow_of(again.rulebook).run == run.run
    # The control: what was reset begins at zero, though somebody had ended it meanwhile.
    await opened()
    fresh = await reset(again, "grocer", NOW + DAY)
    assert fresh.shadow is not None
    assert fresh.shadow.run != run.run
    await opened()
    assert shadow_of((await opened(NEXT)).rulebook).run == fresh.shadow.run
    assert await totals(again) == shadows.Totals()
    assert await scalar("SELECT count(*) FROM shadow_run") == 3


async def test_the_open_run_is_kept_however_old_it_is(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "MOST_RUNS", 2)
    first = shadow_of((await opened(NEXT)).rulebook).run
    for version in "345":
        last = shadow_of((await opened(replace(NEXT, version=version))).rulebook).run
    await opened(NEXT)
    await shadows.prune()
    assert await scalar("SELECT array_agg(id ORDER BY id) FROM shadow_run") == [first, last]
