"""The conformance suite: what is well passes, and each way to fail is caught and said in words."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

import plugins.partners.cafe
import plugins.partners.grocer
import plugins.partners.outfitter
from laurels import (
    Basis,
    Currency,
    EarnRule,
    Effects,
    Facts,
    Ladder,
    Line,
    LineKind,
    Partner,
    PointsPerAmount,
    PointsPerVisit,
    Purchase,
    RuleError,
    Tier,
    TierMultiplier,
    award,
    deadline,
    earn_rule,
    hookimpl,
    testing,
)
from laurels.plugin.refusal import RefusalError

POINT = Currency("POINT", "Points")


def plugin(*rules: EarnRule, **more: object) -> SimpleNamespace:
    """A plugin of these rules; hooks of its own replace ours."""

    @hookimpl
    def laurels_partner() -> Partner:
        return Partner("shop", "The Shop", currencies=[POINT], trades_in=["EUR", "JPY"])

    @hookimpl
    def laurels_earn_rules() -> Sequence[EarnRule]:
        return rules

    hooks = {"laurels_partner": laurels_partner, "laurels_earn_rules": laurels_earn_rules, **more}
    return SimpleNamespace(**hooks)


def rule(function: Callable[[Purchase, Facts], Effects]) -> EarnRule:
    """A rule of one function."""
    return earn_rule("own", "A rule of our own")(function)


@pytest.mark.parametrize(
    "brand", [plugins.partners.cafe, plugins.partners.grocer, plugins.partners.outfitter]
)
def test_the_brands_that_come_along_conform(brand: object) -> None:
    assert testing.problems(brand) == []


def slow(purchase: Purchase, facts: Facts) -> Effects:
    while True:
        pass


def calls(purchase: Purchase, facts: Facts) -> Effects:
    with socket.socket() as line:
        line.setblocking(False)
        line.connect_ex(("127.0.0.1", 9))
    return None


def writes(purchase: Purchase, facts: Facts) -> Effects:
    with open("/dev/null", "w") as log:  # noqa: PTH123
        log.write("bought")
    return None


def large(purchase: Purchase, facts: Facts) -> Effects:
    return award(POINT, 7 // (500 - len(purchase.lines)))


FAULTS: dict[str, tuple[Callable[[Purchase, Facts], Effects], str]] = {
    "slow": (slow, "took longer than a rule may"),
    "by chance": (lambda p, f: award(POINT, random.getrandbits(40)), "otherwise the second time"),
    "calls out": (calls, "does input or output (socket.connect)"),
    "writes": (writes, "does input or output (open)"),
    "another's currency": (lambda p, f: award("GOLD", 1), "gives GOLD, which its partner doesn't"),
    "half a point": (lambda p, f: award(POINT, 0.5), "awarded 0.5, not whole points"),  # type: ignore[arg-type]  # the fault
    "raises on some": (large, "raised ZeroDivisionError"),
    "trusts a type": (lambda p, f: award(POINT, len(p.lines[0].product_type[0])), "IndexError"),
    "trusts a tier": (lambda p, f: award(POINT, len(f.tiers["shop"])), "raised KeyError"),
    "trusts an amount": (lambda p, f: award(POINT, 100 // p.lines[0].amount), "ZeroDivisionError"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "DEADLINE", 0.02)
    monkeypatch.setattr(testing, "_MOST_PROBLEMS", 3)
    function, words = FAULTS[name]
    found = testing.problems(plugin(PointsPerVisit(POINT), rule(function)))
    assert found
    assert all(words in problem for problem in found), found


def test_a_fault_of_one_tier_or_one_money_is_found_too() -> None:
    @hookimpl
    def laurels_ladders() -> Sequence[Ladder]:
        return [Ladder("shop", POINT.earned, [Tier("low", 0), Tier("high", 10)])]

    def high(purchase: Purchase, facts: Facts) -> Effects:
        return award("GOLD", 1) if facts.tiers.get("shop") == "high" else None

    def yen(purchase: Purchase, facts: Facts) -> Effects:
        return award("GOLD", 1) if purchase.currency == "JPY" else None

    for function in (high, yen):
        found = testing.problems(plugin(rule(function), laurels_ladders=laurels_ladders))
        assert found
        assert all("gives GOLD" in problem for problem in found)


def test_a_declaration_that_the_host_refuses_is_said_in_its_words() -> None:
    unfit = plugin(PointsPerVisit("GOLD"))
    words = "earn rule 'visit' is in 'GOLD', which the partner neither declares nor issues (POINT)"
    assert testing.problems(unfit) == [f"hook laurels_earn_rules: {words}"]
    with pytest.raises(RefusalError, match="neither declares nor issues"):
        testing.brand(unfit)
    assert testing.problems(SimpleNamespace()) == [
        "hook laurels_partner: isn't there: each plugin says who the partner is"
    ]


def test_as_tests_of_a_brands_own() -> None:
    class Good(testing.Conformance):
        plugin = plugins.partners.cafe

    liar = plugin(rule(lambda p, f: award("GOLD", 1)))

    class Bad(testing.Conformance):
        plugin = liar

    for suite in (Good(), Bad()):
        suite.test_its_declarations_are_accepted()
    Good().test_its_rules_keep_their_word_on_every_receipt()
    with pytest.raises(AssertionError, match="gives GOLD"):
        Bad().test_its_rules_keep_their_word_on_every_receipt()


def test_receipts_members_and_a_clock() -> None:
    clock = testing.Clock()
    assert clock() == testing.NOW == datetime(2026, 3, 15, 12, tzinfo=UTC)
    assert clock.tick(days=2) == clock() == datetime(2026, 3, 17, 12, tzinfo=UTC)
    bought = testing.purchase(("bread", "8.40", "2"), ("tea", "0.05"), currency="EUR", at=clock())
    assert bought.total_minor == 845
    assert [x.quantity for x in bought.lines] == [2000, 1000]
    doubled = plugin(PointsPerVisit(POINT, 3), TierMultiplier(POINT, "club", {"gold": 2}))
    assert testing.points(doubled, bought) == {"POINT": 3}
    assert testing.points(doubled, bought, testing.member(5, club="gold")) == {"POINT": 6}
    judged = testing.judge(doubled, bought, testing.member())
    assert [g.points for g in judged.granted] == [3]
    with pytest.raises(RuleError, match="ZeroDivisionError"):
        testing.points(plugin(rule(lambda p, f: award(POINT, 1 // 0))), bought)


def test_a_receipt_of_lines_as_they_are_and_a_partners_usual_basis() -> None:
    @hookimpl
    def laurels_partner() -> Partner:
        basis = Basis("net-of-points", ["delivery"])
        return Partner("shop", "The Shop", currencies=[POINT], basis=basis)

    shop = plugin(PointsPerAmount(POINT, 1, "1.00 USD"), laurels_partner=laurels_partner)
    delivery = Line("", 500, kind=LineKind.DELIVERY)
    bought = testing.purchase(("bread", "8.40", "2"), Line("tea", 300, points_paid=100), delivery)
    assert bought.lines == (Line("bread", 840, 2000), Line("tea", 300, points_paid=100), delivery)
    assert testing.points(shop, bought) == {"POINT": 10}
    assert testing.points(plugin(PointsPerAmount(POINT, 1, "1.00 USD")), bought) == {"POINT": 16}
    assert testing.problems(shop) == []
