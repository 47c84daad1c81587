"""What the mirror finds of our own writes: tags of open and settled operations, and rows that are newer than a list."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from gateway.models import Attempt, Operation
from gateway.operations.journal import CREATIONS
from gateway.operations.settling import State, add_evidence
from gateway.tags import Tag
from tenants import clock
from tenants.events import record_event


def note_tags(tags: Mapping[str, Tag], *, wait: bool = True) -> dict[str, Tag]:
    """Valid tags found on serials that nobody owns: an open operation is looked at soon, a settled one has a late arrival.

    Those whose operation others hold are handed back without `wait`: whoever settles it may be waiting for what the caller has stored.
    Inside an open `acting_as` of the gateway itself.
    """
    held = {}
    for serial, tag in tags.items():
        rows = Operation.objects.filter(id=tag.operation_id)
        row = rows.select_for_update(skip_locked=not wait).first()
        if row is None:
            if not wait and rows.exists():
                held[serial] = tag
            continue
        if row.state in {State.SENT, State.UNKNOWN}:
            Operation.objects.filter(id=row.id, state=State.UNKNOWN, next_check_at__isnull=False).update(
                next_check_at=clock.now()
            )
        elif serial not in row.serial_numbers and not any(
            serial in seen.get("late_arrivals", []) for seen in row.evidence
        ):
            add_evidence(row, {"late_arrivals": [serial]})
            row.save(update_fields=["evidence"])
            record_event(
                "reconciliation.duplicate",
                subject_type="operation",
                subject_key=row.id,
                tenant_id=row.tenant_id,
                data={"entitlements": [serial], "attempt": tag.attempt},
            )
    return held


def note_late_answer(operation: Operation, attempt: Attempt, value: Any) -> None:
    """FortiFlex did it after we had settled that it did not: a person has to look at what stands there now."""
    serials = [record.serial_number for record in value] if isinstance(value, list) else []
    row = Operation.objects.select_for_update().get(id=operation.id)
    add_evidence(row, {"late_answer_of_attempt": attempt.number, "entitlements": serials})
    row.save(update_fields=["evidence"])
    record_event(
        "reconciliation.duplicate",
        subject_type="operation",
        subject_key=row.id,
        tenant_id=row.tenant_id,
        data={"entitlements": serials, "attempt": attempt.number},
    )


def leads_on(operation: Operation) -> bool:
    """Whether something was asked for together with it, which follows once it is done."""
    return bool(serials_led_to(operation.intent))


def serials_led_to(intent: Mapping[str, Any]) -> list[str]:
    """Of whom that is: they are concerned already, though the operation itself is about a config."""
    return list(intent.get("transfer", ())) or ([intent["entitlement"]["serial"]] if "entitlement" in intent else [])


CREATED_BY = "created by "


def brings_the_tag(operation: Operation) -> bool:
    """Whether it puts text and tag on what could not be created with them."""
    return str(operation.intent.get("because", "")).startswith(CREATED_BY)


def follows_by_itself(operation: Operation) -> bool:
    """Whether the gateway wants it for something that was asked for before: nobody waits for it, and nobody would ask for it again."""
    return operation.deferred and bool({"because", "follows"} & set(operation.intent))


def followed_by(operation: Operation) -> "QuerySet[Operation]":
    """What was planned to follow `operation` by itself. Inside an open context of the gateway: a tenant's role can't use the index."""
    return Operation.objects.following([str(operation.id)]).filter(tenant=operation.tenant_id).order_by("id")


def touched_since(moment: datetime) -> tuple[set[str], set[int]]:
    """Serials and configs that a write of ours settled after `moment` or is changing now: a list asked for at `moment` may be older.

    Also serials whose change is unknown and looked for: whether a difference is ours or came from outside is known once that is settled,
    and until then it must not be told as the one or the other. What waits for a person waits too long for that, and what a creation made
    must be in the mirror for a person to name it.
    """
    looked_for = Q(state=State.UNKNOWN, next_check_at__isnull=False) & ~Q(kind__in=CREATIONS)
    rows = Operation.objects.filter(Q(settled_at__gte=moment) | Q(state=State.SENT) | looked_for)
    serials: set[str] = set()
    configs: set[int] = set()
    for names, config_id, state in rows.values_list("serial_numbers", "config_id", "state"):
        serials |= set(names)
        if config_id is not None and state != State.UNKNOWN:
            configs.add(config_id)
    return serials, configs
