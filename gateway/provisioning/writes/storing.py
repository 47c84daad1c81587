"""Storing what FortiFlex says came of a write: new entitlements, changed ones, configs. Always inside the settling transaction."""

from collections.abc import Sequence

from django.db.models import QuerySet

from gateway.days import today
from gateway.fortiflex import records
from gateway.fortiflex.days import billing_day_at
from gateway.mirror import apply_configs, apply_entitlements
from gateway.mirror.entitlements import Birth
from gateway.models import Assignment, Config, Entitlement, Operation
from gateway.operations import JOURNAL
from gateway.ownership import end_ownership, own_new_serials
from gateway.placements import place
from gateway.provisioning.writes.births import store_births
from gateway.provisioning.writes.write import NotOurs, WrongAnswer
from tenants import clock


def store_new_entitlements(operation: Operation, found: Sequence[records.Entitlement]) -> list[str]:
    """Mirror rows, owner, text and labels of what this operation made. NotOurs if any of them is somebody's or was there before."""
    serials = [record.serial_number for record in found]
    if store_births(operation, found):
        return serials
    text, labels = operation.intent.get("description") or "", operation.intent.get("labels") or {}
    from_day = billing_day_at(operation.sent_at or clock.now())
    not_ours = foreign_serials(operation, serials)
    if not_ours:
        raise NotOurs(not_ours)
    if again := gone_devices(operation, serials):
        end_ownership(JOURNAL, serials=again, on=from_day)
    apply_entitlements(
        found,
        program_serial=operation.program_serial,
        account_id=operation.account_id,
        born_to=Birth(operation.tenant_id, text, labels),
    )
    if operation.intent.get("folder_path"):
        Entitlement.objects.filter(serial_number__in=serials).update(folder_path=operation.intent["folder_path"])
    own_new_serials(
        JOURNAL,
        serials=serials,
        tenant=operation.tenant,
        description=text,
        labels=labels,
        operation_id=operation.id,
        from_day=from_day,
    )
    return serials


def foreign_serials(operation: Operation, serials: Sequence[str]) -> list[str]:
    """Those among `serials` that this operation can't have made: mirrored before it was sent, or owned through something else."""
    before = Entitlement.objects.filter(serial_number__in=serials, first_seen_at__lt=operation.sent_at)
    owned = Assignment.objects.filter(serial_number__in=serials).exclude(operation_id=operation.id)
    taken = before.values_list("serial_number", flat=True).union(owned.values_list("serial_number", flat=True))
    return sorted(set(taken) - set(gone_devices(operation, serials)))


def gone_devices(operation: Operation, serials: Sequence[str]) -> list[str]:
    """Devices that FortiFlex had let go before this registration: a serial number outlives its owner, and who registers it next has it."""
    if operation.kind != Operation.Kind.CREATE_HARDWARE:
        return []
    rows = Entitlement.objects.filter(serial_number__in=serials, vanished_at__lt=operation.sent_at)
    return list(rows.values_list("serial_number", flat=True))


def store_changed_entitlement(operation: Operation, found: Sequence[records.Entitlement]) -> records.Entitlement:
    """The mirror row of the one entitlement that was changed. WrongAnswer if the answer is about another.

    Where it was handed over meanwhile, the text that came back is the old owner's: the new one's stays.
    """
    if [record.serial_number for record in found] != operation.serial_numbers:
        raise WrongAnswer(f"The answer names {', '.join(record.serial_number for record in found)}.")
    serial = found[0].serial_number
    text = Entitlement.objects.filter(serial_number=serial).values_list("description", flat=True).first() or ""
    apply_entitlements(found, program_serial=operation.program_serial, account_id=operation.account_id)
    if not is_still_theirs(operation):
        store_text(serial, description=text)
    return found[0]


def is_still_theirs(operation: Operation) -> bool:
    """Whether the entitlement still belongs to whoever asked for the change."""
    owners = Entitlement.objects.filter(serial_number=operation.serial_numbers[0]).values_list("tenant_id", flat=True)
    return list(owners) == [operation.tenant_id]


def store_text(serial: str, *, description: str) -> None:
    """The user's text, on the entitlement and on the present period of ownership."""
    Entitlement.objects.filter(serial_number=serial).update(description=description)
    _current_assignment(serial).update(description=description)


def store_labels(serial: str, *, labels: dict[str, str] | None, operator_labels: dict[str, str] | None = None) -> None:
    """Labels from today on: on the entitlement, on the present period of ownership, and on its placement."""
    row = Entitlement.objects.select_for_update().get(serial_number=serial)
    if labels is not None:
        row.labels = labels
        _current_assignment(serial).update(labels=labels)
    if operator_labels is not None:
        row.operator_labels = operator_labels
    row.save(update_fields=["labels", "operator_labels"])
    place(row, on=today())


def store_config(record: records.Config) -> Config:
    """The mirror row of a config that an operation made or changed."""
    apply_configs([record])
    return Config.objects.select_for_update().get(id=record.id)


def _current_assignment(serial: str) -> "QuerySet[Assignment]":
    """Of whoever the entitlement says owns it: right after midnight, before the flip, today's period is somebody else's already."""
    day, owner = today(), Entitlement.objects.filter(serial_number=serial).values("tenant_id")
    rows = Assignment.objects.filter(serial_number=serial, tenant_id__in=owner, from_day__lte=day)
    return rows.exclude(until_day__lte=day)
