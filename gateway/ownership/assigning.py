"""Assign and hand over: one serial or five thousand in the same few statements, all or nothing, in force at once."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from itertools import zip_longest
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection
from django.db.models import Q

from gateway.days import today
from gateway.ledger.attribution import attribute, attribute_each
from gateway.ledger.order import wait_for_stored_days
from gateway.models import Assignment, Entitlement, LedgerEntry
from gateway.operations import refuse_while_sent
from gateway.ownership.flipping import flip_owners
from gateway.ownership.telling import tell_steps
from gateway.ownership.timeline import Change, Step, Timeline, UnknownSerials
from gateway.placements import place_all
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem
from tenants.rows import new_row

TEXT = ("serial_number", "tenant_id", "description", "labels")
CUT = """
UPDATE gateway_assignment AS a SET until_day = given.until_day
FROM unnest(%s::uuid[], %s::date[]) AS given (id, until_day) WHERE a.id = given.id
"""


def assign_serials(
    actor: Actor, *, serials: Collection[str], tenant: Tenant | None, from_day: date
) -> list[Assignment]:
    """`tenant` owns each serial from `from_day` on (None = nobody does); the assignments that say so. As `assign_each`.

    Problem `invalid` names each serial that neither the mirror nor the ledger knows.
    """
    order = list(serials)
    try:
        steps = assign_each(actor, [Change(serial, tenant, from_day) for serial in set(order)])
    except UnknownSerials as error:
        errors = [
            {"pointer": f"/serials/{order.index(serial)}", "detail": "There is no such serial."}
            for serial in error.serials
        ]
        raise Problem("invalid", str(error), errors=errors) from None
    return [step.assignment for step in steps if step.assignment is not None]


def find_periods(*, serials: Collection[str], tenant: Tenant | None, from_day: date) -> list[Assignment]:
    """What says today that `tenant` owns these serials on that day; fewer where that was changed. Inside an open `acting_as`."""
    covering = Q(until_day__isnull=True) | Q(until_day__gt=from_day)
    rows = Assignment.objects.filter(covering, serial_number__in=serials, tenant=tenant, from_day__lte=from_day)
    return list(rows.select_related("tenant").order_by("serial_number"))


def assign_each(actor: Actor, changes: Iterable[Change]) -> list[Step]:
    """Make every change, all or nothing, in force at once; what each came to, by serial and day. A serial may change on several days.

    Later assignments are replaced, the one that covers `from_day` ends there, and points from that day on move with it. A past day
    moves money, not visibility. UnknownSerials for what neither the mirror nor the ledger knows; Problem `in_progress` while FortiFlex
    is being asked about one whose owner would change now, and where another assigned one of these at the same moment.
    """
    try:
        return _assign_in_order(actor, _in_order(changes))
    except IntegrityError as error:
        if "one_owner_per_serial_and_day" not in str(error):
            raise
        # Of what the ledger alone knows there is no row to lock: the constraint keeps the one owner.
        detail = "One of these was assigned by somebody else at the same moment. Look, and try again."
        raise Problem("in_progress", detail, headers={"Retry-After": "1"}) from error


def _assign_in_order(actor: Actor, ordered: Sequence[Change]) -> list[Step]:
    with acting_as(actor):
        wait_for_stored_days()
        timelines = _read_timelines(ordered, lock=True)
        refuse_while_sent(sorted({change.serial_number for change in ordered if change.from_day <= today()}))
        steps = _hand_over_each(timelines, ordered, by=actor.name)
        _write(timelines.values())
        tell_steps(actor, steps)
        first_days: dict[str, date] = {}
        for change in ordered:
            first_days.setdefault(change.serial_number, change.from_day)
        attribute_each(first_days)
        flip_owners(today(), serials=list(first_days))
    return steps


def foresee_each(actor: Actor, changes: Iterable[Change]) -> list[Step]:
    """What `assign_each` would come to now. Writes nothing."""
    ordered = _in_order(changes)
    with acting_as(actor):
        timelines = _read_timelines(ordered, lock=False)
        return _hand_over_each(timelines, ordered, by=actor.name)


def _hand_over_each(timelines: Mapping[str, Timeline], ordered: Sequence[Change], *, by: str) -> list[Step]:
    steps = []
    for change, following in zip_longest(ordered, ordered[1:]):
        follows = following is not None and following.serial_number == change.serial_number
        until = following.from_day if follows else None
        steps.append(timelines[change.serial_number].hand_over(change, until=until, by=by))
    return steps


def _in_order(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: (change.serial_number, change.from_day))


def _read_timelines(changes: Sequence[Change], *, lock: bool) -> dict[str, Timeline]:
    """The periods of each serial; with `lock`, nobody else changes the owner of what is mirrored until this transaction ends."""
    wanted = {change.serial_number for change in changes}
    found = Entitlement.objects.filter(serial_number__in=wanted).order_by("pk").only(*TEXT)
    rows = {row.serial_number: row for row in (found.select_for_update() if lock else found)}
    in_ledger = LedgerEntry.objects.filter(serial_number__in=wanted - rows.keys())
    known = rows.keys() | set(in_ledger.values_list("serial_number", flat=True).distinct())
    if unknown := sorted(wanted - known):
        raise UnknownSerials(unknown)
    periods: dict[str, list[Assignment]] = defaultdict(list)
    standing = list(Assignment.objects.filter(serial_number__in=wanted).order_by("from_day"))
    tenants = Tenant.objects.in_bulk({period.tenant_id for period in standing})  # a few, under thousands of periods
    for period in standing:
        period.tenant = tenants[period.tenant_id]
        periods[period.serial_number].append(period)
    day = today()
    return {serial: Timeline.of(rows.get(serial), periods[serial], today=day) for serial in wanted}


def _write(timelines: Collection[Timeline]) -> None:
    removed = {period.id for timeline in timelines for period in timeline.removed}
    cut = [period for timeline in timelines for period in timeline.cut]
    Assignment.objects.filter(id__in=removed).delete()
    with connection.cursor() as cursor:
        cursor.execute(CUT, [[period.id for period in cut], [period.until_day for period in cut]])
    Assignment.objects.bulk_create([period for timeline in timelines for period in timeline.made], batch_size=1000)


def end_ownership(actor: Actor, *, serials: Collection[str], on: date) -> None:
    """Nobody owns `serials` from `on` on; whoever did keeps the days before. Inside a context of the gateway."""
    with acting_as(actor):
        wait_for_stored_days()
        ordered = [Change(serial, None, on) for serial in sorted(serials)]
        timelines = _read_timelines(ordered, lock=True)
        steps = _hand_over_each(timelines, ordered, by=actor.name)
        _write(timelines.values())
        tell_steps(actor, steps)
        attribute(list(serials), on)
        flip_owners(today(), serials=list(serials))


def own_new_serials(
    actor: Actor,
    *,
    serials: Collection[str],
    tenant: Tenant | None,
    description: str,
    labels: Mapping[str, Any],
    operation_id: UUID,
    from_day: date,
) -> None:
    """What an operation created belongs to its tenant from the day it was sent on, however late its answer was found.

    Call inside `acting_as(system(…))`, in the transaction that stores it.
    """
    wait_for_stored_days()
    rows = list(Entitlement.objects.select_for_update().filter(serial_number__in=serials).order_by("pk"))
    wanted = (tenant.id if tenant else None, description, dict(labels), "")
    others = [row for row in rows if (row.tenant_id, row.description, row.labels, row.proposed_tenant) != wanted]
    for row in others:  # they were mirrored before their creation's answer was found
        row.tenant, row.description, row.labels, row.proposed_tenant = tenant, description, dict(labels), ""
    Entitlement.objects.bulk_update(others, fields=["tenant", "description", "labels", "proposed_tenant"])
    if tenant is not None:
        made = first_periods(
            actor,
            [row.serial_number for row in rows],
            tenant=tenant,
            description=description,
            labels=labels,
            operation_id=operation_id,
            from_day=from_day,
        )
        Assignment.objects.bulk_create(made)
        tell_first_periods(actor, made)
    if others:
        place_all(others, on=today())
    if LedgerEntry.objects.filter(serial_number__in=serials, day__gte=from_day).exists():
        attribute(list(serials), from_day)


def first_periods(
    actor: Actor,
    serials: Iterable[str],
    *,
    tenant: Tenant,
    description: str,
    labels: Mapping[str, Any],
    operation_id: UUID,
    from_day: date,
) -> list[Assignment]:
    """The assignments of what an operation created, to be saved by the caller."""
    return [
        new_row(
            Assignment,
            tenant=tenant,
            serial_number=serial,
            from_day=from_day,
            description=description,
            labels=dict(labels),
            operation_id=operation_id,
            created_by=actor.name,
        )
        for serial in serials
    ]


def tell_first_periods(actor: Actor, periods: Iterable[Assignment]) -> None:
    changes = [(Change(period.serial_number, period.tenant, period.from_day), period) for period in periods]
    tell_steps(actor, [Step(change, None, frozenset(), period, changed=True) for change, period in changes])
