"""Points that a redemption is made into: quantities, tiers, expiry, races, and the proof of it."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from core.adjustments import AdjustRequest, adjust
from core.check import prove
from core.db import Connection
from core.errors import BadInput, NotAllowed, NotEligible, Refusal, WrongState
from core.inbound import keep, named, work
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.paying import PayRequest, pay
from core.posting import Engine
from core.pricing import RedeemRequest
from core.programme import Programme
from core.redeemed import Redemption, Status
from core.redemptions import redeem
from core.reversals import ReverseRequest, reverse_redemption
from core.store.inbound import Arrived, State, read
from core.store.reference import Declared, install
from laurels import Currency, Duration, Ladder, Message, Money, Partner, PayWithPoints, Reward, Tier
from tests.core.webshop import created, log, open_webshop
from tests.support import DAY, NOW, books, card, enrol_cards, figures, scalar

POINT = Currency("POINT", "Points")
CREDIT = Currency("CREDIT", "Credit", expires="10D")
BANK = Declared(
    "bank", "1", Partner("bank", "The Bank", currencies=[POINT, CREDIT], trades_in=["USD"]),
    redeem_rules=[PayWithPoints(CREDIT, 1, "0.01 USD")],
    rewards=[
        Reward("five", "Five dollars", {POINT: 50}, gives={CREDIT: 500}),
        Reward("once", "The only one", {POINT: 10}, stock=1, gives={CREDIT: 7}),
        Reward("alien", "Of nobody's", {POINT: 10}, gives={"MOON": 7}),
    ],
    ladders=[Ladder("bank", CREDIT.earned, [Tier("foot", 0), Tier("top", 1)])],
)  # fmt: skip
DAYS = Duration.parse("1D")
MADE = "decisions replayed = transfers, hashes"


@pytest.fixture
async def bank(database: str) -> Engine:
    """The bank on a fresh database."""
    return Engine(await install(Programme(), [BANK], NOW))


@pytest.fixture
async def ada(bank: Engine) -> int:
    """A member with 100 points."""
    [holder] = await enrol_cards(["1"])
    given = AdjustRequest("sam", "start", "admin", holder, "POINT", 100, "goodwill")
    await adjust(bank, given, NOW)
    return holder


def wanted(holder: int, reward: str = "five", key: str = "k", quantity: int = 1) -> RedeemRequest:
    return RedeemRequest("till", key, "bank", holder, reward, quantity=quantity)


def back(holder: int, made: Redemption, key: str = "r") -> ReverseRequest:
    return ReverseRequest("till", key, holder, made.id, "mistaken")


async def held(holder: int) -> list[int]:
    """Active points, by currency in the order of their ids."""
    return [row[2] for row in await figures([holder], NOW)]


async def test_each_piece_gives_and_no_tier_comes_of_it(bank: Engine, ada: int) -> None:
    made = await redeem(bank, wanted(ada, quantity=2), NOW)
    assert await held(ada) == [0, 1000]
    assert await scalar("SELECT count(*) FROM qualification") == 0
    assert await scalar("SELECT max(rank) FROM standing") in (None, 0)
    done = await reverse_redemption(bank, back(ada, made), NOW)
    assert done.status is Status.REVERSED
    assert await held(ada) == [100, 0]
    assert await prove() == []


async def test_what_has_expired_is_not_taken_back(bank: Engine, ada: int) -> None:
    made = await redeem(bank, wanted(ada), NOW)
    before = await books()
    with pytest.raises(WrongState, match="of which 500 are spent or gone"):
        await reverse_redemption(bank, back(ada, made), NOW + 11 * DAY)
    assert await books() == before
    assert await prove() == []


@pytest.mark.parametrize(
    ("request_", "error", "path"),
    [
        (wanted(0, "alien"), NotAllowed, ("reward",)),
        (RedeemRequest("till", "k", "bank", 0, "five", hold=DAYS), BadInput, ("hold",)),
        (RedeemRequest("till", "k", "bank", 0, "five", order="O-1"), BadInput, ("order",)),
        (wanted(0, quantity=3), NotEligible, ("reward",)),
    ],
)  # fmt: skip
async def test_what_is_refused_books_nothing(
    bank: Engine, ada: int, request_: RedeemRequest, error: type[Refusal], path: tuple[str, ...]
) -> None:
    before = await books()
    request = RedeemRequest(
        request_.caller, request_.key, request_.partner, ada, request_.reward, None, request_.hold,
        request_.quantity, request_.order,
    )  # fmt: skip
    with pytest.raises(error) as refused:
        await redeem(bank, request, NOW)
    assert refused.value.path == path
    assert await books() == before


async def test_the_last_one_makes_points_once(bank: Engine, ada: int) -> None:
    some = [redeem(bank, wanted(ada, "once", f"k{n}"), NOW) for n in range(4)]
    outcomes = await asyncio.gather(*some, return_exceptions=True)
    assert sorted(type(x).__name__ for x in outcomes)[0] == "Redemption"
    assert sum(isinstance(x, Redemption) for x in outcomes) == 1
    assert await held(ada) == [90, 7]
    assert await prove() == []


async def test_of_spending_and_taking_back_at_once_one_wins(bank: Engine, ada: int) -> None:
    made = await redeem(bank, wanted(ada), NOW)
    bill = PayRequest("till", "p", "bank", ada, "pay-with-points", Money(100, "USD"))
    spent, taken = await asyncio.gather(
        pay(bank, bill, NOW), reverse_redemption(bank, back(ada, made), NOW), return_exceptions=True
    )
    assert isinstance(spent, Refusal) != isinstance(taken, Refusal), (spent, taken)
    assert await held(ada) == ([100, 0] if isinstance(spent, Refusal) else [50, 400])
    assert await prove() == []


@pytest.mark.parametrize(
    "statements",
    [
        """UPDATE decision SET content = replace(content, ',500]', ',501]') WHERE kind = 2""",
        """UPDATE decision SET content = replace(content, ',500]', ',501]') WHERE kind = 13""",
    ],
)
async def test_a_falsified_making_is_named(
    bank: Engine, ada: int, database: str, statements: str
) -> None:
    made = await redeem(bank, wanted(ada), NOW)
    await reverse_redemption(bank, back(ada, made), NOW)
    assert await prove() == []  # the control
    connection: Connection = await asyncpg.connect(database)
    try:
        await connection.execute("SET session_replication_role = replica")
        assert await connection.execute(statements) == "UPDATE 1"
    finally:
        await connection.close()
    told = [str(finding) for finding in await prove() if finding.check == MADE]
    assert any("made into" in finding for finding in told), told


async def test_who_enrols_as_an_order_comes_in_has_it_at_once(database: str) -> None:
    """Whichever is first, nothing waits for an hour."""
    engine = await open_webshop()
    partner = engine.rulebook.partners["webshop"]
    for number in range(1, 9):
        hook = created(number, 1, ("10.00", 1), customer=number)
        message = Message(hook.headers, hook.body)
        received = engine.containment.read(partner, partner.adapters["shopify"], message)
        name, subject, version = named(received, message)
        given = Arrived(
            partner.id, "shopify", name, subject, version, hook.headers, hook.body
        )  # fmt: skip
        await keep(engine, given, NOW)
        ref = MemberRef.make(IdentifierKind.REFERENCE, str(number), partner.id)
        await asyncio.gather(
            work(engine, NOW), enrol(engine.ids, [Enrolment([ref, card(str(number))])], NOW)
        )
        await work(engine, NOW)
    assert {row.state for row in await log()} == {State.DONE}
    assert await scalar("SELECT count(*) FROM event WHERE kind = 1") == 8
    assert [row.state for row in await read([1])] == [State.DONE]
