"""Caps and budgets, pure: what is left, what is cut and why, in whichever order things are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels import (
    Budget,
    Cap,
    DeclarationError,
    EarnRule,
    Evaluation,
    Facts,
    Group,
    Line,
    Mode,
    PointsPerAmount,
    Purchase,
    RuleError,
    Use,
    award,
    capped,
    earn_rule,
    evaluate,
    grouped,
    multiply,
    nothing,
    pending,
    reevaluated,
)
from laurels.lasting import ceilings_of, held_back, reevaluates
from laurels.plugin.checks import check_earn_rules

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
LINES = (Line("A", 6_000), Line("B", 4_000))


def at(text: str) -> datetime:
    """An instant of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def gives(code: str, points: int, currency: str = "STAR") -> EarnRule:
    """A rule that gives so much."""
    return earn_rule(code, code.title())(lambda purchase, facts: award(currency, points))


def judged(*rules: EarnRule, when: datetime = AT, zone: str = "UTC", **facts: Any) -> Evaluation:
    """What rules make of a receipt of 100.00."""
    purchase = Purchase("p", "1", when, "EUR", LINES, time_zone=zone)
    return evaluate(rules, purchase, Facts(**facts))


def points(*rules: EarnRule, **more: Any) -> int:
    """All of them."""
    return judged(*rules, **more).points("STAR")


BAG = gives("bag", 60)


# -- one rule's own --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "expected"), [(0, 60), (40, 60), (41, 59), (99, 1), (100, 0), (130, 0)]
)
def test_what_is_left_of_a_period_is_given(used: int, expected: int) -> None:
    rule = capped(BAG, Cap(points=100, per="calendar 1M"))
    uses = {"bag": [Use(at("2026-11-01"), "STAR", used), Use(at("2026-10-31"), "STAR", 1000)]}
    assert points(rule, uses=uses) == expected


def test_what_is_cut_keeps_its_wish_and_its_words_and_stays_on_its_lines() -> None:
    rule = capped(BAG, Cap(points=50, per="calendar 1M"))
    (granted,) = judged(rule, uses={"bag": [Use(AT, "STAR", 20)]}).granted
    assert (granted.points, granted.wanted, list(granted.lines)) == (30, 60, [18, 12])
    assert granted.cut == "at most 50 points in a calendar month: 30 were left"
    found = judged(rule, uses={"bag": [Use(AT, "STAR", 50)]})
    assert found.granted == ()
    (refused,) = found.refused
    assert refused.because == "at most 50 points in a calendar month: that was reached"


def test_a_cap_that_rejects_gives_all_or_nothing() -> None:
    rule = capped(BAG, Cap(points=100, rejects=True))
    assert points(rule, uses={"bag": [Use(AT, "STAR", 40)]}) == 60
    found = judged(rule, uses={"bag": [Use(AT, "STAR", 41)]})
    assert found.granted == ()
    assert found.refused[0].because == (
        "at most 100 points: 59 are left, and it gives 60 or nothing"
    )


@pytest.mark.parametrize(
    ("per", "earlier", "expected"),
    [
        (None, "1999-01-01", 0),
        ("24h", "2026-11-25T12:00", 60),  # a day ago: its span has just ended
        ("24h", "2026-11-25T12:01", 0),
        ("calendar 1D", "2026-11-26T00:00", 0),
        ("calendar 1D", "2026-11-25T23:59", 60),
        ("calendar 1W", "2026-11-23T00:00", 0),  # a Monday
        ("calendar 1W", "2026-11-22T23:59", 60),
        ("calendar 1Q", "2026-10-01T00:00", 0),
        ("calendar 1Y", "2026-01-01T00:00", 0),
        ("calendar 1Y", "2025-12-31T23:59", 60),
        # Told late: what happened after it counts too.
        ("24h", "2026-11-27T11:59", 0),
        ("24h", "2026-11-27T12:00", 60),
        ("calendar 1D", "2026-11-26T23:59", 0),
        ("calendar 1D", "2026-11-27T00:00", 60),
    ],
)
def test_once_in_a_period(per: str | None, earlier: str, expected: int) -> None:
    rule = capped(BAG, Cap(times=1, per=per))
    assert points(rule, uses={"bag": [Use(at(earlier), "STAR", 60)]}) == expected


