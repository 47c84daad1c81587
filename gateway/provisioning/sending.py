"""Send a planned operation and settle it. The journal commits before the call; no transaction is open while it is under way."""

from collections.abc import Callable
from uuid import UUID

from django.conf import settings

from gateway.fortiflex.errors import FortiFlexError, NotDone, NotSent, OutcomeUnknown
from gateway.gate import Asker, GateClosed, Standing, Turn, Why, take_turn, take_turn_at_once
from gateway.models import ApiUser, Operation
from gateway.operations import JOURNAL, leave_to_worker, lock_planned
from gateway.ownership import ensure_flipped
from gateway.provisioning.claiming import Claimed, claim_at_once, claim_for_sending, settle_failure
from gateway.provisioning.closing import Sent, close_answered, close_not_done, close_unknown, read_operation
from gateway.provisioning.drafts import Draft
from gateway.provisioning.failures import explain_failure
from gateway.provisioning.writes.registry import WRITES
from gateway.upstream import INTERACTIVE_WAIT, client_for
from tenants.context import acting_as
from tenants.secrets import SecretUnreadable

FOLLOWUPS_AT_ONCE = 2  # more than these wait for the worker, so that an answer does not take minutes
PROBE_WAIT = 5.0


def start_at_once(operation: Operation, *, draft: Draft | None = None) -> Turn | None:
    """Claim a planned operation where the lane is free, for `send_operation`, which gives the lane back; None = it has to wait its turn.

    `draft` = it is not journaled yet; it is then. Problems of that.
    """
    ensure_flipped()  # what changed hands at midnight is not sent for the owner before
    claim = claim_at_once(operation, draft)
    if claim is None:
        if draft is not None:
            draft.journal()
        return None
    return take_turn_at_once(
        operation.api_user, _asker_of(operation), call_seconds=settings.FLEXGATE_CALL_SECONDS, claim=claim
    )


def close_unsent(turn: Turn) -> None:
    """What was claimed by `start_at_once` and can't be sent, as where the process ends: not done, and the lane is free."""
    claimed: Claimed = turn.claimed
    with turn.held():
        close_not_done(claimed.operation, claimed.attempt, NotSent("The process could not send it."), turn)


def send_operation(
    operation: Operation, *, wait_seconds: float = INTERACTIVE_WAIT, turn: Turn | None = None
) -> Operation:
    """Send a planned operation, once, and settle what came of it; the row as it stands then. Somebody else's is left to them.

    It stays planned until the lane is ours. Whom the queue keeps waiting longer than `wait_seconds` leaves it to the worker; where the
    gate is shut for longer, it ends as not done and says when to come again. `turn` = the lane is held for it already.
    """
    try:
        if turn is not None:
            with turn.held():
                sent: Sent | None = _send(turn.claimed, turn)
        else:
            sent = in_turn(
                operation.api_user,
                _asker_of(operation),
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
                call_seconds=settings.FLEXGATE_CALL_SECONDS,
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


def _send(claimed: Claimed, turn: Turn) -> Sent:
    operation, attempt = claimed.operation, claimed.attempt
    try:
        answer = WRITES[operation.kind].send(client_for(operation.api_user, turn=turn), attempt.request)
    except NotDone as error:
        return close_not_done(operation, attempt, error, turn)
    except SecretUnreadable as error:
        return close_not_done(operation, attempt, NotSent(str(error)), turn)
    except OutcomeUnknown as error:
        return close_unknown(operation, attempt, error, turn)
    return close_answered(operation, attempt, answer, turn)


def _asker_of(operation: Operation) -> Asker:
    return Asker(Standing.BACKGROUND if operation.background else Standing.PEOPLE, operation.tenant_id)


def _end_or_leave(operation_id: UUID, closed: GateClosed) -> None:
    """What the queue alone kept waiting is left to the worker, and what the worker found shut stays where it is."""
    with acting_as(JOURNAL):
        row = lock_planned(operation_id)
        if row is None:
            return
        if row.deferred or closed.why is Why.QUEUE:
            leave_to_worker(row, seconds=closed.seconds if row.deferred else 0)
        else:
            settle_failure(row, explain_failure(closed))
