"""Conditions judged together: the same as each by itself, whatever they are and whatever fails."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.containment import Containment
from core.data_rules import conditions_of, expect, parse, rule_of, seen_of
from core.expressions import Condition, condition
from core.rulebook import CurrencyTerms, PartnerTerms, PolicyTerms, RuleTerms
from core.seeing import Seen
from core.together import Joined, Pair, Place, Together, together
from laurels import Facts, Policy, Purchase
from laurels.evaluator import evaluate
from laurels.purchase import Line

relaxed = settings(deadline=None)
AT = datetime(2026, 3, 15, 12, tzinfo=UTC)
RECEIPT = [
    "purchase.total >= 1.5",
    "purchase.total >= 1.5 && member.visits > 2 && local.hour == 12",
    "member.visits > 2 // && what a comment says\n && purchase.currency == 'EUR' // and so on",
    "member.tiers.club == 'gold'",  # not judged of whoever has no tier
    "member.visits > 2 && member.tiers.club == 'gold'",
    "member.tiers.club == 'gold' && member.visits > 2",
    "member.visits > 2 || member.tiers.club == 'gold'",
    "10 / member.visits > 3",  # nor by zero
    "lines.exists(x, x.type == 'TEA') && member.visits > 2",
    "lines[1].amount > 1.0",
    "(" * 28 + "member.visits > 1" + ")" * 28,
    " && ".join(f"member.visits != {n}" for n in range(9)),
    " && ".join(f"member.visits != {n}" for n in range(7)),
    *(f"member.visits % {n} == 0 && purchase.items < {n}.0" for n in range(1, 46)),
]
LINE = [
    "line.type == 'TEA'",
    "line.amount > 1.0 && member.visits > 2 // more",
    "line . quantity < 1.0",
    "10 / (line.number - 2) > 0",
    "member.tiers.club == 'gold' || line.number == 1",
    "lines.exists(x, x.amount > line.amount)",
    "local.hour == line.number",
    *(f"line.number % {n} == 0" for n in range(1, 25)),
]
purchases = st.builds(
    lambda lines: Purchase("p", "r", AT, "EUR", tuple(lines)),
    st.lists(
        st.tuples(st.sampled_from(["TEA", "MUG"]), st.integers(0, 300), st.integers(0, 3000)).map(
            lambda line: Line(*line)
        ),
        min_size=1, max_size=4,
    ),
)  # fmt: skip
members = st.builds(Facts, st.integers(0, 12), st.sampled_from([{}, {"club": "gold"}]))


def pairs_of(*said: tuple[str | None, str | None]) -> tuple[Pair, ...]:
    """The conditions of rules."""
    return tuple(
        (
            None if when is None else condition(when, "when"),
            None if lines is None else condition(lines, "lines", of_lines=True),
        )
        for when, lines in said
    )


def found(pairs: tuple[Pair, ...], seen: Seen) -> list[tuple[str | None, list[bool] | None]]:
    """What the conditions come to, in order."""
    return [
        (None if when is None else when.failed(seen), None if lines is None else lines.chosen(seen))
        for when, lines in pairs
    ]


EVERYTHING = tuple((when, LINE[n % len(LINE)]) for n, when in enumerate(RECEIPT))


@relaxed
@given(
    purchases, members,
    st.lists(st.tuples(*(st.none() | st.sampled_from(x) for x in (RECEIPT, LINE))), max_size=30),
)  # fmt: skip
@example(Purchase("p", "r", AT, "EUR", (Line("TEA", 200),)), Facts(), list(EVERYTHING))
@example(
    Purchase("p", "r", AT, "EUR", (Line("TEA", 200), Line("MUG", 90))),
    Facts(4, {"club": "gold"}),
    list(EVERYTHING),
)
def test_together_they_come_to_what_each_comes_to(
    purchase: Purchase, member: Facts, said: list[tuple[str | None, str | None]]
) -> None:
    pairs = pairs_of(*said)
    assert found(pairs, Seen(purchase, member, together(pairs))) == found(
        pairs, Seen(purchase, member)
    )


def test_the_comparison_tells_a_place_from_another() -> None:
    """The control: joined wrongly, they come to something else."""
    pairs = pairs_of((RECEIPT[0], LINE[0]), ("member.visits > 2", "line.number > 1"))
    right = together(pairs)
    wrong = replace(right, receipts=_turned(right.receipts), lines=_turned(right.lines))
    purchase = Purchase("p", "r", AT, "EUR", (Line("TEA", 200), Line("MUG", 90)))
    alone, joined, turned = (found(pairs, Seen(purchase, Facts(), x)) for x in (None, right, wrong))
    assert joined == alone == [(None, [True, False]), ("member.visits > 2", [False, True])]
    assert turned == [(RECEIPT[0], [False, True]), (None, [True, False])]


def _turned(joined: Joined) -> Joined:
    places = dict(zip(joined.places, reversed(list(joined.places.values())), strict=True))
    return Joined(places, joined.numbers)


def one(text: str, lines: str | None = None) -> tuple[Condition, Together]:
    """A condition on the receipt, and what it is joined to."""
    pairs = pairs_of((text, lines))
    assert pairs[0][0] is not None
    return pairs[0][0], together(pairs)


def test_what_may_loop_or_is_too_long_or_too_deep_is_judged_by_itself() -> None:
    assert RECEIPT[0] in one(RECEIPT[0])[1].receipts.places
    eight = " && ".join(f"member.visits != {n}" for n in range(8))
    deep = "(" * 31 + "true" + ")" * 31
    for text in ("lines.size() > 1", eight, deep):
        assert one(text)[1].receipts == Joined({}, ())
    # What stands beside it is joined still.
    beside = [f"member.visits > {n}" for n in range(21)]
    joined = together(pairs_of(*((x, None) for x in [*beside, deep]))).receipts
    assert sorted(joined.places) == sorted(beside)
    assert len(set(joined.places.values())) == 21
    assert all(isinstance(place, Place) for place in joined.places.values())


def test_one_that_cant_be_judged_leaves_the_others_of_its_number_as_they_are() -> None:
    text, wild = "member.visits > 2", "member.tiers.club == 'gold'"
    pairs = pairs_of((text, None), (wild, None))
    for member, failed, held in (
        (Facts(3, {"club": "gold"}), [None, None], 1),
        (Facts(3), [None, wild], None),
    ):
        seen = Seen(Purchase("p", "r", AT, "EUR", (Line("TEA", 1),)), member, together(pairs))
        assert [when and when.failed(seen) for when, _ in pairs] == failed
        assert pairs[0][0] is not None
        assert seen.held(pairs[0][0]) == held


def test_lines_are_judged_by_few_conditions_one_by_one() -> None:
    said: list[tuple[str | None, str | None]] = [
        (f"member.visits == {n}", f"line.number == {n}") for n in range(9)
    ]
    purchase = Purchase("p", "r", AT, "EUR", (Line("TEA", 1),) * 3)
    for count, all_at_once in ((2, False), (3, True)):
        pairs = pairs_of(*said, *[("true", f"line.number > {n}") for n in range(count - 1)])
        seen, lines = Seen(purchase, Facts(2), together(pairs)), pairs[2][1]
        assert lines is not None
        assert lines.chosen(seen) == [False, True, False]
        assert seen.chosen(lines) == ([False, True, False] if all_at_once else None)


def rule(n: int, when: str, lines: str | None) -> RuleTerms:
    """A data rule that gives so many."""
    said = {"code": f"r{n}", "title": "R", "when": when, "award": {"currency": "S", "points": n}}
    return RuleTerms(n, rule_of(parse(said if lines is None else {**said, "lines": lines})))


EARN = tuple(rule(n, when, lines) for n, (when, lines) in enumerate(EVERYTHING, 1))
STAR = CurrencyTerms(1, "S", "Stars", "", PolicyTerms(1, Policy.parse(None, "12M")), None)
PARTNER = PartnerTerms(1, "p", "P", "UTC", frozenset({"EUR"}), {"S": STAR}, {}, EARN)


@relaxed
@given(purchases, members)
def test_a_partner_is_judged_by_them_as_its_rules_are_alone(
    purchase: Purchase, member: Facts
) -> None:
    judged = Containment().judge(PARTNER, purchase, member)
    # Other objects: what was expected of the first is no word on these.
    twin = replace(purchase)
    assert seen_of(twin, member).held(condition(RECEIPT[0], "when")) is None
    assert evaluate([x.rule for x in EARN], twin, member) == judged


def test_what_was_expected_of_one_purchase_bears_on_no_other() -> None:
    conditions = conditions_of(PARTNER.rules)
    assert conditions is not None
    assert conditions is PARTNER.conditions
    bought = Purchase("p", "r", AT, "EUR", (Line("TEA", 200),))
    visits = condition("member.visits % 1 == 0 && purchase.items < 1.0", "when")
    expect(conditions, bought, Facts(3, {"club": "gold"}))
    assert seen_of(bought, Facts(3)).held(visits) is None
    assert conditions_of([]) is None
    # Rules that change make others.
    fewer = PARTNER.with_rules(EARN[:1])
    assert fewer.conditions is not None
    assert list(fewer.conditions.receipts.places) == [RECEIPT[0]]
    assert fewer.ids == (1,)
    assert len(fewer.rules) == 1
    # And a partner is judged by its own together.
    gold, first = Facts(3, {"club": "gold"}), condition(RECEIPT[0], "when")
    Containment().judge(fewer, bought, gold)
    assert seen_of(bought, gold).held(first) == 1
