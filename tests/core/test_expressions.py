"""Conditions: what they see, what they are refused for, and which part of one failed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data_rules import seen_of
from core.errors import BadInput
from core.expressions import Part, condition
from core.seeing import FACTS, Seen
from laurels.activities import Activity
from laurels.basis import Basis
from laurels.purchase import Facts, Line, LineKind, Purchase

#: A Thursday, at seven in the morning in New York.
AT = datetime(2026, 11, 26, 12, 5, tzinfo=UTC)
LINES = (
    Line("TEA", 1250, 2000, "T-1", 250, 208, 500),
    Line("WINE", 4900, 750, tax=900),
    Line("TEA", 0, 1000),
)
CARD = Line("", 1000, kind=LineKind.GIFT_CARD)
PURCHASE = Purchase("grocer", "R1", AT, "USD", LINES, "Main Street", "America/New_York")
SEEN = Seen(PURCHASE, Facts(3, {"club": "gold"}))

HOLDS = {
    "purchase.total == 61.5": True,
    "purchase.total >= 61.51": False,
    "purchase.gross == 64.0 && purchase.discount == 2.5 && purchase.points_paid == 5.0": True,
    "purchase.currency == 'USD' && purchase.store.startsWith('Main')": True,
    "purchase.items == 3.75": True,
    "purchase.at < timestamp('2026-11-26T12:05:01Z')": True,
    "local.weekday == 'thursday' && local.hour == 7 && local.minute == 5": True,
    "local.year == 2026 && local.month == 11 && local.day == 26": True,
    "local.date >= '2026-11-20' && local.date < '2026-11-26'": False,
    "member.visits == 3": True,
    "member.tiers.club in ['gold', 'platinum']": True,
    "has(member.tiers.club) && !has(member.tiers.house)": True,
    "lines.exists(x, x.type == 'WINE' && x.amount > 40.0)": True,
    "lines.exists(x, x.kind == 'goods' && x.discount == 2.5 && x.tax == 2.08)": True,
    "lines.exists(x, x.kind != 'goods') || lines.all(x, x.points_paid == 0.0)": False,
    "lines.filter(x, x.type == 'TEA').size() == 2": True,
    "lines.all(x, x.sku != '')": False,
    # What can't be judged doesn't hold.
    "member.tiers.house == 'gold'": False,
    "1 / 0 == 1": False,
    "lines.all(a, lines.all(b, lines.all(c, lines.all(d, a.type != b.sku + c.sku + d.sku))))": True,
}


@pytest.mark.parametrize("text", HOLDS)
def test_a_condition_sees_the_receipt_the_member_and_the_partners_own_clock(text: str) -> None:
    assert condition(text, "when").holds(SEEN) is HOLDS[text]


def test_of_lines_it_is_told_which_hold() -> None:
    tea = condition("line.type == 'TEA' && line.amount > 0.0", "lines", of_lines=True)
    assert tea.chosen(SEEN) == [True, False, False]
    heavy = condition("line.quantity < 1.0 && line.number == 2", "lines", of_lines=True)
    assert heavy.chosen(SEEN) == [False, True, False]
    mixed = condition("line.sku == 'T-1' && member.visits > 5", "lines", of_lines=True)
    assert mixed.chosen(SEEN) == [False, False, False]


def test_a_line_tells_what_was_taken_off_what_is_tax_and_what_points_paid() -> None:
    seen = Seen(Purchase("grocer", "R1", AT, "USD", (*LINES, CARD)), Facts())
    for text, expected in {
        "line.kind == 'gift-card'": [False, False, False, True],
        "line.discount == 2.5 && line.points_paid == 5.0": [True, False, False, False],
        "line.tax > 2.0": [True, True, False, False],
    }.items():
        assert condition(text, "lines", of_lines=True).chosen(seen) == expected


def test_whatever_counts_for_a_rule_it_sees_the_receipt_as_it_is() -> None:
    view = Basis("net-of-points", ["tax"], ["WINE"]).view(PURCHASE)
    assert view.total_minor < PURCHASE.total_minor
    assert seen_of(view, Facts()).facts["purchase.total"] == 61.5


def test_every_fact_is_told_and_can_be_named() -> None:
    for name in FACTS:
        if name == "lines":
            text = "lines.size() >= 0"
        elif name in (
            "member.tiers",
            "member.balances",
            "member.attributes",
            "member.segments",
            "member.offers",
        ):
            text = f"{name}.size() >= 0"
        elif name == "activity":
            review = Seen(Activity.of("p", "A-1", AT, "review", {"stars": 5}), Facts())
            there = condition("activity.stars == 5", "when", of_activity=True)
            assert there.holds(review)
            assert not condition("activity.stars == 4", "when", of_activity=True).holds(review)
            continue
        else:
            text = f"{name} == {name}"
        assert condition(text, "when", of_lines=True).chosen(SEEN) == [True] * 3, name


REFUSED = {
    "purchase.total >= 50": "at 16: found no matching overload for '_>=_' applied to "
    "'(double, int)'; amounts and quantities are decimals: write 50.0 for 50",
    "purchase.total": "a condition is true or false; 'purchase.total' is DOUBLE",
    "purchase.totl > 1.0": "at 9: undeclared reference to 'purchase.totl'",
    "line.type == 'TEA'": "at 5: undeclared reference to 'line.type'",
    "member.visits == 'x'": "found no matching overload",
    "member.visits >": "at 16: Syntax error",
    "": "at 1: Syntax error",
    "true && ": "at 9: Syntax error",
    "x" * 2001: "a condition is a text of at most 2000 characters",
    "true\0": "a condition is a text",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_condition_is_told_by_place_and_reason(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        condition(text, "when")
    assert REFUSED[text] in refused.value.message
    assert refused.value.path == ("when",)


def test_the_first_part_that_failed_is_named_and_all_are_told_with_their_facts() -> None:
    text = "purchase.total >= 50.0 && member.visits > 5 && (local.hour > 20 || false)"
    found = condition(f"{text} && has(member.tiers.x)", "when")
    assert not found.holds(SEEN)
    assert found.failed(SEEN) == "member.visits > 5"
    assert found.parts(SEEN) == [
        Part("purchase.total >= 50.0", True, "purchase.total is 61.5"),
        Part("member.visits > 5", False, "member.visits is 3"),
        Part("(local.hour > 20 || false)", False, "local.hour is 7"),
        Part("has(member.tiers.x)", False, "member.tiers.x is none"),
    ]
    (part,) = condition("member.tiers['club'] == 'silver'", "when").parts(SEEN)
    assert part == Part("member.tiers['club'] == 'silver'", False, "member.tiers['club'] is gold")
    unjudged = condition("member.tiers.house == 'a' && true", "when").parts(SEEN)
    assert unjudged[0] == Part("member.tiers.house == 'a'", None, 'Key not found in map : "house"')


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("true", ["true"]),
        ("true || false && true", ["true || false && true"]),
        ("true ? true && false : false", ["true ? true && false : false"]),
        ("'a && b' == purchase.store && true", ["'a && b' == purchase.store", "true"]),
        ("(true && false) && [true && true][0]", ["(true && false)", "[true && true][0]"]),
        ("true // and && more\n && false", ["true // and && more", "false"]),
    ],
)
def test_a_condition_is_cut_where_all_of_it_must_hold(text: str, parts: list[str]) -> None:
    assert [part.text for part in condition(text, "when").parts(SEEN)] == parts


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_amounts_compare_as_their_exact_figures_do(paid: int, wanted: int) -> None:
    """Each is the double nearest to it: two that differ by a cent differ as doubles, too."""
    seen = Seen(Purchase("p", "r", AT, "USD", (Line("A", paid),)), Facts())
    literal = f"{wanted // 100}.{wanted % 100:02}"
    for sign, expected in ((">=", paid >= wanted), ("==", paid == wanted), ("<", paid < wanted)):
        assert condition(f"purchase.total {sign} {literal}", "when").holds(seen) is expected


def test_a_condition_that_would_run_for_long_is_cut_off_and_holds_of_nothing() -> None:
    lines = tuple(Line("A", n) for n in range(200))
    seen = Seen(Purchase("p", "r", AT, "USD", lines), Facts())
    text = "lines.all(a, lines.all(b, lines.all(c, lines.all(d, a.type == d.type))))"
    found = condition(text, "when")
    assert not found.holds(seen)
    (part,) = found.parts(seen)
    assert (part.held, part.actual) == (None, "Iteration budget exceeded")


@pytest.mark.parametrize(
    "text",
    [
        ".lines.exists(x, x.type == 'WINE')",
        "purchase.store != '''a'b''' && lines.exists(x, x.type == 'WINE')",
        'purchase.store != """a"b""" && lines.exists(x, x.type == \'WINE\')',
        "!(lines.exists(x, x.type == 'ALE'))",
    ],
)
def test_the_lines_are_handed_over_however_they_are_asked_for(text: str) -> None:
    asked = condition(text, "when")
    assert asked.holds(SEEN)
    assert [part.held for part in asked.parts(SEEN)] == [True] * asked.count
