"""The audit trail: every state change, written by the verb that makes it, in the verb's own transaction."""

from typing import Any
from uuid import UUID

from tenants.actors import Actor
from tenants.context import current_address, current_request_id
from tenants.models import AuditEntry


def record_audit(
    actor: Actor,
    action: str,
    *,
    subject_type: str,
    subject_key: object,
    tenant_id: UUID | None,
    before: Any = None,
    after: Any = None,
) -> None:
    """Write one entry. Call it inside the verb's `acting_as`, so that it commits or vanishes with the change itself."""
    AuditEntry.objects.create(
        tenant_id=tenant_id,
        actor=actor.name,
        address=current_address(),
        action=action,
        subject_type=subject_type,
        subject_key=str(subject_key),
        request_id=current_request_id(),
        before=before,
        after=after,
    )
