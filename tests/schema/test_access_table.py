"""Every role at every root field, and every field for every role. Default: nobody.

Two tables are kept: `access_fields.txt`, who reaches which field, so that a change of it is seen by
whoever reads the change; and `roots.TABLE`, an operation for each root field, which is tried here
as everybody. Credentials are tested elsewhere: here the viewers are given.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import strawberry
from graphql import GraphQLObjectType

from schema.access import STAFF, Allow, Rule, allow
from schema.build import Mutation, Query, build_schema, check_access
from schema.context import ANONYMOUS, Context, Viewer
from schema.roles import SCOPES, STAFF_ROLES
from tests.core.shop import dump
from tests.schema import reach
from tests.schema.client import Client, receipt
from tests.schema.reach import CALLERS, SCOPED, every_field, reached, rule_of, schema, table
from tests.schema.roots import TABLE
from tests.schema.roots_engaged import AT

KEPT = Path(__file__).parent / "access_fields.txt"


def _callers(holder: int) -> list[Viewer]:
    """Everybody: a key of each scope alone, one of all, each role of staff alone."""
    return [
        ANONYMOUS,
        Viewer("member", subject="somebody"),
        Viewer("member", holder=holder),
        Viewer("partner", partner="grocer"),
        *(Viewer("partner", partner="grocer", scopes=frozenset({scope})) for scope in SCOPES),
        *(Viewer("partner", partner="grocer", scopes=frozenset(SCOPES) - {s}) for s in SCOPES),
        Viewer("partner", partner="gone", scopes=frozenset(SCOPES)),
        Viewer("admin", subject="nobody's"),
        *(Viewer("admin", subject=role, staff=frozenset({role})) for role in STAFF_ROLES),
        *(Viewer("admin", subject=r, staff=STAFF - {r}) for r in STAFF_ROLES),
    ]


def _wanted(line: str, viewer: Viewer) -> bool:
    """Whether a root field's own words let a viewer in, read without the code that judges."""
    said = line.partition("For ")[2].rstrip(".").split("; ")
    match viewer.role:
        case "member":
            return "members" in said and viewer.holder is not None
        case "partner":
            asked = [part.partition("`")[2].rstrip("`") for part in said if "partners" in part]
            return (
                bool(asked)
                and viewer.partner == "grocer"
                and (asked[0] == "" or asked[0] in viewer.scopes)
            )
        case "anonymous":
            return "whoever has no token" in said
        case "admin":
            if "all admins" in said:
                return bool(viewer.staff)
            named = [part.removeprefix("admins: ") for part in said if part.startswith("admins: ")]
            return bool(named) and any(role in named[0].split(", ") for role in viewer.staff)
        case "anonymous":
            return "whoever has no token" in said
    return False


async def _tried(
    api: Client, viewer: Viewer, field: str, whole: strawberry.Schema
) -> tuple[bool, str | None]:
    """Whether a viewer got through to a field, and with which code not."""
    query, variables, _ = TABLE[field]
    context = Context(api.engine, viewer, api.clock)
    answer = await whole.execute(query, variables, context_value=context)
    for error in answer.errors or ():
        code = (error.extensions or {}).get("code")
        if code in ("UNAUTHENTICATED", "FORBIDDEN"):
            assert not answer.data or answer.data[field] is None, (field, viewer)
            return False, str(code)
    return True, None


async def test_every_caller_at_every_root_field(api: Client) -> None:
    """Who is refused is told so by the right code, and after all refusals nothing was written."""
    import base64

    member = await api.enrol("1")
    await api.buy("admin:root", "grocer", receipt("R", "1", AT, ("PRODUCE", "9.00")))
    holder = int(base64.b64decode(member).decode().partition(":")[2])
    whole = build_schema()
    roots = {**_fields("Query"), **_fields("Mutation")}
    assert set(TABLE) >= set(roots)
    tries = [(field, viewer) for field in roots for viewer in _callers(holder)]
    refused = [(f, v) for f, v in tries if not _lets_in(roots[f], f, v)]
    assert len(refused) > len(tries) / 2
    before = await dump()
    for field, viewer in refused:
        code = "UNAUTHENTICATED" if viewer.role == "anonymous" else "FORBIDDEN"
        assert await _tried(api, viewer, field, whole) == (False, code), (field, viewer)
    assert await dump() == before
    for field, viewer in tries:
        if _lets_in(roots[field], field, viewer):
            assert await _tried(api, viewer, field, whole) == (True, None), (field, viewer)


