"""Every member of every result union but the success: provoked, with its code and path."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from graphql import GraphQLUnionType, build_schema

from core.errors import BadInput, PartnerRuleFailed
from core.posting import Engine
from schema import purchases
from schema.errors import as_error
from tests.schema.client import CANCEL, CONFIRM, ENROL, PAY, REDEEM, Client, receipt
from tests.schema.test_sdl import SDL

AT = "2026-11-22T09:00:00Z"
ORDER: dict[str, Any] = {"key": "k", "partner": "grocer", "reward": "five-off"}


async def _rich(api: Client) -> str:
    who = api.member(await api.enrol("1"))
    await api.buy("admin:root", "grocer", receipt("R", "1", AT, ("PRODUCE", "400.00")))
    return who


@pytest.mark.parametrize(
    ("change", "kind", "path"),
    [
        ({"key": ""}, "BadInputError", ["key"]),
        ({"key": "x" * 256}, "BadInputError", ["key"]),
        ({"key": "a\0b"}, "BadInputError", ["key"]),
        ({"hold": "soon"}, "BadInputError", ["hold"]),
        ({"currency": "STAR"}, "BadInputError", ["currency"]),
        ({"partner": "nobody"}, "UnknownReferenceError", ["partner"]),
        ({"reward": "moon"}, "UnknownReferenceError", ["reward"]),
        # Known or not, malformed or not: a member's token learns nothing of others.
        ({"member": {"card": "1"}}, "NotAllowedError", ["member"]),
        ({"member": {"card": "9"}}, "NotAllowedError", ["member"]),
        ({"member": {"id": "nonsense"}}, "NotAllowedError", ["member"]),
        ({"partner": "cafe", "reward": "barista-class"}, "NotEligibleError", ["reward"]),
        ({"partner": "cafe", "reward": "free-drink"}, "NotEligibleError", ["reward"]),
    ],
)
async def test_redeeming(api: Client, change: dict[str, Any], kind: str, path: list[str]) -> None:
    """A refusal names the field; nothing is taken."""
    who = await _rich(api)
    done = await api.ask(who, REDEEM, input={**ORDER, **change})
    assert (done["__typename"], done["path"]) == (kind, path), done
    assert done["message"]
    me = await api.ask(who, '{ me { ledgers(currency: "BASKET") { balance { active } } } }')
    assert me["ledgers"][0]["balance"]["active"] == 1200


@pytest.mark.parametrize(
    ("change", "kind", "path"),
    [
        ({}, "NotEligibleError", None),
        ({"key": ""}, "BadInputError", ["key"]),
        ({"total": "nine"}, "BadInputError", ["total"]),
        ({"total": "0.00"}, "BadInputError", ["total"]),
        ({"currency": "usd"}, "BadInputError", ["total"]),
        ({"points": -5}, "BadInputError", ["total"]),
        ({"hold": "x"}, "BadInputError", ["hold"]),
        ({"rule": "none"}, "UnknownReferenceError", ["rule"]),
        ({"partner": "nobody"}, "UnknownReferenceError", ["partner"]),
        ({"partner": "grocer"}, "NotAllowedError", ["partner"]),
        ({"member": {"card": "9"}}, "UnknownReferenceError", ["member"]),
    ],
)
async def test_paying(
    api: Client, change: dict[str, Any], kind: str, path: list[str] | None
) -> None:
    """A member with points of another currency only pays with nothing."""
    await _rich(api)
    bill = {"key": "p", "partner": "outfitter", "rule": "pay-with-points", "member": {"card": "1"}}
    given = {**bill, "total": "40.00", "currency": "USD", **change}
    done = await api.ask("partner:outfitter", PAY, input=given)
    assert done["__typename"] == kind, done
    assert path is None or done["path"] == path


async def test_a_key_used_for_something_else(api: Client) -> None:
    """The same key with another order."""
    who = await _rich(api)
    assert (await api.ask(who, REDEEM, input=ORDER))["__typename"] == "RewardRedeemed"
    other = await api.ask(who, REDEEM, input={**ORDER, "hold": "1D"})
    assert other["__typename"] == "IdempotencyConflictError"


async def test_settling(api: Client) -> None:
    """What is settled stays; what nobody knows isn't there; a key is for one thing."""
    who = await _rich(api)
    held = await api.ask(who, REDEEM, input={**ORDER, "hold": "2h"})
    redemption = api.told("partner:grocer", held["redemption"]["id"])
    nobodys = {"key": "u", "redemption": "UmVkZW1wdGlvbjoxLjE="}
    unknown = {"key": "u", "redemption": api.told("partner:grocer", nobodys["redemption"])}
    malformed = {"key": "u", "redemption": api.told("partner:grocer", "UmVkZW1wdGlvbjox")}
    for operation in (CONFIRM, CANCEL):
        for redeemed in (nobodys, unknown):
            done = await api.ask("partner:grocer", operation, input=redeemed)
            assert (done["__typename"], done["path"]) == ("UnknownReferenceError", ["redemption"])
        done = await api.ask("partner:grocer", operation, input=malformed)
        assert (done["__typename"], done["path"]) == ("BadInputError", ["redemption"])
    settle = {"key": "c", "redemption": redemption}
    await api.ask("partner:grocer", CONFIRM, input=settle)
    again = await api.ask("partner:grocer", CONFIRM, input=settle)
    assert again["replayed"]
    clash = await api.ask("partner:grocer", CANCEL, input=settle)
    assert clash["__typename"] == "IdempotencyConflictError"
    late = await api.ask("partner:grocer", CANCEL, input={**settle, "key": "d"})
    assert late["__typename"] == "WrongStateError"


