"""The records of what admins do: none goes without, and none holds what must be forgotten."""

from __future__ import annotations

import base64
from typing import Any

import asyncpg
import pytest
from graphql import GraphQLInputObjectType, get_named_type

from core.db import reading, transaction
from schema.acts import LEFT_OUT, without_secrets
from schema.build import build_schema
from tests.schema.client import ENROL, RECORD, REDEEM, Client, receipt
from tests.schema.roots import PURCHASE
from tests.schema.roots_engaged import AT
from tests.schema.test_adjustments import ADJUST, asked
from tests.schema.tiers import ASSIGN

RECORDS = """query($first: Int = 20, $after: String, $member: MemberBy, $action: String,
    $actor: String) {
  auditRecords(first: $first, after: $after, member: $member, action: $action, actor: $actor) {
    pageInfo { hasNextPage endCursor }
    edges { node { id at actor roles action asked reason outcome before after requestId
      members { id } } } } }"""


async def _records(api: Client, **how: Any) -> list[dict[str, Any]]:
    found = await api.ask("admin:root", RECORDS, **how)
    return [edge["node"] for edge in found["edges"]]


async def test_an_adjustment_is_told_with_what_was_before_and_after(api: Client) -> None:
    """Who, what, whom, why; and what was said in free words stays out."""
    ada = await api.enrol("1")
    await api.buy("partner:grocer", "grocer", receipt("R", "1", AT, ("PRODUCE", "10.00")))
    given = asked(ada, 60, note="Ada called from +90 555 000 00 00")
    done = await api.ask("admin:root", ADJUST, input=given)
    assert done["__typename"] == "PointsAdjusted"
    [record] = await _records(api, action="adjustPoints")
    holder = base64.b64decode(ada).decode().partition(":")[2]
    before, after = (record.pop(key)[f"member {holder}"] for key in ("before", "after"))
    assert record.pop("id")
    assert len(record.pop("requestId")) == 32  # made, for none came with the request
    assert record == {
        "at": "2026-11-22T12:00:00Z", "actor": "root", "roles": ["owner"],
        "action": "adjustPoints", "reason": given["reason"], "outcome": "PointsAdjusted",
        "asked": {"input": {**given, "note": "…", "counts": False}}, "members": [{"id": ada}],
    }  # fmt: skip
    empty = {"pending": 0, "reserved": 0, "arrears": 0}
    # Ten dollars of produce: 30 of the grocer's own, and one laurel.
    basket = {"BASKET": {**empty, "active": 30}}
    assert before["ledgers"] == {**basket, "LAUREL": {**empty, "active": 1}}
    assert after["ledgers"] == {**basket, "LAUREL": {**empty, "active": 61}}
    assert before["tiers"] == after["tiers"] == {"grocer": 0}


async def test_what_was_refused_is_told_too_and_what_others_do_is_not(api: Client) -> None:
    """By its code; a refusal for want of a role did not begin."""
    ada = await api.enrol("1")
    await api.ask("admin:root", ADJUST, input=asked(ada, 60, currency="NONE"))
    await api.buy("partner:grocer", "grocer", PURCHASE)
    who = api.member(ada)
    await api.ask(who, "mutation { createReferralCode { __typename } }")
    told = [(r["action"], r["outcome"]) for r in await _records(api)]
    assert told == [("adjustPoints", "UNKNOWN_REFERENCE"), ("enrolMember", "MemberEnrolled")]


async def test_nothing_personal_is_kept(api: Client) -> None:
    """Neither in what was asked nor anywhere else; and a long batch is told by its size."""
    person = {"email": "ada@example.org", "phone": "+90 555 111 22 33", "card": "77",
              "name": "Ada L", "birthday": "12-10"}  # fmt: skip
    await api.ask("admin:root", ENROL, input=person)
    many = [receipt(f"R{n}", "77", AT, ("PRODUCE", "1.00")) for n in range(300)]
    await api.ask("admin:root", RECORD, input={"partner": "grocer", "purchases": many})
    [batch, enrolled] = await _records(api)
    assert enrolled["asked"] == {"input": dict.fromkeys(person, "…")}
    assert batch["asked"] == {"tooLong": {"partner": "grocer", "purchases": "300 items"}}
    async with reading() as connection:
        rows = [str(row) for t in ("audit", "audit_outcome")
                for row in await connection.fetch(f"SELECT {t}::text FROM {t}")]  # fmt: skip
    for said in person.values():
        assert not [row for row in rows if said in row and said != "77"], said
    assert not [row for row in rows if '"77"' in row]


