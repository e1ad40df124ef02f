"""The `laurels` command: its own options, and whatever commands are installed beside the SDK.

The SDK works alone. The application, or any other package, adds commands through the entry-point
group `laurels.commands`, where each entry is a `typer.Typer`. This module must not know who adds
what, and one broken package must not take the others' commands away.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points, version

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup
from typer.main import get_group

from laurels.kit import plugin

GROUP = "laurels.commands"


def main() -> None:
    """Run the command line; the console script `laurels` points here."""
    build()()


def build() -> TyperGroup:
    """Join the SDK's own commands with those of every installed package."""
    root = get_group(_own())
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        _add(root, entry)
    return root


def _own() -> typer.Typer:
    own = typer.Typer(name="laurels", no_args_is_help=True)

    @own.callback()
    def laurels(
        show_version: bool = typer.Option(
            False,
            "--version",
            help="Print the SDK's version and exit.",
            is_eager=True,
            callback=_print_version,
        ),
    ) -> None:
        """Laurels, a coalition loyalty engine, and the kit that partners write plugins with."""

    own.add_typer(plugin, name="plugin")
    return own


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("laurels"))
        raise typer.Exit


def _add(root: TyperGroup, entry: EntryPoint) -> None:
    """Add one package's commands, or say by name what is wrong with it and go on."""
    try:
        commands = entry.load()
        if not isinstance(commands, typer.Typer):
            _warn(entry, f"it is {type(commands).__name__}, not a typer.Typer")
            return
        added = get_group(commands).commands
    # Whatever a foreign package raises while it is imported; even SystemExit must not end us.
    except (Exception, SystemExit) as error:
        _warn(entry, f"{type(error).__name__}: {error}")
        return
    for name, command in added.items():
        if name in root.commands:
            _warn(entry, f"its command {name!r} exists already and is left out")
        else:
            root.add_command(command, name)


def _warn(entry: EntryPoint, reason: str) -> None:
    owner = f" of {entry.dist.name}" if entry.dist else ""
    line = f"warning: commands {entry.name!r}{owner} ({entry.value}) are not available: {reason}"
    Console(stderr=True, soft_wrap=True).print(Text(line, style="yellow"))
