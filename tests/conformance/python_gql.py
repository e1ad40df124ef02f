"""clients/python-gql against the real application; run in an environment of the client's own.

`python -m unittest` by the runner, which says in LAURELS_SERVED where the application is.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
import unittest
from datetime import UTC, datetime
from pathlib import Path

import httpx

CLIENT = Path(__file__).parents[2] / "clients" / "python-gql"
sys.path.insert(0, str(CLIENT))
wallet = importlib.import_module("wallet")
AT = json.loads(os.environ["LAURELS_SERVED"])
TOKEN = AT["members"]["gql"]
PATIENCE = 20
# A test case runs its loop in debug mode, which tells of every slow step.
logging.getLogger("asyncio").setLevel(logging.ERROR)

BUY = """mutation Buy($input: RecordPurchasesInput!) { recordPurchases(input: $input) {
  results { __typename } } }"""


class EverydayPaths(unittest.IsolatedAsyncioTestCase):
    """What a script does with gql."""

    async def test_1_pages_follow_each_other_without_a_gap_or_a_repetition(self) -> None:
        async with wallet.connect(AT["url"], TOKEN) as session:
            ids = [entry["id"] async for entry in wallet.entries(session, "STAMP")]
        self.assertEqual((len(ids), len(set(ids))), (22, 22))

    async def test_2_a_mutation_and_its_refusal_are_data(self) -> None:
        async with wallet.connect(AT["url"], TOKEN) as session:
            kinds = []
            for key in ("gql-second", "gql-second", "gql-third"):
                order = {"partner": "cafe", "reward": "free-drink", "key": key}
                wallet.REDEEM.variable_values = {"input": order}
                told = (await session.execute(wallet.REDEEM))["redeemReward"]
                kinds.append((told["__typename"], told.get("replayed"), told.get("code")))
        self.assertEqual(
            kinds,
            [
                ("RewardRedeemed", False, None),
                ("RewardRedeemed", True, None),
                ("NotEligibleError", None, "NOT_ELIGIBLE"),
            ],
        )

    async def test_3_a_wrong_document_is_refused_here_and_there(self) -> None:
        wrong = wallet.gql("query Wrong { me { nonsense } }")
        client = wallet.connect(AT["url"], TOKEN)
        async with client as session:
            with self.assertRaisesRegex(Exception, "Cannot query field 'nonsense'") as here:
                await session.execute(wrong)
            client.schema = None
            with self.assertRaises(Exception) as there:
                await session.execute(wrong)
        self.assertEqual(type(here.exception).__name__, "GraphQLError")
        self.assertEqual(type(there.exception).__name__, "TransportQueryError")
        (error,) = there.exception.errors  # type: ignore[attr-defined]  # gql's, seen by its name
        self.assertEqual(error["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED")

    async def test_4_a_token_that_opens_nothing_is_refused(self) -> None:
        async with wallet.connect(AT["url"], "forged") as session:
            wallet.WALLET.variable_values = {"first": 1}
            with self.assertRaisesRegex(Exception, "token"):
                await session.execute(wallet.WALLET)

    async def test_5_a_subscription_tells_what_is_and_what_changed(self) -> None:
        told = []
        async with asyncio.timeout(PATIENCE), wallet.follow(AT["url"], TOKEN) as session:
            wallet.LEDGER_CHANGED.variable_values = {"currency": "STAMP"}
            async for change in session.subscribe(wallet.LEDGER_CHANGED):
                told.append(change["ledgerChanged"]["balance"]["active"])
                if len(told) == 2:
                    break
                await _buy()
        self.assertEqual(told, [3, 4])

    async def test_6_the_example_prints_the_wallet_and_then_what_it_follows(self) -> None:
        environment = os.environ | {"LAURELS_URL": AT["url"], "LAURELS_TOKEN": TOKEN}
        run = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "wallet.py"),
            cwd=CLIENT,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        assert run.stdout is not None
        printed = ""
        async with asyncio.timeout(PATIENCE):
            while "'balance'" not in printed:
                line = await run.stdout.readline()
                assert line, printed
                printed += line.decode()
        run.kill()
        await run.wait()
        self.assertRegex(printed, r"\AGql\n(.*\n)*STAMP \d+\n(   .*\n)+")


async def _buy() -> None:
    purchase = {
        "externalId": "gql-followed",
        "member": {"card": AT["cards"]["gql"]},
        "occurredAt": datetime.now(UTC).isoformat(),
        "currency": "EUR",
        "lines": [{"productType": "coffee", "amount": "4.50"}],
    }
    body = {"query": BUY, "variables": {"input": {"partner": "cafe", "purchases": [purchase]}}}
    headers = {"authorization": f"Bearer {AT['partners']['cafe']}"}
    async with httpx.AsyncClient(headers=headers) as http:
        told = (await http.post(AT["url"], json=body)).json()
    assert told["data"]["recordPurchases"]["results"] == [{"__typename": "PurchaseRecorded"}]


if __name__ == "__main__":
    unittest.main()
