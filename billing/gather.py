"""Sum a month's points exactly, in SQL: per serial, place, text and price. Days that the tenant owned, and no other."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connection

from billing.rating import Usage
from tenants.models import Tenant

# A tenant's own rate goes before the default, day by day. A zero-point day is no day of use. Ledger rows carry their owner already.
GATHER = """
SELECT l.serial_number, p.config_id, coalesce(p.product, ''), coalesce(a.description, ''), r.price_per_point,
       sum(l.points), count(*), min(l.day), max(l.day)
FROM gateway_ledgerentry AS l
LEFT JOIN gateway_assignment AS a
  ON a.serial_number = l.serial_number AND a.tenant_id = l.tenant_id AND daterange(a.from_day, a.until_day) @> l.day
LEFT JOIN gateway_placement AS p
  ON p.serial_number = l.serial_number AND daterange(p.from_day, p.until_day) @> l.day
LEFT JOIN LATERAL (
    SELECT rate.price_per_point FROM billing_rate AS rate
    WHERE rate.currency = %(currency)s AND (rate.tenant_id = %(tenant)s OR rate.tenant_id IS NULL)
      AND daterange(rate.from_day, rate.until_day) @> l.day
    ORDER BY rate.tenant_id IS NULL LIMIT 1
) AS r ON true
WHERE l.tenant_id = %(tenant)s AND l.day BETWEEN %(first)s AND %(last)s AND l.points <> 0
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 8
"""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What can be rated, and the first day for which there is no rate (None = every day has one)."""

    usage: tuple[Usage, ...]
    unpriced_from: date | None


def gather_usage(tenant: Tenant, first: date, last: date) -> Gathered:
    """The usage of `tenant` from `first` to `last`. Inside `acting_as` of somebody who sees every tenant."""
    with connection.cursor() as cursor:
        cursor.execute(GATHER, {"tenant": tenant.id, "currency": tenant.currency, "first": first, "last": last})
        rows = cursor.fetchall()
    unpriced = [row[7] for row in rows if row[4] is None]
    usage = tuple(
        Usage(
            serial_number=serial,
            config_id=config_id,
            product=product,
            description=description,
            unit_price=Decimal(0) if price is None else price,
            points=points,
            days=days,
            first=day_one,
            last=day_last,
        )
        for serial, config_id, product, description, price, points, days, day_one, day_last in rows
    )
    return Gathered(usage, min(unpriced) if unpriced else None)
