"""Keeps reference rows as they are declared: many in three statements, and nothing that is so already.

Knows no table. Under the lock of the installation, so that nobody else writes the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.db import Connection
from core.store.posting import columns as arrays

#: One process at a time brings the reference rows up to date.
INSTALL_LOCK = 5287358


async def kept(
    connection: Connection,
    table: str,
    keys: Mapping[str, str],
    columns: Mapping[str, str],
    rows: Sequence[Sequence[Any]],
) -> dict[tuple[Any, ...], int]:
    """Bring rows up to date, or add them; their ids by their keys.

    `keys` and `columns` give each column's type; `rows` have the keys first. New ones are numbered in
    their order; rows of the table that aren't named stay.
    """
    names = [f'"{name}"' for name in (*keys, *columns)]
    types = [*keys.values(), *columns.values()]
    given = ", ".join(f"${n}::{_sent(kind)}[]" for n, kind in enumerate(types, 1))
    read = ", ".join(
        f"n.{name}::{kind}" if _sent(kind) != kind else f"n.{name}"
        for name, kind in zip(names, types, strict=True)
    )
    own, all_of = ", ".join(names[: len(keys)]), ", ".join(names)
    wanted = f"SELECT {read}, n.place FROM unnest({given}) WITH ORDINALITY AS n ({all_of}, place)"
    same = " AND ".join(f"t.{name} = w.{name}" for name in names[: len(keys)])
    values = arrays(rows, len(names))
    if columns:
        values_of = names[len(keys) :]
        others = ", ".join(f"t.{name}" for name in values_of)
        newer = ", ".join(f"w.{name}" for name in values_of)
        await connection.execute(
            f"UPDATE {table} t SET {', '.join(f'{name} = w.{name}' for name in values_of)} "
            f"FROM ({wanted}) w ({all_of}, place) "
            f"WHERE {same} AND ({others}) IS DISTINCT FROM ({newer})",
            *values,
        )
    await connection.execute(
        f"INSERT INTO {table} ({all_of}) SELECT {all_of} FROM ({wanted}) w ({all_of}, place) "
        f"WHERE NOT EXISTS (SELECT FROM {table} t WHERE {same}) ORDER BY place",
        *values,
    )
    found = await connection.fetch(f"SELECT id, {own} FROM {table}")
    return {tuple(row)[1:]: row[0] for row in found}


def _sent(kind: str) -> str:
    """As what an array of it is sent: JSON as text."""
    return "text" if kind == "jsonb" else kind