async def test_enrolling_tells_whom_and_by_what_kinds(api: Client) -> None:
    """So that a number that was added to somebody's account is found; its value isn't kept."""
    ada, bob = await api.enrol("1"), await api.enrol("2", "Bob")
    added = {"card": "1", "email": "ada@example.org", "phone": "+15550100"}
    await api.ask("admin:root", ENROL, input=added)
    another = await api.ask("admin:root", ENROL, input={"card": "1", "email": "a@example.org"})
    assert another["created"] is False
    scopeless = await api.ask("admin:root", ENROL, input={"card": "1", "reference": "9"})
    assert scopeless["code"] == "UNKNOWN_REFERENCE"
    two = await api.ask("admin:root", ENROL, input={"card": "2", "phone": "+15550100"})
    assert two["code"] == "IDEMPOTENCY_CONFLICT"
    a, b = (f"identifiers {api.member(x).partition(':')[2]}" for x in (ada, bob))
    told = [
        ([x["id"] for x in r["members"]], r["before"], r["after"])
        for r in reversed(await _records(api, action="enrolMember"))
    ]
    card, three = {"CARD": 1}, {"CARD": 1, "EMAIL": 1, "PHONE": 1}
    four = {**three, "EMAIL": 2}
    assert told == [
        ([ada], {a: None}, {a: card}),
        ([bob], {b: None}, {b: card}),
        ([ada], {a: card}, {a: three}),
        ([ada], {a: three}, {a: four}),
        ([], {}, {}),  # refused before anybody was looked for
        ([ada, bob], {a: four, b: card}, {a: four, b: card}),
    ]


async def test_why_may_be_said_with_the_request(api: Client) -> None:
    """By a header, which goes before the input's own reason; and the request's id is kept."""
    ada = await api.enrol("1")
    input_ = {"key": "k", "member": {"id": ada}, "ladder": "grocer", "tier": "gold",
              "reason": "status-match"}  # fmt: skip
    headers = {"authorization": f"Bearer {api.tokens['admin:root']}", "x-request-id": "req-1"}
    for n, why in enumerate((None, "asked for by the board")):
        sent = {**headers, **({} if why is None else {"x-reason": why})}
        variables = {"input": {**input_, "key": f"k{n}"}}
        body = {"query": ASSIGN, "variables": variables}
        answer = await api.http.post("/graphql", json=body, headers=sent)
        assert "errors" not in answer.json(), answer.text
    found = await _records(api, action="assignTier")
    assert [r["reason"] for r in found] == ["asked for by the board", "status-match"]
    assert {r["requestId"] for r in found} == {"req-1"}


async def test_records_are_found_by_whom_they_are_about_and_by_page(api: Client) -> None:
    """Newest first; a cursor of another list is refused."""
    ada, bob = await api.enrol("1"), await api.enrol("2", "Bob")
    for n, who in enumerate((ada, bob, ada)):
        await api.ask("admin:root", ADJUST, input={**asked(who, 1), "key": f"k{n}"})
    assert len(await _records(api, member={"id": ada})) == 3
    assert len(await _records(api, member={"card": "2"})) == 2
    assert await _records(api, member={"card": "3"}) == []
    assert await _records(api, actor="nobody") == []
    assert len(await _records(api, actor="root")) == 5
    seen, after = [], None
    while True:
        found = await api.ask("admin:root", RECORDS, first=2, after=after)
        seen += [edge["node"]["id"] for edge in found["edges"]]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert seen == [r["id"] for r in await _records(api)]
    assert len(set(seen)) == 5
    node = "query($id: ID!) { node(id: $id) { id ... on AuditRecord { action } } }"
    told = await api.ask("admin:root", node, id=seen[0])
    assert told == {"id": seen[0], "action": "adjustPoints"}
    for who in ("partner:grocer", api.member(ada)):
        assert await api.ask(who, node, id=seen[0]) is None


