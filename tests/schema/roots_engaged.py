"""The root fields on meetups, gifts and what a person hands out: as in `tests.schema.roots`."""

from __future__ import annotations

from typing import Any

AT = "2026-11-22T09:00:00Z"
STAFF = {"partner", "admin"}
ENGAGED: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "meetups": ("{ meetups { edges { node { id } } } }", {}, {"member", *STAFF}),
    "createMeetup": (
        "mutation($input: CreateMeetupInput!) { createMeetup(input: $input) { __typename } }",
        {
            "input": {
                "partner": "grocer",
                "code": "m",
                "title": "A walk",
                "place": {"name": "The gate", "latitude": 1.0, "longitude": 2.0},
                "startsAt": "2027-05-01T09:00:00Z",
                "endsAt": "2027-05-01T12:00:00Z",
            }
        },
        STAFF,
    ),
    "cancelMeetup": (
        "mutation($input: CancelMeetupInput!) { cancelMeetup(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "code": "none"}},
        STAFF,
    ),
    "registerForMeetup": (
        "mutation($input: MeetupSeatInput!) { registerForMeetup(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "meetup": "none"}},
        {"member"},
    ),
    "cancelRegistration": (
        "mutation($input: MeetupSeatInput!) { cancelRegistration(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "meetup": "none"}},
        {"member"},
    ),
    "checkIn": (
        "mutation($input: CheckInInput!) { checkIn(input: $input) { __typename } }",
        {"input": {"partner": "grocer", "code": "none", "latitude": 1.0, "longitude": 2.0}},
        {"partner"},
    ),
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
    "surveyAnswers": (
        '{ surveyAnswers(partner: "grocer", survey: "none") { edges { node { id } } } }',
        {},
        STAFF,
    ),
    "surveyReport": (
        """{ surveyReport(partner: "grocer", survey: "none", from: "2026-01-01T00:00:00Z",
        until: "2027-01-01T00:00:00Z") { total { sent } } }""",
        {},
        STAFF,
    ),
    "surveyByToken": (
        '{ surveyByToken(token: "none") { code } }',
        {},
        {"anonymous", "member"},
    ),
    "answerSurvey": (
        "mutation($input: AnswerSurveyInput!) { answerSurvey(input: $input) { __typename } }",
        {"input": {"token": "none", "score": 9}},
        {"anonymous", "member"},
    ),
    "followUpSurvey": (
        'mutation { followUpSurvey(invitation: "U3VydmV5SW52aXRhdGlvbjoxLjE=") { __typename } }',
        {},
        STAFF,
    ),
}
