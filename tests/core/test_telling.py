"""Who is told of what: each change once to each endpoint that wants it, and to nobody else's."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from core import endpoints
from core.db import reading, transaction
from core.endpoints import MOST_ENDPOINTS, Request, Wanted
from core.errors import BadInput, IdempotencyConflict, NotAllowed, UnknownReference
from core.events import EventKind
from core.nightly import run
from core.posting import Engine
from core.store import outbox, webhooks
from core.store import webhook_deliveries as store
from core.store.writes import ChangeRow
from core.webhooks import DeliveryState, EndpointState, Topic
from tests.core.listening import dispatch, listen, sent
from tests.core.shop import days, open_shop
from tests.schema.client import statements
from tests.support import NOW, enrol_cards, receipt, scalar

GROCER, CAFE = 1, 2
WANTED = Wanted("https://a.example/", [Topic.TIER_CHANGED], None, ["members:read"])


async def buy(engine: Engine, number: str, partner: str = "grocer", member: str = "1") -> None:
    await engine.record_purchases(
        [receipt(engine, number, member, NOW, ("SHOES", "90.00"), partner=partner)], NOW
    )


# --- who is told ----------------------------------------------------------------------------------


async def test_a_partner_is_told_what_happened_there(engine: Engine) -> None:
    (holder,) = await enrol_cards(["1"])
    told = (await listen(GROCER, NOW)).endpoint.id
    picky = (await listen(GROCER, NOW, [Topic.TIER_CHANGED])).endpoint.id
    deaf = (await listen(GROCER, NOW, [Topic.REDEMPTION_CHANGED])).endpoint.id
    other = (await listen(CAFE, NOW)).endpoint.id
    off = (await listen(GROCER, NOW)).endpoint.id
    await endpoints.switch(off, False, NOW)
    await buy(engine, "R1")
    assert await dispatch(engine, NOW) == 1
    event = await scalar("SELECT id FROM event")
    topics = [Topic.PURCHASE_RECORDED, Topic.TIER_CHANGED, Topic.POINTS_CHANGED]
    found = await sent("endpoint_id, event_id, holder_id, topics, state, attempts")
    assert sorted(found) == [
        (told, event, holder, topics, 1, 0),
        (picky, event, holder, [Topic.TIER_CHANGED], 1, 0),
    ]
    assert not {deaf, other, off} & {row[0] for row in found}


async def test_what_the_programme_does_is_told_to_whom_it_concerns(database: str) -> None:
    """The night's expiry of stars: to the grocer that dealt with the member, not to the café."""
    engine = await open_shop()
    await enrol_cards(["1", "2"])
    grocer, cafe = (engine.rulebook.partners[code].id for code in ("grocer", "cafe"))
    ids = {await_.endpoint.id: name for name, await_ in [
        ("grocer", await listen(grocer, NOW)), ("cafe", await listen(cafe, NOW))
    ]}  # fmt: skip
    await buy(engine, "R1")
    await buy(engine, "C1", "cafe", "2")
    while await dispatch(engine, NOW):
        pass
    before = len(await sent("id"))
    assert before == 2
    await run(engine, NOW + days(200))
    kinds = await scalar("SELECT array_agg(DISTINCT kind ORDER BY kind) FROM outbox")
    assert kinds == [EventKind.REVIEW, EventKind.NIGHT]
    while await dispatch(engine, NOW + days(200)):
        pass
    one, two = await enrol_cards(["1", "2"])
    found = (await sent("endpoint_id, holder_id, topics"))[before:]
    assert {(ids[e], holder) for e, holder, _ in found} == {("grocer", one), ("cafe", two)}
    assert {topic for *_, topics in found for topic in topics} == {
        Topic.TIER_CHANGED,
        Topic.POINTS_CHANGED,
    }


async def test_of_a_currency_that_it_does_not_know_a_partner_is_told_nothing(
    database: str,
) -> None:
    """Gems are nobody's of the two: what moves them is no news to either."""
    engine = await open_shop()
    (holder,) = await enrol_cards(["1"])
    await buy(engine, "R1")
    grocer = engine.rulebook.partners["grocer"].id
    await listen(grocer, NOW)
    codes = {c.code: c.id for c in engine.rulebook.currencies.values()}
    async with transaction() as connection:
        await connection.execute("DELETE FROM outbox")
        await connection.executemany(
            "INSERT INTO outbox (event_id, holder_id, partner_id, kind, currencies, ladders) "
            "VALUES ($1, $2, 0, 14, $3, '{}')",
            [(1, holder, [codes["GEM"]]), (2, holder, [codes["STAR"]]), (3, 5, [codes["STAR"]])],
        )
    assert await dispatch(engine, NOW) == 3
    assert await sent("event_id") == [(2,)]  # nor of a member that it never dealt with