def test_a_day_is_the_partners_own() -> None:
    rule = capped(BAG, Cap(times=1, per="calendar 1D"))
    uses = {"bag": [Use(at("2026-11-25T21:30"), "STAR", 60)]}  # in Istanbul half past midnight
    assert points(rule, uses=uses, zone="Europe/Istanbul") == 0
    assert points(rule, uses=uses) == 60


def test_what_came_back_can_be_earned_again_and_each_currency_is_capped_by_itself() -> None:
    rule = capped(BAG, Cap(points=60), Cap(times=1))
    gone = [Use(AT, "STAR", 60), Use(AT, "STAR", -60, -1)]
    assert points(rule, uses={"bag": gone}) == 60
    assert points(rule, uses={"bag": gone[:1]}) == 0
    assert points(rule, uses={"bag": [Use(AT, "BEAN", 60)], "other": gone[:1]}) == 60


def test_a_rule_that_gives_twice_on_a_receipt_is_one_turn() -> None:
    twice = earn_rule("twice", "Twice")(lambda p, f: [award("STAR", 30), award("STAR", 40)])
    assert points(capped(twice, Cap(times=1))) == 70
    assert [g.points for g in judged(capped(twice, Cap(points=50))).granted] == [30, 20]


# -- with groups, factors and others ---------------------------------------------------------------


def test_where_a_cap_leaves_nothing_a_rival_gives() -> None:
    """Square: a promotion blocked by its trigger limit lets another active one qualify."""
    group = Group("promotions", Mode.FIRST)
    rules = grouped(group, capped(gives("new", 9), Cap(times=1)), gives("old", 5))
    assert points(*rules) == 9
    found = judged(*rules, uses={"new": [Use(AT, "STAR", 9)]})
    assert [(g.rule, g.points) for g in found.granted] == [(1, 5)]
    assert [r.because for r in found.refused] == ["at most once: that was reached"]


def test_a_shared_cap_is_taken_by_those_that_stand() -> None:
    shared = Cap(points=100, per="calendar 1M", shared="summer")
    one, two = capped(gives("one", 70), shared), capped(gives("two", 70), shared)
    assert [g.points for g in judged(one, two).granted] == [70, 30]
    uses = {"cap:summer": [Use(AT, "STAR", 80)], "one": [Use(AT, "STAR", 999)]}
    assert [g.points for g in judged(one, two, uses=uses).granted] == [20]
    # Of two rivals one stands, and takes it alone.
    assert [g.points for g in judged(*grouped(Group("g"), one, two)).granted] == [70]
    once = Cap(times=1, shared="gift")
    assert points(capped(gives("one", 7), once), capped(gives("two", 8), once)) == 7


def test_a_factor_multiplies_what_a_cap_left_and_has_caps_of_its_own() -> None:
    double = earn_rule("double", "Double")(lambda p, f: multiply("STAR", 2))
    base = capped(BAG, Cap(points=50))
    assert [g.points for g in judged(base, double).granted] == [50, 50]
    (_, extra) = judged(base, capped(double, Cap(points=20))).granted
    assert (extra.points, extra.wanted, extra.base) == (20, 50, 50)
    found = judged(base, capped(double, Cap(times=1)), uses={"double": [Use(AT, "STAR", 1)]})
    assert [g.points for g in found.granted] == [50]


def test_a_budget_is_of_all_rules_and_currencies_that_name_it() -> None:
    budget = Budget("opening", 100)
    one, two = capped(gives("one", 70), budget), capped(gives("two", 70, "BEAN"), budget)
    assert [g.points for g in judged(one, two).granted] == [70, 30]
    assert [g.points for g in judged(one, two, budgets={"opening": 80}).granted] == [70, 10]
    found = judged(one, two, budgets={"opening": 0})
    assert found.granted == ()
    assert {r.because for r in found.refused} == {
        "at most 100 points for all members, the budget opening: that was reached"
    }
    strict = capped(gives("one", 70), Budget("opening", 100, rejects=True))
    assert points(strict, budgets={"opening": 69}) == 0
    assert points(strict, budgets={"opening": 70}) == 70


