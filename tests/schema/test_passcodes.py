"""Enrolment by one field and one code: who comes in, who doesn't, and what nobody learns."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.asgi import create_app
from core.check import prove
from core.db import reading
from core.passcodes import Message
from core.posting import Engine
from core.rulebook import Rulebook
from core.store.passcodes import forget
from schema.build import build_schema
from schema.gate import Gate
from schema.rates import RATES, Buckets, Rate
from tests.core.shop import dump
from tests.schema.client import ENROL, SECRET, Client, Clock, Tokens, receipt

REQUEST = """mutation($input: RequestCodeInput!) { requestCode(input: $input) { __typename
  ... on CodeRequested { expiresAt } ... on Error { code message path } } }"""
CONFIRM = """mutation($input: ConfirmCodeInput!, $about: JoinProgrammeInput) {
  confirmCode(input: $input, about: $about) { __typename
  ... on CodeConfirmed { created memberId token expiresAt card { number qr } }
  ... on Error { code message path } } }"""
CARD = """mutation($member: MemberBy) { createCard(member: $member) { __typename
  ... on Card { number } ... on Error { code path } } }"""
ME = "{ me { id name identifiers { kind value } card { number } ledgers { balance { active } } } }"
AT = "2026-11-22T09:00:00Z"
ADA = {"email": "ada@example.com"}


@dataclass
class Post:
    """What was sent; `down`: nothing can be."""

    sent: list[Message] = field(default_factory=list)
    down: bool = False

    async def __call__(self, message: Message) -> bool:
        if not self.down:
            self.sent.append(message)
        return not self.down


@dataclass
class Ground:
    """The application with a messenger that keeps what it is given."""

    api: Client
    post: Post

    async def ask_for(self, **given: Any) -> dict[str, Any]:
        done: dict[str, Any] = await self.api.ask(None, REQUEST, input=given)
        return done

    async def confirm(self, code: str, about: Any = None, **given: Any) -> dict[str, Any]:
        told = {"input": {**given, "code": code}, "about": about}
        done: dict[str, Any] = await self.api.ask(None, CONFIRM, **told)
        return done

    async def enrolled(self, **given: Any) -> dict[str, Any]:
        """Both steps, with what was sent."""
        assert (await self.ask_for(**given))["__typename"] == "CodeRequested"
        done = await self.confirm(self.post.sent[-1].code, **given)
        assert done["__typename"] == "CodeConfirmed", done
        return done

    async def as_member(self, token: str, query: str) -> Any:
        answer = await self.api.http.post(
            "/graphql", json={"query": query}, headers={"authorization": f"Bearer {token}"}
        )
        return answer.json()["data"]


@pytest_asyncio.fixture(loop_scope="session")
async def ground(coalition: Rulebook) -> AsyncIterator[Ground]:
    clock, post = Clock(datetime(2026, 11, 22, 12, tzinfo=UTC)), Post()
    engine = Engine(coalition)
    schema = build_schema(Gate(Buckets(dict.fromkeys(RATES, Rate(10**9, 10**9)), time.monotonic)))
    app = create_app(engine, SECRET, now=clock, schema=schema, send=post)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://laurels.test") as http:
        yield Ground(Client(http, clock, Tokens(clock), engine), post)


def other(code: str) -> str:
    """A code that isn't this one."""
    return f"{(int(code) + 1) % 10**6:06}"


async def test_one_field_and_one_code_make_a_member_whose_card_a_till_scans(ground: Ground) -> None:
    done = await ground.ask_for(email=" Ada@Example.com ", language="tr")
    assert done == {"__typename": "CodeRequested", "expiresAt": "2026-11-22T12:10:00Z"}
    [message] = ground.post.sent
    assert (message.to, message.channel, message.language) == ("ada@example.com", "email", "tr")
    assert re.fullmatch("[0-9]{6}", message.code)
    confirmed = await ground.confirm(message.code, **ADA)
    number = confirmed["card"]["number"]
    assert re.fullmatch("90[0-9]{14}", number)
    assert confirmed["card"]["qr"].startswith("<svg ")
    assert (confirmed["created"], confirmed["expiresAt"]) == (True, "2026-11-23T00:00:00Z")
    bought = await ground.api.buy(
        "partner:grocer", "grocer", receipt("R", number, AT, ("PRODUCE", "10.00"))
    )
    assert bought[0]["__typename"] == "PurchaseRecorded"
    me = (await ground.as_member(confirmed["token"], ME))["me"]
    assert me == {
        "id": confirmed["memberId"], "name": None, "card": {"number": number},
        "identifiers": [{"kind": "EMAIL", "value": "ada@example.com"},
                        {"kind": "CARD", "value": number}],
        # Ten dollars of produce: 30 of the grocer's own, and one laurel.
        "ledgers": me["ledgers"],
    }  # fmt: skip
    assert sorted(x["balance"]["active"] for x in me["ledgers"]) == [1, 30]
    # A digit that was mistyped is nobody's.
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    [nobody] = await ground.api.buy(
        "partner:grocer", "grocer", receipt("R2", wrong, AT, ("PRODUCE", "10.00"))
    )
    assert nobody["code"] == "UNKNOWN_REFERENCE"
    assert await prove() == []


