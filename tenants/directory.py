"""Tenants: create, change, suspend, find."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as, ask_as
from tenants.events import record_event
from tenants.models import Tenant
from tenants.problems import Problem, invalid, not_found
from tenants.rows import columns_of, instance_of

CHANGEABLE = (
    "name",
    "currency",
    "customer_code",
    "internal",
    "status",
    "billing_profile",
    "programs",
    "account_ids",
    "limits",
)


def create_tenant(actor: Actor, *, slug: str, name: str, currency: str, **more: Any) -> Tenant:
    """A new tenant, usable at once. Problem `state_conflict` if the slug is taken."""
    with acting_as(actor):
        try:
            with transaction.atomic():
                tenant = Tenant.objects.create(slug=slug, name=name, currency=currency, **more)
        except IntegrityError as error:
            raise Problem(
                "state_conflict", f"A tenant with the slug {slug!r} exists already; choose another."
            ) from error
        record_audit(
            actor,
            "tenant.created",
            subject_type="tenant",
            subject_key=slug,
            tenant_id=tenant.id,
            after=describe_tenant(tenant),
        )
        record_event("tenant.created", subject_type="tenant", subject_key=slug, tenant_id=tenant.id)
    return tenant


def update_tenant(actor: Actor, tenant: Tenant, *, changes: Mapping[str, Any]) -> Tenant:
    """Change what CHANGEABLE names; what is the same already writes nothing."""
    with acting_as(actor):
        tenant = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        before = describe_tenant(tenant)
        for name, value in changes.items():
            setattr(tenant, name, value)
        after = describe_tenant(tenant)
        if after != before:
            tenant.save(update_fields=sorted(changes))
            record_audit(
                actor,
                "tenant.changed",
                subject_type="tenant",
                subject_key=tenant.slug,
                tenant_id=tenant.id,
                before=before,
                after=after,
            )
            if before["status"] != after["status"]:
                record_event(
                    f"tenant.{tenant.status}", subject_type="tenant", subject_key=tenant.slug, tenant_id=tenant.id
                )
    return tenant


def tenants_of(actor: Actor) -> list[Tenant] | None:
    """The tenants that `actor` acts for, inside an open `acting_as`; None = every one."""
    return None if actor.sees_every_tenant else list(Tenant.objects.visible_to(actor).order_by("slug"))


def find_tenant(actor: Actor, slug: str) -> Tenant:
    """The tenant that `actor` sees under this slug, inside an open `acting_as`. Problem `not_found` otherwise."""
    tenant = Tenant.objects.visible_to(actor).filter(slug=slug).first()
    if tenant is None:
        raise not_found()
    return tenant


def resolve_tenant(actor: Actor, slug: str | None, *, pointer: str = "/tenant") -> Tenant | None:
    """The tenant that a body names; null stays null. Problem `invalid`, the same for a foreign slug as for an unknown one."""
    if slug is None:
        return None
    tenant = Tenant.objects.visible_to(actor).filter(slug=slug).first()
    if tenant is None:
        raise invalid(pointer, "There is no such tenant.")
    return tenant


def read_own_tenant(actor: Actor) -> Tenant:
    """The one tenant that a tenant's token stands for. Stands as `actor` by itself."""
    if isinstance(actor.own_tenant, Tenant):
        return actor.own_tenant
    statement = f"SELECT {columns_of(Tenant, 'tenant')} FROM tenants_tenant tenant WHERE tenant.id = ANY(%s::uuid[])"  # noqa: S608
    [columns] = ask_as(actor, statement, [list(actor.tenant_ids)])
    return instance_of(Tenant, columns)


def describe_tenant(tenant: Tenant) -> dict[str, Any]:
    """A tenant as the API shows it and audit keeps it."""
    return (
        {"slug": tenant.slug} | {name: getattr(tenant, name) for name in CHANGEABLE} | {"created_at": tenant.created_at}
    )
