"""The demo's people: the same for the same seed, told in halves as in one go, and believable."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

from app.lives import Day, Visit, lives
from app.pastimes import Answer, Colleague, Membership, Review, Seat, Step, Thanks, Walk
from app.population import NAMED, Temper, population

BEGAN, END = date(2024, 3, 1), date(2026, 3, 1)
ZONE = ZoneInfo("Europe/Istanbul")
SEED = 11


def _days(until: date = END, seed: int = SEED, size: int = 400) -> dict[date, Day]:
    return lives(population(size, seed), seed, BEGAN, until, ZONE)


def _visits(days: dict[date, Day]) -> list[Visit]:
    return list(chain.from_iterable(day.visits for day in days.values()))


def test_the_same_seed_gives_the_same_days_and_another_one_others() -> None:
    assert _days() == _days()
    assert _days(seed=SEED + 1) != _days()


def test_a_life_told_in_halves_is_the_life_told_in_one_go() -> None:
    whole, middle = _days(), date(2025, 1, 15)
    half = _days(middle)
    assert half == {day: acts for day, acts in whole.items() if day < middle}
    # The control: were a die cast once more, they would differ.
    first = next(day for day in sorted(half) if half[day].visits)
    half[first].visits[0] = replace(half[first].visits[0], external_id="another")
    assert half != {day: acts for day, acts in whole.items() if day < middle}


def test_a_larger_population_begins_with_the_smaller_one() -> None:
    small, large = population(50, SEED), population(200, SEED)
    assert large[:50] == small
    assert [(p.name, p.email, p.card) for p in small[:3]] == list(NAMED)
    assert len({p.card for p in large}) == len({p.email for p in large}) == 200


def test_nobody_acts_before_joining_or_after_leaving() -> None:
    days = _days()
    joined = {p.card: day for day, acts in days.items() for p in acts.joins}
    assert len(joined) == 400
    for day, acts in days.items():
        for person in [x.person for x in acts.visits] + [x.person for x in acts.looks]:
            assert joined[person.card] <= day
            assert person.leaves is None or day < BEGAN + timedelta(days=person.leaves)
        assert all(visit.at.date() == day for visit in acts.visits)
        assert all(back.visit.at.date() < day for back in acts.backs)


def test_each_receipt_has_a_number_of_its_own_at_its_partner() -> None:
    visits = _visits(_days())
    assert len({(v.partner, v.external_id) for v in visits}) == len(visits) > 5_000


def test_habits_show_in_what_people_do() -> None:
    """Keen customers come more often than rare ones, and all kinds of acts are there."""
    days, people = _days(), population(400, SEED)
    tempers = Counter(p.temper for p in people)
    assert set(tempers) == set(Temper)
    assert tempers[Temper.STEADY] > tempers[Temper.RARE] > tempers[Temper.KEEN]
    came = Counter(v.person.temper for v in _visits(days))
    each = {t: came[t] / tempers[t] for t in Temper}
    assert each[Temper.KEEN] > 2 * each[Temper.STEADY] > 4 * each[Temper.RARE]
    visits = _visits(days)
    assert {True, False} == {v.twice for v in visits} == {v.forged for v in visits}
    backs = [back for acts in days.values() for back in acts.backs]
    assert {back.line is None for back in backs} == {True, False}
    assert {b.visit.person.temper for b in backs if b.line is None} == {Temper.SLY}
    assert any(p.referred_by for p in people)


def test_all_pastimes_are_had_by_those_whose_they_are() -> None:
    days = _days()
    had = [pastime for acts in days.values() for pastime in acts.pastimes]
    assert {type(x) for x in had} == {
        Answer, Membership, Review, Walk, Seat, Colleague, Thanks,
    }  # fmt: skip
    assert {x.step for x in had if isinstance(x, Membership)} == set(Step)
    assert {x.arrives for x in had if isinstance(x, Seat)} == {True, False}
    thanks = [x for x in had if isinstance(x, Thanks)]
    assert all(x.person.team and x.to.team and x.person is not x.to for x in thanks)
    # Who arrives has registered before.
    seats = [(x.person.card, x.walk, x.arrives) for x in had if isinstance(x, Seat)]
    assert len(seats) == len(set(seats))
    assert {x[:2] for x in seats if x[2]} <= {x[:2] for x in seats if not x[2]}
    # A membership begins with its trial, and ends once.
    for card in {x.person.card for x in had if isinstance(x, Membership)}:
        steps = [
            x.step for day in sorted(days) for x in days[day].pastimes
            if isinstance(x, Membership) and x.person.card == card
        ]  # fmt: skip
        assert steps[0] is Step.TRIAL
        assert Step.TRIAL not in steps[1:]
        assert Step.CANCELLED not in steps[:-1]
