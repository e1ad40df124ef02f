"""All suites of others' tools, one after another: `make test-conformance`.

The application is served once, with a member for every suite. What the machine lacks is left out
and said; where `CI` is set that is a failure. Names as arguments choose suites.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "conformance"
BIN = ROOT / ".venv" / "bin"
MEMBERS = ("apollo", "urql", "relay", "sockets", "events", "gql", "typed")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: What a suite may take: all of them have eight minutes.
PATIENCE = 360.0

Environment = Mapping[str, str]
Command = Sequence[str | Path]
Prepare = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Suite:
    """A command, what it needs on the machine, and what is installed for it before."""

    name: str
    command: Command
    needs: Sequence[str]
    prepare: Sequence[Prepare] = ()

    def lacks(self) -> str | None:
        """What of its needs the machine hasn't, if anything."""
        for need in self.needs:
            names = CHROMIUM if need == "chromium" else (need,)
            if not any(shutil.which(name) for name in names):
                return need
        return None


def _npm(folder: Path) -> Prepare:
    def install() -> None:
        quiet = ("--no-audit", "--no-fund", "--loglevel=error")
        stamp, lock = folder / "node_modules" / ".laurels", folder / "package-lock.json"
        if stamp.exists() and stamp.stat().st_mtime >= lock.stat().st_mtime:
            return
        subprocess.run(["npm", "ci", *quiet], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        stamp.touch()

    return install


def _python(client: str) -> tuple[Path, Prepare]:
    """An environment with exactly what a client's requirements pin, and how it is made."""
    place, pinned = HERE / ".venvs" / client, ROOT / "clients" / client / "requirements.txt"
    python = place / "bin" / "python"
    uv = BIN / "uv"

    def install() -> None:
        if not python.exists():
            create: Command = (uv, "venv", "--quiet", "--python", BIN / "python", place)
            subprocess.run(create, check=True)
        exact: Command = (uv, "pip", "sync", "--quiet", "--require-hashes", pinned)
        subprocess.run([*exact, "--python", python], check=True)

    return python, install


def _node_suite(name: str, *clients: str) -> Suite:
    installs = [_npm(HERE), *(_npm(ROOT / "clients" / client) for client in clients)]
    command = ("node", "--test", "--test-reporter=spec", HERE / f"{name}.test.mjs")
    return Suite(name, command, ("node", "npm"), installs)


def _suites() -> Iterator[Suite]:
    yield _node_suite("audits")
    yield _node_suite("linters")
    yield _node_suite("relay", "relay")
    yield _node_suite("apollo", "apollo")
    yield _node_suite("urql", "urql")
    yield _node_suite("protocols")
    python, install = _python("python-gql")
    yield Suite("gql", (python, "-m", "unittest", HERE / "python_gql.py"), (), [install])
    python, install = _python("python-typed")

    def generate() -> None:
        command: Command = (python.with_name("ariadne-codegen"), "--config", "ariadne.toml")
        folder = ROOT / "clients" / "python-typed"
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    typed = (python, "-m", "unittest", HERE / "python_typed.py")
    yield Suite("typed", typed, (), [install, generate])
    if (HERE / "schemathesis" / "run.py").exists():
        yield Suite(
            "schemathesis", (BIN / "python", "-m", "tests.conformance.schemathesis.run"), ()
        )
    yield Suite("browser", ("make", "test-browser"), ("node", "npm", "chromium"))


@contextmanager
def _served() -> Iterator[str]:
    """What serve.py says of the application, while it runs."""
    command: Command = (BIN / "python", "-m", "tests.conformance.serve", *MEMBERS)
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            said = next((line for line in server.stdout if line.startswith("{")), None)
            if said is None:
                raise SystemExit("the application did not start: see above")
            json.loads(said)
            yield said
        finally:
            server.stdin.close()


def _run(suite: Suite, environment: Environment) -> bool:
    try:
        for prepare in suite.prepare:
            prepare()
        done = subprocess.run(suite.command, cwd=ROOT, env=environment, timeout=PATIENCE)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return False
    return done.returncode == 0


def main(chosen: Sequence[str]) -> int:
    """Run the suites; 0 if none failed, and in CI none was left out."""
    out, failed = Console(), False
    table = Table("suite", "outcome", "seconds")
    known = list(_suites())
    if unknown := set(chosen) - {suite.name for suite in known}:
        raise SystemExit(f"no suite is called {', '.join(sorted(unknown))}")
    with _served() as said:
        environment = {**os.environ, "LAURELS_SERVED": said, "PYTHON": str(BIN / "python")}
        for suite in known:
            if chosen and suite.name not in chosen:
                continue
            if (lacking := suite.lacks()) is not None:
                failed |= bool(os.environ.get("CI"))
                table.add_row(suite.name, f"[yellow]left out: no {lacking} on this machine", "")
                continue
            out.print(f"[bold green]»[/] {suite.name}")
            began = time.monotonic()
            passed = _run(suite, environment)
            failed |= not passed
            outcome = "[green]passed" if passed else "[red]failed"
            table.add_row(suite.name, outcome, f"{time.monotonic() - began:.0f}")
    out.print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
