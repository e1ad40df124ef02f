"""Faults of redeem rules stay theirs: ended, named, counted, suspended, and harm nobody else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from core.check import prove
from core.containment import FAILURES, FIRST_PAUSE, Breakers, Containment
from core.errors import NotEligible, PartnerRuleFailed
from core.paying import PayRequest, pay
from core.posting import Engine
from core.programme import ContractSettings, CurrencySettings, Programme
from core.redeemed import Redemption
from core.store.faults import of_partners
from core.store.reference import Declared, install
from laurels import (
    Checkout,
    Discount,
    Money,
    Nothing,
    Partner,
    PayWithPoints,
    PointsPerVisit,
    RedeemRule,
    deadline,
)
from laurels.rules import Terms
from tests.core.shop import dump
from tests.support import NOW, enrol_cards, receipt

STAR = "STAR"
BILL = Money(10_000, "USD")
PLAIN = PayWithPoints(STAR, points=10, worth="1.00 USD")


@dataclass
class Rule:
    """A redeem rule that answers by a function."""

    code: str
    answer: Callable[[Checkout], object]
    title: str = "A rule of our own"
    currency: str = STAR
    terms: Terms = field(default_factory=dict)

    def discount(self, checkout: Checkout) -> Discount | Nothing:
        return self.answer(checkout)  # type: ignore[return-value]  # the fault, where there is one


def raises(checkout: Checkout) -> object:
    raise ValueError("ada@example.com pays for wine")


def leaves(checkout: Checkout) -> object:
    raise SystemExit(2)


def loops(checkout: Checkout) -> object:
    while True:
        pass


def stubborn(checkout: Checkout) -> object:
    """Swallows what would end it, three times."""
    for _ in range(3):
        try:
            loops(checkout)
        except BaseException:
            continue
    return loops(checkout)


LATE = "took longer than a rule may on a payment"
WRONG = "answered what no rule may on a payment"
FAULTS: dict[str, tuple[Callable[[Checkout], object], str]] = {
    "raises": (raises, "raised ValueError on a payment"),
    "leaves": (leaves, "raised SystemExit on a payment"),
    "loops": (loops, LATE),
    "stubborn": (stubborn, LATE),
    "too-many": (lambda c: Discount(c.balance + 1, Money(1, "USD")), WRONG),
    "none": (lambda c: Discount(0, Money(1, "USD")), WRONG),
    "negative": (lambda c: Discount(-5, Money(1, "USD")), WRONG),
    "a-flag": (lambda c: Discount(True, Money(1, "USD")), WRONG),
    "half": (lambda c: Discount(1.5, Money(1, "USD")), WRONG),  # type: ignore[arg-type]  # the fault
    "too-much": (lambda c: Discount(1, Money(c.total.minor + 1, "USD")), WRONG),
    "gives-back": (lambda c: Discount(1, Money(-1, "USD")), WRONG),
    "other-money": (lambda c: Discount(1, Money(1, "EUR")), WRONG),
    "no-money": (lambda c: Discount(1, None), WRONG),  # type: ignore[arg-type]  # the fault
    "a-number": (lambda c: 100, WRONG),
    "silent": (lambda c: None, WRONG),
    "no-words": (lambda c: Nothing(b"no"), WRONG),  # type: ignore[arg-type]  # the fault
    "half-words": (lambda c: Nothing("\ud800"), WRONG),
}


@dataclass
class Clock:
    """Moved by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The breakers' clock."""
    return Clock()


@pytest.fixture
async def engine(database: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A brand with every faulty rule and a good one, and a good brand; member 1 has a hundred."""
    monkeypatch.setattr(deadline, "DEADLINE", 0.05)
    programme = Programme(
        currencies=(CurrencySettings(code=STAR, name=STAR),),
        contracts={c: ContractSettings(issues=(STAR,), accepts=(STAR,)) for c in ("bad", "good")},
    )
    own = [Rule(code, answer) for code, (answer, _) in FAULTS.items()]
    made = Engine(await install(programme, [brand("bad", *own), brand("good")], NOW))
    made.containment = Containment(Breakers(clock))
    await enrol_cards(["1"])
    await made.record_purchases([receipt(made, "A", "1", NOW, partner="good")], NOW)
    return made


def brand(code: str, *rules: RedeemRule) -> Declared:
    """A brand that gives a hundred stars a visit, and takes them by these rules and a plain one."""
    return Declared(
        code, "1", Partner(code, code.title(), issues=(STAR,)),
        earn_rules=[PointsPerVisit(STAR, 100)], redeem_rules=[PLAIN, *rules],
    )  # fmt: skip


async def paid(
    engine: Engine, rule: str, partner: str = "bad", key: str = "k", offered: int | None = None
) -> Redemption:
    """Pay part of a bill of a hundred dollars."""
    holder = 1024
    return await pay(engine, PayRequest("till", key, partner, holder, rule, BILL, offered), NOW)


@pytest.mark.parametrize("code", FAULTS)
async def test_a_faulty_rule_is_named_and_takes_nothing(engine: Engine, code: str) -> None:
    before = await dump()
    with pytest.raises(PartnerRuleFailed, match=f"^partner 'bad', rule '{code}': "):
        await paid(engine, code)
    after = await dump()
    assert {t for t, rows in after.items() if rows != before[t]} == {"rule_fault"}
    bad, good = (engine.rulebook.partners[c].id for c in ("bad", "good"))
    (fault,) = await of_partners([bad, good])
    assert fault == (bad, code, FAULTS[code][1], 1, NOW, NOW)
    assert "ada@example.com" not in str(after["rule_fault"])
    # Its own key is still free, and its neighbours work.
    assert (await paid(engine, PLAIN.code, offered=10)).points == 10
    assert (await paid(engine, PLAIN.code, "good", "g", offered=10)).points == 10
    assert await prove() == []


async def test_a_rule_that_goes_on_failing_is_suspended_by_itself(
    engine: Engine, clock: Clock
) -> None:
    bad = engine.rulebook.partners["bad"]
    for n in range(FAILURES):
        with pytest.raises(PartnerRuleFailed, match="raised ValueError"):
            await paid(engine, "raises", key=f"r{n}")
        # What its partner's purchases come to says nothing of it, one way or the other.
        item = receipt(engine, f"P{n}", "1", NOW, partner="bad")
        await engine.record_purchases([item], NOW)
    with pytest.raises(PartnerRuleFailed, match="send it again in 30 seconds"):
        await paid(engine, "raises", key="now")
    (fault,) = await of_partners([bad.id])
    assert fault.faults == FAILURES  # unasked it did nothing
    assert engine.containment.breakers.left(bad.id) == 0
    with pytest.raises(PartnerRuleFailed, match="raised SystemExit"):
        await paid(engine, "leaves")
    assert (await paid(engine, PLAIN.code, offered=10)).points == 10
    clock.now += FIRST_PAUSE
    with pytest.raises(PartnerRuleFailed, match="raised ValueError"):
        await paid(engine, "raises", key="again")
    assert engine.containment.breakers.left((bad.id, "raises")) == 2 * FIRST_PAUSE


async def test_a_good_answer_forgets_faults_and_a_refusal_is_none(
    engine: Engine, clock: Clock
) -> None:
    """The control: whoever answers in time and in truth is never suspended."""
    bad = engine.rulebook.partners["bad"]
    key = (bad.id, PLAIN.code)
    for _ in range(FAILURES - 1):
        engine.containment.breakers.failed(key)
    with pytest.raises(NotEligible):
        await paid(engine, PLAIN.code, offered=1)
    assert engine.containment.breakers.failed(key) == 0
    assert await of_partners([bad.id]) == []
