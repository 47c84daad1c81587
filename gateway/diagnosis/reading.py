"""Reading the facts: a fixed number of statements, however much there is.

What is the caller's is read as the caller, behind both walls. How the gateway reaches FortiFlex is read as the gateway itself, and only
about the program, account and config in which the caller's own entitlement stands.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import Count, IntegerField, OuterRef, Q, Subquery, Sum

from gateway.days import today
from gateway.diagnosis.facts import ConfigUse, Facts, Limits, PastDay, Place, Reader
from gateway.fortiflex.days import billing_day_at, days_between
from gateway.gate import seconds_without_errors
from gateway.models import (
    AccountDay,
    Assignment,
    Config,
    EndDateCalibration,
    Entitlement,
    LedgerEntry,
    Operation,
    Placement,
    ProgramAccount,
    Refusal,
)
from gateway.operations import CONFIG_CHANGES, find_positions
from gateway.provisioning.guards import ENDED
from tenants import clock
from tenants.actors import Actor, system
from tenants.context import acting_as
from tenants.models import Tenant

DIAGNOSIS = system("diagnosis")
DAYS_BACK = 7
MOST_OPERATIONS = 50  # the newest ones; what lies further back explains nothing about today
State = Operation.State
STILL_OPEN = Q(state=State.PLANNED) | Q(state__in=[State.SENT, State.UNKNOWN])  # as the partial indexes are written


def read_facts(actor: Actor, serial: str) -> Facts | None:
    """None where the caller neither owns `serial` nor ever did: the same for what never was. Inside `acting_as(actor)`."""
    day = today()
    row = (
        Entitlement.objects.visible_to(actor)
        .select_related("config", "tenant")
        .defer("raw", "config__raw", "token")
        .filter(serial_number=serial)
        .first()
    )
    visible = Assignment.objects.visible_to(actor).filter(serial_number=serial).select_related("tenant")
    periods = list(visible.order_by("from_day"))
    if row is None and not any(period.from_day <= day for period in periods):
        return None
    operations = _read_operations(actor, serial)
    facts: dict[str, Any] = {
        "now": clock.now(),
        "day": day,
        "serial_number": serial,
        "sees_all": actor.sees_every_tenant,
        "tenant_ids": frozenset(actor.tenant_ids),
        "row": row,
        "periods": periods,
        "operations": operations,
        "positions": find_positions(operations),
    }
    return Facts(**facts) if row is None else Facts(**facts, **_read_standing(actor, row, periods, day=day))


def _read_operations(actor: Actor, serial: str) -> list[Operation]:
    """Found by the index of serials, which a tenant's role can't use (its rule comes first), and read as the caller."""
    mine = Q() if actor.sees_every_tenant else Q(tenant_id__in=actor.tenant_ids)
    # What follows a config that is being made concerns it already.
    coming = Q(intent__entitlement__serial=serial) | Q(intent__transfer__contains=[serial])
    with acting_as(DIAGNOSIS):
        rows = Operation.objects.filter(mine).order_by("-id").values_list("id", flat=True)
        found = {
            *rows.filter(serial_numbers__contains=[serial])[:MOST_OPERATIONS],
            *rows.filter(STILL_OPEN, coming)[:MOST_OPERATIONS],
        }
    visible = Operation.objects.visible_to(actor).filter(id__in=found)
    return list(visible.select_related("tenant").order_by("-id"))


def _read_standing(actor: Actor, row: Entitlement, periods: Sequence[Assignment], *, day: date) -> dict[str, Any]:
    first, last = day - timedelta(days=DAYS_BACK), day - timedelta(days=1)
    entries = LedgerEntry.objects.filter(serial_number=row.serial_number, day__range=(first, last))
    if not actor.sees_every_tenant:
        entries = entries.filter(tenant_id__in=actor.tenant_ids)
    points: dict[date, Decimal] = {}
    for entry_day, value in entries.values_list("day", "points"):
        points[entry_day] = points.get(entry_day, Decimal(0)) + value
    placements = list(
        Placement.objects.filter(serial_number=row.serial_number, from_day__lte=last).exclude(until_day__lte=first)
    )
    with acting_as(DIAGNOSIS):
        account = _find_account(row)
        use = _read_use(actor, row, day=day)
        states = _read_states(row, placements, first, last)
        calibration = (
            EndDateCalibration.objects.filter(api_url=account.api_user.api_url if account else "")
            .order_by("-found_at", "-id")
            .first()
        )
        limits = _read_limits(actor, row, account)
        place = _place_of(row, account)
    owned = [one for one in days_between(first, last) if actor.sees_every_tenant or _is_owned(one, periods)]
    return {
        "place": place,
        "use": use,
        "days": [_past_day(row, one, points, placements, states) for one in reversed(owned)],
        "calibrated": calibration is not None,
        "end_day_counts": calibration.end_day_counts if calibration is not None else None,
        "limits": limits,
    }


def _find_account(row: Entitlement) -> ProgramAccount | None:
    same_reader = ProgramAccount.objects.filter(api_user=OuterRef("api_user")).order_by().values("api_user")
    number = Subquery(same_reader.annotate(number=Count("id")).values("number"), output_field=IntegerField())
    rows = ProgramAccount.objects.select_related("program", "api_user", "api_user__lane").annotate(accounts=number)
    return rows.filter(program_id=row.program_id, account_id=row.account_id).first()


def _place_of(row: Entitlement, account: ProgramAccount | None) -> Place:
    refusals = Refusal.objects.filter(
        Q(call="entitlements/list", program_serial=row.program_id, account_id=row.account_id)
        | Q(call="configs/list", program_serial=row.program_id, account_id=0)
        | Q(call="programs/list"),
        api_user=account.api_user_id if account else None,
    )
    found = list(refusals.order_by("-refused_at"))
    if account is None:
        return Place(None, None, None, None)
    user, lane = account.api_user, getattr(account.api_user, "lane", None)
    reader = Reader(
        name=user.name,
        enabled=user.enabled,
        calls_per_hour=user.per_hour,
        accounts=account.accounts,  # type: ignore[attr-defined] # annotated
        closed_until=lane.closed_until if lane is not None else None,
        closed_reason=lane.closed_reason if lane is not None else "",
    )
    program = account.program
    return Place(program.end_day, program.point_balance, account.mirrored_at, reader, found)


def _read_use(actor: Actor, row: Entitlement, *, day: date) -> ConfigUse:
    """Of a config that another tenant made a tenant learns nothing but that it stands under it."""
    owners: dict[str, int] = {}
    if actor.sees_every_tenant:
        under = Entitlement.objects.filter(config_id=row.config_id, vanished_at__isnull=True)
        counted = under.order_by().values_list("tenant__slug").annotate(number=Count("serial_number"))
        owners = {slug or "": number for slug, number in counted}
    config: Config = row.config
    if not actor.sees_every_tenant and config.tenant_id is not None and config.tenant_id not in actor.tenant_ids:
        return ConfigUse(owners)
    writes = Operation.objects.filter(config_id=config.id, kind__in=CONFIG_CHANGES).order_by("id")
    changing = writes.filter(STILL_OPEN).first()
    done = writes.filter(state=State.SUCCEEDED).last()
    return ConfigUse(owners, changing, billing_day_at(done.created_at) if done is not None else None)


def _read_states(
    row: Entitlement, placements: Sequence[Placement], first: date, last: date
) -> dict[tuple[str, int, date], str]:
    places = {(one.program_serial, one.account_id) for one in placements} | {(row.program_id, row.account_id)}
    rows = AccountDay.objects.filter(
        program_serial__in={program for program, _ in places},
        account_id__in={account for _, account in places},
        day__range=(first, last),
    )
    found = rows.values_list("program_serial", "account_id", "day", "state")
    return {(program, account, day): state for program, account, day, state in found}


def _past_day(
    row: Entitlement,
    day: date,
    points: Mapping[date, Decimal],
    placements: Sequence[Placement],
    states: Mapping[tuple[str, int, date], str],
) -> PastDay:
    placed = next(
        (one for one in placements if one.from_day <= day and (one.until_day is None or day < one.until_day)), None
    )
    place = (row.program_id, row.account_id) if placed is None else (placed.program_serial, placed.account_id)
    steady = placed is not None and placed.config_id == row.config_id and placed.from_day < day
    return PastDay(day, states.get((*place, day), "missing"), points.get(day), steady)


def _is_owned(day: date, periods: Sequence[Assignment]) -> bool:
    return any(one.from_day <= day and (one.until_day is None or day < one.until_day) for one in periods)


def _read_limits(actor: Actor, row: Entitlement, account: ProgramAccount | None) -> Limits | None:
    """A narrowed token does not learn how much else there is."""
    tenant: Tenant | None = row.tenant
    if tenant is None or actor.reach is not None:
        return None
    running = Entitlement.objects.filter(tenant=tenant, vanished_at__isnull=True).exclude(status__in=ENDED)
    used = running.aggregate(number=Count("serial_number"), points=Sum("config__points_per_day"))
    most, points = tenant.limits.get("entitlements"), tenant.limits.get("points_per_day")
    api_user: UUID | None = account.api_user_id if account is not None else None
    return Limits(
        entitlements=None if most is None else int(most),
        running=used["number"],
        points_per_day=None if points is None else Decimal(str(points)),
        points=used["points"] or Decimal(0),
        wait=seconds_without_errors(api_user, tenant.id, tenant.limits) if api_user is not None else 0,
    )
