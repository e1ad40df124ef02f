"""The embedded PostgreSQL: started by whoever comes first, stopped by whoever leaves last.

For development, demo and tests, so that nothing needs to be installed or configured. Processes
share a server by sharing its folder. Two locks of the kernel's, which no crash leaves behind:

* `users.lock` is held shared by every process that uses the server. Who can make it exclusive is
  the last one, and stops the server. So a process that was killed counts as one that left.
* `alive.lock` is held while starting, then inherited by the server and its children. Who can take
  it knows, without trusting any process id, that no part of the server lives, and may clear its
  traces.

This module must not know what the database is used for; `app.postgres_places` says where it lives.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote, urlsplit, urlunsplit

from app import postgres_places as places
from app.postgres_places import ELSEWHERE, EmbeddedPostgresError

if sys.platform != "win32":
    import fcntl

__all__ = ["EmbeddedPostgresError", "EmbeddedServer", "database_url", "start", "throwaway"]

PATIENCE = 90.0  # seconds; a server that recovers after a crash may take its time
PAUSE = 0.05
LOG_LIMIT = 10_000_000

# The same order of text on every platform, whatever the machine's locale. Trust is right here: the
# socket's folder lets only the server's own account in, and there is no TCP.
INITDB = (
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
)

SETTINGS = {
    "listen_addresses": "''",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A container's /dev/shm is too small for parallel queries.
    "dynamic_shared_memory_type": "mmap",
}
FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class _Cluster:
    """One data folder, and the programs to work it with."""

    home: Path
    folder: Path
    sockets: Path
    programs: Path
    account: places.Account

    @classmethod
    def at(cls, root: Path) -> _Cluster:
        account = places.server_account()
        programs = places.programs(account)
        home = places.home(root, account)
        return cls(
            home=home,
            folder=places.cluster_folder(home, account),
            sockets=places.socket_folder(home, account),
            programs=programs,
            account=account,
        )

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.home / "postgres.log"

    @property
    def url(self) -> str:
        # The port is named, else PGPORT in the user's environment would change it.
        return f"postgresql://postgres@/postgres?host={quote(str(self.sockets))}&port=5432"

    def answers(self) -> bool:
        return self._run("pg_isready", "-q", "-U", "postgres", "-h", self.sockets)

    def launch(self, alive: BinaryIO, *, durable: bool) -> None:
        """Start the server and hand it the lock, whose holder knows that nothing else lives."""
        self._turn_log_over()
        if not self.data.exists():
            self._create(durable=durable)
        self._check_version()
        for trace in (self.data / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
            trace.unlink(missing_ok=True)
        settings = SETTINGS | {"unix_socket_directories": f"'{self.sockets}'"}
        settings |= {} if durable else FORGETFUL
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        arguments = ("start", "-w", "-t", str(int(PATIENCE)), "-D", self.data, "-o", options)
        if not self._run("pg_ctl", *arguments, inherit=alive):
            raise self.failure("did not start")

    def stop(self) -> None:
        self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data)

    def failure(self, what: str) -> EmbeddedPostgresError:
        try:
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
        except OSError:
            tail = "(no log)"
        return EmbeddedPostgresError(
            f"The embedded PostgreSQL {what}. The end of {self.log}:\n{tail}\n"
            f"Put right what it says, or {ELSEWHERE}."
        )

    def _create(self, *, durable: bool) -> None:
        """Make the data folder aside and rename it: it is whole, or it isn't there."""
        aside = self.folder / "new"
        shutil.rmtree(aside, ignore_errors=True)
        hurry = () if durable else ("--no-sync",)
        if not self._run("initdb", "-D", aside, *INITDB, *hurry):
            raise self.failure("could not make its data folder")
        aside.rename(self.data)

    def _check_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        if made_by != places.major_version():
            raise EmbeddedPostgresError(
                f"The data in {self.data} belong to PostgreSQL {made_by}, but the programs are of "
                f"version {places.major_version()}: export with pg_dump of {made_by}, remove "
                f"{self.folder} and load the export; or {ELSEWHERE}."
            )

    def _turn_log_over(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_LIMIT:
                self.log.replace(self.log.with_suffix(".log.1"))

    def _run(self, program: str, *arguments: str | Path, inherit: BinaryIO | None = None) -> bool:
        """Run one of the programs as the server's account; whether it succeeded."""
        account = self.account
        with self.log.open("ab") as log:
            finished = subprocess.run(
                [self.programs / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
                # Nothing of ours: a missing locale in LANG stops initdb, PG* variables mislead.
                env={"LC_ALL": "C", "PATH": os.defpath},
                pass_fds=(inherit.fileno(),) if inherit else (),
                user=account.uid if account.dropped else None,
                group=account.gid if account.dropped else None,
                extra_groups=[] if account.dropped else None,
                check=False,
            )
        return finished.returncode == 0


class EmbeddedServer:
    """One process's use of the server. `url` names the database `postgres`, ready for asyncpg."""

    url: str

    def __init__(self, cluster: _Cluster, users: BinaryIO) -> None:
        self.url = cluster.url
        self._cluster = cluster
        self._users = users
        self._owner = os.getpid()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Leave; the last to leave stops the server. Safe to call twice."""
        if os.getpid() != self._owner or self._users.closed:
            return  # a forked child has not started anything, and closes nothing
        atexit.unregister(self.stop)
        # A server whose folder was removed under it can only be left to notice, and end, by itself.
        with self._users, contextlib.suppress(FileNotFoundError):
            if _try_lock(self._users):
                self._cluster.stop()


def start(root: Path, *, durable: bool = True) -> EmbeddedServer:
    """Use the server whose data are in `root`: attach to it, or start it, or create it.

    The folder belongs to the server alone. Who starts it decides whether it is durable.
    """
    if sys.platform == "win32":
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL doesn't run on Windows: {ELSEWHERE}, or use WSL."
        )
    try:
        cluster = _Cluster.at(root)
        users = (cluster.home / "users.lock").open("ab")
    except OSError as error:
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL can't use {root} ({error}): make it writable, or {ELSEWHERE}."
        ) from error
    try:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while another process is stopping the server
        _bring_up(cluster, durable=durable)
    except BaseException:
        users.close()
        raise
    return EmbeddedServer(cluster, users)


def _bring_up(cluster: _Cluster, *, durable: bool) -> None:
    deadline = time.monotonic() + PATIENCE
    while not cluster.answers():
        # Opened anew each time: a lock that a server has inherited from us would look like ours.
        with (cluster.home / "alive.lock").open("ab") as alive:
            if _try_lock(alive):
                cluster.launch(alive, durable=durable)
                continue
        if time.monotonic() > deadline:
            # Nobody may start a second one beside a server that lives but can't be reached.
            raise cluster.failure("is alive but does not answer")
        time.sleep(PAUSE)


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def database_url(server_url: str, name: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(server_url)._replace(path="/" + quote(name, safe="")))


# --- a server for one test run --------------------------------------------------------------------

THROWAWAY = "laurels-test-"
ABANDONED = 600.0  # seconds; younger ones may be just about to be used
ROOM = 1 << 30


@contextlib.contextmanager
def throwaway() -> Iterator[EmbeddedServer]:
    """A fast server that forgets: in memory where there is room, removed at the end."""
    parent = _scratch()
    _sweep(parent)
    root = Path(tempfile.mkdtemp(prefix=f"{THROWAWAY}{os.geteuid()}-", dir=parent))
    try:
        server = start(root, durable=False)
        try:
            yield server
        finally:
            server.stop()
    finally:
        places.remove(root)


def _scratch() -> Path:
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM:
        return memory
    return Path(tempfile.gettempdir())


def _sweep(parent: Path) -> None:
    """Stop and remove what test runs that were killed have left running."""
    for root in parent.glob(f"{THROWAWAY}{os.geteuid()}-*"):
        with contextlib.suppress(OSError, EmbeddedPostgresError):
            if time.time() - (root / "users.lock").stat().st_mtime < ABANDONED:
                continue
            with (root / "users.lock").open("rb") as users:
                if _try_lock(users):
                    _Cluster.at(root).stop()
                    places.remove(root)
