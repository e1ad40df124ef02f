"""Tokens: signed, expiring, of one role; every essential claim is demanded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from app.tokens import LONGEST, Claims, TokenError, issue, key_id, verify
from core.signing import Secrets

SECRET = "a secret of the tests, which is long enough"
OTHER = "another secret, as long as the first one"
SECRETS = Secrets(SECRET)
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
    header = {"alg": algorithm, "kid": key_id(SECRET)}
    return jwt.encode(header, claims, OctKey.import_key(secret), algorithms=[algorithm])


def test_a_token_says_whom_it_stands_for() -> None:
    """From its issue until it expires, exclusive."""
    token = issue(SECRET, "partner", "grocer", HOUR, NOW)
    expected = Claims("partner", "grocer", int((NOW + HOUR).timestamp()))
    assert verify(SECRETS, token, NOW) == expected
    assert verify(SECRETS, token, NOW + HOUR - timedelta(seconds=1)) == expected
    with pytest.raises(TokenError):
        verify(SECRETS, token, NOW + HOUR)


@pytest.mark.parametrize("missing", ["aud", "sub", "role", "exp", "iat"])
def test_every_claim_is_essential(missing: str) -> None:
    """A token that never expires, say, is refused."""
    assert verify(SECRETS, _signed(GOOD), NOW).subject == "7"
    with pytest.raises(TokenError):
        verify(SECRETS, _signed({k: v for k, v in GOOD.items() if k != missing}), NOW)


@pytest.mark.parametrize(
    "change",
    [{"role": "root"}, {"role": ["admin"]}, {"sub": ""}, {"sub": 7}, {"exp": "soon"}, {"exp": None},
     {"aud": "other"}, {"aud": "laurels-session"}, {"sub": "x", "role": "admin"},
     {"role": "admin", "roles": []}, {"role": "admin", "roles": ["root"]},
     {"role": "admin", "roles": "owner"}, {"role": "admin", "roles": [["owner"]]},
     {"exp": int((NOW + LONGEST).timestamp()) + 1}, {"iat": int((NOW + HOUR).timestamp())},
     {"nbf": int((NOW + HOUR).timestamp())}, {"exp": 10**400}, {"exp": 1e999}, {"exp": True}],
)  # fmt: skip
def test_a_claim_must_make_sense(change: dict[str, Any]) -> None:
    """Signed by us or not."""
    with pytest.raises(TokenError):
        verify(SECRETS, _signed({**GOOD, **change}), NOW)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "..", "\0", "é.é.é", "x" * 10_000])
def test_a_text_that_is_no_token(token: str) -> None:
    """One error for all of it."""
    with pytest.raises(TokenError):
        verify(SECRETS, token, NOW)


def test_another_secret_or_algorithm_opens_nothing() -> None:
    """Least of all none."""
    for token in (
        _signed(GOOD, secret=OTHER),
        issue(OTHER, "admin", "root", HOUR, NOW),
        _signed(GOOD, "HS512"),
        issue(SECRET, "admin", "root", HOUR, NOW).rsplit(".", 1)[0] + ".",
        "eyJhbGciOiJub25lIn0." + issue(SECRET, "admin", "root", HOUR, NOW).split(".")[1] + ".",
    ):
        with pytest.raises(TokenError):
            verify(SECRETS, token, NOW)


@pytest.mark.parametrize(
    ("role", "subject", "ttl"),
    [("root", "x", HOUR), ("admin", "", HOUR), ("admin", "x", -HOUR), ("admin", "x", 2 * LONGEST)],
)
def test_what_is_never_issued(role: str, subject: str, ttl: timedelta) -> None:
    """A token for nobody, for nothing, or for no time."""
    with pytest.raises(ValueError, match=r"role|somebody"):
        issue(SECRET, role, subject, ttl, NOW)


def test_an_admins_token_names_roles() -> None:
    """The owner's unless it is said; nothing that is no role is issued."""
    owner = verify(SECRETS, issue(SECRET, "admin", "sam", HOUR, NOW), NOW)
    assert owner.staff == {"owner"}
    two = issue(SECRET, "admin", "sam", HOUR, NOW, staff=["support", "finance"])
    assert verify(SECRETS, two, NOW).staff == {"support", "finance"}
    for wrong in (["root"], []):
        with pytest.raises(ValueError, match="roles are among"):
            issue(SECRET, "admin", "sam", HOUR, NOW, staff=wrong)


def test_a_rotated_secret_checks_and_signs_no_more() -> None:
    """What it signed counts as long as it is given; new tokens are signed by the new one."""
    old, new = issue(SECRET, "partner", "grocer", HOUR, NOW), OTHER
    rotated = Secrets(new, (SECRET,))
    assert verify(rotated, old, NOW).subject == "grocer"
    fresh = issue(rotated.current, "partner", "grocer", HOUR, NOW)
    assert verify(Secrets(new), fresh, NOW).subject == "grocer"
    with pytest.raises(TokenError):
        verify(Secrets(new), old, NOW)
    with pytest.raises(TokenError):
        verify(SECRETS, fresh, NOW)
    # The id of one key doesn't lend its name to another's signature.
    header = {"alg": "HS256", "kid": key_id(new)}
    for key, good in ((SECRET, False), (new, True)):
        crossed = jwt.encode(header, GOOD, OctKey.import_key(key))
        if good:
            assert verify(rotated, crossed, NOW).subject == "7"
        else:
            with pytest.raises(TokenError):
                verify(rotated, crossed, NOW)
