"""A brand from outside works with the kit alone: built, installed and run where nothing else is.

The environment is fresh, and made without a package index: what the kit depends on is copied from
the environment of the tests, and pip resolves the two wheels against it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
BRAND = ROOT / "tests" / "partner_package"

#: By hand: bread 84.00 at 2 is 168, coffee 16.75 at 1 is 16, a gift card nothing, so 184; it is
#: half past midnight on Tuesday in Istanbul though still Monday in UTC, so 50 more, 234; gold
#: makes 351 of it.
SCRIPT = """
import sys
from datetime import UTC, datetime
from importlib.metadata import entry_points
from importlib.util import find_spec

import laurels

assert laurels.__file__.startswith(sys.prefix), laurels.__file__
assert not any(map(find_spec, ("app", "schema", "plugins", "core"))), "the engine is here as well"

(entry,) = entry_points(group=laurels.ENTRY_POINT_GROUP)
assert (entry.name, entry.dist.name, entry.dist.version) == ("bakery", "corner-bakery", "2.3.1")
brand = entry.load()
partner = brand.laurels_partner()
lines = (
    laurels.Line("bread", 8400, 2000), laurels.Line("coffee", 1675), laurels.Line("gift card", 5000)
)
at = datetime(2026, 11, 23, 21, 30, tzinfo=UTC)
purchase = laurels.Purchase(
    partner.code, "R-1", at, "TRY", lines, time_zone=partner.time_zone
)
rules = brand.laurels_earn_rules()
plain = laurels.evaluate(rules, purchase, laurels.Facts())
gold = laurels.evaluate(rules, purchase, laurels.Facts(visits=3, tiers={"bakery": "gold"}))
assert [g.points for g in plain.granted] == [168 + 16, 50], plain
assert [r.because for r in plain.refused] == ["no tier has no multiplier"], plain
assert plain.points("CRUMB") == 234, plain
assert gold.points("CRUMB") == 351, gold
print("points", plain.points("CRUMB"), gold.points("CRUMB"))
"""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command to its end; its output is the message where it fails."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def needed(requirements: Iterable[str]) -> set[str]:
    """The names of all distributions that these requirements come to, their own included."""
    names: set[str] = set()
    waiting = list(requirements)
    while waiting:
        requirement = Requirement(waiting.pop())
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and requirement.name not in names:
            names.add(requirement.name)
            waiting += distribution(requirement.name).requires or []
    return names


def copy_distribution(name: str, target: Path) -> None:
    """Copy an installed distribution, metadata and all, but not its scripts."""
    found = distribution(name)
    for file in found.files or ():
        source = Path(str(found.locate_file(file)))
        if ".." not in file.parts and source.suffix != ".pyc" and source.is_file():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / file)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the kit and the brand in it."""
    place = tmp_path_factory.mktemp("outside")
    wheels = place / "wheels"
    for source in (ROOT / "laurels", BRAND):
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels, cwd=source)
    venv.create(place / "env", with_pip=True)
    python = place / "env" / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site_packages = Path(run(python, "-I", "-c", where, cwd=place).strip())
    kit = tomllib.loads((ROOT / "laurels" / "pyproject.toml").read_text())
    for name in sorted(needed(kit["project"]["dependencies"])):
        copy_distribution(name, site_packages)
    pip = (python, "-I", "-m", "pip", "--disable-pip-version-check", "install", "--no-index")
    run(*pip, *sorted(wheels.iterdir()), cwd=place)
    return python


def test_an_outside_brand_earns_with_the_kit_alone(python: Path, tmp_path: Path) -> None:
    script = tmp_path / "till.py"
    script.write_text(SCRIPT)
    assert run(python, "-I", script, cwd=tmp_path) == "points 234 351\n"


def test_a_package_that_the_kit_wrote_installs_registers_and_passes(
    python: Path, tmp_path: Path
) -> None:
    """Where nothing is but the kit, the outside brand, and this one."""
    laurels = python.with_name("laurels")
    run(laurels, "plugin", "new", "corner-books", cwd=tmp_path)
    made, wheels = tmp_path / "corner-books", tmp_path / "wheels"
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels, cwd=made)
    pip = (python, "-I", "-m", "pip", "--disable-pip-version-check", "install", "--no-index")
    run(*pip, *wheels.iterdir(), cwd=tmp_path)
    told = run(laurels, "plugin", "test", cwd=tmp_path).splitlines()
    assert told == [
        "✓ corner_bakery: Corner Bakery: 3 earn rules, 1 redeem rules, 1 rewards, 1 ladders, "
        "0 adapters",
        "✓ corner_books: Corner Books: 1 earn rules, 0 redeem rules, 1 rewards, 0 ladders, "
        "0 adapters",
    ]
