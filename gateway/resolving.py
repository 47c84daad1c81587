"""Settle an unknown operation on a person's word, where only a person can tell."""

from collections.abc import Sequence
from uuid import UUID

from gateway.models import Operation
from gateway.operations import JOURNAL, add_evidence, find_operation, plan_operation, settle_succeeded
from gateway.provisioning.writes.by_hand import adopt_by_hand, finish_by_hand
from gateway.reconciliation import end_or_send_again
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.problems import Problem

State = Operation.State


def resolve_operation(
    actor: Actor, operation_id: UUID, *, done: bool, reason: str, entitlements: Sequence[str] = ()
) -> Operation:
    """A person's word on an unknown operation. `done` = it was done elsewhere or is dealt with; else it was not. Problem `state_conflict`.

    `entitlements` = what a creation made, as the person found out: they become its tenant's. Problem `invalid` for what the mirror does
    not know or somebody owns.
    """
    with acting_as(actor):
        find_operation(actor, operation_id)
        row = Operation.objects.select_for_update().get(id=operation_id)
        if row.state != State.UNKNOWN:
            raise Problem(
                "state_conflict", f"This operation is {row.state}; only an unknown one can be resolved by hand."
            )
        add_evidence(row, {"resolved_by": actor.name, "done": done, "reason": reason})
        if entitlements:
            with acting_as(JOURNAL):
                adopt_by_hand(row, entitlements, done=done)
        if done:
            serials = list(entitlements) or row.serial_numbers
            with acting_as(JOURNAL):
                followups = finish_by_hand(row)
            settle_succeeded(row, serial_numbers=serials, config_id=row.config_id)
            for followup in followups:
                plan_operation(JOURNAL, followup, deferred=True)
        else:
            end_or_send_again(row)
        record_audit(
            actor,
            "operation.resolved",
            subject_type="operation",
            subject_key=row.id,
            tenant_id=row.tenant_id,
            after={"done": done},  # the reason is written for the operator: it stands in the evidence
        )
        return find_operation(actor, operation_id)
