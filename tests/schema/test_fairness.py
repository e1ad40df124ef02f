"""The fairness audit: rules that treat like alike pass, and each that doesn't is found.

The cheats are the controls: one that looks at whose receipt it is, one that tosses a coin, one that
counts who came before; and purchases that were booked by a rule which cheated then and no more.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from io import StringIO
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console

from app.fairness_cli import grants_table, rules_table, told
from core import fairness
from core.adjustments import AdjustRequest, adjust
from core.check import prove
from core.errors import BadInput
from core.grants import grants, outliers
from core.posting import Engine
from core.programme import ContractSettings, CurrencySettings, Programme
from core.store.reference import Declared, install
from laurels import (
    Cap,
    EarnRule,
    Effects,
    Facts,
    Partner,
    PointsPerVisit,
    ProductTypeRewardCalculator,
    Purchase,
    award,
    capped,
    earn_rule,
)
from tests.core.shop import dump
from tests.schema.client import Client
from tests.schema.conftest import client_of
from tests.support import NOW, enrol_cards, receipt

REPORT = """query($partner: String!, $from: DateTime!, $until: DateTime!, $sample: Int! = 200,
    $seed: String! = "") {
  fairnessReport(partner: $partner, from: $from, until: $until, sample: $sample, seed: $seed) {
    partner { code } total sampled failed complete fair
    rules { code fair judged same pairs unequal
      differences { purchase currency changed points otherwise }
      unequals { purchase other currency points others } } } }"""
GRANTS = """query($partner: String) {
  staffGrants(partner: $partner, from: "2026-01-01T00:00:00Z", until: "2027-01-01T00:00:00Z") {
    rows { caller reason currency { code } times given taken median }
    outliers { caller currency { code } given median deviation score } } }"""
PERIOD = {"from": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z"}
BEGIN, END = NOW - timedelta(days=60), NOW + timedelta(days=1)
HONEST = ProductTypeRewardCalculator("STAR", {}, default=1, code="honest")


@earn_rule("own", "Twice for a receipt that ends with 7")
def by_number(purchase: Purchase, _: Facts) -> Effects:
    return award("STAR", 20 if purchase.external_id.endswith("7") else 10)


@earn_rule("coin", "A coin is tossed")
def by_chance(_: Purchase, __: Facts) -> Effects:
    return award("STAR", 10 + random.randrange(2))


def by_turn() -> EarnRule:
    turn = count()

    @earn_rule("turn", "Every third one that comes")
    def rule(_: Purchase, __: Facts) -> Effects:
        return award("STAR", 10 if next(turn) % 3 == 0 else 1)

    return rule


@earn_rule("tuesday", "Twice on Tuesdays, three times from the second visit on")
def by_what_it_may(purchase: Purchase, facts: Facts) -> Effects:
    times = 2 if purchase.local_time.weekday() == 1 else 1
    return award("STAR", 10 * times * (1 if facts.visits == 0 else 3))


async def opened(*rules: EarnRule, when: Any = NOW) -> Engine:
    programme = Programme(
        currencies=(CurrencySettings(code="STAR", name="Stars"),),
        contracts={"shop": ContractSettings(issues=("STAR",), accepts=("STAR",))},
    )
    shop = Declared("shop", "1", Partner("shop", "A Shop", issues=["STAR"]), earn_rules=rules)
    return Engine(await install(programme, [shop], when))


async def fill(engine: Engine, many: int = 20) -> None:
    """So many members, each with a purchase of its own day and size."""
    cards = [str(n) for n in range(many)]
    await enrol_cards(cards)
    items = [
        receipt(
            engine, f"R-{n}", card, NOW - timedelta(days=n), ("TEA", f"{n + 1}.00"), partner="shop"
        )
        for n, card in enumerate(cards)
    ]
    await engine.record_purchases(items, NOW, historical=True)


async def audited(engine: Engine, size: int = 200, seed: str = "") -> fairness.Report:
    terms = engine.rulebook.partners["shop"]
    return await fairness.audit(engine.rulebook, terms, BEGIN, END, size, seed)


async def test_rules_that_look_at_what_they_may_are_fair(database: str) -> None:
    """The time, the basket, what the member did before; under caps too. And nothing is booked."""
    engine = await opened(
        HONEST, by_what_it_may, capped(PointsPerVisit("STAR", 7, code="capped"), Cap(times=1))
    )
    await fill(engine)
    before = await dump()
    report = await audited(engine)
    assert await dump() == before
    assert (report.total, report.sampled, report.failed, report.complete) == (20, 20, 0, True)
    assert report.fair
    told_of = [(r.code, r.judged, r.same, r.pairs, r.differences) for r in report.rules]
    assert told_of == [(code, 20, 20, 0, []) for code in ("capped", "honest", "tuesday")]
    assert await prove() == []


async def test_each_cheat_is_found_and_no_other_rule_is_blamed(database: str) -> None:
    engine = await opened(HONEST, by_number, by_chance, by_turn())
    await fill(engine)
    report = await audited(engine)
    assert not report.fair
    rules = {rule.code: rule for rule in report.rules}
    assert {code for code, rule in rules.items() if not rule.fair} == {"own", "coin", "turn"}
    # get 20, and 10 with another number; those beside them in the sample the reverse.
    own = rules["own"]
    of_seven = {d.purchase: d for d in own.differences}
    assert {"R-7", "R-17"} <= set(of_seven)
    assert of_seven["R-7"][1:] == ("STAR", fairness.Changed.NUMBER, 20, 10)
    assert all(d.changed is fairness.Changed.NUMBER for d in own.differences)
    assert own.judged - own.same == len(own.differences)  # few enough to be told all
    turn = rules["turn"]
    assert turn.same < turn.judged == 20
    assert fairness.Changed.NOTHING in {d.changed for d in turn.differences}
    # Twenty purchases, each tossed some five times more: none alike once in 10^6 samples.
    assert rules["coin"].same < 20


async def test_equal_purchases_are_held_against_each_other_as_they_were_booked(
    database: str,
) -> None:
    """Whatever the rules say today: of three equal ones by three members one was given more."""
    favoured = {"on": True}

    @earn_rule("friends", "Ten, and more for friends of the house")
    def friends(purchase: Purchase, _: Facts) -> Effects:
        return award("STAR", 99 if favoured["on"] and purchase.external_id == "E-1" else 10)

    engine = await opened(HONEST, friends)
    await enrol_cards(["1", "2", "3", "4"])
    items = [
        receipt(engine, f"E-{n}", str(n), NOW, ("TEA", "5.00"), partner="shop") for n in (1, 2, 3)
    ]
    items.append(receipt(engine, "E-4", "4", NOW, ("TEA", "6.00"), partner="shop"))
    await engine.record_purchases(items, NOW)
    favoured["on"] = False
    report = await audited(engine)
    rules = {rule.code: rule for rule in report.rules}
    assert (rules["friends"].same, rules["friends"].judged) == (4, 4)  # today it is fair
    assert (rules["friends"].pairs, rules["honest"].pairs) == (2, 2)
    assert (rules["honest"].unequal, rules["honest"].fair) == (0, True)
    assert rules["friends"].unequal in (1, 2)  # by which of the three the sample begins with
    assert not rules["friends"].fair
    assert {99, 10} == {x for u in rules["friends"].unequals for x in (u.points, u.others)}


async def test_the_same_seed_is_the_same_sample(database: str) -> None:
    """And another one another; it is bounded, and what is no sample is refused."""
    engine = await opened(by_number)
    await fill(engine, 40)

    async def some(seed: str) -> fairness.Report:
        return await audited(engine, 5, seed)

    first = await some("a")
    assert (first.total, first.sampled) == (40, 5)
    assert await some("a") == first
    assert len({str(await some(seed)) for seed in "abcdef"}) > 1
    terms = engine.rulebook.partners["shop"]
    for size, end in ((0, END), (1001, END), (5, BEGIN)):
        with pytest.raises(BadInput):
            await fairness.audit(engine.rulebook, terms, BEGIN, end, size)
    cut = await fairness.audit(engine.rulebook, terms, BEGIN, END, 5, seconds=0)
    assert (cut.complete, cut.sampled, cut.rules) == (False, 5, [])


async def test_a_rule_that_fails_is_left_out_or_told(database: str) -> None:
    """On a purchase as it is: left out. Only when nothing changed: told, without a figure."""
    broken = {"on": False}

    @earn_rule("brittle", "Breaks at R-3")
    def brittle(purchase: Purchase, _: Facts) -> Effects:
        if broken["on"] and purchase.external_id == "R-3":
            raise RuntimeError("no threes")
        return award("STAR", 1)

    engine = await opened(brittle)
    await fill(engine, 4)
    broken["on"] = True
    report = await audited(engine)
    assert (report.sampled, report.failed) == (4, 1)
    [rule] = report.rules
    assert rule.judged == 3
    # Those that were tried with the number R-3.
    assert 1 <= rule.judged - rule.same <= 2
    assert {(d.points, d.otherwise) for d in rule.differences} == {(1, None)}


@pytest_asyncio.fixture(loop_scope="session")
async def cheated(database: str) -> AsyncIterator[Client]:
    """The application with a partner of which one rule cheats, and its twenty purchases."""
    engine = await opened(HONEST, by_number)
    await fill(engine)
    async with client_of(engine, NOW) as made:
        yield made


async def test_the_report_over_http(cheated: Client) -> None:
    """By a partner of its own, by finance and auditors of all; by nobody else."""
    by_finance = await cheated.ask("admin:fin:finance", REPORT, partner="shop", **PERIOD)
    assert await cheated.ask("admin:al:auditor", REPORT, partner="shop", **PERIOD) == by_finance
    assert await cheated.ask("partner:shop", REPORT, partner="shop", **PERIOD) == by_finance
    assert by_finance["partner"] == {"code": "shop"}
    assert (by_finance["total"], by_finance["complete"], by_finance["fair"]) == (20, True, False)
    honest, own = by_finance["rules"]
    assert honest == {"code": "honest", "fair": True, "judged": 20, "same": 20, "pairs": 0,
                      "unequal": 0, "differences": [], "unequals": []}  # fmt: skip
    seven = {"purchase": "R-7", "currency": "STAR", "changed": "NUMBER", "points": 20,
             "otherwise": 10}  # fmt: skip
    assert seven in own["differences"]
    for who, code in (("admin:sam:support", "FORBIDDEN"), ("member:1", "FORBIDDEN"),
                      (None, "UNAUTHENTICATED")):  # fmt: skip
        answer = await cheated.send(who, REPORT, partner="shop", **PERIOD)
        assert answer["errors"][0]["extensions"]["code"] == code
    wrong: list[dict[str, object]] = [
        {"sample": 0},
        {"sample": 1001},
        {"until": PERIOD["from"]},
        {"partner": "none"},
    ]
    for given in wrong:
        answer = await cheated.send("admin:root", REPORT, **{"partner": "shop", **PERIOD, **given})
        assert answer["errors"], given


async def test_what_people_gave_by_hand(cheated: Client) -> None:
    """By caller and reason, with who gave far more than most, by figures of one's own head."""
    engine = cheated.engine
    [ada] = await enrol_cards(["ada"])
    given = {"ann": [10, 12], "bob": [20], "cem": [25], "dia": [30, -4], "eve": [500, 400, 300]}
    for who, amounts in given.items():
        for n, points in enumerate(amounts):
            request = AdjustRequest(
                f"admin:{who}",
                f"{who}{n}",
                "admin",
                ada,
                "STAR",
                points,
                "goodwill",
                partner="shop",
            )
            await adjust(engine, request, NOW)
    found = await cheated.ask("admin:al:auditor", GRANTS, partner="shop")
    rows = {row["caller"]: row for row in found["rows"]}
    star = {"currency": {"code": "STAR"}, "reason": "goodwill"}
    assert rows["admin:dia"] == {**star, "caller": "admin:dia", "times": 2, "given": 30, "taken": 4,
                                 "median": 4}  # fmt: skip
    assert rows["admin:eve"] == {**star, "caller": "admin:eve", "times": 3, "given": 1200,
                                 "taken": 0, "median": 400}  # fmt: skip
    # 22, 20, 25, 30, 1200: the median is 25; they lie 3, 5, 0, 5, 1175 from it: the median is 5.
    [eve] = found["outliers"]
    assert eve == {"caller": "admin:eve", "currency": {"code": "STAR"}, "given": 1200, "median": 25,
                   "deviation": 5, "score": pytest.approx(0.6745 * 1175 / 5)}  # fmt: skip
    assert await cheated.ask("admin:al:auditor", GRANTS) == found  # in whosever name
    for who in ("partner:shop", "admin:sam:support"):
        answer = await cheated.send(who, GRANTS)
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await prove() == []


