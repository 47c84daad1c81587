"""What a person found out about a write whose outcome nobody could tell: these entitlements or this config are its; what follows it."""

from collections.abc import Collection, Sequence
from datetime import date

from gateway.config_names import join_suffix
from gateway.fortiflex.days import billing_day_at
from gateway.models import Assignment, Config, Entitlement, Operation, Program
from gateway.operations import CREATIONS, JOURNAL, plan_operation
from gateway.ownership import end_ownership, own_new_serials
from gateway.provisioning.writes.changes import restore_end
from gateway.provisioning.writes.configs import follow_config
from gateway.provisioning.writes.creates import describe_later
from gateway.provisioning.writes.storing import gone_devices, is_still_theirs, store_labels
from gateway.provisioning.writes.write import Stored
from tenants import clock
from tenants.problems import Problem, invalid

UNKNOWN_OR_SOMEBODYS = "Nobody's in the mirror: sync first, or it is somebody's."
ELSEWHERE = (
    "It stands in another program or under another configuration than what this operation makes: assign it instead."
)


def adopt_by_hand(operation: Operation, serials: Sequence[str], *, done: bool) -> None:
    """Give mirrored serials that nobody owns to the operation's tenant, from the day it was sent. Inside a context of the gateway.

    Problem `invalid` names each that stands elsewhere, is somebody's or is not mirrored yet.
    """
    if not done or operation.kind not in CREATIONS:
        raise invalid("/entitlements", "Only a creation that was done can have made entitlements.")
    gone = set(gone_devices(operation, serials))
    if errors := _why_not_made(operation, serials, gone=gone):
        raise Problem("invalid", "Name entitlements that this can have made: mirrored, and nobody's.", errors=errors)
    if gone:
        end_ownership(JOURNAL, serials=sorted(gone), on=billing_day_at(operation.sent_at or clock.now()))
        # It is there, as the person says: that it had been another's and had vanished is no news for who has it now.
        back = {"vanished_at": None, "missed_at": None, "config_id": operation.config_id}
        place = {"program_id": operation.program_serial, "account_id": operation.account_id}
        Entitlement.objects.filter(serial_number__in=gone).update(**back, **place)
    own_new_serials(
        JOURNAL,
        serials=list(serials),
        tenant=operation.tenant,
        description=operation.intent.get("description") or "",
        labels=operation.intent.get("labels") or {},
        operation_id=operation.id,
        from_day=billing_day_at(operation.sent_at or clock.now()),
    )
    if operation.kind == Operation.Kind.CREATE_HARDWARE:  # its creation took no description
        for serial in serials:
            plan_operation(JOURNAL, describe_later(operation, serial), deferred=True)


def _why_not_made(operation: Operation, serials: Sequence[str], *, gone: Collection[str]) -> list[dict[str, str]]:
    """An error for each that the operation can't have made. Where a device stood that is `gone` says nothing about this time."""
    rows = Entitlement.objects.filter(serial_number__in=serials)
    places = {serial: place for serial, *place in rows.values_list("serial_number", "program_id", "config_id")}
    owned = set(
        Assignment.objects.filter(serial_number__in=serials).values_list("serial_number", flat=True)
    ).difference(gone)
    errors = []
    for index, serial in enumerate(serials):
        if serial not in places or serial in owned:
            detail = UNKNOWN_OR_SOMEBODYS
        elif serial not in gone and places[serial] != [operation.program_serial, operation.config_id]:
            detail = ELSEWHERE
        else:
            continue
        errors.append({"pointer": f"/entitlements/{index}", "detail": detail})
    return errors


def finish_by_hand(operation: Operation) -> Stored:
    """What a write that a person says was done came to. Inside a context of the gateway.

    Problem `state_conflict` while the mirror does not show the config that it made: nobody could give it to its tenant later.
    """
    if operation.kind == Operation.Kind.REACTIVATE:
        program = Program.objects.get(serial_number=operation.program_serial)  # FortiFlex sets the end to the program's
        restored = restore_end(operation, config_id=operation.config_id, end_day=program.end_day or date.max)
        return Stored(operation.serial_numbers, operation.config_id, followups=restored)
    if operation.kind == Operation.Kind.CREATE_CONFIG:
        name = join_suffix(operation.intent["name"], operation.id)
        made = Config.objects.filter(upstream_name=name, vanished_at__isnull=True).first()
        if made is None:
            raise Problem(
                "state_conflict",
                "The mirror does not show what this made: sync first, name its config, or say it was not done.",
            )
        return take_config_by_hand(operation, made.id, done=True)
    if operation.kind == Operation.Kind.UPDATE_CONFIG:
        config = Config.objects.get(id=operation.config_id or 0)
        return Stored(operation.serial_numbers, config.id, followups=follow_config(operation, config))
    if operation.kind == Operation.Kind.UPDATE_ENTITLEMENT and is_still_theirs(operation):
        # Text, end and config come with the next pass; labels are ours alone, and nobody else would tell them.
        labels = {name: operation.intent.get(name) for name in ("labels", "operator_labels")}
        store_labels(operation.serial_numbers[0], **labels)
    return Stored(operation.serial_numbers, operation.config_id)


def take_config_by_hand(operation: Operation, config_id: int, *, done: bool) -> Stored:
    """Give a mirrored config that nobody else has to the operation's tenant; what follows it. Inside a context of the gateway."""
    if not done or operation.kind != Operation.Kind.CREATE_CONFIG:
        raise invalid("/config", "Only the creation of a configuration that was done can have made one.")
    row = Config.objects.select_for_update().filter(id=config_id, vanished_at__isnull=True).first()
    if row is None:
        raise invalid("/config", "There is no such configuration in the mirror: sync first.")
    place = (row.program_id, row.account_id, row.product_type_id)
    if place != (operation.program_serial, operation.account_id, operation.intent["product_type_id"]):
        raise invalid("/config", "This configuration lies in another account or program, or is for another product.")
    if _is_somebodys(row, operation):
        raise invalid("/config", "This configuration is somebody's: another operation made it, or others depend on it.")
    if row.tenant_id != operation.tenant_id:
        row.tenant_id = operation.tenant_id
        row.save(update_fields=["tenant"])
    return Stored(config_id=row.id, followups=follow_config(operation, row))


def _is_somebodys(config: Config, operation: Operation) -> bool:
    """Whether another than the operation's tenant would lose it, or another operation has it already."""
    if config.tenant_id not in {None, operation.tenant_id}:
        return True
    made = Operation.objects.filter(
        kind=Operation.Kind.CREATE_CONFIG, state=Operation.State.SUCCEEDED, config_id=config.id
    )
    if made.exists():
        return True
    if operation.tenant_id is None:  # a config of the catalogue may well be in use
        return False
    others = Entitlement.objects.filter(config=config, tenant_id__isnull=False).exclude(tenant=operation.tenant_id)
    return others.exists() or config.offers.exclude(tenant=operation.tenant_id).exists()
