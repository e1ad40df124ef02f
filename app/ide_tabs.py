"""What GraphiQL opens with: an admin's first tasks, in the order a newcomer would try them.

A tab is named after its operation; its title stands above the operation as a comment.
"""

from app.ide import Tab

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
)

MEMBER = Tab(
    "One member: each balance, why, and the tier",
    """\
query Member($card: String!) {
  member(by: { card: $card }) {
    id
    name
    ledgers {
      currency { code symbol }
      balance { active pending reserved }
      expiring(within: "30D") { amount at }
      entries(first: 10) {
        edges {
          node {
            at
            kind
            amount
            partner { name }
            explanation { text rules { title version points because } }
          }
        }
      }
    }
    tiers {
      ladder { name }
      current { name }
      toNext { tier { name } missing }
      toKeep { missing until }
    }
  }
}
""",
    {"card": "9012"},
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
)

SIMULATE = Tab(
    "What a rule would have come to on real history; books nothing. Then ask for its report",
    """\
mutation SimulateRules($input: SimulateRulesInput!) {
  simulateRules(input: $input) {
    __typename
    ... on SimulationAsked { replayed simulation { id state } }
    ... on Error { code message path }
  }
}
""",
    {
        "input": {
            "key": "what-if-1",
            "partner": "grocer",
            "from": "2026-11-01T00:00:00Z",
            "until": "2026-12-01T00:00:00Z",
            "draft": {
                "code": "early-produce",
                "title": "Early produce",
                "when": "local.hour < 12",
                "lines": "line.type == 'PRODUCE'",
                "award": {"currency": "BASKET", "points": 25},
            },
        }
    },
)

SIMULATIONS = Tab(
    "What simulations came to, and how far they have come",
    """\
query Simulations {
  simulations(first: 5) {
    edges {
      node {
        id
        state
        done
        total
        problem
        report {
          purchases
          members
          currencies { currency { code } booked now then change outstanding }
          rules { code now then }
          winners { member { id name } currency { code } now then }
          losers { member { id name } currency { code } now then }
          tiers { ladder now { name } then { name } members }
        }
      }
    }
  }
}
""",
)

#: In the order in which a newcomer would try them.
ADMIN_TABS = (
    PARTNERS,
    MEMBERS,
    MEMBER,
    QUOTE,
    RECORD,
    RETURN,
    REDEEM,
    SIMULATE,
    SIMULATIONS,
)
