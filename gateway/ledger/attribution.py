"""Whose points they are: the ledger's tenant is always what the assignments say, and nothing else writes it."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from django.db import connection

# The first day of all is named by itself: it is what leaves older months of the ledger unopened.
ATTRIBUTE = """
UPDATE gateway_ledgerentry AS entry
SET tenant_id = owner.tenant_id
FROM (
    SELECT l.day, l.serial_number, l.program_serial, a.tenant_id
    FROM unnest(%(serials)s::text[], %(days)s::date[]) AS given (serial_number, from_day)
    JOIN gateway_ledgerentry AS l ON l.serial_number = given.serial_number AND l.day >= given.from_day
    LEFT JOIN gateway_assignment AS a
      ON a.serial_number = l.serial_number AND daterange(a.from_day, a.until_day) @> l.day
    WHERE l.day >= %(first)s
) AS owner
WHERE entry.day = owner.day AND entry.serial_number = owner.serial_number AND entry.program_serial = owner.program_serial
  AND entry.day >= %(first)s
  AND entry.tenant_id IS DISTINCT FROM owner.tenant_id
"""


def attribute(serials: Collection[str], from_day: date) -> int:
    """Bring the ledger rows of `serials` from `from_day` on in line with the assignments; how many changed.

    Call inside the transaction that changed the assignments, as somebody who sees every tenant.
    """
    return attribute_each(dict.fromkeys(serials, from_day))


def attribute_each(from_days: Mapping[str, date]) -> int:
    """The same for serials with a first day each, in one statement."""
    if not from_days:
        return 0
    given: dict[str, Any] = {
        "serials": list(from_days),
        "days": list(from_days.values()),
        "first": min(from_days.values()),
    }
    with connection.cursor() as cursor:
        cursor.execute(ATTRIBUTE, given)
        return int(cursor.rowcount)
