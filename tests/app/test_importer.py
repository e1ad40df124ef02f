"""Imports: what is refused costs no other, twice gives the same books, and one stopped goes on."""

from __future__ import annotations

import asyncio
import csv
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.importer import ImportReport, run_import
from core.db import reading
from core.errors import BadInput, UnknownReference
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.posting import Engine
from core.programme import Programme
from core.store.ids import Ids
from core.store.reference import Declared, install
from laurels import Currency, Partner, ProductTypeRewardCalculator
from tests.app.receipts import line, write_csv, write_json

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
async def engine(database: str) -> Engine:
    """A bakery's engine on a database of its own."""
    crumbs = Currency("CRUMB", "Crumbs", expires="30D")
    rule = ProductTypeRewardCalculator(crumbs, {"bread": 2}, default=1)
    partner = Partner("bakery", "Bakery", currencies=[crumbs], time_zone="UTC", trades_in=["EUR"])
    return Engine(await install(Programme(), [Declared("bakery", "1.0", partner, [rule])], NOW))


def year(count: int = 60) -> list[dict[str, str]]:
    """Two lines each of `count` receipts, from seven members."""
    return [
        line(f"R-{n}", f"{n}.{k}0", member=f"m-{n % 7}", sku=f"B{k}")
        for n in range(count)
        for k in (1, 2)
    ]


async def books() -> list[tuple[object, ...]]:
    async with reading() as connection:
        rows = await connection.fetch(
            "SELECT i.value, l.seq, l.active FROM ledger l JOIN identifier i USING (holder_id) "
            "ORDER BY i.value"
        )
    return [tuple(r) for r in rows]


async def test_a_second_import_books_nothing_and_says_so(engine: Engine, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", year())
    seen: list[tuple[int, int]] = []

    def progress(done: int, total: int, report: ImportReport) -> None:
        seen.append((done, total))

    first = await run_import(
        engine, path, "bakery", now=NOW, unknown_members="open", batch=7, progress=progress
    )
    assert (first.read, first.booked, first.replayed, first.refused, first.rows) == (
        60, 60, 0, 0, 120,
    )  # fmt: skip
    assert first.points == {"CRUMB": sum(2 * n * 2 for n in range(60))}
    assert len(seen) == 9
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    stand = await books()
    assert len(stand) == 7
    second = await run_import(engine, path, "bakery", now=NOW, unknown_members="open")
    assert (second.booked, second.replayed, second.refused) == (0, 60, 0)
    assert "already" in str(second)
    assert not second.points
    assert await books() == stand


async def test_a_stopped_import_goes_on_where_it_was(engine: Engine, tmp_path: Path) -> None:
    path = write_json(tmp_path / "a.jsonl", year())

    def stop(done: int, total: int, report: ImportReport) -> None:
        if report.booked >= 20:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await run_import(
            engine, path, "bakery", now=NOW, unknown_members="open", batch=10, progress=stop
        )
    report = await run_import(engine, path, "bakery", now=NOW, unknown_members="open")
    assert (report.booked, report.replayed) == (40, 20)


async def test_unknown_members_are_refused_or_opened(engine: Engine, tmp_path: Path) -> None:
    scope = engine.rulebook.partners["bakery"].id
    known = MemberRef.make(IdentifierKind.REFERENCE, "m-1", scope)
    await enrol(Ids(), [Enrolment([known])], NOW)
    path = write_csv(tmp_path / "a.csv", [line("R-1"), line("R-2", member="m-9")])
    errors = tmp_path / "errors.csv"
    report = await run_import(engine, path, "bakery", now=NOW, errors_path=errors)
    assert (report.booked, report.refused) == (1, 1)
    with errors.open(newline="") as file:
        [row] = csv.DictReader(file)
    assert (row["row"], row["field"], row["external_id"]) == ("3", "member", "R-2")
    report = await run_import(
        engine, path, "bakery", now=NOW, errors_path=errors, unknown_members="open"
    )
    assert (report.booked, report.replayed, report.refused) == (1, 1, 0)
    assert errors.read_text().splitlines() == ["row,field,external_id,reason"]
    async with reading() as connection:
        claimed = await connection.fetch("SELECT claimed FROM member ORDER BY enrolled_at, claimed")
    assert sorted(r[0] for r in claimed) == [False, True]


async def test_faults_of_every_kind_leave_the_others_booked(engine: Engine, tmp_path: Path) -> None:
    bad = [
        ("amount", line("X", "1.999")), ("amount", line("X", "-1")), ("amount", line("X", "NaN")),
        ("amount", line("X", "9" * 400)), ("quantity", line("X", quantity="1.2345")),
        ("product_type", line("X", product_type="x" * 100_000)),
        ("sku", line("X", sku="\0")), ("store", line("X", store="\0")),
        ("currency", line("X", currency="USD")), ("member", line("X", member="m\0")),
        ("external_id", line("X" * 201)),
        ("occurred_at", line("X", occurred_at="0001-01-01T00:00Z")),
        ("occurred_at", line("X", occurred_at="2027-01-01T00:00Z")),
        ("kind", line("X", kind="return", returns="R-1")),
    ]  # fmt: skip
    for n, (field, row) in enumerate(bad):
        row["external_id"] = row["external_id"] + ("" if field == "external_id" else str(n))
    rows = [r for n, (_, row) in enumerate(bad) for r in (line(f"R-{n}"), line(f"R-{n}"), row)]
    path = write_json(tmp_path / "a.jsonl", rows)
    errors = tmp_path / "errors.csv"
    report = await run_import(
        engine, path, "bakery", now=NOW, errors_path=errors, unknown_members="open", batch=5
    )
    assert (report.booked, report.refused) == (len(bad), len(bad))
    with errors.open(newline="") as file:
        found = [(int(e["row"]), e["field"]) for e in csv.DictReader(file)]
    assert found == [(3 * n + 3, field) for n, (field, _) in enumerate(bad)]


async def test_another_content_under_a_booked_id_is_refused(engine: Engine, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [line("R-1")])
    await run_import(engine, path, "bakery", now=NOW, unknown_members="open")
    write_csv(path, [line("R-1", "9.99")])
    report = await run_import(engine, path, "bakery", now=NOW)
    assert (report.booked, report.refused) == (0, 1)


async def test_what_no_import_can_do_without(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UnknownReference):
        await run_import(engine, tmp_path / "a.csv", "nobody", now=NOW)
    with pytest.raises(BadInput):
        await run_import(engine, tmp_path / "a.csv", "bakery", now=NOW)
