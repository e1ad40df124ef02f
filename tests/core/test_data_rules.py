"""Rules as data: what each effect gives on which line, and what no rule may say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.data_rules import parse, rule_of
from core.errors import BadInput
from laurels import Facts, Purchase
from laurels.evaluation import Evaluation
from laurels.evaluator import evaluate
from laurels.lasting import held_back, reevaluates
from laurels.purchase import Line

AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
TEA, WINE, GIFT = Line("TEA", 1050, 2000), Line("WINE", 4900, 1000), Line("GIFT CARD", 5000, 2000)


def bought(*lines: Line, currency: str = "USD") -> Purchase:
    """A purchase of these."""
    return Purchase("grocer", "R1", AT, currency, lines)


def judged(purchase: Purchase, *rules: dict[str, Any], facts: Facts | None = None) -> Evaluation:
    """What these data rules make of it, each under a code of its own."""
    made = [
        rule_of(parse({"code": f"r{n}", "title": f"Rule {n}", **rule}))
        for n, rule in enumerate(rules)
    ]
    return evaluate(made, purchase, facts or Facts())


def stars(points: int, **more: Any) -> dict[str, Any]:
    """An award of stars."""
    return {"award": {"currency": "STAR", "points": points, **more}}


GIVES: dict[str, tuple[dict[str, Any], list[int]]] = {
    # Of 10.50 for tea, 49.00 for wine and 50.00 for gift cards, each by its share.
    "once": (stars(50), [5, 22, 23]),
    "once, on what counts": (stars(50, ) | {"lines": "line.type == 'TEA'"}, [50, 0, 0]),
    "by money, in proportion": (stars(1, per="1.00 USD", whole_steps=False), [10, 49, 50]),
    "by money, in whole steps": (stars(3, per="10.00 USD"), [3, 13, 14]),
    "by money of what counts": (
        stars(1, per="1.00 USD") | {"lines": "line.type != 'GIFT CARD'"}, [10, 49, 0]
    ),
    "by units": (stars(5, each_unit=True), [10, 5, 10]),
    "by units of what counts": (
        stars(5, each_unit=True) | {"lines": "line.amount < 20.0"}, [10, 0, 0]
    ),
    "no more than": (stars(5, each_unit=True, at_most=12), [5, 2, 5]),
}  # fmt: skip


@pytest.mark.parametrize("name", GIVES)
def test_each_effect_gives_what_it_says_line_by_line(name: str) -> None:
    rule, lines = GIVES[name]
    (granted,) = judged(bought(TEA, WINE, GIFT), rule).granted
    assert (list(granted.lines), granted.points) == (lines, sum(lines))
    assert granted.wanted == (25 if name == "no more than" else None)


NOTHING: dict[str, tuple[dict[str, Any], str]] = {
    "what didn't hold": (
        {"when": "true && purchase.total >= 50.0", **stars(5)}, "purchase.total >= 50.0"
    ),
    "in its author's words": (
        {"when": "false", "otherwise": "Come back on Monday", **stars(5)}, "Come back on Monday"
    ),
    "no line counts": (
        {"lines": "line.type == 'WINE'", **stars(5)}, "no line is one: line.type == 'WINE'"
    ),
    "too little for a point": (stars(1, per="20.00 USD"), "nothing here earns a whole point"),
    "other money": (stars(1, per="1.00 EUR"), "earns on EUR, this is USD"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING)
def test_what_gives_nothing_says_why(name: str) -> None:
    rule, because = NOTHING[name]
    found = judged(bought(TEA), rule)
    assert found.granted == ()
    assert [x.because for x in found.refused] == [because]


def test_a_factor_multiplies_what_plugins_and_data_rules_give_and_says_when_not() -> None:
    """Square: 4 x 1.5 gives 6."""
    double = {
        "when": "has(member.tiers.club) && member.tiers.club == 'gold'",
        "multiply": {"currency": "STAR", "factor": "1.5"},
    }
    gold = Facts(0, {"club": "gold"})
    found = judged(bought(TEA), stars(4), double, facts=gold)
    assert [(g.points, g.base) for g in found.granted] == [(4, None), (2, 4)]
    found = judged(bought(TEA), stars(4), double)
    assert found.points("STAR") == 4
    assert found.refused[0].because == "has(member.tiers.club)"


def test_of_a_group_one_gives() -> None:
    """The better of two for tea, and the visit's besides."""
    group = {"group": {"code": "tea", "mode": "highest"}}
    rules = (stars(3), stars(5) | group, stars(1, per="1.00 USD") | group)
    found = judged(bought(TEA), *rules)
    assert [(g.rule, g.points) for g in found.granted] == [(0, 3), (2, 10)]
    assert found.refused[0].because == "'Rule 2' gave instead"


