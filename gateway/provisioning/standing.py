"""Whether a planned write may still be sent: between plan and sending, what it is about may have changed hands."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from django.conf import settings
from django.db.models.expressions import RawSQL

from gateway.days import today
from gateway.gate import count_withheld, expected_seconds, seconds_without_errors
from gateway.gate.limits import HOUR
from gateway.models import ApiUser, Assignment, Config, Entitlement, Operation, Program
from gateway.operations import (
    CONFIG_CHANGES,
    CREATIONS,
    HELD,
    JOURNAL,
    OPEN,
    SUSPENDED,
    SWITCHED_OFF,
    Plan,
    is_the_tenants_own_wish,
    serials_led_to,
)
from gateway.provisioning.checks import check_end_date
from gateway.provisioning.failures import NO_SECOND, NOT_AVAILABLE, Failure
from gateway.provisioning.guards import guard_program
from gateway.provisioning.manner import Fence
from gateway.provisioning.sharing import MANAGED, came_to_be_shared
from tenants import clock
from tenants.context import acting_as, ask_as
from tenants.models import Lease, Tenant
from tenants.problems import Problem
from tenants.rows import Statement

Kind = Operation.Kind
ABOUT_ENTITLEMENTS = frozenset(
    {Kind.UPDATE_ENTITLEMENT, Kind.STOP, Kind.REACTIVATE, Kind.RENEW_TOKEN, Kind.TRANSFER, Kind.REMOVE_HARDWARE}
)
HANDED_OVER = "This entitlement was handed over before the change was sent; nothing was done."
TOO_MANY_ERRORS = "FortiFlex refused too much of yours lately. Check the values of your last requests; you may write again in {seconds} s."
QUEUE_FULL = "You have {number} writes in the queue, and no more are taken. Wait for some of them."
BUSY = "The queue of writes to FortiFlex is full. Nothing was done; try again later."
MOVED = "This account has just been given to another API user. Send the same request again."
# What this tenant and what all have in the queue, whether the tenant caused errors lately, and through whom the account is read until this
# transaction ends: one statement before every write.
STANDING = f"""
    WITH reader AS ({HELD})
    SELECT (SELECT api_user_id FROM reader), count(*) FILTER (WHERE tenant_id IS NOT DISTINCT FROM %s::uuid), count(*), EXISTS (
        SELECT 1 FROM gateway_upstreamcall
        WHERE api_user_id = %s AND tenant_id = %s::uuid AND at > %s AND failed AND outcome = 'rejected')
    FROM gateway_operation WHERE api_user_id = %s AND state = 'planned' AND NOT background
"""  # noqa: S608 - put together from constants
QUEUE_HAS_ROOM = """(
    SELECT count(*) FILTER (WHERE tenant_id IS NOT DISTINCT FROM %s::uuid) < %s AND count(*) < %s
    FROM gateway_operation WHERE api_user_id = %s AND state = 'planned' AND NOT background)
"""
IS_SUSPENDED = "EXISTS (SELECT 1 FROM tenants_tenant WHERE id = %s AND status = 'suspended')"
HARDWARE = "hardware serials"  # the lease whose row's lock orders registrations over all API users


def refuse_unplannable(plan: Plan, *, fence: Fence | None = None) -> None:
    """Before anything is journaled: Problem `rate_limited` where the tenant used up its errors or its place in the queue.

    `upstream_busy` where the queue of all is full; `in_progress` where another API user reads the account by now. None takes it over before
    the plan is committed. `fence` refuses what it is for.
    """
    values = [plan.tenant_id, plan.api_user_id, plan.tenant_id, clock.now() - HOUR, plan.api_user_id]
    [(reader, own, number, has_errors)] = ask_as(
        JOURNAL, STANDING, [plan.program_serial, plan.account_id, *values], by_key=True
    )
    if reader != plan.api_user_id:
        raise Problem("in_progress", MOVED, headers={"Retry-After": "1"})
    if fence is not None:
        condition = fence.still_holds()
        [(holds,)] = ask_as(JOURNAL, f"SELECT {condition.text}", condition.values)
        if not holds:
            raise fence.refusal()
    if has_errors and plan.tenant_id is not None:
        with acting_as(JOURNAL):
            limits = Tenant.objects.get(id=plan.tenant_id).limits
            wait = seconds_without_errors(plan.api_user_id, plan.tenant_id, limits)
        if wait:
            detail = TOO_MANY_ERRORS.format(seconds=wait)
            raise Problem("rate_limited", detail, headers={"Retry-After": str(wait)})
    if own < settings.FLEXGATE_QUEUE_PER_TENANT and number < settings.FLEXGATE_QUEUE:
        return
    with acting_as(JOURNAL):
        seconds = str(expected_seconds(ApiUser.objects.get(pk=plan.api_user_id), number))
    if own >= settings.FLEXGATE_QUEUE_PER_TENANT:
        raise Problem("rate_limited", QUEUE_FULL.format(number=own), headers={"Retry-After": seconds})
    raise Problem("upstream_busy", BUSY, headers={"Retry-After": seconds})


def queue_has_room(operation: Operation) -> Statement:
    """An expression: whether `refuse_unplannable` would find no queue too long."""
    limits = [settings.FLEXGATE_QUEUE_PER_TENANT, settings.FLEXGATE_QUEUE]
    return Statement(QUEUE_HAS_ROOM, [operation.tenant_id, *limits, operation.api_user_id])


def is_plannable(operation: Operation, fence: Fence | None) -> Statement:
    """An expression: whether `refuse_unplannable` would find the account's API user the same and the fence standing; held as there."""
    values = [operation.program_serial, operation.account_id, operation.api_user_id]
    text = f"EXISTS (SELECT 1 FROM ({HELD}) AS reader WHERE api_user_id = %s)"  # noqa: S608 - a constant
    if fence is None:
        return Statement(text, values)
    condition = fence.still_holds()
    return Statement(f"{text} AND {condition.text}", [*values, *condition.values])


