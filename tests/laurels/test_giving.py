"""Giving, as it is declared: what is refused, in words that name the field."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from laurels import Cap, Currency, DeclarationError, Giving, Partner, Reward, hookimpl, testing

SPARK = Currency("SPARK", "Sparks", expires="1M_D")
GLOW = Currency("GLOW", "Glows")
BADGE = Currency("BADGE", "Badges", badge=True)


def test_what_it_says() -> None:
    values = {"care": "Care"}
    giving = Giving(SPARK, as_=GLOW, values=values, each=5, back=Cap(points=1, per="7D"))
    values["craft"] = "Craft"
    assert (giving.out, giving.into, dict(giving.values)) == ("SPARK", "GLOW", {"care": "Care"})
    assert (Giving("SPARK").into, Giving(SPARK, as_="GLOW").into) == ("SPARK", "GLOW")
    assert hash(giving) == hash(Giving(SPARK, as_=GLOW, each=5, back=Cap(points=1, per="7D")))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"gives": 5}, "giving: gives: "),
        ({"gives": BADGE}, "giving: gives: BADGE isn't to be spent"),
        ({"as_": "a b"}, "giving: as_: "),
        ({"values": ["care"]}, "giving: values: a mapping"),
        ({"values": {"a b": "Care"}}, "giving: values"),
        ({"values": {"care": ""}}, "giving: values: care"),
        ({"values": {f"v{n}": "V" for n in range(51)}}, "giving: values: at most 50"),
        ({"each": 0}, "giving: each"),
        ({"per_day": True}, "giving: per_day"),
        ({"to_one": 5}, "giving: to_one: a Cap of points in a period"),
        ({"to_one": Cap(times=1, per="7D")}, "giving: to_one: a Cap of points in a period"),
        ({"to_one": Cap(points=1)}, "giving: to_one: a Cap of points in a period"),
        ({"to_one": Cap(points=1, per="7D", shared="x")}, "giving: to_one: it is shared"),
        ({"to_one": Cap(points=1, per="7D", rejects=True)}, "giving: to_one: it is shared"),
        ({"back": Cap(points=1, per="calendar 1M")}, "giving: back: per: a length"),
        ({"wordless": 1}, "giving: wordless"),
        ({"team": ""}, "giving: team"),
    ],
)
def test_what_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DeclarationError, match=said.replace("(", r"\(")):
        Giving(**{"gives": SPARK, **wrong})


def plugin(giving: object, **more: Any) -> SimpleNamespace:
    """A company that declares this."""
    currencies = [SPARK, GLOW]
    partner = Partner("lantern", "Lantern", currencies=currencies, **more)

    @hookimpl
    def laurels_partner() -> Partner:
        return partner

    @hookimpl
    def laurels_giving() -> object:
        return giving

    return SimpleNamespace(laurels_partner=laurels_partner, laurels_giving=laurels_giving)


def test_a_plugin_declares_one_or_none() -> None:
    giving = Giving(SPARK, as_=GLOW)
    assert testing.brand(plugin(giving)).giving is giving
    assert testing.brand(plugin(None)).giving is None
    (told,) = testing.problems(plugin([giving]))
    assert told == "hook laurels_giving: returned list, where a Giving is wanted"


@pytest.mark.parametrize(
    ("giving", "said"),
    [
        (Giving("NONE", as_=GLOW), "what is given is in 'NONE'"),
        (Giving(SPARK, as_="LAUREL"), "what arrives is in 'LAUREL'"),
        (Giving("LAUREL"), "what arrives is in 'LAUREL'"),
    ],
)
def test_it_is_of_currencies_that_the_partner_has(giving: Giving, said: str) -> None:
    (told,) = testing.problems(plugin(giving, accepts=["LAUREL"]))
    assert said in told


def test_points_of_the_programme_are_not_passed_on_as_they_are() -> None:
    """They might be another's to pay for; given for something of its own, they are spent."""
    (told,) = testing.problems(plugin(Giving("LAUREL"), accepts=["LAUREL"], issues=["LAUREL"]))
    assert "isn't the partner's own" in told
    shared = {"accepts": ["LAUREL"], "issues": ["LAUREL"]}
    assert testing.problems(plugin(Giving("LAUREL", as_=GLOW), **shared)) == []


@pytest.mark.parametrize("span", ["32D", "5W", "2M", "x", "1Y", 5])
def test_a_person_hands_out_within_31_days(span: Any) -> None:
    with pytest.raises(DeclarationError, match="reward mug: fulfilled"):
        Reward("mug", "A mug", {GLOW: 5}, fulfilled=span)


@pytest.mark.parametrize("span", ["1h", "14D", "31D", "1M"])
def test_or_sooner(span: str) -> None:
    assert Reward("mug", "A mug", {GLOW: 5}, fulfilled=span).fulfilled == span


def test_nobody_hands_out_points() -> None:
    with pytest.raises(DeclarationError, match="nobody hands out points"):
        Reward("mug", "A mug", {GLOW: 5}, fulfilled="1D", gives={SPARK: 5})