def test_free_lines_get_their_share_where_nothing_else_counts() -> None:
    free = Line("TEA", 0, 1000)
    (granted,) = judged(
        bought(free, free, Line("X", 100)), stars(5) | {"lines": "line.amount == 0.0"}
    ).granted
    assert list(granted.lines) == [3, 2, 0]


def test_a_rule_may_hold_its_points_back_and_be_judged_again() -> None:
    rule = rule_of(
        parse({"code": "a", "title": "A", "pending": "14D", "reevaluated": True, **stars(1)})
    )
    assert str(held_back(rule)) == "14D"
    assert reevaluates(rule)
    assert rule.terms["pending"] == "14D"
    plain = rule_of(parse({"code": "a", "title": "A", **stars(1)}))
    assert (held_back(plain), reevaluates(plain)) == (None, False)
    assert plain.terms["kind"] == "DataRule"


WRONG: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({}, (), "a rule has an effect"),
    ({**stars(1), "multiply": {"currency": "STAR", "factor": "2"}}, (), "a rule has an effect"),
    ({**stars(0)}, ("award", "points"), "greater than or equal to 1"),
    ({**stars(1, per="1.00 USD", each_unit=True)}, ("award",), "for money or for units"),
    ({**stars(1, per="0.00 USD")}, ("award", "per"), "above zero"),
    ({**stars(1, per="a lot")}, ("award", "per"), "ISO 4217"),
    ({**stars(1, at_most=0)}, ("award", "at_most"), "greater than or equal to 1"),
    ({"multiply": {"currency": "STAR", "factor": "0.5"}}, ("multiply", "factor"), "factor"),
    ({"multiply": {"currency": "STAR", "factor": "2"}, "lines": "true"}, (), "the whole receipt"),
    ({**stars(1), "when": "purchase.total"}, ("when",), "a condition is true or false"),
    ({**stars(1), "lines": "purchase.nope"}, ("lines",), "undeclared reference"),
    ({**stars(1), "code": "Not a code!"}, ("code",), "code"),
    ({**stars(1), "title": ""}, ("title",), "title"),
    ({**stars(1), "group": {"code": "g", "mode": "most"}}, ("group", "mode"), "'highest'"),
    (
        {"multiply": {"currency": "STAR", "factor": "2"}, "group": {"code": "g"}},
        (),
        "whole receipt",
    ),
    ({**stars(1), "pending": "soon"}, ("pending",), "soon"),
    ({**stars(1), "surprise": 1}, ("surprise",), "not permitted"),
    ({**stars(1), "otherwise": "x" * 301}, ("otherwise",), "at most 300"),
]


@pytest.mark.parametrize(("given", "path", "message"), WRONG)
def test_what_no_rule_may_say_is_told_by_its_field(
    given: dict[str, Any], path: tuple[str, ...], message: str
) -> None:
    with pytest.raises(BadInput) as refused:
        parse({"code": "a", "title": "A", **given})
    assert refused.value.path == path
    assert message in refused.value.message
