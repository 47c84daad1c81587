"""May this month be issued, and for whom? Each refusal is a sentence that says what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from django.conf import settings
from django.db.models import Q, Sum

from billing.models import StatementLine
from billing.rating import TaxProfile, Usage
from gateway.fortiflex.days import month_bounds, pacific_moment
from gateway.ledger.calibrate import current_finding
from gateway.ledger.pull import settled_at
from gateway.ledger.report import AccountDayState, read_account_days
from gateway.models import ApiUser, Assignment, LedgerEntry, Placement
from tenants.models import Tenant
from tenants.problems import invalid

ISSUE_HOUR = 9  # Pacific


@dataclass(frozen=True, slots=True)
class MonthFacts:
    """What is known of a month when a run starts."""

    first: date
    last: date
    account_days: tuple[AccountDayState, ...]
    uncalibrated_urls: frozenset[str]
    contradicted_urls: frozenset[str]


def check_month(month: str, *, now: datetime) -> tuple[date, date]:
    """First and last day of a month that may be issued `now`. Problem `invalid` for nonsense, a month not over, or still in its grace."""
    try:
        first, last = month_bounds(month)
    except ValueError as error:
        raise invalid("/month", str(error)) from None
    opens = issue_opens(last)
    if now < opens:
        raise invalid(
            "/month", f"{month} can be issued from {opens:%Y-%m-%d %H:%M} UTC on, when its last days are settled."
        )
    return first, last


def issue_opens(last: date) -> datetime:
    """The operator-set grace: from the 3rd of the next month, 09:00 Pacific, by default."""
    return pacific_moment(last + timedelta(days=settings.FLEXGATE_ISSUE_GRACE_DAYS), ISSUE_HOUR)


def read_facts(first: date, last: date) -> MonthFacts:
    """Inside `acting_as` of somebody who sees every tenant."""
    uncalibrated, contradicted = set(), set()
    for url in ApiUser.objects.values_list("api_url", flat=True).distinct():
        finding = current_finding(url)
        if finding is None:
            uncalibrated.add(url)
        elif finding.end_day_counts is None:
            contradicted.add(url)
    return MonthFacts(
        first, last, tuple(read_account_days(first, last)), frozenset(uncalibrated), frozenset(contradicted)
    )


def why_unknown(tenant: Tenant, facts: MonthFacts) -> str | None:
    """Why it can't be known yet what `tenant` consumed, or None."""
    places = _programs_of(tenant, facts)
    if places and facts.contradicted_urls:
        return "the calibration of endDate is contradictory; look at its evidence before anything is billed"
    open_day = next((day for day in facts.account_days if _is_open_for(day, places)), None)
    if open_day is None:
        return None
    where = f"account {open_day.account_id} in program {open_day.program_serial}"
    return f"{open_day.day} of {where} is {_state_of(open_day)}; run pull_points"


def why_unpriced(tenant: Tenant, unpriced_from: date | None) -> str | None:
    """Why what is known can't be billed, or None."""
    if unpriced_from is not None:
        return f"there is no {tenant.currency} rate for {unpriced_from}; set one under price-plans"
    if tax_profile(tenant.billing_profile) is None:
        return "its billing profile has no tax; set billing_profile.tax to a category and a rate"
    return None


def why_billed_twice(tenant: Tenant, usage: Sequence[Usage], facts: MonthFacts) -> str | None:
    """Why issuing `usage` would bill points that another tenant's issued statement of this month bills already, or None.

    Per serial: what others were billed and this tenant would be can't be more than what FortiFlex said. A hand-over into days that
    are billed moves points, and the first statement stands until it is corrected.
    """
    mine: dict[str, Decimal] = {}
    for item in usage:
        mine[item.serial_number] = mine.get(item.serial_number, Decimal(0)) + item.points
    lines = StatementLine.objects.filter(serial_number__in=mine, statement__period_from=facts.first).exclude(
        tenant=tenant
    )
    billed = dict(lines.values_list("serial_number").annotate(total=Sum("points")))
    rows = LedgerEntry.objects.filter(serial_number__in=billed, day__gte=facts.first, day__lte=facts.last)
    said = dict(rows.values_list("serial_number").annotate(total=Sum("points")))
    for serial, points in billed.items():
        if points + mine[serial] > said.get(serial, Decimal(0)):
            return f"points of {serial} are on another tenant's issued statement of this month already"
    return None


def _programs_of(tenant: Tenant, facts: MonthFacts) -> set[str]:
    """Programs in which the tenant owned something on a day of the month, by its points and by where its serials stood."""
    days = {"day__gte": facts.first, "day__lte": facts.last}
    by_points = set(
        LedgerEntry.objects.filter(tenant=tenant, **days).values_list("program_serial", flat=True).distinct()
    )
    overlapping = Q(from_day__lte=facts.last) & (Q(until_day__isnull=True) | Q(until_day__gt=facts.first))
    owned = Assignment.objects.filter(overlapping, tenant=tenant).values("serial_number")
    by_place = (
        Placement.objects.filter(overlapping, serial_number__in=owned)
        .values_list("program_serial", flat=True)
        .distinct()
    )
    return by_points | set(by_place)


def _is_open_for(day: AccountDayState, places: set[str]) -> bool:
    """A program where the tenant consumed must be known in whole: its serials may have moved between the program's accounts."""
    if day.program_serial not in places:
        return False
    return day.is_open or (day.state == "answered" and (day.fetched_at is None or day.fetched_at < settled_at(day.day)))


def _state_of(day: AccountDayState) -> str:
    return day.state if day.is_open else "read too early to be final"


def tax_profile(profile: Mapping[str, object]) -> TaxProfile | None:
    """The tenant's tax, or None where it has none that can be used."""
    tax = profile.get("tax")
    if not isinstance(tax, Mapping):
        return None
    try:
        return TaxProfile(str(tax["category"]), Decimal(str(tax["rate"])), str(tax.get("reason", "")))
    except (KeyError, InvalidOperation):
        return None
