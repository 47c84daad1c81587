"""Whose points they are: the ledger's tenant is always what the assignments say, and nothing else writes it."""

from collections.abc import Collection
from datetime import date

from django.db import connection

ATTRIBUTE = """
UPDATE gateway_ledgerentry AS entry
SET tenant_id = owner.tenant_id
FROM (
    SELECT l.day, l.serial_number, l.program_serial, a.tenant_id
    FROM gateway_ledgerentry AS l
    LEFT JOIN gateway_assignment AS a
      ON a.serial_number = l.serial_number AND daterange(a.from_day, a.until_day) @> l.day
    WHERE l.serial_number = ANY(%s) AND l.day >= %s
) AS owner
WHERE entry.day = owner.day AND entry.serial_number = owner.serial_number AND entry.program_serial = owner.program_serial
  AND entry.serial_number = ANY(%s) AND entry.day >= %s
  AND entry.tenant_id IS DISTINCT FROM owner.tenant_id
"""


def attribute(serials: Collection[str], from_day: date) -> int:
    """Bring the ledger rows of `serials` from `from_day` on in line with the assignments; how many changed.

    Call inside the transaction that changed the assignments, as somebody who sees every tenant.
    """
    chosen = list(serials)
    with connection.cursor() as cursor:
        cursor.execute(ATTRIBUTE, [chosen, from_day, chosen, from_day])
        return int(cursor.rowcount)
