"""Surveys: each member asked once and not too often, one answer each, and nobody's thanks lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from core.activities import ActivityInput, check_activity
from core.check import prove
from core.db import reading
from core.errors import BadInput, NotAllowed, Refusal, UnknownReference, WrongState
from core.events import EventKind
from core.occasions import tell
from core.posting import Engine
from core.purchases import find_partner
from core.signing import Secrets
from core.store.surveys import Tally
from core.survey_reports import summary
from core.survey_tokens import SurveyTokens
from core.surveys import Answered, Given, answer, answer_by_token, follow_up, invite
from laurels import Effects, Facts, Purchase, award, earn_rule, on
from laurels.surveys import SurveyKind
from tests.core.club import all_at_once, forge
from tests.core.inn import DESK, STAY, asked, dispatched, invitations, open_inn, stays
from tests.core.shop import days
from tests.schema.client import statements
from tests.support import NOW, card, enrol_cards, receipt, scalar

pytestmark = pytest.mark.asyncio
HOUR = timedelta(hours=1)
TOLD = "survey answers = what rules are told"


async def one(engine: Engine) -> tuple[int, int]:
    """(holder, invitation) of the one member who stayed and was asked."""
    [ada] = await enrol_cards(["1"])
    await stays(engine, NOW, "1")
    assert await asked(engine, NOW + HOUR) == 1
    [(holder, number, survey)] = await invitations()
    assert (holder, survey) == (ada, "stay")
    return holder, number


async def points(holder: int) -> int:
    """What a member has."""
    return int(
        await scalar("SELECT coalesce(sum(active), 0) FROM ledger WHERE holder_id = $1", holder)
    )


# -- whom to ask -----------------------------------------------------------------------------------


async def test_asked_when_it_is_time_and_not_before(database: str) -> None:
    engine = await open_inn()
    await enrol_cards(["1"])
    await stays(engine, NOW, "1")
    assert await asked(engine, NOW + HOUR - timedelta(microseconds=1)) == 0
    assert await scalar("SELECT count(*) FROM survey_due") == 1
    assert await asked(engine, NOW + HOUR) == 1
    assert await asked(engine, NOW + HOUR) == 0
    assert await scalar("SELECT count(*) FROM survey_due") == 0


async def test_not_more_often_than_it_says(database: str) -> None:
    """Thirty days between two: two stays at once, one within, one exactly then."""
    engine = await open_inn()
    await enrol_cards(["1"])
    await stays(engine, NOW, "1", "1")
    assert await asked(engine, NOW + HOUR) == 1
    for day, new in ((29, 0), (30, 1), (31, 0)):
        at = NOW + days(day)
        await stays(engine, at, "1")
        assert await asked(engine, at + HOUR) == new, day


async def test_another_survey_is_another_matter(database: str) -> None:
    """And each follows its own kind of thing."""
    engine = await open_inn()
    await enrol_cards(["1"])
    await stays(engine, NOW, "1")
    inn = find_partner(engine.rulebook, "inn")
    for name, kind in (("A-1", "helped"), ("A-2", "left"), ("A-3", "sneezed")):
        item = check_activity(inn, ActivityInput(name, card("1"), NOW, kind, {}))
        await engine.record_activities([item], NOW)
    assert await asked(engine, NOW + HOUR) == 3
    assert [row[2] for row in await invitations()] == ["stay", "desk", "words"]


async def test_what_is_told_too_late_is_past_asking(database: str) -> None:
    engine = await open_inn()
    _, bob = await enrol_cards(["1", "2"])
    for member, at in (("1", NOW - days(14) - HOUR), ("2", NOW - days(14))):
        item = receipt(engine, f"late {member}", member, at, ("ROOM", "1.00"), partner="inn")
        await engine.record_purchases([item], NOW)
    # An hour after the first one is fourteen days ago, and its answer would be late by now.
    assert await asked(engine, NOW) == 1
    assert [row[0] for row in await invitations()] == [bob]


async def test_a_survey_that_is_gone_asks_nobody(database: str) -> None:
    engine = await open_inn()
    await enrol_cards(["1"])
    await stays(engine, NOW, "1")
    await dispatched(engine, NOW)
    assert await scalar("SELECT count(*) FROM survey_due") == 1
    assert await invite(await open_inn(DESK), NOW + HOUR) == 0
    assert await scalar("SELECT count(*) FROM survey_due") == 0


async def test_many_cost_as_many_statements_as_one(database: str) -> None:
    engine = await open_inn()
    numbers = [str(n) for n in range(41)]
    await enrol_cards(numbers)
    counts = []
    for some in (numbers[:1], numbers[1:]):
        await stays(engine, NOW, *some)
        with statements() as planning:
            await dispatched(engine, NOW)
        with statements() as asking:
            assert await invite(engine, NOW + HOUR) == len(some)
        counts.append((len(planning), len(asking)))
    assert counts[0] == counts[1]


async def test_two_workers_ask_each_once(wide: str) -> None:
    engine = await open_inn()
    numbers = [str(n) for n in range(30)]
    await enrol_cards(numbers)
    await stays(engine, NOW, *numbers, *numbers)  # two stays each: two askings, of which one is let
    await dispatched(engine, NOW)
    assert await scalar("SELECT count(*) FROM survey_due") == 60
    found = await asyncio.gather(*(invite(engine, NOW + HOUR) for _ in range(8)))
    assert sum(found) == 30
    assert len({row[0] for row in await invitations()}) == 30


# -- one answer ------------------------------------------------------------------------------------


async def test_the_same_answer_at_once_is_one_and_gives_once(wide: str) -> None:
    engine = await open_inn()
    ada, number = await one(engine)
    at = NOW + 2 * HOUR
    calls = [answer(engine, ada, number, Given(9, "Lovely"), at) for _ in range(8)]
    found = await all_at_once(*calls)
    assert Counter(x.replayed for x in found) == {False: 1, True: 7}
    assert await points(ada) == 25
    assert await scalar("SELECT count(*) FROM survey_answer") == 1
    assert await prove() == []


async def test_two_answers_at_once_are_one_and_a_refusal(wide: str) -> None:
    engine = await open_inn()
    ada, number = await one(engine)
    token = engine.survey_tokens.make(ada, number)
    at = NOW + 2 * HOUR
    found = await all_at_once(
        answer_by_token(engine, token, Given(3), at), answer(engine, ada, number, Given(10), at)
    )
    assert sorted(type(x).__name__ for x in found) in (
        ["Answered", "WrongState"],
        ["Answered", "NotAllowed"],
    )
    [taken] = [x for x in found if isinstance(x, Answered)]
    assert taken.asked.answer is not None
    assert await scalar("SELECT score FROM survey_answer") == taken.asked.answer.score
    assert await points(ada) == 25


async def test_what_a_rule_fails_on_is_told_later(database: str) -> None:
    """The answer stands, and its thanks come when the rule is well again."""
    broken = True

    @earn_rule("thanks", "Thanks")
    def thanks(purchase: Purchase, facts: Facts) -> Effects:
        if broken:
            raise ValueError("not today")
        return award("POINT", 25)

    engine = await open_inn(rules=(on("survey-answered", thanks),))
    ada, number = await one(engine)
    done = await answer(engine, ada, number, Given(9), NOW + 2 * HOUR)
    assert not done.replayed
    assert await points(ada) == 0
    assert await prove() == []  # it waits
    broken = False
    assert await tell(engine, NOW + 3 * HOUR) == 1
    assert await points(ada) == 25
    assert (await answer(engine, ada, number, Given(9), NOW + 3 * HOUR)).replayed
    assert await points(ada) == 25


async def test_the_check_finds_an_answer_that_nobody_was_told_of(database: str) -> None:
    """The control of the check: thanks that were lost are found."""
    engine = await open_inn()
    ada, number = await one(engine)
    await answer(engine, ada, number, Given(9), NOW + 2 * HOUR)
    assert await prove() == []
    await forge(database, "UPDATE survey_answer SET at = at + interval '1s'")
    assert [finding.check for finding in await prove()] == [TOLD]


async def test_the_database_holds_to_it_alone(database: str) -> None:
    engine = await open_inn()
    ada, number = await one(engine)
    await answer(engine, ada, number, Given(9, "Lovely"), NOW + 2 * HOUR)
    for text in ("score = 11", "score = NULL", "kind = 2", "kind = 4"):
        with pytest.raises(asyncpg.CheckViolationError):
            await forge(database, f"UPDATE survey_answer SET {text}")
    async with reading() as connection:
        for text in (
            "UPDATE survey_answer SET score = 1",
            "DELETE FROM survey_answer",
            "DELETE FROM survey_invitation",
            "UPDATE survey_comment SET comment = 'x'",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(text)


async def test_an_erased_comment_leaves_score_and_points(database: str) -> None:
    engine = await open_inn()
    ada, number = await one(engine)
    await answer(engine, ada, number, Given(2, "My name is Ada"), NOW + 2 * HOUR)
    async with reading() as connection:
        await connection.execute("DELETE FROM survey_comment WHERE holder_id = $1", ada)
    found = await follow_up(ada, number, NOW + 3 * HOUR)
    assert found.answer is not None
    assert (found.answer.score, found.answer.comment) == (2, None)
    assert await points(ada) == 25
    # The first time that somebody followed up stands.
    again = await follow_up(ada, number, NOW + 4 * HOUR)
    assert again.answer is not None
    assert again.answer.followed_at == NOW + 3 * HOUR
    with pytest.raises(WrongState):
        await answer(engine, ada, number, Given(2, "Ada again"), NOW + 4 * HOUR)
    assert await prove() == []


@pytest.mark.parametrize(
    ("survey", "given", "path"),
    [
        (STAY, Given(None), "score"),
        (STAY, Given(-1), "score"),
        (STAY, Given(11), "score"),
        (STAY, Given(5, "x" * 2001), "comment"),
        (STAY, Given(5, "a\0b"), "comment"),
        (replace(STAY, comment=False), Given(5, "x"), "comment"),
        (replace(STAY, kind=SurveyKind.CSAT), Given(0), "score"),
        (replace(STAY, kind=SurveyKind.CSAT), Given(6), "score"),
        (replace(STAY, kind=SurveyKind.TEXT), Given(3, "x"), "score"),
        (replace(STAY, kind=SurveyKind.TEXT), Given(None, "  "), "comment"),
    ],
)
async def test_what_is_no_answer(database: str, survey: Any, given: Given, path: str) -> None:
    engine = await open_inn(survey)
    ada, number = await one(engine)
    with pytest.raises(BadInput) as refused:
        await answer(engine, ada, number, given, NOW + 2 * HOUR)
    assert refused.value.path == (path,)
    assert await scalar("SELECT count(*) FROM survey_answer") == 0
    with pytest.raises(WrongState):
        await follow_up(ada, number, NOW)


async def test_an_answer_is_taken_until_just_before_its_end(database: str) -> None:
    engine = await open_inn()
    ada, number = await one(engine)
    until = NOW + HOUR + days(14)
    token = engine.survey_tokens.make(ada, number)
    refusals: list[Refusal] = []
    for call in (
        answer_by_token(engine, token, Given(9), until),
        answer_by_token(engine, engine.survey_tokens.make(ada, number + 1), Given(9), NOW),
        answer_by_token(engine, SurveyTokens.fleeting().make(ada, number), Given(9), NOW),
    ):
        with pytest.raises(NotAllowed) as refused:
            await call
        refusals.append(refused.value)
    assert len({(r.message, r.path) for r in refusals}) == 1  # nobody learns which it was
    with pytest.raises(UnknownReference):
        await answer(engine, ada + 1, number, Given(9), NOW)
    assert await scalar("SELECT count(*) FROM survey_answer") == 0
    done = await answer_by_token(engine, token, Given(9), until - timedelta(microseconds=1))
    assert not done.replayed
    kind = "SELECT count(*) FROM event WHERE kind = $1"
    assert await scalar(kind, EventKind.OCCASION) == 1


# -- tokens and sums -------------------------------------------------------------------------------


async def test_tokens_outlive_a_new_secret_and_say_nothing() -> None:
    old = SurveyTokens.of(Secrets("the one before, long enough"))
    both = SurveyTokens.of(Secrets("the secret in force, long", ("the one before, long enough",)))
    token = old.make(7, 31)
    assert token == old.make(7, 31) != old.make(7, 32)
    assert both.read(token) == (7, 31)
    assert both.make(7, 31) != token
    assert SurveyTokens.of(Secrets("a stranger's, long enough")).read(token) is None
    for place in range(len(token) - 1):  # the last letter carries two bits that mean nothing
        other = "A" if token[place] != "A" else "B"
        assert old.read(token[:place] + other + token[place + 1 :]) is None
    for text in ("", "x", token + "A", token[:-1], "é" * 43, "\0" * 43):
        assert old.read(text) is None


async def test_sums_by_hand() -> None:
    """Six of ten answered: 10, 9, 9, 8, 6, 0. Three less two of six are a sixth."""
    month = NOW.date()
    scores = [(10, 1), (9, 2), (8, 1), (6, 1), (0, 1)]
    rows = [Tally(month, None, None, 4), *(Tally(month, 1, s, n) for s, n in scores)]
    found = summary(rows)
    assert (found.sent, found.answered, found.rate) == (10, 6, 0.6)
    assert (found.promoters, found.detractors) == (3, 2)
    assert found.nps == 100 / 6
    assert found.mean is None
    assert found.distribution == {0: 1, 6: 1, 8: 1, 9: 2, 10: 1}
    # Content: 5, 4, 1 and 1 are 11 of 4.
    content = summary([Tally(month, 2, 5, 1), Tally(month, 2, 4, 1), Tally(month, 2, 1, 2)])
    assert (content.mean, content.nps) == (11 / 4, None)
    assert (content.promoters, content.detractors) == (1, 2)
    words = summary([Tally(month, 3, None, 5)])
    assert (words.answered, words.nps, words.mean, words.distribution) == (5, None, None, {})
    assert summary([]).rate is None
