"""The event feed's writing side, and the registry of the types that may be written."""

from typing import Any
from uuid import UUID

from tenants.context import current_request_id
from tenants.models import Event

_types: dict[str, str] = {}


def register_event(name: str, meaning: str) -> None:
    """Declare an event type with one sentence that the documentation shows. Apps call this in ready()."""
    _types[name] = meaning


def registered_events() -> dict[str, str]:
    return dict(_types)


def record_event(
    name: str, *, subject_type: str, subject_key: object, tenant_id: UUID | None, data: dict[str, Any] | None = None
) -> None:
    """Write one event in the verb's own transaction. LookupError for a type that nobody registered."""
    if name not in _types:
        raise LookupError(f"Event type {name!r} is not registered.")
    Event.objects.create(
        tenant_id=tenant_id,
        type=name,
        subject_type=subject_type,
        subject_key=str(subject_key),
        request_id=current_request_id(),
        data=data or {},
    )