def is_switched_on(operation: Operation) -> Statement:
    """An expression: whether the API user that it is to be sent through still is one that we use."""
    return Statement("EXISTS (SELECT 1 FROM gateway_apiuser WHERE id = %s AND enabled)", [operation.api_user_id])


def is_not_suspended(operation: Operation) -> Statement:
    """An expression: whether its tenant may still ask. If not, `why_unsendable` finds out who asked."""
    return Statement(f"NOT {IS_SUSPENDED}", [operation.tenant_id])


def why_unsendable(operation: Operation) -> Failure | None:
    """What ends `operation` unsent; None = send it. In the transaction that claimed it, so that a hand-over waits or is seen."""
    api_user = ApiUser.objects.filter(id=operation.api_user_id, enabled=True)
    suspended = api_user.values_list(RawSQL(IS_SUSPENDED, [operation.tenant_id]), flat=True).first()  # noqa: S611 - a constant
    if suspended is None:
        return Failure("upstream_unavailable", SWITCHED_OFF)
    if suspended and is_the_tenants_own_wish(operation):
        return Failure("not_available", SUSPENDED)
    limits = operation.tenant.limits if operation.tenant else {}
    wait = seconds_without_errors(operation.api_user_id, operation.tenant_id, limits)
    if wait and not operation.background and not {"because", "follows"} & set(operation.intent):
        return Failure("rate_limited", TOO_MANY_ERRORS.format(seconds=wait), retry_after=wait)
    if (stale := _why_too_late(operation)) is not None:
        return stale
    if operation.kind in ABOUT_ENTITLEMENTS:
        theirs = _lock_those_of(operation, operation.serial_numbers)
        return None if theirs and all(theirs) else Failure("not_available", HANDED_OVER)
    if operation.kind in CONFIG_CHANGES and came_to_be_shared(operation):
        return Failure("config_managed", MANAGED)
    if (serials := serials_led_to(operation.intent)) and not any(_lock_those_of(operation, serials)):
        return Failure("not_available", HANDED_OVER)
    withheld = None
    if operation.kind == Kind.CREATE_HARDWARE and _is_taken(operation):
        withheld = NOT_AVAILABLE
    if operation.kind == Kind.CREATE_CLOUD and _has_one_already(operation):
        withheld = NO_SECOND
    if withheld is None:
        return None
    count_withheld(operation.api_user_id, operation.tenant_id)
    return Failure("not_available", withheld)


def _why_too_late(operation: Operation) -> Failure | None:
    """What was right when it was planned and is certainly wrong by now: the day has changed, or the program has no points left."""
    try:
        if (end_day := operation.intent.get("end_day")) is not None:
            check_end_date(date.fromisoformat(end_day), program=None)
        if operation.kind in CREATIONS:
            guard_program(Program.objects.get(serial_number=operation.program_serial))
    except Problem as problem:
        return Failure(problem.code, problem.detail)
    return None


def _lock_those_of(operation: Operation, serials: Sequence[str]) -> list[bool]:
    """Of each serial that is mirrored, locked, whether it is its who asks: by the mirror and by today's assignment. A write that waited
    for the lane past midnight comes here before anybody has flipped the owners.
    """
    rows = Entitlement.objects.select_for_update(of=("self",)).filter(serial_number__in=serials).order_by("pk")
    owners = list(rows.values_list("serial_number", "tenant_id"))
    day = today()
    periods = Assignment.objects.filter(serial_number__in=serials, from_day__lte=day).exclude(until_day__lte=day)
    today_of: dict[str, UUID] = dict(periods.values_list("serial_number", "tenant_id"))
    return [owner == today_of.get(serial) == operation.tenant_id for serial, owner in owners]


def _has_one_already(operation: Operation) -> bool:
    """FortiFlex gives one entitlement per cloud product and account, whoever's it is (reference 2.4, cloud/create).

    Whether one that has expired still counts is not documented, so that goes upstream; also where the mirror has not seen its end yet.
    """
    config = Config.objects.get(id=operation.config_id or 0)
    standing = Entitlement.objects.filter(
        program_id=operation.program_serial,
        account_id=operation.account_id,
        config__product_type_id=config.product_type_id,
        vanished_at__isnull=True,
    )
    return standing.exclude(status="EXPIRED").exclude(end_day__lt=today()).exists()


def _is_taken(operation: Operation) -> bool:
    """Whether somebody holds one of the serials or is registering it right now. Asked here and not before the plan: the refusal must look
    like FortiFlex's own, journal row and event included, or it would tell that another customer has it.
    """
    serials = list(operation.intent.get("serial_numbers", ()))
    # Of two at once, through whatever API user, the second sees the first.
    Lease.objects.bulk_create([Lease(name=HARDWARE)], ignore_conflicts=True)
    Lease.objects.select_for_update().get(name=HARDWARE)
    others = Operation.objects.filter(kind=Kind.CREATE_HARDWARE, state__in=OPEN).exclude(state=Operation.State.PLANNED)
    asked = others.exclude(id=operation.id).values_list("intent", flat=True)
    if any(set(serials) & set(intent.get("serial_numbers", ())) for intent in asked):
        return True
    # Second: what settled between the two questions stands here now.
    return Entitlement.objects.filter(serial_number__in=serials, vanished_at__isnull=True).exists()
