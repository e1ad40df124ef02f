"""Faults of partners' rules stay theirs: three faulty brands among good ones, on the real books."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from core.check import prove
from core.containment import (
    FAILURES,
    FIRST_PAUSE,
    LONGEST_PAUSE,
    Breakers,
    Containment,
    OnFaults,
)
from core.data_rules import parse, rule_of
from core.errors import PartnerRuleFailed, Refusal
from core.outcomes import Recorded
from core.posting import Engine
from core.programme import ContractSettings, CurrencySettings, Programme
from core.rulebook import RuleTerms
from core.store.faults import of_partners
from core.store.reference import Declared, install
from laurels import (
    EarnRule,
    Effects,
    Facts,
    Partner,
    PointsPerVisit,
    Purchase,
    award,
    deadline,
    earn_rule,
)
from laurels.purchase import Line
from tests.support import NOW, enrol_cards, receipt, scalar

STAR = "STAR"


@earn_rule("raises", "Raises, and names the member")
def raises(purchase: Purchase, facts: Facts) -> Effects:
    raise ValueError("ada@example.com bought wine")


@earn_rule("loops", "Never ends")
def loops(purchase: Purchase, facts: Facts) -> Effects:
    while True:
        pass


@earn_rule("stubborn", "Never ends, and swallows what would end it")
def stubborn(purchase: Purchase, facts: Facts) -> Effects:
    for _ in range(3):
        try:
            while True:
                pass
        except BaseException:
            continue
    while True:
        pass


@earn_rule("lies", "Gives what its contract doesn't name")
def lies(purchase: Purchase, facts: Facts) -> Effects:
    return award("GOLD", 1_000_000)


@dataclass
class Clock:
    """Moved by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def brand(code: str, *rules: EarnRule) -> Declared:
    """A brand that gives a star a visit, and has these rules besides."""
    own = [PointsPerVisit(STAR, 1), *rules]
    return Declared(code, "1", Partner(code, code.title(), issues=(STAR,)), earn_rules=own)


@pytest.fixture
def clock() -> Clock:
    """The breakers' clock."""
    return Clock()


