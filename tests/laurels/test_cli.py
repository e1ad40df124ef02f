"""The `laurels` command: it works alone, takes others' commands in, and survives broken ones."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints, version

import pytest
import typer

from laurels import cli

good = typer.Typer()


@good.command()
def hello() -> None:
    """Say hello."""
    typer.echo("hello from outside")


@good.command("second")
def _second() -> None: ...


rival = typer.Typer()


@rival.command("hello")
def _rival_hello() -> None:
    typer.echo("from the rival")


@rival.command("own")
def _own() -> None: ...


not_commands = 42

Install = Callable[..., None]
Run = Callable[..., tuple[object, str, str]]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Pretend that packages with these entry points, and no others, are installed."""

    def installed(**entries: str) -> None:
        found = EntryPoints(EntryPoint(name, value, cli.GROUP) for name, value in entries.items())
        monkeypatch.setattr(cli, "entry_points", lambda group: found.select(group=group))

    return installed


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line: its exit code, output and errors."""

    def ran(*arguments: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as exit_:
            cli.build().main(list(arguments), prog_name="laurels")
        captured = capsys.readouterr()
        return exit_.value.code, captured.out, captured.err

    return ran


def test_it_works_alone(install: Install, run: Run) -> None:
    install()
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert "Laurels" in out
    assert run("--version") == (0, version("laurels") + "\n", "")


def test_commands_of_another_package_are_added(install: Install, run: Run) -> None:
    install(app=f"{__name__}:good")
    assert run("hello") == (0, "hello from outside\n", "")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:commands", "ModuleNotFoundError"),
        (f"{__name__}:no_such_name", "AttributeError"),
        (f"{__name__}:not_commands", "it is int, not a typer.Typer"),
    ],
)
def test_a_broken_package_is_named_and_the_rest_works(
    install: Install, capsys: pytest.CaptureFixture[str], value: str, reason: str
) -> None:
    install(broken=value, good=f"{__name__}:good")
    root = cli.build()
    warning = capsys.readouterr().err
    assert "warning: commands 'broken'" in warning
    assert reason in warning
    assert "hello" in root.commands


def test_a_name_that_is_taken_stays_with_the_first(install: Install, run: Run) -> None:
    install(app=f"{__name__}:good", rival=f"{__name__}:rival")
    code, out, err = run("hello")
    assert (code, out) == (0, "hello from outside\n")
    assert "its command 'hello' exists already" in err
    assert run("own")[0] == 0
