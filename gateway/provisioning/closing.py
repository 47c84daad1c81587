"""From sent to settled: what came of a call is written down, and the lane given back, in one transaction."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from gateway.catalogue import find_product_type
from gateway.fortiflex.errors import NotDone, OutcomeUnknown
from gateway.fortiflex.records import Answer
from gateway.gate import Turn
from gateway.ledger.order import WAIT_FOR_STORED_DAYS
from gateway.models import Attempt, Operation
from gateway.operations import (
    JOURNAL,
    TRY_AGAIN_CODES,
    close_attempt,
    finish_attempt,
    is_still_sent,
    lock_row,
    note_late_answer,
    plan_operation,
    send_again_later,
    settle_failed,
    settle_succeeded,
    settle_unknown,
)
from gateway.provisioning.claiming import settle_failure
from gateway.provisioning.failures import explain_failure
from gateway.provisioning.writes.births import may_be_known, write_births
from gateway.provisioning.writes.registry import WRITES
from gateway.provisioning.writes.write import NotOurs, Stored, WrongAnswer
from tenants.context import acting_as, write_if
from tenants.last_words import collect_words
from tenants.rows import Statement, copy_of

LONGEST_PUT_OFF = 60
log = structlog.get_logger("flexgate.operations")


@dataclass(slots=True)
class Sent:
    """The operation as it stands after sending, and what was planned to follow."""

    operation: Operation
    followups: list[UUID] = field(default_factory=list)


def read_operation(operation_id: UUID) -> Operation:
    with acting_as(JOURNAL):
        return Operation.objects.select_related("tenant", "api_user").get(id=operation_id)


def close_not_done(operation: Operation, attempt: Attempt, error: NotDone, turn: Turn) -> Sent:
    product_type_id = operation.intent.get("product_type_id")
    product = find_product_type(operation.api_user.api_url, product_type_id) if product_type_id else None
    failure = explain_failure(error, kind=operation.kind, product=product)
    with acting_as(JOURNAL):
        row = close_attempt(operation, attempt, outcome=type(error).__name__.lower(), exchange=error.exchange)
        if row is not None and row.deferred and failure.code in TRY_AGAIN_CODES:
            # Nobody waits for it, and its time will come: soon after the gate opens, which a new password does at once.
            send_again_later(row, seconds=min(failure.retry_after or 30, LONGEST_PUT_OFF))
        elif row is not None:
            settle_failure(row, failure)
        turn.give_back_here()
    return Sent(row or read_operation(operation.id))


def close_unknown(operation: Operation, attempt: Attempt, error: OutcomeUnknown, turn: Turn) -> Sent:
    with acting_as(JOURNAL):
        row = close_attempt(operation, attempt, outcome=error.reason, exchange=error.exchange)
        if row is not None:
            settle_unknown(row, reason=f"{error.reason}: {error}")
        turn.give_back_here()
    return Sent(row or read_operation(operation.id))


def close_answered(operation: Operation, attempt: Attempt, answer: Answer[Any], turn: Turn) -> Sent:
    """An answer that can't be stored as ours leaves the outcome to a person."""
    try:
        if (sent := _close_birth(operation, attempt, answer, turn)) is not None:
            return sent
        with acting_as(JOURNAL):
            row = close_attempt(operation, attempt, outcome="answered", exchange=answer.exchange)
            if row is None:
                note_late_answer(operation, attempt, answer.value)
                followups = []
            else:
                followups = settle_stored(row, WRITES[row.kind].store(row, answer.value))
            turn.give_back_here()
        return Sent(row or read_operation(operation.id), followups)
    except Exception as error:
        # Whatever it is: the answer is kept, and what it says is looked for again.
        if isinstance(error, (NotOurs, WrongAnswer, LookupError)):
            log.warning("answer not stored", operation=str(operation.id), reason=str(error))
        else:
            log.exception("answer not stored", operation=str(operation.id))
        with acting_as(JOURNAL):
            row = close_attempt(operation, attempt, outcome="answered", exchange=answer.exchange)
            if row is not None:
                # What somebody owns is for a person; what the mirror does not know yet, the next look may.
                settle_unknown(row, reason=f"answered: {error}", look_again=not isinstance(error, NotOurs))
        return Sent(row or read_operation(operation.id))


def _close_birth(operation: Operation, attempt: Attempt, answer: Answer[Any], turn: Turn) -> Sent | None:
    """A creation that made as many as were asked for, which nobody has heard of before: all that `close_answered` does, in one round trip.

    None, and nothing done, where anything is otherwise.
    """
    config, found = operation.loaded_config, answer.value
    if (
        operation.kind != Operation.Kind.CREATE_VM
        or config is None
        or {record.config_id for record in found} != {config.id}
    ):
        return None
    serials = [record.serial_number for record in found]
    if len(set(serials)) != operation.intent["count"] or len(serials) != operation.intent["count"]:
        return None
    row = copy_of(operation)
    known, unsettled = may_be_known(operation, found), is_still_sent(operation, attempt)
    with collect_words() as words:
        row.made = write_births(row, found, {config.id: config})
        settle_succeeded(row, serial_numbers=serials, config_id=row.config_id)
        turn.write_back()
    done = write_if(
        JOURNAL,
        locks=[lock_row(row), Statement(WAIT_FOR_STORED_DAYS, [])],
        holds=Statement(f"{unsettled.text} AND NOT {known.text}", [*unsettled.values, *known.values]),
        words=[finish_attempt(attempt, outcome="answered", exchange=answer.exchange), *words],
    )
    if done is None:
        return None
    turn.note_given_back()
    return Sent(row)


def settle_stored(operation: Operation, stored: Stored) -> list[UUID]:
    """Settle a locked operation as its evidence was stored, and plan what follows. Inside an open `acting_as`."""
    operation.serial_numbers, operation.config_id = list(stored.serial_numbers), stored.config_id
    if stored.missing:
        made, asked = len(stored.serial_numbers), len(stored.serial_numbers) + stored.missing
        if operation.kind.startswith("create_"):
            detail = f"FortiFlex made {made} of the {asked} entitlements; these are yours, the others were not made."
            settle_failed(operation, code="partly_created", detail=detail)
        else:
            detail = f"FortiFlex did it for {made} of the {asked} entitlements, which are named here."
            settle_failed(operation, code="partly_done", detail=detail)
    else:
        settle_succeeded(operation, serial_numbers=stored.serial_numbers, config_id=stored.config_id)
    return [plan_operation(JOURNAL, followup, deferred=True).id for followup in stored.followups]
