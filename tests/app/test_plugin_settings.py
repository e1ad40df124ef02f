"""What the environment sets for a plugin: read by its model, handed on, refused without a value."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from app.plugin_settings import from_environment
from plugins.host import Collected, collect
from tests.app.test_plugins import plugins
from tests.plugins.faults import Shelf

SOURCE = """
from pydantic import BaseModel, Field, SecretStr
from laurels import *

class Oven(BaseModel):
    key: SecretStr = SecretStr("crumbs")

class Settings(BaseModel):
    api_key: SecretStr = Field(description="What [b]opens[/b] the shop.")
    stores: list[str] = []
    oven: Oven = Oven()

@hookimpl
def laurels_settings():
    return Settings

@hookimpl
def laurels_partner(settings):
    return Partner("NAME", "NAME of " + ", ".join(settings.stores))
"""
HIDDEN = "hunter2-is-very-secret"


class Inner(BaseModel):
    key: SecretStr
    ports: list[int] = []


class Model(BaseModel):
    name: str
    count: int = 3
    stores: list[str] = []
    rates: dict[str, int] = {}
    inner: Inner | None = None


def test_the_model_says_which_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "NAME": "[not json", "STORES": '["a","b"]', "RATES__BREAD": "2", "INNER__KEY": "{k}",
        "INNER__PORTS": "[80]", "COUNT": "", "OTHER": "x",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"LAURELS_PLUGIN_MY_SHOP_{name}", value)
    monkeypatch.setenv("LAURELS_PLUGIN_MY_SHOP2_COUNT", "9")
    monkeypatch.setenv("NAME", "somebody else's")
    assert from_environment("my-shop", Model) == {
        "name": "[not json",
        "stores": ["a", "b"],
        "rates": {"bread": "2"},
        "inner": {"key": "{k}", "ports": [80]},
    }
    assert from_environment("other", Model) == {}


def test_what_is_no_json_is_left_to_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAURELS_PLUGIN_SHOP_STORES", HIDDEN)
    monkeypatch.setenv("LAURELS_PLUGIN_SHOP_INNER__PORTS", HIDDEN)
    assert from_environment("shop", Model) == {"stores": HIDDEN, "inner": {"ports": HIDDEN}}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """An empty shelf, importable for this test only."""
    monkeypatch.syspath_prepend(tmp_path)
    return Shelf(tmp_path)


def collected(shelf: Shelf) -> Collected:
    """What is on the shelf, set by the environment."""
    from importlib.metadata import distributions

    found = distributions(path=[str(shelf.place)])
    entries = [entry for dist in found for entry in dist.entry_points]
    return collect(entry_points=entries, values=from_environment)


def test_one_that_lacks_a_setting_is_refused_alone(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put("with-it", SOURCE, dist="shelf-set-1")
    shelf.put("without", SOURCE, dist="shelf-set-2")
    monkeypatch.setenv("LAURELS_PLUGIN_WITH_IT_API_KEY", HIDDEN)
    monkeypatch.setenv("LAURELS_PLUGIN_WITH_IT_STORES", '["North"]')
    found = collected(shelf)
    assert [p.partner.name for p in found.installed] == ["with-it of North"]
    assert [str(refused) for refused in found.refused] == [
        "plugin 'without' 1.0, hook laurels_settings: api_key is missing: "
        "set LAURELS_PLUGIN_WITHOUT_API_KEY"
    ]
    assert HIDDEN not in repr(found)


def test_two_plugins_never_share_a_variable(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """`a-b` and `a_b` would read each other's secrets."""
    shelf.put("a-b", SOURCE, dist="shelf-set-3")
    shelf.put("a_b", SOURCE, dist="shelf-set-4")
    monkeypatch.setenv("LAURELS_PLUGIN_A_B_API_KEY", HIDDEN)
    found = collected(shelf)
    assert [p.name for p in found.installed] == ["a-b"]
    assert str(found.refused[0]) == (
        "plugin 'a_b' 1.0, hook laurels_settings: variable 'LAURELS_PLUGIN_A_B_API_KEY' already "
        "belongs to plugin 'a-b'"
    )


def test_the_command_shows_them_masked(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put("corner", SOURCE, dist="shelf-set-5")
    shelf.put("edge", SOURCE, dist="shelf-set-6")
    monkeypatch.setenv("LAURELS_PLUGIN_CORNER_API_KEY", HIDDEN)
    monkeypatch.setenv("LAURELS_PLUGIN_CORNER_STORES", '["North"]')
    monkeypatch.setenv("LAURELS_PLUGIN_EDGE_STORES", "hunter2 is no list")
    told = plugins("postgresql://nobody@localhost/nothing", path=str(shelf.place))
    assert told.returncode == 1
    rows = [[cell.strip() for cell in line.split("│")] for line in told.stdout.splitlines()]
    cells = [row[1:-1] for row in rows if len(row) == 7 and row[1] == "corner"]
    assert cells == [
        ["corner", "api_key", "**********", "LAURELS_PLUGIN_CORNER_API_KEY",
         "What [b]opens[/b] the shop."],
        ["corner", "stores", "[North]", "LAURELS_PLUGIN_CORNER_STORES", ""],
        ["corner", "oven.key", "**********", "LAURELS_PLUGIN_CORNER_OVEN__KEY", ""],
    ]  # fmt: skip
    assert told.stderr.count("refused") == 1
    assert "api_key is missing: set LAURELS_PLUGIN_EDGE_API_KEY; stores" in told.stderr
    assert "hunter2" not in told.stdout + told.stderr
    assert "crumbs" not in told.stdout