async def test_a_hold_that_ran_out_cannot_be_confirmed(api: Client) -> None:
    """Its time is part of the deal."""
    who = await _rich(api)
    held = await api.ask(who, REDEEM, input={**ORDER, "hold": "2h"})
    api.clock.at += timedelta(hours=2)
    held["redemption"]["id"] = api.told("partner:grocer", held["redemption"]["id"])
    settle = {"key": "c", "redemption": held["redemption"]["id"]}
    assert (await api.ask("partner:grocer", CONFIRM, input=settle))["code"] == "WRONG_STATE"


@pytest.mark.parametrize(
    ("given", "kind", "path"),
    [
        ({}, "BadInputError", ["member"]),
        ({"email": "nonsense"}, "BadInputError", ["member", "email"]),
        ({"phone": "call me"}, "BadInputError", ["member", "phone"]),
        ({"card": "a\0b"}, "BadInputError", ["member", "card"]),
        ({"card": "x" * 321}, "BadInputError", ["member", "card"]),
        ({"card": "5", "name": "x" * 201}, "BadInputError", ["name"]),
        ({"reference": "5"}, "UnknownReferenceError", ["partner"]),
        ({"reference": "5", "partner": "nobody"}, "UnknownReferenceError", ["partner"]),
    ],
)
async def test_enrolling(api: Client, given: dict[str, str], kind: str, path: list[str]) -> None:
    """Nobody is enrolled with what can't be meant."""
    done = await api.ask("admin:root", ENROL, input=given)
    assert (done["__typename"], [p for p in done["path"] if not p.isdigit()]) == (kind, path), done


async def test_enrolling_for_another_partner(api: Client) -> None:
    """A partner's references are its own."""
    done = await api.ask("partner:cafe", ENROL, input={"reference": "5", "partner": "grocer"})
    assert done["__typename"] == "NotAllowedError"


async def test_a_partners_rule_that_fails(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs that partner's purchase, and the caller is told whose fault it is."""

    async def failing(self: Engine, items: list[Any], *_: Any) -> list[Any]:
        return [PartnerRuleFailed("partner 'grocer', rule 'r': raised ZeroDivisionError")] * len(
            items
        )

    await api.enrol("1")
    monkeypatch.setattr(Engine, "record_purchases", failing)
    monkeypatch.setattr(Engine, "quote", failing)
    bought = receipt("R", "1", AT, ("PRODUCE", "1.00"))
    [recorded] = await api.buy("partner:grocer", "grocer", bought)
    assert recorded["__typename"] == "PartnerRuleFailedError"
    query = """query($purchase: PurchasesItemInput!) { quotePurchase(partner: "grocer",
      purchase: $purchase) { __typename } }"""
    quoted = await api.ask("partner:grocer", query, purchase=bought)
    assert quoted["__typename"] == "PartnerRuleFailedError"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("{ members(first: 0) { edges { cursor } } }", ["first"]),
        ("{ members(first: 101) { edges { cursor } } }", ["first"]),
        ('{ members(after: "nonsense") { edges { cursor } } }', ["after"]),
        ('{ members(after: "bWVtYmVyOi0x") { edges { cursor } } }', ["after"]),
        ('{ members(after: "ZW50cnk6MQ==") { edges { cursor } } }', ["after"]),
        ('{ members(partner: "nobody") { edges { cursor } } }', ["partner"]),
        ('{ members(search: {email: "x"}) { edges { cursor } } }', ["member", "email"]),
        ('{ rewards(after: "x") { edges { cursor } } }', ["after"]),
        ('{ node(id: "x") { id } }', ["id"]),
        ('{ member(by: {id: "x"}) { id } }', ["member", "id"]),
        ('{ member(by: {id: "UGFydG5lcjpjYWZl"}) { id } }', ["member", "id"]),
    ],
)
async def test_a_query_that_cannot_be_meant(api: Client, query: str, field: list[str]) -> None:
    """A query has no union: its refusals are errors with a code and the field."""
    answer = await api.send("admin:root", query)
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["extensions"]["field"] == field


