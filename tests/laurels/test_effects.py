"""Effects beside points, as the evaluator takes them: vetoes, notes, offers, thanks, runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from laurels import (
    Activity,
    Award,
    DeclarationError,
    Effects,
    Facts,
    Noted,
    Nothing,
    PointsPerVisit,
    Purchase,
    Refused,
    RuleError,
    SetAttribute,
    award,
    deny,
    earn_rule,
    enter_segment,
    evaluate,
    issue,
    leave_segment,
    multiply,
    nothing,
    offer,
    offered,
    on,
    set_attribute,
    thank_referrer,
)
from laurels.effects import Deny
from laurels.lasting import trigger_of
from laurels.noting import MOST_NOTED
from laurels.testing import NOW, purchase

BREAD = purchase(("bread", "8.40"))
REVIEW = Activity.of("club", "A-1", NOW, "review", {"stars": 5})
VISIT = PointsPerVisit("POINT", 5, code="visit", title="Five a visit")


def rule(effects: Effects, code: str = "r", **more: Any) -> Any:
    @earn_rule(code, code.upper(), **more)
    def made(bought: Purchase, facts: Facts) -> Effects:
        return effects

    return made


@pytest.mark.parametrize(
    ("effect", "is_"),
    [
        (set_attribute("vip", "gold"), SetAttribute("vip", "gold", None)),
        (set_attribute("vip", None), SetAttribute("vip", None, None)),
        (enter_segment("vip", lasts="7D"), SetAttribute("segment:vip", "yes", "7D")),
        (leave_segment("vip"), SetAttribute("segment:vip", None, None)),
        (offer("double", lasts="24h"), SetAttribute("offer:double", "yes", "24h")),
    ],
)
def test_each_says_what_it_does(effect: SetAttribute, is_: SetAttribute) -> None:
    assert effect == is_
    assert evaluate([rule(effect)], BREAD, Facts()).noted == (Noted(0, *_fields(is_)),)


def _fields(effect: SetAttribute) -> tuple[str, str | None, str | None]:
    return effect.name, effect.value, effect.lasts


@pytest.mark.parametrize(
    "make",
    [
        lambda: set_attribute("segment:vip", "yes"),
        lambda: set_attribute("a b", "yes"),
        lambda: set_attribute("a", ""),
        lambda: set_attribute("a", "x" * 101),
        lambda: set_attribute("a", 1),  # type: ignore[arg-type]  # what a brand may write
        lambda: set_attribute("a", "b", lasts="soon"),
        lambda: enter_segment("a b"),
        lambda: offer(""),
    ],
)
def test_what_cant_be_stored_is_refused_when_it_is_made(make: Callable[[], object]) -> None:
    with pytest.raises(DeclarationError):
        make()


@pytest.mark.parametrize(
    ("effects", "words"),
    [
        (SetAttribute("a b", "c"), "noted what it may not: attribute 'a b'"),
        (SetAttribute("other:x", "c"), "noted what it may not"),
        (SetAttribute(None, "c"), "noted what it may not"),  # type: ignore[arg-type]  # as above
        (Deny(""), "denied without a reason that is text"),
        (Deny(1), "denied without a reason that is text"),  # type: ignore[arg-type]  # as above
        (Nothing("", counts=True), "counts as one of a run, and has none"),
        (Award("POINT", 1, counts=True), "counts as one of a run, and has none"),
        ([set_attribute(f"a{n}", "b") for n in range(MOST_NOTED + 1)], "noted more than 50 things"),
        (["a text"], "returned str, which is no effect"),
    ],
)
def test_what_no_rule_may_answer_names_the_rule(effects: Any, words: str) -> None:
    with pytest.raises(RuleError, match=words) as caught:
        evaluate([VISIT, rule(effects)], BREAD, Facts())
    assert caught.value.rule == "r"


def test_rules_judge_what_they_name_alone() -> None:
    rules = [
        VISIT,
        on("review", PointsPerVisit("POINT", 9, code="review")),
        rule(award("POINT", 1)),
    ]
    assert [trigger_of(r) for r in rules] == ["purchase", "review", "purchase"]
    assert [(g.rule, g.points) for g in evaluate(rules, BREAD, Facts()).granted] == [(0, 5), (2, 1)]
    told = evaluate(rules, REVIEW, Facts())
    assert [(g.rule, g.points) for g in told.granted] == [(1, 9)]
    assert told.refused == ()  # what doesn't judge it says nothing


def test_what_is_offered_is_for_those_to_whom_it_was() -> None:
    rules = [offered(VISIT)]
    assert evaluate(rules, BREAD, Facts()).refused == (
        Refused(0, "it is for those to whom it was offered"),
    )
    facts = Facts(attributes={"offer:visit": "yes", "segment:a": "yes", "b": "c"})
    assert (facts.offers, facts.segments) == (frozenset({"visit"}), frozenset({"a"}))
    assert evaluate(rules, BREAD, facts).points("POINT") == 5


def test_a_veto_leaves_nothing_to_the_others() -> None:
    rules = [
        VISIT, rule([award("POINT", 3, ), issue("coffee"), enter_segment("a")], "rich"),
        rule(multiply("POINT", 2), "double"), rule(thank_referrer(), "thanks"),
        rule([deny("no points on staff cards"), set_attribute("staff", "yes")], "veto"),
        rule(nothing("not today"), "shy"),
    ]  # fmt: skip
    found = evaluate(rules, BREAD, Facts())
    assert (found.granted, found.issued, found.thanks, found.carried) == ((), (), (), {})
    assert found.noted == (Noted(4, "staff", "yes", None),)
    why = "VETO: no points on staff cards"
    assert set(found.refused) == {
        Refused(5, "not today"), *(Refused(n, why) for n in range(4)),
        Refused(4, "no points on staff cards"),
    }  # fmt: skip
    # The control: without the veto all of it stands.
    del rules[4]
    found = evaluate(rules, BREAD, Facts())
    assert found.points("POINT") == 16
    assert [len(x) for x in (found.issued, found.thanks, found.noted)] == [1, 1, 1]


def test_one_rules_facts_cant_change_anothers() -> None:
    facts = Facts(attributes={"a": "b"})
    with pytest.raises(TypeError):
        facts.attributes["a"] = "c"  # type: ignore[index]  # what must not go
