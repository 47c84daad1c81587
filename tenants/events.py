"""Events: what a tenant or the operator may want to react to. Written in the verb's transaction, placed in the feed after commit.

Every type is registered with one sentence and the JSON schema of its `data`; an event that breaks its schema is not written.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jsonschema_rs import Draft202012Validator

from tenants.context import current_request_id
from tenants.jsonfields import json_text
from tenants.last_words import write_last
from tenants.models import Event
from tenants.rows import new_row

TEXT: Mapping[str, Any] = {"type": "string"}
DAY: Mapping[str, Any] = {"type": "string", "format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}
POINTS: Mapping[str, Any] = {"type": "string", "pattern": r"^-?\d+\.\d{4}$"}
WHOLE: Mapping[str, Any] = {"type": "integer"}
SERIALS: Mapping[str, Any] = {"type": "array", "items": {"type": "string"}}


@dataclass(frozen=True, slots=True)
class EventType:
    """`schema` describes an event's `data` (JSON Schema 2020-12)."""

    name: str
    meaning: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Happening:
    """One event to be written."""

    name: str
    subject_type: str
    subject_key: str
    tenant_id: UUID | None
    data: Mapping[str, Any]


_types: dict[str, EventType] = {}
_validators: dict[str, Draft202012Validator] = {}


def register_event(
    name: str,
    meaning: str,
    *,
    data: Mapping[str, Mapping[str, Any]] | None = None,
    optional: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Declare an event type: one sentence that the documentation shows, and what `data` holds. Apps call this in ready()."""
    required, more = dict(data or {}), dict(optional or {})
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": required | more,
        "required": sorted(required),
        "additionalProperties": False,
    }
    _types[name] = EventType(name, meaning, schema)
    _validators[name] = Draft202012Validator(schema)


def registered_events() -> dict[str, EventType]:
    return dict(_types)


def record_event(
    name: str, *, subject_type: str, subject_key: object, tenant_id: UUID | None, data: dict[str, Any] | None = None
) -> None:
    """Write one event in the verb's own transaction. LookupError for a type that nobody registered, ValidationError for wrong data."""
    record_events([Happening(name, subject_type, str(subject_key), tenant_id, data or {})])


def record_events(happenings: Sequence[Happening]) -> None:
    """Write many events, in this order; otherwise as `record_event`."""
    write_last([_event_of(happening) for happening in happenings])


def _event_of(happening: Happening) -> Event:
    if happening.name not in _types:
        raise LookupError(f"Event type {happening.name!r} is not registered.")
    told = json.loads(json_text(happening.data))
    _validators[happening.name].validate(told)
    return new_row(
        Event,
        tenant_id=happening.tenant_id,
        type=happening.name,
        subject_type=happening.subject_type,
        subject_key=happening.subject_key,
        request_id=current_request_id(),
        data=told,
    )
