"""Owners that tags propose for entitlements the database knows nothing of. The operator confirms; a tag alone moves nothing."""

from dataclasses import dataclass
from datetime import date

from gateway.days import today
from gateway.models import Entitlement
from gateway.ownership import Change, assign_each
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Proposal:
    """`from_day`: the first day the entitlement can have consumed on."""

    serial_number: str
    slug: str
    from_day: date
    tenant_exists: bool


def read_proposals(actor: Actor) -> list[Proposal]:
    """Every open proposal, by serial."""
    with acting_as(actor):
        rows = Entitlement.objects.filter(tenant__isnull=True, vanished_at__isnull=True).exclude(proposed_tenant="")
        slugs = set(Tenant.objects.values_list("slug", flat=True))
        return [
            Proposal(row.serial_number, row.proposed_tenant, row.start_day or today(), row.proposed_tenant in slugs)
            for row in rows.order_by("serial_number")
        ]


def confirm_proposals(actor: Actor) -> int:
    """Assign what is proposed to tenants that exist, each from its own first day; how many."""
    confirmed = [proposal for proposal in read_proposals(actor) if proposal.tenant_exists]
    with acting_as(actor):
        tenants = {tenant.slug: tenant for tenant in Tenant.objects.filter(slug__in={item.slug for item in confirmed})}
        changes = [Change(item.serial_number, tenants[item.slug], item.from_day) for item in confirmed]
        assign_each(actor, changes)
    return len(confirmed)
