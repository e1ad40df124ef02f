"""Erasing a member: nothing personal is left, the books stand, and nobody comes in again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.adjustments import AdjustRequest, adjust
from core.check import prove
from core.db import reading, transaction
from core.erasing import CALLER, EraseRequest, erase, lapse_left
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotEligible,
    Refusal,
    UnknownReference,
)
from core.gifts import give
from core.joining import Login, join, part
from core.members import Enrolment, IdentifierKind, MemberRef, Telling, enrol
from core.nightly import run as night
from core.occasions import note
from core.outcomes import Recorded
from core.posting import Engine
from core.redemptions import cancel, confirm, redeem
from core.referrals import code_of
from core.store import lookups
from core.store.verdicts import OPAQUE, PASSING, PERSONAL, REFERENCE, kept_of
from laurels import SetAttribute
from tests.core import market
from tests.core.constraints import CONSTRAINTS
from tests.core.inn import rows_of_surveys
from tests.core.lantern import asked as kudos
from tests.core.lantern import hire, open_company, pay_out
from tests.core.shop import balance, days, dump, earn, open_shop, wish
from tests.support import NOW, blocked, card, enrol_cards, receipt, scalar

LATER = NOW + days(1)
#: It takes a company of colleagues: erased in a test of its own.
WORDS = "gift_message"


def asked(holder: int, key: str = "k", reason: str = "asked") -> EraseRequest:
    return EraseRequest("admin:root", key, holder, reason)


async def rows_of(holder: int) -> dict[str, int]:
    """How many rows each personal table has of a member."""
    found = {}
    async with reading() as connection:
        for table, each in PERSONAL.items():
            where = each.where.replace("{holder}", "$1::bigint")
            query = f"SELECT count(*) FROM {table} t WHERE {where}"
            found[table] = await connection.fetchval(query, holder)
    return found


async def full_life(shop: Engine, number: str, holder: int) -> None:
    """Leave something personal in every table that has any, but for WORDS."""
    grocer = shop.rulebook.partners["grocer"]
    bought = await earn(shop, f"R-{number}", "100.00", number)
    declined = await redeem(shop, wish(holder, "mug", key=f"d{number}", hold="5h"), NOW)
    await cancel(shop, holder, declined.id, "admin:", f"x{number}", NOW)
    await redeem(shop, wish(holder, "mug", key=number), NOW)
    given = AdjustRequest(
        "admin:root", f"a{number}", "admin", holder, "STAR", 7, "goodwill", note=f"Rang {number}"
    )
    await adjust(shop, given, NOW)
    await note(shop, grocer, holder, [SetAttribute("shoe-size", f"4{number}")], NOW)
    code = await code_of(holder, NOW)
    friend = [MemberRef.make(IdentifierKind.CARD, f"friend-{number}")]
    await enrol(shop.ids, [Enrolment(friend, "A friend", partner=grocer.id, referred_by=code)], NOW)
    mail = MemberRef.make(IdentifierKind.EMAIL, f"m{number}@example.com")
    own = [card(number), mail]
    await enrol(shop.ids, [Enrolment(own, birthday=423, telling=Telling.SURE)], NOW)
    await join(shop.ids, Login.of("https://x.test", number, [mail]), Enrolment(()), NOW)
    await part(holder)
    await rows_beside(holder, number, grocer.id, bought.event, declined.id)
    await rows_of_surveys(holder, number, grocer.id, bought.event)


async def rows_beside(holder: int, number: str, grocer: int, bought: int, taken: int) -> None:
    """What it takes a shop, an adapter or a till to leave, as it stands in the tables."""
    async with transaction() as connection:
        named = "UPDATE member SET name = $2 WHERE holder_id = $1"
        await connection.execute(named, holder, f"Name {number}")
        await connection.execute(
            "INSERT INTO fulfilment (holder_id, redemption_id, partner_id, requested_at, "
            "decided_at, approved, caller, reason) VALUES ($1, $2, $3, $4, $4, false, 'admin:', "
            "$5)",
            holder, taken, grocer, NOW, f"Too late, {number}",
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO ahead_order (holder_id, id, partner_id, store, placed_at, pickup_at, "
            "until_at, money, tender, content, closed_at) VALUES ($1, $2, $3, 'hill', $4, $4, "
            "$5, 'USD', '', '[]', $4)",
            holder, int(number), grocer, NOW, NOW + days(1),
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO personal_offer (holder_id, partner_id, offers, period_at, rule, from_at, "
            "until_at, because, control) VALUES ($1, $2, 'weekly', $3, 'tea', $3, $4, "
            "'You like tea', true)",
            holder, grocer, NOW, NOW + days(7),
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO meetup (id, partner_id, code, title, place, latitude, longitude, radius, "
            "starts_at, ends_at, opens_at, tags, content_hash, created_at, taken) VALUES ($1, $2, "
            "'walk-' || $5::text, 'A walk', 'A hill', 0, 0, 50, $3, $4, $3, '{}', "
            "decode(repeat('00', 16), 'hex'), $3, 1)",
            int(number), grocer, NOW + days(20), NOW + days(21), number,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO registration (holder_id, meetup_id, partner_id, at) "
            "VALUES ($1, $2, $3, $4)",
            holder, int(number), grocer, NOW,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO export (id, viewer, query, variables, at, expires_at) VALUES "
            "($1, jsonb_build_object('role', 'member', 'holder', $2::bigint), '{ me { id } }', "
            "'{}', $3, $3::timestamptz + interval '1h')",
            int(number), holder, NOW,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO occasion (partner_id, external_id, holder_id, type, attributes, at, "
            "next_at) VALUES ($1, $2, $3, 'birthday', '{}', $4, $4)",
            grocer, f"birthday:{number}", holder, NOW + days(30),
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO inbound (partner_id, adapter, delivery, content_hash, subject, "
            "received_at, headers, body, state, done_at, asked_at, outcome) VALUES "
            "($1, 'shop', $2, sha256('x'), '', $3, '{}', $4, 2, $3, $3, "
            "jsonb_build_array(jsonb_build_object('purchase', 'R', 'event', $5::text)))",
            grocer, number, NOW, f"name {number}".encode(), str(bought),
        )  # fmt: skip


def test_every_table_has_a_verdict() -> None:
    """A table that nobody has looked at may hold somebody's name for ever."""
    verdicts = [set(PERSONAL), set(OPAQUE), set(REFERENCE), set(PASSING)]
    assert sum(map(len, verdicts)) == len(set().union(*verdicts))  # one each
    assert set(CONSTRAINTS) <= set().union(*verdicts)


