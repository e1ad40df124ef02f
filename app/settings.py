"""What an operator sets, from environment variables that start with `LAURELS_`.

One object, read once by the composition root and handed on; no other module reads the environment.
It must not know what the settings are used for, except to refuse values that can't work.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from base64 import b64decode
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PostgresDsn, SecretStr, TypeAdapter
from pydantic import model_validator as check_model
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.addresses import check_address
from core.signing import Secrets
from schema.rates import RATES, Rate

CHECKOUT = Path(__file__).resolve().parent.parent
SHORTEST_SECRET = 32

_postgres_url: TypeAdapter[PostgresDsn] = TypeAdapter(PostgresDsn)


def _postgres(url: str) -> str:
    """The URL as it was given, because pydantic's own form of one rewrites socket paths."""
    if not url.startswith(("postgres://", "postgresql://")):
        raise ValueError("must look like postgresql://user:password@host:5432/database")
    if "@/" not in url:  # the form for a socket, which has no host
        _postgres_url.validate_python(url)
    return url


def _from_commas(value: object) -> object:
    if isinstance(value, str):
        return frozenset(part.strip() for part in value.split(",") if part.strip())
    return value


def _rate(value: object) -> object:
    return Rate.of(value) if isinstance(value, str) else value


RateSetting = Annotated[Rate, NoDecode, BeforeValidator(_rate)]