async def test_who_is_known_by_the_address_is_that_member(ground: Ground) -> None:
    """And keeps the card it has; by mail or by telephone, again and again the same one."""
    given = {"input": {"phone": "+90 555 123 45 67", "card": "77", "name": "Ada"}}
    member = (await ground.api.ask("admin:root", ENROL, **given))["memberId"]
    for _ in range(2):
        done = await ground.enrolled(phone="+905551234567")
        assert (done["created"], done["memberId"], done["card"]["number"]) == (False, member, "77")
    assert {m.channel for m in ground.post.sent} == {"phone"}


async def test_no_answer_tells_whether_somebody_is_known(ground: Ground) -> None:
    """Of a member's address and of nobody's, word for word: asking, and every way to fail."""
    await ground.api.ask(
        "admin:root",
        "mutation($input: EnrolMemberInput!) { enrolMember(input: $input) { __typename } }",
        input=ADA,
    )
    told: dict[str, list[Any]] = {}
    for who in ("ada@example.com", "nobody@example.com"):
        answers = told.setdefault(who, [])
        answers.append(await ground.confirm("123456", email=who))  # none was asked for
        answers.append(await ground.ask_for(email=who))
        code = ground.post.sent[-1].code
        answers.append(await ground.confirm(other(code), email=who))
        answers.append(await ground.confirm("12345678901", email=who))
        answers.append(await ground.confirm("²²²²²²", email=who))
        answers += [await ground.ask_for(email=who) for _ in range(3)]
    assert told["ada@example.com"] == told["nobody@example.com"]
    refused = {"__typename": "NotAllowedError", "code": "NOT_ALLOWED", "path": ["code"],
               "message": "this code isn't good, or not any more: ask for another"}  # fmt: skip
    kinds = [x["__typename"] for x in told["ada@example.com"]]
    assert [x for x in told["ada@example.com"] if x.get("path") == ["code"]] == [refused] * 4
    assert kinds[-3:] == ["CodeRequested", "CodeRequested", "NotAllowedError"]
    members = await ground.api.ask("admin:root", "{ members { edges { node { id } } } }")
    assert len(members["edges"]) == 1


async def test_a_code_is_good_once_for_ten_minutes_and_five_attempts(ground: Ground) -> None:
    await ground.ask_for(**ADA)
    first = ground.post.sent[-1].code
    await ground.ask_for(**ADA)
    second = ground.post.sent[-1].code
    if first != second:  # a later one takes its place
        assert (await ground.confirm(first, **ADA))["code"] == "NOT_ALLOWED"
    # Not to another address, nor with a space too many inside.
    assert (await ground.confirm(second, email="eve@example.com"))["code"] == "NOT_ALLOWED"
    ground.api.clock.tick(minutes=10)
    assert (await ground.confirm(second, **ADA))["code"] == "NOT_ALLOWED"
    ground.api.clock.tick(seconds=-1)
    done = await ground.confirm(f" {second} ", **ADA)
    assert done["created"] is True
    assert (await ground.confirm(second, **ADA))["code"] == "NOT_ALLOWED"  # a replay
    await ground.ask_for(**ADA)
    third = ground.post.sent[-1].code
    for _ in range(5):
        assert (await ground.confirm(other(third), **ADA))["code"] == "NOT_ALLOWED"
    assert (await ground.confirm(third, **ADA))["code"] == "NOT_ALLOWED"


async def test_so_many_codes_in_an_hour_and_in_a_day(ground: Ground) -> None:
    """Three and ten for an address; of others as many as are wanted, up to a hundred an hour."""
    kinds = []
    for _ in range(5):
        kinds += [(await ground.ask_for(**ADA))["__typename"] for _ in range(4)]
        ground.api.clock.tick(hours=1)
    hour = ["CodeRequested"] * 3 + ["NotAllowedError"]
    assert kinds == hour * 3 + ["CodeRequested"] + ["NotAllowedError"] * 7
    assert len(ground.post.sent) == 10
    some = [(await ground.ask_for(phone=f"+90555{n:06}"))["__typename"] for n in range(101)]
    assert some == ["CodeRequested"] * 100 + ["NotAllowedError"]
    ground.api.clock.tick(days=1)
    assert (await ground.ask_for(**ADA))["__typename"] == "CodeRequested"


async def test_two_at_once_make_one_member(ground: Ground) -> None:
    """Of one code one is served; of two codes for two addresses of nobody, two."""
    await ground.ask_for(**ADA)
    code = ground.post.sent[-1].code
    done = await asyncio.gather(*(ground.confirm(code, **ADA) for _ in range(4)))
    assert sorted(x["__typename"] for x in done) == ["CodeConfirmed"] + ["NotAllowedError"] * 3
    await ground.ask_for(**ADA)
    code = ground.post.sent[-1].code
    await asyncio.gather(*(ground.confirm(other(code), **ADA) for _ in range(8)))
    assert (await ground.confirm(code, **ADA))["code"] == "NOT_ALLOWED"  # five were counted
    asked = await asyncio.gather(*(ground.ask_for(phone="+905550001") for _ in range(6)))
    assert sorted(x["__typename"] for x in asked) == ["CodeRequested"] * 3 + ["NotAllowedError"] * 3
    members = await ground.api.ask("admin:root", "{ members { edges { node { id } } } }")
    assert len(members["edges"]) == 1