# --- once each ------------------------------------------------------------------------------------


async def test_each_change_is_delivered_once_to_each(engine: Engine) -> None:
    await enrol_cards(["1"])
    for _ in range(2):
        await listen(GROCER, NOW)
    for n in range(5):
        await buy(engine, f"R{n}")
        await dispatch(engine, NOW)
    await dispatch(engine, NOW)
    found = await sent("endpoint_id, event_id")
    assert len(found) == len(set(found)) == 10
    assert len({event for _, event in found}) == 5


async def test_the_database_refuses_a_second(engine: Engine) -> None:
    """Should a change ever be claimed twice: the control of the claim is a key."""
    endpoint = (await listen(GROCER, NOW)).endpoint.id
    change = ChangeRow(1, 2, GROCER, EventKind.PURCHASE)
    async with transaction() as connection:
        await store.add(connection, [(endpoint, change, [1])], NOW)
    with pytest.raises(asyncpg.UniqueViolationError):
        async with transaction() as connection:
            await store.add(connection, [(endpoint, change, [1])], NOW)
    assert len(await sent("id")) == 1


async def test_a_death_between_claim_and_commit_loses_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrol_cards(["1"])
    await listen(GROCER, NOW)
    await buy(engine, "R1")

    async def dies(*_: object) -> None:
        raise RuntimeError("the process died here")

    monkeypatch.setattr(outbox, "notify", dies)
    with pytest.raises(RuntimeError):
        await dispatch(engine, NOW)
    assert await sent("id") == []
    monkeypatch.undo()
    assert await dispatch(engine, NOW) == 1
    assert len(await sent("id")) == 1


async def test_what_commits_late_is_delivered_late(engine: Engine) -> None:
    await listen(GROCER, NOW)
    add = (
        "INSERT INTO outbox (event_id, holder_id, partner_id, kind, currencies, ladders) "
        "VALUES ($1, 7, 1, 1, '{}', '{}')"
    )
    async with transaction() as early:
        await early.execute(add, 1)
        async with transaction() as late:
            await late.execute(add, 2)
        assert await dispatch(engine, NOW) == 1
        assert await sent("event_id") == [(2,)]
    assert await dispatch(engine, NOW) == 1
    assert await sent("event_id") == [(2,), (1,)]


async def test_an_endpoint_that_is_deleted_meanwhile_is_told_nothing(engine: Engine) -> None:
    await enrol_cards(["1"])
    kept, gone = [(await listen(GROCER, NOW)).endpoint.id for _ in range(2)]
    await buy(engine, "R1")
    await endpoints.delete(gone)
    await dispatch(engine, NOW)
    assert await sent("endpoint_id") == [(kept,)]


@pytest.mark.parametrize("count", [1, 40])
async def test_a_batch_costs_a_fixed_number_of_statements(engine: Engine, count: int) -> None:
    await enrol_cards(["1"])
    for _ in range(3):
        await listen(GROCER, NOW)
    items = [receipt(engine, f"R{n}", "1") for n in range(count)]
    await engine.record_purchases(items, NOW)
    with statements() as told:
        assert await dispatch(engine, NOW) == count
    assert len(told) - sum(one.startswith(("BEGIN", "COMMIT")) for one in told) == 5
    assert len(await sent("id")) == 3 * count


# --- commands -------------------------------------------------------------------------------------


async def test_a_key_makes_one_endpoint_and_shows_its_secret_once(engine: Engine) -> None:
    made = await endpoints.create(GROCER, WANTED, Request("me", "k"), NOW)
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    again = await endpoints.create(GROCER, WANTED, Request("me", "k"), NOW)
    assert again == (made.endpoint, None)
    other = Wanted("https://b.example/", WANTED.topics, None, [])
    with pytest.raises(IdempotencyConflict):
        await endpoints.create(GROCER, other, Request("me", "k"), NOW)
    assert await scalar("SELECT count(*) FROM webhook_endpoint") == 1
    assert await scalar("SELECT count(*) FROM webhook_secret") == 1


