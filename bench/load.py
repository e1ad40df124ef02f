"""Servers as processes of their own, and wrk as the client: one thread that is no bottleneck.

Knows nothing of what is asked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Sends the requests in turn, and writes what came of it as JSON: latencies in microseconds.
_SCRIPT = """
local requests = {%s}
local n = 0
request = function()
  local place = n %% #requests + 1
  n = n + 1
  local body = requests[place][2]:gsub("#NUMBER#", n)
  return wrk.format("POST", nil, {["content-type"] = "application/json",
    ["authorization"] = requests[place][1]}, body)
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests":%%d,"micros":%%d,"p50":%%d,"p99":%%d,"longest":%%d,"errors":%%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Request:
    """A POST of JSON, by whom; `#NUMBER#` in it becomes another number each time it is sent."""

    authorization: str
    body: str


@dataclass(frozen=True, slots=True)
class Shot:
    """What one run of the client counted; milliseconds."""

    rate: float
    p50: float
    p99: float
    longest: float


def need(program: str, package: str) -> str:
    """Where a program is; stops where it isn't installed."""
    found = shutil.which(program)
    if found is None:
        raise SystemExit(f"{program} is missing: apt-get install -y {package}")
    return found


def shoot(url: str, requests: Sequence[Request], connections: int, seconds: int) -> Shot:
    """Send requests for a while. Stops where one is answered by anything but 200."""
    table = ",".join(f"{{{_lua(r.authorization)},{_lua(r.body)}}}" for r in requests)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT % table)
        script.flush()
        done = subprocess.run(
            [need("wrk", "wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency",
             "--timeout", "20s", "-s", script.name, url],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if found["errors"]:
        raise SystemExit(f"{found['errors']} requests failed:\n{done.stdout}")
    return Shot(
        found["requests"] / found["micros"] * 1e6, found["p50"] / 1000, found["p99"] / 1000,
        found["longest"] / 1000,
    )  # fmt: skip


def _lua(text: str) -> str:
    """Text as a literal of Lua; what we send has no line breaks once JSON wrote it."""
    return json.dumps(text, ensure_ascii=True)


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """A server of its own process, which prints its port or address first; yields the address."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            port = re.fullmatch(r"(?:.*http://127\.0\.0\.1:)?(\d+)(?:/graphql)?\n", line)
            if port is None:
                raise SystemExit(f"{command[0]} doesn't serve: {line!r}")
            while not _answers(int(port[1])):
                if process.poll() is not None:
                    raise SystemExit(f"{command[0]} ended: {process.returncode}")
            yield f"http://127.0.0.1:{port[1]}"
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def node_packages(folder: Path) -> None:
    """Install what a folder's lock file names, where that isn't done."""
    if not (folder / "node_modules").is_dir():
        subprocess.run(
            [need("npm", "npm"), "ci", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