async def test_the_list_is_of_the_tables_that_there_are(database: str) -> None:
    """By the database itself; and a table that is added without a verdict is named."""
    known = set(PERSONAL) | OPAQUE | REFERENCE | PASSING
    query = "SELECT array_agg(tablename) FROM pg_tables WHERE schemaname = 'public'"
    tables = set(await scalar(query)) - {"tortoise_migrations"}
    assert tables == known
    assert (tables | {"diary"}) - known == {"diary"}  # the control


async def test_nothing_personal_is_left_and_the_books_stand(database: str) -> None:
    """Of one of two members with full lives; of the other nothing changes but what was shared."""
    shop = await open_shop()
    ada, bob = await enrol_cards(["1", "2"])
    for number, holder in (("1", ada), ("2", bob)):
        await full_life(shop, number, holder)
    before = await rows_of(ada), await rows_of(bob)
    assert before[0] == before[1]
    full = [rows for table, rows in before[0].items() if table != WORDS]
    assert min(full) >= 1, before[0]  # or the rest would prove nothing
    # 100 stars for as many dollars, 7 by hand, less 50 for a mug.
    assert (await balance(shop, ada, NOW))["active"] == 57
    books = await dump()
    done = await erase(shop, asked(ada), LATER)
    assert (done.at, done.replayed) == (LATER, False)
    assert set((await rows_of(ada)).values()) == {0}
    assert await rows_of(bob) == before[1]
    after = await dump()
    changed = {table for table in after if after[table] != books[table]}
    moved = {"adjustment", "allocation", "decision", "event", "holder", "ledger", "lot", "meetup",
             "outbox", "request_key", "transfer"}  # fmt: skip
    assert changed == (set(PERSONAL) | moved) - {WORDS}
    for table in ("decision", "event", "transfer", "allocation", "adjustment"):
        assert set(books[table]) < set(after[table])  # only added to
    for said in ("m1@example.com", "Name 1", "Rang 1", b"name 1".hex()):
        assert not [t for t, rows in after.items() if any(said in row for row in rows)], said
        assert [t for t, rows in books.items() if any(said in row for row in rows)], said
    # All gone by one adjustment, of nobody's.
    assert (await balance(shop, ada, LATER))["active"] == 0
    row = await scalar(
        "SELECT (points, reason, role, caller, partner_id)::text FROM adjustment "
        "WHERE holder_id = $1 AND points < 0", ada,
    )  # fmt: skip
    assert row == f"(-57,erased,programme,{CALLER},0)"
    assert (await balance(shop, bob, LATER))["active"] == 57
    assert await prove() == []


