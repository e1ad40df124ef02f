"""What GraphiQL offers: an admin's day first, then what front ends and tills send.

A tab is named after its operation; its title stands above the operation as a comment.
"""

from app.ide import Tab
from app.ide_day import DAY_TABS
from app.ide_more import MORE_TABS

PARTNERS = Tab(
    "Who is in the coalition, and what they offer",
    """\
query Partners {
  partners {
    code
    name
    issues { code name symbol }
    accepts { code }
    earnRules { code title }
  }
  rewards(first: 20) {
    edges { node { title partner { name } price { amount currency { code } } left } }
  }
}
""",
    opened=False,
)

MEMBERS = Tab(
    "Find members by card, e-mail, phone; without a search: all, a page at a time",
    """\
query Members($search: MemberIdentifier) {
  members(first: 10, search: $search) {
    edges { cursor node { id name identifiers { kind value } } }
    pageInfo { hasNextPage endCursor }
  }
}
""",
    {"search": {"card": "9012"}},
    opened=False,
)

_PURCHASE = {
    "externalId": "R-1001",
    "member": {"card": "9012"},
    "occurredAt": "2026-11-22T09:30:00+03:00",
    "currency": "USD",
    "lines": [
        {"productType": "PRODUCE", "sku": "P1", "quantity": "2", "amount": "84.00"},
        {"productType": "GROCERY", "sku": "G7", "amount": "16.40"},
    ],
}

QUOTE = Tab(
    "What a purchase would earn, and why; nothing is booked",
    """\
query Quote($partner: String!, $purchase: PurchasesItemInput!) {
  quotePurchase(partner: $partner, purchase: $purchase) {
    __typename
    ... on PurchaseQuoted {
      awards { amount currency { code } explanation { text } }
      rules { title version points because }
      tierChanges { from { name } to { name } }
    }
    ... on Error { code message path }
  }
}
""",
    {"partner": "grocer", "purchase": _PURCHASE},
    opened=False,
)

RECORD = Tab(
    "Record purchases as a till does; safe to repeat",
    """\
mutation RecordPurchases($input: RecordPurchasesInput!) {
  recordPurchases(input: $input) {
    results {
      __typename
      ... on PurchaseRecorded {
        replayed
        entries { amount currency { code } explanation { text } }
        tierChanges { from { name } to { name } }
      }
      ... on Error { code message path }
    }
  }
}
""",
    {"input": {"partner": "grocer", "purchases": [_PURCHASE]}},
    opened=False,
)

RETURN = Tab(
    "Take goods back: points follow their lines; safe to repeat",
    """\
mutation RecordReturns($input: RecordReturnsInput!) {
  recordReturns(input: $input) {
    results {
      __typename
      ... on ReturnRecorded {
        replayed
        money { amount currency }
        takenBack { currency { code } lost expired taken owed letGo }
        entries { kind amount currency { code } explanation { text } }
        tierChanges { from { name } to { name } }
        current { lines { number quantity returnedQuantity } awards { title given earned } }
      }
      ... on ReturnWaiting { purchase since }
      ... on Error { code message path }
    }
  }
}
""",
    {
        "input": {
            "partner": "grocer",
            "returns": [
                {
                    "externalId": "B-1001",
                    "purchase": "R-1001",
                    "occurredAt": "2026-11-22T17:00:00+03:00",
                    "lines": [{"line": 1, "quantity": "1"}],
                }
            ],
        }
    },
    opened=False,
)

REDEEM = Tab(
    "Redeem a reward; safe to repeat with the same key",
    """\
mutation Redeem($input: RedeemRewardInput!) {
  redeemReward(input: $input) {
    __typename
    ... on RewardRedeemed {
      replayed
      redemption { id status codes points currency { code } holdUntil reward { title } }
    }
    ... on Error { code message path }
  }
}
""",
    {
        "input": {
            "key": "first-redemption",
            "member": {"card": "9012"},
            "partner": "outfitter",
            "reward": "tote",
            "currency": "LAUREL",
        }
    },
    opened=False,
)

#: The day's work, which the page opens with; the rest stands in its list of operations.
ADMIN_TABS = (
    *DAY_TABS,
    *MORE_TABS,
    PARTNERS,
    MEMBERS,
    QUOTE,
    RECORD,
    RETURN,
    REDEEM,
)
