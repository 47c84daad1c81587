"""What a person found out about a creation whose outcome nobody could tell: these entitlements are its."""

from collections.abc import Sequence

from gateway.fortiflex.days import billing_day_at
from gateway.models import Assignment, Entitlement, Operation
from gateway.operations import CREATIONS, JOURNAL, plan_operation
from gateway.ownership import end_ownership, own_new_serials
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
