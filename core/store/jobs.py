"""The job runner's tables, in a schema of their own, and one lock for work that is done alone.

The tables are procrastinate's: their text is taken from the installed package when a migration
runs. Which of its own migrations are in is written on the schema itself, so that installing,
upgrading and trying again after a crash are one function.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Protocol

from core.db import session

#: Its names are found by search path: whoever works on jobs sets it to this.
SCHEMA = "jobs"
#: The last of the package's migrations that ours bring in. Where the package has a later one, add
#: a migration like `0003_jobs` and raise this.
UP_TO = "03.04.00_50_post_add_retry_failed_job_procedure.sql"
#: Any constant will do, as long as no other lock of this database has it.
_NIGHT = 52873571

_LAST = """
SELECT split_part(coalesce(obj_description(oid, 'pg_namespace'), ''), ' ', -1) AS last
FROM pg_namespace WHERE nspname = $1
"""
_OPEN = f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}; SET LOCAL search_path TO {SCHEMA};"
_CLOSE = f"""
SET LOCAL search_path TO DEFAULT;
GRANT USAGE ON SCHEMA {SCHEMA} TO laurels_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {SCHEMA} TO laurels_app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA {SCHEMA} TO laurels_app;
"""


class Client(Protocol):
    """What is needed of the migration's connection, which is inside a transaction."""

    async def execute_query_dict(self, query: str, values: list[Any]) -> Sequence[Any]:
        """Rows by column name."""

    async def execute_script(self, query: str) -> None:
        """Several statements."""


def package_migrations() -> list[Traversable]:
    """The package's own migrations, oldest first."""
    folder = resources.files("procrastinate.sql") / "migrations"
    return sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda f: f.name
    )


async def bring_up_to_date(client: Client) -> None:
    """Install the tables, or bring in what the package has added since. Safe to run twice."""
    files = package_migrations()
    found = await client.execute_query_dict(_LAST, [SCHEMA])
    if found:
        texts = [file.read_text("utf-8") for file in files if file.name > found[0]["last"]]
    else:
        texts = [(resources.files("procrastinate.sql") / "schema.sql").read_text("utf-8")]
    await client.execute_script(_OPEN)
    for text in texts:
        await client.execute_script(text)
    await client.execute_script(_CLOSE)
    # No quote may stand in it; the name is a file's of a package that we pin by its hash.
    told = f"Tables of the job runner: procrastinate, up to {files[-1].name}"
    await client.execute_script(f"COMMENT ON SCHEMA {SCHEMA} IS '{told}';")


@asynccontextmanager
async def one_at_a_time(name: str) -> AsyncIterator[bool]:
    """Whether nobody else is at this work in this database; as long as it lasts, nobody will be."""
    async with session() as connection:
        yield bool(
            await connection.fetchval(
                "SELECT pg_try_advisory_lock(hashtextextended('job|' || $1, 7))", name
            )
        )


@asynccontextmanager
async def alone_tonight() -> AsyncIterator[None]:
    """Be the one process that runs the night in this database; waits for another to end.

    Lost with the connection, which does no harm: it spares work and waiting, the books need no lock.
    """
    async with session() as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", _NIGHT)
        yield
