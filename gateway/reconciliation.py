"""Settle operations whose outcome is unknown, from evidence only. Nothing is sent again here.

A look upstream sees what was asked for (done), part of it, nothing, or something that a person must judge. Nothing is believed only
after FortiFlex's own delay and on two looks that agree; then the operation ends `failed` with `not_done`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q

from gateway.fortiflex.errors import FortiFlexError
from gateway.gate import Standing
from gateway.models import Attempt, Operation
from gateway.operations import (
    JOURNAL,
    add_evidence,
    end_planned_of_suspended,
    end_planned_where_switched_off,
    follows_by_itself,
    lock_unsettled,
    put_off,
    send_again_later,
    sent_seconds,
    settle_failed,
    settle_unknown,
)
from gateway.ownership import ensure_flipped
from gateway.provisioning.closing import read_operation, settle_stored
from gateway.provisioning.draining import api_users_with_a_queue, drain_queue
from gateway.provisioning.writes.registry import WRITES
from gateway.provisioning.writes.write import Finding, NotOurs, Verdict, WrongAnswer
from gateway.upstream import client_for
from tenants import clock
from tenants.context import acting_as
from tenants.secrets import SecretUnreadable

CLAIM = timedelta(seconds=120)  # how long a look may take before another reconciler may look too
NEXT_LOOK = timedelta(seconds=60)
APART = timedelta(seconds=30)  # two looks closer than this are one
AGREEING_LOOKS = 2
SEEN = ("verdict", "found", "gone")  # what two looks must agree about
MOST_ATTEMPTS = 5
NOT_DONE = "FortiFlex did not do it; nothing was made or changed. The same Idempotency-Key starts the next attempt."
Progress = Callable[[Operation], None]
State = Operation.State
LOOK_WAIT, DRAIN_SECONDS = 30, 600
# What waits for the worker is not lost, only not sent yet; a planned one of a caller that died is.
UNSETTLED = Q(state__in=[State.SENT, State.UNKNOWN]) | Q(state=State.PLANNED, deferred=False)
log = structlog.get_logger("flexgate.reconciliation")


@dataclass(slots=True)
class ReconcileReport:
    """Operations by what became of them."""

    settled: list[Operation] = field(default_factory=list)
    still_unknown: list[Operation] = field(default_factory=list)
    sent: list[Operation] = field(default_factory=list)


def reconcile_operations(
    *,
    everything: bool = False,
    drain: bool = True,
    wait_seconds: float = LOOK_WAIT,
    progress: Progress = lambda _: None,
) -> ReconcileReport:
    """Look at every unsettled operation that is due (`everything`: due or not); with `drain` also send what waits for the worker.

    `wait_seconds` = how long one look waits for its turn. Safe to run twice at once: each operation is claimed by moving its next look
    into the future. What nobody foresaw about one of them is logged and puts that one off: the others are looked at all the same.
    """
    ensure_flipped()
    end_planned_where_switched_off()
    end_planned_of_suspended()
    report = ReconcileReport()
    for api_user in api_users_with_a_queue() if drain else ():
        for operation_id in drain_queue(api_user, seconds=DRAIN_SECONDS):
            report.sent.append(read_operation(operation_id))
            progress(report.sent[-1])
    row: Operation | None
    for operation_id in _due(everything=everything):
        try:
            row = _claim(operation_id, everything=everything)
            if row is not None and row.settled_at is None:
                row = _look_once(row, wait_seconds=wait_seconds)
        except Exception as error:
            log.exception("operation not settled", operation=str(operation_id))
            row = put_off(operation_id, error)
        if row is not None:
            (report.settled if row.settled_at else report.still_unknown).append(row)
            progress(row)
    return report


def _due(*, everything: bool) -> list[UUID]:
    """A `sent` row is due when its sender must be dead; until then it belongs to the sender, even with `everything`."""
    now = clock.now()
    with acting_as(JOURNAL):
        rows = Operation.objects.filter(UNSETTLED, next_check_at__isnull=False)
        due = rows.filter(next_check_at__lte=now)
        if everything:
            due = due | rows.filter(state=State.UNKNOWN)
        return list(due.order_by("created_at").values_list("id", flat=True))


def _claim(operation_id: UUID, *, everything: bool) -> Operation | None:
    now = clock.now()
    with acting_as(JOURNAL):
        row = (
            Operation.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related("tenant", "api_user")
            .filter(UNSETTLED, id=operation_id)
            .first()
        )
        forced = everything and row is not None and row.state == State.UNKNOWN
        if row is None or row.next_check_at is None or (row.next_check_at > now and not forced):
            return None
        if row.state == State.PLANNED:
            # Whoever was to send it is dead, and nothing left this machine.
            settle_failed(row, code="not_done", detail=NOT_DONE)
            return row
        if row.state == State.SENT:
            # Whoever sent it is dead: a crash between journal and answer is an unknown outcome like any other.
            settle_unknown(row, reason=f"no answer was written down within {sent_seconds():.0f} seconds")
        row.next_check_at = now + CLAIM
        row.save(update_fields=["next_check_at"])
        return row


def _look_once(operation: Operation, *, wait_seconds: float) -> Operation:
    with acting_as(JOURNAL):
        attempt = operation.attempts.order_by("-number").first()
    if attempt is None:
        raise RuntimeError(f"Operation {operation.id} was sent without an attempt.")
    try:
        finding = WRITES[operation.kind].look(
            client_for(operation.api_user, standing=Standing.RECONCILIATION, wait_seconds=wait_seconds),
            operation,
            attempt,
        )
    except (FortiFlexError, SecretUnreadable) as error:
        log.warning("could not look", operation=str(operation.id), reason=str(error))
        finding = None
    return _conclude(operation.id, attempt, finding)


def _conclude(operation_id: UUID, attempt: Attempt, finding: Finding | None) -> Operation:
    """Write down what was seen, and settle if it proves something. What can't be stored as ours is left to a person."""
    try:
        try:
            _apply_to(operation_id, attempt, finding)
        except IntegrityError:  # a pass of the mirror stored the same new one this moment: it stands there now
            _apply_to(operation_id, attempt, finding)
    except (NotOurs, WrongAnswer, LookupError) as error:
        with acting_as(JOURNAL):
            row = lock_unsettled(operation_id, attempt=attempt.number)
            if row is not None:
                settle_unknown(row, reason=str(error), look_again=not isinstance(error, NotOurs))
    with acting_as(JOURNAL):
        return Operation.objects.select_related("tenant").get(id=operation_id)


