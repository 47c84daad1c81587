"""Operations as people meet them: found, shown, cancelled."""

from typing import Any
from uuid import UUID

from gateway.models import Operation
from gateway.operations.journal import JOURNAL, State, settle_failed
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.problems import Problem, not_found


def find_operation(actor: Actor, operation_id: UUID) -> Operation:
    """Inside an open `acting_as`; Problem `not_found` for what is not the actor's."""
    operation = Operation.objects.visible_to(actor).select_related("tenant").filter(id=operation_id).first()
    if operation is None:
        raise not_found()
    return operation


def describe_operation(operation: Operation, actor: Actor) -> dict[str, Any]:
    """An operation as the API shows it. FortiFlex's own text is for the operator."""
    error = None
    if operation.error is not None:
        error = {"code": operation.error["code"], "detail": operation.error["detail"]}
        if actor.sees_every_tenant:
            error["upstream"] = operation.error.get("upstream", "")
    return {
        "id": operation.id,
        "kind": operation.kind,
        "state": operation.state,
        "tenant": operation.tenant.slug if operation.tenant else None,
        "created_at": operation.created_at,
        "settled_at": operation.settled_at,
        "next_check_at": operation.next_check_at,
        "entitlements": operation.serial_numbers,
        "config": operation.config_id,
        "error": error,
        "points_per_day": operation.points_per_day,
        "request_id": operation.request_id,
    }


def cancel_operation(actor: Actor, operation_id: UUID) -> Operation:
    """End a planned operation unsent. Problem `state_conflict` once it was sent: what reached FortiFlex can't be called back."""
    with acting_as(actor):
        find_operation(actor, operation_id)
        with acting_as(JOURNAL):
            operation = Operation.objects.select_for_update().get(id=operation_id)
            if operation.state != State.PLANNED:
                raise Problem(
                    "state_conflict", f"This operation is {operation.state}; only a planned one can be cancelled."
                )
            settle_failed(operation, code="cancelled", detail="Cancelled before it was sent.")
        _audit_decision(actor, operation, "operation.cancelled", {})
        return find_operation(actor, operation_id)


def _audit_decision(actor: Actor, operation: Operation, action: str, after: dict[str, Any]) -> None:
    record_audit(
        actor, action, subject_type="operation", subject_key=operation.id, tenant_id=operation.tenant_id, after=after
    )
