"""Every root field, with an operation that asks for it and the roles that may. Holds no test."""

from __future__ import annotations

from typing import Any

from tests.schema.client import CANCEL, CONFIRM, ENROL, PAY, RECORD, REDEEM, receipt
from tests.schema.returning import CANCELS, EDITS, FULFILS, RETURN, WAITING, item
from tests.schema.roots_engaged import AT as AT
from tests.schema.roots_engaged import ENGAGED, STAFF
from tests.schema.roots_persons import PERSONS
from tests.schema.tiers import ASSIGN, END

PURCHASE = receipt("new", "1", AT, ("PRODUCE", "1.00"))
ACTIVITY = {"externalId": "A", "member": {"card": "1"}, "occurredAt": AT, "type": "review"}
HERO: dict[str, Any] = {"key": "k", "partner": "grocer", "reward": "five-off"}
BILL: dict[str, Any] = {
    "key": "p",
    "partner": "grocer",
    "rule": "none",
    "member": {"card": "1"},
    "total": "9.00",
    "currency": "USD",
}

REVERSE = """mutation($input: ReverseRedemptionInput!) { reverseRedemption(input: $input) {
  __typename } }"""
OF_NONE = {"purchase": "none", "occurredAt": AT}
SOLD = {"currency": "USD", "lines": [{"amount": "1.00"}]}

MEMBERSHIP = {"key": "m", "partner": "marketplace", "plan": "plus"}


def _of_membership(field: str) -> tuple[str, dict[str, Any], set[str]]:
    kind = f"{field[0].upper()}{field[1:]}Input"
    query = f"mutation($input: {kind}!) {{ {field}(input: $input) {{ __typename }} }}"
    return query, {"input": MEMBERSHIP}, {"member", *STAFF}


HOOK = {
    "key": "w",
    "partner": "grocer",
    "url": "https://grocer.example/hook",
    "changes": ["TIER_CHANGED"],
}
NO_HOOK = "V2ViaG9va0VuZHBvaW50Ojk5OTk="

