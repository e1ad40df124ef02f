"""An admin's day in GraphiQL: the operations that the page opens with, in the order of the work.

Each carries variables that work in the demo coalition, and asks for what the page draws pictures
of. A tab is named after its operation; its title stands above the operation as a comment.
"""

from datetime import timedelta

from app.ide import Fresh, Tab

#: A member of the demo.
ADA = {"card": "9012"}

FIND_MEMBER = Tab(
    "Find a member: by card, email, phone, id or a partner's reference (then name the partner)",
    """\
query FindMember($by: MemberBy!, $partner: String) {
  member(by: $by, partner: $partner) {
    id
    name
    enrolledAt
    claimed
    identifiers { kind value }
    ledgers {
      currency { code symbol }
      balance { active pending reserved arrears }
      expiring(within: "12M") { amount at }
    }
    tiers {
      ladder { name }
      current { name }
      value
      toNext { tier { name threshold } missing }
      toKeep { missing until }
    }
    progress { title current target missing until }
    redemptions(first: 5) {
      edges { node { id requestedAt status points currency { code } reward { title } } }
    }
  }
}
""",
    {"by": ADA, "partner": None},
)

EXPLAIN_ENTRY = Tab(
    "Explain the entries of a ledger, newest first; `after` takes a cursor to go on",
    """\
query ExplainEntry($by: MemberBy!, $currency: String!, $after: String) {
  member(by: $by) {
    name
    ledgers(currency: $currency) {
      currency { code }
      balance { active pending reserved }
      entries(first: 20, after: $after) {
        pageInfo { hasNextPage endCursor }
        edges {
          node {
            id
            at
            kind
            amount
            change
            source
            target
            partner { name }
            explanation {
              text
              caps
              rounding
              lines { number productType amount { amount currency } rate points }
              rules { title version pluginVersion points because }
            }
          }
        }
      }
    }
  }
}
""",
    {"by": ADA, "currency": "BASKET", "after": None},
)

WHY_NOT = Tab(
    "Explain a receipt: what each rule gave, and why one gave nothing",
    """\
query WhyNot($partner: String!, $receipt: String!, $rule: String!) {
  purchase(partner: $partner, externalId: $receipt) {
    occurredAt
    total { amount currency }
    member { name }
    lines { number productType amount { amount } returnedAmount { amount } }
    awards { title currency { code } earned given }
    whyNot(rule: $rule) { title because points conditions { text held facts } }
    events { kind at externalId money { amount currency } takenBack { currency { code } taken } }
  }
}
""",
    {"partner": "cafe", "receipt": "9012-1", "rule": "welcome"},
)

ADJUST = Tab(
    "Adjust with a reason; below zero takes points. A key books once, so take a new one each time",
    """\
mutation Adjust($input: AdjustPointsInput!) {
  adjustPoints(input: $input) {
    __typename
    ... on PointsAdjusted {
      replayed
      adjustment { id at points currency { code } reason { code title } note runningTotal }
      member { name ledgers { currency { code } balance { active pending reserved arrears } } }
      tierChanges { from { name } to { name } }
    }
    ... on Error { code message path }
  }
}
""",
    {
        "input": {
            "key": Fresh("adjust"),
            "member": ADA,
            "currency": "LAUREL",
            "points": 20,
            "reason": "goodwill",
            "note": "The till was down when she came.",
        }
    },
)

REVERSE_RECEIPT = Tab(
    "Reverse a receipt: it never was, and its points go back where they came from",
    """\
mutation ReverseReceipt($input: CancelPurchasesInput!) {
  cancelPurchases(input: $input) {
    results {
      __typename
      ... on PurchaseCancelled {
        replayed
        money { amount currency }
        takenBack { currency { code } lost expired taken owed letGo }
        tierChanges { from { name } to { name } }
        member { name ledgers { currency { code } balance { active pending reserved arrears } } }
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
            "cancels": [
                {"purchase": "9012-3", "occurredAt": timedelta(minutes=-1)},
            ],
        }
    },
)

REVIEW_PARTNER = Tab(
    "Review a partner: its terms, rules, rewards, faults, and what its next version would change",
    """\
query ReviewPartner($partner: String!) {
  partners(code: $partner) {
    code
    name
    installed
    suspendedUntil
    timeZone
    tradesIn
    issues { code name expires pending returns }
    accepts { code }
    earnRules { code title basis }
    redeemRules { code title currency }
    settings { name value secret variable }
    faults { rule what count firstAt lastAt }
    shadow {
      version
      since
      pausedAt
      judged
      same
      different
      faults
      points { currency live shadow }
      differences(first: 5) {
        at
        live { rule currency points }
        shadow { rule currency points }
      }
    }
  }
  dataRules(partner: $partner) { code title state revision from until }
  rewards(first: 50, partner: $partner) {
    edges { node { code title price { amount currency { code } } left offered } }
  }
  failingOccasions(partner: $partner) { name type problem attempts nextAt }
}
""",
    {"partner": "grocer"},
)

TRIAL_BALANCE = Tab(
    "Read the trial balance: every account of every currency, which sums to zero",
    """\
query TrialBalance($asOf: DateTime) {
  trialBalance(asOf: $asOf) {
    at
    members
    currencies {
      currency { code name }
      ledgers
      sum
      accounts { account points }
      partners {
        partner { name }
        issued
        given
        outstanding
        redeemed
        expired
        clawedBack
        difference
      }
    }
  }
}
""",
    {"asOf": None},
)

WHAT_IF = Tab(
    "What if: a rule on real history, or `without` some; books nothing. Then ask for its report",
    """\
mutation WhatIf($input: SimulateRulesInput!) {
  simulateRules(input: $input) {
    __typename
    ... on SimulationAsked { replayed simulation { id state } }
    ... on Error { code message path }
  }
}
""",
    {
        "input": {
            "key": Fresh("what-if"),
            "partner": "grocer",
            "from": timedelta(days=-60),
            "until": timedelta(0),
            "draft": {
                "code": "more-produce",
                "title": "More for produce",
                "lines": "line.type == 'PRODUCE'",
                "award": {"currency": "BASKET", "points": 25},
            },
        }
    },
)

WHAT_IF_REPORTS = Tab(
    "What the what-ifs came to: now, and then",
    """\
query WhatIfReports {
  simulations(first: 3) {
    edges {
      node {
        id
        state
        done
        total
        problem
        draft
        partner { name }
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

#: What the page opens with.
DAY_TABS = (
    FIND_MEMBER,
    EXPLAIN_ENTRY,
    WHY_NOT,
    ADJUST,
    REVERSE_RECEIPT,
    REVIEW_PARTNER,
    TRIAL_BALANCE,
    WHAT_IF,
    WHAT_IF_REPORTS,
)
