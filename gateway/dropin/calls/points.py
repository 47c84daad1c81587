"""entitlements/points: one total per entitlement for the range, from the ledger, of the days on which the tenant owned it."""

from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from gateway.days import today
from gateway.dropin.envelope import refuse
from gateway.dropin.places import (
    EITHER,
    NO_ACCOUNT,
    NO_CONFIG,
    NO_PROGRAM,
    Asked,
    check_place,
    known_places,
    refuse_if_narrowed,
    usable_places,
)
from gateway.dropin.shapes import show_totals
from gateway.fortiflex.days import ONE_DAY
from gateway.ledger.calibrate import current_finding
from gateway.ledger.fetch import LEDGER
from gateway.ledger.models import LedgerEntry
from gateway.models import Config, Entitlement, Placement
from gateway.reach import api_user_for
from tenants.context import acting_as
from tenants.problems import Problem

WINDOW = timedelta(days=90)  # FortiFlex forgets what is older (reference 2.4); the REST API does not


def total_points(asked: Asked) -> dict[str, Any]:
    body = asked.body
    config_id, program, account = body.whole("configId"), body.text("programSerialNumber"), body.whole("accountId")
    serial = body.text("serialNumber")
    start, end = body.required_day("startDate"), body.required_day("endDate")
    if end < start:
        raise refuse("Invalid date range.")
    rows = LedgerEntry.objects.filter(tenant_id__in=asked.actor.tenant_ids, day__gte=max(start, today() - WINDOW))
    if config_id is not None:
        rows, program, account = _of_config(rows, asked, config_id)
    elif program:
        if not serial:
            refuse_if_narrowed(asked.actor)
        rows = rows.filter(program_serial=program)
        _check_place(asked, rows, program, account)
        rows = rows if account is None else rows.filter(account_id=account)
    else:
        raise refuse(EITHER)
    rows = rows.filter(day__lte=end if _end_counts(asked, program, account) else end - ONE_DAY)
    rows = rows.filter(serial_number=serial) if serial else rows
    totals = rows.values("serial_number", "account_id").annotate(total=Sum("points")).order_by("serial_number")
    return {"entitlements": show_totals(list(totals))}


def _of_config(rows: "QuerySet[LedgerEntry]", asked: Asked, config_id: int) -> "tuple[QuerySet[LedgerEntry], str, int]":
    """The days on which a serial stood under the config: who resized or handed over keeps the days before."""
    there = Placement.objects.filter(config_id=config_id)
    if asked.actor.reach is not None:
        seen = Entitlement.objects.visible_to(asked.actor).values("serial_number")
        there = there.filter(Q(serial_number__in=asked.actor.reach.entitlements) | Q(serial_number__in=seen))
    config = Config.objects.visible_to(asked.actor).filter(id=config_id).values_list("program_id", "account_id").first()
    place = config or there.values_list("program_serial", "account_id").first()
    if place is None:
        raise refuse(NO_CONFIG)
    on_that_day = there.filter(serial_number=OuterRef("serial_number"), from_day__lte=OuterRef("day")).filter(
        Q(until_day__isnull=True) | Q(until_day__gt=OuterRef("day"))
    )
    return rows.filter(Exists(on_that_day)), *place


def _check_place(asked: Asked, rows: "QuerySet[LedgerEntry]", program: str, account: int | None) -> None:
    """Where it consumed before counts too, though nothing of its own stands there any more."""
    try:
        check_place(known_places(asked), program=program, account=account)
    except Problem:
        past = rows if account is None else rows.filter(account_id=account)
        if not past.exists():
            raise refuse(NO_PROGRAM if account is None or not rows.exists() else NO_ACCOUNT) from None


def _end_counts(asked: Asked, program: str, account: int | None) -> bool:
    """Whether `endDate` is inclusive at the URL that this is read from; inclusive until somebody knows."""
    if account is None:
        account = min((own for serial, own in usable_places(asked.tenant) if serial == program), default=0)
    api_user = api_user_for(program, account)
    with acting_as(LEDGER):
        finding = current_finding(api_user.api_url) if api_user is not None else None
    return finding is None or finding.end_day_counts is not False
