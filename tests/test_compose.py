"""The composition of containers: what it promises can be read from it, and a client accepts it.

Nothing here starts a container.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docker-compose.yml"
SECRETS = {"LAURELS_DB_PASSWORD": "d" * 32, "LAURELS_SECRET": "s" * 32}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    composition: dict[str, Any] = yaml.safe_load(FILE.read_text())
    services: dict[str, Any] = composition["services"]
    return services


def filled_in(text: str) -> str:
    """A value as compose would write it, with our secrets and every default."""
    return re.sub(r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda it: SECRETS.get(it[1], it[2] or ""), text)


def client() -> list[str] | None:
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            asked = subprocess.run([*command, "version"], capture_output=True, check=False)
            if asked.returncode == 0:
                return command
    return None


def test_the_parts_are_there_and_wait_for_each_other(services: dict[str, Any]) -> None:
    assert set(services) == {"db", "migrate", "app", "worker"}
    waits = {name: services[name].get("depends_on", {}) for name in services}
    assert waits["migrate"] == {"db": {"condition": "service_healthy"}}
    for name in ("app", "worker"):
        assert waits[name] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["migrate"]["restart"] == "no"


def test_health_is_asked_of_the_database_and_the_application(services: dict[str, Any]) -> None:
    assert "pg_isready" in services["db"]["healthcheck"]["test"]
    assert "/health/ready" in services["app"]["healthcheck"]["test"][-1]
    assert "/health/live" in (ROOT / "Dockerfile").read_text()


def test_secrets_come_from_outside_and_their_lack_is_explained() -> None:
    text = FILE.read_text()
    for name in SECRETS:
        uses = re.findall(rf"\$\{{{name}[^}}]*\}}", text)
        assert uses
        assert all(use.startswith(f"${{{name}:?set it to") for use in uses)


def test_the_settings_accept_what_the_containers_are_given(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {name: filled_in(value) for name, value in services["app"]["environment"].items()}
    known = {f"LAURELS_{field.upper()}" for field in Settings.model_fields}
    assert set(given) <= known
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.database_url == f"postgresql://laurels:{'d' * 32}@db:5432/laurels"
    assert settings.worker is False


def test_the_application_is_not_root_and_not_open_to_the_network(services: dict[str, Any]) -> None:
    stages = (ROOT / "Dockerfile").read_text().split("\nFROM ")
    assert re.search(r"^USER laurels$", stages[-1], re.M)
    assert all(port.startswith("127.0.0.1:") for port in services["app"]["ports"])
    assert "ports" not in services["db"]


def test_the_image_is_built_from_hashed_requirements() -> None:
    commands = re.split(r"&&|\n(?=[A-Z])", (ROOT / "Dockerfile").read_text())
    installs = [command for command in commands if re.search(r"pip (install|sync)", command)]
    assert len(installs) == 3
    assert all("--require-hashes" in one or "--no-deps" in one for one in installs)


def test_what_is_copied_into_the_image_exists() -> None:
    kept = set(re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.M))
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.M):
        for source in line.split()[:-1]:
            assert source.split("/")[0] in kept, source
            assert (ROOT / source).exists(), source


@pytest.mark.skipif(client() is None, reason="no docker compose client on this machine")
def test_a_client_accepts_the_composition() -> None:
    command = [*(client() or []), "-f", str(FILE), "config", "--quiet"]
    bare = {name: value for name, value in os.environ.items() if name not in SECRETS}
    accepted = subprocess.run(command, env=bare | SECRETS, capture_output=True, check=False)
    assert accepted.returncode == 0, accepted.stderr
    refused = subprocess.run(command, env=bare, capture_output=True, check=False)
    assert refused.returncode != 0
    assert b"set it to" in refused.stderr