async def test_words_that_went_with_gifts_are_erased_on_both_sides(database: str) -> None:
    """What was written by a member who leaves, and what was written to it; no more."""
    company = await open_company()
    ada, bob, cem = [await hire(company, str(n)) for n in (1, 2, 3)]
    for number in ("1", "2", "3"):
        await pay_out(company, number, 100)
    for n, (giver, receiver) in enumerate(((ada, bob), (bob, ada), (bob, cem))):
        await give(company, kudos(giver, receiver, 10, key=f"g{n}", message=f"Words {n}"), NOW)
    assert [row for table, row in await kept_of(ada) if table == WORDS] == [
        {"message": "Words 0"}, {"message": "Words 1"},
    ]  # fmt: skip
    await erase(company, asked(ada), LATER)
    assert await scalar(f"SELECT array_agg(message) FROM {WORDS}") == ["Words 2"]
    assert await scalar("SELECT count(*) FROM gift") == 3
    again = kudos(bob, ada, 10, key="late")
    with pytest.raises(UnknownReference):
        await give(company, again, LATER)
    assert await prove() == []


async def test_the_check_names_what_was_left_behind(database: str) -> None:
    """The control of the check: somebody writes beside the engine."""
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    await erase(shop, asked(ada), LATER)
    assert await prove() == []
    async with transaction() as connection:
        await connection.execute(
            "INSERT INTO identifier (kind, scope, value, holder_id) VALUES (1, 0, 'a@b.cd', $1)",
            ada,
        )
    [found] = await prove()
    assert found.check == "erased members leave nothing"
    assert found.where == f"holder {ada}"
    assert (await erase(shop, asked(ada, "again"), LATER + days(1))).at == LATER  # it sweeps
    assert await prove() == []


async def test_it_is_done_once(database: str) -> None:
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    await earn(shop, "R", "10.00")
    done = await asyncio.gather(*(erase(shop, asked(ada, f"k{n % 2}"), LATER) for n in range(4)))
    assert sorted(x.replayed for x in done) == [False, True, True, True]
    stands = await dump()
    again = await erase(shop, asked(ada, "k0"), LATER + days(3))
    assert (again.at, again.replayed) == (LATER, True)
    assert await dump() == stands
    with pytest.raises(IdempotencyConflict):
        await erase(shop, asked(ada, "k0", "other"), LATER)
    assert await scalar("SELECT count(*) FROM adjustment") == 1
    assert await prove() == []


@pytest.mark.parametrize(
    ("request_", "kind"),
    [(asked(4711), UnknownReference), (asked(0), UnknownReference),
     (asked(1, ""), BadInput), (asked(1, "k", ""), BadInput), (asked(1, "k", "x" * 65), BadInput)],
)  # fmt: skip
async def test_a_refusal_changes_nothing(
    database: str, request_: EraseRequest, kind: type[Refusal]
) -> None:
    shop = await open_shop()
    await enrol_cards(["1"])
    before = await dump()
    with pytest.raises(kind):
        await erase(shop, request_, LATER)
    assert await dump() == before


async def test_nobody_is_found_afterwards(database: str) -> None:
    """Not by tills, nor by number: nothing begins. Who enrols by the card is somebody else."""
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    await earn(shop, "R", "200.00")
    await erase(shop, asked(ada), LATER)
    item = receipt(shop, "R2", "1", LATER, ("SHOES", "10.00"))
    [outcome] = await shop.record_purchases([item], LATER)
    assert isinstance(outcome, UnknownReference)
    given = AdjustRequest("admin:root", "a", "admin", ada, "STAR", 7, "goodwill", note="Ada")
    grocer = shop.rulebook.partners["grocer"]
    for call in (
        lambda: adjust(shop, given, LATER),
        lambda: redeem(shop, wish(ada), LATER),
        lambda: note(shop, grocer, ada, [SetAttribute("a", "b")], LATER),
        lambda: code_of(ada, LATER),
    ):
        with pytest.raises(UnknownReference):
            await call()
    [(new, created)] = await enrol(shop.ids, [Enrolment([card("1")], "Eve")], LATER)
    assert created
    assert new != ada
    assert await lookups.members([ada]) == {}
    assert await prove() == []


async def test_a_till_that_books_at_the_same_time_is_before_or_after(database: str) -> None:
    """Either the points lapsed with the others, or the till found nobody: never in between.

    The control is the lock itself: one that didn't ask again would book on nobody.
    """
    shop = await open_shop()
    cards = [str(n) for n in range(12)]
    holders = await enrol_cards(cards)

    async def buy(n: int) -> bool:
        item = receipt(shop, f"R{n}", str(n), LATER, ("SHOES", "10.00"))
        [outcome] = await shop.record_purchases([item], LATER)
        assert isinstance(outcome, Recorded | UnknownReference)
        return isinstance(outcome, Recorded)

    calls: list[Any] = []
    for n, holder in enumerate(holders):
        pair = [buy(n), erase(shop, asked(holder, f"k{n}"), LATER)]
        calls += pair if n % 2 else reversed(pair)
    done = await asyncio.gather(*calls)
    booked = [x for x in done if x is True]
    assert len(booked) == await scalar("SELECT count(*) FROM event WHERE kind = 1")
    assert await scalar("SELECT coalesce(sum(active), 0) FROM ledger") == 0
    assert await scalar("SELECT count(*) FROM identifier") == 0
    assert await prove() == []