#: Whoever has a member's token and isn't enrolled yet may call these.
NEWCOMERS = {"me", "joinProgramme"}


def _lets_in(said: str, field: str, viewer: Viewer) -> bool:
    if viewer.role == "member" and viewer.holder is None:
        return field in NEWCOMERS
    return _wanted(said, viewer)


def _fields(root: str) -> dict[str, str]:
    kind = schema().type_map[root]
    assert isinstance(kind, GraphQLObjectType)
    return {name: field.description or "" for name, field in kind.fields.items()}


def test_each_root_field_says_in_the_schema_whom_it_lets_in() -> None:
    """In the words of its rule, last in its description: so that front ends and partners see it."""
    whole = schema()
    for root in (whole.query_type, whole.mutation_type, whole.subscription_type):
        for name, field in root.fields.items() if root else ():
            rule = rule_of(field)
            assert rule is not None, name
            assert (field.description or "").endswith(rule.rule.words), name


def test_an_owner_may_whatever_any_admin_may() -> None:
    """As the README says; a role beside it that could more would be nobody's to give."""
    whole = schema()
    owner = reached(whole, CALLERS["owner"])
    for role in STAFF_ROLES:
        assert reached(whole, CALLERS[role]) <= owner, role
    assert not owner <= reached(whole, CALLERS["manager"])


def test_the_table_of_fields_is_the_one_that_is_kept() -> None:
    """`python -m tests.schema.reach > tests/schema/access_fields.txt` keeps a change of it."""
    assert table() == KEPT.read_text()


def test_no_field_is_without_somebody_who_reaches_it_and_few_are_for_strangers() -> None:
    """A field that nobody reaches has no rule, or is dead; a stranger has a code or a link."""
    whole = schema()
    by_caller = {name: reached(whole, viewer) for name, viewer in CALLERS.items()}
    assert {name for name in by_caller["stranger"] if "Error." not in name} == {
        "Mutation.requestCode", "CodeRequested.expiresAt",
        "Mutation.confirmCode", "CodeConfirmed.created", "CodeConfirmed.memberId",
        "CodeConfirmed.token", "CodeConfirmed.expiresAt", "CodeConfirmed.card",
        "Card.number", "Card.qr",
        "Query.surveyByToken", "Survey.after", "Survey.code", "Survey.comment", "Survey.kind",
        "Survey.partnerName", "Survey.question", "Survey.title",
        "Mutation.answerSurvey", "SurveyAnswered.answer", "SurveyAnswered.replayed",
        "SurveyAnswer.answeredAt", "SurveyAnswer.comment", "SurveyAnswer.detractor",
        "SurveyAnswer.kind", "SurveyAnswer.score",
    }  # fmt: skip
    assert set().union(*by_caller.values()) == every_field(whole)


@pytest.mark.parametrize(
    ("caller", "field"),
    [
        ("member", "Query.members"),
        ("member", "Adjustment.note"),
        ("member", "AuditRecord.action"),
        ("member", "Partner.settings"),
        ("partner", "AuditRecord.action"),
        ("partner", "TrialBalance.at"),
        ("partner", "Partner.settings"),
        ("support", "TrialBalance.at"),
        ("support", "ApiKeyIssued.secret"),
        ("finance", "Mutation.adjustPoints"),
        ("auditor", "Mutation.recordPurchases"),
        ("manager", "AuditRecord.action"),
    ],
)
def test_what_is_not_theirs_is_out_of_reach(caller: str, field: str) -> None:
    """What would harm most, said once more by hand, beside the table."""
    whole = schema()
    assert field in every_field(whole)
    assert field not in reached(whole, CALLERS[caller])


