"""The root fields by which persons come, are looked after and go, as `tests.schema.roots` has them.

Holds no test.
"""

from __future__ import annotations

from typing import Any

PERSONS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "requestCode": (
        "mutation($input: RequestCodeInput!) { requestCode(input: $input) { __typename } }",
        {"input": {"email": "ada@example.com"}},
        {"anonymous"},
    ),
    "confirmCode": (
        "mutation($input: ConfirmCodeInput!) { confirmCode(input: $input) { __typename } }",
        {"input": {"email": "ada@example.com", "code": "000000"}},
        {"anonymous"},
    ),
    "personalData": (
        'mutation { personalData(member: {card: "1"}) { __typename } }',
        {},
        {"member", "admin"},
    ),
    "eraseMember": (
        "mutation($input: EraseMemberInput!) { eraseMember(input: $input) { __typename } }",
        {"input": {"key": "e", "member": {"card": "none"}, "confirm": True}},
        {"member", "admin"},
    ),
    "fairnessReport": (
        """{ fairnessReport(partner: "grocer", from: "2026-01-01T00:00:00Z",
        until: "2027-01-01T00:00:00Z") { fair } }""",
        {},
        {"partner", "admin"},
    ),
    "staffGrants": (
        """{ staffGrants(from: "2026-01-01T00:00:00Z", until: "2027-01-01T00:00:00Z") {
        rows { times } } }""",
        {},
        {"admin"},
    ),
    "createCard": (
        'mutation { createCard(member: {card: "1"}) { __typename } }',
        {},
        {"member", "admin"},
    ),
}
