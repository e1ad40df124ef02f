"""Activities, notes, offers, badges and referral over HTTP: by rules that staff write as data."""

from __future__ import annotations

from typing import Any

from core.check import prove
from tests.schema.client import ENROL, Client, receipt, statements
from tests.schema.test_data_rules import ACTIVATE, SAVE, STAFF, saving
from tests.support import NOW

TELL = """mutation($input: RecordActivitiesInput!) { recordActivities(input: $input) { results {
  __typename
  ... on ActivityRecorded { externalId replayed issued { reward }
    entries { amount currency { code } explanation { text lines { points }
      rules { code points because } } } member { id } }
  ... on Error { code message path } } } }"""
WITHDRAW = """mutation($input: WithdrawActivitiesInput!) { withdrawActivities(input: $input) {
  results { __typename
  ... on ActivityWithdrawn { replayed entries { amount explanation { text } }
    takenBack { lost charged currency { code } } }
  ... on Error { code message path } } } }"""
QUOTE = """query($activity: ActivitiesItemInput!, $draft: DataRuleInput) {
  quoteActivity(partner: "grocer", activity: $activity, draft: $draft) { __typename
    ... on PurchaseQuoted { recorded awards { amount explanation { text lines { points } } }
      rules { code points because } }
    ... on Error { code message path } } }"""
NOTE = """mutation($input: NoteMemberInput!) { noteMember(input: $input) { __typename
  ... on MemberNoted { attributes { name value until partner { code } } }
  ... on Error { code message path } } }"""
CODE = """mutation($member: MemberBy) { createReferralCode(member: $member) { __typename
  ... on ReferralCode { code } ... on Error { code message path } } }"""
MEMBER = """attributes { name value } offers { rule title until partner { code } }
  referralCode badges { times currency { code } }"""
ME = f"{{ me {{ {MEMBER} }} }}"
BY_CARD = f'{{ member(by: {{card: "9"}}) {{ {MEMBER} }} }}'
AT = NOW.isoformat()


def review(name: str, card: str = "9", **attributes: Any) -> dict[str, Any]:
    """A review as a partner tells it."""
    told = [{"name": k, "value": v} for k, v in attributes.items()]
    member = {"card": card}
    return {
        "externalId": name, "member": member, "occurredAt": AT, "type": "review",
        "attributes": told,
    }  # fmt: skip


def telling(*activities: dict[str, Any], partner: str = "grocer") -> dict[str, Any]:
    """An input."""
    return {"partner": partner, "activities": list(activities)}


def for_reviews(points: int = 10, **more: Any) -> dict[str, Any]:
    """Stars for a review with words."""
    return {
        "code": "review", "title": "Thanks for your review", "on": "review",
        "when": "activity.stars >= 1 && activity.words", "otherwise": "Write some words with it",
        "award": {"currency": "STAR", "points": points}, **more,
    }  # fmt: skip


async def put(pantry: Client, **rule: Any) -> None:
    """A rule in force."""
    rule = {"title": rule["code"].title(), **rule}
    saved = await pantry.ask(STAFF, SAVE, input=saving(rule))
    assert saved["__typename"] == "DataRuleChanged", saved
    which = {"partner": "grocer", "code": rule["code"], "revision": saved["rule"]["revision"]}
    done = await pantry.ask(STAFF, ACTIVATE, input=which)
    assert done["__typename"] == "DataRuleChanged", done


