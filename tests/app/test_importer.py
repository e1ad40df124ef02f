"""Imports: what is refused costs no other, twice gives the same books, and one stopped goes on."""

from __future__ import annotations

import asyncio
import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.importer import ImportReport, run_import
from app.readers import ReturnReceipt
from app.returns_import import GivenBack, steps
from core.check import prove
from core.db import reading
from core.errors import BadInput, UnknownReference
from core.members import Enrolment, IdentifierKind, MemberRef, enrol
from core.posting import Engine
from core.programme import Programme
from core.purchases import Incoming
from core.rulebook import PartnerTerms
from core.store.ids import Ids
from core.store.reference import Declared, install
from laurels import Currency, Partner, ProductTypeRewardCalculator, Purchase
from tests.app.receipts import line, write_csv, write_json
from tests.core.shop import dump

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.fixture
async def engine(database: str) -> Engine:
    """A bakery's engine on a database of its own."""
    crumbs = Currency("CRUMB", "Crumbs", expires="30D")
    rule = ProductTypeRewardCalculator(crumbs, {"bread": 2}, default=1)
    partner = Partner("bakery", "Bakery", currencies=[crumbs], time_zone="UTC", trades_in=["EUR"])
    return Engine(await install(Programme(), [Declared("bakery", "1.0", partner, [rule])], NOW))


def returned(external_id: str, **other: str) -> dict[str, str]:
    """A row of a return."""
    return line(external_id, **{"kind": "return", **other})


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
        ("sku", returned("X", returns="R-1")), ("line", returned("X", returns="R-1", line="9")),
        ("returns", returned("X", returns="\0")), ("returns", returned("X", returns="R-0" * 99)),
        ("member", returned("X", returns="R-1", member="m-2", line="1")),
        ("currency", returned("X", returns="R-1", currency="USD", line="1")),
        ("quantity", returned("X", returns="R-1", quantity="-1", line="1")),
        ("quantity", returned("X", returns="R-1", quantity="1.001", line="1")),
        ("amount", returned("X", returns="R-1", quantity="", amount="3.50", line="1")),
        ("amount", returned("X", returns="R-1", quantity="", amount="-1", line="1")),
        ("occurred_at", returned("X", returns="R-1", line="1", occurred_at="2026-10-01T00:00Z")),
        ("product_type", returned("X", returns="R-1", sku="", product_type="cake")),
        ("sku", returned("X", returns="R-1", sku="B9")),
        ("external_id", returned("X" * 201, returns="R-1", line="1")),
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


def shop() -> list[dict[str, str]]:
    """Two members buy and bring back: by number, by what was sold, by amount; early and late."""
    return [
        line("P-1", "10.00", sku="B1"), line("P-1", "4.00", sku="B2", product_type="cake"),
        line("P-2", "7.00", member="m-2"),
        returned("B-1", returns="P-1", sku="B2", product_type="", quantity="0.5"),
        line("P-3", "3.00"),
        returned("B-1", returns="P-3", line="1"),  # the number of another return
        returned("B-2", returns="P-4", line="1", member="m-2"),  # comes before its purchase
        returned("B-3", returns="P-4", sku="B7", member="m-2"),  # and can't be told by number
        line("P-4", "2.00", member="m-2"), line("P-4", "5.00", member="m-2", sku="B7"),
        returned("P-2", returns="P-2", product_type="", sku="", quantity="", amount="3.50",
                 member="m-2"),
        returned("B-5", returns="P-9", line="1"),  # its purchase never comes
        returned("B-6", returns="P-9"),
    ]  # fmt: skip


@pytest.mark.parametrize("batch", [1, 2, 3, 4000])
async def test_returns_are_booked_beside_their_purchases(
    engine: Engine, tmp_path: Path, batch: int
) -> None:
    """In either order, named in every way, and once: a second import books nothing and says so."""
    path = write_csv(tmp_path / "a.csv", shop())
    errors = tmp_path / "errors.csv"
    report = await run_import(
        engine, path, "bakery", now=NOW, errors_path=errors, unknown_members="open", batch=batch
    )
    assert (report.read, report.booked, report.returned, report.waiting, report.refused) == (
        11, 4, 4, 1, 2,
    )  # fmt: skip
    assert "4 returns booked; 1 returns wait for their purchase" in str(report)
    with errors.open(newline="") as file:
        wrong = [(e["row"], e["field"], e["external_id"]) for e in csv.DictReader(file)]
    assert wrong == [("7", "external_id", "B-1"), ("14", "returns", "B-6")]
    # m-1: 20 and 4 and 6, less half of 4; m-2: 14 and 4 and 10, less 4, less 10, less half of 14.
    assert [(row[0], row[2]) for row in await books()] == [("m-1", 28), ("m-2", 7)]
    assert await prove() == []
    stand = await dump()
    again = await run_import(
        engine, path, "bakery", now=NOW, errors_path=errors, unknown_members="open"
    )
    assert (again.booked, again.returned, again.waiting, again.replayed, again.refused) == (
        0, 0, 1, 8, 2,
    )  # fmt: skip
    assert await dump() == stand
    # What waits is booked by a later import that brings its purchase.
    more = write_csv(tmp_path / "b.csv", [line("P-9", "8.00")])
    await run_import(engine, more, "bakery", now=NOW)
    assert [(row[0], row[2]) for row in await books()] == [("m-1", 28), ("m-2", 7)]
    last = await run_import(engine, path, "bakery", now=NOW, unknown_members="open")
    assert (last.returned, last.waiting, last.replayed, last.refused) == (0, 0, 9, 2)