async def test_a_partner_has_so_many_and_no_more(engine: Engine) -> None:
    for _ in range(MOST_ENDPOINTS):
        await listen(GROCER, NOW)
    with pytest.raises(NotAllowed):
        await listen(GROCER, NOW)
    await listen(CAFE, NOW)
    assert await scalar("SELECT count(*) FROM webhook_endpoint") == MOST_ENDPOINTS + 1


async def test_secrets_rotate_with_an_overlap(engine: Engine) -> None:
    made = await listen(GROCER, NOW)
    number = made.endpoint.id

    async def signing(at: timedelta) -> int:
        async with transaction() as connection:
            await connection.execute("DELETE FROM webhook_delivery")
            await store.add_test(connection, number, NOW)
        (claimed,) = await store.claim(NOW + at, timedelta(0), store.Room(1, 1, 1), [], {})
        return len(claimed.secrets)

    assert await signing(timedelta(0)) == 1
    hour = timedelta(hours=1)
    turned = await endpoints.rotate(number, hour, Request("me", "r"), NOW)
    assert turned.secret not in (None, made.secret)
    assert turned.endpoint.until == NOW + hour
    assert (await endpoints.rotate(number, hour, Request("me", "r"), NOW)).secret is None
    assert await signing(timedelta(minutes=59)) == 2
    assert await signing(hour) == 1
    await endpoints.rotate(number, timedelta(0), Request("me", "s"), NOW + 2 * hour)
    assert await signing(2 * hour) == 1
    assert await scalar("SELECT count(*) FROM webhook_secret") == 2  # what ended is dropped
    with pytest.raises(BadInput):
        await endpoints.rotate(number, days(8), Request("me", "t"), NOW)


async def test_an_endpoint_is_changed_switched_and_deleted(engine: Engine) -> None:
    number = (await listen(GROCER, NOW)).endpoint.id
    changed = await endpoints.update(number, lambda _: WANTED)
    assert (changed.topics, changed.scopes) == ((Topic.TIER_CHANGED,), ("members:read",))
    off = await endpoints.switch(number, False, NOW)
    assert (off.state, off.disabled_at) == (EndpointState.DISABLED, NOW)
    assert await endpoints.switch(number, False, NOW + days(1)) == off
    on = await endpoints.switch(number, True, NOW)
    assert (await webhooks.read([number]))[number] == on
    assert (on.state, on.disabled_at) == (EndpointState.ENABLED, None)
    await endpoints.delete(number)
    for command in (endpoints.delete(number), endpoints.switch(number, True, NOW)):
        with pytest.raises(UnknownReference):
            await command
    assert await scalar("SELECT count(*) FROM webhook_secret") == 0


async def test_what_was_sent_is_forgotten_after_a_month(engine: Engine) -> None:
    number = (await listen(GROCER, NOW)).endpoint.id
    await endpoints.send_test(number, Request("me", "a"), NOW - days(31))
    kept = await endpoints.send_test(number, Request("me", "b"), NOW - days(29))
    assert await endpoints.send_test(number, Request("me", "b"), NOW) == kept  # and not sent again
    await endpoints.switch(number, False, NOW - days(30))
    assert await endpoints.forget(NOW) == 1  # although it waits for the endpoint to be enabled
    assert await sent("id, state") == [(kept, DeliveryState.PENDING)]
    await endpoints.switch(number, True, NOW)
    (claimed,) = await store.claim(NOW, timedelta(0), store.Room(9, 9, 9), [], {})
    assert claimed.id == kept


async def test_nothing_personal_is_kept_beside(engine: Engine) -> None:
    """Ids, numbers and instants: no column could hold a name or a payload."""
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT table_name || '.' || column_name FROM information_schema.columns "
            "WHERE table_name IN ('outbox', 'webhook_delivery', 'webhook_attempt') "
            "AND data_type NOT IN ('bigint', 'integer', 'smallint', 'ARRAY', "
            "'timestamp with time zone') ORDER BY 1"
        )
    assert [row[0] for row in rows] == ["webhook_attempt.problem"]
