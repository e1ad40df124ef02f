"""A token of ours is checked once, and opens nothing a moment longer than it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app import authentication
from app.authentication import Authenticator
from app.tokens import TokenError, issue, verify
from core.signing import Secrets
from tests.schema.client import SECRET

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    """Stands where it is set."""

    at = START

    def __call__(self) -> datetime:
        """Now."""
        return self.at


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that were checked whole, in order."""
    seen: list[str] = []

    def counted(secrets: Secrets, token: str, now: datetime) -> Any:
        seen.append(token)
        return verify(secrets, token, now)

    monkeypatch.setattr(authentication, "verify", counted)
    return seen


async def test_it_is_checked_once_while_it_lasts(checks: list[str]) -> None:
    clock = Clock()
    trust = Authenticator(Secrets(SECRET), clock)
    token = issue(SECRET, "member", "7", HOUR, START)
    first = await trust.of_bearer(token)
    clock.at = START + HOUR - timedelta(microseconds=1)
    assert await trust.of_bearer(token) == first
    assert (first.role, first.holder, checks) == ("member", 7, [token])
    clock.at = START + HOUR
    with pytest.raises(TokenError):
        await trust.of_bearer(token)
    clock.at = START - HOUR  # nobody has looked at it as of then
    with pytest.raises(TokenError):
        await trust.of_bearer(token)
    assert len(checks) == 3


async def test_what_is_refused_is_not_remembered(checks: list[str]) -> None:
    trust = Authenticator(Secrets(SECRET), Clock())
    token = issue(SECRET, "member", "7", HOUR, START)
    for _ in range(2):
        with pytest.raises(TokenError):
            await trust.of_bearer(f"{token[:-4]}AAAA")
    assert len(checks) == 2
    assert not trust._seen


async def test_the_last_seen_are_kept(checks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "MOST_SEEN", 2)
    trust = Authenticator(Secrets(SECRET), Clock())
    one, two, three = (issue(SECRET, "member", n, HOUR, START) for n in "123")
    for token in (one, two, three, three, one):
        await trust.of_bearer(token)
    assert checks == [one, two, three, one]
    assert len(trust._seen) == 2