@pytest.mark.parametrize(
    "node",
    ["Member:0", "Member:99999999999999999999", "Member:x", "Ledger:1", "Ledger:1.1", "Lot:1.1.1",
     "LedgerEntry:1.1.99999999999", "LedgerEntry:1.99999999999.1", "Redemption:1.1", "Redemption:x",
     "Partner:nobody", "Reward:cafe", "Reward:cafe/moon", "Currency:X", "TierLadder:x", "Query:1",
     "Purchase:1", "Purchase:x", "Purchase:99999999999999999999", "ReturnWaiting:1.8.x",
     "ReturnWaiting:99999999999.99999.x", "ReturnWaiting:x", "ReturnWaiting:1.8.\x00",
     "Notice:1.1.1.1.x", "Notice:1.1.1", "Notice:1.99999.99999999999.999999999999999999.x",
     "Notice:1.1.1.1.\x00",
     "Nothing:1", "Member:\x00", "Member:\u0661"],
)  # fmt: skip
async def test_a_node_that_is_not_there(api: Client, node: str) -> None:
    """Well-formed ids of nothing are null, without a fault."""
    import base64

    text = base64.b64encode(node.encode()).decode()
    query = "query($id: ID!) { node(id: $id) { id } }"
    assert await api.ask("admin:root", query, id=text) is None