# -- carried over ----------------------------------------------------------------------------------

STEP = PointsPerAmount("STAR", 1, "50.00 EUR", carries=True)


@pytest.mark.parametrize(
    ("before", "given", "after"), [(0, 2, 0), (10, 2, 10), (4999, 2, 4999), (-1, 1, 4999)]
)
def test_what_is_left_beyond_full_steps_is_carried_over(
    before: int, given: int, after: int
) -> None:
    found = judged(STEP, carried={"per-amount": before})
    assert (found.points("STAR"), found.carried) == (given, {0: after})


def test_nothing_yet_says_what_is_missing_and_carries_on() -> None:
    purchase = Purchase("p", "1", AT, "EUR", (Line("A", 1000),))
    found = evaluate([STEP], purchase, Facts(carried={"per-amount": 3000}))
    assert (found.granted, found.carried) == ((), {0: 4000})
    assert found.refused[0].because == "spend 10.00 EUR more"
    found = evaluate([STEP], purchase, Facts(carried={"per-amount": -3000}))
    assert (found.carried, found.refused[0].because) == ({0: -2000}, "spend 70.00 EUR more")


def test_a_rule_that_another_beat_carries_nothing_over() -> None:
    rules = grouped(Group("g"), STEP, gives("more", 99))
    found = judged(*rules, carried={"per-amount": 4000})
    assert (found.points("STAR"), found.carried) == (99, {})


def test_a_rule_of_ones_own_carries_on_what_it_says() -> None:
    rule = earn_rule("own", "Own", carries=True)(
        lambda p, f: nothing("wait", carry=f.carried.get("own", 0) + 1)
    )
    assert judged(rule, carried={"own": 4}).carried == {0: 5}
    assert reevaluates(rule)
    wrong = earn_rule("own", "Own", carries=True)(lambda p, f: nothing("wait", carry=True))
    with pytest.raises(RuleError, match="carries on True, not whole minor units"):
        judged(wrong)


def test_a_rule_that_carries_money_on_says_so() -> None:
    silent = earn_rule("own", "Own")(lambda p, f: award("STAR", 1, carry=5))
    with pytest.raises(RuleError, match="carries money on, and doesn't say so: carries=True"):
        judged(silent)


def test_the_same_budget_stands_once_on_a_rule() -> None:
    with pytest.raises(DeclarationError, match="bag: capped: budget:b stands there twice"):
        capped(BAG, Budget("b", 5), Budget("b", 6, "calendar 1M"))


def test_only_full_steps_leave_a_rest() -> None:
    with pytest.raises(DeclarationError, match="only what counts full steps leaves a rest"):
        PointsPerAmount("STAR", 1, "50.00 EUR", per_step=False, carries=True)


# -- declared --------------------------------------------------------------------------------------


