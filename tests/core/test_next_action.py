"""The one thing to do next: by a table, and never one whose figures don't hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.next_action import (
    Action,
    ActionKind,
    Affordable,
    Ahead,
    Dying,
    Open,
    Past,
    Said,
    next_action,
    usual_gap,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
UNHAPPY = Said("Your stay", 4, NOW - 5 * DAY)
GLAD = Said("Your stay", 10, NOW - 5 * DAY)
#: Here every ten days, and 21 days ago: more than twice that.
AWAY = [NOW - n * DAY for n in (21, 31, 41)]
DYING = Dying(30, "Anchors", NOW + 3 * DAY)
OFFER = Open("200 when you come back", NOW + 7 * DAY)
NEAR = Ahead("Regular", 200, 1000, "Anchors")
COFFEE = Affordable("Coffee", 150, "Anchors")
ALL = Past(NOW, UNHAPPY, GLAD, AWAY, [DYING], [OFFER], [NEAR], [COFFEE])


TABLE: list[tuple[str, Past, Action]] = [
    (
        "everything at once",
        ALL,
        Action(
            ActionKind.ASK_WHY,
            "answered 4 to 'Your stay' on 2026-11-17, and nobody spoke with the member since",
            (("score", 4), ("days since", 5)),
        ),
    ),
    (
        "spoken with",
        replace(ALL, unhappy=None),
        Action(
            ActionKind.WIN_BACK,
            "usually comes every 10 days, and was last here 21 days ago",
            (("usual days", 10), ("days away", 21)),
        ),
    ),
    (
        "exactly twice as long isn't longer",
        replace(ALL, unhappy=None, visits=[at + DAY for at in AWAY]),
        Action(
            ActionKind.EXPIRING,
            "30 Anchors expire on 2026-11-25",
            (("points", 30), ("days left", 3)),
        ),
    ),
    (
        "two visits are no habit",
        replace(ALL, unhappy=None, visits=AWAY[:2], dying=[replace(DYING, at=NOW + 31 * DAY)]),
        Action(
            ActionKind.OFFER,
            "'200 when you come back' is on offer until 2026-11-29, and wasn't used yet",
            (("days left", 7),),
        ),
    ),
    (
        "an offer that is over",
        Past(NOW, None, GLAD, [], [], [replace(OFFER, until=NOW)], [NEAR], [COFFEE]),
        Action(
            ActionKind.TIER,
            "200 Anchors more of 1000 make Regular",
            (("missing", 200), ("needed", 1000)),
        ),
    ),
    (
        "a tier that isn't near",
        Past(NOW, None, GLAD, tiers=[replace(NEAR, missing=201)], rewards=[COFFEE]),
        Action(ActionKind.REWARD, "has the 150 Anchors for 'Coffee'", (("points", 150),)),
    ),
    (
        "glad",
        Past(NOW, None, GLAD),
        Action(
            ActionKind.THANK,
            "answered 10 to 'Your stay' on 2026-11-17",
            (("score", 10), ("days since", 5)),
        ),
    ),
    (
        "glad long ago",
        Past(NOW, None, replace(GLAD, at=NOW - 31 * DAY)),
        Action(ActionKind.NOTHING, "nothing presses"),
    ),
    (
        "an offer without an end comes after one with one",
        Past(NOW, offers=[Open("A"), Open("B", NOW + DAY)]),
        Action(
            ActionKind.OFFER,
            "'B' is on offer until 2026-11-23, and wasn't used yet",
            (("days left", 1),),
        ),
    ),
]


@pytest.mark.parametrize(("past", "wanted"), [x[1:] for x in TABLE], ids=[x[0] for x in TABLE])
def test_by_the_table(past: Past, wanted: Action) -> None:
    assert next_action(past) == wanted


def test_every_kind_is_in_the_table() -> None:
    assert {wanted.kind for _, _, wanted in TABLE} == set(ActionKind)


def test_who_comes_twice_a_day_is_not_away_by_the_evening() -> None:
    visits = [NOW - timedelta(hours=n) for n in (5, 6, 7)]
    assert usual_gap(visits) == DAY
    assert next_action(Past(NOW, visits=visits)).kind is ActionKind.NOTHING


def holds(past: Past, action: Action) -> bool:
    """Whether the figures of an action are so: worked out anew, by its kind alone."""
    figures, now = dict(action.figures), past.now
    match action.kind:
        case ActionKind.ASK_WHY:
            said = past.unhappy
            return said is not None and figures == {
                "score": said.score, "days since": (now - said.at).days,
            }  # fmt: skip
        case ActionKind.WIN_BACK:
            away = (now - max(past.visits)).days
            return (
                len(past.visits) >= 3 and away == figures["days away"] >= 2 * figures["usual days"]
            )
        case ActionKind.EXPIRING:
            return 0 <= figures["days left"] <= 30 and any(
                d.points == figures["points"] and (d.at - now).days == figures["days left"]
                for d in past.dying
            )
        case ActionKind.OFFER:
            left = figures.get("days left")
            return any(
                (o.until is None) if left is None
                else o.until is not None and o.until > now and (o.until - now).days == left
                for o in past.offers
            )  # fmt: skip
        case ActionKind.TIER:
            missing, needed = figures["missing"], figures["needed"]
            return 0 < missing <= needed / 5 and any(
                (t.missing, t.at) == (missing, needed) for t in past.tiers
            )
        case ActionKind.REWARD:
            return any(r.points == figures["points"] for r in past.rewards)
        case ActionKind.THANK:
            said = past.glad
            return (
                said is not None and figures["days since"] <= 30 and said.score == figures["score"]
            )
    return not figures


_at = st.integers(-60 * 24, 60 * 24).map(lambda hours: NOW + timedelta(hours=hours))
_before = st.integers(0, 90 * 24).map(lambda hours: NOW - timedelta(hours=hours))
_said = st.none() | st.builds(Said, st.just("S"), st.integers(0, 10), _before)
_points = st.integers(1, 10**15)
_pasts = st.builds(
    Past,
    st.just(NOW),
    _said,
    _said,
    st.lists(_before, max_size=6),
    st.lists(st.builds(Dying, _points, st.just("P"), _at), max_size=3),
    st.lists(st.builds(Open, st.sampled_from("abc"), st.none() | _at), max_size=3),
    st.lists(
        st.builds(Ahead, st.just("t"), st.integers(-5, 300), st.integers(1, 1000), st.just("P")),
        max_size=3,
    ),
    st.lists(st.builds(Affordable, st.sampled_from("abc"), _points, st.just("P")), max_size=3),
)


@given(_pasts)
def test_never_an_action_whose_figures_do_not_hold(past: Past) -> None:
    action = next_action(past)
    assert holds(past, action)
    # The order of what is known makes no difference.
    turned = replace(
        past, visits=past.visits[::-1], dying=past.dying[::-1], offers=past.offers[::-1],
        tiers=past.tiers[::-1], rewards=past.rewards[::-1],
    )  # fmt: skip
    assert next_action(turned) == action
    # The control: the same figures, each one off, don't.
    if action.figures:
        off = replace(action, figures=tuple((name, n + 10**16) for name, n in action.figures))
        assert not holds(past, off)
