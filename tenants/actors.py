"""Who acts: the one value that every access to tenant data starts from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from uuid import UUID


class ActorKind(StrEnum):
    OPERATOR = "operator"  # a machine of the MSP with an operator token
    TENANT = "tenant"  # a customer's token
    STAFF = "staff"  # a person of the MSP, who sees only the tenants granted to them
    SYSTEM = "system"  # worker, scheduler, commands: the gateway itself
    AUTHENTICATOR = "authenticator"  # the token look-up before anybody is known


@dataclass(frozen=True, slots=True)
class Reach:
    """What a narrowed token sees: these entitlements, these configs and what stands under them; nothing else."""

    entitlements: frozenset[str] = frozenset()
    configs: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, for which tenants, with which scopes.

    `name` is what audit and journal write down ("token 0199…", "user 7 alice", "system sync"). `tenant_ids` narrows tenants and staff;
    for operator and system it is empty and means every tenant. Scopes are already expanded (`write` includes `read`).
    `own_tenant` is a token's tenant as it stood when the token was looked up, where it was. `reach` narrows a token further. `scopes_by_tenant` is a
    staff user's: what they may do differs from tenant to tenant.
    """

    kind: ActorKind
    name: str
    tenant_ids: tuple[UUID, ...] = ()
    scopes: frozenset[str] = field(default_factory=frozenset)
    token_id: UUID | None = None
    reach: Reach | None = None
    scopes_by_tenant: Mapping[UUID, frozenset[str]] = field(default_factory=dict, hash=False)
    own_tenant: Any = field(default=None, compare=False, repr=False)

    # DRF asks these two of whatever stands in request.user.
    is_authenticated = True
    is_active = True

    @property
    def sees_every_tenant(self) -> bool:
        return self.kind in {ActorKind.OPERATOR, ActorKind.SYSTEM}

    @property
    def tenant_id(self) -> UUID | None:
        """The one tenant of a tenant's token; None for everybody else."""
        return self.tenant_ids[0] if self.kind is ActorKind.TENANT else None

    def may(self, scope: str) -> bool:
        return self.kind is ActorKind.SYSTEM or scope in self.scopes

    def with_scope(self, scope: str) -> "Actor":
        """The same actor for one request that needs `scope`: a staff user is left with the tenants on which they hold it."""
        if self.kind is not ActorKind.STAFF:
            return self
        left = tuple(tenant for tenant in self.tenant_ids if scope in self.scopes_on(tenant))
        shared = frozenset.intersection(*(self.scopes_on(tenant) for tenant in left)) if left else frozenset()
        return replace(self, tenant_ids=left, scopes=shared)

    def may_on(self, scope: str, tenant_id: UUID | None) -> bool:
        """Whether the actor may do `scope` to a row of this tenant; what a list shows of each row can differ for staff."""
        return self.kind is ActorKind.SYSTEM or scope in self.scopes_on(tenant_id)

    def scopes_on(self, tenant_id: UUID | None) -> frozenset[str]:
        """What the actor may do on one tenant: what it may hand on there, too."""
        if self.kind is ActorKind.STAFF:
            return self.scopes_by_tenant.get(tenant_id, frozenset()) if tenant_id is not None else frozenset()
        return self.scopes


def system(task: str) -> Actor:
    """The gateway itself, doing `task` (a short name that audit and events show)."""
    return Actor(kind=ActorKind.SYSTEM, name=f"system {task}")


def for_tenants(tenant_ids: Iterable[UUID], *, name: str) -> Actor:
    """An actor that sees exactly these tenants, whatever the wall above it says."""
    return Actor(kind=ActorKind.TENANT, name=name, tenant_ids=tuple(tenant_ids))


AUTHENTICATOR = Actor(kind=ActorKind.AUTHENTICATOR, name="authentication")