async def told(pantry: Client, *activities: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of a batch."""
    done: list[dict[str, Any]] = (await pantry.ask(STAFF, TELL, input=telling(*activities)))[
        "results"
    ]
    return done


async def test_staff_write_a_rule_on_reviews_and_members_earn_by_it(pantry: Client) -> None:
    me = await pantry.enrol("9")
    quoted = await pantry.ask(
        STAFF, QUOTE, activity=review("A-1", stars=5, words=True), draft=for_reviews()
    )
    assert quoted["awards"] == [
        {"amount": 10, "explanation": {"text": "Thanks for your review: 10 STAR.", "lines": []}}
    ]
    await put(pantry, **for_reviews())
    first, second, third = await told(
        pantry, review("A-1", stars=5, words=True), review("A-2", stars=5, words=False),
        review("A-3", "none"),
    )  # fmt: skip
    assert first == {
        "__typename": "ActivityRecorded", "externalId": "A-1", "replayed": False, "issued": [],
        "member": {"id": pantry.told(STAFF, me)},
        "entries": [
            {
                "amount": 10, "currency": {"code": "STAR"},
                "explanation": {
                    "text": "Thanks for your review: 10 STAR.", "lines": [],
                    "rules": [{"code": "review", "points": 10, "because": ""}],
                },
            }
        ],
    }  # fmt: skip
    assert second["entries"] == []
    assert third["code"] == "UNKNOWN_REFERENCE"
    assert third["path"] == ["activities", "2", "member"]
    (again,) = await told(pantry, review("A-1", stars=5, words=True))
    assert again["replayed"]
    (other,) = await told(pantry, review("A-1", stars=4, words=True))
    assert (other["code"], other["path"]) == (
        "IDEMPOTENCY_CONFLICT",
        ["activities", "0", "externalId"],
    )
    assert await prove() == []


async def test_a_withdrawn_activity_gives_its_points_back(pantry: Client) -> None:
    await pantry.enrol("9")
    await put(pantry, **for_reviews())
    await told(pantry, review("A-1", stars=5, words=True))
    gone = {"partner": "grocer", "withdrawals": [{"activity": "A-1", "occurredAt": AT}]}
    (done,) = (await pantry.ask(STAFF, WITHDRAW, input=gone))["results"]
    assert done == {
        "__typename": "ActivityWithdrawn", "replayed": False,
        "entries": [
            {
                "amount": 10,
                "explanation": {
                    "text": "10 STAR taken back: review A-1 was withdrawn on 2026-03-15."
                },
            }
        ],
        "takenBack": [{"lost": 10, "charged": 10, "currency": {"code": "STAR"}}],
    }  # fmt: skip
    (again,) = (await pantry.ask(STAFF, WITHDRAW, input=gone))["results"]
    assert again["replayed"]
    gone["withdrawals"] = [{"activity": "A-2", "occurredAt": AT}]
    (none,) = (await pantry.ask(STAFF, WITHDRAW, input=gone))["results"]
    assert (none["code"], none["path"]) == ("UNKNOWN_REFERENCE", ["withdrawals", "0", "activity"])
    assert await prove() == []


async def test_what_is_wrong_with_an_activity_is_named(pantry: Client) -> None:
    await pantry.enrol("9")
    twice = review("A")
    twice["attributes"] = [{"name": "a", "value": 1}, {"name": "a", "value": 2}]
    results = await told(
        pantry,
        {**review("A"), "type": "birthday"},
        {**review("A"), "type": "two words"},
        review("A", text="x" * 201),
        twice,
        {**review("A"), "externalId": "x" * 181},
    )
    assert [(r["code"], r["path"][2:]) for r in results] == [
        ("NOT_ALLOWED", ["type"]),
        ("BAD_INPUT", ["type"]),
        ("BAD_INPUT", ["attributes"]),
        ("BAD_INPUT", ["attributes", "1", "name"]),
        ("BAD_INPUT", ["externalId"]),
    ]
    for value in (1.5, None, [1], {"a": 1}, 2**63):
        answer = await pantry.send(STAFF, TELL, input=telling(review("A", stars=value)))
        (error,) = answer["errors"]
        assert "attributes[0].value" in error["message"], error
        assert answer.get("data") is None
    foreign = (await pantry.ask("partner:cafe", TELL, input=telling(review("A"))))["results"]
    assert [(r["code"], r["path"]) for r in foreign] == [
        ("NOT_ALLOWED", ["activities", "0", "partner"])
    ]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"on": "schedule:hourly"}, "it reads segment:CODE, schedule:daily"),
    ({"on": "review", "when": "purchase.total > 1.0"}, "undeclared reference to 'purchase.total'"),
    ({"when": "activity.stars >= 1"}, "undeclared reference to 'activity.stars'"),
    ({"on": "review", "lines": "line.type == 'TEA'"}, "on review there are neither lines nor"),
    ({"deny": "no"}, "what denies gives nothing"),
    ({"award": {"currency": "STAR", "points": 1, "streak": 3}}, "a streak is of periods"),
    ({"notes": [{"name": "two words"}]}, "a code has ASCII letters"),
    ({"notes": [{"name": "vip", "lasts": "soon"}]}, "is no duration"),
    ({"award": None, "thanks": True, "caps": [{"times": 1}]}, "caps, groups and the like are of"),
]


async def test_what_is_wrong_with_a_rule_is_said_when_it_is_saved(pantry: Client) -> None:
    for more, words in REFUSED:
        rule = {"code": "r", "title": "R", "award": {"currency": "STAR", "points": 1}, **more}
        if rule["award"] is None:
            del rule["award"]
        refused = await pantry.ask(STAFF, SAVE, input=saving(rule))
        assert (refused["code"], refused["path"][0]) == ("BAD_INPUT", "rule"), more
        assert words in refused["message"], refused["message"]


async def test_offers_segments_and_notes_as_data(pantry: Client) -> None:
    me = pantry.member(await pantry.enrol("9"))
    points = {"currency": "STAR", "points": 7}
    await put(pantry, code="offered", award=points, offered=True)
    await put(
        pantry, code="big", when="purchase.total >= 50.0",
        notes=[
            {"name": "offer:offered", "lasts": "7D"}, {"name": "segment:big"},
            {"name": "size", "value": "XL"},
        ],
    )  # fmt: skip
    await put(pantry, code="welcome", on="segment:big", award={"currency": "STAR", "points": 100})
    await put(
        pantry, code="knows", award=points,
        when="'big' in member.segments && member.attributes.size == 'XL' && "
        "'offered' in member.offers",
    )  # fmt: skip
    await put(pantry, code="staff", when="has(member.attributes.staff)", deny="Staff earn nothing")
    bill = [
        receipt(f"R{n}", "9", AT, ("TEA", amount)) for n, amount in enumerate(("50.00", "2.00"))
    ]
    first, second = await pantry.buy(STAFF, "grocer", *bill)
    assert [e["amount"] for e in first["entries"]] == [1]
    assert [e["amount"] for e in second["entries"]] == [1, 7, 7]
    seen = await pantry.ask(me, ME)
    assert seen["attributes"] == []
    assert seen["offers"] == [
        {
            "rule": "offered", "title": "Offered", "until": "2026-03-22T12:00:00Z",
            "partner": {"code": "grocer"},
        }
    ]  # fmt: skip
    assert [x["name"] for x in (await pantry.ask(STAFF, BY_CARD))["attributes"]] == [
        "offer:offered", "segment:big", "size",
    ]  # fmt: skip
    input_ = {"partner": "grocer", "member": {"card": "9"}}
    noted = await pantry.ask(
        STAFF, NOTE,
        input={**input_, "notes": [{"name": "staff"}, {"name": "size", "value": None}]},
    )  # fmt: skip
    assert [(x["name"], x["value"]) for x in noted["attributes"]] == [
        ("offer:offered", "yes"), ("segment:big", "yes"), ("staff", "yes"),
    ]  # fmt: skip
    (third,) = await pantry.buy(STAFF, "grocer", receipt("R9", "9", AT, ("TEA", "2.00")))
    assert third["entries"] == []
    for wrong, path in (
        ({"notes": []}, ["notes"]),
        ({"notes": [{"name": "a b"}]}, ["notes", "0"]),
        ({"notes": [{"name": "a"}], "until": AT}, ["until"]),
    ):
        refused = await pantry.ask(STAFF, NOTE, input={**input_, **wrong})
        assert (refused["code"], refused["path"]) == ("BAD_INPUT", path)
    stranger = {"partner": "cafe", "member": {"card": "9"}, "notes": [{"name": "a"}]}
    refused = await pantry.ask("partner:cafe", NOTE, input=stranger)
    assert (refused["code"], refused["path"]) == ("NOT_ALLOWED", ["member"])
    assert await prove() == []


async def test_referral_birthday_and_enrolment_as_data(pantry: Client) -> None:
    await put(pantry, code="hello", on="enrolment", award={"currency": "STAR", "points": 5})
    await put(pantry, code="ref", on="referral", award={"currency": "STAR", "points": 30})
    await put(
        pantry, code="friend", award={"currency": "STAR", "points": 20}, thanks=True,
        when="has(member.attributes.referred)", caps=[{"times": 1}],
    )  # fmt: skip
    joined = {"card": "9", "partner": "grocer", "birthday": "02-29"}
    mine = (await pantry.ask(STAFF, ENROL, input=joined))["memberId"]
    me = pantry.member(mine)
    assert (await pantry.ask(me, ME))["referralCode"] is None
    code = (await pantry.ask(me, CODE))["code"]
    assert (await pantry.ask(me, CODE))["code"] == code
    assert (await pantry.ask(me, ME))["referralCode"] == code
    done = await pantry.ask(
        STAFF, ENROL, input={"card": "8", "partner": "grocer", "referredBy": code}
    )
    assert done["created"]
    (bought,) = await pantry.buy(STAFF, "grocer", receipt("R1", "8", AT, ("TEA", "2.00")))
    assert [e["amount"] for e in bought["entries"]] == [1, 20]
    balances = "{ me { ledgers { balance { active } } } }"
    assert (await pantry.ask(me, balances))["ledgers"] == [{"balance": {"active": 35}}]
    wrong = await pantry.ask(STAFF, ENROL, input={"card": "7", "birthday": "30-02"})
    assert (wrong["code"], wrong["path"]) == ("BAD_INPUT", ["birthday"])
    wrong = await pantry.ask(
        STAFF, ENROL, input={"card": "7", "partner": "grocer", "referredBy": "NOBODY"}
    )
    assert (wrong["code"], wrong["path"]) == ("UNKNOWN_REFERENCE", ["0", "referredBy"])
    wrong = await pantry.ask("admin:root", ENROL, input={"card": "7", "referredBy": code})
    assert (wrong["code"], wrong["path"]) == ("BAD_INPUT", ["0", "referredBy"])
    foreign = await pantry.ask(me, CODE, member={"card": "8"})
    assert foreign["code"] == "NOT_ALLOWED"
    nobody = await pantry.ask(STAFF, CODE)
    assert (nobody["code"], nobody["path"]) == ("BAD_INPUT", ["member"])
    assert await prove() == []


async def test_a_streak_as_data_is_told_as_progress(pantry: Client) -> None:
    me = pantry.member(await pantry.enrol("9"))
    award = {"currency": "STAR", "points": 50, "streak": 3, "within": "calendar 1W"}
    await put(pantry, code="weeks", award=award)
    progress = "{ me { progress { rule counts current target missing until } } }"
    assert (await pantry.ask(me, progress))["progress"] == []
    given = []
    for n in range(4):
        (done,) = await pantry.buy(
            STAFF, "grocer", receipt(f"R{n}", "9", pantry.clock().isoformat(), ("TEA", "2.00"))
        )
        given.append([e["amount"] for e in done["entries"]])
        if n == 1:
            assert (await pantry.ask(me, progress))["progress"] == [
                {
                    "rule": "weeks", "counts": "PERIODS", "current": "2", "target": "3",
                    "missing": "1", "until": "2026-03-30T00:00:00Z",
                }
            ]  # fmt: skip
        pantry.clock.tick(days=7)
    assert given == [[1], [1], [1, 50], [1]]
    assert [p["current"] for p in (await pantry.ask(me, progress))["progress"]] == ["1"]
    pantry.clock.tick(days=14)
    assert (await pantry.ask(me, progress))["progress"] == []


async def test_a_member_does_not_learn_who_else_is_enrolled(pantry: Client) -> None:
    """An enrolled address, nobody's, another's id and its own are refused alike, as is nonsense."""
    ids = {}
    for card, email in (("9", "me@example.org"), ("8", "ada@example.org")):
        done = await pantry.ask("admin:root", ENROL, input={"card": card, "email": email})
        ids[card] = done["memberId"]
    me = pantry.member(ids["9"])
    birthday = """mutation($member: MemberBy) { setBirthday(birthday: "04-23", member: $member) {
      __typename ... on Error { code message path } } }"""
    others: list[dict[str, str]] = [
        {"email": "ada@example.org"}, {"email": "nobody@example.org"}, {"email": "x"},
        {"card": "8"}, {"card": "7"}, {"phone": "+15550100"}, {"reference": "1"},
        {"id": ids["8"]}, {"id": "x"}, {"id": ids["9"]}, {"email": "me@example.org"},
    ]  # fmt: skip
    for mutation in (birthday, CODE):
        with statements() as sent:
            told = [await pantry.ask(me, mutation, member=other) for other in others]
        assert (told[0]["code"], told[0]["path"]) == ("NOT_ALLOWED", ["member"])
        assert all(x == told[0] for x in told)
        # One for each asks whether the member itself is still there; nothing asks for the other.
        assert len(sent) == len(others)
        assert len(set(sent)) == 1
    # The controls: itself without a name, and an admin by any.
    assert (await pantry.ask(me, birthday))["__typename"] == "BirthdaySet"
    assert (await pantry.ask(me, CODE))["__typename"] == "ReferralCode"
    for mutation, kind in ((birthday, "BirthdaySet"), (CODE, "ReferralCode")):
        done = await pantry.ask("admin:root", mutation, member={"email": "ada@example.org"})
        assert done["__typename"] == kind


async def test_a_birthday_is_set_once_by_the_member_and_anew_by_an_admin(pantry: Client) -> None:
    me = pantry.member(await pantry.enrol("9"))
    setting = """mutation($day: String!, $member: MemberBy) {
      setBirthday(birthday: $day, member: $member) { __typename
        ... on BirthdaySet { birthday } ... on Error { code path } } }"""
    assert (await pantry.ask(me, setting, day="04-23"))["birthday"] == "04-23"
    assert (await pantry.ask(me, setting, day="04-23"))["__typename"] == "BirthdaySet"
    refused = await pantry.ask(me, setting, day="04-24")
    assert (refused["code"], refused["path"]) == ("WRONG_STATE", ["birthday"])
    done = await pantry.ask("admin:root", setting, day="02-29", member={"card": "9"})
    assert done["birthday"] == "02-29"
    for day in ("02-30", "4-1", "x"):
        wrong = await pantry.ask("admin:root", setting, day=day, member={"card": "9"})
        assert (wrong["code"], wrong["path"]) == ("BAD_INPUT", ["birthday"])


async def test_what_a_rule_fails_on_is_listed_and_tried_again_once_it_is_mended(
    pantry: Client,
) -> None:
    failing = """{ failingOccasions(partner: "grocer") {
      type attempts nextAt problem partner { code } member { id } } }"""
    retry = """mutation { retryOccasions(partner: "grocer") { __typename
      ... on OccasionsRetried { booked } ... on Error { code } } }"""
    await put(pantry, code="hello", on="enrolment", award={"currency": "STAR", "points": 10**15})
    await put(pantry, code="too", on="enrolment", award={"currency": "STAR", "points": 10**15})
    joined = await pantry.ask(STAFF, ENROL, input={"card": "9", "partner": "grocer"})
    (row,) = await pantry.ask(STAFF, failing)
    assert (row["type"], row["attempts"], row["partner"]) == ("enrolment", 1, {"code": "grocer"})
    assert row["member"] == {"id": joined["memberId"]}
    named = failing.replace("type", "name type")
    assert [x["name"] for x in await pantry.ask(STAFF, named)] == [None]
    holder = pantry.member(joined["memberId"]).partition(":")[2]
    assert [x["name"] for x in await pantry.ask("admin:root", named)] == [f"enrolment:{holder}"]
    assert "beyond what one purchase may give" in row["problem"]
    assert (await pantry.ask(STAFF, retry))["booked"] == 0
    assert [x["attempts"] for x in await pantry.ask(STAFF, failing)] == [1]
    terms = pantry.engine.rulebook.partners["grocer"]
    assert terms.triggers == {"purchase", "enrolment"}
    # Judged by the rules of its time: those ended later still fail on it.
    assert (await pantry.ask("admin:root", retry))["booked"] == 0
