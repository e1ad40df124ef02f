"""Who there is to ask: roles, what a partner's key opens, and as what an admin works.

Words alone, so that whoever makes tokens needn't load a schema.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Role: TypeAlias = Literal["member", "partner", "admin", "anonymous"]
#: What a partner's key may open.
Scope: TypeAlias = Literal[
    "members:read",
    "members:write",
    "purchases:read",
    "purchases:write",
    "redemptions:read",
    "redemptions:write",
    "points:adjust",
    "rules:read",
    "rules:write",
    "webhooks:read",
    "webhooks:write",
    "engagement:read",
    "engagement:write",
    "keys:write",
]
#: As what an admin works for the programme.
StaffRole: TypeAlias = Literal["support", "manager", "finance", "auditor", "owner"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
STAFF_ROLES: tuple[StaffRole, ...] = get_args(StaffRole)
