"""What the journal knows of a repeated request: what is open, what succeeded and was given to nobody, what was refused, what follows."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from gateway.dropin.places import Asked
from gateway.models import Config, Entitlement, Operation
from gateway.operations import CREATIONS, JOURNAL, OPEN, TRY_AGAIN_CODES, add_evidence, followed_by
from gateway.ownership.renewal import UNUSED
from tenants import clock
from tenants.context import acting_as
from tenants.events import record_event

# A refusal is repeated from memory so long, and a second create counts as a possible duplicate.
REMEMBERED = timedelta(seconds=60)
# Afterwards a change is asked for anew: the state that it made may be another by then.
UNCLAIMED_CHANGE = timedelta(seconds=120)
Kind, State = Operation.Kind, Operation.State
# A creation that nobody was told of: given to the next identical request so long, and only as FortiFlex made it.
UNCLAIMED_PENDING, UNCLAIMED_RUNNING = timedelta(hours=24), timedelta(hours=1)


def find_open_or_unclaimed(asked: Asked, key: str) -> Operation | None:
    """The identical operation that is not settled, else the oldest that succeeded and that nobody was told of."""
    with acting_as(JOURNAL):
        rows = _identical(asked, key)
        found = rows.filter(state__in=OPEN).first()
        return found or rows.filter(state=State.SUCCEEDED, handed_at__isnull=True).first()


def still_stands(asked: Asked, operation: Operation) -> bool:
    """Whether a success of before can still be the answer: what it made is the caller's and in use, or what it changed is as it left it."""
    with acting_as(asked.actor):
        if operation.kind in CREATIONS:
            return _is_untouched(asked, operation)
        if operation.kind == Kind.CREATE_CONFIG and "transfer" not in operation.intent:
            mine_too = Config.objects.visible_to(asked.actor).filter(
                id=operation.config_id or 0, vanished_at__isnull=True
            )
            return mine_too.exists()
    if operation.settled_at is None or operation.settled_at < clock.now() - UNCLAIMED_CHANGE:
        return False
    with acting_as(JOURNAL):
        return not _later_about_the_same(operation).exists()


def _is_untouched(asked: Asked, operation: Operation) -> bool:
    """Whether all that it made is the caller's and as it was made. What somebody has put to use meanwhile is not handed out as new."""
    mine = Entitlement.objects.visible_to(asked.actor).filter(
        serial_number__in=operation.serial_numbers, vanished_at__isnull=True
    )
    found = list(mine.values_list("status", "token_status"))
    if not found or len(found) != len(operation.serial_numbers) or operation.settled_at is None:
        return False
    pending = all(state == ("PENDING", UNUSED) for state in found)
    running = all(status == "ACTIVE" and token in {"", UNUSED} for status, token in found)
    age = clock.now() - operation.settled_at
    if not ((pending and age < UNCLAIMED_PENDING) or (running and age < UNCLAIMED_RUNNING)):
        return False
    with acting_as(JOURNAL):
        return not _later_about_the_same(operation).exists()


def definite_refusal(asked: Asked, key: str) -> Operation | None:
    """The identical operation that was refused lately for a reason that stays; None if something else came of it since."""
    with acting_as(JOURNAL):
        last = _identical(asked, key).order_by("-id").first()
    if last is None or last.state != State.FAILED or last.settled_at is None:
        return None
    code = (last.error or {}).get("code")
    if code in TRY_AGAIN_CODES or last.settled_at < clock.now() - REMEMBERED or _has_changed_since(last):
        return None
    return last


def _has_changed_since(refused: Operation) -> bool:
    """Whether what was refused may be right by now: another write was made about it, or its status is another."""
    with acting_as(JOURNAL):
        if refused.serial_numbers and _later_about_the_same(refused).exists():
            return True
        status = refused.before.get("status") if refused.kind in {Kind.STOP, Kind.REACTIVATE} else None
        rows = Entitlement.objects.filter(serial_number__in=refused.serial_numbers)
        return status is not None and set(rows.values_list("status", flat=True)) != {status}


def given_lately(asked: Asked, key: str) -> Operation | None:
    """The creation that an identical request was given within the last minute."""
    since = clock.now() - REMEMBERED
    with acting_as(JOURNAL):
        return _identical(asked, key).filter(handed_at__gte=since, kind__in=CREATIONS).order_by("-handed_at").first()


def note_possible_duplicate(operation: Operation, before: Operation) -> None:
    """Two equal creations, both wanted as far as anybody can tell. If not, this is where a person finds the second."""
    with acting_as(JOURNAL):
        row = Operation.objects.select_for_update().get(id=operation.id)
        add_evidence(row, {"possible_duplicate_of": str(before.id)})
        row.save(update_fields=["evidence"])
        record_event(
            "operation.repeated",
            subject_type="operation",
            subject_key=row.id,
            tenant_id=row.tenant_id,
            data={"kind": row.kind, "of": str(before.id)},
        )


def hand_over(operation: Operation) -> bool:
    """True for exactly one caller: the success is its to answer with."""
    with acting_as(JOURNAL):
        free = Operation.objects.filter(id=operation.id, handed_at__isnull=True)
        return bool(free.update(handed_at=clock.now(), waited_until=None))


def note_waiting(operation: Operation, *, until: datetime | None) -> None:
    with acting_as(JOURNAL):
        Operation.objects.filter(id=operation.id).update(waited_until=until)


def follow(operation: Operation) -> Operation:
    """The operation as it stands now; where another follows it by itself (a transfer its config), that one once the first is done."""
    with acting_as(JOURNAL):
        row = Operation.objects.select_related("tenant").get(id=operation.id)
        if row.kind != Kind.CREATE_CONFIG or "transfer" not in row.intent or row.state != State.SUCCEEDED:
            return row
        return followed_by(row).select_related("tenant").first() or row


def _identical(asked: Asked, key: str) -> "QuerySet[Operation]":
    return Operation.objects.filter(tenant=asked.tenant, repeat_key=key).order_by("id")


def _later_about_the_same(operation: Operation) -> "QuerySet[Operation]":
    serials: Sequence[str] = operation.serial_numbers
    same = Q(serial_numbers__overlap=serials) if serials else Q(config_id=operation.config_id)
    # What follows a write by itself (an end date put back, a text) is part of it.
    return Operation.objects.filter(same, id__gt=operation.id).exclude(intent__has_any_keys=["because", "follows"])
