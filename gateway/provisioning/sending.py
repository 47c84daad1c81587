"""Send a planned operation and settle it. The journal commits before the call; no transaction is open while it is under way."""

from typing import Any
from uuid import UUID

import structlog

from gateway.catalogue import find_product_type
from gateway.fortiflex.errors import (
    NotDone,
    NotSent,
    OutcomeUnknown,
)
from gateway.fortiflex.records import Answer
from gateway.models import Attempt, Operation
from gateway.operations import (
    JOURNAL,
    add_evidence,
    claim_planned,
    finish_attempt,
    lock_unsettled,
    plan_operation,
    settle_failed,
    settle_succeeded,
    settle_unknown,
)
from gateway.provisioning.failures import explain_failure
from gateway.provisioning.standing import why_unsendable
from gateway.provisioning.writes.registry import WRITES
from gateway.provisioning.writes.write import NotOurs, Stored, WrongAnswer
from gateway.tags import make_tag
from gateway.upstream import client_for
from tenants import clock
from tenants.context import acting_as
from tenants.events import record_event
from tenants.secrets import SecretUnreadable

log = structlog.get_logger("flexgate.operations")
FOLLOWUPS_AT_ONCE = 2  # more than these wait for the worker, so that an answer does not take minutes


def send_operation(operation_id: UUID) -> Operation:
    """Send a planned operation, once, and settle what came of it; the row as it stands then. Somebody else's is left to them."""
    with acting_as(JOURNAL):
        operation = claim_planned(operation_id)
        if operation is None:
            return Operation.objects.select_related("tenant").get(id=operation_id)
        if (reason := why_unsendable(operation)) is not None:
            settle_failed(operation, code="not_available", detail=reason)
            return operation
        attempt = _open_attempt(operation)
    followups: list[UUID] = []
    client = client_for(operation.api_user, interactive=True)
    try:
        answer = WRITES[operation.kind].send(client, attempt.request)
    except NotDone as error:
        _close_not_done(operation, attempt, error)
    except SecretUnreadable as error:
        _close_not_done(operation, attempt, NotSent(str(error)))
    except OutcomeUnknown as error:
        with acting_as(JOURNAL):
            finish_attempt(attempt, outcome=error.reason, exchange=error.exchange)
            row = lock_unsettled(operation.id, attempt=attempt.number)
            if row is not None:
                settle_unknown(row, reason=f"{error.reason}: {error}")
    else:
        followups = _close_answered(operation, attempt, answer)
    for followup in followups[:FOLLOWUPS_AT_ONCE]:
        send_operation(followup)
    with acting_as(JOURNAL):
        return Operation.objects.select_related("tenant").get(id=operation_id)


def _open_attempt(operation: Operation) -> Attempt:
    number = operation.attempts.count() + 1
    tag = make_tag(operation.tenant.slug if operation.tenant else None, operation.id, number)
    request = WRITES[operation.kind].build_request(operation, tag)
    return Attempt.objects.create(
        operation=operation,
        tenant_id=operation.tenant_id,
        number=number,
        tag=tag,
        request=request,
        sent_at=operation.sent_at or clock.now(),
    )


def _close_not_done(operation: Operation, attempt: Attempt, error: NotDone) -> None:
    product_type_id = operation.intent.get("product_type_id")
    product = find_product_type(operation.api_user.api_url, product_type_id) if product_type_id else None
    failure = explain_failure(error, kind=operation.kind, product=product)
    with acting_as(JOURNAL):
        finish_attempt(attempt, outcome=type(error).__name__.lower(), exchange=error.exchange)
        row = lock_unsettled(operation.id, attempt=attempt.number)
        if row is not None:
            settle_failed(
                row,
                code=failure.code,
                detail=failure.detail,
                upstream=failure.upstream,
                retry_after=failure.retry_after,
            )


def _close_answered(operation: Operation, attempt: Attempt, answer: Answer[Any]) -> list[UUID]:
    """The ids of the operations that follow. An answer that can't be stored as ours leaves the outcome to a person."""
    try:
        with acting_as(JOURNAL):
            finish_attempt(attempt, outcome="answered", exchange=answer.exchange)
            row = lock_unsettled(operation.id, attempt=attempt.number)
            if row is None:
                _note_late_answer(operation, attempt, answer.value)
                return []
            return settle_stored(row, WRITES[row.kind].store(row, answer.value))
    except (NotOurs, WrongAnswer, LookupError) as error:
        log.warning("answer not stored", operation=str(operation.id), reason=str(error))
        with acting_as(JOURNAL):
            finish_attempt(attempt, outcome="answered", exchange=answer.exchange)
            row = lock_unsettled(operation.id, attempt=attempt.number)
            if row is not None:
                # What somebody owns is for a person; what the mirror does not know yet, the next look may.
                settle_unknown(row, reason=f"answered: {error}", look_again=not isinstance(error, NotOurs))
        return []


def settle_stored(operation: Operation, stored: Stored) -> list[UUID]:
    """Settle a locked operation as its evidence was stored, and plan what follows. Inside an open `acting_as`."""
    operation.serial_numbers, operation.config_id = list(stored.serial_numbers), stored.config_id
    if stored.missing:
        made = len(stored.serial_numbers)
        detail = f"FortiFlex made {made} of the {made + stored.missing} entitlements; these are yours, the others were not made."
        settle_failed(operation, code="partly_created", detail=detail)
    else:
        settle_succeeded(operation, serial_numbers=stored.serial_numbers, config_id=stored.config_id)
    return [plan_operation(JOURNAL, followup, deferred=True).id for followup in stored.followups]


def _note_late_answer(operation: Operation, attempt: Attempt, value: Any) -> None:
    """FortiFlex did it after we had settled that it did not: a person has to look at what stands there now."""
    serials = [record.serial_number for record in value] if isinstance(value, list) else []
    row = Operation.objects.select_for_update().get(id=operation.id)
    add_evidence(row, {"late_answer_of_attempt": attempt.number, "entitlements": serials})
    row.save(update_fields=["evidence"])
    record_event(
        "reconciliation.duplicate",
        subject_type="operation",
        subject_key=row.id,
        tenant_id=row.tenant_id,
        data={"entitlements": serials, "attempt": attempt.number},
    )
