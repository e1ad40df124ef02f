"""The `laurels` command: its own options, and whatever commands are installed beside the SDK.

The SDK works alone. The application, or any other package, adds commands through the entry-point
group `laurels.commands`: the entry's name is the command's, and it is a function, of which typer
makes the command, or a `typer.Typer` of several. Each is imported when it is asked for, so that
none waits for what another needs. This module must not know who adds what, and one broken package
must not take the others' commands away.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points, version
from inspect import isfunction
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup
from typer.main import get_command

from laurels.kit import plugin

if TYPE_CHECKING:
    from typer._click import Command, Context  # what it makes groups of has no public name

GROUP = "laurels.commands"


class Commands(TyperGroup):
    """The SDK's own commands, and those of others by the entry points that name them."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._others: dict[str, EntryPoint] = {}
        self._loaded: dict[str, Command | None] = {}
        for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
            if entry.name in self.commands or entry.name in self._others:
                _warn(entry, "there is a command of this name already")
            else:
                self._others[entry.name] = entry

    def list_commands(self, ctx: Context) -> list[str]:
        """All names, the SDK's own first."""
        return [*super().list_commands(ctx), *self._others]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """The command of this name; None where there is none, or none that can be imported."""
        if cmd_name not in self._others:
            return super().get_command(ctx, cmd_name)
        if cmd_name not in self._loaded:
            self._loaded[cmd_name] = _imported(self._others[cmd_name])
        return self._loaded[cmd_name]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("laurels"))
        raise typer.Exit


commands = typer.Typer(
    name="laurels", cls=Commands, no_args_is_help=True, pretty_exceptions_show_locals=False
)
commands.add_typer(plugin, name="plugin")


@commands.callback()
def _laurels(
    show_version: bool = typer.Option(
        False,
        "--version",
        help="Print the SDK's version and exit.",
        is_eager=True,
        callback=_print_version,
    ),
) -> None:
    """Laurels, a coalition loyalty engine, and the kit that partners write plugins with."""


def main() -> None:
    """Run the command line; the console script `laurels` points here."""
    commands()


def _imported(entry: EntryPoint) -> Command | None:
    """One package's command, or None when it was said by name what is wrong with it."""
    try:
        found = entry.load()
        if isfunction(found):
            alone = typer.Typer()
            alone.command()(found)
            found = alone
        if not isinstance(found, typer.Typer):
            _warn(entry, f"it is {type(found).__name__}, neither a function nor a typer.Typer")
            return None
        command = get_command(found)
    # Whatever a foreign package raises while it is imported; even SystemExit must not end us.
    except (Exception, SystemExit) as error:
        _warn(entry, f"{type(error).__name__}: {error}")
        return None
    command.name = entry.name
    return command


def _warn(entry: EntryPoint, reason: str) -> None:
    owner = f" of {entry.dist.name}" if entry.dist else ""
    line = f"warning: command {entry.name!r}{owner} ({entry.value}) is not available: {reason}"
    Console(stderr=True, soft_wrap=True).print(Text(line, style="yellow"))
