"""Data rules on the real books: saved, in force from their instant on, ended; and heard of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from core import db, rule_changes
from core.check import prove
from core.errors import BadInput, Refusal, UnknownReference, WrongState
from core.outcomes import Recorded
from core.posting import Engine
from core.programme import ContractSettings
from core.purchases import find_partner
from core.rule_changes import activate, checked, draft_of, end, save
from core.store import data_rules as store
from core.store.reference import Declared, install
from laurels import Partner
from tests.core.pantry import DECLARED, PROGRAMME, open_pantry
from tests.core.shop import days, dump
from tests.support import NOW, enrol_cards, receipt, scalar


@pytest.fixture
async def engine(database: str) -> Engine:
    """A grocer that gives a star a visit, and a café that may give nothing."""
    await enrol_cards(["1", "2"])
    return await open_pantry()


def tea(points: int = 10, **more: Any) -> dict[str, Any]:
    """Stars for whoever buys tea."""
    return {
        "code": "tea",
        "title": "Tea time",
        "when": "lines.exists(x, x.type == 'TEA')",
        "award": {"currency": "STAR", "points": points},
        **more,
    }


async def kept(
    engine: Engine, given: dict[str, Any], now: datetime = NOW, partner: str = "grocer"
) -> rule_changes.Changed:
    """Save a rule."""
    terms = find_partner(engine.rulebook, partner)
    return await save(terms, checked(terms, given, now), f"partner:{partner}", now)


async def put(
    engine: Engine, given: dict[str, Any], now: datetime = NOW, **when: datetime
) -> rule_changes.Changed:
    """Save a rule and put it in force."""
    row = (await kept(engine, given, now)).row
    return await activate(engine, "grocer", row.code, row.revision, now, **when)


async def earned(engine: Engine, name: str, at: datetime, now: datetime | None = None) -> int:
    """Stars for tea bought at an instant."""
    item = receipt(engine, name, "1", at, ("TEA", "10.00"))
    (outcome,) = await engine.record_purchases([item], now or at)
    assert isinstance(outcome, Recorded), outcome
    assert outcome.evaluation is not None
    return outcome.evaluation.points("STAR")


async def test_a_rule_judges_what_happens_while_it_is_in_force_however_late_it_is_told(
    engine: Engine,
) -> None:
    assert await earned(engine, "A", NOW) == 1
    done = await put(engine, tea(10), NOW + days(1), until_at=NOW + days(3))
    assert (done.row.revision, done.row.until_at, done.replayed) == (1, NOW + days(3), False)
    moment = timedelta(microseconds=1)
    late = NOW + days(10)
    for day, stars in ((1, 11), (3, 1)):
        assert await earned(engine, f"on{day}", NOW + days(day), late) == stars
        before = NOW + days(day) - moment
        assert await earned(engine, f"before{day}", before, late) == 12 - stars
    # The version that judged is in the decision, with its words as they were.
    content = await scalar(
        "SELECT d.content::json -> 'g' FROM decision d JOIN event e ON e.id = d.event_id "
        "WHERE e.external_id = 'on1'"
    )
    assert f"[{done.row.rule}," in content
    stored = await scalar("SELECT title || terms::text FROM rule WHERE id = $1", done.row.rule)
    assert stored.startswith("Tea time")
    assert "x.type == 'TEA'" in stored
    assert await prove() == []


async def test_a_new_revision_takes_over_where_the_old_one_ends(engine: Engine) -> None:
    await put(engine, tea(10))
    later = NOW + days(5)
    second = await kept(engine, tea(20), NOW + days(1))
    assert (second.row.revision, second.row.from_at) == (2, None)
    assert await earned(engine, "A", NOW + days(1)) == 11
    await activate(engine, "grocer", "tea", 2, NOW + days(1), from_at=later)
    moment = timedelta(microseconds=1)
    assert await earned(engine, "B", later - moment, later) == 11
    assert await earned(engine, "C", later) == 21
    rows = await store.of_partner(find_partner(engine.rulebook, "grocer").id, "tea", 10)
    assert [(r.revision, r.from_at, r.until_at) for r in rows] == [
        (2, later, None), (1, NOW, later),
    ]  # fmt: skip
    assert await prove() == []


async def test_the_same_again_changes_nothing(engine: Engine) -> None:
    done = await put(engine, tea())
    books = await dump()
    version = engine.rulebook.version
    again = await kept(engine, tea(), NOW + days(1))
    assert again == rule_changes.Changed(done.row, replayed=True)
    assert (await activate(engine, "grocer", "tea", 1, NOW + days(1))).replayed
    assert (await activate(engine, "grocer", "tea", 1, NOW, from_at=NOW)).replayed
    assert await dump() == books
    ended = await end(engine, "grocer", "tea", NOW + days(2))
    assert ended.row.until_at == NOW + days(2)
    assert engine.rulebook.version > version
    # Ended, the same words are a new revision: they may judge again.
    anew = await kept(engine, tea(), NOW + days(3))
    assert (anew.row.revision, anew.replayed) == (2, False)
    await activate(engine, "grocer", "tea", 2, NOW + days(3))
    assert [await earned(engine, f"D{n}", NOW + days(n)) for n in (1, 2, 3)] == [11, 1, 11]


async def test_what_is_to_begin_can_be_called_off(engine: Engine) -> None:
    start = NOW + days(5)
    await put(engine, tea(), from_at=start)
    off = await end(engine, "grocer", "tea", NOW + days(1))
    assert (off.row.from_at, off.row.until_at) == (start, start)
    assert await earned(engine, "A", start) == 1
    with pytest.raises(WrongState, match="nothing of it is in force"):
        await end(engine, "grocer", "tea", start)


async def refused(engine: Engine, call: Any, kind: type[Refusal], message: str, *path: str) -> None:
    """Refused so, and no row of any table changed."""
    before = await dump()
    with pytest.raises(kind, match=message) as found:
        await call
    assert found.value.path == path
    assert await dump() == before


async def test_a_refusal_names_the_field_and_changes_nothing(engine: Engine) -> None:
    await put(engine, tea() | {"group": {"code": "drinks"}})
    wine, first = tea() | {"code": "wine"}, {"group": {"code": "drinks", "mode": "first"}}
    await kept(engine, tea(20), NOW)
    await kept(engine, tea(30), NOW)
    await activate(engine, "grocer", "tea", 2, NOW, from_at=NOW + days(9))
    past, soon = NOW - days(1), NOW + days(5)
    gold = tea() | {"award": {"currency": "GOLD", "points": 1}}

    def kept_at(partner: str, given: dict[str, Any]) -> Any:
        return kept(engine, given, partner=partner)

    def put_in(revision: int, **how: datetime) -> Any:
        return activate(engine, "grocer", "tea", revision, NOW, **how)

    for call, kind, message, *path in (
        (kept_at("nobody", tea()), UnknownReference, "no partner", "partner"),
        (kept_at("grocer", gold), BadInput, "may not issue GOLD: STAR", "award", "currency"),
        (kept_at("cafe", tea()), BadInput, "may not issue STAR: none", "award", "currency"),
        (kept_at("grocer", tea() | {"code": "visit"}), BadInput, "choose another code", "code"),
        (kept_at("grocer", tea() | {"when": "x"}), BadInput, "undeclared reference", "when"),
        (kept_at("grocer", wine | first), BadInput, "rule tea has this group as highest", "group"),
        (put_in(3, from_at=past), BadInput, "keeps its rules", "from"),
        (put_in(3, until_at=NOW), BadInput, "ends after it begins", "until"),
        (put_in(3, from_at=soon), WrongState, "revision 2 begins", "from"),
        (put_in(1, from_at=soon), WrongState, "save it again", "revision"),
        (put_in(4), UnknownReference, "the latest revision is 3", "revision"),
        (activate(engine, "grocer", "nope", 1, NOW), UnknownReference, "no such rule", "code"),
        (activate(engine, "grocer", "", 1, NOW), BadInput, "1 to 64 characters", "code"),
        (end(engine, "grocer", "tea", NOW, at=past), BadInput, "keeps its rules", "at"),
        (end(engine, "grocer", "nope", NOW), WrongState, "nothing of it", "code"),
    ):
        await refused(engine, call, kind, message, *path)


async def test_a_draft_is_tried_by_a_quote_and_judges_nothing_else(engine: Engine) -> None:
    await put(engine, tea(10))
    books = await dump()
    grocer = find_partner(engine.rulebook, "grocer")
    tried = draft_of(grocer, checked(grocer, tea(50), NOW), NOW)
    item = receipt(engine, "A", "1", NOW, ("TEA", "10.00"))
    (outcome,) = await engine.quote([replace(item, partner=tried)], NOW)
    assert isinstance(outcome, Recorded)
    assert outcome.evaluation is not None
    assert outcome.evaluation.points("STAR") == 51
    assert await dump() == books
    assert await earned(engine, "A", NOW) == 11


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ("UPDATE data_rule SET definition = '{}'", asyncpg.InsufficientPrivilegeError),
        ("UPDATE data_rule SET revision = 9", asyncpg.InsufficientPrivilegeError),
        ("DELETE FROM data_rule", asyncpg.InsufficientPrivilegeError),
        ("UPDATE data_rule SET until_at = $1 WHERE revision = 1", asyncpg.ExclusionViolationError),
        ("UPDATE data_rule SET until_at = NULL", asyncpg.ExclusionViolationError),
        ("UPDATE data_rule SET from_at = NULL", asyncpg.CheckViolationError),
    ],
)
async def test_the_database_refuses_to_change_a_revision_or_to_let_two_judge(
    engine: Engine, statement: str, refused: type[Exception]
) -> None:
    await put(engine, tea(10))
    await kept(engine, tea(20))
    await activate(engine, "grocer", "tea", 2, NOW, from_at=NOW + days(5))
    await put(engine, tea() | {"code": "other"})
    arguments = [NOW + days(6)] if "$1" in statement else []
    async with db.transaction() as connection:
        with pytest.raises(refused):
            async with connection.transaction():
                await connection.execute(statement, *arguments)
        # The control: when a revision is in force may be changed, where no other is.
        await connection.execute(
            "UPDATE data_rule SET until_at = $1 WHERE revision = 1", NOW + days(4)
        )


async def test_a_contract_that_shrank_leaves_a_rule_out_and_no_purchase_fails(
    engine: Engine, database: str
) -> None:
    await put(engine, tea(10))
    less = PROGRAMME.model_copy(
        update={"contracts": {"grocer": ContractSettings(issues=("GOLD",))}}
    )
    await scalar("UPDATE programme SET settings = $1::jsonb RETURNING 1", less.model_dump_json())
    plain = Declared("grocer", "1", Partner("grocer", "The Grocer"))
    narrowed = Engine(await install(less, [plain], NOW))
    assert find_partner(narrowed.rulebook, "grocer").earn == ()
    assert await earned(narrowed, "A", NOW) == 0


async def test_every_process_hears_of_a_change_and_after_a_lost_connection_too(
    engine: Engine, database: str
) -> None:
    """A second engine, as in another process, listens; its channel is cut in between."""
    other = Engine(engine.rulebook, engine.install)
    heard = asyncio.Event()

    async def tell() -> None:
        await other.renew(NOW)
        heard.set()

    async def hears(version: int) -> None:
        while other.rulebook.version != version:
            heard.clear()
            await heard.wait()

    listening = asyncio.create_task(db.heard(database, store.CHANNEL, tell))
    try:
        async with asyncio.timeout(20):
            await heard.wait()
            await put(engine, tea(10))
            await hears(engine.rulebook.version)
            assert await earned(other, "A", NOW) == 11
            heard.clear()
            cut = (
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
                "datname = current_database() AND query LIKE 'LISTEN%'"
            )
            async with db.aside() as connection:
                await connection.execute("SET ROLE none")
                assert await connection.fetchval(cut) == 1
            await put(engine, tea(20), NOW + days(1))
            await hears(engine.rulebook.version)
            assert await earned(other, "B", NOW + days(1)) == 21
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_who_listens_ends_when_cancelled_whatever_the_driver_makes_of_it(
    database: str,
) -> None:
    """A query that is cancelled may answer with an error of its own; that is no lost connection."""
    began = asyncio.Event()

    async def tell() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise asyncpg.InterfaceError("another operation is in progress") from None

    listening = asyncio.create_task(db.heard(database, store.CHANNEL, tell))
    await began.wait()
    listening.cancel()
    async with asyncio.timeout(20):
        await asyncio.wait([listening])
    assert listening.cancelled()


async def test_of_two_that_put_one_group_in_force_in_two_ways_one_is_refused(
    engine: Engine,
) -> None:
    """Both look before either has the lock."""
    for code, mode in (("tea", "highest"), ("cake", "first")):
        await kept(engine, tea(code=code, group={"code": "g", "mode": mode}))
    done = await asyncio.gather(
        *(activate(engine, "grocer", code, 1, NOW) for code in ("tea", "cake")),
        return_exceptions=True,
    )
    assert sorted(type(x).__name__ for x in done) == ["BadInput", "Changed"]
    assert await scalar("SELECT count(*) FROM data_rule WHERE from_at IS NOT NULL") == 1


async def test_many_that_change_rules_at_once_dont_wait_for_each_other_for_ever(
    engine: Engine,
) -> None:
    """More than there are connections: each renewal takes one, and waits for the lock with it."""
    codes = [f"rule-{n}" for n in range(24)]
    for code in codes:
        await kept(engine, tea(code=code))
    other = await open_pantry()  # another server
    await asyncio.wait_for(
        asyncio.gather(
            *(activate((engine, other)[n % 2], "grocer", x, 1, NOW) for n, x in enumerate(codes)),
            *(install(PROGRAMME, DECLARED, NOW) for _ in range(12)),
        ),
        60,
    )
    await engine.renew(NOW)
    assert len(find_partner(engine.rulebook, "grocer").at(NOW).earn) == 25


async def test_a_rule_that_can_no_longer_be_read_keeps_no_other_from_its_force(
    engine: Engine, database: str
) -> None:
    await put(engine, tea(code="old"))
    admin = await asyncpg.connect(database)
    try:
        await admin.execute("UPDATE data_rule SET definition = '{\"code\": 5}'")
    finally:
        await admin.close()
    assert (await put(engine, tea(code="new"))).row.from_at == NOW


async def test_a_draft_is_tried_where_it_would_stand(engine: Engine) -> None:
    """Of a group the first gives: among data rules the first by its code."""
    group = {"group": {"code": "g", "mode": "first"}}
    await put(engine, tea(7, code="bb", **group))
    grocer = find_partner(engine.rulebook, "grocer")
    for code, points in (("aa", 5), ("cc", 7), ("bb", 5)):
        tried = draft_of(grocer, checked(grocer, tea(5, code=code, **group), NOW), NOW)
        item = replace(receipt(engine, "Q", "1", NOW, ("TEA", "5.00")), partner=tried)
        (quoted,) = await engine.quote([item], NOW)
        assert isinstance(quoted, Recorded)
        assert quoted.evaluation is not None
        assert quoted.evaluation.points("STAR") == 1 + points, code
