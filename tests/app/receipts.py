"""Files of receipts for the tests of the import."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path

AT = "2026-11-01T09:30:00+03:00"


def line(external_id: str = "R-1", amount: str = "3.49", **other: str) -> dict[str, str]:
    """One row, as a mapping."""
    row = {
        "external_id": external_id, "member": "m-1", "occurred_at": AT, "currency": "EUR",
        "product_type": "bread", "sku": "B1", "quantity": "1", "amount": amount,
    }  # fmt: skip
    return {**row, **other}


def write_csv(path: Path, rows: Iterable[dict[str, str]]) -> Path:
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json(path: Path, rows: Iterable[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