async def test_nothing_that_is_kept_can_be_read(ground: Ground) -> None:
    """Neither the address nor the code; two codes of one address share its digest, no more."""
    for _ in range(2):
        await ground.ask_for(**ADA)
    async with reading() as connection:
        rows = [dict(row) for row in await connection.fetch("SELECT * FROM passcode")]
    kept = {"identifier", "origin", "digest", "id", "at", "expires_at", "attempts", "used_at"}
    assert [set(row) for row in rows] == [kept, kept]
    digests = [row[name] for row in rows for name in ("identifier", "origin", "digest")]
    assert {len(digest) for digest in digests} == {32}
    assert len(set(digests)) == 4
    ground.api.clock.tick(days=1)
    assert await forget(ground.api.clock()) == 2


@pytest.mark.parametrize(
    ("given", "path"),
    [({}, ["email"]), ({**ADA, "phone": "+905551234"}, ["email"]),
     ({"email": "nobody"}, ["member", "email"]), ({"phone": "12"}, ["member", "phone"]),
     ({**ADA, "language": "Klingon!"}, ["language"])],
)  # fmt: skip
async def test_what_is_no_address_is_refused(
    ground: Ground, given: dict[str, Any], path: list[str]
) -> None:
    before = await dump()
    done = await ground.ask_for(**given)
    assert (done["code"], done["path"]) == ("BAD_INPUT", path)
    assert await dump() == before
    assert ground.post.sent == []


async def test_a_messenger_that_is_down_costs_no_code(ground: Ground) -> None:
    """Nothing is kept of what was never sent, and it doesn't count."""
    ground.post.down = True
    before = await dump()
    for _ in range(5):
        assert (await ground.ask_for(**ADA))["code"] == "WRONG_STATE"
    assert await dump() == before
    ground.post.down = False
    assert (await ground.enrolled(**ADA))["created"] is True


async def test_without_a_messenger_nobody_is_sent_anything(api: Client) -> None:
    done = await api.ask(None, REQUEST, input=ADA)
    assert (done["code"], done["message"]) == ("NOT_ALLOWED", "this programme sends no codes")


async def test_a_card_is_made_once_and_only_for_who_may_ask(api: Client) -> None:
    """A member that tills know by a telephone number alone; two at once get the same one."""
    done = await api.ask("admin:root", ENROL, input={"phone": "+905551234"})
    who = api.member(done["memberId"])
    assert (await api.ask(who, "{ me { card { number } } }"))["card"] is None
    made = await asyncio.gather(*(api.ask(who, CARD) for _ in range(3)))
    assert len({x["number"] for x in made}) == 1
    again = await api.ask("admin:sam:support", CARD, member={"phone": "+905551234"})
    assert again == made[0]
    bob = await api.enrol("2", "Bob")
    other_one = await api.ask(who, CARD, member={"id": bob})
    assert other_one["code"] == "NOT_ALLOWED"
    for refused in ("admin:fin:finance", "partner:grocer"):
        answer = await api.send(refused, CARD, member={"id": bob})
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert (await api.ask(api.member(bob), CARD))["number"] == "2"  # that it has already


@pytest.mark.parametrize(
    ("about", "field"),
    [
        ({"name": "A\0da"}, "name"),
        ({"name": "A\x07da"}, "name"),
        ({"name": "A" * 201}, "name"),
        ({"referredBy": "ABCDEFGH"}, "referredBy"),
    ],
)
async def test_what_a_newcomer_says_is_checked_before_the_code(
    ground: Ground, about: dict[str, str], field: str
) -> None:
    """As `joinProgramme` checks it: no fault of the server's, and the code is good afterwards."""
    await ground.ask_for(**ADA)
    code, before = ground.post.sent[-1].code, await dump()
    for tried in (code, other(code)):
        done = await ground.confirm(tried, about, **ADA)
        assert (done["code"], done["path"]) == ("BAD_INPUT", ["0", field])
    assert await dump() == before
    done = await ground.confirm(code, {"name": "Ada"}, **ADA)
    assert (done["__typename"], done["created"]) == ("CodeConfirmed", True)


async def test_who_has_a_login_comes_by_that_door_alone(ground: Ground) -> None:
    """Its address may be somebody else's by now; parted from its login it comes by a code again."""
    known = await ground.enrolled(**ADA)
    async with reading() as connection:
        await connection.execute("UPDATE member SET login = repeat('0', 64)")
    await ground.ask_for(**ADA)
    code = ground.post.sent[-1].code
    refused = await ground.confirm(code, **ADA)
    assert refused["code"] == "NOT_ALLOWED"
    assert "its own account" in refused["message"]
    async with reading() as connection:
        await connection.execute("UPDATE member SET login = NULL")
    assert (await ground.confirm(code, **ADA))["memberId"] == known["memberId"]
