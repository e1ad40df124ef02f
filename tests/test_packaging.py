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
    names = ["requirements-journey.txt", "requirements-uv.txt", "requirements.txt"]
    assert [lock.name for lock in LOCKS] == names
    assert not (ROOT / "uv.lock").exists()


def test_uv_is_the_same_in_both_locks() -> None:
    pins = [
        re.findall(r"^uv==\S+", (ROOT / name).read_text(), re.M)
        for name in ("requirements.txt", "requirements-uv.txt")
    ]
    assert pins[0] == pins[1] != []


def test_the_sdk_depends_on_little() -> None:
    project = tomllib.loads((ROOT / "laurels/pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=]", requirement)[0] for requirement in project["dependencies"]}
    assert names == {"pluggy", "typer", "rich"}


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
