"""A change of owner as it is written down: audit for both sides, and for each tenant an event that speaks of its own side alone."""

from collections.abc import Iterable

from gateway.ownership.timeline import Step
from tenants.actors import Actor
from tenants.audit import AuditNote, record_audits
from tenants.events import EventNote, record_events


def tell_steps(actor: Actor, steps: Iterable[Step]) -> None:
    """Inside the transaction that makes the changes. What changed nothing says nothing."""
    audits, events = [], []
    for step in steps:
        if not step.changed:
            continue
        serial, day = step.change.serial_number, step.change.from_day
        for tenant_id in sorted(step.losers):
            events.append(EventNote("entitlement.unassigned", serial, tenant_id, {"from_day": day}))
            audits.append(AuditNote("assignment.ended", serial, tenant_id, {"until_day": day}))
        if step.assignment is not None:
            tenant_id = step.assignment.tenant_id
            events.append(EventNote("entitlement.assigned", serial, tenant_id, {"from_day": day}))
            audits.append(AuditNote("assignment.made", serial, tenant_id, {"from_day": day, "id": step.assignment.id}))
    record_events(events, subject_type="entitlement")
    record_audits(actor, audits, subject_type="entitlement")
