"""How long a subscriber is taken for who it was: a lease, also in the midst of much to tell."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from schema.rates import RATES, Buckets, Rate
from schema.subscriptions import LEASE
from tests.schema.client import Client, receipt
from tests.schema.roots_engaged import AT
from tests.schema.test_keys import REVOKE, create
from tests.schema.wire import holder_of, live

LEDGER = """subscription($member: MemberBy) {
  ledgerChanged(member: $member) { currency { code } } }"""


@pytest.mark.parametrize("revoked", [True, False])
async def test_a_key_revoked_in_the_midst_of_a_burst_is_told_nothing_after_its_lease(
    api: Client, monkeypatch: pytest.MonkeyPatch, revoked: bool
) -> None:
    """All that changed was found by one look; its last part is told a lease later."""
    member = await api.enrol("1")
    bought = receipt("R", "1", AT, ("PRODUCE", "10.00"))
    assert (await api.buy("admin:root", "grocer", bought))[0]["__typename"] == "PurchaseRecorded"
    made = await create(api, "admin:root", partner="grocer")
    waits, going_on = asyncio.Event(), asyncio.Event()

    async def wait(seconds: float) -> None:
        del seconds
        waits.set()
        await going_on.wait()

    async with live(api) as served:
        served.tokens["key"] = made["secret"]
        async with served.open("key") as wire:
            told = {"id": api.told("partner:grocer", member)}
            await wire.subscribe("1", LEDGER, member=told)
            codes = [(await wire.next())["currency"]["code"] for _ in range(2)]
            assert sorted(codes) == ["BASKET", "LAUREL"]
            await wire.quiet()
            # From now on whoever is told a message waits for the next.
            monkeypatch.setattr("schema.gate.asyncio", SimpleNamespace(sleep=wait))
            served.gate.buckets = Buckets({**RATES, "partner": Rate(1, 1)}, lambda: 0.0)
            known = {c.code: i for i, c in api.engine.rulebook.currencies.items()}
            served.tell(holder_of(member), currencies=tuple(known[code] for code in codes))
            assert (await wire.next())["currency"]["code"] == codes[0]
            await waits.wait()
            if revoked:
                gone = {"partner": "grocer", "id": made["apiKey"]["id"]}
                done = await api.ask("admin:root", REVOKE, input=gone)
                assert done["__typename"] == "ApiKeyRevoked"
            api.clock.tick(seconds=LEASE.total_seconds())
            going_on.set()
            if revoked:
                assert (await wire.error())["extensions"]["code"] == "UNAUTHENTICATED"
                await served.followed(0)
            else:
                assert (await wire.next())["currency"]["code"] == codes[1]
