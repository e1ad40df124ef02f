"""What subscriptions tell, to whom, and when they end; over real sockets."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
import pytest_asyncio

from app.tokens import issue
from core.db import reading
from schema.rates import RATES, Buckets, Rate
from schema.subscriptions import LEASE
from tests.schema.client import CONFIRM, REDEEM, SECRET, Client, receipt, statements
from tests.schema.roots import AT, HERO
from tests.schema.wire import Live, holder_of, live

LEDGER = """subscription($member: MemberBy, $currency: String) {
  ledgerChanged(member: $member, currency: $currency) {
    id currency { code } balance { active } entries(first: 2) { edges { node { amount } } } } }"""
TIER = """subscription($member: MemberBy, $ladder: String) {
  tierChanged(member: $member, ladder: $ladder) { ladder { code } current { code } value } }"""
REDEMPTION = """subscription($member: MemberBy, $redemption: ID) {
  redemptionChanged(member: $member, redemption: $redemption) { id status } }"""
ACTIVITY = """subscription($partner: String, $member: MemberBy) {
  activity(partner: $partner, member: $member) { kind at partner { code } member { id }
    entries { amount } purchase { externalId } redemption { id status } } }"""


@pytest_asyncio.fixture(loop_scope="session")
async def served(api: Client) -> AsyncIterator[Live]:
    """The coalition, served on a port."""
    async with live(api) as made:
        yield made


class Shop:
    """Ada, who buys at the grocer's."""

    def __init__(self, served: Live, member: str) -> None:
        self.api, self.served, self.member = served.api, served, member
        self.who = self.api.member(member)
        self.holder = holder_of(member)
        self.bought = 0

    @classmethod
    async def open(cls, served: Live, card: str = "1") -> Shop:
        return cls(served, await served.api.enrol(card))

    async def buy(self, amount: str, card: str = "1") -> None:
        self.bought += 1
        number = f"R-{card}-{self.bought}"
        bought = receipt(number, card, AT, ("PRODUCE", amount))
        [done] = await self.api.buy("admin:root", "grocer", bought)
        assert done["__typename"] == "PurchaseRecorded", done

    async def star(self) -> None:
        bought = receipt("S", "1", AT, ("COFFEE", "9.00"), currency="EUR")
        [done] = await self.api.buy("admin:root", "cafe", bought)
        assert done["__typename"] == "PurchaseRecorded", done

    @property
    def currencies(self) -> dict[str, int]:
        return {c.code: i for i, c in self.api.engine.rulebook.currencies.items()}


async def test_ledgers_are_told_as_they_are_at_first_and_then_whenever_they_change(
    served: Live,
) -> None:
    shop = await Shop.open(served)
    await shop.buy("10.00")
    async with served.open(shop.who) as wire:
        await wire.subscribe("1", LEDGER)
        first = [await wire.next(), await wire.next()]
        assert {x["currency"]["code"]: x["balance"]["active"] for x in first} == {
            "LAUREL": 1,
            "BASKET": 30,
        }
        await wire.quiet()
        await shop.buy("20.00")
        await wire.quiet()  # nothing was heard of it yet
        served.tell(shop.holder, currencies=(shop.currencies["BASKET"],))
        told = await wire.next()
        assert told["currency"]["code"] == "BASKET"
        assert told["balance"]["active"] == 90
        assert [e["node"]["amount"] for e in told["entries"]["edges"]] == [60, 30]
        # Of another member, of nothing that is followed: nothing is told.
        served.tell(shop.holder + 1, currencies=(shop.currencies["BASKET"],))
        served.tell(shop.holder, ladders=tuple(shop.api.engine.rulebook.ladders))
        await wire.quiet()


async def test_one_currency_may_be_followed_alone(served: Live) -> None:
    shop = await Shop.open(served)
    async with served.open(shop.who) as wire:
        await wire.subscribe("1", LEDGER, currency="LAUREL")
        await wire.subscribe("2", LEDGER, currency="NONE")
        assert (await wire.error("2"))["extensions"]["field"] == ["currency"]
        await served.followed(1)
        await shop.buy("10.00")
        served.tell(shop.holder, currencies=tuple(shop.currencies.values()))
        assert (await wire.next())["currency"]["code"] == "LAUREL"
        await wire.quiet()