# Root field: the operation, its variables, and the roles that may call it.
TABLE: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    **ENGAGED,
    **PERSONS,
    "me": ("{ me { id } }", {}, {"member"}),
    "member": ('query { member(by: {card: "1"}) { id } }', {}, {"member", *STAFF}),
    "members": ("{ members { edges { node { id } } } }", {}, {"partner", "admin"}),
    "partners": ("{ partners { code } }", {}, {"member", "partner", "admin"}),
    "currencies": ("{ currencies { code } }", {}, {"member", "partner", "admin"}),
    "tierLadders": ("{ tierLadders { code } }", {}, {"member", "partner", "admin"}),
    "rewards": ("{ rewards { edges { node { code } } } }", {}, {"member", "partner", "admin"}),
    "node": ('{ node(id: "UGFydG5lcjpjYWZl") { id } }', {}, {"member", "partner", "admin"}),
    "quotePurchase": (
        """query($purchase: PurchasesItemInput!) {
        quotePurchase(partner: "grocer", purchase: $purchase) { __typename } }""",
        {"purchase": PURCHASE},
        {"partner", "admin"},
    ),
    "aheadOrders": ('{ aheadOrders(partner: "grocer") { edges { node { id } } } }', {}, STAFF),
    "orderAhead": (
        """mutation($input: OrderAheadInput!) { orderAhead(input: $input) { __typename } }""",
        {
            "input": {
                "key": "a",
                "partner": "grocer",
                "store": "",
                "pickupAt": "2026-11-22T13:00:00Z",
                "currency": "USD",
                "lines": [{"amount": "1.00"}],
            }
        },
        {"member"},
    ),
    "cancelOrderAhead": (
        """mutation($input: CancelOrderAheadInput!) { cancelOrderAhead(input: $input) {
        __typename } }""",
        {"input": {"key": "a", "order": "QWhlYWRPcmRlcjoxLjE="}},
        {"member", "partner"},
    ),
    "offerReport": (
        """query($at: DateTime!) { offerReport(partner: "grocer", code: "none", from: $at,
        until: "2027-01-01T00:00:00Z") { code } }""",
        {"at": AT},
        STAFF,
    ),
    "purchase": ('{ purchase(partner: "grocer", externalId: "R") { id } }', {}, {"member", *STAFF}),
    "redemptionByCode": (
        'query { redemptionByCode(partner: "grocer", code: "x") { id } }',
        {},
        {"partner", "admin"},
    ),
    "dataRules": ('{ dataRules(partner: "grocer") { code } }', {}, {"partner", "admin"}),
    "ruleFacts": ("{ ruleFacts { name } }", {}, {"partner", "admin"}),
    "saveRule": (
        "mutation($input: SaveRuleInput!) { saveRule(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "rule": {"code": "tea", "title": "Tea"}}},
        STAFF,
    ),
    "activateRule": (
        "mutation($input: ActivateRuleInput!) { activateRule(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "code": "tea", "revision": 1}},
        STAFF,
    ),
    "shadowRule": (
        "mutation($input: ShadowRuleInput!) { shadowRule(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "code": "tea", "revision": 1, "on": True}},
        STAFF,
    ),
    "resetShadow": (
        "mutation($input: ResetShadowInput!) { resetShadow(input: $input) { __typename } }",
        {"input": {"partner": "grocer"}},
        STAFF,
    ),
    "endRule": (
        "mutation($input: EndRuleInput!) { endRule(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "code": "tea"}},
        STAFF,
    ),
    "inbound": ("{ inbound { edges { node { id } } } }", {}, STAFF),
    "replayInbound": (
        "mutation($input: ReplayInboundInput!) { replayInbound(input: $input) { __typename } }",
        {"input": {"ids": ["SW5ib3VuZERlbGl2ZXJ5OjE="]}},
        STAFF,
    ),
    "nodes": ('{ nodes(ids: ["UGFydG5lcjpjYWZl"]) { id } }', {}, {"member", *STAFF}),
    "auditRecords": ("{ auditRecords { edges { node { id } } } }", {}, {"admin"}),
    "webhookEndpoints": ("{ webhookEndpoints { edges { node { id } } } }", {}, STAFF),
    "webhookDeliveries": ("{ webhookDeliveries { edges { node { id } } } }", {}, STAFF),
    "createWebhookEndpoint": (
        """mutation($input: CreateWebhookEndpointInput!) {
        createWebhookEndpoint(input: $input) { __typename } }""",
        {"input": HOOK},
        STAFF,
    ),
    "updateWebhookEndpoint": (
        """mutation($input: UpdateWebhookEndpointInput!) {
        updateWebhookEndpoint(input: $input) { __typename } }""",
        {"input": {"id": NO_HOOK}},
        STAFF,
    ),
    "rotateWebhookSecret": (
        """mutation($input: RotateWebhookSecretInput!) {
        rotateWebhookSecret(input: $input) { __typename } }""",
        {"input": {"key": "r", "id": NO_HOOK}},
        STAFF,
    ),
    "disableWebhookEndpoint": (
        "mutation($id: ID!) { disableWebhookEndpoint(id: $id) { __typename } }",
        {"id": NO_HOOK},
        STAFF,
    ),
    "enableWebhookEndpoint": (
        "mutation($id: ID!) { enableWebhookEndpoint(id: $id) { __typename } }",
        {"id": NO_HOOK},
        STAFF,
    ),
    "deleteWebhookEndpoint": (
        "mutation($id: ID!) { deleteWebhookEndpoint(id: $id) { __typename } }",
        {"id": NO_HOOK},
        STAFF,
    ),
    "sendTestWebhook": (
        "mutation($input: SendTestWebhookInput!) { sendTestWebhook(input: $input) { __typename } }",
        {"input": {"key": "t", "id": NO_HOOK}},
        STAFF,
    ),
    "replayWebhookDelivery": (
        "mutation($id: ID!) { replayWebhookDelivery(id: $id) { __typename } }",
        {"id": "V2ViaG9va0RlbGl2ZXJ5Ojk5OTk="},
        STAFF,
    ),
    "waitingReturns": (WAITING, {}, {"partner", "admin"}),
    "enrolMember": (ENROL, {"input": {"card": "new"}}, {"partner", "admin"}),
    "recordPurchases": (
        RECORD,
        {"input": {"partner": "grocer", "purchases": [PURCHASE]}},
        {"partner", "admin"},
    ),
    "recordActivities": (
        """mutation($input: RecordActivitiesInput!) { recordActivities(input: $input) {
        results { __typename } } }""",
        {"input": {"partner": "grocer", "activities": [ACTIVITY]}},
        STAFF,
    ),
    "withdrawActivities": (
        """mutation($input: WithdrawActivitiesInput!) { withdrawActivities(input: $input) {
        results { __typename } } }""",
        {"input": {"partner": "grocer", "withdrawals": [{"activity": "A", "occurredAt": AT}]}},
        STAFF,
    ),
    "quoteActivity": (
        """query($activity: ActivitiesItemInput!) {
        quoteActivity(partner: "grocer", activity: $activity) { __typename } }""",
        {"activity": ACTIVITY},
        STAFF,
    ),
    "noteMember": (
        "mutation($input: NoteMemberInput!) { noteMember(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "member": {"card": "1"}, "notes": [{"name": "vip"}]}},
        STAFF,
    ),
    "setBirthday": (
        'mutation { setBirthday(member: {card: "1"}, birthday: "04-23") { __typename } }',
        {},
        {"member", "admin"},
    ),
    "failingOccasions": ('{ failingOccasions(partner: "grocer") { name } }', {}, STAFF),
    "retryOccasions": (
        'mutation { retryOccasions(partner: "grocer") { __typename } }',
        {},
        STAFF,
    ),
    "createReferralCode": (
        "mutation { createReferralCode { __typename } }",
        {},
        {"member", *STAFF},
    ),
    "recordReturns": (
        RETURN,
        {"input": {"partner": "grocer", "returns": [item("B", "R", AT, amount="1.00")]}},
        {"partner", "admin"},
    ),
    "editPurchases": (
        EDITS,
        {"input": {"partner": "grocer", "edits": [{**OF_NONE, "revision": 2, **SOLD}]}},
        {"partner", "admin"},
    ),
    "fulfilPurchases": (
        FULFILS,
        {"input": {"partner": "grocer", "fulfilments": [{**OF_NONE, "event": "shipped"}]}},
        {"partner", "admin"},
    ),
    "cancelPurchases": (
        CANCELS,
        {"input": {"partner": "grocer", "cancels": [OF_NONE]}},
        {"partner", "admin"},
    ),
    "redeemReward": (REDEEM, {"input": HERO}, {"member", "partner", "admin"}),
    "payWithPoints": (PAY, {"input": BILL}, {"partner", "admin"}),
    "confirmRedemption": (
        CONFIRM,
        {"input": {"key": "k", "redemption": "UmVkZW1wdGlvbjoxLjE="}},
        {"partner", "admin"},
    ),
    "reverseRedemption": (
        REVERSE,
        {"input": {"key": "k", "redemption": "UmVkZW1wdGlvbjoxLjE=", "reason": "damaged"}},
        {"partner", "admin"},
    ),
    "importRewardCodes": (
        """mutation($input: ImportRewardCodesInput!) { importRewardCodes(input: $input) {
        __typename } }""",
        {"input": {"partner": "grocer", "reward": "five-off", "codes": ["x"]}},
        {"partner", "admin"},
    ),
    "assignTier": (
        ASSIGN,
        {
            "input": {
                "key": "k",
                "member": {"card": "1"},
                "ladder": "none",
                "tier": "none",
                "reason": "goodwill",
            }
        },
        {"admin"},
    ),
    "endTierAssignment": (
        END,
        {"input": {"key": "k", "assignment": "VGllckFzc2lnbm1lbnQ6MS4x", "reason": "mistake"}},
        {"admin"},
    ),
    "adjustPoints": (
        "mutation($input: AdjustPointsInput!) { adjustPoints(input: $input) { __typename } }",
        {
            "input": {
                "key": "k",
                "member": {"card": "none"},
                "currency": "none",
                "points": 1,
                "reason": "goodwill",
            }
        },
        {"partner", "admin"},
    ),
    "moveLots": (
        "mutation($input: MoveLotsInput!) { moveLots(input: $input) { __typename } }",
        {"input": {"key": "k", "currency": "none"}},
        {"admin"},
    ),
    "simulations": ("{ simulations { edges { node { id } } } }", {}, STAFF),
    "simulateRules": (
        "mutation($input: SimulateRulesInput!) { simulateRules(input: $input) { __typename } }",
        {"input": {"key": "s", "partner": "grocer", "from": AT, "until": AT}},
        STAFF,
    ),
    "cancelSimulation": (
        """mutation($input: CancelSimulationInput!) {
        cancelSimulation(input: $input) { __typename } }""",
        {"input": {"id": "U2ltdWxhdGlvbjox"}},
        STAFF,
    ),
    "adjustments": ("{ adjustments { totals { times } } }", {}, {"partner", "admin"}),
    "adjustmentTerms": ("{ adjustmentTerms { limits { each } } }", {}, {"partner", "admin"}),
    "trialBalance": ("{ trialBalance { members } }", {}, {"admin"}),
    "programmeStatistics": ("{ programmeStatistics { timeZone } }", {}, {"admin"}),
    "previewLotMove": ('{ previewLotMove(currency: "LAUREL") { members } }', {}, {"admin"}),
    "lotMoves": ("{ lotMoves { edges { node { id } } } }", {}, {"admin"}),
    "bulkExport": (
        "mutation($input: BulkExportInput!) { bulkExport(input: $input) { __typename } }",
        {"input": {"query": "{ rewards { edges { node { code } } } }"}},
        {"member", *STAFF},
    ),
    "cancelRedemption": (
        CANCEL,
        {"input": {"key": "k", "redemption": "UmVkZW1wdGlvbjoxLjE="}},
        {"member", "partner", "admin"},
    ),
    "apiKeys": ('{ apiKeys(partner: "grocer") { id } }', {}, STAFF),
    "createApiKey": (
        "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "title": "Till", "scopes": ["MEMBERS_READ"]}},
        STAFF,
    ),
    "rotateApiKey": (
        "mutation($input: RotateApiKeyInput!) { rotateApiKey(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "id": "0" * 16}},
        STAFF,
    ),
    "revokeApiKey": (
        "mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "id": "0" * 16}},
        STAFF,
    ),
    "membershipPlans": ("{ membershipPlans { code } }", {}, {"member", *STAFF}),
    **{
        field: _of_membership(field)
        for field in ("joinPlan", "renewMembership", "cancelMembership", "resumeMembership")
    },
    "usePerk": (
        "mutation($input: UsePerkInput!) { usePerk(input: $input) { __typename } }",
        {
            "input": {
                "partner": "grocer",
                "member": {"card": "1"},
                "perk": "none",
                "externalId": "O",
            }
        },
        STAFF,
    ),
    "joinProgramme": ("mutation { joinProgramme { __typename } }", {}, {"member"}),
    "partLogin": ('mutation { partLogin(member: {card: "1"}) { __typename } }', {}, {"admin"}),
}
