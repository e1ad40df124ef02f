"""Groups of rules of which one gives: on the receipt, on each line, one within another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels import (
    DeclarationError,
    EarnRule,
    Effects,
    Facts,
    FunctionRule,
    Group,
    Line,
    Mode,
    Purchase,
    award,
    earn_rule,
    evaluate,
    grouped,
    multiply,
    pending,
    reevaluated,
)
from laurels.lasting import group_of
from laurels.plugin.checks import check_earn_rules

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
PURCHASE = Purchase("p", "r", AT, "USD", (Line("A", 1000), Line("B", 1000), Line("C", 2000)))
BASE = Group("base")


def gives(code: str, *lines: int, currency: str = "STAR") -> FunctionRule:
    """A rule that gives so many points on each line."""

    @earn_rule(code, code.title())
    def rule(purchase: Purchase, facts: Facts) -> Effects:
        return award(currency, sum(lines), lines=lines)

    return rule


def stands(*rules: EarnRule) -> dict[str, list[int]]:
    """What each rule gives on each line; the others' reasons are checked to be there."""
    found = evaluate(rules, PURCHASE, Facts())
    named = {rules[g.rule].code: list(g.lines) for g in found.granted}
    refused = {rules[r.rule].code for r in found.refused}
    assert {r.code for r in rules} == set(named) | refused
    assert not set(named) & refused
    assert all(sum(g.lines) == g.points > 0 for g in found.granted)
    return named


ONE, TWO, SIX = gives("one", 1, 0, 0), gives("two", 0, 0, 2), gives("six", 2, 2, 2)


@pytest.mark.parametrize(
    ("mode", "winner"), [(Mode.HIGHEST, "six"), (Mode.LOWEST, "one"), (Mode.FIRST, "two")]
)
def test_one_rule_of_a_group_gives(mode: Mode, winner: str) -> None:
    """Square picks the one accrual rule that grants most."""
    rules = grouped(Group("base", mode), TWO, ONE, SIX)
    assert list(stands(*rules)) == [winner]


def test_the_others_say_who_gave_instead() -> None:
    rules = grouped(BASE, ONE, SIX)
    (refused,) = evaluate(rules, PURCHASE, Facts()).refused
    assert (refused.rule, refused.because) == (0, "'Six' gave instead")


def test_rules_without_a_group_add_up_with_what_stands() -> None:
    plain = gives("plain", 3, 3, 3)
    assert stands(plain, *grouped(BASE, ONE, SIX)) == {"plain": [3, 3, 3], "six": [2, 2, 2]}


def test_of_equals_the_first_stands_and_who_gives_nothing_is_no_rival() -> None:
    none = gives("none", 0, 0, 0)
    same = gives("same", 6, 0, 0)
    assert stands(*grouped(BASE, none, same, SIX)) == {"same": [6, 0, 0]}
    assert stands(*grouped(Group("l", Mode.LOWEST), none, SIX)) == {"six": [2, 2, 2]}
    assert stands(*grouped(Group("f", "first"), none, SIX)) == {"six": [2, 2, 2]}  # type: ignore[arg-type]  # a text will do


def test_each_currency_is_judged_by_itself() -> None:
    moon = gives("moon", 1, 0, 0, currency="MOON")
    assert stands(*grouped(BASE, SIX, moon)) == {"six": [2, 2, 2], "moon": [1, 0, 0]}


def test_each_line_may_be_anothers() -> None:
    most = Group("lines", Mode.HIGHEST, each_line=True)
    a, b = gives("a", 5, 1, 0), gives("b", 2, 3, 0)
    assert stands(*grouped(most, a, b)) == {"a": [5, 0, 0], "b": [0, 3, 0]}
    assert stands(*grouped(Group("l", Mode.LOWEST, each_line=True), a, b)) == {
        "a": [0, 1, 0],
        "b": [2, 0, 0],
    }
    found = evaluate(grouped(most, a, gives("c", 1, 0, 0)), PURCHASE, Facts())
    assert [r.because for r in found.refused] == ["'A' gave instead"]


