"""Numbers: one gapless series per tenant, given in the transaction that issues, from its locked row."""

from datetime import date

from billing.models import Series
from tenants.models import Tenant


def lock_series(tenant: Tenant) -> Series:
    """The tenant's series, locked until the transaction ends: whoever comes second waits and then sees what the first one issued."""
    Series.objects.bulk_create([Series(tenant=tenant, year=2000)], ignore_conflicts=True)
    return Series.objects.select_for_update().get(tenant=tenant)


def next_number(series: Series, tenant: Tenant, *, issued_on: date) -> str:
    """Count on (from 1 in a new year) and return `ACME-2026-0001`. The caller saves the series with the document's hash."""
    if issued_on.year > series.year:
        series.year, series.last_number = issued_on.year, 0
    series.last_number += 1
    return f"{tenant.slug.upper()}-{series.year}-{series.last_number:04}"
