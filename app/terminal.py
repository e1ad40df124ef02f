"""What all commands share: where they print, how settings are read and work is run to its end.

What was refused on purpose is told in a line. Knows no command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import asyncpg
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from app.loops import new_event_loop
from app.postgres import EmbeddedPostgresError
from app.settings import Settings
from core.errors import Refusal

out = Console()
err = Console(stderr=True, soft_wrap=True)
T = TypeVar("T")

Database = Annotated[
    str | None, typer.Option("--database", help="Another database of the same server, made if new.")
]
Now = Annotated[
    str | None,
    typer.Option(help="The time to take for now, with its zone: 2018-01-01T04:01:20Z (history)."),
]


def settings() -> Settings:
    """The settings of the environment. Exits with 2, naming what is wrong with which."""
    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors():
            name = "LAURELS_" + "_".join(str(p) for p in problem["loc"]).upper()
            err.print(f"[red]{name if problem['loc'] else 'settings'}[/]: {problem['msg']}")
        raise typer.Exit(2) from None


def run(work_: Coroutine[Any, Any, T]) -> T:
    """Run to the end; what was refused on purpose is told in a line, not as a traceback."""
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(work_)
    except (Refusal, EmbeddedPostgresError) as error:
        err.print(Text(str(error), style="red"))
        raise typer.Exit(1) from None
    except (OSError, asyncpg.PostgresError) as error:
        err.print(Text(f"{type(error).__name__}: {error}", style="red"))
        err.print("Is PostgreSQL up, and may LAURELS_DATABASE_URL log in? Unset: the embedded one.")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def parse_now(text: str | None) -> datetime:
    """The instant of `--now`, or the clock's. Exits with 2 where it has no zone."""
    if text is None:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = datetime.min  # noqa: DTZ901  # refused in the next line
    if at.tzinfo is None:
        raise typer.BadParameter("an instant with its zone is wanted, such as 2018-01-01T04:01:20Z")
    return at.astimezone(UTC)
