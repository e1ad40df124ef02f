"""The real processes: the application as an operator starts it, and its embedded PostgreSQL.

Killed with SIGKILL and by id: the application's child process, and the server whose data folder
this rig made. Knows nothing of what they do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx

from app import postgres
from app.settings import CHECKOUT

PATIENCE = 180.0  # seconds for anything to come up again
_PAUSE = 0.02


class RigError(Exception):
    """The rig itself can't go on; says nothing of the books."""


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Postgres:
    """The embedded server of a folder of the rig's own. The rig uses it too: it outlives apps."""

    folder: Path
    _server: postgres.EmbeddedServer | None = None
    _data: Path | None = None

    @property
    def url(self) -> str:
        """The administrator's database."""
        assert self._server is not None
        return self._server.url

    async def start(self) -> None:
        """Start it, or attach to it; safe to call again after a crash."""
        before = self._server
        self._server = await asyncio.to_thread(postgres.start, self.folder)
        if before is not None:
            before.stop()  # others hold it, so that this only lets go
        connection = await asyncpg.connect(self.url)
        try:
            self._data = Path(await connection.fetchval("SHOW data_directory"))
        finally:
            await connection.close()

    def kill(self) -> int:
        """SIGKILL the postmaster and all its children; returns how many processes that were."""
        assert self._data is not None
        master, data = (self._data / "postmaster.pid").read_text().splitlines()[:2]
        if Path(data) != self._data:
            raise RigError(f"process {master} serves {data}, not the rig's own folder")
        os.kill(int(master), signal.SIGSTOP)  # else it would make new children meanwhile
        family = [int(master), *_children(int(master))]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(family)

    def stop(self) -> None:
        """Stop it in good order."""
        if self._server is not None:
            self._server.stop()


def _children(parent: int) -> list[int]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    )
    pairs = [line.split() for line in listing.stdout.splitlines()]
    return [int(pid) for pid, above in pairs if int(above) == parent]


@dataclass
class Application:
    """`laurels serve` on a database of the rig's server; `command` starts it in another way."""

    data: Path
    database: str
    command: list[str] = field(default_factory=lambda: [_laurels()])
    port: int = field(default_factory=free_port)
    secret: str = field(default_factory=lambda: secrets.token_hex(32))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Where it writes."""
        return self.data / f"{self.database}.log"

    def environment(self) -> dict[str, str]:
        """The environment of this application's commands."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("LAURELS_", "PG"))}
        return kept | {
            "LAURELS_DATA_DIR": str(self.data),
            "LAURELS_SECRET": self.secret,
            "LAURELS_PORT": str(self.port),
            "LAURELS_LOG_LEVEL": "warning",
        }

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        self._process = self._spawn()
        await self.ready()

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self.command, "serve", "--database", self.database],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=CHECKOUT, env=self.environment(),
                start_new_session=True,  # Ctrl+C is the rig's, which stops it in good order
            )  # fmt: skip

    async def ready(self) -> None:
        """Wait until it says that it is ready. Raises RigError where it ended, or never is."""
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        async with httpx.AsyncClient(trust_env=False, timeout=5) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    url = f"http://127.0.0.1:{self.port}/health/ready"
                    if (await client.get(url)).status_code == 200:
                        return
                ended = self._process.poll()
                if ended is not None or time.monotonic() > deadline:
                    what = "is not ready" if ended is None else f"ended with {ended}"
                    raise RigError(f"the application {what}; the end of its log:\n{self.tail()}")
                await asyncio.sleep(_PAUSE)

    def tail(self) -> str:
        """The last lines that it wrote."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-15:])

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    async def stop(self) -> None:
        """Stop it in good order; kill it where that takes too long."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            await asyncio.to_thread(self._process.wait, 15)
        except subprocess.TimeoutExpired:
            self.kill()

    async def check(self) -> tuple[int, str]:
        """Run `laurels check` as an operator does: its exit code, and what it printed."""
        done = await asyncio.to_thread(
            subprocess.run,
            [_laurels(), "check", "--database", self.database],
            cwd=CHECKOUT, env=self.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr


def _laurels() -> str:
    """The command that stands beside this interpreter."""
    return str(Path(sys.executable).with_name("laurels"))
