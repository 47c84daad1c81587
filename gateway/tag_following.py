"""Bring descriptions at FortiFlex in line with their owners, where the operator wants that, a few at a time.

What is to do is read off the mirror each time: no queue, nothing to lose. Off (the default), tags are written only where a write of
somebody's goes to FortiFlex anyway. The tag moves nothing by itself: it helps people who look into the portal.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import Q, QuerySet

from gateway.models import ApiUser, Entitlement, Operation, ProgramAccount
from gateway.operations import OPEN, TRY_AGAIN_CODES, Plan, State, hold_readers, plan_operation
from gateway.provisioning.closing import read_operation
from gateway.provisioning.sending import send_operation
from gateway.tags import split_tag
from tenants import clock
from tenants.actors import system
from tenants.context import acting_as

FOLLOW = system("tags")
BECAUSE = "tag"
MOST_AT_ONCE = 20  # a run that is cut off by the end of its lease must not have waited long
LOOKED_AT = ("serial_number", "tenant__slug", "description", "upstream_description")
REST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FollowReport:
    """The operations that this run sent; `stopped` = FortiFlex could not be asked, so the rest waits for the next run."""

    operations: tuple[Operation, ...]
    stopped: bool = False


def follow_tags(api_user: ApiUser, *, most: int = MOST_AT_ONCE) -> FollowReport:
    """Write the present owner's text and tag to at most `most` entitlements of this API user. Run by one worker at a time.

    Each is an operation of its own, asked for by the gateway, in the journal of the owner like every change of what is theirs. Nothing is
    planned while another operation of the serial is open, and none is repeated for the same owner within a day, whatever came of it:
    what FortiFlex refuses costs its error budget, and what a person in the portal undoes is no race to win.
    """
    if not (api_user.enabled and api_user.tags_follow):
        return FollowReport(())
    done: list[Operation] = []
    for serial in _due(api_user):
        if len(done) >= most:
            break
        operation_id = _plan(api_user, serial)
        if operation_id is None:
            continue
        operation = send_operation(read_operation(operation_id))
        done.append(operation)
        if _was_not_asked(operation):
            return FollowReport(tuple(done), stopped=True)
    return FollowReport(tuple(done))


def is_in_line(row: Entitlement) -> bool:
    """Whether FortiFlex holds the owner's text with a valid tag of the owner behind it."""
    text, tag = split_tag(row.upstream_description)
    owner = row.tenant.slug if row.tenant else None
    return tag is not None and tag.valid and tag.tenant_slug == owner and text == row.description


def _due(api_user: ApiUser) -> list[str]:
    """Serials that are not in line and may be written now, in order. The checksum is ours to compute, so rows are judged here."""
    with acting_as(FOLLOW):
        resting = _resting()
        rows = _owned_rows(api_user).only(*LOOKED_AT).order_by("serial_number")
        return [
            row.serial_number
            for row in rows.iterator(chunk_size=2000)
            if (row.serial_number, row.tenant_id) not in resting and not is_in_line(row)
        ]


def _owned_rows(api_user: ApiUser) -> "QuerySet[Entitlement]":
    places = ProgramAccount.objects.filter(api_user=api_user).values_list("program_id", "account_id")
    reached = Q()
    for program, account in places:
        reached |= Q(program_id=program, account_id=account)
    if not reached:
        return Entitlement.objects.none()
    rows = Entitlement.objects.filter(reached, tenant__isnull=False, vanished_at__isnull=True)
    return rows.exclude(status="EXPIRED").select_related("tenant")


def _resting() -> set[tuple[str, UUID | None]]:
    """(serial, owner) of what was written, or refused, within the last day. What never reached FortiFlex does not count."""
    rows = Operation.objects.filter(intent__because=BECAUSE, settled_at__gt=clock.now() - REST)
    return {
        (serials[0], tenant_id)
        for serials, tenant_id, error in rows.values_list("serial_numbers", "tenant_id", "error")
        if serials and (error or {}).get("code") not in TRY_AGAIN_CODES
    }


def _plan(api_user: ApiUser, serial: str) -> UUID | None:
    """The id of a planned operation; None if it need not or must not be written any more."""
    with acting_as(FOLLOW):
        row = _owned_rows(api_user).select_for_update(of=("self",)).filter(serial_number=serial).first()
        if row is None or is_in_line(row):
            return None
        if Operation.objects.filter(state__in=OPEN, serial_numbers__contains=[serial]).exists():
            return None
        if hold_readers([(row.program_id, row.account_id)]) != {(row.program_id, row.account_id): api_user.id}:
            return None  # it was given to another one, which follows it from now on
        plan = Plan(
            kind=Operation.Kind.UPDATE_ENTITLEMENT,
            tenant_id=row.tenant_id,
            api_user_id=api_user.id,
            program_serial=row.program_id,
            account_id=row.account_id,
            config_id=row.config_id,
            serial_numbers=[serial],
            intent={"because": BECAUSE},
            before={"upstream_description": row.upstream_description},
            background=True,
        )
        return plan_operation(FOLLOW, plan).id


def _was_not_asked(operation: Operation) -> bool:
    if operation.state == State.PLANNED:
        return True  # the worker has it now
    return operation.state == State.FAILED and (operation.error or {}).get("code") in TRY_AGAIN_CODES
