"""Who owns each entitlement today: brought in line with the assignments when one is made, and at every Pacific midnight."""

from collections.abc import Collection
from datetime import date
from typing import Any

from django.db import connection

from gateway.days import today
from gateway.ledger.order import wait_for_changes_of_owner
from gateway.models import Entitlement
from gateway.ownership.renewal import Flip, renew_unused_tokens
from gateway.placements import place_all
from tenants.actors import system
from tenants.context import acting_as

FLIP = system("ownership")
_flipped_for: date | None = None
# Locked in one order, and only then compared with the assignments that are committed by now.
LOCK = """
SELECT e.serial_number FROM gateway_entitlement AS e
LEFT JOIN gateway_assignment AS a ON a.serial_number = e.serial_number AND daterange(a.from_day, a.until_day) @> %(day)s::date
WHERE (%(serials)s::text[] IS NULL OR e.serial_number = ANY(%(serials)s::text[])) AND a.tenant_id IS DISTINCT FROM e.tenant_id
ORDER BY e.serial_number FOR UPDATE OF e
"""
UPDATE = """
UPDATE gateway_entitlement AS e
SET tenant_id = owner.tenant_id,
    description = COALESCE(owner.description, ''),
    labels = COALESCE(owner.labels, '{}'::jsonb),
    operator_labels = CASE WHEN e.tenant_id IS NULL THEN e.operator_labels ELSE '{}'::jsonb END,
    folder_path = CASE WHEN e.tenant_id IS NULL THEN e.folder_path ELSE '' END,
    proposed_tenant = CASE WHEN owner.tenant_id IS NULL THEN e.proposed_tenant ELSE '' END
FROM (
    SELECT s.serial_number, s.tenant_id AS before, a.tenant_id, a.description, a.labels
    FROM gateway_entitlement AS s
    LEFT JOIN gateway_assignment AS a
      ON a.serial_number = s.serial_number AND daterange(a.from_day, a.until_day) @> %(day)s::date
    WHERE %(serials)s::text[] IS NULL OR s.serial_number = ANY(%(serials)s::text[])
) AS owner
WHERE owner.serial_number = e.serial_number AND owner.tenant_id IS DISTINCT FROM e.tenant_id
RETURNING e.serial_number, owner.before, owner.tenant_id
"""


def flip_owners(day: date, *, serials: Collection[str] | None = None) -> int:
    """Make `Entitlement.tenant` say who owns each serial on `day`; how many changed. Inside `acting_as` of somebody who sees every tenant.

    An unused licence token that an earlier owner could read is renewed for the new one, in the same transaction. The folder that an owner
    named is in its words, and goes with it.
    """
    parameters: dict[str, Any] = {"day": day, "serials": None if serials is None else list(serials)}
    with connection.cursor() as cursor:
        cursor.execute(LOCK, parameters)
        parameters["serials"] = [row[0] for row in cursor.fetchall()]
        if not parameters["serials"]:
            return 0
        cursor.execute(UPDATE, parameters)
        flips = [Flip(*row) for row in cursor.fetchall()]
    if flips:
        rows = Entitlement.objects.filter(serial_number__in=[flip.serial_number for flip in flips]).defer("raw")
        place_all(list(rows), on=day)
        renew_unused_tokens(FLIP, flips, day=day)
    return len(flips)


def ensure_flipped() -> None:
    """Before anything else of a new billing day: hand over what changes hands today. Looks once per process and day.

    So it must not look past a change that is not committed yet: what was arranged for the next day right before midnight is waited for.
    """
    global _flipped_for
    day = today()
    if _flipped_for != day:
        with acting_as(FLIP):
            wait_for_changes_of_owner()
            flip_owners(day)
        _flipped_for = day


def forget_day() -> None:
    """Look again at the next `ensure_flipped` (a clock that was moved, a database that was changed underneath)."""
    global _flipped_for
    _flipped_for = None
