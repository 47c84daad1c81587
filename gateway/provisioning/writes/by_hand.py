"""What a person found out about a write whose outcome nobody could tell: these entitlements are its, and what was to follow follows."""

from collections.abc import Sequence
from datetime import date

from gateway.config_names import join_suffix
from gateway.fortiflex.days import billing_day_at
from gateway.models import Assignment, Config, Entitlement, Operation, Program
from gateway.operations import CREATIONS, JOURNAL, Plan, plan_operation
from gateway.ownership import end_ownership, own_new_serials
from gateway.provisioning.writes.changes import restore_end
from gateway.provisioning.writes.configs import plan_followups
from gateway.provisioning.writes.creates import describe_later
from gateway.provisioning.writes.storing import gone_devices
from tenants import clock
from tenants.problems import Problem, invalid


def adopt_by_hand(operation: Operation, serials: Sequence[str], *, done: bool) -> None:
    """Give mirrored serials that nobody owns to the operation's tenant, from the day it was sent. Inside a context of the gateway."""
    if not done or operation.kind not in CREATIONS:
        raise invalid("/entitlements", "Only a creation that was done can have made entitlements.")
    known = set(Entitlement.objects.filter(serial_number__in=serials).values_list("serial_number", flat=True))
    owned = set(Assignment.objects.filter(serial_number__in=serials).values_list("serial_number", flat=True))
    gone = set(gone_devices(operation, serials))
    errors = [
        {"pointer": f"/entitlements/{index}", "detail": "Nobody's in the mirror: sync first, or it is somebody's."}
        for index, serial in enumerate(serials)
        if serial not in known or serial in owned - gone
    ]
    if errors:
        raise Problem("invalid", "Name entitlements that are mirrored and that nobody ever owned.", errors=errors)
    if gone:
        end_ownership(JOURNAL, serials=sorted(gone), on=billing_day_at(operation.sent_at or clock.now()))
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


def finish_by_hand(operation: Operation) -> list[Plan]:
    """What follows a write that a person says was done; a config that it made becomes its tenant's. Inside a context of the gateway.

    Problem `state_conflict` while the mirror does not show that config: nobody could give it to its tenant later.
    """
    if operation.kind == Operation.Kind.REACTIVATE:
        program = Program.objects.get(serial_number=operation.program_serial)  # FortiFlex sets the end to the program's
        return restore_end(operation, config_id=operation.config_id, end_day=program.end_day or date.max)
    if operation.kind == Operation.Kind.CREATE_CONFIG:
        name = join_suffix(operation.intent["name"], operation.id)
        made = Config.objects.select_for_update().filter(upstream_name=name, vanished_at__isnull=True).first()
        if made is None:
            raise Problem(
                "state_conflict", "The mirror does not show what this made: sync first, or say it was not done."
            )
        made.tenant, operation.config_id = operation.tenant, made.id
        made.save(update_fields=["tenant"])
        return plan_followups(operation, made)
    if operation.kind == Operation.Kind.UPDATE_CONFIG:
        return plan_followups(operation, Config.objects.get(id=operation.config_id or 0))
    return []