def _listed(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _address(url: str) -> str:
    """https, or this very machine."""
    return check_address(url)


class Settings(BaseSettings):
    """The settings; `Settings()` reads the environment, and arguments go before it."""

    model_config = SettingsConfigDict(
        env_prefix="LAURELS_",
        env_ignore_empty=True,  # a container's composition passes unset variables on as empty ones
        hide_input_in_errors=True,  # else a refused secret or password would be printed
        frozen=True,
    )

    database_url: Annotated[str, AfterValidator(_postgres)] | None = Field(
        None, description="A PostgreSQL server, 15 or newer; unset: the embedded one in data_dir."
    )
    data_dir: Path = Field(
        CHECKOUT / ".laurels", description="The embedded server's data, and the generated secret."
    )
    host: str = Field("127.0.0.1", description="The address to serve on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to serve on; 0: any free one.")
    processes: int = Field(
        1, ge=1, le=64, description="How many serve, each on a core of its own: on Linux."
    )
    secret: SecretStr | None = Field(
        None, description="Signs tokens and digests; unset: generated, for the embedded server."
    )
    previous_secrets: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed)] = Field(
        (),
        description="Secrets before this one, separated by commas: what they signed still counts.",
    )
    public_url: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="Where people reach it, such as https://points.example; unset: as asked."
    )
    member_issuer: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="The OpenID issuer of the front end, whose tokens stand for members."
    )
    member_audience: str | None = Field(None, description="For whom those tokens must be.")
    member_jwks_url: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="Where that issuer's keys are; unset: where its discovery says."
    )
    admin_issuer: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="The OpenID issuer of the programme's staff."
    )
    admin_audience: str | None = Field(None, description="For whom its tokens must be.")
    admin_jwks_url: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="Where that issuer's keys are; unset: where its discovery says."
    )
    admin_roles_claim: str = Field(
        "roles", description="The claim that holds an admin's roles; a dot leads into an object."
    )
    admin_roles_prefix: str = Field(
        "laurels:", description="With what the roles of Laurels begin there: laurels:support."
    )
    admin_client_id: str | None = Field(
        None, description="As whom GraphiQL's login asks that issuer; unset: there is none."
    )
    admin_client_secret: SecretStr | None = Field(None, description="The secret of that client.")
    blocked_plugins: Annotated[frozenset[str], NoDecode, BeforeValidator(_from_commas)] = Field(
        frozenset(), description="Partners not to load, separated by commas."
    )
    rate_stranger: RateSetting = Field(
        RATES["anonymous"],
        description="What callers without a token may spend, by address: `size/per second`, in the "
        "values of answers. Each process counts for itself.",
    )
    rate_member: RateSetting = Field(RATES["member"], description="The same, for each member.")
    rate_partner: RateSetting = Field(RATES["partner"], description="The same, for each partner.")
    rate_admin: RateSetting = Field(RATES["admin"], description="The same, for each admin.")
    query_timeout: float = Field(10, gt=0, description="Seconds after which a query is given up.")
    trusted_documents: Path | None = Field(
        None, description="A JSON file of trusted operations by hash: see `laurels documents`."
    )
    trusted_only: bool = Field(
        False, description="Answer trusted documents alone, except to admins."
    )
    webhook_hosts: Annotated[frozenset[str], NoDecode, BeforeValidator(_from_commas)] = Field(
        frozenset(),
        description="Hosts that partners' webhooks may go to although they aren't public, "
        "separated by commas: for tests and demos.",
    )
    messages_url: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="Where codes are posted that members enrol by; unset: none are sent."
    )
    messages_secret: SecretStr | None = Field(
        None, description="Signs what is posted there: whsec_ and 24 to 64 bytes in base64."
    )
    worker: bool = Field(True, description="Run the jobs in the serving process too.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @check_model(mode="after")
    def _secret_can_work(self) -> Self:
        """Fail at the start, not at the first token."""
        if self.secret is None and self.database_url is not None:
            raise ValueError(
                "LAURELS_SECRET is required when LAURELS_DATABASE_URL is set, for all processes on "
                "one database must share it: for example the output of `openssl rand -hex 32`"
            )
        for secret in (self.secret, *self.previous_secrets):
            if secret and len(secret.get_secret_value()) < SHORTEST_SECRET:
                raise ValueError(
                    f"LAURELS_SECRET must have {SHORTEST_SECRET} characters or more, and so must "
                    "each of LAURELS_PREVIOUS_SECRETS"
                )
        return self

    @check_model(mode="after")
    def _messages_can_be_signed(self) -> Self:
        """Else anybody could have codes of his own sent."""
        if (self.messages_url is None) != (self.messages_secret is None):
            raise ValueError("LAURELS_MESSAGES_URL and LAURELS_MESSAGES_SECRET go together")
        if self.messages_secret is not None:
            kind, _, text = self.messages_secret.get_secret_value().partition("_")
            try:
                long_enough = 24 <= len(b64decode(text, validate=True)) <= 64
            except ValueError:
                long_enough = False
            if kind != "whsec" or not long_enough:
                raise ValueError("LAURELS_MESSAGES_SECRET is whsec_ and 24 to 64 bytes in base64")
        return self

    @check_model(mode="after")
    def _documents_can_be_trusted(self) -> Self:
        """None of no manifest."""
        if self.trusted_only and self.trusted_documents is None:
            raise ValueError("LAURELS_TRUSTED_ONLY needs LAURELS_TRUSTED_DOCUMENTS")
        return self

    @check_model(mode="after")
    def _issuers_can_work(self) -> Self:
        """A token that is for anybody would be for us."""
        if (self.member_issuer is None) != (self.member_audience is None):
            raise ValueError("LAURELS_MEMBER_ISSUER and LAURELS_MEMBER_AUDIENCE go together")
        if (self.admin_issuer is None) != (self.admin_audience is None):
            raise ValueError("LAURELS_ADMIN_ISSUER and LAURELS_ADMIN_AUDIENCE go together")
        mine = (self.member_issuer, self.member_audience)
        if self.admin_issuer and mine == (self.admin_issuer, self.admin_audience):
            raise ValueError("a token for members can't be one for admins: set another audience")
        if self.admin_client_id is not None and self.admin_issuer is None:
            raise ValueError("LAURELS_ADMIN_CLIENT_ID needs LAURELS_ADMIN_ISSUER")
        return self

    @property
    def embedded(self) -> bool:
        """Whether the database is our own embedded server."""
        return self.database_url is None

    @property
    def postgres_dir(self) -> Path:
        """The embedded server's folder, to be handed to `app.postgres.start`."""
        return self.data_dir / "postgres"

    def secrets(self) -> Secrets:
        """The secret that signs, with those before it."""
        previous = tuple(secret.get_secret_value() for secret in self.previous_secrets)
        return Secrets(self.signing_secret(), previous)

    def signing_secret(self) -> str:
        """The secret as set, or the one that lies beside the embedded data, made when missing."""
        if self.secret is not None:
            return self.secret.get_secret_value()
        path = self.data_dir / "secret"
        if not path.exists():
            _write_once(path, secrets.token_hex(32))
        return path.read_text().strip()


def _write_once(path: Path, text: str) -> None:
    """Write a private file whole or not at all; of several writers the first one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=".secret-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
        with suppress(FileExistsError):
            path.hardlink_to(aside)
    finally:
        Path(aside).unlink()
