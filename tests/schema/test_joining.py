"""Joining by a login: whose account it is from then on, and whose it never becomes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.tokens import issue
from core.db import reading
from core.joining import Login
from core.members import IdentifierKind, MemberRef
from core.posting import Engine
from core.rulebook import Rulebook
from tests.app.provider import HOUR, Trusting, trusting
from tests.schema.client import ENROL, SECRET

ME = "{ me { id name identifiers { kind value } } }"
JOIN = """mutation($input: JoinProgrammeInput) { joinProgramme(input: $input) { __typename
  ... on ProgrammeJoined { created member { id name identifiers { kind value } } }
  ... on Error { code message path } } }"""
PART = """mutation($member: MemberBy!, $drop: [MemberIdentifier!]) {
  partLogin(member: $member, drop: $drop) { __typename
  ... on LoginParted { memberId dropped replayed } ... on Error { code path } } }"""

ACTS = """{ auditRecords(action: "partLogin") { edges { node { before after } } } }"""


@pytest_asyncio.fixture(loop_scope="session")
async def ground(coalition: Rulebook) -> AsyncIterator[Trusting]:
    """The application that trusts the provider, on a fresh database."""
    async with trusting(Engine(coalition)) as made:
        yield made


async def enrolled(ground: Trusting, name: str, **identifiers: str) -> str:
    """A member that the programme knows; its id."""
    token = issue(SECRET, "admin", "root", HOUR, ground.clock())
    answer = await ground.ask(token, ENROL, input={"name": name, **identifiers})
    done = answer["data"]["enrolMember"]
    assert done["created"], done
    return str(done["memberId"])


async def join(ground: Trusting, token: str, **said: Any) -> dict[str, Any]:
    """What joining comes to."""
    answer = await ground.ask(token, JOIN, input=said or None)
    assert "errors" not in answer, answer
    done: dict[str, Any] = answer["data"]["joinProgramme"]
    return done


async def everything() -> list[tuple[Any, ...]]:
    """Members and their identifiers, as they are stored."""
    async with reading() as connection:
        members = await connection.fetch(
            "SELECT holder_id, name, claimed, birthday, login FROM member ORDER BY 1"
        )
        identifiers = await connection.fetch(
            "SELECT kind, scope, value, holder_id FROM identifier ORDER BY 1, 2, 3"
        )
    return [tuple(row) for row in (*members, *identifiers)]


def ada(ground: Trusting, **claims: Any) -> str:
    """A token of somebody whose e-mail address the provider has verified."""
    return ground.provider.token(**{"email": "ada@example.com", "email_verified": True, **claims})


async def test_a_newcomer_joins_by_an_act_of_its_own(ground: Trusting) -> None:
    """Before it is nobody, whatever it asks; afterwards a member; and again: the same one."""
    token = ada(ground)
    before = await everything()
    assert await ground.ask(token, ME) == {"data": {"me": None}}
    for query in ("{ currencies { code } }", '{ member(by: {card: "1"}) { id } }',
                  "mutation { createReferralCode { __typename } }"):  # fmt: skip
        answer = await ground.ask(token, query)
        [error] = answer["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"
        assert "call joinProgramme first" in error["message"]
    assert await everything() == before == []
    done = await join(ground, token, name="Ada", birthday="12-10")
    member = done["member"]
    assert (done["created"], member["name"]) == (True, "Ada")
    login = Login.of("https://login.test", "ada").ref.value
    told = [{"kind": "EMAIL", "value": "ada@example.com"}, {"kind": "LOGIN", "value": login}]
    assert member["identifiers"] == told
    assert await ground.ask(token, ME) == {"data": {"me": member}}
    stored = await everything()
    again = await join(ground, token, name="Eve", birthday="01-01")
    assert (again["created"], again["member"]) == (False, member)
    # Another token of the same login, that says less or other: the same member, unchanged.
    for other in (ground.provider.token(), ada(ground, email="else@example.com")):
        assert (await join(ground, other))["member"] == member
    assert await everything() == stored
    assert "ada" not in [row[2] for row in stored]  # the `sub` itself is kept nowhere


async def test_a_verified_address_finds_its_member(ground: Trusting) -> None:
    """An e-mail address or a telephone number; what it has is the login's from now on."""
    known: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"email": "Ada@Example.com", "email_verified": True}, {"email": "ada@example.com"}),
        ({"phone_number": "+90 555 123", "phone_number_verified": True}, {"phone": "+90555123"}),
    ]
    for n, (claims, identifiers) in enumerate(known):
        member = await enrolled(ground, "Ada", **identifiers)
        done = await join(ground, ground.provider.token(sub=f"s{n}", **claims))
        assert (done["created"], done["member"]["id"]) == (False, member)