def test_outliers_are_robust() -> None:
    """Two that give a fortune don't hide each other; few callers, or all alike, are no sample."""
    usual = {f"a{n}": 100 + n for n in range(10)}
    assert outliers(1, usual) == []
    two = outliers(1, {**usual, "x": 9000, "y": 10_000})
    assert [x.caller for x in two] == ["y", "x"]
    mean = sum([*usual.values(), 9000, 10_000]) / 12
    spread = (sum((v - mean) ** 2 for v in [*usual.values(), 9000, 10_000]) / 12) ** 0.5
    assert (9000 - mean) / spread < 3.5  # the control: by mean and deviation they would hide
    assert outliers(1, {"a": 1, "b": 10_000}) == []
    assert outliers(1, dict.fromkeys("abcde", 5)) == []
    assert [x.caller for x in outliers(1, {**dict.fromkeys("abcde", 5), "z": 50})] == ["z"]


async def test_the_tables_of_the_command(database: str) -> None:
    engine = await opened(HONEST, by_number)
    await fill(engine)
    report = await audited(engine)
    console = Console(width=120, record=True, file=StringIO())
    console.print(rules_table(report))
    console.print(grants_table(await grants(1, BEGIN, END), {1: "STAR"}))
    text = console.export_text()
    assert "20 of 20 purchases, 0 failed" in text
    assert [line for line in text.splitlines() if "honest" in line and "yes" in line]
    assert [line for line in text.splitlines() if "own" in line and "NO" in line]
    lines = [line for rule in report.rules for line in told(rule)]
    assert "own: R-7: 20 STAR, another member's receipt number: 10" in lines
