"""Ids that a partner is told: its own for each member, of no use to another partner."""

from __future__ import annotations

import base64
from typing import Any

from tests.schema.client import REDEEM, Client, receipt
from tests.schema.roots_engaged import AT

_THINGS = """{ members { edges { cursor node { id ledgers { id currency { code }
  entries { edges { node { id } } } lots { edges { node { id } } } }
  redemptions { edges { node { id } } } notices { edges { node { id } } } } } } }"""
_NODE = "query($id: ID!) { node(id: $id) { id __typename } }"
_BY_ID = "query($id: ID!) { member(by: {id: $id}) { id name } }"


async def _dealt_with(api: Client) -> str:
    """A member who bought at the grocer and redeemed at the outfitter, by the admin's id."""
    ada = await api.enrol("1")
    await api.buy("partner:grocer", "grocer", receipt("R", "1", AT, ("WINE", "400.00")))
    order = {"key": "k", "partner": "outfitter", "reward": "tote", "currency": "LAUREL"}
    done = await api.ask("partner:outfitter", REDEEM, input={**order, "member": {"card": "1"}})
    assert done["__typename"] == "RewardRedeemed", done
    return ada


def _ids(found: Any) -> list[str]:
    """All ids in an answer, in order."""
    if isinstance(found, list):
        return [i for x in found for i in _ids(x)]
    if isinstance(found, dict):
        own = [found["id"]] if "id" in found else []
        return own + [i for key, x in found.items() if key != "id" for i in _ids(x)]
    return []


async def test_no_id_that_a_partner_is_told_names_the_member_to_another(api: Client) -> None:
    """Neither the member's nor that of anything that belongs to it; and each leads back."""
    ada = await _dealt_with(api)
    holder = base64.b64decode(ada).decode().partition(":")[2]
    told = {
        who: _ids(await api.ask(who, _THINGS))
        for who in ("partner:grocer", "partner:outfitter", "admin:root")
    }
    assert [len(ids) for ids in told.values()] == [8, 6, 9]
    assert not set(told["partner:grocer"]) & set(told["partner:outfitter"])
    assert ada in told["admin:root"]
    for who in ("partner:grocer", "partner:outfitter"):
        for thing in told[who]:
            key = base64.b64decode(thing).decode().partition(":")[2]
            assert key.partition(".")[0] != holder
            assert (await api.ask(who, _NODE, id=thing))["id"] == thing
            for other in told:
                if other != who:
                    answer = await api.send(other, _NODE, id=thing)
                    assert answer["data"] == {"node": None}, (other, thing)
        for thing in told["admin:root"]:  # nor can a partner use what an admin is told
            assert await api.ask(who, _NODE, id=thing) is None


async def test_a_partner_names_a_member_by_its_own_name_for_it(api: Client) -> None:
    """In arguments and inputs as in answers; another's name, or a number, is no id."""
    ada = await _dealt_with(api)
    [grocers, outfitters] = [
        _ids(await api.ask(who, _THINGS))[0] for who in ("partner:grocer", "partner:outfitter")
    ]
    assert await api.ask("partner:grocer", _BY_ID, id=grocers) == {"id": grocers, "name": "Ada"}
    for wrong in (outfitters, ada):
        answer = await api.send("partner:grocer", _BY_ID, id=wrong)
        assert answer["data"] == {"member": None}
        assert answer["errors"][0]["extensions"]["field"] == ["member", "id"]
    enrol = (
        """mutation { enrolMember(input: {card: "1"}) { ... on MemberEnrolled { memberId } } }"""
    )
    assert await api.ask("partner:grocer", enrol) == {"memberId": grocers}


async def test_a_page_of_members_goes_on_after_a_partners_cursor(api: Client) -> None:
    """Which says no more than its ids do."""
    for card in "123":
        await api.enrol(card, f"N{card}")
        await api.buy("partner:grocer", "grocer", receipt(card, card, AT, ("PRODUCE", "9.00")))
    query = """query($after: String) { members(first: 2, after: $after) {
      edges { cursor node { name } } pageInfo { endCursor hasNextPage } } }"""
    first = await api.ask("partner:grocer", query)
    assert [e["node"]["name"] for e in first["edges"]] == ["N1", "N2"]
    after = first["pageInfo"]["endCursor"]
    rest = await api.ask("partner:grocer", query, after=after)
    assert [e["node"]["name"] for e in rest["edges"]] == ["N3"]
    for who in ("admin:root", "partner:cafe"):
        answer = await api.send(who, query, after=after)
        assert answer["errors"][0]["extensions"]["field"] == ["after"], who


async def test_no_text_that_a_partner_is_told_holds_the_members_number(api: Client) -> None:
    """Whatever the field is called: ids, cursors, explanations, names."""
    ada = await _dealt_with(api)
    holder = base64.b64decode(ada).decode().partition(":")[2]
    wide = """{ members { edges { cursor node { id name referralCode badges { times }
      offers { rule } attributes { name value } progress { title } tiers { value }
      ledgers { id entries { edges { cursor node { id explanation { text because } } } }
        lots { edges { cursor node { id } } } }
      redemptions { edges { cursor node { id codes order } } } } } }
      failingOccasions(partner: "%s") { name problem type } }"""
    known = api.engine.rulebook.partners["grocer"]
    wide = wide.replace("explanation { text because }", "explanation { text }")
    for who in ("grocer", "outfitter"):
        answer = await api.send(f"partner:{who}", wide % who)
        assert "errors" not in answer, answer
        told = _texts(answer["data"])
        plain = [base64.urlsafe_b64decode(t + "==").decode("utf-8", "replace")
                 for t in told if t.isascii() and " " not in t and len(t) % 4 == 0]  # fmt: skip
        assert len(plain) > 5
        assert [t for t in (*told, *plain) if holder in t.replace(known.name, "")] == []
    told = _texts(await api.ask("admin:root", "{ members { edges { node { id } } } }"))
    assert any(holder in base64.b64decode(text).decode() for text in told)  # it can be seen


def _texts(found: Any) -> list[str]:
    """All texts in an answer."""
    if isinstance(found, str):
        return [found]
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return [text for x in inner for text in _texts(x)]
