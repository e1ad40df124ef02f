"""The `laurels` command: it works alone, takes others' commands in, and survives broken ones."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints, version

import pytest
import typer

from laurels import cli


def hello() -> None:
    """Say hello."""
    typer.echo("hello from outside")


several = typer.Typer(help="Greetings.")
several.command()(hello)


@several.command()
def goodbye() -> None:
    """Take leave."""
    typer.echo("goodbye from outside")


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
            cli.commands(list(arguments), prog_name="laurels")
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
    install(hello=f"{__name__}:hello", greet=f"{__name__}:several")
    assert run("hello") == (0, "hello from outside\n", "")
    assert run("greet", "goodbye") == (0, "goodbye from outside\n", "")
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    assert [word for word in ("plugin", "hello", "Say hello.", "Greetings.") if word in out] == [
        "plugin", "hello", "Say hello.", "Greetings.",
    ]  # fmt: skip
    assert run("nothing")[0] == 2


def test_a_command_waits_for_no_other(install: Install, run: Run) -> None:
    """What another command needs isn't imported, be it broken or slow."""
    install(hello=f"{__name__}:hello", broken="no_such_module:commands")
    assert run("hello") == (0, "hello from outside\n", "")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_module:commands", "ModuleNotFoundError"),
        (f"{__name__}:no_such_name", "AttributeError"),
        (f"{__name__}:not_commands", "it is int, neither a function nor a typer.Typer"),
    ],
)
def test_a_broken_package_is_named_and_the_rest_works(
    install: Install, run: Run, value: str, reason: str
) -> None:
    install(broken=value, hello=f"{__name__}:hello")
    for arguments, code in (("--help", 0), ("broken", 2)):
        told = run(arguments)
        assert told[0] == code
        assert told[2].count("warning: command 'broken'") == 1
        assert reason in told[2]
    assert run("hello") == (0, "hello from outside\n", "")


def test_a_name_that_is_taken_stays_with_the_first(
    monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    found = EntryPoints(
        EntryPoint(name, f"{__name__}:{value}", cli.GROUP)
        for name, value in (("hello", "hello"), ("hello", "several"), ("plugin", "several"))
    )
    monkeypatch.setattr(cli, "entry_points", lambda group: found.select(group=group))
    code, out, err = run("hello")
    assert (code, out) == (0, "hello from outside\n")
    assert err.count("there is a command of this name already") == 2
    assert run("plugin", "--help")[0] == 0
