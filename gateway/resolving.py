"""A person's word on an operation whose outcome nobody could tell."""

from collections.abc import Sequence
from uuid import UUID

from gateway.models import Operation
from gateway.operations import JOURNAL, add_evidence, find_operation
from gateway.provisioning.closing import settle_stored
from gateway.provisioning.writes.by_hand import adopt_by_hand, finish_by_hand, take_config_by_hand
from gateway.provisioning.writes.write import Stored
from gateway.reconciliation import end_or_send_again
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

    `entitlements` = all that a creation made, as the person found out: they become its tenant's, and fewer than were asked for are a
    creation done in part. `config` = which one the creation of a
    config made: it becomes its tenant's, and what was asked for together with it follows, as if its answer had come. Problem `invalid`
    for what the mirror does not know, what somebody owns, and what stands elsewhere than this operation puts it.
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
            stored = _what_it_came_to(row, done=done, entitlements=entitlements, config=config)
        if stored is None:
            end_or_send_again(row)
        else:
            settle_stored(row, stored)
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


def _what_it_came_to(row: Operation, *, done: bool, entitlements: Sequence[str], config: int | None) -> Stored | None:
    """None = it was not done."""
    if config is not None:
        return take_config_by_hand(row, config, done=done)
    if entitlements:
        adopt_by_hand(row, entitlements, done=done)
        asked = len(row.intent.get("serial_numbers", ())) or int(row.intent.get("count", 1))
        return Stored(entitlements, row.config_id, missing=max(0, asked - len(entitlements)))
    return finish_by_hand(row) if done else None
