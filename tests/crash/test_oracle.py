"""The oracle's own eyes: a true story passes, and each way to falsify it is found and named."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.crash.acknowledgements import Acknowledgements, Act, Answer, Operation, logical
from tests.crash.oracle import (
    NOT_ELIGIBLE,
    BookedEvent,
    BookedRedemption,
    Books,
    Finding,
    Wrong,
    judge,
)
from tests.crash.rig import Figures, pick

Story = tuple[Acknowledgements, Books]


def told() -> Acknowledgements:
    """A purchase of 700 of which 60 come back, a bag for 100, three holds (confirmed, cancelled,
    open), one refusal.
    """
    found = Acknowledgements()

    def add(act: Act, name: str, target: str = "", *answers: Answer, unanswered: int = 0) -> None:
        operation = found.add(Operation(act, name, "1", target))
        for _ in range(unanswered):
            found.sending(operation)
            found.unanswered(operation)
        for answer in answers:
            found.sending(operation)
            found.answered(operation, answer, 1.0)

    bought = Answer("bought", (("LAUREL", 7), ("STAR", 700)))
    add(Act.PURCHASE, "grocer/R1", "", bought, bought, unanswered=2)
    back = Answer("back", (("STAR", -60),))
    add(Act.RETURN, "grocer/B1", "", back, back, unanswered=1)
    for number in range(1, 5):
        act = Act.REDEEM if number == 1 else Act.HOLD
        taken = Answer(f"taken {number}", (("STAR", -100),), number)
        add(act, f"take-{number}", "", taken, unanswered=number % 2)
    add(Act.CONFIRM, "settle-2", "take-2", Answer("confirmed", (("STAR", -100),), 2))
    add(Act.CANCEL, "settle-3", "take-3", Answer("cancelled", (("STAR", -100),), 3), unanswered=1)
    add(Act.REDEEM, "take-5")
    found.refused(found.operations["take-5"], NOT_ELIGIBLE)
    return found


def booked() -> Books:
    """What the books say of it."""

    def redemption(number: int, status: str, *events: str) -> BookedRedemption:
        return BookedRedemption(number, f"take-{number}", "1", "STAR", 100, status, events)

    return Books(
        [
            BookedEvent("grocer/R1", "1", (("LAUREL", 7), ("STAR", 700))),
            BookedEvent("grocer/B1", "1", (("STAR", -60),)),
        ],
        [
            redemption(1, "completed", "redemption"),
            redemption(2, "completed", "confirmation", "reservation"),
            redemption(3, "cancelled", "cancellation", "reservation"),
            redemption(4, "held", "reservation"),
        ],
        {("1", "STAR"): (340, 100), ("1", "LAUREL"): (7, 0)},
    )


def wrongs(findings: list[Finding]) -> set[tuple[Wrong, str]]:
    """What is wrong, and where."""
    return {(x.wrong, x.where) for x in findings}


def test_a_true_story_passes() -> None:
    assert judge(told(), booked(), whole=True) == []
    assert judge(told(), booked(), whole=False) == []


def test_what_got_no_answer_may_be_done_or_not_but_not_twice() -> None:
    story, books = told(), booked()
    ghost = story.add(Operation(Act.REDEEM, "take-6", "1"))
    story.sending(ghost)
    story.unanswered(ghost)
    found = BookedRedemption(6, "take-6", "1", "STAR", 50, "completed", ("redemption",))
    there = replace(
        books,
        redemptions=[*books.redemptions, found],
        balances={**books.balances, ("1", "STAR"): (290, 100)},
    )
    twice = replace(there, redemptions=[*there.redemptions, replace(found, number=7)])
    assert judge(story, books, whole=False) == []
    assert judge(story, there, whole=False) == []
    assert wrongs(judge(story, twice, whole=False)) == {(Wrong.DOUBLED, "take-6")}
    # At the end everything has an answer; a refusal, here, that came after the deed.
    assert wrongs(judge(story, there, whole=True)) == {(Wrong.UNSETTLED, "take-6")}
    story.refused(ghost, NOT_ELIGIBLE)
    assert judge(story, there, whole=True) == []
    assert judge(story, books, whole=True) == []
    ghost.unanswered = 0
    assert (Wrong.UNASKED, "take-6") in wrongs(judge(story, there, whole=True))


def lose_the_purchase(books: Books) -> Books:
    return replace(books, events=books.events[1:])


def lose_the_return(books: Books) -> Books:
    return replace(books, events=books.events[:1])


def take_back_twice(books: Books) -> Books:
    again = replace(books.events[1], name="grocer/B1~1")
    return replace(books, events=[*books.events, again])


def book_the_purchase_again(books: Books) -> Books:
    return replace(books, events=[*books.events, *books.events])


def book_the_retry_under_another_number(books: Books) -> Books:
    again = replace(books.events[0], name="grocer/R1~1")
    return replace(books, events=[*books.events, again])


def credit_twice(books: Books) -> Books:
    twice = replace(books.events[0], changes=(("LAUREL", 14), ("STAR", 1400)))
    return replace(books, events=[twice, *books.events[1:]])


def credit_another_member(books: Books) -> Books:
    return replace(books, events=[replace(books.events[0], card="2"), *books.events[1:]])


def book_what_nobody_bought(books: Books) -> Books:
    other = replace(books.events[0], name="grocer/R2")
    return replace(books, events=[*books.events, other])


def change(which: int, **values: object) -> Callable[[Books], Books]:
    def falsify(books: Books) -> Books:
        changed = [
            replace(x, **values) if x.number == which else x  # type: ignore[arg-type]
            for x in books.redemptions
        ]
        return replace(books, redemptions=changed)

    return falsify


def lose(number: int) -> Callable[[Books], Books]:
    def falsify(books: Books) -> Books:
        return replace(books, redemptions=[x for x in books.redemptions if x.number != number])

    return falsify


def redeem_again(books: Books) -> Books:
    again = replace(books.redemptions[0], number=9, key="take-1~1")
    return replace(books, redemptions=[*books.redemptions, again])


def redeem_without_a_key(books: Books) -> Books:
    other = replace(books.redemptions[0], number=9, key="")
    return replace(books, redemptions=[*books.redemptions, other])


def redeem_what_was_refused(books: Books) -> Books:
    other = replace(books.redemptions[0], number=9, key="take-5")
    return replace(books, redemptions=[*books.redemptions, other])


def let_a_balance_drift(books: Books) -> Books:
    return replace(books, balances={**books.balances, ("1", "STAR"): (341, 100)})


def forget_what_is_reserved(books: Books) -> Books:
    return replace(books, balances={**books.balances, ("1", "STAR"): (340, 0)})


def give_a_stranger_points(books: Books) -> Books:
    return replace(books, balances={**books.balances, ("2", "STAR"): (1, 0)})


HELD = ("reservation",)
FALSIFIED: list[tuple[Callable[[Books], Books], Wrong, str]] = [
    (lose_the_purchase, Wrong.LOST, "grocer/R1"),
    (lose_the_return, Wrong.LOST, "grocer/B1"),
    (take_back_twice, Wrong.DOUBLED, "grocer/B1"),
    (book_the_purchase_again, Wrong.DOUBLED, "grocer/R1"),
    (book_the_retry_under_another_number, Wrong.DOUBLED, "grocer/R1"),
    (credit_twice, Wrong.DIFFERENT, "grocer/R1"),
    (credit_another_member, Wrong.DIFFERENT, "grocer/R1"),
    (book_what_nobody_bought, Wrong.UNASKED, "grocer/R2"),
    (lose(1), Wrong.LOST, "take-1"),
    (lose(4), Wrong.LOST, "take-4"),
    (change(1, points=99), Wrong.DIFFERENT, "take-1"),
    (change(1, number=8), Wrong.DIFFERENT, "take-1"),
    (change(1, events=("redemption", "redemption")), Wrong.DIFFERENT, "take-1"),
    (change(2, status="held", events=HELD), Wrong.LOST, "settle-2"),
    (change(3, status="held", events=HELD), Wrong.LOST, "settle-3"),
    (change(3, status="completed"), Wrong.DIFFERENT, "settle-3"),
    (change(4, status="timed_out", events=("reservation", "time_out")), Wrong.DIFFERENT, "take-4"),
    (redeem_again, Wrong.DOUBLED, "take-1"),
    (redeem_without_a_key, Wrong.UNASKED, "redemption 9"),
    (redeem_what_was_refused, Wrong.UNASKED, "take-5"),
    (let_a_balance_drift, Wrong.BALANCE, "card 1, STAR"),
    (forget_what_is_reserved, Wrong.BALANCE, "card 1, STAR"),
    (give_a_stranger_points, Wrong.BALANCE, "card 2, STAR"),
]
AT_REST = (Wrong.BALANCE, Wrong.UNSETTLED, Wrong.REFUSED)


@pytest.mark.parametrize(("falsify", "wrong", "where"), FALSIFIED)
def test_each_falsification_is_named(
    falsify: Callable[[Books], Books], wrong: Wrong, where: str
) -> None:
    assert (wrong, where) in wrongs(judge(told(), falsify(booked()), whole=True))


def test_a_sample_shows_what_was_lost_or_doubled_too() -> None:
    for falsify, wrong, where in FALSIFIED:
        if wrong in (Wrong.LOST, Wrong.DOUBLED, Wrong.DIFFERENT):
            found = judge(told(), falsify(booked()), whole=False)
            assert (wrong, where) in wrongs(found), falsify


def test_a_hold_settled_in_two_ways_is_doubled() -> None:
    story = told()
    other = story.add(Operation(Act.CANCEL, "settle-9", "1", "take-2"))
    story.answered(other, Answer("cancelled", (("STAR", -100),), 2), 1.0)
    assert (Wrong.DOUBLED, "take-2") in wrongs(judge(story, booked(), whole=False))


def test_a_settling_under_way_leaves_two_ends_open() -> None:
    story, books = told(), booked()
    story.sending(story.add(Operation(Act.CANCEL, "settle-4", "1", "take-4")))
    assert judge(story, books, whole=False) == []
    done = change(4, status="cancelled", events=("cancellation", "reservation"))(books)
    assert judge(story, done, whole=False) == []


@pytest.mark.parametrize(("name", "code"), [("grocer/R1", "BAD_INPUT"), ("take-5", "BAD_INPUT")])
def test_a_refusal_that_the_load_has_no_reason_for_is_named(name: str, code: str) -> None:
    story = told()
    story.operations[name].refusal = code
    assert (Wrong.REFUSED, name) in wrongs(judge(story, booked(), whole=True))


def test_a_replay_must_give_the_first_answer() -> None:
    story = told()
    bought = story.operations["grocer/R1"]
    assert (story.differing, bought.replayed, bought.sent, bought.unanswered) == ([], 1, 4, 2)
    assert bought.answer is not None
    story.answered(bought, replace(bought.answer, text="bought otherwise"), 1.0)
    story.refused(bought, "IDEMPOTENCY_CONFLICT")
    assert len(story.differing) == 2


def test_an_operation_has_one_name_however_it_is_sent() -> None:
    assert logical("grocer/R1~3") == logical("grocer/R1") == "grocer/R1"
    with pytest.raises(ValueError, match="already"):
        told().add(Operation(Act.PURCHASE, "grocer/R1", "1"))


def test_recovery_is_the_first_answer_to_what_was_sent_after_the_fault() -> None:
    story = Acknowledgements()
    story.moments = [(1.0, 9.0), (3.0, 8.0), (4.0, 6.0)]
    assert story.first_after(2.0) == 6.0
    assert story.first_after(4.0) is None


def test_a_sample_takes_a_hold_only_with_its_acknowledged_end() -> None:
    story = told()
    names = {x.name for x in pick(story, random.Random(1), 10)}
    assert names == {"grocer/R1", "grocer/B1", "take-1", "take-2", "settle-2", "take-3", "settle-3"}
    assert pick(story, random.Random(1), 10)[0] is not story.operations["grocer/R1"]


def test_a_wrong_found_twice_counts_once() -> None:
    figures = Figures()
    assert figures.good
    for problem in ("once", "twice"):
        figures.findings.append(Finding(Wrong.LOST, "grocer/R1", problem))
    assert (figures.count(Wrong.LOST), figures.count(Wrong.DOUBLED)) == (1, 0)
    assert not figures.good


def test_stories_do_not_share_their_operations() -> None:
    first = told()
    copy.deepcopy(first).operations["grocer/R1"].refusal = "X"
    assert judge(first, booked(), whole=True) == []
