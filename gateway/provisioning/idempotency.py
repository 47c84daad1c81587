"""Idempotency keys of operations (tenants.idempotency): the row that the caller asked for is the memory; no answer is cached."""

from contextlib import nullcontext
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from gateway.models import Operation
from gateway.operations import (
    JOURNAL,
    Plan,
    State,
    followed_by,
    leads_on,
    may_try_again,
    plan_operation,
    reopen_operation,
)
from gateway.provisioning.closing import read_operation
from gateway.provisioning.drafts import Draft
from gateway.provisioning.manner import AS_USUAL, Manner
from gateway.provisioning.senders import send_within
from gateway.provisioning.standing import refuse_unplannable
from tenants import clock
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.idempotency import KEPT, USED_OTHERWISE, IdempotencyKey
from tenants.problems import Problem


@dataclass(frozen=True, slots=True)
class Outcome:
    """The operation that a request led to. `replayed` = an earlier request had asked for it."""

    operation: Operation
    replayed: bool = False


def find_earlier(actor: Actor, key: IdempotencyKey | None) -> Operation | None:
    """The operation that this key already led to. Problem `idempotency_mismatch` if it was asked for with another body."""
    if key is None:
        return None
    with acting_as(actor):
        earlier = Operation.objects.visible_to(actor).filter(idempotency_key=key.stored).first()
    if earlier is None:
        return None
    if earlier.created_at <= clock.now() - KEPT:
        with acting_as(JOURNAL):
            Operation.objects.filter(id=earlier.id).update(idempotency_key=None)
        return None
    if earlier.fingerprint != key.fingerprint:
        raise Problem("idempotency_mismatch", USED_OTHERWISE)
    return earlier


def start_operation(actor: Actor, plan: Plan, *, manner: Manner, earlier: Operation | None) -> Outcome:
    """Plan the operation, or take up `earlier` for its next attempt. Inside an open `acting_as(actor)`; of two at once, one plans."""
    refuse_unplannable(plan, fence=manner.fence)
    if earlier is not None:
        earlier = _last_of(Outcome(earlier)).operation
        return Outcome(earlier, replayed=not reopen_operation(earlier, plan, deferred=manner.deferred))
    try:
        # Only a key can be taken; a savepoint for it costs two statements.
        with transaction.atomic() if manner.key else nullcontext():
            made = plan_operation(
                actor,
                plan,
                key=manner.key.stored if manner.key else None,
                fingerprint=manner.key.fingerprint if manner.key else "",
                deferred=manner.deferred,
                repeat_key=manner.repeat_key,
            )
    except IntegrityError:
        found = find_earlier(actor, manner.key)
        if found is None:  # the same tenant's, and out of this narrowed token's sight
            raise Problem("idempotency_mismatch", USED_OTHERWISE) from None
        return Outcome(found, replayed=True)
    return Outcome(made)


def carry_out_draft(draft: Draft, manner: Manner) -> Outcome:
    """As `carry_out`, of what is not journaled yet. Problems of `refuse_unplannable`."""
    return _last_of(Outcome(send_within(draft.operation, manner.wait_seconds, draft=draft)))


def carry_out(outcome: Outcome, manner: Manner) -> Outcome:
    """Send what was planned, outside every context, unless the worker is to; wait for it as long as the caller wants."""
    if outcome.replayed or manner.deferred:
        return _last_of(Outcome(read_operation(outcome.operation.id), outcome.replayed))
    planned = outcome.operation
    if (
        planned.state != State.PLANNED or not planned.has_its_neighbours()
    ):  # of a next attempt only the id is known here
        planned = read_operation(planned.id)
    return _last_of(Outcome(send_within(planned, manner.wait_seconds)))


def _last_of(outcome: Outcome) -> Outcome:
    """What followed by itself, where the first write was done and something did: the caller asked for both."""
    while outcome.operation.state == Operation.State.SUCCEEDED and leads_on(outcome.operation):
        with acting_as(JOURNAL):
            following = followed_by(outcome.operation).select_related("tenant", "api_user").first()
        if following is None:
            break
        outcome = Outcome(following, outcome.replayed)
    return outcome


def replay_of(earlier: Operation | None) -> Outcome | None:
    """What to answer at once: `earlier`, unless it, or what followed it by itself, may be tried again."""
    if earlier is None or may_try_again(_last_of(Outcome(earlier)).operation):
        return None
    return carry_out(Outcome(earlier, replayed=True), AS_USUAL)
