"""The audit trail: every state change, written by the verb that makes it, in the verb's own transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tenants.actors import Actor
from tenants.context import current_address, current_request_id
from tenants.last_words import write_last
from tenants.models import AuditEntry
from tenants.rows import new_row


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
    entry = new_row(
        AuditEntry,
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
    write_last([entry])


@dataclass(frozen=True, slots=True)
class AuditNote:
    """One of many entries that are written together."""

    action: str
    subject_key: str
    tenant_id: UUID | None
    after: Any = None


def record_audits(actor: Actor, notes: Iterable[AuditNote], *, subject_type: str) -> None:
    """Write many entries at once, in their order; else as `record_audit`."""
    rows = [
        new_row(
            AuditEntry,
            tenant_id=note.tenant_id,
            actor=actor.name,
            address=current_address(),
            action=note.action,
            subject_type=subject_type,
            subject_key=note.subject_key,
            request_id=current_request_id(),
            after=note.after,
        )
        for note in notes
    ]
    write_last(rows)
