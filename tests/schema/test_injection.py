"""No text that a caller sends becomes a part of a statement: every one of them is tried.

All arguments and input fields are found in the schema, so a new one is probed without a word here.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import strawberry
from graphql import (
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
)

from app.asgi import create_app
from core.db import Connection, reading
from core.passcodes import Message
from schema import masking
from schema.build import build_schema as build_face
from schema.gate import Gate
from schema.limits import Limits
from schema.masking import shown
from schema.rates import RATES, Buckets, Rate
from tests.core.shop import dump
from tests.schema.client import REDEEM, SECRET, Client, receipt
from tests.schema.injection import PAYLOADS, Findings, Sung, probe, wrapped
from tests.schema.slots import AT, Operations, Slot

SCHEMA = Path(__file__).parents[2] / "schema"
#: Is for whoever has a provider's token and isn't enrolled: `enrolMember` does the same.
NOT_FOR_ADMINS = ("joinProgramme", "orderAhead", "cancelOrderAhead")
#: Who asks for what no admin may: a member for itself, a partner at its door; "": without a token.
ASKED_BY = {
    "registerForMeetup": "member",
    "cancelRegistration": "member",
    "checkIn": "partner:grocer",
    "requestCode": "",
    "confirmCode": "",
    "surveyByToken": "",
    "answerSurvey": "",
}
#: Nobody names this member: whatever is done, its rows stay as they are.
BYSTANDER = "the bystander's card"


def _real() -> GraphQLSchema:
    return build_schema((SCHEMA / "schema.graphql").read_text())


def _types(schema: GraphQLSchema) -> list[str]:
    """Whatever has an id."""
    node = schema.get_implementations(schema.type_map["Node"])  # type: ignore[arg-type]
    return sorted(found.name for found in node.objects)


def _cursors() -> list[str]:
    """The kinds of cursors, as they stand in the code."""
    texts = "".join(path.read_text() for path in SCHEMA.glob("*.py"))
    return sorted(set(re.findall(r'(?:cursor|number)\(\s*"([a-z-]+)"', texts)))


@asynccontextmanager
async def _canary(url: str) -> AsyncIterator[Sung]:
    """A sequence that the application may use, and that nothing but a payload names."""
    owner: Connection = await asyncpg.connect(url)
    await owner.execute("CREATE SEQUENCE canary; GRANT ALL ON SEQUENCE canary TO laurels_app")
    heard = 0

    async def sung() -> int:
        nonlocal heard
        last, called = await owner.fetchrow("SELECT last_value, is_called FROM canary")  # type: ignore[misc]
        new = (last if called else 0) - heard
        heard += new
        return int(new)

    try:
        yield sung
    finally:
        await owner.close()


async def _coalition(api: Client) -> str:
    """A member with a past, and a bystander with another: the first one's token."""
    ids = []
    for card in ("1", BYSTANDER):
        ids.append(await api.enrol(card))
        bought = [("PRODUCE", "400.00"), ("WINE", "9.99")]
        await api.buy("admin:root", "grocer", receipt(f"R{card[:-1]}", card, AT, *bought))
        order = {"key": card, "partner": "grocer", "reward": "five-off", "member": {"card": card}}
        done = await api.ask("admin:root", REDEEM, input={**order, "hold": "1D"})
        assert done["__typename"] == "RewardRedeemed", done
    return api.member(ids[0])


@asynccontextmanager
async def _roomy(api: Client) -> AsyncIterator[httpx.AsyncClient]:
    """The same application behind a gate that lets any batch of texts through.

    A request carries every text at once, each in a field of its own with all that this can answer:
    that is more than a caller may ask for, and what the gate refuses reaches no statement.
    """
    rates = dict.fromkeys(RATES, Rate(10**9, 10**9))
    limits = Limits(**{limit.name: 10**9 for limit in fields(Limits)})
    schema = build_face(Gate(Buckets(rates, time.monotonic), limits=limits))
    app = create_app(api.engine, SECRET, now=api.clock, schema=schema, send=_sent)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://laurels.test") as http:
        yield http


async def _sent(message: Message) -> bool:
    """A messenger that takes whatever it is given."""
    return bool(message.code)


async def _books() -> dict[str, list[str]]:
    """Every row but the counts of what went wrong with drafts that were quoted."""
    return {table: rows for table, rows in (await dump()).items() if table != "rule_fault"}


async def _bystander() -> list[str]:
    """All that stands of it, table by table."""
    async with reading() as connection:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND column_name = 'holder_id' ORDER BY 1"
        )
        holder = await connection.fetchval(
            "SELECT holder_id FROM identifier WHERE value = $1", BYSTANDER
        )
        return [
            f"{table} {row[0]}"
            for (table,) in tables
            for row in await connection.fetch(
                f'SELECT t::text FROM "{table}" t WHERE holder_id = $1 ORDER BY 1', holder
            )
        ]


