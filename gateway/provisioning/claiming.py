"""From planned to sent: an operation is claimed with the attempt's row, in the transaction that takes the lane."""

from dataclasses import dataclass
from datetime import timedelta

from gateway.gate import Claim, share_left
from gateway.models import Attempt, Operation
from gateway.operations import CLAIM, State, claim_planned, lock_row, sent_seconds, settle_failed
from gateway.provisioning.drafts import Draft
from gateway.provisioning.failures import Failure
from gateway.provisioning.standing import is_not_suspended, is_plannable, is_switched_on, queue_has_room, why_unsendable
from gateway.provisioning.writes.registry import WRITES
from gateway.tags import make_tag
from tenants import clock
from tenants.last_words import Word, write_last
from tenants.rows import Statement, all_of, copy_of, new_row

STILL_PLANNED = "EXISTS (SELECT 1 FROM gateway_operation WHERE id = %s AND state = 'planned')"


@dataclass(frozen=True, slots=True)
class Claimed:
    operation: Operation
    attempt: Attempt


def claim_for_sending(operation: Operation) -> Claimed | None:
    """planned → sent with the attempt's row, or its end where it may not be sent any more. In the transaction that takes the lane."""
    is_first = operation.sent_at is None
    if not claim_planned(operation):
        return None
    if (failure := why_unsendable(operation)) is not None:
        settle_failure(operation, failure)
        return None
    attempt = _new_attempt(operation, 1 if is_first else operation.attempts.count() + 1)
    write_last([attempt])
    return Claimed(operation, attempt)


def claim_at_once(operation: Operation, draft: Draft | None) -> Claim | None:
    """The same as one step with the taking of a free lane, and with the journaling of what is a draft; None where more has to be looked at.

    A creation of VMs can be refused by nothing but its tenant's share of errors: what it makes does not exist yet.
    """
    if operation.kind != Operation.Kind.CREATE_VM or operation.background or operation.sent_at is not None:
        return None
    now = clock.now()
    sent = copy_of(operation)
    sent.state, sent.sent_at, sent.next_check_at = State.SENT, now, now + timedelta(seconds=sent_seconds())
    attempt = _new_attempt(sent, 1)
    room = share_left(operation.api_user_id, operation.tenant, now)
    conditions = [room, queue_has_room(operation), is_not_suspended(operation)]
    words: list[Word] = [attempt]
    if draft is None:
        locks, words = [lock_row(sent)], [Statement(CLAIM, [sent.sent_at, sent.next_check_at, sent.id]), attempt]
        conditions += [Statement(STILL_PLANNED, [sent.id]), is_switched_on(operation)]
        besides, otherwise = None, _nothing
    else:  # nobody sees it as planned: it is journaled as sent
        locks = []
        # What is unchanged was switched on.
        conditions += [is_plannable(operation, draft.fence), draft.unchanged or is_switched_on(operation)]
        besides, otherwise = (draft.actor, [sent if word is operation else word for word in draft.words]), draft.journal
    return Claim(
        locks=locks,
        holds=all_of(conditions),
        words=words,
        claimed=Claimed(sent, attempt),
        besides=besides,
        otherwise=otherwise,
    )


def settle_failure(operation: Operation, failure: Failure) -> None:
    settle_failed(
        operation,
        code=failure.code,
        detail=failure.detail,
        upstream=failure.upstream,
        retry_after=failure.retry_after,
    )


def _nothing() -> None:
    """Where there is no other way to take: it stands in the journal already."""


def _new_attempt(operation: Operation, number: int) -> Attempt:
    tag = make_tag(operation.tenant.slug if operation.tenant else None, operation.id, number)
    return new_row(
        Attempt,
        operation=operation,
        tenant_id=operation.tenant_id,
        number=number,
        tag=tag,
        request=WRITES[operation.kind].build_request(operation, tag),
        sent_at=operation.sent_at or clock.now(),
    )
