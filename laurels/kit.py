"""The kit's commands: `laurels plugin new` writes a brand's package, `laurels plugin test` asks it.

They need the SDK alone. What a plugin must be like is `laurels.testing`'s.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from laurels.errors import LaurelsError, check_code
from laurels.hookspecs import ENTRY_POINT_GROUP
from laurels.settings import prefix
from laurels.testing import brand, problems

plugin = typer.Typer(help="Write a brand's plugin, and test it.", no_args_is_help=True)

_PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{dist}"
version = "0.1.0"
description = "{title} in a Laurels coalition"
requires-python = ">=3.11"
dependencies = ["laurels>=0.1"]

[dependency-groups]
dev = ["pytest>=8"]

[project.entry-points."laurels.partners"]
{code} = "{module}"

[tool.hatch.build.targets.wheel]
packages = ["{module}"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""
_MODULE = '''\
"""{title}: a point for every full unit of money, and a reward for a hundred."""

from collections.abc import Sequence

from pydantic import BaseModel, Field

from laurels import (
    Currency,
    EarnRule,
    Partner,
    ProductTypeRewardCalculator,
    Reward,
    hookimpl,
)

POINTS = Currency("{currency}", "{title} points", expires="12M")


class Settings(BaseModel):
    """What the operator sets: {variable}WELCOME_PRICE. Write secrets as SecretStr."""

    welcome_price: int = Field(100, ge=1, description="Points that the welcome reward costs.")


@hookimpl
def laurels_settings() -> type[BaseModel]:
    """What there is to be set."""
    return Settings


@hookimpl
def laurels_partner() -> Partner:
    """Who we are."""
    return Partner("{code}", "{title}", currencies=[POINTS])


@hookimpl
def laurels_earn_rules() -> Sequence[EarnRule]:
    """Two points on books, one on all else; a gift card earns when it is spent."""
    return [ProductTypeRewardCalculator(POINTS, {{"books": 2, "gift card": 0}}, default=1)]


@hookimpl
def laurels_rewards(settings: Settings) -> Sequence[Reward]:
    """What a member can have for points."""
    return [Reward("welcome", "Something nice", price={{POINTS: settings.welcome_price}})]
'''
_TEST = '''\
"""What {title} gives, and that it conforms to what the engine asks."""

import {module}
from laurels import testing


class TestConformance(testing.Conformance):
    """What the engine asks of every plugin."""

    plugin = {module}


def test_books_earn_twice() -> None:
    bought = testing.purchase(("books", "12.50"), ("gift card", "50.00"), ("coffee", "3.90"))
    assert testing.points({module}, bought) == {{"{currency}": 25 + 0 + 3}}


def test_the_welcome_costs_what_is_set() -> None:
    (welcome,) = testing.brand({module}, {{"welcome_price": 250}}).rewards
    assert dict(welcome.prices) == {{"{currency}": 250}}
'''
_README = """\
# {title}

A partner of a Laurels coalition.

```console
$ pip install -e .
$ laurels plugin test {module}
$ pytest
```

Installed beside the engine it is found by its entry point; `laurels plugins` lists it, and what it
is set to: `{variable}WELCOME_PRICE=250` sets its one setting.
"""


@plugin.command()
def new(
    name: Annotated[str, typer.Argument(help="The brand's code, such as corner-bakery.")],
    folder: Annotated[
        Path, typer.Option("--in", help="Where to make the package's folder.")
    ] = Path(),
) -> None:
    """Write a package that installs, registers and passes: the start of a brand.

    Example: laurels plugin new corner-bakery
    """
    try:
        code = check_code("name", name)
    except LaurelsError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    module = code.replace("-", "_").replace(".", "_").lower()
    if not module.isidentifier():
        raise typer.BadParameter("it begins with a letter", param_hint="NAME")
    root = folder / code
    if root.exists():
        raise typer.BadParameter(f"{root} is there already", param_hint="NAME")
    words = {
        "code": code,
        "dist": code.replace(".", "-"),
        "module": module,
        "title": " ".join(module.split("_")).title(),
        "currency": f"{code.upper()[:57]}-POINT",
        "variable": prefix(code),
    }
    for path, text in (
        ("pyproject.toml", _PYPROJECT),
        ("README.md", _README),
        (f"{module}/__init__.py", _MODULE),
        (f"{module}/py.typed", ""),
        (f"tests/test_{module}.py", _TEST),
    ):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text.format(**words), encoding="utf-8")
    typer.echo(f"{root} is made. Next: pip install -e {root}, then laurels plugin test {module}")


@plugin.command("test")
def _test(
    module: Annotated[
        str | None, typer.Argument(help="The plugin's module; without it, all that are installed.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="What is set for it: a file of JSON."),
    ] = None,
) -> None:
    """Ask a plugin what the engine will ask of it; exit code 1 where it doesn't conform.

    Examples:

      laurels plugin test corner_bakery

      laurels plugin test corner_bakery --settings test-settings.json
    """
    if settings is not None and module is None:
        raise typer.BadParameter("settings are one plugin's: name its module", param_hint="MODULE")
    given = {} if settings is None else _read(settings)
    # A module beside us is found as pytest would find it.
    sys.path.insert(0, str(Path.cwd()))
    named = {module} if module else {e.module for e in entry_points(group=ENTRY_POINT_GROUP)}
    if not named:
        raise typer.BadParameter("no plugin is installed: name a module", param_hint="MODULE")
    out = Console(soft_wrap=True, highlight=False)
    failed = False
    for name in sorted(named):
        found = _found(name, given)
        failed = failed or bool(found)
        for problem in found:
            out.print(Text(f"✗ {name}: {problem}", style="red"))
        if not found:
            out.print(Text(f"✓ {name}: {_told(name, given)}", style="green"))
    if failed:
        raise typer.Exit(1)


def _read(settings: Path) -> Mapping[str, object]:
    try:
        given = json.loads(settings.read_bytes())
    except ValueError:
        given = None
    if not isinstance(given, dict):
        told = f"{settings} holds no object of JSON, such as {{}}"
        raise typer.BadParameter(told, param_hint="--settings")
    return given


def _found(name: str, settings: Mapping[str, object]) -> list[str]:
    try:
        loaded = importlib.import_module(name)
    except Exception as error:
        return [f"can't be imported: {type(error).__name__}: {error}"]
    return problems(loaded, settings)


def _told(name: str, settings: Mapping[str, object]) -> str:
    what = brand(importlib.import_module(name), settings)
    return (
        f"{what.partner.name}: {len(what.earn_rules)} earn rules, {len(what.redeem_rules)} redeem "
        f"rules, {len(what.rewards)} rewards, {len(what.ladders)} ladders, "
        f"{len(what.adapters)} adapters"
    )
