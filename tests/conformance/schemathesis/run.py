"""`python -m tests.conformance.schemathesis.run`: fuzz the served schema; exit code 0 or 1.

As an admin and as a partner, every root field, with ids and cursors that the server handed out
beside those that schemathesis makes up. Then a control: the same run against a server with one
failing resolver must find it. schemathesis lives in an environment of its own beside this file,
made from hashed pins when it isn't there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
PLACE = Path(os.environ.get("LAURELS_SCHEMATHESIS", HERE.parent / ".venvs" / "schemathesis"))
#: Of each root field and caller; what is made up is the same in each run.
EXAMPLES = 15
#: Of the control: a single root field, which fails at once.
CONTROL = "Query.members"

_KNOWN = """{ members(first: 5) { edges { cursor node { id
    ledgers { id entries(first: 3) { edges { cursor node { id } } }
      lots(first: 3) { edges { cursor node { id } } } }
    redemptions(first: 3) { edges { cursor node { id } } } } } }
  partners { id } currencies { id } tierLadders { id }
  rewards(first: 5) { edges { cursor node { id } } } }"""


def main() -> int:
    """Both runs and the control; 0 where all is well."""
    _installed()
    with _served("tests.conformance.serve", "ada", "bob") as at:
        known = _known(at)
        results = {
            who: _fuzz(at, token, known)
            for who, token in (("an admin", at["admin"]), ("a partner", at["partners"]["cafe"]))
        }
    for who, (code, told, seconds) in results.items():
        print(f"schemathesis as {who}: {'no fault' if code == 0 else 'FAULTS'}, {seconds:.0f} s")
        print(told if code else _summary(told))
    with _served("tests.conformance.schemathesis.broken") as at:
        code, told, _ = _fuzz(at, at["admin"], {"pages": _PAGES}, "--include-name", CONTROL)
    found = code != 0 and "INTERNAL_SERVER_ERROR" in told
    print(f"control: the failing resolver was {'found' if found else 'NOT FOUND'}")
    if not found:
        print(told)
    return 0 if found and not any(code for code, _, _ in results.values()) else 1


def _installed() -> None:
    """Make schemathesis's environment where it is missing."""
    uv = str(Path(sys.executable).with_name("uv"))
    if not (PLACE / "bin" / "schemathesis").exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, PLACE], check=True)
        subprocess.run(
            [uv, "pip", "sync", "--quiet", "--python", PLACE / "bin" / "python",
             "--require-hashes", HERE / "requirements.txt"],
            check=True,
        )  # fmt: skip


@contextmanager
def _served(module: str, *names: str) -> Iterator[dict[str, Any]]:
    """The application in a process of its own; ends with it."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *names],
        cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        told = next((line for line in process.stdout if line.startswith("{")), None)
        if told is None:
            raise RuntimeError(f"{module} didn't start")
        yield json.loads(told)
    finally:
        process.stdin.close()
        process.wait(30)


def _known(at: dict[str, Any]) -> dict[str, list[Any]]:
    """Ids and cursors that the server handed out, and what else a caller would know."""
    answer = httpx.post(
        at["url"], json={"query": _KNOWN}, headers={"authorization": f"Bearer {at['admin']}"}
    ).json()
    ids: list[str] = []
    cursors: list[str] = []

    def gather(found: Any) -> None:
        for name, value in found.items() if isinstance(found, dict) else ():
            if name in ("id", "cursor"):
                (ids if name == "id" else cursors).append(value)
            gather(value)
        for value in found if isinstance(found, list) else ():
            gather(value)

    gather(answer["data"])
    assert len(ids) > 10
    assert len(cursors) > 10
    return {
        "pages": _PAGES, "ids": ids, "cursors": cursors,
        "partners": [
            "cafe", "grocer", "outfitter", "marketplace", "workplace", "outdoors", "coffee",
        ],
        "currencies": ["STAMP", "LAUREL", "BASKET", "SPARK", "CAIRN", "EUR", "USD"],
        "cards": [*at["cards"].values(), "nobody"], "rewards": ["free-drink", "five-off"],
        "receipts": ["ada-1", "bob-2", "new"], "reasons": ["goodwill", "mistake", "damaged"],
        "amounts": ["1.00", "0.01", "4.505", "-1", "1e9"], "spans": ["30D", "2h", "12M_U", "0D"],
        "conditions": ["purchase.total > 1", "1/0 > 1", "'x' in purchase.types"],
    }  # fmt: skip


#: A number made up is hardly ever a page that may be asked for.
_PAGES = [1, 3, 20, 100, 0, 101]
#: Which of those for which argument; a dotted suffix goes into inputs.
_FOR = {
    "ids": ("id", "ids", "input.redemption", "input.cause", "by.id", "input.member.id"),
    "cursors": ("after",),
    "pages": ("first",),
    "partners": ("partner", "input.partner", "code"),
    "currencies": ("currency", "input.currency", "purchase.currency"),
    "cards": ("by.card", "member.card", "input.member.card", "search.card", "purchase.member.card"),
    "rewards": ("input.reward",),
    "receipts": ("externalId", "input.returns[*].purchase", "input.cancels[*].purchase"),
    "reasons": ("reason", "input.reason"),
    "amounts": ("input.total", "input.returns[*].amount", "purchase.lines[*].amount"),
    "spans": ("within", "input.hold"),
    "conditions": ("input.rule.when", "draft.when", "draft.lines"),
}


def _config(known: dict[str, list[Any]]) -> str:
    lines = ['hooks = "tests.conformance.schemathesis.hooks"']
    lines += [f"[dictionaries.{name}]\nvalues = {json.dumps(known[name])}" for name in known]
    lines.append("[parameters]")
    for name, arguments in _FOR.items():
        for argument in arguments if name in known else ():
            lines.append(f'"*.*.{argument}" = {{ dictionary = "{name}", probability = 0.7 }}')
    return "\n".join(lines)


def _fuzz(
    at: dict[str, Any], token: str, known: dict[str, list[Any]], *more: str
) -> tuple[int, str, float]:
    """A run as whoever the token stands for: its exit code, what it printed, and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "schemathesis.toml"
        config.write_text(_config(known))
        started = time.monotonic()
        done = subprocess.run(
            [PLACE / "bin" / "schemathesis", "--config-file", config, "run",
             CHECKOUT / "schema" / "schema.graphql", "--url", at["url"],
             "--header", f"Authorization: Bearer {token}", "--checks", "no_fault",
             "--phases", "fuzzing", "--max-examples", str(EXAMPLES),
             "--generation-deterministic", "--no-shrink",
             "--workers", "2", "--suppress-health-check", "all", "--no-color", "--warnings", "off",
             "--output-truncate", "true", *more],
            # Where it runs it leaves what it found, and begins with that the next time.
            cwd=folder, env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
    return done.returncode, done.stdout, time.monotonic() - started


def _summary(told: str) -> str:
    """The last lines: how many operations, how many cases."""
    return "\n".join(told.strip().splitlines()[-12:])


if __name__ == "__main__":
    sys.exit(main())