def _apply_to(operation_id: UUID, attempt: Attempt, finding: Finding | None) -> None:
    with acting_as(JOURNAL):
        row = lock_unsettled(operation_id, attempt=attempt.number)
        if row is not None:
            _apply(row, finding)


def _apply(row: Operation, finding: Finding | None) -> None:
    if finding is None:
        _look_later(row)
        return
    add_evidence(row, {"verdict": str(finding.verdict), **finding.seen})
    if finding.verdict is Verdict.DONE and not finding.by_absence:
        settle_stored(row, WRITES[row.kind].store(row, finding.value))
    elif finding.verdict is Verdict.UNCLEAR:
        settle_unknown(row, reason="a person has to look", look_again=False)
    elif _agreeing_looks(row) < AGREEING_LOOKS:
        _look_later(row)  # what is missing may still appear
    elif finding.verdict is Verdict.UNSEEN:
        settle_unknown(row, reason="FortiFlex does not list it; a person has to look", look_again=False)
    elif finding.verdict in {Verdict.DONE, Verdict.PARTLY}:
        settle_stored(row, WRITES[row.kind].store(row, finding.value))
    else:
        end_or_send_again(row)


def end_or_send_again(row: Operation) -> None:
    """What was not done ends; what the gateway itself wanted is tried some times more, for nobody else would ask for it again."""
    if follows_by_itself(row) and row.attempts.count() < MOST_ATTEMPTS:
        row.save(update_fields=["evidence"])
        send_again_later(row, seconds=0)
    else:
        settle_failed(row, code="not_done", detail=NOT_DONE)


def _agreeing_looks(row: Operation) -> int:
    """How many looks in a row, the last one included and each a while apart, saw the same after FortiFlex's own delay had passed.

    The same things too: where a part grows from look to look, the rest is still on its way.
    """
    settled_from = (row.sent_at or row.created_at) + timedelta(seconds=settings.FLEXGATE_SETTLE_SECONDS)
    looks = [
        (datetime.fromisoformat(seen["at"]), [seen.get(name) for name in SEEN])
        for seen in row.evidence
        if "verdict" in seen
    ]
    number, newer = 0, None
    for at, seen in reversed(looks):
        if seen != looks[-1][1] or at < settled_from:
            break
        if newer is None or newer - at >= APART:
            number, newer = number + 1, at
    return number


def _look_later(row: Operation) -> None:
    row.next_check_at = clock.now() + NEXT_LOOK
    row.save(update_fields=["next_check_at", "evidence"])
