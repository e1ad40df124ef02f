"""Referral: both are rewarded, with limits; the thanks go back with the purchase they were for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from core.check import prove
from core.errors import UnknownReference
from core.occasions import tell
from core.purchases import LineInput, find_partner
from core.referrals import code_of
from core.returning import record
from core.returns import ReturnInput, check_cancel, check_edit, check_return
from laurels import (
    Activity,
    Cap,
    Effects,
    Facts,
    Group,
    PointsPerVisit,
    Purchase,
    award,
    capped,
    earn_rule,
    grouped,
    nothing,
    thank_referrer,
)
from tests.core.club import balance, bought, gift, join, open_club, waiting
from tests.support import DAY, NOW, books, scalar

pytestmark = pytest.mark.asyncio


def referring(*, limit: int = 2) -> list[Any]:
    @earn_rule("friend", "Twenty for who was referred, with the first 10.00")
    def friend(purchase: Purchase, facts: Facts) -> Effects:
        if "referred" not in facts.attributes:
            return nothing("nobody referred this member")
        if purchase.total < "10.00":
            return nothing("spend 10.00")
        return [award("POINT", 20), thank_referrer()]

    thanks = capped(gift("referral", 30), Cap(times=limit, per="calendar 1Y"))
    return [capped(friend, Cap(times=1)), thanks]


async def test_referral_is_two_sided_with_limits(database: str) -> None:
    engine = await open_club(*referring())
    first = await join(engine, "1")
    code = await code_of(first, NOW)
    assert await code_of(first, NOW) == code
    for n in range(2, 6):
        await join(engine, str(n), referred_by=code.lower())
        assert await bought(engine, f"small-{n}", "9.99", member=str(n)) == []
        assert await balance("1") == 30 * min(n - 2, 2)
        assert await bought(engine, f"R-{n}", "10.00", member=str(n)) == [20]
        assert await bought(engine, f"again-{n}", "10.00", member=str(n)) == []
    # Two of a year: the others found the cap, and stand in the books with that.
    assert await balance("1") == 60
    assert await scalar("SELECT count(*) FROM event WHERE kind = 19") == 4
    assert await waiting() == []
    assert await prove() == []


async def test_thanks_are_taken_back_with_the_purchase_and_not_given_again(database: str) -> None:
    engine = await open_club(*referring())
    code = await code_of(await join(engine, "1"), NOW)
    await join(engine, "2", referred_by=code)
    await bought(engine, "R-1", "10.00", member="2")
    assert (await balance("1"), await balance("2")) == (30, 20)
    terms = find_partner(engine.rulebook, "club")
    some = check_return(terms, ReturnInput("B-1", "R-1", NOW, amount="4.00"))
    await record(engine, [some], NOW)
    assert (await balance("1"), await balance("2")) == (30, 12)
    await record(engine, [check_cancel(terms, "R-1", NOW)], NOW)
    assert (await balance("1"), await balance("2")) == (0, 0)
    assert await bought(engine, "R-2", "10.00", member="2") == [20]
    await tell(engine, NOW + DAY)
    assert (await balance("1"), await balance("2")) == (0, 20)
    assert await waiting() == []
    assert await prove() == []


async def test_thanks_that_were_never_booked_are_let_go_with_the_purchase(database: str) -> None:
    @earn_rule("broken", "Fails", on="referral")
    def broken(activity: Activity, facts: Facts) -> Effects:
        raise ValueError

    engine = await open_club(referring()[0], broken)
    code = await code_of(await join(engine, "1"), NOW)
    await join(engine, "2", referred_by=code)
    await bought(engine, "R-1", "10.00", member="2")
    assert [attempts for _, attempts, _ in await waiting()] == [1]
    terms = find_partner(engine.rulebook, "club")
    await record(engine, [check_cancel(terms, "R-1", NOW)], NOW)
    # Another may be telling it in this very moment: it is looked for once more.
    assert [name.partition(":")[0] for name, _, _ in await waiting()] == ["withdraw"]
    await tell(engine, NOW + DAY)
    assert await waiting() == []
    assert await prove() == []


async def test_only_who_is_new_is_referred_and_by_a_code_that_is_one(database: str) -> None:
    engine = await open_club(*referring())
    first = await join(engine, "1")
    code = await code_of(first, NOW)
    await join(engine, "2")
    await join(engine, "2", referred_by=code)
    await join(engine, "1", referred_by=code)
    assert (await books(["referral"]))["referral"] == []
    with pytest.raises(Exception, match="nobody refers by this code") as caught:
        await join(engine, "3", referred_by="NOBODY22")
    assert getattr(caught.value, "path", None) == (0, "referredBy")
    assert await scalar("SELECT count(*) FROM identifier") == 2


async def friends(engine: Any) -> Any:
    """A member and a friend whom it referred; the club's terms."""
    code = await code_of(await join(engine, "1"), NOW)
    await join(engine, "2", referred_by=code)
    return find_partner(engine.rulebook, "club")


async def test_thanks_stand_while_the_purchase_that_brought_them_does(database: str) -> None:
    """Every later one says thanks too; once is enough, and another's cancel takes nothing back."""
    engine = await open_club(*referring())
    terms = await friends(engine)
    for name in ("R-1", "R-2"):
        await bought(engine, name, "10.00", member="2")
    for n, name in enumerate(("R-2", "R-1")):
        assert (await balance("1"), await balance("2")) == (30, 20)
        await record(engine, [check_cancel(terms, name, NOW + timedelta(seconds=n))], NOW + DAY)
    assert (await balance("1"), await balance("2")) == (0, 0)
    await bought(engine, "R-3", "10.00", member="2")
    await record(engine, [check_cancel(terms, "R-3", NOW + DAY)], NOW + DAY)
    assert await waiting() == []
    assert await balance("1") == 0
    assert await prove() == []


async def test_an_edit_thanks_or_takes_the_thanks_back(database: str) -> None:
    engine = await open_club(*referring())
    terms = await friends(engine)
    await bought(engine, "R-1", "5.00", member="2")
    for revision, amount, points in ((2, "10.00", 50), (3, "5.00", 0)):
        lines = [LineInput("A", amount)]
        at = NOW + timedelta(seconds=revision)
        await record(engine, [check_edit(terms, "R-1", revision, at, lines, "USD")], NOW + DAY)
        await tell(engine, NOW + DAY)
        assert await balance("1") + await balance("2") == points
    assert await waiting() == []
    assert await prove() == []


async def test_who_loses_in_its_group_thanks_nobody(database: str) -> None:
    friend, thanks = referring()
    big = PointsPerVisit("POINT", 500, code="big")
    engine = await open_club(*grouped(Group("g"), friend, big), thanks)
    await friends(engine)
    assert await bought(engine, "R-1", "10.00", member="2") == [500]
    assert (await balance("1"), await balance("2")) == (0, 500)


@pytest.mark.parametrize("code", ["", "\0", "\ud800", "x" * 500, "ABCD 234"])
async def test_what_is_no_code_refers_nobody(database: str, code: str) -> None:
    engine = await open_club(*referring())
    with pytest.raises(UnknownReference, match="nobody refers by this code"):
        await join(engine, "1", referred_by=code or " ")
