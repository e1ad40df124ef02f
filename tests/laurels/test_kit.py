"""`laurels plugin`: what `new` writes passes `test`, and each refusal says what to do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def kit(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, in this folder."""
    command = [sys.executable, "-c", "from laurels.cli import main; main()", "plugin", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.parametrize("name", ["corner-bakery", "x", "Two.Words_3"])
def test_a_new_package_conforms(name: str, tmp_path: Path) -> None:
    made = kit("new", name, "--in", str(tmp_path), cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    root = tmp_path / name
    module = name.replace("-", "_").replace(".", "_").lower()
    assert {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()} == {
        "README.md",
        "pyproject.toml",
        f"{module}/__init__.py",
        f"{module}/py.typed",
        f"tests/test_{module}.py",
    }
    asked = kit("test", module, cwd=root)
    assert asked.returncode == 0, asked.stdout
    assert asked.stdout.startswith(f"✓ {module}: ")
    own = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=root, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert own.returncode == 0, own.stdout
    assert "4 passed" in own.stdout


def test_what_does_not_conform_is_said_and_fails(tmp_path: Path) -> None:
    kit("new", "shop", cwd=tmp_path)
    source = tmp_path / "shop" / "shop" / "__init__.py"
    source.write_text(source.read_text().replace("{POINTS: settings", '{"GOLD": settings'))
    asked = kit("test", "shop", cwd=tmp_path / "shop")
    assert asked.returncode == 1
    assert "✗ shop: hook laurels_rewards: reward 'welcome' is in 'GOLD'" in asked.stdout


def test_settings_are_handed_over_in_a_file(tmp_path: Path) -> None:
    kit("new", "shop", cwd=tmp_path)
    root = tmp_path / "shop"
    (root / "good.json").write_text('{"welcome_price": "250"}')
    (root / "bad.json").write_text('{"welcome_price": -4242}')
    assert kit("test", "shop", "--settings", "good.json", cwd=root).returncode == 0
    asked = kit("test", "shop", "--settings", "bad.json", cwd=root)
    assert asked.returncode == 1
    assert asked.stdout == (
        "✗ shop: hook laurels_settings: welcome_price (LAURELS_PLUGIN_SHOP_WELCOME_PRICE): "
        "input should be greater than or equal to 1\n"
    )
    (root / "none.json").write_text("[1]")
    asked = kit("test", "shop", "--settings", "none.json", cwd=root)
    assert asked.returncode == 2
    assert "holds no object of JSON" in asked.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["new", "9"], "begins with a letter"),
        (["new", "a b"], "a code has ASCII letters"),
        (["new", "there"], "there is there already"),
        (["test", "nowhere"], "nowhere: can't be imported: ModuleNotFoundError"),
    ],
)
def test_a_refusal_says_why(arguments: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    before = sorted(tmp_path.rglob("*"))
    done = kit(*arguments, cwd=tmp_path)
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert sorted(tmp_path.rglob("*")) == before