def test_groups_nest_and_what_stands_of_one_competes_as_one() -> None:
    """Two of a kind in the inner group, of which one; it beats the outer rule, or doesn't."""
    outer = Group("outer")
    inner = Group("inner", Mode.FIRST, within=outer)
    small, large = gives("small", 3, 0, 0), gives("large", 9, 0, 0)
    rival = gives("rival", 0, 4, 0)
    assert stands(*grouped(inner, small, large), *grouped(outer, rival)) == {"rival": [0, 4, 0]}
    assert stands(*grouped(inner, large, small), *grouped(outer, rival)) == {"large": [9, 0, 0]}
    deep = Group("deep", within=inner)
    assert stands(*grouped(deep, small, large), *grouped(inner, ONE), *grouped(outer, rival)) == {
        "large": [9, 0, 0]
    }


def test_a_factor_multiplies_what_stands() -> None:
    @earn_rule("double", "Double")
    def double(purchase: Purchase, facts: Facts) -> Effects:
        return multiply("STAR", 2)

    assert stands(*grouped(BASE, ONE, SIX), double) == {"six": [2, 2, 2], "double": [2, 2, 2]}


def test_a_rule_with_two_awards_competes_by_both() -> None:
    @earn_rule("twice", "Twice")
    def twice(purchase: Purchase, facts: Facts) -> Effects:
        return [award("STAR", 4), award("STAR", 4)]

    found = evaluate(grouped(BASE, SIX, twice), PURCHASE, Facts())
    assert [(g.rule, g.points) for g in found.granted] == [(1, 4), (1, 4)]


@given(
    st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=1, max_size=5),
    st.sampled_from(Mode),
    st.booleans(),
)
def test_what_stands_is_the_best_of_each_line_or_of_the_whole(
    figures: list[list[int]], mode: Mode, each_line: bool
) -> None:
    """Against the plainest way to say it."""
    rules = grouped(
        Group("g", mode, each_line), *(gives(f"r{n}", *f) for n, f in enumerate(figures))
    )
    found = evaluate(rules, PURCHASE, Facts())
    total = [sum(column) for column in zip(*(g.lines for g in found.granted), strict=True)]
    choices: dict[Mode, Callable[[list[int]], int]] = {
        Mode.HIGHEST: max, Mode.LOWEST: min, Mode.FIRST: lambda some: some[0],
    }  # fmt: skip
    best = choices[mode]
    if each_line:
        columns = [[n for n in column if n] for column in zip(*figures, strict=True)]
        assert (total or [0, 0, 0]) == [best(column) if column else 0 for column in columns]
    else:
        wholes = [sum(f) for f in figures if sum(f)]
        assert sum(total) == (best(wholes) if wholes else 0)
        assert len(found.granted) == min(1, len(wholes))


def test_a_group_goes_with_the_other_words_on_a_rule_and_into_its_terms() -> None:
    inner = Group("inner", Mode.FIRST, each_line=True, within=Group("outer"))
    (rule,) = grouped(inner, ONE)
    for made in (pending("7D", rule), reevaluated(rule), pending("7D", reevaluated(rule))):
        assert group_of(made) == inner
        assert made.terms["group"] == {
            "code": "inner", "mode": "first", "each_line": 1, "within": "outer",
        }  # fmt: skip
    (again,) = grouped(BASE, pending("7D", ONE))
    assert again.terms["pending"] == "7D"
    assert group_of(ONE) is None


def test_what_is_no_group_is_refused() -> None:
    wrong: tuple[Callable[[], object], ...] = (
        lambda: Group("No Code!"),
        lambda: Group("a", "most"),  # type: ignore[arg-type]
        lambda: Group("a", within="b"),  # type: ignore[arg-type]
        lambda: Group("a", within=Group("b", within=Group("a"))),
        lambda: grouped("base", ONE),  # type: ignore[arg-type]
        lambda: grouped(BASE, SimpleNamespace()),
        lambda: check_earn_rules([*grouped(BASE, ONE), *grouped(Group("base", Mode.FIRST), TWO)]),
        lambda: check_earn_rules([
            *grouped(Group("x", within=BASE), ONE),
            *grouped(Group("y", within=Group("base", Mode.FIRST)), TWO),
        ]),
    )  # fmt: skip
    for made in wrong:
        with pytest.raises(DeclarationError):
            made()
    assert len(check_earn_rules([*grouped(BASE, ONE), *grouped(Group("base"), TWO)])) == 2