async def test_every_text_is_a_text(
    database: str, api: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an admin, who reaches most: no fault, no answer by what SQL holds for true, no call.

    Queries leave every row as it was; changes take none away, and none of whom nobody named.
    """
    # All errors of a batch are told, and not the first few: a fault might be the sixth.
    monkeypatch.setattr(masking, "MOST_ERRORS", 10**9)
    schema = _real()
    operations, found = Operations(schema), Findings()
    member = await _coalition(api)
    beside = await _bystander()
    assert len(beside) > 10

    async def send(query: str, variables: dict[str, object]) -> dict[str, Any]:
        who = ASKED_BY.get(slot.route[0], "admin:root")
        headers = {}
        if who:
            token = api.tokens[member if who == "member" else who]
            headers = {"authorization": f"Bearer {token}"}
        response = await http.post(
            "/graphql",
            # With escapes, for half of a surrogate pair can't be sent otherwise.
            content=json.dumps({"query": query, "variables": variables}),
            headers={**headers, "content-type": "application/json"},
        )
        assert response.status_code < 500, (response.text, query)
        answer: dict[str, Any] = response.json()
        return answer

    # Last what ends a member: the others need one.
    slots = sorted(
        operations.slots(),
        key=lambda slot: (slot.operation != "query", slot.route[0] == "eraseMember"),
    )
    types, cursors = _types(schema), _cursors()
    started = time.monotonic()
    async with _canary(database) as sung, _roomy(api) as http:
        before = await _books()
        for slot in slots:
            if slot.route[0] in NOT_FOR_ADMINS:
                continue
            if slot.operation == "mutation" and before:
                assert await _books() == before
                before = {}
            await probe(operations, slot, wrapped(slot, types, cursors), send, sung, found)
            api.clock.tick(seconds=5)
    assert found.wrong == set()
    assert await _bystander() == beside
    print(f"{found.slots} arguments, {found.sent} texts in {time.monotonic() - started:.0f} s")
    assert _left_out(schema, slots) == []


def _left_out(schema: GraphQLSchema, slots: list[Slot]) -> list[str]:
    """The arguments and input fields that no slot names, counted in another way."""
    last = {(slot.route[-1], slot.argument[0]) for slot in slots}
    inner = {slot.argument[-1] for slot in slots}
    text = ("String", "ID", "JSON", "AttributeValue")
    missing = []
    for kind in schema.type_map.values():
        members = (
            kind.fields if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType) else {}
        )
        if kind.name.startswith("__") or kind is schema.subscription_type:
            continue
        for name, field in members.items():
            if isinstance(field, GraphQLInputField):
                if get_named_type(field.type).name in text and name not in inner:
                    missing.append(f"{kind.name}.{name}")
                continue
            for argument, given in field.args.items():
                if get_named_type(given.type).name in text and (name, argument) not in last:
                    missing.append(f"{kind.name}.{name}({argument})")
    return missing


@strawberry.type
class Careless:
    """What no field of ours does: each makes a statement of the text itself."""

    @strawberry.field
    async def found(self, text: str) -> list[str]:
        """By a prepared statement, which is one statement."""
        async with reading() as connection:
            rows = await connection.fetch(f"SELECT code FROM partner WHERE code = '{text}'")
        return [row[0] for row in rows]

    @strawberry.field
    async def ordered(self, text: str = "code") -> list[str]:
        """Where no quote is needed."""
        async with reading() as connection:
            rows = await connection.fetch(f"SELECT code FROM partner ORDER BY {text}")
        return [row[0] for row in rows]

    @strawberry.field
    async def told(self, text: str) -> int:
        """By the simple protocol, which takes several; and what breaks is hidden."""
        async with reading() as connection:
            with contextlib.suppress(asyncpg.PostgresError, UnicodeError):
                await connection.execute(f"SELECT 1 FROM partner WHERE code = '{text}'")
        return 1

    @strawberry.field
    async def bound(self, text: str) -> list[str]:
        """As ours do; only a NUL is refused, as ours is before it gets here."""
        text = text.replace("\0", "").encode(errors="replace").decode()
        async with reading() as connection:
            rows = await connection.fetch("SELECT code FROM partner WHERE code = $1", text)
        return [row[0] for row in rows]


async def test_what_becomes_a_part_of_a_statement_is_found(database: str, api: Client) -> None:
    """By its errors, by what SQL holds for true, and by the canary; a bound text by none."""
    careless = strawberry.Schema(Careless)

    async def send(query: str, variables: dict[str, object]) -> dict[str, Any]:
        result = await careless.execute(query, variables)
        return {"data": result.data, "errors": [shown(error) for error in result.errors or []]}

    schema = build_schema(careless.as_str())
    operations, found = Operations(schema), Findings()
    async with _canary(database) as sung:
        for slot in operations.slots():
            await probe(operations, slot, [PAYLOADS], send, sung, found)
    assert {(slot, how.partition(":")[0]) for slot, how in found.wrong} == {
        ("found(text)", "error"), ("found(text)", "boolean"), ("found(text)", "canary"),
        ("ordered(text)", "error"), ("ordered(text)", "canary"),
        ("told(text)", "canary"),
    }  # fmt: skip
    assert found.slots == 4
