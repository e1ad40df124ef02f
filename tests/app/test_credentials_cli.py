"""`laurels token` and `laurels key` in a terminal; and that they open what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner, Result

from app.authentication import Authenticator
from app.tokens import TokenError
from core.keys import listed
from core.signing import Secrets
from core.store.audit import Wanted, page
from laurels.cli import commands
from schema.roles import SCOPES
from tests.app.working import SECRET
from tests.support import scalar

OTHER = "another secret, as long as the first one"


def laurels(url: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, on this database."""
    return subprocess.run(
        [sys.executable, "-c", "from laurels.cli import main; main()", *arguments],
        env={
            **os.environ, "LAURELS_DATABASE_URL": url, "LAURELS_SECRET": SECRET,
            "COLUMNS": "200", **variables,
        },
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


def _now() -> datetime:
    return datetime.now(UTC)


async def test_a_key_in_a_terminal(database: str) -> None:
    """Made and shown once, listed without its secret, revoked."""
    wanted = ("--scope", "purchases:write", "--scope", "members:read", "--title", "Till 1")
    made = laurels(database, "key", "create", "grocer", *wanted, "--days", "2")
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    trust = Authenticator(Secrets(SECRET), _now)
    viewer = await trust.of_bearer(key)
    assert viewer.partner == "grocer"
    assert viewer.scopes == {"purchases:write", "members:read"}
    assert viewer.until is not None
    await trust.keys.settled()
    told = laurels(database, "key", "list", "grocer").stdout
    assert "Till 1" in told
    assert viewer.subject in told
    assert key.split("_")[2] not in told
    done = laurels(database, "key", "revoke", "grocer", viewer.subject)
    assert (done.returncode, done.stdout.strip()) == (0, "revoked")
    assert await scalar("SELECT count(*) FROM api_key_secret") == 0
    [row] = await listed(await scalar("SELECT id FROM partner WHERE code = 'grocer'"))
    assert row.created_by == "command line"
    refused = laurels(database, "key", "create", "none", "--scope", "members:read")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "'none'" in refused.stderr
    assert await scalar("SELECT count(*) FROM api_key") == 1
    # Each act is recorded, the refused one too; the secret stands in none.
    records = (await page(Wanted(actor="command line"), 2**62, 10))[::-1]
    assert [(r.asked.action, r.outcome) for r in records] == [
        ("createApiKey", "Done"),
        ("revokeApiKey", "Done"),
        ("createApiKey", "UNKNOWN_REFERENCE"),
    ]
    assert key.split("_")[2] not in str(records)


def here(*arguments: str, **variables: str) -> Result:
    """A command that needs no database, in this process."""
    env = {"LAURELS_SECRET": SECRET, "COLUMNS": "200", **variables}
    return CliRunner().invoke(commands, arguments, env=env)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("key", "create", "grocer"), "--scope"),
        (("key", "create", "grocer", "--scope", "all"), "'all' is none of"),
        (("token",), "--admin"),
        (("token", "--admin", "--partner", "grocer"), "one of --admin"),
        (("token", "--partner", "grocer", "--role", "owner"), "--admin --role"),
        (("token", "--admin", "--role", "root"), "'root' is none of"),
    ],
)
def test_what_is_refused_in_a_terminal(arguments: tuple[str, ...], says: str) -> None:
    """In words, before anything is made."""
    told = here(*arguments)
    assert (told.exit_code, told.stdout) == (2, "")
    assert says in told.stderr


async def test_tokens_of_a_terminal() -> None:
    """Of an admin in its roles, of a partner with all scopes; signed by the secret in force."""
    trust = Authenticator(Secrets(SECRET), _now)
    for arguments, expected in (
        (("--admin",), ("admin", "admin", {"owner"}, None)),
        (
            ("--admin", "--role", "support", "--role", "finance", "--name", "sam"),
            ("admin", "sam", {"support", "finance"}, None),
        ),
        (("--partner", "cafe"), ("partner", "", set(), "cafe")),
    ):
        viewer = await trust.of_bearer(here("token", *arguments).stdout.strip())
        told = (viewer.role, viewer.subject, set(viewer.staff), viewer.partner)
        assert told == expected
        assert viewer.scopes == (frozenset(SCOPES) if viewer.partner else frozenset())
    rotated = {"LAURELS_SECRET": OTHER, "LAURELS_PREVIOUS_SECRETS": "x" * 40}
    fresh = here("token", "--admin", **rotated).stdout.strip()
    assert (await Authenticator(Secrets(OTHER), _now).of_bearer(fresh)).role == "admin"
    with pytest.raises(TokenError):
        await trust.of_bearer(fresh)


def test_digests_of_a_secret_before_are_proven(database: str) -> None:
    """With it, once it has been rotated; without it the check says what it left out."""
    assert laurels(database, "digest", "--take").returncode == 0
    both = {"LAURELS_SECRET": OTHER, "LAURELS_PREVIOUS_SECRETS": SECRET}
    for variables, left_out in ((both, False), ({"LAURELS_SECRET": OTHER}, True)):
        told = laurels(database, "check", **variables)
        assert told.returncode == 0, (told.stdout, told.stderr)
        assert ("LAURELS_PREVIOUS_SECRETS" in told.stderr) is left_out
