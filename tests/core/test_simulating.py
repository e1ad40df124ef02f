"""Runs of what-if: asked for once, done by whoever is free, cancelled, left behind, failed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core import simulating
from core.data_rules import parse
from core.errors import (
    BadInput,
    IdempotencyConflict,
    NotAllowed,
    UnknownReference,
    WrongState,
)
from core.posting import Engine
from core.purchases import find_partner
from core.replaying import Change
from core.store import simulations as store
from core.store.simulations import State
from laurels import earn_rule
from tests.core.shop import days
from tests.core.test_simulation import (
    DRAFT,
    EACH,
    MEMBERS,
    PERIOD,
    PLAIN_HISTORY,
    live,
    open_kiosk,
    tried,
)
from tests.support import NOW, enrol_cards, scalar


async def asked(engine: Engine, change: Change, key: str = "k") -> simulating.Asked:
    """Ask for a run."""
    partner = find_partner(engine.rulebook, "kiosk")
    return await simulating.ask(engine, partner, change, PERIOD, ("partner:kiosk", key), NOW)


async def test_a_run_is_asked_for_once_done_by_whoever_is_free_and_kept(database: str) -> None:
    await enrol_cards(MEMBERS)
    engine = await open_kiosk(EACH)
    await live(engine, PLAIN_HISTORY)
    first = await asked(engine, Change(DRAFT))
    assert (first.run.state, first.replayed) == (State.WAITING, False)
    again = await asked(engine, Change(DRAFT))
    assert (again.run.id, again.replayed) == (first.run.id, True)
    with pytest.raises(IdempotencyConflict, match="this key was used before"):
        await asked(engine, Change(None, ("each",)))
    assert await simulating.work(engine, NOW) == 1
    assert await simulating.work(engine, NOW) == 0
    run = await simulating.find(first.run.id)
    assert (run.state, run.done, run.total) == (State.DONE, 6, 6)
    assert run.report is not None
    assert simulating.report_of(run.report) == await tried(engine, Change(DRAFT))
    with pytest.raises(WrongState, match="it is done already"):
        await simulating.cancel(run.id)
    with pytest.raises(UnknownReference):
        await simulating.find(1)


async def test_a_run_that_is_cancelled_goes_no_further(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enrol_cards(MEMBERS)
    engine = await open_kiosk(EACH)
    await live(engine, PLAIN_HISTORY)
    monkeypatch.setattr("core.simulation.CHUNK", 2)
    run = (await asked(engine, Change(DRAFT))).run
    beat, beats = store.beat, 0

    async def cancelling(given: store.Run, done: int, total: int) -> bool:
        nonlocal beats
        beats += 1
        if done:
            await simulating.cancel(given.id)
        return await beat(given, done, total)

    monkeypatch.setattr(store, "beat", cancelling)
    assert await simulating.work(engine, NOW) == 1
    assert beats == 2
    run = await simulating.find(run.id)
    assert (run.state, run.done, run.total, run.report) == (State.CANCELLED, 2, 6, None)
    assert (await simulating.cancel(run.id)).state is State.CANCELLED


async def test_what_a_worker_left_behind_another_begins_anew(database: str) -> None:
    await enrol_cards(MEMBERS)
    engine = await open_kiosk(EACH)
    run = (await asked(engine, Change(DRAFT))).run
    assert (await store.claim()) is not None
    assert await store.claim() is None  # it gives signs of life
    await scalar("UPDATE simulation SET beat_at = now() - interval '61 s' RETURNING 1")
    assert await simulating.work(engine, NOW) == 1
    assert (await simulating.find(run.id)).state is State.DONE


async def test_a_run_that_fails_says_so(database: str) -> None:
    await enrol_cards(MEMBERS)
    engine = await open_kiosk(EACH)
    lost = (await asked(engine, Change(DRAFT), "1")).run
    broken = (await asked(engine, Change(DRAFT), "2")).run
    await scalar("UPDATE simulation SET partner_id = 999 WHERE id = $1 RETURNING 1", lost.id)
    await scalar(
        "UPDATE simulation SET asked = '{\"draft\": 5}' WHERE id = $1 RETURNING 1", broken.id
    )
    assert await simulating.work(engine, NOW) == 2
    run = await simulating.find(lost.id)
    assert (run.state, run.problem) == (State.FAILED, "its partner is no longer installed")
    run = await simulating.find(broken.id)
    assert (run.state, run.problem[:10]) == (State.FAILED, "it failed:")


@pytest.mark.parametrize(
    ("change", "period", "kind", "path"),
    [
        (Change(), PERIOD, BadInput, ("draft",)),
        (Change(None, ("nobody",)), PERIOD, UnknownReference, ("without", 0)),
        (Change(DRAFT), (NOW, NOW), BadInput, ("until",)),
        (Change(DRAFT), (NOW + days(1), NOW + days(2)), BadInput, ("from",)),
    ],
)
async def test_what_makes_no_sense_is_refused(
    database: str, change: Change, period: Any, kind: type[Exception], path: tuple[Any, ...]
) -> None:
    engine = await open_kiosk(EACH)
    partner = find_partner(engine.rulebook, "kiosk")
    with pytest.raises(kind) as refused:
        await simulating.ask(engine, partner, change, period, ("partner:kiosk", "k"), NOW)
    assert refused.value.path == path  # type: ignore[attr-defined]  # a Refusal has one
    assert await scalar("SELECT count(*) FROM simulation") == 0


async def test_a_run_that_is_cut_off_again_and_again_fails(database: str) -> None:
    engine = await open_kiosk(EACH)
    run = (await asked(engine, Change(DRAFT))).run
    for attempt in range(1, 4):
        claimed = await store.claim()
        assert claimed is not None
        assert claimed.attempts == attempt
        last = claimed
        await scalar("UPDATE simulation SET beat_at = now() - interval '61 s' RETURNING 1")
    # An earlier attempt that lives on is told to stop, and keeps nothing.
    assert not await store.beat(last._replace(attempts=2), 5, 6)
    await store.finish(last._replace(attempts=2), None, "too late")
    assert (await simulating.find(run.id)).state is State.RUNNING
    assert await simulating.work(engine, NOW) == 1
    found = await simulating.find(run.id)
    assert (found.state, found.problem) == (State.FAILED, "it was cut off 3 times")


async def test_figures_beyond_all_bounds_fail_a_run_and_end_it(database: str) -> None:
    await enrol_cards(MEMBERS)
    engine = await open_kiosk(EACH)
    await live(engine, [("1", 3, 1, "", 0)] * 10)
    huge = parse(
        {"code": "huge", "title": "Huge", "award": {"currency": "POINT", "points": 10**15}}
    )
    run = (await asked(engine, Change(huge))).run
    report = await tried(engine, Change(huge))
    assert report.currencies["POINT"].then == 10**16 + 10
    assert await simulating.work(engine, NOW) == 1
    assert (await simulating.find(run.id)).state is State.DONE
    with pytest.MonkeyPatch.context() as patch:

        async def unbounded(*_: object) -> Any:
            report.currencies["POINT"].then = 2**65
            return report

        patch.setattr(simulating, "simulate", unbounded)
        run = (await asked(engine, Change(huge), "2")).run
        assert await simulating.work(engine, NOW) == 1
    found = await simulating.find(run.id)
    assert found.state is State.FAILED
    assert found.problem.startswith("it failed: TypeError")


async def test_one_run_at_a_time_in_a_process(database: str) -> None:
    engine = await open_kiosk(EACH)
    for key in "abc":
        await asked(engine, Change(DRAFT), key)
    done = await asyncio.gather(*(simulating.work(engine, NOW) for _ in range(3)))
    assert sorted(done) == [0, 0, 3]


async def test_as_many_runs_as_a_partner_may_have_under_way(database: str) -> None:
    engine = await open_kiosk(EACH)
    for key in range(simulating.MOST_OPEN):
        await asked(engine, Change(DRAFT), str(key))
    with pytest.raises(NotAllowed, match="10 simulations are under way"):
        await asked(engine, Change(DRAFT), "more")
    assert (await asked(engine, Change(DRAFT), "0")).replayed  # the same again is no other
    assert await simulating.work(engine, NOW) == simulating.MOST_OPEN
    assert not (await asked(engine, Change(DRAFT), "more")).replayed


async def test_rules_that_fail_again_and_again_end_a_run(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.simulation.MOST_FAILURES", 3)
    await enrol_cards(MEMBERS)
    await live(await open_kiosk(EACH), PLAIN_HISTORY)
    odd = earn_rule("odd", "Odd")(lambda purchase, facts: 1 / 0)  # type: ignore[arg-type,return-value]  # what fails
    engine = await open_kiosk(EACH, odd)
    run = (await asked(engine, Change(DRAFT))).run
    assert await simulating.work(engine, NOW) == 1
    found = await simulating.find(run.id)
    assert found.state is State.FAILED
    assert found.problem.startswith("rules failed 3 times in a row: partner 'kiosk', rule 'odd'")