@pytest.mark.parametrize(
    "claims",
    [{}, {"email_verified": False}, {"email_verified": None}, {"email_verified": "true"},
     {"email_verified": 1}, {"phone_number_verified": True}, {"email_verified": ["true"]}],
)  # fmt: skip
async def test_an_unverified_address_links_nothing(
    ground: Trusting, claims: dict[str, Any]
) -> None:
    """Neither to whom it belongs, nor to whoever brings it: nobody can wait there for its owner."""
    owner = await enrolled(ground, "Ada", email="ada@example.com")
    eve = ground.provider.token(sub="eve", email="ada@example.com", **claims)
    done = await join(ground, eve, name="Eve")
    assert (done["created"], done["member"]["name"]) == (True, "Eve")
    assert done["member"]["id"] != owner
    assert [x["kind"] for x in done["member"]["identifiers"]] == ["LOGIN"]
    # The control: its owner, verified, is found.
    assert (await join(ground, ada(ground)))["member"]["id"] == owner


async def test_who_registers_first_gets_no_hold_of_an_address(ground: Trusting) -> None:
    """Unverified it isn't kept: the owner, who comes later, isn't joined to the squatter."""
    eve = ground.provider.token(sub="eve", email="ada@example.com", email_verified=False)
    squatter = (await join(ground, eve))["member"]["id"]
    till = issue(SECRET, "partner", "cafe", HOUR, ground.clock())
    answer = await ground.ask(till, ENROL, input={"email": "ada@example.com"})
    assert answer["data"]["enrolMember"]["created"]
    done = await join(ground, ada(ground))
    assert (done["created"], done["member"]["id"] != squatter) == (False, True)


async def test_a_second_login_does_not_take_a_member_over(ground: Trusting) -> None:
    """An address is given to others in time; support parts the old login when it has looked."""
    member = (await join(ground, ada(ground)))["member"]["id"]
    later = ada(ground, sub="mallory")
    before = await everything()
    refused = await join(ground, later)
    assert (refused["__typename"], refused["path"]) == ("NotAllowedError", [])
    assert "another login" in refused["message"]
    assert await everything() == before
    assert await ground.ask(later, ME) == {"data": {"me": None}}
    staff = {
        role: issue(SECRET, "admin", "sam", HOUR, ground.clock(), staff=[role])
        for role in ("auditor", "support")
    }
    answer = await ground.ask(staff["auditor"], PART, member={"email": "ada@example.com"})
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await everything() == before
    for replayed in (False, True):
        answer = await ground.ask(staff["support"], PART, member={"email": "ada@example.com"})
        expected = {"__typename": "LoginParted", "memberId": member, "dropped": 0}
        assert answer["data"]["partLogin"] == {**expected, "replayed": replayed}
    assert await ground.ask(ada(ground), ME) == {"data": {"me": None}}
    assert (await join(ground, later))["member"]["id"] == member
    assert (await join(ground, ada(ground)))["__typename"] == "NotAllowedError"


