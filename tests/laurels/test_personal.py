"""What a history tells, what may be chosen, and how personal offers are declared."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from laurels import (
    Choice,
    DeclarationError,
    History,
    PersonalOffers,
    PointsPerVisit,
    Visit,
    offered,
)
from laurels.personal import Bought, checked_choices
from laurels.plugin.loading import load
from laurels.plugin.refusal import RefusalError
from tests.laurels.test_hookspecs import plugin

MONDAY = datetime(2026, 3, 16, 9, tzinfo=UTC)


def visit(day: int, spend: int = 100, currency: str = "EUR", **products: int) -> Visit:
    """A visit so many days after a Monday."""
    return Visit(MONDAY + timedelta(days=day), currency, spend, products)


HISTORY = History(
    MONDAY - timedelta(days=3),
    MONDAY + timedelta(days=20),
    (
        visit(0, cake=1000),
        visit(0, 250, cake=2000, tea=500),
        visit(3, 70, "USD", tea=1000),
        visit(7, bun=1000),
        visit(17, cake=1000),
    ),
)
NEVER = History(HISTORY.begins, HISTORY.ends)


def nobody(history: History) -> None:
    """Chooses nothing."""


def test_a_history_tells_what_was_bought_how_often_and_when() -> None:
    """Days of buying are 0, 3, 7, 17: the gaps 3, 4 and 10, of which 4 is usual."""
    assert (HISTORY.purchases, HISTORY.weeks, HISTORY.usual_gap) == (5, 3, 4)
    assert HISTORY.weekdays == (3, 0, 0, 2, 0, 0, 0)
    assert HISTORY.last == MONDAY + timedelta(days=17)
    assert str(HISTORY.spend("EUR")) == "5.50 EUR"
    assert HISTORY.spend("USD").minor == 70
    assert dict(HISTORY.products) == {
        "bun": Bought(1, 1000, MONDAY + timedelta(days=7)),
        "cake": Bought(3, 4000, MONDAY + timedelta(days=17)),
        "tea": Bought(2, 1500, MONDAY + timedelta(days=3)),
    }
    assert (HISTORY.together("cake", "tea"), HISTORY.together("cake", "bun")) == (1, 0)


def test_of_nothing_it_tells_nothing() -> None:
    assert (NEVER.purchases, NEVER.usual_gap, NEVER.last) == (0, None, None)
    assert NEVER.bought("cake") == Bought(0, 0, None)
    assert (dict(NEVER.products), NEVER.weekdays, NEVER.spend("EUR").minor) == ({}, (0,) * 7, 0)


def test_one_several_or_none_may_be_chosen() -> None:
    one = Choice("a", "because")
    assert checked_choices(None, ["a"]) == ()
    assert checked_choices(one, ["a"]) == (one,)
    assert checked_choices([one], ["a"]) == (one,)
    for wrong in ([one, one], [Choice("b", "x")], ["a"], "a", 7, [Choice("a", "x" * 301)]):
        with pytest.raises(DeclarationError, match="choose"):
            checked_choices(wrong, ["a"])
    many = [Choice(str(n), "x") for n in range(6)]
    with pytest.raises(DeclarationError, match="at most 5"):
        checked_choices(many, [c.rule for c in many])


def test_it_is_checked_when_it_is_made() -> None:
    made = PersonalOffers("weekly", nobody, control="2.5%", lasts="3D", span="12M")
    assert (made.share, str(made.lasting), str(made.looking_back)) == (
        Fraction(25, 1000),
        "3D",
        "12M",
    )
    wrong: list[dict[str, Any]] = [
        {"code": "no code"},
        {"choose": 7},
        {"choose": History},
        {"per": "7D"},
        {"per": None},
        {"control": "91%"},
        {"control": "10"},
        {"control": 10},
        {"lasts": "soon"},
        {"span": "8"},
        {"title": ""},
    ]
    for terms in wrong:
        with pytest.raises(DeclarationError, match="personal offers"):
            PersonalOffers(**{"code": "weekly", "choose": nobody, **terms})


def test_a_plugin_that_offers_has_something_to_offer() -> None:
    from laurels import Currency, Partner

    point = Currency("POINT", "Points")
    rule = PointsPerVisit(point, 1)
    offers = PersonalOffers("weekly", nobody)

    def made(*rules: Any, personal: Any = (offers,)) -> Any:
        partner = Partner("deli", "Deli", currencies=[point])
        return plugin(
            laurels_partner=lambda: partner,
            laurels_earn_rules=lambda: list(rules),
            laurels_personal_offers=lambda: list(personal),
        )

    assert load("deli", made(offered(rule))).personal == (offers,)
    refused: list[tuple[Any, str]] = [
        (made(rule), "none of its rules to offer"),
        (made(offered(rule), personal=(offers, offers)), "declared twice"),
        (made(offered(rule), personal=(nobody,)), "no PersonalOffers"),
        (made(offered(rule), personal=(PersonalOffers("a", lambda: None),)), "is called with"),  # type: ignore[misc,arg-type]
    ]
    for wrong, why in refused:
        with pytest.raises(RefusalError, match=why) as told:
            load("deli", wrong)
        assert told.value.hook == "laurels_personal_offers"
