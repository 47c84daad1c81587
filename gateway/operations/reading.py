"""Operations as people meet them: found, shown, cancelled."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from gateway.gate import expected_seconds
from gateway.models import ApiUser, Operation
from gateway.operations.links import NO_LINKS, Links, find_links
from gateway.operations.settling import FIRST_LOOK_SECONDS, JOURNAL, State, settle_failed
from gateway.operations.traces import brings_the_tag
from tenants import clock
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.problems import Problem, not_found

A_PERSON_LOOKS_SECONDS = 900  # nothing will be known sooner


def find_operation(actor: Actor, operation_id: UUID) -> Operation:
    """Inside an open `acting_as`; Problem `not_found` for what is not the actor's."""
    operation = Operation.objects.visible_to(actor).select_related("tenant").filter(id=operation_id).first()
    if operation is None:
        raise not_found()
    return operation


def find_positions(operations: Sequence[Operation]) -> dict[UUID, int]:
    """Where each planned one stands among its own tenant's at its API user, 1 = next. One query, none where nothing is planned."""
    planned = [operation for operation in operations if operation.state == State.PLANNED]
    if not planned:
        return {}
    with acting_as(JOURNAL):
        rows = Operation.objects.filter(
            state=State.PLANNED, api_user__in={row.api_user_id for row in planned}
        ).annotate(
            position=Window(
                RowNumber(), partition_by=[F("api_user"), F("tenant"), F("background")], order_by=F("id").asc()
            )
        )
        wanted = {row.id for row in planned}
        return {id: position for id, position in rows.values_list("id", "position") if id in wanted}


def seconds_until_sent(operation: Operation) -> int:
    """When to look again: what FortiFlex needs for the tenant's own writes before it, in coarse steps, or an unknown outcome's next look.

    What others have in the queue is not counted: how many they are is not this tenant's to learn.
    """
    if operation.state == State.SENT:
        return FIRST_LOOK_SECONDS  # it is under way: the answer comes before anybody would look for it
    if operation.state != State.PLANNED:
        if operation.next_check_at is None:
            return A_PERSON_LOOKS_SECONDS
        return max(FIRST_LOOK_SECONDS, round((operation.next_check_at - clock.now()).total_seconds()))
    with acting_as(JOURNAL):
        waiting = Operation.objects.filter(api_user=operation.api_user_id, state=State.PLANNED, background=False)
        own = waiting.filter(tenant=operation.tenant, id__lte=operation.id).count()
        return expected_seconds(ApiUser.objects.get(pk=operation.api_user_id), own)


def describe_operation(operation: Operation, actor: Actor) -> dict[str, Any]:
    """An operation as the API shows it. FortiFlex's own text is for the operator."""
    return describe_operations([operation], actor)[operation.id]


def describe_operations(operations: Sequence[Operation], actor: Actor) -> dict[UUID, dict[str, Any]]:
    """Each as `describe_operation` does, by id. At most two questions for a whole page: places in the queue, and what came before and after."""
    positions, links = find_positions(operations), find_links(actor, operations)
    return {row.id: _describe(row, actor, positions.get(row.id), links.get(row.id, NO_LINKS)) for row in operations}


def _describe(operation: Operation, actor: Actor, position: int | None, links: Links) -> dict[str, Any]:
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
        "position": position,
        "follows": links.follows,
        "followed_by": links.followed_by,
    }


def cancel_operation(actor: Actor, operation_id: UUID) -> Operation:
    """End a planned operation unsent. Problem `state_conflict` once it was sent: what reached FortiFlex can't be called back.

    Nor can a tenant call back what tags its own: whose it is stands upstream for everybody who looks there.
    """
    with acting_as(actor):
        find_operation(actor, operation_id)
        with acting_as(JOURNAL):
            operation = Operation.objects.select_for_update().get(id=operation_id)
            if operation.state != State.PLANNED:
                raise Problem(
                    "state_conflict", f"This operation is {operation.state}; only a planned one can be cancelled."
                )
            if brings_the_tag(operation) and not actor.sees_every_tenant:
                raise Problem("state_conflict", "This brings your text to what you had created; it can't be cancelled.")
            settle_failed(operation, code="cancelled", detail="Cancelled before it was sent.")
        _audit_decision(actor, operation, "operation.cancelled", {})
        return find_operation(actor, operation_id)


def _audit_decision(actor: Actor, operation: Operation, action: str, after: dict[str, Any]) -> None:
    record_audit(
        actor, action, subject_type="operation", subject_key=operation.id, tenant_id=operation.tenant_id, after=after
    )
