"""`laurels simulate`: asked for, watched, cancelled, told; what is wrong is named by its option."""

from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app import whatif
from app.whatif import Wish, plain, tables, tried
from core import simulating
from core.check import prove
from core.data_rules import parse
from core.errors import BadInput, UnknownReference
from core.posting import Engine
from core.replaying import Change
from core.rulebook import Rulebook
from core.simulation import StoppedError
from core.store import simulations as store
from core.store.simulations import State
from tests.app.working import owner, process, until_blocked
from tests.core.shop import days
from tests.core.test_simulation import EACH, PERIOD, STEP, open_kiosk
from tests.core.test_simulation import tried as judged
from tests.support import NOW, enrol_cards, receipt, scalar

SAID = {
    "code": "twice", "title": "Two a dollar", "award": {
        "currency": "POINT", "points": 2, "per": "1.00 USD"
    },
    "caps": [{"points": 150, "per": "calendar 1M"}, {"times": 1, "per": "24h"}],
    "budget": {"code": "more", "points": 400},
}  # fmt: skip
WISH = Wish("kiosk", SAID, ("each",), *(at.isoformat() for at in PERIOD))


@pytest.fixture
async def kiosk(database: str) -> Engine:
    """A brand with twenty purchases by two members in twenty days."""
    engine = await open_kiosk(EACH, STEP)
    await enrol_cards(["1", "2"])
    items = [
        receipt(engine, f"R{n}", "12"[n % 2], NOW - days(n), ("A", f"{n}.50"), partner="kiosk")
        for n in range(20)
    ]
    await engine.record_purchases(items, NOW)
    return engine