@pytest.mark.parametrize(
    ("field", "scopes"),
    [
        ("Purchase.lines", {"purchases:read"}),
        ("PurchaseLine.sku", {"purchases:read"}),
        ("Member.identifiers", {"members:read", "members:write"}),
        ("Adjustment.note", {"points:adjust"}),
        ("ShadowDifference.live", {"rules:read"}),
        ("ApiKeyIssued.secret", {"keys:write"}),
        ("Partner.code", set(SCOPES)),
    ],
)
def test_which_scopes_alone_lead_to_what_would_harm(field: str, scopes: set[str]) -> None:
    """Said by hand, beside the table; what `test_scopes` tries is how much of it they are told."""
    whole = schema()
    assert {s for s, viewer in SCOPED.items() if field in reached(whole, viewer)} == scopes


def test_whoever_reaches_a_receipt_by_any_way_is_asked_for_its_scope() -> None:
    """All are made in one place, which asks: the table leans on it."""
    made = [
        f"{path.name}: {line.strip()}"
        for path in sorted((Path(__file__).parents[2] / "schema").glob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(r"\bPurchase(\.of)?\(", line) and not line.startswith("class ")
    ]
    assert made == ["receipts.py: return Purchase.of(story)"]


def test_without_that_the_causes_of_adjustments_would_lead_to_receipts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of what the table leans on."""
    assert "Purchase.lines" not in reached(schema(), SCOPED["points:adjust"])
    monkeypatch.setattr(reach, "HANDED_OUT", frozenset())
    assert "Purchase.lines" in reached(schema(), SCOPED["points:adjust"])


def test_the_reckoning_can_fail() -> None:
    """A rule too wide is seen: with the trial balance open to support, support reaches it."""
    whole = schema()
    assert whole.query_type is not None
    rule = rule_of(whole.query_type.fields["trialBalance"])
    assert rule is not None
    kept = rule.rule
    try:
        rule.rule = Rule(admin=STAFF)
        assert "TrialBalance.at" in reached(whole, CALLERS["support"])
        assert table() != KEPT.read_text()
    finally:
        rule.rule = kept


def test_a_root_field_without_a_rule_is_refused_at_the_start() -> None:
    """And so is a rule that lets in nobody."""

    @strawberry.type
    class Careless:
        @strawberry.field
        def secrets(self) -> list[str]:
            return []

    with pytest.raises(TypeError, match="secrets says nobody"):
        check_access(Careless)
    for root in (Query, Mutation):
        check_access(root)
    with pytest.raises(ValueError, match="admits somebody"):
        allow()


def test_a_rule_lets_in_whom_it_names() -> None:
    """By role, scope and role of staff; a newcomer only where it is said."""
    wide = Rule(member=True, partner="any", admin=STAFF)
    assert [wide.admits(v) for v in CALLERS.values()] == [False, False, *[True] * 7]
    assert Rule(member=True, newcomers=True).admits(CALLERS["newcomer"])
    scoped = Rule(partner="rules:read")
    assert not scoped.admits(Viewer("partner", partner="x", scopes=frozenset({"rules:write"})))
    assert scoped.admits(Viewer("partner", partner="x", scopes=frozenset({"rules:read"})))
    # A member's token with a partner's scopes, or staff's roles, would be a fault of ours.
    odd = Viewer("member", holder=1, scopes=frozenset(SCOPES), staff=STAFF)
    assert not Rule(partner="any", admin=STAFF).admits(odd)


def _quiet_fields(whole: Any) -> list[tuple[str, Any]]:
    return [
        (f"{kind.name}.{name}", field)
        for kind in whole.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__")
        for name, field in kind.fields.items()
        if (rule := _rule(field)) is not None and rule.quiet
    ]


def _rule(field: Any) -> Allow | None:
    return rule_of(field) if "strawberry-definition" in (field.extensions or {}) else None


def test_what_is_answered_null_to_others_may_be_null() -> None:
    """Else a refusal would take away what stands around it."""
    found = _quiet_fields(schema())
    assert {name for name, _ in found} >= {"Partner.faults", "Partner.settings"}
    assert [name for name, field in found if str(field.type).endswith("!")] == []
