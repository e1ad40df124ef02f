"""What subscriptions tell, to whom, and when they end; over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest_asyncio

from app.tokens import issue
from schema.subscriptions import LEASE
from tests.schema.client import CONFIRM, REDEEM, SECRET, Client, receipt
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

    def currencies(self) -> dict[str, int]:
        return {c.code: i for i, c in self.api.engine.rulebook.currencies.items()}


async def test_x(served: Live) -> None:
    shop = await Shop.open(served)
    await shop.buy("10.00")
    async with served.open(shop.who) as wire:
        await wire.subscribe("1", LEDGER)
        print(await wire.receive())
        print(shop.currencies())
        await wire.subscribe("2", TIER)
        print(await wire.receive())
        print(await wire.receive())
