"""`laurels serve` and `laurels demo`.

Knows nothing of what is served.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from app import demo, sandbox, serving
from app.sandbox import Month
from app.shown import bars
from app.terminal import Database, err, out
from app.terminal import run as _run
from app.terminal import settings as _settings


def serve(database_name: Database = None) -> None:
    """Serve GraphQL, GraphiQL and health checks; starts the embedded PostgreSQL if none is set.

    Example: LAURELS_PORT=8080 laurels serve
    """
    settings = _settings()
    _run(serving.serve(settings, database_name, out))


def demo_command(
    people: Annotated[
        int, typer.Option(min=3, max=20_000, help="How many live in a new one.")
    ] = demo.PEOPLE,
) -> None:
    """Serve the demo coalition; prints what to open and which tokens to use.

    At first its members live two years there, night by night, in a minute or so. The same days
    give the same books.

    Example: laurels demo --people 100
    """
    settings = _settings()
    with bars(err) as bar:
        task = bar.add_task("members live two years", total=demo.DAYS, visible=False)

        def told(done: int, total: int, month: Month | None) -> None:
            del month
            bar.update(task, completed=done, total=total, visible=True)

        today = datetime.now(UTC).date()
        _run(sandbox.make(settings, today, demo.DAYS, told, people))
    alone = settings.model_copy(update={"processes": 1})
    _run(serving.serve(alone, sandbox.DEMO, out, prepare=demo.prepare))
