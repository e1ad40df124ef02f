"""Tokens: signed, expiring, of one role; every essential claim is demanded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from app.tokens import Claims, TokenError, issue, verify

SECRET = "a secret of the tests, which is long enough"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GOOD: dict[str, Any] = {
    "aud": "laurels",
    "sub": "7",
    "role": "member",
    "iat": int(NOW.timestamp()),
    "exp": int((NOW + HOUR).timestamp()),
}


def _signed(claims: dict[str, Any], algorithm: str = "HS256", secret: str = SECRET) -> str:
    return jwt.encode({"alg": algorithm}, claims, OctKey.import_key(secret), algorithms=[algorithm])


def test_a_token_says_whom_it_stands_for() -> None:
    """From its issue until it expires, exclusive."""
    token = issue(SECRET, "partner", "grocer", HOUR, NOW)
    expected = Claims("partner", "grocer", int((NOW + HOUR).timestamp()))
    assert verify(SECRET, token, NOW) == expected
    assert verify(SECRET, token, NOW + HOUR - timedelta(seconds=1)) == expected
    with pytest.raises(TokenError):
        verify(SECRET, token, NOW + HOUR)


@pytest.mark.parametrize("missing", ["aud", "sub", "role", "exp"])
def test_every_claim_is_essential(missing: str) -> None:
    """A token that never expires, say, is refused."""
    assert verify(SECRET, _signed(GOOD), NOW).subject == "7"
    with pytest.raises(TokenError):
        verify(SECRET, _signed({k: v for k, v in GOOD.items() if k != missing}), NOW)


@pytest.mark.parametrize(
    "change",
    [{"role": "root"}, {"role": ["admin"]}, {"sub": ""}, {"sub": 7}, {"exp": "soon"}, {"exp": None},
     {"aud": "other"}],
)  # fmt: skip
def test_a_claim_must_make_sense(change: dict[str, Any]) -> None:
    """Signed by us or not."""
    with pytest.raises(TokenError):
        verify(SECRET, _signed({**GOOD, **change}), NOW)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "\0", "é.é.é", "x" * 10_000])
def test_a_text_that_is_no_token(token: str) -> None:
    """One error for all of it."""
    with pytest.raises(TokenError):
        verify(SECRET, token, NOW)


def test_another_secret_or_algorithm_opens_nothing() -> None:
    """Least of all none."""
    for token in (
        _signed(GOOD, secret="another secret, as long as the first one"),
        _signed(GOOD, "HS512"),
        issue(SECRET, "admin", "root", HOUR, NOW).rsplit(".", 1)[0] + ".",
        "eyJhbGciOiJub25lIn0." + issue(SECRET, "admin", "root", HOUR, NOW).split(".")[1] + ".",
    ):
        with pytest.raises(TokenError):
            verify(SECRET, token, NOW)


@pytest.mark.parametrize(
    ("role", "subject", "ttl"), [("root", "x", HOUR), ("admin", "", HOUR), ("admin", "x", -HOUR)]
)
def test_what_is_never_issued(role: str, subject: str, ttl: timedelta) -> None:
    """A token for nobody, for nothing, or for no time."""
    with pytest.raises(ValueError, match=r"role|somebody"):
        issue(SECRET, role, subject, ttl, NOW)
