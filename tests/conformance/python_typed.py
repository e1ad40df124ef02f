"""clients/python-typed against the real application; run in an environment of the client's own.

The client has been generated before. The runner says in LAURELS_SERVED where the application is.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

CLIENT = Path(__file__).parents[2] / "clients" / "python-typed"
SCHEMA = "../../schema/schema.graphql"
sys.path.insert(0, str(CLIENT))
till = importlib.import_module("till")
AT = json.loads(os.environ["LAURELS_SERVED"])
CARD = AT["cards"]["typed"]
PATIENCE = 20
# A test case runs its loop in debug mode, which tells of every slow step.
logging.getLogger("asyncio").setLevel(logging.ERROR)


def generated(schema: str) -> int:
    """The generator's exit code for the example's documents and this schema."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(CLIENT / "till.graphql", folder)
        settings = (CLIENT / "ariadne.toml").read_text()
        (folder / "ariadne.toml").write_text(settings.replace(SCHEMA, "schema.graphql"))
        (folder / "schema.graphql").write_text(schema)
        generator = str(Path(sys.executable).with_name("ariadne-codegen"))
        command = [generator, "--config", "ariadne.toml"]
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode


class Generator(unittest.TestCase):
    """What the generator makes of the schema."""

    def test_it_takes_the_schema_and_refuses_one_that_lacks_what_is_asked_for(self) -> None:
        schema = (CLIENT / SCHEMA).read_text()
        broken = schema.replace("replayed: Boolean!", "repeated: Boolean!")
        self.assertNotEqual(broken, schema)
        self.assertEqual((generated(schema), generated(broken)), (0, 1))


class EverydayPaths(unittest.IsolatedAsyncioTestCase):
    """What a till does with typed answers."""

    async def asyncSetUp(self) -> None:
        self.client = till.connect(AT["url"], AT["partners"]["cafe"])
        await self.enterAsyncContext(self.client)

    async def test_a_query_is_a_typed_object(self) -> None:
        sale = till.receipt("typed-quoted", CARD, "EUR", coffee="4.50")
        told = (await self.client.quote("cafe", sale)).quote_purchase
        stamps = [a.amount for a in told.awards if a.currency.code == "STAMP"]
        self.assertEqual((told.typename__, stamps), ("PurchaseQuoted", [1]))

    async def test_a_batch_is_answered_item_by_item_and_safe_to_send_again(self) -> None:
        sale = till.receipt("typed-till-1", CARD, "EUR", coffee="4.50")
        nobody = till.receipt("typed-till-2", "nobody's", "EUR", coffee="4.50")
        answers = [await self.client.record("cafe", [sale, nobody]) for _ in range(2)]
        (new, unknown), (again, _) = (answer.record_purchases.results for answer in answers)
        self.assertEqual(new.typename__, "PurchaseRecorded")
        self.assertEqual((new.replayed, again.replayed), (False, True))
        self.assertEqual((unknown.code, unknown.path[-1]), ("UNKNOWN_REFERENCE", "member"))

    async def test_a_refused_document_raises(self) -> None:
        with self.assertRaises(Exception) as raised:
            self.client.get_data(await self.client.execute("query Wrong { nonsense }"))
        self.assertEqual(type(raised.exception).__name__, "GraphQLClientGraphQLMultiError")

    async def test_the_example_prints_what_a_receipt_earned_and_that_it_is_known(self) -> None:
        environment = os.environ | {
            "LAURELS_URL": AT["url"],
            "LAURELS_TOKEN": AT["partners"]["grocer"],
        }
        run = await asyncio.create_subprocess_exec(
            sys.executable, "till.py", cwd=CLIENT, env=environment, stdout=asyncio.subprocess.PIPE
        )
        printed = (await run.communicate())[0].decode()
        self.assertRegex(printed, r"\Anew\n(   \d+ [A-Z]+ .*\n)+again\n(   \d+ [A-Z]+ .*\n)+\Z")

    async def test_a_subscription_tells_typed_objects(self) -> None:
        async with asyncio.timeout(PATIENCE):
            async for told in self.client.redemptions(till.MemberBy(card=CARD)):
                self.assertEqual(told.redemption_changed.status.value, "COMPLETED")
                break


if __name__ == "__main__":
    unittest.main()
