"""Rewards that rules issue: beside an award or alone, and what no rule may issue."""

from __future__ import annotations

from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest

from laurels import (
    Cap,
    Currency,
    EarnRule,
    Facts,
    Group,
    Issue,
    Issued,
    Line,
    Partner,
    Purchase,
    Reward,
    RuleError,
    Use,
    award,
    capped,
    earn_rule,
    evaluate,
    grouped,
    hookimpl,
    issue,
    testing,
)

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
PURCHASE = Purchase("p", "1", AT, "EUR", (Line("A", 1000),))
STAMP = Currency("STAMP", "Stamps")


def rule(code: str, *effects: Any) -> EarnRule:
    """A rule of these effects."""
    return earn_rule(code, code.title())(lambda purchase, facts: list(effects))


def test_a_rule_issues_beside_what_it_awards_or_alone() -> None:
    both = rule("both", award(STAMP, 10), issue("coffee", 2, currency=STAMP))
    found = evaluate([both, rule("alone", issue("cake"))], PURCHASE, Facts())
    assert found.points("STAMP") == 10
    assert found.issued == (Issued(0, "coffee", 2, "STAMP"), Issued(1, "cake", 1, None))
    assert found.refused == ()


def test_where_nothing_stands_of_its_award_it_issues_nothing() -> None:
    gives = rule("gives", award(STAMP, 10), issue("coffee"))
    spent = {"gives": [Use(AT, "STAMP", 10)]}
    found = evaluate([capped(gives, Cap(times=1))], PURCHASE, Facts(uses=spent))
    assert (found.granted, found.issued) == ((), ())
    reduced = evaluate([capped(gives, Cap(points=15))], PURCHASE, Facts(uses=spent))
    assert (reduced.points("STAMP"), len(reduced.issued)) == (5, 1)
    rivals = grouped(Group("g"), gives, rule("more", award(STAMP, 11)))
    assert evaluate(rivals, PURCHASE, Facts()).issued == ()
    nothing = rule("nothing", award(STAMP, 0), issue("coffee"))
    assert len(evaluate([nothing], PURCHASE, Facts()).issued) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Issue("no code"), "issued what is no reward: reward 'no code': a code has"),
        (Issue(5), "issued what is no reward"),  # type: ignore[arg-type]  # what is refused
        (Issue("coffee", 0), "issued 0 pieces, not from 1 to 100"),
        (Issue("coffee", 101), "issued 101 pieces, not from 1 to 100"),
        (Issue("coffee", True), "issued True pieces, not from 1 to 100"),
        (Issue("coffee", 1, 5), "issued what is no reward: currency: a code is a text"),  # type: ignore[arg-type]  # what is refused
    ],
)
def test_what_no_rule_may_issue_is_told(wrong: Issue, message: str) -> None:
    with pytest.raises(RuleError) as refused:
        evaluate([rule("odd", wrong)], PURCHASE, Facts())
    assert message in refused.value.problem


def test_a_brands_own_tests_see_what_it_doesnt_offer() -> None:
    def brand(reward: str) -> ModuleType:
        made = ModuleType("brand")

        @hookimpl
        def laurels_partner() -> Partner:
            return Partner("brand", "Brand", currencies=[STAMP])

        @hookimpl
        def laurels_earn_rules() -> list[EarnRule]:
            return [rule("gives", award(STAMP, 10), issue(reward))]

        @hookimpl
        def laurels_rewards() -> list[Reward]:
            return [Reward("coffee", "A coffee", {STAMP: 10})]

        for hook in (laurels_partner, laurels_earn_rules, laurels_rewards):
            setattr(made, hook.__name__, hook)
        return made

    assert testing.problems(brand("coffee")) == []
    (problem, *_) = testing.problems(brand("tea"))
    assert "rule 'gives': issues tea, which its partner doesn't offer" in problem


def test_a_rule_that_issues_without_end_is_stopped() -> None:
    endless = rule("endless", *[issue("coffee")] * 1001)
    with pytest.raises(RuleError, match="issued more than 1000 rewards at once"):
        evaluate([endless], PURCHASE, Facts())