@pytest.fixture
async def engine(database: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """Two good brands and five faulty ones, in one programme; short deadlines."""
    monkeypatch.setattr(deadline, "DEADLINE", 0.05)
    programme = Programme(
        currencies=tuple(CurrencySettings(code=c, name=c) for c in (STAR, "GOLD")),
        contracts={
            **{c: ContractSettings(issues=(STAR,)) for c in ("alpha", "omega", "raiser", "liar")},
            "looper": ContractSettings(issues=(STAR,)),
            "stubborn": ContractSettings(issues=(STAR,)),
            "kind": ContractSettings(issues=(STAR,), on_faults="base"),
        },
    )  # fmt: skip
    brands = [
        brand("alpha"),
        brand("kind", raises),
        brand("liar", lies),
        brand("looper", loops),
        brand("omega"),
        brand("raiser", raises),
        brand("stubborn", stubborn),
    ]
    made = Engine(await install(programme, brands, NOW))
    made.containment = Containment(Breakers(clock))
    await enrol_cards(["1"])
    return made


async def buy(engine: Engine, *purchases: tuple[str, str]) -> list[Recorded | Refusal]:
    """Purchases by (partner, external id), in one batch."""
    items = [receipt(engine, name, "1", NOW, partner=partner) for partner, name in purchases]
    return await engine.record_purchases(items, NOW)


FAULTY = {
    "raiser": ("raises", "raised ValueError"),
    "looper": ("loops", "took longer than a rule may"),
    "stubborn": ("stubborn", "took longer than a rule may"),
    "liar": ("lies", "issued what its contract doesn't name"),
}


async def test_faulty_brands_cost_their_own_purchases_alone_and_are_named(engine: Engine) -> None:
    ordered = [(p, f"{p}-1") for p in ("alpha", *FAULTY, "omega")]
    outcomes = dict(zip([p for p, _ in ordered], await buy(engine, *ordered), strict=True))
    assert all(isinstance(outcomes[p], Recorded) for p in ("alpha", "omega"))
    partners = engine.rulebook.partners
    for code, (rule, what) in FAULTY.items():
        failed = outcomes[code]
        assert isinstance(failed, PartnerRuleFailed)
        assert f"'{code}'" in failed.message
        assert f"'{rule}'" in failed.message
        (fault,) = await of_partners([partners[code].id])
        assert fault[1:] == (rule, what, 1, NOW, NOW)
    assert await of_partners([partners["alpha"].id, partners["omega"].id]) == []
    assert await scalar("SELECT array_agg(external_id ORDER BY id) FROM event") == [
        "alpha-1", "omega-1",
    ]  # fmt: skip
    assert "ada@example.com" not in str(await scalar("SELECT array_agg(f::text) FROM rule_fault f"))
    assert await prove() == []


async def test_a_brand_that_goes_on_failing_is_suspended_and_tried_again(
    engine: Engine, clock: Clock
) -> None:
    raiser = engine.rulebook.partners["raiser"]
    for n in range(FAILURES):
        assert engine.containment.breakers.left(raiser.id) == 0
        await buy(engine, ("raiser", f"r{n}"))
    assert engine.containment.breakers.left(raiser.id) == FIRST_PAUSE
    denied, passed = await buy(engine, ("raiser", "r-now"), ("alpha", "a"))
    assert isinstance(denied, PartnerRuleFailed)
    assert "send it again in 30 seconds" in denied.message
    assert isinstance(passed, Recorded)
    (fault,) = await of_partners([raiser.id])
    assert fault.faults == FAILURES  # what was denied unasked is no fault
    clock.now += FIRST_PAUSE
    await buy(engine, ("raiser", "r-again"))
    assert (await of_partners([raiser.id]))[0].faults == FAILURES + 1
    assert engine.containment.breakers.left(raiser.id) == 2 * FIRST_PAUSE


async def test_a_contract_may_name_the_kits_own_rules_as_what_goes_on(engine: Engine) -> None:
    for n in range(FAILURES):
        (failed,) = await buy(engine, ("kind", f"k{n}"))
        assert isinstance(failed, PartnerRuleFailed)
    (booked,) = await buy(engine, ("kind", "k-now"))
    assert isinstance(booked, Recorded)
    assert booked.evaluation is not None
    assert [(g.currency, g.points) for g in booked.evaluation.granted] == [(STAR, 1)]
    told = "its brand's own rules are suspended after faults"
    assert [(r.rule, r.because) for r in booked.evaluation.refused] == [(1, told)]
    assert await scalar("SELECT active FROM ledger") == 1
    # What went on by the kit's rules says nothing of the brand's own: it stays suspended.
    assert engine.containment.breakers.left(engine.rulebook.partners["kind"].id) == FIRST_PAUSE
    assert await prove() == []


def test_a_success_forgets_what_was_before_and_pauses_double_to_an_hour() -> None:
    clock = Clock()
    breakers = Breakers(clock)
    for _ in range(FAILURES - 1):
        assert breakers.failed(1) == 0
    breakers.passed(1)
    assert [breakers.failed(1) for _ in range(FAILURES)] == [0, 0, 0, 0, FIRST_PAUSE]
    assert breakers.left(2) == 0
    pauses = []
    for _ in range(8):
        clock.now += breakers.left(1)
        assert breakers.left(1) == 0
        pauses.append(breakers.failed(1))
    assert pauses == [60, 120, 240, 480, 960, 1920, LONGEST_PAUSE, LONGEST_PAUSE]
    breakers.passed(1)
    assert breakers.failed(1) == 0


class Panic(BaseException):
    """As a foreign library raises it."""


@earn_rule("panics", "Raises what is no Exception")
def panics(purchase: Purchase, facts: Facts) -> Effects:
    raise Panic


async def test_a_panic_costs_its_own_purchase_alone(database: str) -> None:
    programme = Programme(currencies=(CurrencySettings(code=STAR, name=STAR),))
    engine = Engine(await install(programme, [brand("alpha"), brand("bad", panics)], NOW))
    await enrol_cards(["1"])
    failed, booked = await buy(engine, ("bad", "1"), ("alpha", "2"))
    assert isinstance(failed, PartnerRuleFailed)
    assert isinstance(booked, Recorded)
    (fault,) = await of_partners([engine.rulebook.partners["bad"].id])
    assert fault[1:4] == ("panics", "raised Panic", 1)


async def test_what_a_receipt_alone_brings_about_suspends_nobody(
    engine: Engine, clock: Clock
) -> None:
    """A kit's rule refuses what is beyond all bounds; nor does it prolong a pause."""
    kind = engine.rulebook.partners["kind"]
    for n in range(FAILURES):
        await buy(engine, ("kind", f"k{n}"))
    assert engine.containment.breakers.left(kind.id) == FIRST_PAUSE
    beyond = PointsPerVisit(STAR, 10**15)
    terms = replace(kind, earn=(RuleTerms(kind.earn[0].id, beyond),), on_faults=OnFaults.BASE)
    lone = Purchase("kind", "x", NOW, "USD", (Line("A", 100),))
    for _ in range(3 * FAILURES):
        engine.containment.judge(terms, lone, Facts())
        engine.containment._note(terms, "visit", "answered what no rule may", tentative=False)
    assert engine.containment.breakers.left(kind.id) == FIRST_PAUSE


async def test_a_quote_suspends_nobody_and_clears_nobody(engine: Engine, clock: Clock) -> None:
    bad = engine.rulebook.partners["raiser"]
    items = [receipt(engine, f"q{n}", "1", NOW, partner="raiser") for n in range(2 * FAILURES)]
    outcomes = await engine.quote(items, NOW)
    assert all(isinstance(outcome, PartnerRuleFailed) for outcome in outcomes)
    assert engine.containment.breakers.left(bad.id) == 0
    (fault,) = await of_partners([bad.id])
    assert fault[3] == 2 * FAILURES
    # What is recorded counts, whatever was quoted between.
    for n in range(FAILURES):
        await buy(engine, ("raiser", f"b{n}"))
        await engine.quote([receipt(engine, f"g{n}", "1", NOW, partner="raiser")], NOW)
    assert engine.containment.breakers.left(bad.id) == FIRST_PAUSE


async def test_a_data_rule_is_no_code_of_a_partners_and_goes_on_while_it_is_suspended(
    engine: Engine, clock: Clock
) -> None:
    """Nor does it suspend anybody, whatever a receipt makes it give."""
    kind = engine.rulebook.partners["kind"]
    said = {"code": "data", "title": "Data", "award": {"currency": STAR, "points": 3}}
    vast = {**said, "code": "vast", "award": {"currency": STAR, "points": 10**9, "each_unit": True}}
    terms = kind.with_rules((*kind.earn, RuleTerms(0, rule_of(parse(said)))))
    lone = Purchase("kind", "x", NOW, "USD", (Line("A", 100),))
    for _ in range(FAILURES):
        with pytest.raises(PartnerRuleFailed):
            engine.containment.judge(terms, lone, Facts())
    assert engine.containment.breakers.left(kind.id) == FIRST_PAUSE
    # The visit's star and the data rule's three; the brand's own rule is passed over.
    assert engine.containment.judge(terms, lone, Facts()).points(STAR) == 4
    omega = engine.rulebook.partners["omega"]
    beyond = omega.with_rules((RuleTerms(0, rule_of(parse(vast))),))
    many = Purchase("omega", "x", NOW, "USD", (Line("A", 100, 10**15),))
    for _ in range(3 * FAILURES):
        with pytest.raises(PartnerRuleFailed):
            engine.containment.judge(beyond, many, Facts())
    assert engine.containment.breakers.left(omega.id) == 0
