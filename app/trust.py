"""Whom the settings trust: the authenticator, with the identity providers that they name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import httpx

from app.authentication import Authenticator
from app.login import Login
from app.oidc import AdminIssuer, MemberIssuer, issuer_of
from app.settings import Settings


def authenticator(
    settings: Settings, http: httpx.AsyncClient, now: Callable[[], datetime]
) -> Authenticator:
    """For the whole of a process. `http` is what providers are asked by, as long as it lives."""
    members, admins = None, None
    if settings.member_issuer and settings.member_audience:
        members = MemberIssuer(
            issuer_of(
                settings.member_issuer, settings.member_audience, settings.member_jwks_url,
                http, now,
            )
        )  # fmt: skip
    if settings.admin_issuer and settings.admin_audience:
        admins = AdminIssuer(
            issuer_of(
                settings.admin_issuer, settings.admin_audience, settings.admin_jwks_url, http, now
            ),
            settings.admin_roles_claim,
            settings.admin_roles_prefix,
        )  # fmt: skip
    return Authenticator(settings.secrets(), now, members=members, admins=admins)


def login(settings: Settings, trust: Authenticator) -> Login | None:
    """How admins sign in at their provider, if the settings say as which client."""
    if settings.admin_client_id is None or trust.admins is None:
        return None
    secret = settings.admin_client_secret
    return Login(
        trust,
        trust.admins,
        settings.admin_client_id,
        None if secret is None else secret.get_secret_value(),
        settings.public_url,
    )