async def test_a_till_lets_no_stranger_in(ground: Trusting) -> None:
    """A number that a partner tells of a member it found by the address isn't that member's."""
    victim = await enrolled(ground, "Ada", email="ada@example.com")
    before = await everything()
    till = issue(SECRET, "partner", "cafe", HOUR, ground.clock())
    for planted, field in (
        ({"email": "ada@example.com", "phone": "+15550199"}, "phone"),
        ({"email": "ada@example.com", "phone": "+15550199", "card": "9"}, "phone"),
    ):
        answer = await ground.ask(till, ENROL, input={"partner": "cafe", **planted})
        refused = answer["data"]["enrolMember"]
        assert (refused["code"], refused["path"][-1]) == ("NOT_ALLOWED", field)
    assert await everything() == before
    eve = ground.provider.token(sub="eve", phone_number="+15550199", phone_number_verified=True)
    done = await join(ground, eve)
    assert (done["created"], done["member"]["id"] != victim) == (True, True)
    # The controls: a card is added, and an admin adds a number, by which its owner comes in.
    answer = await ground.ask(till, ENROL, input={"email": "ada@example.com", "card": "9"})
    assert answer["data"]["enrolMember"]["created"] is False
    root = issue(SECRET, "admin", "root", HOUR, ground.clock())
    answer = await ground.ask(root, ENROL, input={"card": "9", "phone": "+15550100"})
    assert answer["data"]["enrolMember"]["memberId"] == victim
    own = ground.provider.token(phone_number="+15550100", phone_number_verified=True)
    assert (await join(ground, own))["member"]["id"] == victim


async def test_a_parted_login_does_not_come_back(ground: Trusting) -> None:
    """Nor another one by the number that let it in, which is dropped; the owner's joins."""
    member = await enrolled(ground, "Ada", email="ada@example.com", phone="+15550199")
    bob = await enrolled(ground, "Bob", card="2")
    eve = ground.provider.token(sub="eve", phone_number="+15550199", phone_number_verified=True)
    assert (await join(ground, eve))["member"]["id"] == member
    root = issue(SECRET, "admin", "root", HOUR, ground.clock())

    async def part(*drop: dict[str, str]) -> dict[str, Any]:
        answer = await ground.ask(root, PART, member={"id": member}, drop=list(drop))
        done: dict[str, Any] = answer["data"]["partLogin"]
        return done

    before = await everything()
    for drop, path in (
        ([{"phone": "+15550199"}, {"card": "2"}], ["drop", "1"]),  # Bob's
        ([{"phone": "x"}], ["drop", "0", "phone"]),
        ([{"reference": "7"}], ["drop", "0", "reference"]),
        ([{"card": str(n)} for n in range(21)], ["drop"]),
    ):
        refused = await part(*drop)
        assert (refused.get("code") is not None, refused.get("path")) == (True, path), drop
    assert await everything() == before
    done = await part()
    assert (done["dropped"], done["replayed"]) == (0, False)
    parted = await everything()
    refused = await join(ground, eve)
    assert (refused["__typename"], refused["path"]) == ("NotAllowedError", [])
    assert "taken away" in refused["message"]
    assert await everything() == parted
    # Another login of the stranger's would still find the member, but for the number.
    for count in (1, 0):
        done = await part({"phone": "+1 555 0199"}, {"card": "nobody's"})
        assert (done["dropped"], done["replayed"]) == (count, not count)
    told = (await ground.ask(root, ACTS))["data"]["auditRecords"]["edges"]
    name = f"identifiers {(await everything())[0][0]}"
    acts = [edge["node"] for edge in reversed(told) if name in edge["node"]["before"]]
    one, two = {"EMAIL": 1}, {"EMAIL": 1, "PHONE": 1}
    three = {**two, "LOGIN": 1}
    assert [(act["before"][name], act["after"][name]) for act in acts] == [
        (three, three),  # refused for Bob's card
        (three, two),
        (two, one),
        (one, one),
    ]
    done = await join(ground, eve)
    assert (done["created"], done["member"]["id"] not in (member, bob)) == (True, True)
    assert (await join(ground, ada(ground)))["member"]["id"] == member


async def test_two_members_are_not_joined(ground: Trusting) -> None:
    """An address of one, a number of the other: neither is taken, and nothing is written."""
    await enrolled(ground, "Ada", email="ada@example.com")
    await enrolled(ground, "Bob", phone="+15550100")
    before = await everything()
    both = ada(ground, phone_number="+15550100", phone_number_verified=True)
    refused = await join(ground, both)
    assert (refused["code"], refused["path"]) == ("IDEMPOTENCY_CONFLICT", [])
    assert await everything() == before
    # The control: with one of them alone it joins.
    assert (await join(ground, ada(ground)))["created"] is False


