"""Storing what nobody has heard of before, as nearly every creation's answer is: no row to compare with, so one statement for each table does.

What is mirrored, owned, placed or in the ledger already goes the longer way of `writes.storing`.
"""

from collections.abc import Mapping, Sequence
from datetime import date

from django.db import connection

from gateway.fortiflex import records
from gateway.fortiflex.days import billing_day_at
from gateway.ledger.order import WAIT_FOR_STORED_DAYS
from gateway.mirror.entitlements import Birth, new_entitlement
from gateway.models import Config, Entitlement, Operation
from gateway.operations import JOURNAL
from gateway.ownership import first_periods, tell_first_periods
from gateway.placements import first_placement
from tenants import clock
from tenants.last_words import write_last
from tenants.rows import Statement, columns_of, instance_of

ELSEWHERE = """EXISTS (SELECT 1 FROM gateway_entitlement WHERE serial_number = ANY(%s))
    OR EXISTS (SELECT 1 FROM gateway_assignment WHERE serial_number = ANY(%s))
    OR EXISTS (SELECT 1 FROM gateway_placement WHERE serial_number = ANY(%s))"""
KNOWN = f"({ELSEWHERE} OR EXISTS (SELECT 1 FROM gateway_ledgerentry WHERE serial_number = ANY(%s) AND day >= %s))"  # noqa: S608
# Points are stored up to yesterday. Where none are from its first day on, the ledger's many partitions need not be asked.
MAY_BE_KNOWN = f"({ELSEWHERE} OR EXISTS (SELECT 1 FROM gateway_accountday WHERE day >= %s))"  # noqa: S608
CONFIGS = f"SELECT {columns_of(Config, 'config')} FROM gateway_config config WHERE id = ANY(%s)"  # noqa: S608


def store_births(operation: Operation, found: Sequence[records.Entitlement]) -> bool:
    """Mirror rows, placements and owner of what this operation made. False, and nothing written, if anything of it is known already.

    Inside the transaction that settles it. LookupError if a config is not in the mirror yet.
    """
    wanted, known = {record.config_id for record in found}, is_known(operation, found)
    with connection.cursor() as cursor:
        cursor.execute(f"{WAIT_FOR_STORED_DAYS}; SELECT {known.text}; {CONFIGS}", [*known.values, sorted(wanted)])
        cursor.nextset()
        [known_already] = cursor.fetchone()
        cursor.nextset()
        configs = {row.id: row for row in (instance_of(Config, columns) for columns in cursor.fetchall())}
    if known_already or len({record.serial_number for record in found}) != len(found):
        return False
    if missing := wanted - configs.keys():
        raise LookupError(f"Configs {sorted(missing)} are not in the mirror.")
    write_births(operation, found, configs)
    return True


def is_known(operation: Operation, found: Sequence[records.Entitlement]) -> Statement:
    """An expression: whether anything of what was `found` stands anywhere already. Asked with the stored days waited for."""
    serials = [record.serial_number for record in found]
    return Statement(KNOWN, [*[serials] * 4, _first_day(operation)])


def may_be_known(operation: Operation, found: Sequence[records.Entitlement]) -> Statement:
    """As `is_known`, and true as well where points are stored already from that day on, whoever's they are."""
    serials = [record.serial_number for record in found]
    return Statement(MAY_BE_KNOWN, [*[serials] * 3, _first_day(operation)])


def write_births(
    operation: Operation, found: Sequence[records.Entitlement], configs: Mapping[int, Config]
) -> list[Entitlement]:
    """The rows of what nobody has heard of, as last words of the context; the entitlements among them."""
    text, labels = operation.intent.get("description") or "", operation.intent.get("labels") or {}
    rows = [
        new_entitlement(
            record,
            program_serial=operation.program_serial,
            account_id=operation.account_id,
            born_to=Birth(operation.tenant_id, text, labels),
        )
        for record in found
    ]
    for row in rows:
        row.folder_path = operation.intent.get("folder_path") or ""
    write_last([*rows, *(first_placement(row, configs[row.config_id]) for row in rows)])
    if operation.tenant is None:
        return rows
    periods = first_periods(
        JOURNAL,
        [row.serial_number for row in rows],
        tenant=operation.tenant,
        description=text,
        labels=labels,
        operation_id=operation.id,
        from_day=_first_day(operation),
    )
    write_last(periods)
    tell_first_periods(JOURNAL, periods)
    return rows


def _first_day(operation: Operation) -> date:
    return billing_day_at(operation.sent_at or clock.now())
