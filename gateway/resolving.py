"""A person's word on an operation whose outcome nobody could tell."""

from collections.abc import Sequence
from uuid import UUID

from gateway.models import Operation
from gateway.operations import JOURNAL, add_evidence, find_operation, settle_failed, settle_succeeded
from gateway.provisioning.closing import settle_stored
from gateway.provisioning.writes.by_hand import adopt_by_hand, take_config_by_hand
from gateway.reconciliation import NOT_DONE
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.problems import Problem

State = Operation.State


def resolve_operation(
    actor: Actor,
    operation_id: UUID,
    *,
    done: bool,
    reason: str,
    entitlements: Sequence[str] = (),
    config: int | None = None,
) -> Operation:
    """`done` = it was done elsewhere or is dealt with; else it was not. Problem `state_conflict` unless it is unknown.

    `entitlements` = what a creation made, as the person found out: they become its tenant's. `config` = which one the creation of a
    config made: it becomes its tenant's, and what was asked for together with it follows, as if its answer had come. Problem `invalid`
    for what the mirror does not know or somebody owns.
    """
    with acting_as(actor):
        find_operation(actor, operation_id)
        row = Operation.objects.select_for_update().get(id=operation_id)
        if row.state != State.UNKNOWN:
            raise Problem(
                "state_conflict", f"This operation is {row.state}; only an unknown one can be resolved by hand."
            )
        add_evidence(row, {"resolved_by": actor.name, "done": done, "reason": reason})
        with acting_as(JOURNAL):
            stored = take_config_by_hand(row, config, done=done) if config is not None else None
            if entitlements:
                adopt_by_hand(row, entitlements, done=done)
        if stored is not None:
            settle_stored(row, stored)
        elif done:
            serials = list(entitlements) or row.serial_numbers
            settle_succeeded(row, serial_numbers=serials, config_id=row.config_id)
        else:
            settle_failed(row, code="not_done", detail=NOT_DONE)
        record_audit(
            actor,
            "operation.resolved",
            subject_type="operation",
            subject_key=row.id,
            tenant_id=row.tenant_id,
            after={"done": done},  # the reason is written for the operator: it stands in the evidence
        )
    with acting_as(actor):
        return find_operation(actor, operation_id)