def test_caps_stand_beside_whatever_else_a_rule_says_and_in_its_terms() -> None:
    monthly, budget = (
        Cap(points=100, per="calendar 1M", rejects=True),
        Budget("b", 5, "calendar 2M"),
    )
    rule = capped(capped(pending("14D", reevaluated(BAG)), monthly), budget)
    assert (ceilings_of(rule), str(held_back(rule)), reevaluates(rule)) == (
        (monthly, budget), "14D", True,
    )  # fmt: skip
    assert rule.terms["caps"] == (
        "at most 100 points in a calendar month; all or nothing",
        "at most 5 points for all members in 2 months of the calendar, the budget b",
    )
    assert str(Cap(times=1, per="24h")) == "at most once within 24 hours"
    assert str(Cap(times=3, per="7D", shared="s")) == (
        "at most 3 times within 7 days together with the rest of s"
    )
    assert ceilings_of(BAG) == ()


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: Cap(), "cap: points or times, one of the two"),
        (lambda: Cap(points=1, times=1), "cap: points or times, one of the two"),
        (lambda: Cap(points=0), "cap: points: a whole number from 1"),
        (lambda: Cap(times=0), "cap: times: from 1 to 1000000, not 0"),
        (lambda: Cap(times=True), "cap: times: from 1 to 1000000, not True"),
        (lambda: Cap(times=1, per="anniversary 1Y"), "cap: per: 24h, 7D or calendar 1M, not"),
        (lambda: Cap(times=1, per="2M_U"), "cap: per: '2M_U': a window isn't rounded"),
        (lambda: Cap(times=1, shared="no code"), "cap: shared 'no code': a code has"),
        (lambda: Cap(times=1, rejects=1), "cap: rejects: it is True or False, not 1"),  # type: ignore[arg-type]  # what is refused
        (lambda: Budget("b", 0), "budget b: points: a whole number from 1"),
        (lambda: Budget("b", 1, "30D"), "budget b: per: a period of the calendar: calendar 1M"),
        (lambda: capped(BAG), "earn rule bag: capped: a Cap or a Budget is wanted"),
        (lambda: capped(BAG, 5), "earn rule bag: capped: a Cap or a Budget, not 5"),  # type: ignore[arg-type]  # what is refused
        (lambda: capped(5, Cap(times=1)), "capped: an earn rule is wanted, not 5"),  # type: ignore[arg-type]  # what is refused
    ],
)
def test_what_is_no_cap_is_refused_in_words(declare: Any, message: str) -> None:
    with pytest.raises(DeclarationError) as refused:
        declare()
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (Cap(points=5, shared="s"), Cap(points=6, shared="s")),
        (Budget("s", 5), Budget("s", 6)),
    ],
)
def test_what_is_shared_is_declared_alike(one: Any, two: Any) -> None:
    rules = [capped(gives("a", 1), one), capped(gives("b", 1), one)]
    assert len(check_earn_rules(rules)) == 2
    with pytest.raises(DeclarationError, match=r"earn rule b: .* s is declared twice, and not"):
        check_earn_rules([rules[0], capped(gives("b", 1), two)])


# -- in whichever order it is told -----------------------------------------------------------------

DAY = timedelta(days=1)


def told(cap: Cap, wishes: Sequence[tuple[int, int]], used: Any = Cap.used) -> list[Use]:
    """Each (hour, points) wish in turn, given what the cap leaves: all that was given."""
    uses: list[Use] = []
    for hour, wish in wishes:
        when = AT + timedelta(hours=hour)
        left = (cap.points or 0) - used(cap, Facts(uses={"r": uses}), "r", "STAR", when, "UTC")
        if left > 0:
            uses.append(Use(when, "STAR", min(wish, left)))
    return uses


def fullest(uses: Sequence[Use]) -> int:
    """The most that was given within any day: of those that end with a use, none is fuller."""
    return max((sum(u.points for u in uses if x.at - DAY < u.at <= x.at) for x in uses), default=0)


WISHES = st.lists(st.tuples(st.integers(0, 72), st.integers(1, 50)), max_size=12)


@given(wishes=WISHES)
def test_in_no_span_is_more_given_than_the_cap_whichever_order_it_is_told_in(
    wishes: list[tuple[int, int]],
) -> None:
    cap = Cap(points=60, per="24h")
    uses = told(cap, wishes)
    assert fullest(uses) <= 60
    # And no less than could be: whoever got less than it wished for stands in a full span.
    for hour, wish in wishes:
        when = AT + timedelta(hours=hour)
        got = [u for u in uses if u.at == when and u.points == wish]
        full = cap.used(Facts(uses={"r": uses}), "r", "STAR", when, "UTC")
        assert got or full == 60


def test_the_control_looks_back_only_and_gives_too_much() -> None:
    def behind(cap: Cap, facts: Facts, rule: str, currency: str, when: datetime, zone: str) -> int:
        return sum(u.points for u in facts.uses[rule] if when - DAY < u.at <= when)

    wishes = [(20, 50), (10, 50)]
    assert fullest(told(Cap(points=60, per="24h"), wishes, behind)) == 100
    assert fullest(told(Cap(points=60, per="24h"), wishes)) == 60