async def test_a_till_that_waits_for_the_erasure_finds_nobody(database: str) -> None:
    """It had found the member by the card already, and waited for its row."""
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    async with transaction() as connection:
        await connection.execute("SELECT FROM holder WHERE id = $1 FOR UPDATE", ada)
        item = receipt(shop, "R", "1", LATER, ("SHOES", "10.00"))
        buying = asyncio.create_task(shop.record_purchases([item], LATER))
        await blocked(1, buying)
        await connection.execute("UPDATE holder SET erased_at = $2 WHERE id = $1", ada, LATER)
        await connection.execute("DELETE FROM identifier WHERE holder_id = $1", ada)
        await connection.execute("DELETE FROM member WHERE holder_id = $1", ada)
    [outcome] = await buying
    assert isinstance(outcome, UnknownReference)
    assert await scalar("SELECT count(*) FROM event") == 0


async def test_who_enrols_at_the_same_time_leaves_nothing_behind(database: str) -> None:
    """By the card, with an address more: of the member that goes, or of a new one."""
    shop = await open_shop()
    for n in range(6):
        (ada,) = await enrol_cards([f"c{n}"])
        mail = MemberRef.make(IdentifierKind.EMAIL, f"a{n}@example.com")
        person = Enrolment([card(f"c{n}"), mail], telling=Telling.SURE)
        calls = [enrol(shop.ids, [person], LATER), erase(shop, asked(ada, f"k{n}"), LATER)]
        await asyncio.gather(*(calls if n % 2 else reversed(calls)))
        assert await scalar("SELECT count(*) FROM identifier WHERE holder_id = $1", ada) == 0
    assert await prove() == []


async def test_what_is_held_or_pending_lapses_when_it_comes_free(database: str) -> None:
    """A reward that is on its way may still be confirmed; else its points come back, and lapse."""
    shop = await open_shop()
    (ada,) = await enrol_cards(["1"])
    await earn(shop, "R", "300.00")
    held = await redeem(shop, wish(ada, key="h1", hold="2D"), NOW)
    other = await redeem(shop, wish(ada, key="h2", hold="2D"), NOW)
    await erase(shop, asked(ada), LATER)
    stands = await balance(shop, ada, LATER)
    assert (stands["active"], stands["reserved"]) == (0, 200)
    await confirm(shop, ada, held.id, "till", "c", LATER)
    assert (await night(shop, NOW + days(3))).erased == 100
    stands = await balance(shop, ada, NOW + days(3))
    assert (stands["active"], stands["reserved"]) == (0, 0)
    assert not await night(shop, NOW + days(3))
    with pytest.raises((NotEligible, Refusal)):
        await confirm(shop, ada, other.id, "till", "d", NOW + days(3))
    assert await prove() == []


async def test_pending_points_too(database: str) -> None:
    engine = await market.open_market()
    (ada,) = await enrol_cards(["1"])
    await market.buy(engine, "R", ("HELD", "40.00"), ("PLAIN", "5.00"))
    await erase(engine, asked(ada), LATER)
    assert await scalar("SELECT sum(active) FROM ledger") == 0
    assert await scalar("SELECT sum(pending) FROM ledger") == 40
    assert await lapse_left(engine, NOW + days(2)) == 0
    assert (await night(engine, NOW + days(15))).erased == 40
    assert await scalar("SELECT sum(active + pending) FROM ledger") == 0
    assert await prove() == []


async def test_what_is_told_to_the_member_is_what_would_be_erased(database: str) -> None:
    """Each piece of it, and nothing of anybody else's."""
    shop = await open_shop()
    ada, bob = await enrol_cards(["1", "2"])
    for number, holder in (("1", ada), ("2", bob)):
        await full_life(shop, number, holder)
    told = await kept_of(ada)
    silent = {table for table, each in PERSONAL.items() if not each.told}
    assert {table for table, _ in told} == set(PERSONAL) - silent - {WORDS}
    assert silent == {"parted_login"}
    text = str(told)
    for said in ("m1@example.com", "Name 1", "Rang 1", "423", "41"):
        assert said in text
    for said in ("m2@example.com", "Name 2", "Rang 2", "42'"):
        assert said not in text
    await erase(shop, asked(ada), LATER)
    assert await kept_of(ada) == []
