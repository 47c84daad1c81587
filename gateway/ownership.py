"""Whose a serial is: assign, hand over, flip at midnight. The database is the truth; tags move nothing."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q

from gateway.days import today
from gateway.ledger.attribution import attribute
from gateway.models import Assignment, Entitlement, LedgerEntry
from gateway.operations import refuse_while_sent
from gateway.placements import place
from tenants.actors import Actor, system
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.events import record_event
from tenants.models import Tenant
from tenants.problems import Problem

FLIP = system("ownership")
_flipped_for: date | None = None


def assign_serials(
    actor: Actor, *, serials: Collection[str], tenant: Tenant | None, from_day: date
) -> list[Assignment]:
    """`tenant` owns each serial from `from_day` on (None = nobody does). All or nothing, in force at once; the new assignments.

    Later assignments are replaced, the one that covers `from_day` ends there, and points from that day on move with it. A past day
    moves money, not visibility. Problem `invalid` names each serial that neither the mirror nor the ledger knows.
    """
    wanted = sorted(set(serials))
    with acting_as(actor):
        rows = {
            row.serial_number: row
            for row in Entitlement.objects.select_for_update().filter(serial_number__in=wanted).order_by("pk")
        }
        in_ledger = set(
            LedgerEntry.objects.filter(serial_number__in=set(wanted) - rows.keys()).values_list(
                "serial_number", flat=True
            )
        )
        unknown = [serial for serial in wanted if serial not in rows and serial not in in_ledger]
        if unknown:
            order = list(serials)
            errors = [
                {"pointer": f"/serials/{order.index(serial)}", "detail": "There is no such serial."}
                for serial in unknown
            ]
            raise Problem("invalid", f"Unknown serials: {', '.join(unknown[:5])}.", errors=errors)
        if from_day <= today():
            refuse_while_sent(wanted)
        made = [_assign_one(actor, serial, rows.get(serial), tenant, from_day) for serial in wanted]
        attribute(wanted, from_day)
        flip_owners(today(), serials=wanted)
    return [assignment for assignment in made if assignment is not None]


def _assign_one(
    actor: Actor, serial: str, row: Entitlement | None, tenant: Tenant | None, from_day: date
) -> Assignment | None:
    later = (
        Assignment.objects.select_related("tenant")
        .filter(serial_number=serial)
        .filter(Q(until_day__isnull=True) | Q(until_day__gt=from_day))
    )
    before = list(later.order_by("from_day"))
    if tenant is not None and len(before) == 1:
        only = before[0]
        if only.tenant_id == tenant.id and only.from_day <= from_day and only.until_day is None:
            return only  # it is so already
    for assignment in before:
        if assignment.from_day >= from_day:
            assignment.delete()
        else:
            assignment.until_day = from_day
            assignment.save(update_fields=["until_day"])
    made = None
    if tenant is not None:
        # A text or label of one owner is not the next one's, nor does it wait with nobody in between: losing the owner empties it
        # (flip_owners). What nobody owned so far keeps its text.
        keep = row is not None and row.tenant_id in {None, tenant.id}
        made = Assignment.objects.create(
            tenant=tenant,
            serial_number=serial,
            from_day=from_day,
            description=row.description if row and keep else "",
            labels=row.labels if row and keep else {},
            created_by=actor.name,
        )
    _write_down(actor, serial, before, made, from_day)
    return made


def _write_down(actor: Actor, serial: str, before: list[Assignment], made: Assignment | None, from_day: date) -> None:
    """Audit for both sides; each tenant's event speaks of its own side alone."""
    losers = {assignment.tenant_id for assignment in before} - {made.tenant_id if made else None}
    for tenant_id in losers:
        record_event(
            "entitlement.unassigned",
            subject_type="entitlement",
            subject_key=serial,
            tenant_id=tenant_id,
            data={"from_day": from_day},
        )
        record_audit(
            actor,
            "assignment.ended",
            subject_type="entitlement",
            subject_key=serial,
            tenant_id=tenant_id,
            after={"until_day": from_day},
        )
    if made is not None:
        record_event(
            "entitlement.assigned",
            subject_type="entitlement",
            subject_key=serial,
            tenant_id=made.tenant_id,
            data={"from_day": from_day},
        )
        record_audit(
            actor,
            "assignment.made",
            subject_type="entitlement",
            subject_key=serial,
            tenant_id=made.tenant_id,
            after={"from_day": from_day, "id": made.id},
        )


def own_new_serials(
    actor: Actor,
    *,
    serials: Collection[str],
    tenant: Tenant | None,
    description: str,
    labels: Mapping[str, Any],
    operation_id: UUID,
    from_day: date,
) -> None:
    """What an operation created belongs to its tenant from the day it was sent on, however late its answer was found.

    Call inside `acting_as(system(…))`, in the transaction that stores it.
    """
    day = from_day
    for row in Entitlement.objects.select_for_update().filter(serial_number__in=serials).order_by("pk"):
        row.tenant, row.description, row.labels, row.proposed_tenant = tenant, description, dict(labels), ""
        row.save(update_fields=["tenant", "description", "labels", "proposed_tenant"])
        if tenant is not None:
            made = Assignment.objects.create(
                tenant=tenant,
                serial_number=row.serial_number,
                from_day=day,
                description=description,
                labels=dict(labels),
                operation_id=operation_id,
                created_by=actor.name,
            )
            _write_down(actor, row.serial_number, [], made, day)
        place(row, on=today())
    attribute(list(serials), day)


def flip_owners(day: date, *, serials: Collection[str] | None = None) -> int:
    """Make `Entitlement.tenant` say who owns each serial on `day`; how many changed. Inside `acting_as` of somebody who sees every tenant."""
    narrowed = ""
    parameters: list[Any] = [day]
    if serials is not None:
        narrowed = "AND e.serial_number = ANY(%s)"
        parameters.append(list(serials))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE gateway_entitlement AS e
            SET tenant_id = owner.tenant_id,
                description = COALESCE(owner.description, ''),
                labels = COALESCE(owner.labels, '{{}}'::jsonb),
                operator_labels = CASE WHEN e.tenant_id IS NULL THEN e.operator_labels ELSE '{{}}'::jsonb END,
                proposed_tenant = CASE WHEN owner.tenant_id IS NULL THEN e.proposed_tenant ELSE '' END
            FROM (
                SELECT s.serial_number, a.tenant_id, a.description, a.labels
                FROM gateway_entitlement AS s
                LEFT JOIN gateway_assignment AS a
                  ON a.serial_number = s.serial_number AND daterange(a.from_day, a.until_day) @> %s::date
            ) AS owner
            WHERE owner.serial_number = e.serial_number AND owner.tenant_id IS DISTINCT FROM e.tenant_id {narrowed}
            RETURNING e.serial_number
            """,  # noqa: S608 - `narrowed` is one of two constants
            parameters,
        )
        flipped = [row[0] for row in cursor.fetchall()]
    for row in Entitlement.objects.filter(serial_number__in=flipped):
        place(row, on=day)
    return len(flipped)


def ensure_flipped() -> None:
    """Before anything else of a new billing day: hand over what changes hands today. Looks once per process and day."""
    global _flipped_for
    day = today()
    if _flipped_for != day:
        with acting_as(FLIP):
            flip_owners(day)
        _flipped_for = day


def forget_day() -> None:
    """Look again at the next `ensure_flipped` (a clock that was moved, a database that was changed underneath)."""
    global _flipped_for
    _flipped_for = None