async def test_an_act_that_can_t_be_recorded_is_not_done(api: Client, database: str) -> None:
    """Were it done first, an act could go without a record."""
    ada = await api.enrol("1")
    async with transaction() as connection:
        before = await connection.fetchval("SELECT count(*) FROM adjustment")
    owner = await asyncpg.connect(database)
    try:
        await owner.execute("REVOKE INSERT ON audit FROM laurels_app")
        answer = await api.send("admin:root", ADJUST, input=asked(ada, 5))
        assert answer["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        async with reading() as connection:
            assert await connection.fetchval("SELECT count(*) FROM adjustment") == before
        await owner.execute("GRANT INSERT ON audit TO laurels_app")
        await owner.execute("REVOKE INSERT ON audit_outcome FROM laurels_app")
        done = await api.ask("admin:root", ADJUST, input=asked(ada, 5))
        assert done["__typename"] == "PointsAdjusted"
    finally:
        await owner.close()
    told = [(r["action"], r["outcome"]) for r in await _records(api)]
    assert told == [("adjustPoints", None), ("enrolMember", "MemberEnrolled")]


@pytest.mark.parametrize("table", ["audit", "audit_outcome"])
async def test_a_record_can_t_be_changed_or_taken_away(
    api: Client, database: str, table: str
) -> None:
    """Not even by who owns the database, as long as the guard stands."""
    await api.enrol("1")
    owner = await asyncpg.connect(database)
    try:
        for change in (f"UPDATE {table} SET at = now()", f"DELETE FROM {table}",
                       f"TRUNCATE {table} CASCADE"):  # fmt: skip
            with pytest.raises(asyncpg.RestrictViolationError):
                await owner.execute(change)
    finally:
        await owner.close()


async def test_a_hold_that_support_calls_off_is_about_its_member(api: Client) -> None:
    """Named by the redemption, not by the member."""
    ada = await api.enrol("1")
    await api.buy("partner:grocer", "grocer", receipt("R", "1", AT, ("PRODUCE", "200.00")))
    order = {"key": "k", "partner": "grocer", "reward": "five-off", "hold": "1D"}
    held = await api.ask(api.member(ada), REDEEM, input=order)
    cancel = """mutation($input: SettleRedemptionInput!) { cancelRedemption(input: $input) {
      __typename } }"""
    settle = {"key": "c", "redemption": held["redemption"]["id"]}
    await api.ask("admin:root", cancel, input=settle)
    [record, _] = await _records(api, member={"id": ada})  # and of enrolling
    [before], [after] = record["before"].values(), record["after"].values()
    reserved = [x["ledgers"]["BASKET"]["reserved"] for x in (before, after)]
    assert reserved == [500, 0]


async def test_neither_a_query_nor_a_password_in_an_address_is_kept(api: Client) -> None:
    """A query's own words may name people, and an address what opens the other side."""
    ada = await api.enrol("1")
    note = """mutation($input: NoteMemberInput!) { noteMember(input: $input) { __typename } }"""
    noted = {
        "member": {"id": ada},
        "partner": "grocer",
        "notes": [{"name": "diet", "value": "nuts"}],
    }
    await api.ask("admin:root", note, input=noted)
    asked_for = '{ members(search: {email: "ada@example.org"}) { edges { node { id } } } }'
    export = """mutation($input: BulkExportInput!) { bulkExport(input: $input) { __typename } }"""
    await api.ask("admin:root", export, input={"query": asked_for})
    hook = """mutation($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) {
      __typename } }"""
    url = "https://grocer.example/hook/in?token=s3cret"
    given = {"key": "w", "partner": "grocer", "url": url, "changes": ["TIER_CHANGED"]}
    done = await api.ask("admin:root", hook, input=given)
    assert done["__typename"] == "WebhookSecretIssued"
    made, exported, noting, _ = await _records(api)
    assert noting["asked"]["input"]["notes"] == [{"name": "…", "value": "…"}]
    assert made["asked"]["input"]["url"] == "https://grocer.example/hook/in"
    assert exported["asked"]["input"]["query"] == "…"
    kept = str([made, exported, noting])
    assert "nuts" not in kept
    assert "s3cret" not in kept
    assert "ada@example.org" not in kept


def test_a_password_in_front_of_a_host_is_left_out_too() -> None:
    """And what is no address at all is told as far as it is one."""
    given = {"url": "https://ada:pass@shop.example:8443/x?y#z", "inner": [{"url": "nonsense"}]}
    told = {"url": "https://shop.example:8443/x", "inner": [{"url": "://nonsense"}]}
    assert without_secrets(given) == told
    assert without_secrets({"url": "https://[::1/x?y"}) == {"url": "…"}


#: Texts of mutations' inputs that stand in the records: looked at, and none is anybody's.
_STANDS = """activity amount assignment cause code currency deny discount event exceptTypes
    externalId factor fee hold id ids invitation key ladder language lasts lines meetup on
    order otherwise overlap partner pending per perk plan pointsPaid productType purchase quantity
    reason recognition redemption referredBy renews reward rule shared sku store tags tax
    tender tier title total type url when within without"""
STANDS = frozenset(_STANDS.split())


def _texts_that_stand(left_out: frozenset[str]) -> set[str]:
    """The names of all inputs of text, however deep, that the records would hold."""
    schema = build_schema()._schema
    seen: set[str] = set()
    found: set[str] = set()
    assert schema.mutation_type is not None
    coming = [pair for f in schema.mutation_type.fields.values() for pair in f.args.items()]
    while coming:
        name, given = coming.pop()
        kind = get_named_type(given.type)
        if name in left_out:
            continue
        if not isinstance(kind, GraphQLInputObjectType):
            found |= {name} if kind.name in ("String", "ID", "JSON", "AttributeValue") else set()
        elif kind.name not in seen:
            seen.add(kind.name)
            coming += kind.fields.items()
    return found


def test_a_new_input_of_text_is_kept_only_once_somebody_looked_at_it() -> None:
    """Else it might be somebody's name, and stay for ever: leave it out, or say it stands."""
    assert _texts_that_stand(LEFT_OUT) == STANDS
    assert _texts_that_stand(LEFT_OUT - {"email"}) == STANDS | {"email"}  # it would be seen
