"""Send a planned operation and settle it. The journal commits before the call; no transaction is open while it is under way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from gateway.catalogue import find_product_type
from gateway.fortiflex.errors import FortiFlexError, NotDone, NotSent, OutcomeUnknown
from gateway.fortiflex.records import Answer
from gateway.gate import Asker, GateClosed, Standing, Turn, Why, take_turn
from gateway.models import ApiUser, Attempt, Operation
from gateway.operations import (
    JOURNAL,
    TRY_AGAIN_CODES,
    claim_planned,
    close_attempt,
    leave_to_worker,
    lock_planned,
    note_late_answer,
    plan_operation,
    send_again_later,
    settle_failed,
    settle_succeeded,
    settle_unknown,
)
from gateway.ownership import ensure_flipped
from gateway.provisioning.failures import Failure, explain_failure
from gateway.provisioning.standing import why_unsendable
from gateway.provisioning.writes.registry import WRITES
from gateway.provisioning.writes.write import NotOurs, Stored, WrongAnswer
from gateway.tags import make_tag
from gateway.upstream import CALL_SECONDS, INTERACTIVE_WAIT, client_for
from tenants import clock
from tenants.context import acting_as, write_last
from tenants.secrets import SecretUnreadable

log = structlog.get_logger("flexgate.operations")
FOLLOWUPS_AT_ONCE = 2  # more than these wait for the worker, so that an answer does not take minutes
PROBE_WAIT = 5.0


@dataclass(frozen=True, slots=True)
class Claimed:
    operation: Operation
    attempt: Attempt


@dataclass(slots=True)
class Sent:
    """The operation as it stands after sending, and what was planned to follow."""

    operation: Operation
    followups: list[UUID] = field(default_factory=list)


def send_operation(operation: Operation, *, wait_seconds: float = INTERACTIVE_WAIT) -> Operation:
    """Send a planned operation, once, and settle what came of it; the row as it stands then. Somebody else's is left to them.

    It stays planned until the lane is ours. Whom the queue keeps waiting longer than `wait_seconds` leaves it to the worker; where the
    gate is shut for longer, it ends as not done and says when to come again.
    """
    standing = Standing.BACKGROUND if operation.background else Standing.PEOPLE
    try:
        sent = in_turn(
            operation.api_user,
            Asker(standing, operation.tenant_id),
            wait_seconds=wait_seconds,
            claim=lambda: claim_for_sending(operation),
        )
    except GateClosed as closed:
        _end_or_leave(operation.id, closed)
        sent = None
    if sent is None:
        return read_operation(operation.id)
    for followup in sent.followups[:FOLLOWUPS_AT_ONCE]:
        send_operation(read_operation(followup), wait_seconds=wait_seconds)
    return sent.operation


def in_turn(
    api_user: ApiUser,
    asker: Asker,
    *,
    wait_seconds: float,
    claim: Callable[[], "Claimed | None"],
    stands_for: Callable[[], UUID | None] | None = None,
) -> Sent | None:
    """Send what `claim` finds, the lane in hand; None if it found nothing. GateClosed where the lane can't be had.

    After a silence of FortiFlex a read goes first: a write into it would most likely end unknown.
    """
    ensure_flipped()  # what changed hands at midnight is not sent for the owner before
    for probed in (False, True):
        try:
            with take_turn(
                api_user,
                asker,
                wait_seconds=wait_seconds,
                call_seconds=CALL_SECONDS,
                writes=True,
                stands_for=stands_for,
                claim=claim,
            ) as turn:
                return None if turn is None else _send(turn.claimed, turn)
        except GateClosed as closed:
            if probed or closed.why is not Why.PROBE:
                raise
        try:
            client_for(api_user, interactive=True, wait_seconds=PROBE_WAIT).list_programs()
        except GateClosed:
            raise
        except FortiFlexError as error:
            raise GateClosed(f"FortiFlex does not answer: {error}", seconds=30, why=Why.SILENT) from error
    raise AssertionError("unreachable")


def claim_for_sending(operation: Operation) -> Claimed | None:
    """planned → sent with the attempt's row, or its end where it may not be sent any more. In the transaction that takes the lane."""
    is_first = operation.sent_at is None
    if not claim_planned(operation):
        return None
    if (failure := why_unsendable(operation)) is not None:
        _settle_failure(operation, failure)
        return None
    return Claimed(operation, _open_attempt(operation, is_first=is_first))


def _send(claimed: Claimed, turn: Turn) -> Sent:
    operation, attempt = claimed.operation, claimed.attempt
    try:
        answer = WRITES[operation.kind].send(client_for(operation.api_user, turn=turn), attempt.request)
    except NotDone as error:
        return _close_not_done(operation, attempt, error, turn)
    except SecretUnreadable as error:
        return _close_not_done(operation, attempt, NotSent(str(error)), turn)
    except OutcomeUnknown as error:
        with acting_as(JOURNAL):
            row = close_attempt(operation, attempt, outcome=error.reason, exchange=error.exchange)
            if row is not None:
                settle_unknown(row, reason=f"{error.reason}: {error}")
            turn.give_back_here()
        return Sent(row or read_operation(operation.id))
    return _close_answered(operation, attempt, answer, turn)


def read_operation(operation_id: UUID) -> Operation:
    with acting_as(JOURNAL):
        return Operation.objects.select_related("tenant", "api_user").get(id=operation_id)


def _end_or_leave(operation_id: UUID, closed: GateClosed) -> None:
    """What the queue alone kept waiting is left to the worker, and what the worker found shut stays where it is."""
    with acting_as(JOURNAL):
        row = lock_planned(operation_id)
        if row is None:
            return
        if row.deferred or closed.why is Why.QUEUE:
            leave_to_worker(row, seconds=closed.seconds if row.deferred else 0)
        else:
            _settle_failure(row, explain_failure(closed))


def _settle_failure(operation: Operation, failure: Failure) -> None:
    settle_failed(
        operation,
        code=failure.code,
        detail=failure.detail,
        upstream=failure.upstream,
        retry_after=failure.retry_after,
    )


def _open_attempt(operation: Operation, *, is_first: bool) -> Attempt:
    number = 1 if is_first else operation.attempts.count() + 1
    tag = make_tag(operation.tenant.slug if operation.tenant else None, operation.id, number)
    request = WRITES[operation.kind].build_request(operation, tag)
    attempt = Attempt(
        operation=operation,
        tenant_id=operation.tenant_id,
        number=number,
        tag=tag,
        request=request,
        sent_at=operation.sent_at or clock.now(),
    )
    write_last([attempt])
    return attempt


def _close_not_done(operation: Operation, attempt: Attempt, error: NotDone, turn: Turn) -> Sent:
    product_type_id = operation.intent.get("product_type_id")
    product = find_product_type(operation.api_user.api_url, product_type_id) if product_type_id else None
    failure = explain_failure(error, kind=operation.kind, product=product)
    with acting_as(JOURNAL):
        row = close_attempt(operation, attempt, outcome=type(error).__name__.lower(), exchange=error.exchange)
        if row is not None and row.deferred and failure.code in TRY_AGAIN_CODES:
            send_again_later(row, seconds=failure.retry_after or 30)  # nobody waits for it, and its time will come
        elif row is not None:
            _settle_failure(row, failure)
        turn.give_back_here()
    return Sent(row or read_operation(operation.id))


def _close_answered(operation: Operation, attempt: Attempt, answer: Answer[Any], turn: Turn) -> Sent:
    """An answer that can't be stored as ours leaves the outcome to a person."""
    try:
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