async def test_a_batch_beyond_the_limit(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole is refused before anything is booked."""
    monkeypatch.setattr(purchases, "MOST_PURCHASES", 1)
    given = {"partner": "grocer", "purchases": [receipt("R", "1", AT, ("X", "1.00"))] * 2}
    query = """mutation($input: RecordPurchasesInput!) {
      recordPurchases(input: $input) { results { __typename } } }"""
    answer = await api.send("partner:grocer", query, input=given)
    assert answer["data"] == {"recordPurchases": None}
    assert answer["errors"][0]["extensions"]["field"] == ["purchases"]


#: What each union answers with where nothing was refused.
SUCCESSES = {
    "EnrolMemberResult": ["MemberEnrolled"],
    "PurchaseResult": ["PurchaseRecorded"],
    "QuoteResult": ["PurchaseQuoted"],
    "ReturnResult": ["ReturnRecorded", "ReturnWaiting"],
    "CancelResult": ["PurchaseCancelled", "ReturnWaiting"],
    "EditResult": ["PurchaseEdited"],
    "FulfilResult": ["PurchaseFulfilled", "ReturnWaiting"],
    "PayWithPointsResult": ["RewardRedeemed"],
    "RedeemRewardResult": ["RewardRedeemed"],
    "SettleRedemptionResult": ["RewardRedeemed"],
    "ImportRewardCodesResult": ["RewardCodesImported"],
    "AssignTierResult": ["TierAssigned"],
    "EndTierAssignmentResult": ["TierAssigned"],
    "AdjustPointsResult": ["PointsAdjusted"],
    "GiveRecognitionResult": ["RecognitionGiven"],
    "EraseRecognitionMessageResult": ["RecognitionMessageErased"],
    "MoveLotsResult": ["LotsMoved"],
    "ActivityResult": ["ActivityRecorded"],
    "WithdrawalResult": ["ActivityWithdrawn"],
    "RetryOccasionsResult": ["OccasionsRetried"],
    "SetBirthdayResult": ["BirthdaySet"],
    "NoteMemberResult": ["MemberNoted"],
    "ReferralCodeResult": ["ReferralCode"],
    "SaveRuleResult": ["DataRuleChanged"],
    "RuleInForceResult": ["DataRuleChanged"],
    "ResetShadowResult": ["ShadowReset"],
    "SimulateRulesResult": ["SimulationAsked"],
    "CancelSimulationResult": ["SimulationCancelled"],
    "ReplayInboundResult": ["InboundReplayed"],
    "CreateWebhookEndpointResult": ["WebhookSecretIssued"],
    "UpdateWebhookEndpointResult": ["WebhookEndpointSaved"],
    "RotateWebhookSecretResult": ["WebhookSecretIssued"],
    "SwitchWebhookEndpointResult": ["WebhookEndpointSaved"],
    "DeleteWebhookEndpointResult": ["WebhookEndpointDeleted"],
    "SendTestWebhookResult": ["WebhookQueued"],
    "ReplayWebhookDeliveryResult": ["WebhookQueued"],
    "ApiKeyIssuedResult": ["ApiKeyIssued"],
    "ApiKeyRevokedResult": ["ApiKeyRevoked"],
    "BulkExportResult": ["ExportReady"],
    "JoinProgrammeResult": ["ProgrammeJoined"],
    "PartLoginResult": ["LoginParted"],
    "MembershipTermResult": ["MembershipChanged"],
    "MembershipChangeResult": ["MembershipChanged"],
    "UsePerkResult": ["PerkUsed"],
    "CreateMeetupResult": ["MeetupSaved"],
    "CancelMeetupResult": ["MeetupSaved"],
    "RegisterForMeetupResult": ["RegistrationSaved"],
    "CancelRegistrationResult": ["RegistrationSaved"],
    "CheckInResult": ["CheckedIn"],
    "OrderAheadResult": ["OrderedAhead"],
    "CancelOrderAheadResult": ["OrderedAhead"],
    "RequestCodeResult": ["CodeRequested"],
    "ConfirmCodeResult": ["CodeConfirmed"],
    "CreateCardResult": ["Card"],
    "PersonalDataResult": ["PersonalData"],
    "EraseMemberResult": ["MemberErased"],
    "AnswerSurveyResult": ["SurveyAnswered"],
    "FollowUpSurveyResult": ["SurveyFollowedUp"],
}


def test_every_error_of_a_union_implements_the_interface() -> None:
    """So `... on Error { code message path }` suffices everywhere."""
    schema = build_schema(SDL.read_text())
    error = schema.type_map["Error"]
    unions = [t for t in schema.type_map.values() if isinstance(t, GraphQLUnionType)]
    assert {union.name for union in unions} == set(SUCCESSES)
    for union in unions:
        others = [t.name for t in union.types if error not in t.interfaces]
        assert others == SUCCESSES[union.name]


def test_fields_of_one_union_never_clash() -> None:
    """A field that two members share has one type, or nobody could ask both for it."""
    schema = build_schema(SDL.read_text())
    for union in schema.type_map.values():
        if not isinstance(union, GraphQLUnionType):
            continue
        types: dict[str, set[str]] = {}
        for member in union.types:
            for name, field in member.fields.items():
                types.setdefault(name, set()).add(str(field.type))
        assert {name: t for name, t in types.items() if len(t) > 1} == {}, union.name


def test_a_refusal_of_no_known_kind_is_a_fault_of_ours() -> None:
    """It is raised, and so masked, never shown as something it isn't."""
    from core.errors import Refusal

    assert as_error(BadInput("no", "a", 1)).path == ["a", "1"]
    with pytest.raises(Refusal):
        as_error(Refusal("new"))


@pytest.mark.parametrize(
    ("member", "kind", "path"),
    [
        ({"card": "9"}, "UnknownReferenceError", ["member"]),
        ({"id": "nonsense"}, "BadInputError", ["member", "id"]),
        ({"email": "nonsense"}, "BadInputError", ["member", "email"]),
    ],
)
async def test_redeeming_for_somebody(
    api: Client, member: dict[str, str], kind: str, path: list[str]
) -> None:
    """An admin or a till says for whom; the refusal names the field."""
    done = await api.ask("admin:root", REDEEM, input={**ORDER, "member": member})
    assert (done["__typename"], done["path"]) == (kind, path), done


async def test_a_till_names_a_stranger_by_card_and_not_by_a_guessed_id(api: Client) -> None:
    """The outfitter never dealt with the grocer's member: her id alone opens nothing."""
    who = await _rich(api)
    stranger = (await api.ask(who, "{ me { id } }"))["id"]
    order = {"key": "k", "partner": "outfitter", "reward": "tote", "currency": "LAUREL"}
    by_id = {**order, "member": {"id": api.told("partner:outfitter", stranger)}}
    done = await api.ask("partner:outfitter", REDEEM, input=by_id)
    assert (done["__typename"], done["path"]) == ("UnknownReferenceError", ["member"])
    me = await api.ask(who, '{ me { ledgers(currency: "LAUREL") { balance { active } } } }')
    assert me["ledgers"][0]["balance"]["active"] == 40
    by_card = {**order, "member": {"card": "1"}}
    done = await api.ask("partner:outfitter", REDEEM, input=by_card)
    assert done["__typename"] == "RewardRedeemed"