async def test_the_same_login_twice_at_once(ground: Trusting) -> None:
    """Is one member; and of two logins with one address, one."""
    done = await asyncio.gather(*(join(ground, ada(ground)) for _ in range(8)))
    assert len({x["member"]["id"] for x in done}) == 1
    assert [x["created"] for x in done].count(True) == 1
    tokens = [ada(ground, sub=f"s{n}", email="bob@example.com") for n in range(8)]
    outcomes = [x["__typename"] for x in await asyncio.gather(*(join(ground, t) for t in tokens))]
    assert outcomes.count("ProgrammeJoined") == 1
    assert outcomes.count("NotAllowedError") == 7


async def test_an_address_and_a_number_of_one_member_at_once(ground: Trusting) -> None:
    """Two logins by two of its identifiers: one is joined, the other refused, none fails."""
    await enrolled(ground, "Ada", email="ada@example.com", phone="+15550100")
    tokens = [
        ada(ground, sub="one"),
        ground.provider.token(sub="two", phone_number="+15550100", phone_number_verified=True),
    ]
    outcomes = [x["__typename"] for x in await asyncio.gather(*(join(ground, t) for t in tokens))]
    assert sorted(outcomes) == ["NotAllowedError", "ProgrammeJoined"]


async def test_joining_through_a_partner(ground: Trusting) -> None:
    """Referred by a member; what a newcomer says wrong is told by its field."""
    friend = issue(SECRET, "member", "1", HOUR, ground.clock())
    token = ada(ground)
    for said, code, path in (
        ({"partner": "none"}, "UNKNOWN_REFERENCE", ["partner"]),
        ({"birthday": "13-01"}, "BAD_INPUT", ["birthday"]),
        ({"referredBy": "X"}, "BAD_INPUT", ["0", "referredBy"]),
        ({"name": "x" * 201}, "BAD_INPUT", ["0", "name"]),
        ({"name": "a\0b"}, "BAD_INPUT", ["0", "name"]),
    ):
        refused = await join(ground, token, **said)
        assert (refused["code"], refused["path"][-1]) == (code, path[-1]), said
    assert await everything() == []
    done = await join(ground, token, partner="cafe")
    assert done["created"]
    till = issue(SECRET, "partner", "cafe", HOUR, ground.clock())
    seen = await ground.ask(till, "{ members { edges { node { claimed } } } }")
    assert seen["data"]["members"]["edges"] == [{"node": {"claimed": True}}]
    assert await ground.ask(friend, ME) == {"data": {"me": None}}


async def test_a_member_by_our_own_token_is_one_already(ground: Trusting) -> None:
    """Joining again changes nothing."""
    member = await enrolled(ground, "Ada", card="1")
    holder = (await everything())[0][0]
    token = issue(SECRET, "member", str(holder), HOUR, ground.clock())
    before = await everything()
    done = await join(ground, token, name="Eve")
    assert (done["created"], done["member"]["id"]) == (False, member)
    stranger = issue(SECRET, "member", "999999", HOUR, ground.clock())
    refused = await join(ground, stranger)
    assert (refused["code"], refused["path"]) == ("UNKNOWN_REFERENCE", [])
    assert await everything() == before


def test_a_login_is_of_its_issuer_to_the_letter() -> None:
    """Two issuers' subjects are two people, and no two texts run into each other."""
    logins = {
        Login.of(issuer, subject).ref.value
        for issuer, subject in (
            ("https://a", "x"), ("https://b", "x"), ("https://a", "X"), ("https://a", " x"),
            ("https://a", "x "), ("https://a x", ""), ("https://a", "\ud800"), ("https://a", ""),
        )
    }  # fmt: skip
    assert len(logins) == 8
    assert Login.of("https://a", "x") == Login.of("https://a", "x")
    assert MemberRef.make(IdentifierKind.CARD, "x").kind is not IdentifierKind.LOGIN