async def test_many_changes_in_a_row_are_one_message_of_the_newest_state(served: Live) -> None:
    shop = await Shop.open(served)
    await shop.buy("10.00")
    async with served.open(shop.who) as wire:
        await wire.subscribe("1", LEDGER, currency="BASKET")
        assert (await wire.next())["balance"]["active"] == 30
        await shop.buy("10.00")
        await shop.buy("10.00")
        for _ in range(500):
            served.tell(shop.holder, currencies=(shop.currencies["BASKET"],))
        assert (await wire.next())["balance"]["active"] == 90
        await wire.quiet()


async def test_what_a_message_reads_is_counted(served: Live) -> None:
    """As many statements for the hundredth message as for the first, and few."""
    shop = await Shop.open(served)
    await shop.buy("10.00")
    counts = set()
    async with served.open(shop.who) as wire:
        await wire.subscribe("1", LEDGER, currency="BASKET")
        await wire.next()
        for _ in range(3):
            with statements() as sent:
                served.tell(shop.holder, currencies=(shop.currencies["BASKET"],))
                await wire.next()
            counts.add(len(sent))
    assert counts == {3}  # that the member is there, the balance, and the page of entries


async def test_each_message_is_paid_for(served: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """As what was asked for costs; whoever has nothing left waits, and is told the newest."""
    shop = await Shop.open(served)
    await shop.buy("10.00")
    basket = (shop.currencies["BASKET"],)
    clock, refilled, waits = [0.0], asyncio.Event(), list[float]()

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        await refilled.wait()
        clock[0] += seconds

    monkeypatch.setattr("schema.gate.asyncio", SimpleNamespace(sleep=wait))
    async with served.open(shop.who) as wire:
        served.gate.buckets = Buckets({**RATES, "member": Rate(100, 1)}, lambda: clock[0])
        await wire.subscribe("1", LEDGER, currency="BASKET")
        spent = (await wire.receive())["payload"]["extensions"]["cost"]
        cost = spent["requested"]
        assert 1 < cost < 50
        assert spent["remaining"] == 100 - cost
        for _ in range(100 // cost - 1):
            served.tell(shop.holder, currencies=basket)
            assert (await wire.next())["balance"]["active"] == 30
        assert waits == []
        served.tell(shop.holder, currencies=basket)
        await wire.next()  # which is paid for afterwards
        for _ in range(2):
            await shop.buy("10.00")
            served.tell(shop.holder, currencies=basket)
        await wire.quiet()
        assert waits == [cost - 100 % cost]
        refilled.set()
        assert (await wire.next())["balance"]["active"] == 90
        await wire.quiet()


async def test_after_a_break_the_present_is_told_again(served: Live) -> None:
    shop = await Shop.open(served)
    await shop.buy("10.00")
    async with served.open(shop.who) as wire:
        await wire.subscribe("1", LEDGER, currency="BASKET")
        assert (await wire.next())["balance"]["active"] == 30
        await shop.buy("10.00")
        served.feed.miss()
        assert (await wire.next())["balance"]["active"] == 60


async def test_a_tier_is_told_where_it_stands_and_when_it_changes(served: Live) -> None:
    shop = await Shop.open(served)
    ladders = {x.ladder.code: n for n, x in shop.api.engine.rulebook.ladders.items()}
    async with served.open(shop.who) as wire:
        await wire.subscribe("1", TIER)
        first = [(await wire.next())["ladder"]["code"] for _ in ladders]
        assert sorted(first) == sorted(ladders)
        await wire.subscribe("2", TIER, ladder="cafe")
        assert (await wire.next("2"))["current"] == {"code": "green"}
        await wire.subscribe("3", TIER, ladder="none")
        assert (await wire.error("3"))["extensions"]["field"] == ["ladder"]
        served.tell(shop.holder, ladders=(ladders["cafe"],))
        told = [await wire.receive() for _ in range(2)]
        assert sorted(x["id"] for x in told) == ["1", "2"]
        served.tell(shop.holder, currencies=(1,))
        await wire.quiet()


async def test_redemptions_are_told_by_member_by_partner_and_by_id(served: Live) -> None:
    shop = await Shop.open(served)
    await shop.buy("400.00")
    asked = {**HERO, "hold": "1D"}
    held = (await shop.api.ask(shop.who, REDEEM, input=asked))["redemption"]["id"]
    number = int(base64.b64decode(held).decode().rpartition(".")[2])
    api, partners = shop.api, shop.api.engine.rulebook.partners
    async with (
        served.open(shop.who) as ada,
        served.open("partner:grocer") as grocer,
        served.open("partner:cafe") as cafe,
        served.open("admin:root") as admin,
    ):
        await ada.subscribe("1", REDEMPTION)
        assert await ada.next() == {"id": held, "status": "HELD"}
        await ada.subscribe("2", REDEMPTION, redemption=held)
        assert await ada.next("2") == {"id": held, "status": "HELD"}
        for wire in (grocer, cafe, admin):
            await wire.subscribe("1", REDEMPTION)
        await served.followed(5)
        await cafe.subscribe("2", REDEMPTION, redemption=api.told("partner:cafe", held))
        assert (await cafe.error("2"))["extensions"]["reason"] == "UNKNOWN_REFERENCE"
        await api.ask("admin:root", CONFIRM, input={"key": "c", "redemption": held})
        served.tell(shop.holder, redemption=number, partner=partners["grocer"].id)
        done = {"id": held, "status": "COMPLETED"}
        told = [await ada.receive() for _ in range(2)]
        assert sorted(x["id"] for x in told) == ["1", "2"]
        assert await grocer.next() == {**done, "id": api.told("partner:grocer", held)}
        assert await admin.next() == done
        await cafe.quiet()
        # Told of it by mistake, a partner still isn't shown another's redemption.
        served.tell(shop.holder, redemption=number, partner=partners["cafe"].id)
        assert await admin.next() == done
        await cafe.quiet()


async def test_a_stream_of_changes_alone_ends_rather_than_miss_one(served: Live) -> None:
    shop = await Shop.open(served)
    async with served.open("admin:root") as wire, served.open(shop.who) as ada:
        await wire.subscribe("1", REDEMPTION)
        await wire.subscribe("2", ACTIVITY)
        await ada.subscribe("1", REDEMPTION)
        await served.followed(3)
        served.feed.miss()
        ended = [await wire.receive(), await wire.receive()]
        assert sorted(x["id"] for x in ended) == ["1", "2"]
        assert {x["payload"][0]["extensions"]["code"] for x in ended} == {"CHANGES_MISSED"}
        await ada.quiet()
        await served.followed(1)


async def test_an_admin_is_told_all_that_is_booked(served: Live) -> None:
    shop = await Shop.open(served)
    partners = shop.api.engine.rulebook.partners
    async with served.open("admin:root") as wire:
        await wire.subscribe("1", ACTIVITY)
        await wire.subscribe("2", ACTIVITY, partner="cafe")
        await wire.subscribe("3", ACTIVITY, member={"id": shop.member})
        await served.followed(3)
        await shop.buy("10.00")
        async with reading() as connection:
            event = await connection.fetchval("SELECT max(id) FROM event")
        grocer = partners["grocer"].id
        # Told twice, as the dispatcher may: one message for it.
        served.tell(shop.holder, event=event, partner=grocer)
        served.tell(shop.holder, event=event, partner=grocer)
        told = [await wire.receive(), await wire.receive()]
        assert sorted(x["id"] for x in told) == ["1", "3"]
        [value] = told[0]["payload"]["data"].values()
        assert value == {
            "kind": "PURCHASE", "at": AT, "partner": {"code": "grocer"},
            "member": {"id": shop.member}, "entries": value["entries"],
            "purchase": {"externalId": "R-1-1"}, "redemption": None,
        }  # fmt: skip
        assert sorted(x["amount"] for x in value["entries"]) == [1, 30]
        await wire.quiet()
        served.tell(shop.holder, event=event + 10**6)  # of what nobody has: nothing
        await wire.quiet()


async def test_nobody_is_told_of_others(served: Live) -> None:
    """By every role and every way to name somebody else; and those who may are told."""
    ada, bob = await Shop.open(served), await Shop.open(served, "2")
    await ada.buy("10.00")
    named = {"member": {"id": ada.member}}
    told = {"member": {"id": served.api.told("partner:grocer", ada.member)}}
    async with (
        served.open(bob.who) as other,
        served.open("partner:cafe") as stranger,
        served.open("partner:grocer") as known,
        served.open("admin:root") as admin,
    ):
        # By the number, which no partner was ever told, and by another partner's name for her.
        for wire in (stranger, known):
            for query in (LEDGER, TIER, REDEMPTION):
                await wire.subscribe("1", query, **named)
                assert (await wire.error())["extensions"]["reason"] == "UNKNOWN_REFERENCE"
        for wire, other_name in ((other, named), (stranger, told)):
            for query in (LEDGER, TIER, REDEMPTION):
                await wire.subscribe("1", query, **other_name)
                assert (await wire.error())["extensions"]["reason"] == "UNKNOWN_REFERENCE"
        for wire in (other, known):
            await wire.subscribe("1", ACTIVITY)
            assert (await wire.error())["extensions"]["code"] == "FORBIDDEN"
        for wire, name in ((known, told), (admin, named)):
            await wire.subscribe("1", LEDGER)
            assert (await wire.error())["extensions"]["field"] == ["member"]
            await wire.subscribe("2", LEDGER, **name, currency="BASKET")
            assert (await wire.next("2"))["balance"]["active"] == 30
        # A currency that the partner neither issues nor accepts isn't told, whatever changes.
        await known.subscribe("3", LEDGER, **told, currency="STAR")
        await served.followed(3)
        await ada.star()
        served.tell(ada.holder, currencies=(ada.currencies["STAR"],))
        await known.quiet()


async def test_whoever_follows_is_let_go(served: Live) -> None:
    """By `complete`, by closing, by vanishing."""
    shop = await Shop.open(served)
    async with served.open(shop.who) as wire:
        await wire.subscribe("1", LEDGER)
        await wire.subscribe("2", REDEMPTION)
        await served.followed(2)
        await wire.send({"id": "1", "type": "complete"})
        await served.followed(1)
        await wire.subscribe("1", LEDGER)  # the id is free again
        await served.followed(2)
    await served.followed(0)
    async with served.open(shop.who) as wire:
        await wire.subscribe("1", LEDGER)
        await served.followed(1)
        wire.socket.transport.abort()
        await served.followed(0)


async def test_it_ends_when_the_token_does(served: Live) -> None:
    shop = await Shop.open(served)
    clock = shop.api.clock
    served.tokens["brief"] = issue(
        SECRET, "member", str(shop.holder), timedelta(minutes=10), clock()
    )
    await shop.buy("10.00")
    async with served.open("brief") as wire, served.open(shop.who) as lasting:
        for each in (wire, lasting):
            await each.subscribe("1", LEDGER, currency="BASKET")
            await each.next()
        # Asked again whenever a lease ends, it goes on as long as the token does.
        for _ in range(9):
            clock.tick(seconds=LEASE.total_seconds())
            served.feed.expire(clock())
            await wire.quiet()
        clock.tick(seconds=LEASE.total_seconds() + 1)
        served.feed.expire(clock())
        assert (await wire.error())["extensions"]["code"] == "UNAUTHENTICATED"
        await served.followed(1)
        # The socket itself can do no more either.
        await wire.subscribe("2", "{ me { id } }")
        message = await wire.receive()
        [error] = message["payload"]["errors"]
        assert error["extensions"]["code"] == "UNAUTHENTICATED"
        served.tell(shop.holder, currencies=(shop.currencies["BASKET"],))
        assert (await lasting.next())["balance"]["active"] == 30


async def test_a_message_after_the_token_ended_is_not_told(served: Live) -> None:
    """Even where the clock's look comes later."""
    shop = await Shop.open(served)
    clock = shop.api.clock
    served.tokens["brief"] = issue(
        SECRET, "member", str(shop.holder), timedelta(seconds=20), clock()
    )
    async with served.open("brief") as wire:
        await wire.subscribe("1", LEDGER)
        await served.followed(1)
        clock.tick(seconds=21)
        await shop.buy("10.00")
        served.tell(shop.holder, currencies=(shop.currencies["BASKET"],))
        assert (await wire.error())["extensions"]["code"] == "UNAUTHENTICATED"


async def test_permissions_count_when_a_message_is_told(served: Live) -> None:
    """A partner whose plugin is no longer installed is told nothing more."""
    shop = await Shop.open(served)
    await shop.buy("10.00")
    engine = shop.api.engine
    async with served.open("partner:grocer") as wire:
        told = {"id": shop.api.told("partner:grocer", shop.member)}
        await wire.subscribe("1", LEDGER, member=told, currency="BASKET")
        await wire.next()
        rest = {c: p for c, p in engine.rulebook.partners.items() if c != "grocer"}
        engine.rulebook = replace(engine.rulebook, partners=rest)
        served.tell(shop.holder, currencies=(shop.currencies["BASKET"],))
        assert (await wire.error())["extensions"]["code"] in ("FORBIDDEN", "BAD_USER_INPUT")
        await served.followed(0)
