"""The journal of upstream writes: planned → sent → succeeded | failed | unknown, each step one short transaction.

A row is committed before anything is sent, and an attempt is never sent twice. What came of it is written by the gateway itself.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Q

from gateway.models import ApiUser, Config, Operation
from gateway.operations.settling import JOURNAL, State, settle_failed
from tenants import clock
from tenants.actors import Actor
from tenants.audit import AuditNote, record_audits
from tenants.context import acting_as, current_request_id
from tenants.last_words import write_last
from tenants.models import Tenant
from tenants.rows import new_row, write_together

OPEN = (State.PLANNED, State.SENT, State.UNKNOWN)
# What a sender has for settling, beyond its call; a `sent` row older than both has lost its sender.
SETTLING_SECONDS = 60
PLANNED_SECONDS = 120  # a caller that sends by itself has begun by then, or left it to the worker
CLAIM = (
    "UPDATE gateway_operation SET state = 'sent', sent_at = %s, next_check_at = %s WHERE id = %s AND state = 'planned'"
)
SWITCHED_OFF = "The API user that this was to be sent through was switched off; nothing was done."
# Definitely not done, for a reason that passes: the same idempotency key starts the next attempt.
TRY_AGAIN_CODES = frozenset(
    {"not_done", "upstream_busy", "upstream_unavailable", "rate_limited", "insufficient_points"}
)


@dataclass(frozen=True, slots=True)
class Plan:
    """One upstream write that somebody wants. `intent` is checked and JSON-able; `before` is what stands there now.

    `neighbours` = tenant, API user and config, where they are loaded already. `background` = nobody asked for it this moment: it goes after what
    people wait for.
    """

    kind: Operation.Kind
    tenant_id: UUID | None
    api_user_id: UUID
    program_serial: str
    account_id: int
    config_id: int | None = None
    serial_numbers: Sequence[str] = ()
    intent: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    points_per_day: Decimal | None = None
    neighbours: tuple[Tenant | None, ApiUser, Config | None] | None = None
    background: bool = False


def plan_operation(
    actor: Actor,
    plan: Plan,
    *,
    key: str | None = None,
    fingerprint: str = "",
    repeat_key: str = "",
    deferred: bool = False,
) -> Operation:
    """Write the journal row, inside the caller's `acting_as`. `deferred` = the worker sends it; IntegrityError if `key` is taken."""
    operation = row_of(actor, plan, deferred=deferred)
    operation.idempotency_key, operation.fingerprint, operation.repeat_key = key, fingerprint, repeat_key
    if key is None:
        write_last([operation])
    else:
        write_together([operation])
    record_audits(actor, [note_of(operation)], subject_type="operation")
    return operation


def row_of(actor: Actor, plan: Plan, *, deferred: bool) -> Operation:
    """The journal row of `plan`, to be saved by the caller."""
    now, neighbours = clock.now(), dict[str, Any]()
    if plan.neighbours is not None:
        neighbours["tenant"], neighbours["api_user"], config = plan.neighbours
    operation = new_row(
        Operation,
        **neighbours,
        kind=plan.kind,
        tenant_id=plan.tenant_id,
        api_user_id=plan.api_user_id,
        program_serial=plan.program_serial,
        account_id=plan.account_id,
        config_id=plan.config_id,
        serial_numbers=list(plan.serial_numbers),
        intent=dict(plan.intent),
        before=dict(plan.before),
        points_per_day=plan.points_per_day,
        asked_by=actor.name,
        request_id=current_request_id(),
        background=plan.background,
        # Without `deferred` the caller sends it at once; if the caller dies first, reconciliation ends it as not done.
        next_check_at=now if deferred else now + timedelta(seconds=PLANNED_SECONDS),
        deferred=deferred,
        created_at=now,
    )
    if plan.neighbours is not None:
        operation.loaded_config = config
    return operation


def note_of(operation: Operation) -> AuditNote:
    told = {"kind": operation.kind, "serial_numbers": operation.serial_numbers, "config": operation.config_id}
    return AuditNote("operation.planned", str(operation.id), operation.tenant_id, told | {"intent": operation.intent})


