"""The environment's variables, and the generated secret."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings

SERVER = "postgresql://laurels:pw@db:5432/laurels"
SECRET = "s" * 32


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "DATABASE_URL",
        "DATA_DIR",
        "SECRET",
        "BLOCKED_PLUGINS",
        "LOG_LEVEL",
        "PORT",
        "PREVIOUS_SECRETS",
    ):
        monkeypatch.delenv(f"LAURELS_{name}", raising=False)


def test_without_any_variable_the_embedded_server_is_used() -> None:
    settings = Settings()
    assert settings.embedded
    assert settings.data_dir.name == ".laurels"
    assert settings.blocked_plugins == frozenset()


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAURELS_DATABASE_URL", SERVER)
    monkeypatch.setenv("LAURELS_SECRET", SECRET)
    monkeypatch.setenv("LAURELS_BLOCKED_PLUGINS", "cafe, outfitter,")
    settings = Settings()
    assert settings.database_url == SERVER
    assert settings.signing_secret() == SECRET
    assert settings.blocked_plugins == {"cafe", "outfitter"}
    assert SECRET not in repr(settings)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAURELS_DATABASE_URL", "")
    assert Settings().embedded


def test_a_socket_url_is_kept_as_it_is() -> None:
    url = "postgresql://postgres@/laurels?host=/tmp/somewhere"
    assert Settings(database_url=url, secret=SECRET).database_url == url


@pytest.mark.parametrize("url", ["mysql://u@h/d", "sqlite://x.db", "postgresql://u@h:port/d"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="database_url"):
        Settings(database_url=url, secret=SECRET)


def test_a_real_server_needs_a_secret() -> None:
    with pytest.raises(ValidationError, match="LAURELS_SECRET is required"):
        Settings(database_url=SERVER)


def test_a_short_secret_is_refused_and_not_shown() -> None:
    with pytest.raises(ValidationError, match="32 characters") as caught:
        Settings(secret="too-short-to-be-safe")
    assert "too-short-to-be-safe" not in str(caught.value)


def test_the_generated_secret_is_private_and_stays(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    secret = settings.signing_secret()
    assert len(secret) == 64
    assert Settings(data_dir=tmp_path / "data").signing_secret() == secret
    files = list((tmp_path / "data").iterdir())
    assert [file.name for file in files] == ["secret"]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600


def test_earlier_secrets_check_and_never_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, the one in force first; none is shown."""
    older, oldest = "o" * 32, "p" * 40
    monkeypatch.setenv("LAURELS_SECRET", SECRET)
    monkeypatch.setenv("LAURELS_PREVIOUS_SECRETS", f" {older}, {oldest},")
    settings = Settings()
    assert list(settings.secrets()) == [SECRET, older, oldest]
    assert settings.secrets().current == settings.signing_secret() == SECRET
    for secret in (SECRET, older, oldest):
        assert secret not in repr(settings)
        assert secret not in repr(settings.secrets())
    monkeypatch.setenv("LAURELS_PREVIOUS_SECRETS", f"{older},short")
    with pytest.raises(ValidationError, match="each of LAURELS_PREVIOUS_SECRETS"):
        Settings()


ISSUERS = {"member_issuer": "https://login.test", "member_audience": "app"}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"member_audience": None}, "go together"),
        ({"member_issuer": None}, "go together"),
        ({"admin_issuer": "https://login.test"}, "go together"),
        ({"admin_audience": "admin"}, "go together"),
        ({"admin_issuer": "https://login.test", "admin_audience": "app"}, "another audience"),
        ({"admin_client_id": "x"}, "needs LAURELS_ADMIN_ISSUER"),
        ({"member_issuer": "http://login.test"}, "https://"),
        ({"member_jwks_url": "ftp://login.test/keys"}, "https://"),
        ({"public_url": "points.test"}, "https://"),
    ],
)
def test_issuers_that_cannot_work_are_refused_at_the_start(
    changed: dict[str, str | None], says: str
) -> None:
    """A token for anybody would be for us, and one for a member would be an admin's."""
    assert Settings.model_validate({"secret": SECRET, **ISSUERS}).member_audience == "app"
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate({"secret": SECRET, **ISSUERS, **changed})


def test_one_provider_may_serve_both_with_two_audiences() -> None:
    """As one realm with two clients."""
    both = {**ISSUERS, "admin_issuer": "https://login.test", "admin_audience": "admin"}
    assert Settings.model_validate({"secret": SECRET, **both}).admin_roles_claim == "roles"
