"""The kit's face: what is public, and that importing it brings nothing of the application."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import laurels

ROOT = Path(laurels.__file__).parent.parent
APPLICATION = ("app", "core", "plugins", "schema")
SEEN = """
import json, sys
{first}
import laurels
print(json.dumps(sorted(m for m in sys.modules if m.split(".")[0] in {names})))
"""


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions; each by name."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_all_is_sorted() -> None:
    assert laurels.__all__ == sorted(set(laurels.__all__), key=order)


def test_all_is_complete() -> None:
    public = {
        name
        for name, value in vars(laurels).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public == set(laurels.__all__)


def test_every_public_thing_says_what_it_is() -> None:
    for name in laurels.__all__:
        value = getattr(laurels, name)
        if getattr(value, "__module__", "").startswith("laurels."):
            assert value.__doc__, name


def loaded(first: str, names: tuple[str, ...]) -> list[str]:
    """The modules of these packages that `import laurels` leaves behind in a fresh interpreter."""
    code = SEEN.format(first=first, names=names)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    seen: list[str] = json.loads(done.stdout)
    return seen


def test_importing_brings_nothing_of_the_application() -> None:
    assert loaded("", APPLICATION) == []


def test_importing_brings_no_command_line() -> None:
    assert loaded("", ("typer", "rich", "click")) == []


@pytest.mark.parametrize("name", APPLICATION)
def test_the_check_would_see_it(name: str) -> None:
    planted = f"import types; sys.modules['{name}.x'] = types.ModuleType('x')"
    assert loaded(planted, APPLICATION) == [f"{name}.x"]


@pytest.mark.parametrize(
    "path", sorted(p for p in Path(laurels.__file__).parent.glob("*.py")), ids=lambda p: str(p.name)
)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith('"""')
