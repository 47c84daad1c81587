"""What a staff user may do for which tenant. The only module that talks to guardian.

Rights are granted on one tenant, to a user or to a group. Nothing is granted globally: a superuser is the operator, everybody else
sees what is named here. Each right brings the scopes below; a right can't be wider than a token's scopes are.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AbstractUser, Group
from guardian.shortcuts import assign_perm, get_objects_for_user, remove_perm

from tenants.actors import AUTHENTICATOR, Actor, ActorKind
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.scopes import OPERATOR_SCOPES, expand_scopes

VIEW = frozenset(
    {
        "programs:read",
        "configs:read",
        "entitlements:read",
        "consumption:read",
        "estimates:read",
        "operations:read",
        "events:read",
    }
)
SCOPES_BY_RIGHT: Mapping[str, frozenset[str]] = {
    "view": VIEW,
    "provision": VIEW | {"configs:write", "entitlements:write", "schedules:write"},
    "bill": VIEW | {"statements:read", "exports:read", "budgets:write"},
    "administer": VIEW | {"tokens:write", "webhooks:write", "audit:read"},
}
RIGHTS = tuple(SCOPES_BY_RIGHT)


def actor_of_user(user: AbstractUser) -> Actor:
    """Who a signed-in person acts as: a superuser as the operator, a staff user for the tenants granted to them."""
    name = f"user {user.pk} {user.get_username()}"[:100]
    if user.is_superuser:
        return Actor(kind=ActorKind.OPERATOR, name=name, scopes=expand_scopes(OPERATOR_SCOPES))
    scopes = scopes_by_tenant(user)
    every = frozenset().union(*scopes.values()) if scopes else frozenset()
    return Actor(kind=ActorKind.STAFF, name=name, tenant_ids=tuple(scopes), scopes=every, scopes_by_tenant=scopes)


def scopes_by_tenant(user: AbstractUser) -> dict[UUID, frozenset[str]]:
    """What `user` may do, tenant by tenant: granted to them or to a group of theirs."""
    found: dict[UUID, frozenset[str]] = {}
    with acting_as(AUTHENTICATOR):
        for right, scopes in SCOPES_BY_RIGHT.items():
            granted = get_objects_for_user(
                user, f"tenants.{right}_tenant", Tenant, with_superuser=False, accept_global_perms=False
            )
            for tenant_id in granted.values_list("id", flat=True):
                found[tenant_id] = found.get(tenant_id, frozenset()) | expand_scopes(scopes)
    return found


def grant_right(actor: Actor, holder: AbstractUser | Group, tenant: Tenant, right: str) -> None:
    """Let `holder` do `right` for `tenant`. LookupError for a right that there is not. Granting twice changes nothing."""
    _change(actor, holder, tenant, right, action="access.granted", change=assign_perm)


def withdraw_right(actor: Actor, holder: AbstractUser | Group, tenant: Tenant, right: str) -> None:
    """Take it back, from the next request on."""
    _change(actor, holder, tenant, right, action="access.withdrawn", change=remove_perm)


def _change(actor: Actor, holder: Any, tenant: Tenant, right: str, *, action: str, change: Any) -> None:
    if right not in SCOPES_BY_RIGHT:
        raise LookupError(f"There is no right {right!r}; use one of {', '.join(RIGHTS)}.")
    kind = "group" if isinstance(holder, Group) else "user"
    with acting_as(actor):
        change(f"tenants.{right}_tenant", holder, tenant)
        record_audit(
            actor,
            action,
            subject_type=kind,
            subject_key=str(holder),
            tenant_id=None,  # whom the operator trusts is the operator's own matter
            after={"tenant": tenant.slug, "right": right},
        )
