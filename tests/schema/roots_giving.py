"""The root fields of giving, as `tests.schema.roots` has the others. Holds no test."""

from __future__ import annotations

from typing import Any

AT = "2026-11-22T09:00:00Z"
STAFF = {"partner", "admin"}
GIVING: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "colleagues": (
        '{ colleagues(partner: "grocer") { edges { node { id } } } }',
        {},
        {"member", *STAFF},
    ),
    "givingTerms": ('{ givingTerms(partner: "grocer") { each } }', {}, {"member", *STAFF}),
    "recognitions": (
        '{ recognitions(partner: "grocer") { edges { node { id } } } }',
        {},
        {"member", *STAFF},
    ),
    "recognitionReport": (
        f"""{{ recognitionReport(partner: "grocer", from: "{AT}", until: "2026-12-01T00:00:00Z")
        {{ times }} }}""",
        {},
        STAFF,
    ),
    "giveRecognition": (
        "mutation($input: GiveRecognitionInput!) { giveRecognition(input: $input) { __typename } }",
        {"input": {"key": "g", "partner": "grocer", "to": {"email": "x@y.org"}, "points": 1}},
        {"member", *STAFF},
    ),
    "eraseRecognitionMessage": (
        'mutation { eraseRecognitionMessage(recognition: "UmVjb2duaXRpb246MS4x") { __typename } }',
        {},
        {"member", *STAFF},
    ),
    "fulfilmentQueue": ("{ fulfilmentQueue { edges { node { id } } } }", {}, {"member", *STAFF}),
    "approveRedemption": (
        """mutation($input: SettleRedemptionInput!) {
        approveRedemption(input: $input) { __typename } }""",
        {"input": {"key": "k", "redemption": "UmVkZW1wdGlvbjoxLjE="}},
        STAFF,
    ),
    "declineRedemption": (
        """mutation($input: DeclineRedemptionInput!) {
        declineRedemption(input: $input) { __typename } }""",
        {"input": {"key": "k", "redemption": "UmVkZW1wdGlvbjoxLjE=", "note": "no"}},
        STAFF,
    ),
}