async def test_it_comes_to_what_the_engine_says_and_is_watched(
    kiosk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.simulation.CHUNK", 5)
    monkeypatch.setattr(whatif, "_LOOK", 0.001)
    seen: list[tuple[int, int]] = []
    report = await tried(kiosk, WISH, NOW, lambda done, total: seen.append((done, total)))
    assert report == await judged(kiosk, Change(parse(SAID), ("each",)))
    assert seen[-1] == (20, 20)
    assert sorted(seen) == seen
    told = plain(report, kiosk.rulebook)
    points = report.currencies["POINT"]
    assert told["purchases"] == 20
    assert told["currencies"] == [{
        "currency": "POINT", "booked": points.booked, "now": points.now, "then": points.then,
        "change": points.then - points.now, "outstanding": points.outstanding,
    }]  # fmt: skip
    assert [rule["code"] for rule in told["rules"]] == ["each", "step", "twice"]
    assert {x["member"] for x in told["winners"] + told["losers"]} <= {1024, 1025}
    titles = [str(table.title) for table in tables(report, kiosk.rulebook)]
    assert titles[:3] == ["what was judged", "points by currency", "points by rule"]
    assert await prove() == []


async def test_a_run_that_a_worker_has_is_watched(
    kiosk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker claims it first and is at it; what it finds is told here."""
    monkeypatch.setattr(whatif, "_LOOK", 0.001)
    claim = store.claim
    theirs: asyncio.Queue[store.Run | None] = asyncio.Queue()

    async def claimed(only: int | None = None) -> store.Run | None:
        if theirs.empty():
            theirs.put_nowait(await claim())
            return None
        return await claim(only)

    monkeypatch.setattr(store, "claim", claimed)
    watching = asyncio.create_task(tried(kiosk, WISH, NOW, lambda done, total: None))
    run = await theirs.get()
    theirs.put_nowait(run)
    assert run is not None
    await simulating._do(kiosk, run, NOW)
    assert (await watching).purchases == 20
    assert await scalar("SELECT attempts FROM simulation") == 1


async def test_cancelled_it_cancels_its_run(kiosk: Engine) -> None:
    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    asked = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulating, "simulate", never)
        task = asyncio.create_task(tried(kiosk, WISH, NOW, lambda done, total: asked.set()))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await scalar("SELECT state FROM simulation") == State.CANCELLED


async def test_one_that_somebody_else_cancels_or_that_fails_says_so(kiosk: Engine) -> None:
    async def cancels(*_: Any) -> Any:
        number = await scalar("SELECT max(id) FROM simulation")
        await simulating.cancel(number)
        raise StoppedError

    async def fails(*_: Any) -> Any:
        raise BadInput("rules failed 100 times in a row")

    for does, said in ((cancels, "it was cancelled"), (fails, "rules failed 100 times in a row")):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(simulating, "simulate", does)
            with pytest.raises(whatif.OverError, match=said):
                await tried(kiosk, WISH, NOW, lambda done, total: None)


@pytest.mark.parametrize(
    ("change", "kind", "path"),
    [
        ({"partner": "nobody"}, UnknownReference, ("partner",)),
        ({"since": "soon"}, BadInput, ("since",)),
        ({"until": "2026-13-01"}, BadInput, ("until",)),
        ({"until": "0001-01-01T00:00:00+14:00"}, BadInput, ("until",)),
        ({"since": "2030-01-01", "until": None}, BadInput, ("until",)),
        ({"since": "2030-01-01", "until": "2031-01-01"}, BadInput, ("from",)),
        ({"draft": None, "without": ()}, BadInput, ("draft",)),
        ({"without": ("none",)}, UnknownReference, ("without", 0)),
        ({"draft": {**SAID, "code": "b d"}}, BadInput, ("draft", "code")),
        ({"draft": {**SAID, "nonsense": 1}}, BadInput, ("draft", "nonsense")),
        ({"draft": {"code": "x", "title": "X"}}, BadInput, ("draft",)),
        (
            {"draft": {**SAID, "award": {"currency": "GOLD", "points": 1}}},
            BadInput, ("draft", "award", "currency"),
        ),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_and_no_run_is_asked_for(
    kiosk: Engine, change: dict[str, Any], kind: type[BadInput], path: tuple[str | int, ...]
) -> None:
    with pytest.raises(kind) as caught:
        await tried(kiosk, replace(WISH, **change), NOW, lambda done, total: None)
    assert caught.value.path == path
    assert await scalar("SELECT count(*) FROM simulation") == 0


def program(*arguments: str) -> str:
    """The command, as it is typed."""
    typed_ = ["laurels", "simulate", *arguments]
    return f"import sys; sys.argv = {typed_}\nfrom laurels.cli import main; main()"


async def typed(url: str, *arguments: str) -> tuple[int | None, str, str]:
    """What comes of the command: exit code, what it prints, what it complains of."""
    async with process(url, program(*arguments), COLUMNS="200") as done:
        said, complained = await done.communicate()
    return done.returncode, said.decode(), complained.decode()


@pytest.fixture
async def bought(coalition: Rulebook) -> Engine:
    """Four purchases at the grocer."""
    engine = Engine(coalition)
    await enrol_cards(["1"])
    items = [receipt(engine, f"R{n}", "1", NOW - days(n), ("MEAT", "20.00")) for n in range(4)]
    await engine.record_purchases(items, NOW)
    return engine


async def test_the_command_prints_tables_or_json(
    bought: Engine, database: str, tmp_path: Path
) -> None:
    draft = tmp_path / "each.json"
    award = {"currency": "BASKET", "points": 1, "per": "1.00 USD", "eachUnit": False}
    draft.write_text(json.dumps({"code": "more", "title": "One more", "award": award}))
    wish = ["--partner", "grocer", "--draft", str(draft), "--since", "2026-03-13"]
    wish += ["--until", "2026-03-16"]
    code, said, complained = await typed(database, *wish, "--json")
    assert (code, complained.replace("\n", "")) == (0, ""), complained
    report = json.loads(said)
    # The 13th, 14th and 15th: three of four. By the programme's own file they earn what they do.
    assert report["purchases"] == 3
    assert {"code": "more", "now": 0, "then": 60} in report["rules"]
    assert report["winners"][0]["then"] - report["winners"][0]["now"] == 60
    code, said, _ = await typed(database, *wish)
    assert code == 0
    assert "points by currency" in said
    assert [x.split() for x in said.splitlines() if "more" in x and "│" in x] == [
        ["│", "more", "│", "0", "│", "60", "│", "60", "│"]
    ]
    assert await scalar("SELECT count(*) FROM event") == 4


async def test_bad_input_is_told_in_a_line_with_exit_code_two(
    bought: Engine, database: str, tmp_path: Path
) -> None:
    names = ("broken.json", "wrong.json", "basis.json")
    broken, wrong, basis = (tmp_path / name for name in names)
    broken.write_text("{")
    award = {"currency": "BASKET", "points": 1, "eachUnit": "perhaps"}
    wrong.write_text(json.dumps({"code": "more", "title": "More", "award": award}))
    award = {"currency": "BASKET", "points": 1, "per": "1.00 USD"}
    rule = {"code": "more", "title": "More", "award": award, "basis": {"of": "NET"}}
    basis.write_text(json.dumps(rule))
    for arguments, words in (
        (["--draft", str(broken)], "broken.json is no JSON"),
        (["--draft", str(wrong)], "draft.award.eachUnit: Input should be a valid boolean"),
        (["--draft", str(basis)], "draft.basis.of: "),
        (["--without", "laurels", "--since", "2999-01-01", "--until", "2999-01-02"], "since: "),
    ):
        code, said, complained = await typed(database, "--partner", "grocer", *arguments)
        assert (code, said) == (2, ""), complained
        assert words in complained
        assert "Traceback" not in complained
    assert await scalar("SELECT count(*) FROM simulation") == 0


async def test_ctrl_c_cancels_the_run(bought: Engine, database: str) -> None:
    rule = bought.rulebook.partners["grocer"].rules[0].code
    wish = ["--partner", "grocer", "--without", rule, "--since", "2026-01-01"]
    async with owner(database) as blocker, owner(database) as watcher:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
            async with process(database, program(*wish)) as running:
                await until_blocked(watcher, blocker.get_server_pid(), running)
                running.send_signal(signal.SIGINT)
                _, complained = await running.communicate()
                assert running.returncode == 130
                assert b"Traceback" not in complained, complained.decode()
        assert await watcher.fetchval("SELECT state FROM simulation") == State.CANCELLED
