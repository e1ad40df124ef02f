"""How far it is, held against another formula; when a code is good, and when check-in is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import acos, cos, pi, radians, sin, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.attending import is_open
from core.check_in_codes import CheckInCodes
from core.errors import BadInput
from core.places import EARTH, Point, check_point, metres_between
from core.signing import Secrets
from core.store.meetups import MeetupRow

TICK = timedelta(microseconds=1)
POINTS = st.builds(Point, st.floats(-90, 90), st.floats(-180, 180))
FIRST = datetime(1970, 1, 2, tzinfo=UTC)
INSTANTS = st.integers(0, 7 * 10**15).map(lambda n: FIRST + n * TICK)
NAME = "AbCdEfGhIjKlMnOpQrStUv"
CODES = CheckInCodes(Secrets("the secret in force, long enough", ("the one before, long enough",)))


def by_vectors(a: Point, b: Point) -> float:
    """The angle between two vectors from the earth's middle: another way to the same metres."""

    def vector(p: Point) -> tuple[float, float, float]:
        north, east = radians(p.latitude), radians(p.longitude)
        return cos(north) * cos(east), cos(north) * sin(east), sin(north)

    x, y = vector(a), vector(b)
    chord = sqrt(sum((m - n) ** 2 for m, n in zip(x, y, strict=True)))
    # Close by the chord is exact, far away the angle is.
    angle = acos(max(-1.0, min(1.0, sum(m * n for m, n in zip(x, y, strict=True)))))
    return EARTH * (angle if chord > 1 else 2 * _asin(chord / 2))


def _asin(x: float) -> float:
    return pi / 2 - acos(x)


@given(POINTS, POINTS)
def test_the_way_is_the_same_by_another_formula(a: Point, b: Point) -> None:
    assert metres_between(a, b) == pytest.approx(by_vectors(a, b), rel=1e-6, abs=0.5)


@given(POINTS, POINTS, POINTS)
def test_the_way_is_a_distance(a: Point, b: Point, c: Point) -> None:
    assert metres_between(a, a) == 0
    assert metres_between(a, b) == pytest.approx(metres_between(b, a), rel=1e-12, abs=1e-6)
    assert 0 <= metres_between(a, b) <= pi * EARTH * (1 + 1e-12)
    assert metres_between(a, c) <= metres_between(a, b) + metres_between(b, c) + 0.5


def test_the_oracle_would_see_a_wrong_formula() -> None:
    """One that takes a degree of longitude for as long as one of latitude, everywhere."""
    a, b = Point(60, 10), Point(60, 11)
    flat = EARTH * radians(1)
    assert metres_between(a, b) == pytest.approx(flat / 2, rel=1e-3)
    assert abs(flat - by_vectors(a, b)) > 50_000


@pytest.mark.parametrize(
    ("a", "b", "metres"),
    [
        (Point(0, 0), Point(0, 180), pi * EARTH),
        (Point(90, 0), Point(-90, 123), pi * EARTH),
        (Point(0, 179.999), Point(0, -179.999), EARTH * radians(0.002)),  # over the date line
        (Point(90, 10), Point(90, -70), 0),  # the pole is one point
        (Point(40, -105), Point(41, -105), EARTH * radians(1)),
    ],
)
def test_ways_that_are_known(a: Point, b: Point, metres: float) -> None:
    assert metres_between(a, b) == pytest.approx(metres, abs=1e-3)


@pytest.mark.parametrize(
    ("latitude", "longitude", "named"),
    [
        (90.0001, 0.0, "latitude"),
        (float("nan"), 0.0, "latitude"),
        (0.0, float("inf"), "longitude"),
        (0.0, -180.5, "longitude"),
    ],
)
def test_what_is_no_point_is_named(latitude: float, longitude: float, named: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_point(latitude, longitude, "place")
    assert refused.value.path == ("place", named)


def meetup(opens: datetime, starts: datetime, ends: datetime) -> MeetupRow:
    """One of these times."""
    return MeetupRow(
        1, 1, "m", "M", "P", 0, 0, 1, starts, ends, opens, None, None, None, None, [], b"", opens
    )


@given(INSTANTS, st.integers(0, 10**10), st.integers(1, 10**10))
def test_check_in_opens_with_its_instant_and_ends_before_its_end(
    opens: datetime, early: int, long: int
) -> None:
    starts = opens + early * TICK
    found = meetup(opens, starts, starts + long * TICK)
    assert is_open(found, found.opens_at)
    assert not is_open(found, found.opens_at - TICK)
    assert is_open(found, found.ends_at - TICK)
    assert not is_open(found, found.ends_at)


@given(INSTANTS, st.integers(0, 200_000_000))
def test_a_code_is_good_until_its_instant_and_for_two_minutes_at_most(
    at: datetime, later: int
) -> None:
    shown = CODES.make(7, NAME, at)
    scanned = CODES.read(shown.text)
    assert scanned is not None
    assert (scanned.meetup, scanned.name) == (7, NAME)
    assert timedelta(minutes=1) < shown.until - at <= timedelta(minutes=2)
    then = at + later * TICK
    assert scanned.fresh(then) == (then < shown.until)
    assert not scanned.fresh(at - timedelta(minutes=1))  # nor before it was made
    # Made anew in the same minute it is the same, in the next another.
    assert CODES.make(7, NAME, shown.until - TICK).text != shown.text


@given(st.data())
def test_a_code_with_one_letter_changed_is_none(data: st.DataObject) -> None:
    text = CODES.make(7, NAME, datetime(2026, 5, 1, tzinfo=UTC)).text
    assert CODES.read(text) is not None
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("A0z9-_.").filter(lambda x: x != text[place]))
    changed = text[:place] + letter + text[place + 1 :]
    assert CODES.read(changed) is None
    assert CODES.read(text + letter) is None


@pytest.mark.parametrize("text", ["", "1.2.3.4", "x" * 10_000, "1.2." + "ü" * 22 + "." + "a" * 22])
def test_what_has_no_form_of_a_code_is_none(text: str) -> None:
    assert CODES.read(text) is None


def test_codes_outlive_a_new_secret_and_no_stranger_makes_one() -> None:
    at = datetime(2026, 5, 1, tzinfo=UTC)
    old = CheckInCodes(Secrets("the one before, long enough"))
    assert CODES.read(old.make(7, NAME, at).text) is not None
    assert CODES.make(7, NAME, at).text != old.make(7, NAME, at).text
    assert (
        CODES.read(CheckInCodes(Secrets("a stranger's, long enough")).make(7, NAME, at).text)
        is None
    )
