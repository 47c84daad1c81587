"""Owners that tags propose for entitlements the database knows nothing of. The operator confirms; a tag alone moves nothing."""

from dataclasses import dataclass
from datetime import date

from gateway.operations import find_open_creations
from gateway.ownership import Change, assign_each, find_never_owned, lock_unowned
from gateway.placements import first_day_of
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Proposal:
    """`from_day`: the first day the entitlement can have consumed on, today if that lies ahead."""

    serial_number: str
    slug: str
    from_day: date
    tenant_exists: bool


def read_proposals(actor: Actor) -> list[Proposal]:
    """Every open proposal, by serial. What a person assigned or took away once is no tag's matter, nor is what an operation still asks for."""
    with acting_as(actor):
        unsettled = find_open_creations()
        rows = find_never_owned().filter(vanished_at__isnull=True).exclude(proposed_tenant="")
        slugs = set(Tenant.objects.values_list("slug", flat=True))
        return [
            Proposal(row.serial_number, row.proposed_tenant, first_day_of(row), row.proposed_tenant in slugs)
            for row in rows.order_by("serial_number")
            if not unsettled.find_maker(
                row.serial_number, config_id=row.config_id, upstream_description=row.upstream_description
            )
        ]


def confirm_proposals(actor: Actor) -> int:
    """Assign what is proposed to tenants that exist, each from its own first day; how many."""
    with acting_as(actor):
        lock_unowned()
        confirmed = [proposal for proposal in read_proposals(actor) if proposal.tenant_exists]
        tenants = {tenant.slug: tenant for tenant in Tenant.objects.filter(slug__in={item.slug for item in confirmed})}
        changes = [Change(item.serial_number, tenants[item.slug], item.from_day) for item in confirmed]
        assign_each(actor, changes)
    return len(confirmed)
