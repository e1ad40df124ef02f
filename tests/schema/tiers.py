"""Operations on tiers, as the tests of the schema send them."""

from __future__ import annotations

ASSIGN = """mutation($input: AssignTierInput!) { assignTier(input: $input) { __typename
  ... on TierAssigned { replayed ladder { code } member { id }
    assignment { id tier { code } since until statusMatch reason }
    tierChanges { at from { code } to { code } } }
  ... on Error { code message path } } }"""
END = """mutation($input: EndTierAssignmentInput!) { endTierAssignment(input: $input) { __typename
  ... on TierAssigned { replayed assignment { until } tierChanges { from { code } to { code } } }
  ... on Error { code message path } } }"""
TIERS = """query($card: String!, $asOf: DateTime) { member(by: {card: $card}) { tiers(asOf: $asOf) {
  ladder { code window hold grace softLanding timeZone tiers { code neverDown } }
  current { code } since until value toNext { tier { code } missing } toKeep { missing until }
  projected { tier { code } at } assignment { id tier { code } until statusMatch reason } } } }"""