CREATIONS = frozenset({Operation.Kind.CREATE_VM, Operation.Kind.CREATE_HARDWARE, Operation.Kind.CREATE_CLOUD})
CONFIG_CHANGES = (Operation.Kind.UPDATE_CONFIG, Operation.Kind.ENABLE_CONFIG, Operation.Kind.DISABLE_CONFIG)


def sent_seconds() -> float:
    """How long a row may be `sent`: its sender's call and its settling."""
    return float(settings.FLEXGATE_CALL_SECONDS) + SETTLING_SECONDS


def claim_planned(operation: Operation) -> bool:
    """planned → sent, inside an open `acting_as`; False if somebody else has it. Two senders: one wins.

    What is sent was fixed when it was planned; only the state moves, so `operation` need not be fresh.
    """
    now = clock.now()
    next_check_at = now + timedelta(seconds=sent_seconds())
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [now, next_check_at, operation.id])
        if not cursor.rowcount:
            return False
    operation.state, operation.sent_at, operation.next_check_at = State.SENT, now, next_check_at
    return True


def lock_planned(operation_id: UUID) -> Operation | None:
    """The row, locked, if nobody has sent it yet. Inside an open `acting_as`."""
    rows = Operation.objects.select_for_update(of=("self",)).select_related("tenant", "api_user")
    return rows.filter(id=operation_id, state=State.PLANNED).first()


def leave_to_worker(operation: Operation, *, seconds: float = 0) -> None:
    """A locked planned row is the worker's from now on, or after `seconds`."""
    operation.deferred = True
    operation.next_check_at = clock.now() + timedelta(seconds=seconds)
    operation.save(update_fields=["deferred", "next_check_at"])


def end_planned_where_switched_off() -> None:
    """What waits at an API user that is switched off ends unsent, also what came back to the queue, or came to it, after that."""
    with acting_as(JOURNAL):
        rows = Operation.objects.select_for_update(of=("self",)).filter(api_user__enabled=False, state=State.PLANNED)
        for row in rows.order_by("id"):
            settle_failed(row, code="upstream_unavailable", detail=SWITCHED_OFF)


def send_again_later(operation: Operation, *, seconds: float) -> None:
    """A locked row that was sent and definitely not done waits for the worker again, for its next attempt."""
    operation.state = State.PLANNED
    leave_to_worker(operation, seconds=seconds)
    operation.save(update_fields=["state"])


def may_try_again(operation: Operation) -> bool:
    """Whether the same idempotency key starts the next attempt: the work was provably not done."""
    return operation.state == State.FAILED and (operation.error or {}).get("code") in TRY_AGAIN_CODES


def reopen_operation(operation: Operation, plan: Plan, *, deferred: bool = False) -> bool:
    """A failed operation whose work was provably not done goes back to planned, for its next attempt. False if another caller did.

    What is sent is `plan`, as it was checked this time: where things stand and what they cost may have changed since the first attempt.
    """
    chain = {
        name: value for name, value in operation.intent.items() if name == "follows"
    }  # it comes after the same one
    with acting_as(JOURNAL):
        reopened = Operation.objects.filter(
            Q(tenant=plan.tenant_id), id=operation.id, state=State.FAILED, error__code__in=list(TRY_AGAIN_CODES)
        ).update(
            state=State.PLANNED,
            settled_at=None,
            error=None,
            kind=plan.kind,
            api_user_id=plan.api_user_id,
            program_serial=plan.program_serial,
            account_id=plan.account_id,
            config_id=plan.config_id,
            serial_numbers=list(plan.serial_numbers),
            intent={**plan.intent, **chain},
            before=dict(plan.before),
            points_per_day=plan.points_per_day,
            next_check_at=clock.now() + timedelta(seconds=0 if deferred else PLANNED_SECONDS),
            deferred=deferred,
        )
    return bool(reopened)


def digest_token(token: str) -> str:
    """A licence token as the journal may keep it: enough to see that it changed, no way back."""
    return hashlib.sha256(token.encode()).hexdigest() if token else ""
