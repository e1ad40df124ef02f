"""What an admin does less often in GraphiQL: not opened, but in the page's list of operations."""

from datetime import timedelta

from app.ide import Fresh, Tab
from app.ide_day import ADA

REVERSE_REDEMPTION = Tab(
    "Reverse a redemption: its id stands in the answers of Redeem and FindMember",
    """\
mutation ReverseRedemption($input: ReverseRedemptionInput!) {
  reverseRedemption(input: $input) {
    __typename
    ... on RewardRedeemed {
      replayed
      redemption {
        id
        status
        reason
        member { name ledgers { currency { code } balance { active pending reserved } } }
      }
    }
    ... on Error { code message path }
  }
}
""",
    {
        "input": {
            "key": Fresh("reverse"),
            "redemption": "",
            "reason": "damaged",
        }
    },
    opened=False,
)

ADJUSTMENTS = Tab(
    "What was adjusted by hand, by whom and why, with the totals of each reason",
    """\
query Adjustments($from: DateTime) {
  adjustments(from: $from, first: 50) {
    totals { reason { code title } currency { code } times added taken }
    edges {
      node { at caller points currency { code } reason { title } note member { id name } }
    }
  }
  adjustmentTerms { reasons { code title } limits { each perDay } }
}
""",
    {"from": timedelta(days=-30)},
    opened=False,
)

LOTS = Tab(
    "The lots of a ledger: where each came from, what is left of it, and until when",
    """\
query Lots($by: MemberBy!, $currency: String!) {
  member(by: $by) {
    name
    ledgers(currency: $currency) {
      currency { code }
      lots(first: 50) {
        edges {
          node { id status amount remaining earnedAt activeAt expiresAt partner { name } policy }
        }
      }
    }
  }
}
""",
    {"by": ADA, "currency": "BASKET"},
    opened=False,
)

AUDIT = Tab(
    "What admins did: who, what, before, after and why; auditors and owners read it",
    """\
query Audit($actor: String, $from: DateTime) {
  auditRecords(actor: $actor, from: $from, first: 50) {
    edges {
      node { at actor roles action reason outcome asked before after requestId members { id name } }
    }
  }
}
""",
    {"actor": None, "from": timedelta(days=-30)},
    opened=False,
)

API_KEYS = Tab(
    "A partner's API keys: what each opens, when it was last used, and until when it is good",
    """\
query ApiKeys($partner: String!) {
  apiKeys(partner: $partner) { id title scopes createdBy createdAt usedAt expiresAt revokedAt }
}
""",
    {"partner": "grocer"},
    opened=False,
)

FOLLOW_LEDGER = Tab(
    "Follow a member's ledgers: each is told again when it changes, until you stop it",
    """\
subscription FollowLedger($member: MemberBy!, $currency: String) {
  ledgerChanged(member: $member, currency: $currency) {
    currency { code }
    balance { active pending reserved arrears }
    entries(first: 10) { edges { node { at kind change } } }
  }
}
""",
    {"member": ADA, "currency": "LAUREL"},
    opened=False,
)

MORE_TABS = (LOTS, ADJUSTMENTS, REVERSE_REDEMPTION, FOLLOW_LEDGER, AUDIT, API_KEYS)