async def test_what_waited_and_can_not_be_booked_is_told(engine: Engine, tmp_path: Path) -> None:
    """More came back than was sold: that is known only when the purchase is read."""
    rows = [returned("B-1", returns="P-1", line="2", sku=""), line("P-1", "8.00")]
    path = write_csv(tmp_path / "a.csv", rows)
    errors = tmp_path / "errors.csv"
    for field in ("returns", "line"):
        report = await run_import(
            engine, path, "bakery", now=NOW, errors_path=errors, unknown_members="open"
        )
        assert (report.returned, report.waiting, report.refused) == (0, 0, 1)
        with errors.open(newline="") as file:
            [row] = csv.DictReader(file)
        assert (row["row"], row["field"]) == ("2", field)
        assert row["reason"] == "the receipt has 1 lines"


def _bought(member: MemberRef) -> Incoming:
    return Incoming(cast("PartnerTerms", None), member, cast("Purchase", None))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_no_members_order_changes(told: list[tuple[str, bool]]) -> None:
    """Purchases go before the returns of a step, and each member's stay as the file has them."""
    members = [MemberRef.make(IdentifierKind.CARD, name) for name, _ in told]
    bought = [n for n, (_, back) in enumerate(told) if not back]
    returns = [
        (
            sum(1 for b in bought if b < n),
            GivenBack(ReturnReceipt(str(n), "", NOW, "", "", [], []), members[n]),
        )
        for n, (_, back) in enumerate(told)
        if back
    ]
    order: dict[MemberRef, list[int]] = {}
    for places, back in steps([_bought(members[n]) for n in bought], returns):
        for n in [*(bought[p] for p in places), *(int(b.found.external_id) for b in back)]:
            order.setdefault(members[n], []).append(n)
    assert sum(map(len, order.values())) == len(told)
    assert all(found == sorted(found) for found in order.values())


MORE = ("discount", "tax", "points_paid", "line_kind")


async def test_a_row_may_say_what_was_taken_off_what_is_tax_and_what_points_paid(
    engine: Engine, tmp_path: Path
) -> None:
    """Rows that don't say it are as ever; in a return's row it says nothing."""
    rows = [
        line("R-1", "10.00", discount="2.50", tax="1.67", points_paid="4.00"),
        line("R-1", "4.90", line_kind="delivery"),
        line("R-2", "5.00", **dict.fromkeys(MORE, "")),
        returned("B-1", returns="R-1", line="2", amount="4.90", tax="0.90"),
    ]
    for n, write in enumerate((write_csv, write_json)):
        path = write(tmp_path / ("rows.csv", "rows.jsonl")[n], rows)
        report = await run_import(engine, path, "bakery", now=NOW, unknown_members="open")
        assert (report.booked, report.returned, report.replayed) == ((2, 1, 0), (0, 0, 3))[n]
    async with reading() as connection:
        said = await connection.fetch(
            "SELECT e.external_id, l.discount, l.tax, l.points_paid, l.kind FROM event_line l "
            "JOIN event e ON e.id = l.event_id ORDER BY e.external_id, l.line"
        )
    assert [tuple(row) for row in said] == [
        ("B-1", None, None, None, None),
        ("R-1", 250, 167, 400, None),
        ("R-1", None, None, None, 2),
        ("R-2", None, None, None, None),
    ]
    assert await prove() == []


async def test_what_fits_no_line_is_refused_by_its_column(engine: Engine, tmp_path: Path) -> None:
    wrong = {"discount": "-1", "tax": "3.50", "points_paid": "some", "line_kind": "present"}
    rows = [line(f"R-{name}", "3.49", **{name: value}) for name, value in wrong.items()]
    errors = tmp_path / "errors.csv"
    path = write_csv(tmp_path / "rows.csv", [*rows, line("R-good")])
    report = await run_import(
        engine, path, "bakery", now=NOW, unknown_members="open", errors_path=errors
    )
    assert (report.booked, report.refused) == (1, 4)
    with errors.open() as file:
        told = {row["field"]: (row["row"], row["external_id"]) for row in csv.DictReader(file)}
    assert told == {name: (str(n), f"R-{name}") for n, name in enumerate(MORE, 2)}


async def test_a_receipt_may_say_how_it_was_paid(engine: Engine, tmp_path: Path) -> None:
    """Its rows agree on it; what is no code costs that receipt alone."""
    rows = [
        line("R-1", "3.00", tender="cash"),
        line("R-1", "4.00", tender="cash"),
        line("R-2", "3.00", tender=""),
        line("R-3", "3.00", tender="two words"),
        line("R-4", "3.00", tender="cash"),
        line("R-4", "3.00", tender="card"),
    ]
    errors = tmp_path / "errors.csv"
    path = write_csv(tmp_path / "rows.csv", rows)
    report = await run_import(
        engine, path, "bakery", now=NOW, unknown_members="open", errors_path=errors
    )
    assert (report.booked, report.refused) == (2, 2)
    with errors.open() as file:
        told = {row["external_id"]: (row["row"], row["field"]) for row in csv.DictReader(file)}
    assert told == {"R-3": ("5", "tender"), "R-4": ("7", "tender")}
    async with reading() as connection:
        said = await connection.fetch("SELECT external_id, tender FROM event ORDER BY external_id")
    assert [tuple(row) for row in said] == [("R-1", "cash"), ("R-2", None)]
    assert await prove() == []
