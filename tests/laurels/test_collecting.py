"""Collections: points once for a set of distinct things; what is missing is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from laurels import Activity, Collection, DeclarationError, Facts, evaluate, on
from laurels.collecting import collection_of, things_of
from laurels.earning import in_the_box
from laurels.lasting import trigger_of

AT = datetime(2026, 5, 2, 9, tzinfo=UTC)
WALKS = Collection("STEP", 300, of=["ridge", "coast", "lake"], code="walks")


def attended(meetup: str, *tags: str, kind: str = "attended") -> Activity:
    """Somebody was there."""
    told: dict[str, Any] = {"meetup": meetup, **{f"tag-{tag}": True for tag in tags}}
    return Activity.of("outdoors", f"A-{meetup}", AT, kind, told)


def judged(activity: Activity, *noted: str) -> tuple[int, str, list[str]]:
    """Points, why there are none, and what is noted; `noted` is what was before."""
    told = evaluate([WALKS], activity, Facts(attributes=dict.fromkeys(noted, "yes")))
    because = "".join(x.because for x in told.refused)
    return told.points("STEP"), because, sorted(x.name for x in told.noted)


def test_it_judges_attending_and_is_of_the_box() -> None:
    assert trigger_of(WALKS) == "attended"
    assert trigger_of(on("visit", WALKS)) == "visit"
    assert in_the_box(WALKS)
    assert collection_of(on("visit", WALKS)) is WALKS


def test_the_points_come_with_the_last_thing_and_never_again() -> None:
    assert judged(attended("ridge")) == (0, "1 of 3, missing: coast, lake", ["set:walks:ridge"])
    had = ["set:walks:ridge"]
    # The same again is no other thing.
    assert judged(attended("ridge"), *had)[:2] == (0, "1 of 3, missing: coast, lake")
    assert judged(attended("m-2", "coast"), *had)[:2] == (0, "2 of 3, missing: lake")
    had.append("set:walks:coast")
    last = ["set:walks", "set:walks:lake"]
    assert judged(attended("m-3", "lake", "other"), *had) == (300, "", last)
    had += last
    assert judged(attended("lake"), *had) == (0, "the collection is complete already", [])
    # Of one withdrawn since: it is missing, and its points aren't given twice.
    had.remove("set:walks:ridge")
    assert judged(attended("ridge"), *had) == (0, "the collection is complete already", [])


def test_several_things_may_come_at_once_and_what_came_late_counts_from_the_next_one_on() -> None:
    assert judged(attended("m", "ridge", "coast", "lake"))[0] == 300
    all_three = ["set:walks:ridge", "set:walks:coast", "set:walks:lake"]
    assert judged(attended("ridge"), *all_three)[0] == 300


def test_what_is_of_nothing_in_it_counts_for_nothing() -> None:
    assert judged(attended("beach")) == (0, "it isn't one of the collection", [])
    assert judged(attended("ridge", kind="visit")) == (0, "", [])  # not judged at all
    # A tag is true; a text of that name, or false, is none.
    odd = Activity.of("outdoors", "A", AT, "attended", {"tag-ridge": "yes", "tag-lake": False})
    assert things_of(odd) == frozenset()
    assert things_of(attended("m", "a", "b")) == {"m", "a", "b"}


def test_the_same_named_under_another_rule_is_another_collection() -> None:
    assert judged(attended("lake"), "set:other:ridge", "set:other:coast", "set:other")[:2] == (
        0,
        "1 of 3, missing: ridge, coast",
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"of": ["one"]}, "from 2 to 40 things"),
        ({"of": ["one", "one"]}, "each once"),
        ({"of": [f"t{n}" for n in range(41)]}, "from 2 to 40 things"),
        ({"of": ["one", "t w o"]}, "of"),
        ({"of": ["one", "x" * 64], "code": "c" * 16}, "at most 80 characters"),
        ({"of": ["one", "two"], "points": 0}, "points"),
        ({"of": ["one", "two"], "title": ""}, "title"),
    ],
)
def test_what_is_declared_wrong_is_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said):
        Collection("STEP", **{"points": 5, **given})


def test_its_terms_tell_one_version_from_the_next() -> None:
    assert Collection("STEP", 300, of=["ridge", "coast", "lake"], code="walks") == WALKS
    assert Collection("STEP", 300, of=["ridge", "coast"], code="walks") != WALKS
    assert dict(WALKS.terms) == {
        "kind": "Collection", "currency": "STEP", "points": 300,
        "of": ("ridge", "coast", "lake"), "on": "attended",
    }  # fmt: skip
