"""Storing what nobody has heard of before, as nearly every creation's answer is: no row to compare with, so three round trips do.

What is mirrored, owned, placed or in the ledger already goes the longer way of `writes.storing`.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.db import connection

from gateway.fortiflex import records
from gateway.ledger.order import WAIT_FOR_STORED_DAYS
from gateway.mirror.entitlements import Birth, new_entitlement
from gateway.models import Config, Operation
from gateway.operations import JOURNAL
from gateway.ownership import first_periods, tell_first_periods
from gateway.placements import first_placement
from tenants.context import write_last
from tenants.rows import columns_of, instance_of

KNOWN = """
    SELECT EXISTS (SELECT 1 FROM gateway_entitlement WHERE serial_number = ANY(%(serials)s))
        OR EXISTS (SELECT 1 FROM gateway_assignment WHERE serial_number = ANY(%(serials)s))
        OR EXISTS (SELECT 1 FROM gateway_placement WHERE serial_number = ANY(%(serials)s))
        OR EXISTS (SELECT 1 FROM gateway_ledgerentry WHERE serial_number = ANY(%(serials)s) AND day >= %(from_day)s)
"""
CONFIGS = f"SELECT {columns_of(Config, 'config')} FROM gateway_config config WHERE id = ANY(%(configs)s)"  # noqa: S608


def store_births(operation: Operation, found: Sequence[records.Entitlement], birth: Birth, *, from_day: date) -> bool:
    """Mirror rows, placements and owner of what this operation made. False, and nothing written, if anything of it is known already.

    Inside the transaction that settles it. LookupError if a config is not in the mirror yet.
    """
    serials = [record.serial_number for record in found]
    wanted = {record.config_id for record in found}
    asked: dict[str, Any] = {"serials": serials, "from_day": from_day, "configs": sorted(wanted)}
    with connection.cursor() as cursor:
        cursor.execute(f"{WAIT_FOR_STORED_DAYS};{KNOWN};{CONFIGS}", asked)
        cursor.nextset()
        [is_known] = cursor.fetchone()
        cursor.nextset()
        configs = {row.id: row for row in (instance_of(Config, columns) for columns in cursor.fetchall())}
    if is_known or len(set(serials)) != len(serials):
        return False
    if missing := wanted - configs.keys():
        raise LookupError(f"Configs {sorted(missing)} are not in the mirror.")
    rows = [
        new_entitlement(record, program_serial=operation.program_serial, account_id=operation.account_id, born_to=birth)
        for record in found
    ]
    for row in rows:
        row.folder_path = operation.intent.get("folder_path") or ""
    write_last([*rows, *(first_placement(row, configs[row.config_id]) for row in rows)])
    if operation.tenant is not None:
        periods = first_periods(
            JOURNAL,
            serials,
            tenant=operation.tenant,
            description=birth.text,
            labels=birth.labels,
            operation_id=operation.id,
            from_day=from_day,
        )
        write_last(periods)
        tell_first_periods(JOURNAL, periods)
    return True
