"""Reading receipts: the same from every format, and every fault by its row and field."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]  # it brings no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it brings no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.file_rows import Source
from app.readers import Found, Receipt, ReturnedPart, ReturnReceipt, RowError, SeenIds, receipts
from core.errors import BadInput
from tests.app.receipts import AT, line, write_csv, write_json

HEADER = "external_id,member,occurred_at,currency,product_type,sku,quantity,amount"


def read(path: Path, **mapping: str) -> list[Found]:
    return list(receipts(Source(path, mapping)))


def errors_of(path: Path) -> list[RowError]:
    return [x for x in read(path) if isinstance(x, RowError)]


def ids_of(path: Path) -> list[str]:
    return [x.external_id for x in read(path) if isinstance(x, Receipt)]


def test_one_receipt_reads_alike_in_all_formats(tmp_path: Path) -> None:
    rows = [line(store="S1", line="1"), line(amount="0.51", sku="B2", store="S1", line="2")]
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, tmp_path / "texts.parquet")
    typed = table.set_column(
        table.schema.get_field_index("amount"),
        "amount",
        pa.array([Decimal("3.49"), Decimal("0.51")], pa.decimal128(9, 2)),
    ).set_column(
        table.schema.get_field_index("occurred_at"),
        "occurred_at",
        pa.array([datetime.fromisoformat(AT)] * 2, pa.timestamp("ns", "UTC")),
    )
    pq.write_table(typed, tmp_path / "typed.parquet")
    found = [
        read(write_csv(tmp_path / "a.csv", rows)),
        read(write_json(tmp_path / "a.jsonl", rows)),
        read(tmp_path / "texts.parquet"),
        read(tmp_path / "typed.parquet"),
    ]
    wanted = found[0][0]
    assert isinstance(wanted, Receipt)
    assert [x.amount for x in wanted.lines] == ["3.49", "0.51"]
    for [receipt] in found:
        assert isinstance(receipt, Receipt)
        assert receipt.occurred_at == wanted.occurred_at
        assert (receipt.external_id, receipt.member, receipt.store, receipt.lines) == (
            wanted.external_id, wanted.member, wanted.store, wanted.lines,
        )  # fmt: skip


def test_numbers_in_json_are_read_as_they_stand(tmp_path: Path) -> None:
    [found] = read(write_json(tmp_path / "a.jsonl", [{**line(), "amount": 1.1, "quantity": 2}]))
    assert isinstance(found, Receipt)
    assert (found.lines[0].amount, found.lines[0].quantity) == ("1.1", "2")


def test_mapped_columns(tmp_path: Path) -> None:
    row = {("bon" if k == "external_id" else k): v for k, v in line().items()}
    [found] = read(write_csv(tmp_path / "a.csv", [row]), external_id="bon")
    assert isinstance(found, Receipt)
    assert found.external_id == "R-1"
    with pytest.raises(BadInput, match="no column 'external_id'"):
        read(tmp_path / "a.csv")
    with pytest.raises(BadInput, match="no column to map"):
        read(tmp_path / "a.csv", till="bon")


def test_lines_go_by_their_number(tmp_path: Path) -> None:
    rows = [line(amount="2.00", line="2"), line(amount="1.00", line="1")]
    [found] = read(write_csv(tmp_path / "a.csv", rows))
    assert isinstance(found, Receipt)
    assert [x.amount for x in found.lines] == ["1.00", "2.00"]
    assert found.rows == [3, 2]
    [error] = errors_of(write_csv(tmp_path / "b.csv", [line(line="1"), line(line="1")]))
    assert error.field == "line"


@pytest.mark.parametrize(
    ("other", "field", "words"),
    [
        ({"kind": "return"}, "returns", "names the purchase"),
        ({"kind": "return", "returns": "P", "quantity": "0", "amount": ""}, "quantity", "neither"),
        ({"kind": "return", "returns": "P", "line": "x"}, "line", "line number"),
        (
            {"kind": "return", "returns": "P", "sku": "", "product_type": "", "amount": ""},
            "line",
            "isn't named",
        ),
        ({"kind": "return", "returns": "P", "occurred_at": "x"}, "occurred_at", "no date"),
        ({"kind": "return", "returns": "P", "member": ""}, "member", "none"),
        ({"kind": "gift"}, "kind", "neither"),
        ({"returns": "R-0"}, "returns", "returns nothing"),
        ({"occurred_at": "2026-11-01T09:30:00"}, "occurred_at", "no time zone"),
        ({"occurred_at": "yesterday"}, "occurred_at", "no date"),
        ({"occurred_at": ""}, "occurred_at", "none"),
        ({"member": ""}, "member", "none"),
        ({"amount": ""}, "amount", "none"),
        ({"external_id": ""}, "external_id", "none"),
        ({"line": "0"}, "line", "line number"),
    ],
)
def test_a_fault_names_row_and_field(
    tmp_path: Path, other: dict[str, str], field: str, words: str
) -> None:
    path = write_csv(tmp_path / "a.csv", [line("R-0"), {**line("R-1"), **other}, line("R-2")])
    [error] = errors_of(path)
    assert (error.row, error.field) == (3, field)
    assert words in error.reason
    assert ids_of(path) == ["R-0", "R-2"]


def back(external_id: str = "B-1", **other: str) -> dict[str, str]:
    """A row of a return of R-1."""
    return line(external_id, **{"kind": "return", "returns": "R-1", **other})


def test_a_return_names_its_lines_by_number_or_by_what_was_sold(tmp_path: Path) -> None:
    rows = [
        back(line="2", quantity="1"),
        back(quantity="0.250", sku="", product_type="meat"),
        back(quantity="", amount="1.00"),
        back("B-2", quantity="0.000", amount="2.00", sku="", product_type=""),
    ]
    for path in (write_csv(tmp_path / "a.csv", rows), write_json(tmp_path / "a.jsonl", rows)):
        [first, second] = read(path)
        assert isinstance(first, ReturnReceipt)
        assert isinstance(second, ReturnReceipt)
        assert (first.external_id, first.purchase, first.rows[0]) == (
            "B-1", "R-1", 2 if path.suffix == ".csv" else 1,
        )  # fmt: skip
        assert first.parts == [
            ReturnedPart(2, "B1", "bread", "1", None),
            ReturnedPart(None, "", "meat", "0.250", None),
            ReturnedPart(None, "B1", "bread", None, "1.00"),
        ]
        assert second.parts == [ReturnedPart(None, "", "", None, "2.00")]
        assert [p.whole for p in (*first.parts, *second.parts)] == [False, False, False, True]


@pytest.mark.parametrize("first", [{"sku": "", "product_type": ""}, {}])
def test_an_amount_of_the_whole_receipt_stands_alone(tmp_path: Path, first: dict[str, str]) -> None:
    other = {} if first else {"sku": "", "product_type": ""}
    [error] = errors_of(write_csv(tmp_path / "a.csv", [back(**first), back(**other)]))
    assert (error.row, error.field) == (3, "line")
    assert "stands alone" in error.reason


def test_a_return_may_bear_the_number_of_its_purchase(tmp_path: Path) -> None:
    rows = [line("R-1"), line("R-1"), back("R-1"), back("R-1", line="2"), back("B-2"), line("R-2")]
    found = read(write_csv(tmp_path / "a.csv", rows))
    assert [(type(x).__name__, x.rows) for x in found if not isinstance(x, RowError)] == [
        ("Receipt", [2, 3]), ("ReturnReceipt", [4, 5]), ("ReturnReceipt", [6]), ("Receipt", [7]),
    ]  # fmt: skip
    [error] = errors_of(write_csv(tmp_path / "b.csv", [back(), line("R-1"), back()]))
    assert (error.row, error.field, error.external_id) == (4, "external_id", "B-1")
    [error] = errors_of(write_csv(tmp_path / "c.csv", [back(), back(returns="R-2")]))
    assert (error.row, error.field) == (3, "returns")


def test_rows_of_a_receipt_agree(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [line(), line(member="m-2"), line("R-2")])
    [error] = errors_of(path)
    assert (error.row, error.field, error.external_id) == (3, "member", "R-1")
    assert ids_of(path) == ["R-2"]


def test_a_receipt_that_reappears_is_refused_there(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [line("R-1"), line("R-2"), line("R-1"), line("R-3")])
    [error] = errors_of(path)
    assert (error.row, error.field) == (4, "external_id")
    assert ids_of(path) == ["R-1", "R-2", "R-3"]


def raw_csv(path: Path, *rows: bytes) -> Path:
    path.write_bytes(b"\n".join([HEADER.encode(), *rows, b""]))
    return path


GOOD = f"R-{{}},m-1,{AT},EUR,bread,B1,1,3.49"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b'R-1,m-1,x,EUR,"bread,B1,1,3.49', "is no CSV"),
        (b"R-1,m-1", "2 fields"),
        (b"R-1,m-1,x,EUR,bread,B1,1,3.49,9", "9 fields"),
        (b"R-1," + b"m" * 3_000_000, "longer than"),
    ],
)
def test_a_broken_row_of_csv_costs_its_receipt_alone(
    tmp_path: Path, bad: bytes, words: str
) -> None:
    path = raw_csv(tmp_path / "a.csv", GOOD.format(0).encode(), bad, GOOD.format(2).encode())
    [error] = errors_of(path)
    assert (error.row, error.external_id) == (3, "R-1")
    assert words in error.reason
    assert ids_of(path) == ["R-0", "R-2"]


def test_a_broken_row_rejects_the_rows_of_its_receipt_before_it(tmp_path: Path) -> None:
    good = GOOD.format(1).encode()
    path = raw_csv(tmp_path / "a.csv", good, b"R-1,m-1", good, GOOD.format(2).encode())
    assert [e.row for e in errors_of(path)] == [3]
    assert ids_of(path) == ["R-2"]


def test_broken_json_names_its_receipt_where_it_can(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = [json.dumps(line(f"R-{n}")) for n in range(4)]
    path.write_text("\n".join([good[0], good[1][:60], good[2], "garbage", good[2], good[3], "7"]))
    found = errors_of(path)
    assert [(e.row, e.external_id) for e in found] == [(2, "R-1"), (4, ""), (5, "R-2"), (7, "")]
    assert "within this receipt" in found[2].reason
    assert ids_of(path) == ["R-0", "R-3"]


def test_structures_are_no_texts(tmp_path: Path) -> None:
    [error] = errors_of(write_json(tmp_path / "a.jsonl", [{**line(), "amount": ["3.49"]}]))
    assert (error.row, error.field, error.external_id) == (1, "amount", "R-1")


def test_a_missing_key_is_no_empty_text(tmp_path: Path) -> None:
    row = line()
    del row["product_type"]
    [error] = errors_of(write_json(tmp_path / "a.jsonl", [row]))
    assert (error.row, error.field, error.external_id) == (1, "product_type", "R-1")


_PIECES = st.sampled_from([GOOD.format(1), GOOD.format(2), json.dumps(line()), '"', ",", "{", "é"])


@given(st.lists(st.lists(st.binary(max_size=8) | _PIECES.map(str.encode), max_size=4), max_size=6))
def test_no_bytes_stop_a_reader(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    content = b"\n".join(b"".join(pieces) for pieces in rows)
    (folder / "a.jsonl").write_bytes(content)
    raw_csv(folder / "a.csv", content)
    for name in ("a.jsonl", "a.csv"):
        found = read(folder / name)
        assert all(x.row >= 1 and x.field for x in found if isinstance(x, RowError))
        assert all(x.external_id and x.lines for x in found if isinstance(x, Receipt))
    (folder / "a.parquet").write_bytes(b"PAR1" + content + b"PAR1")
    with pytest.raises(BadInput):
        read(folder / "a.parquet")


def test_a_receipt_without_end_is_refused_without_being_held(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = (GOOD.format(1) + "\n" for _ in range(30_000))
    path.write_text("".join([HEADER + "\n", *rows, GOOD.format(2) + "\n"]))
    [error] = errors_of(path)
    assert (error.row, error.field) == (10_002, "line")
    assert ids_of(path) == ["R-2"]


def test_parquet_faults(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.Table.from_pylist([line()])
    naive = pa.array([0], pa.timestamp("us"))
    at = table.schema.get_field_index("occurred_at")
    pq.write_table(table.set_column(at, "occurred_at", naive), path)
    [error] = errors_of(path)
    assert (error.row, error.field) == (1, "occurred_at")
    assert "no time zone" in error.reason
    pq.write_table(table.set_column(at, "occurred_at", pa.array([["x"]])), path)
    with pytest.raises(BadInput, match="occurred_at"):
        read(path)
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(BadInput, match=r"a\.parquet"):
        read(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a\.xls"):
        read(tmp_path / "a.xls")
    with pytest.raises(BadInput, match=r"a\.csv"):
        read(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_bytes(b"")
    with pytest.raises(BadInput, match="no column"):
        read(tmp_path / "a.csv")


@given(st.lists(st.text(max_size=6)))
def test_seen_ids_are_a_set(ids: list[str]) -> None:
    seen, plain = SeenIds(), set[str]()
    for external_id in ids:
        assert seen.add(external_id) == (external_id not in plain)
        plain.add(external_id)


def test_seen_ids_grow() -> None:
    seen = SeenIds()
    assert all(seen.add(str(n)) for n in range(20_000))
    assert not any(seen.add(str(n)) for n in range(20_000))
