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
    for name in ("DATABASE_URL", "DATA_DIR", "SECRET", "BLOCKED_PLUGINS", "LOG_LEVEL", "PORT"):
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
