"""From a kept answer to ledger rows: one transaction per account and day, with corrections kept and owners attributed."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection

from gateway.ledger.fetch import LEDGER, Fetched
from gateway.ledger.order import wait_for_changes_of_owner
from gateway.models import AccountDay, LedgerCorrection, LedgerEntry
from tenants.context import acting_as
from tenants.events import record_event

ZERO = Decimal(0)
# The tenant is looked up in the same statement, so a row never exists without its owner.
UPSERT = """
INSERT INTO gateway_ledgerentry (day, serial_number, program_serial, account_id, points, tenant_id, fetch_id)
SELECT %(day)s, given.serial_number, %(program)s, %(account)s, given.points, a.tenant_id, %(fetch)s
FROM unnest(%(serials)s::text[], %(points)s::numeric[]) AS given (serial_number, points)
LEFT JOIN gateway_assignment AS a
  ON a.serial_number = given.serial_number AND daterange(a.from_day, a.until_day) @> %(day)s::date
ON CONFLICT (day, serial_number, program_serial) DO UPDATE
SET points = EXCLUDED.points, fetch_id = EXCLUDED.fetch_id, account_id = EXCLUDED.account_id, tenant_id = EXCLUDED.tenant_id
WHERE gateway_ledgerentry.points <> EXCLUDED.points OR gateway_ledgerentry.tenant_id IS DISTINCT FROM EXCLUDED.tenant_id
"""


def store_day(fetched: Fetched, day: date, *, certain: bool) -> str:
    """Store what `fetched` says of `day`; the account-day's new state.

    `certain` False = whether endDate counts is not known: an empty answer is zero either way, anything else is kept apart, unbilled.
    """
    row = fetched.row
    with acting_as(LEDGER):
        if fetched.totals is None:
            return _mark(fetched, day, AccountDay.State.UNANSWERED, ZERO)
        if fetched.totals and not certain:
            return _mark(fetched, day, AccountDay.State.UNCALIBRATED, ZERO)
        ensure_month(day)
        wait_for_changes_of_owner()
        known = {
            entry.serial_number: entry
            for entry in LedgerEntry.objects.filter(day=day, program_serial=row.program_serial).select_related(None)
        }
        totals = dict(fetched.totals)
        elsewhere = {
            serial
            for serial in totals
            if serial in known and known[serial].points > 0 and known[serial].account_id != row.account_id
        }
        if claimed := [serial for serial in elsewhere if totals[serial] > 0]:
            # Two accounts claim one serial and day: adding and choosing are both guesses.
            others = {known[serial].account_id for serial in claimed}
            AccountDay.objects.filter(program_serial=row.program_serial, account_id__in=others, day=day).update(
                state=AccountDay.State.CONFLICT
            )
            return _mark(fetched, day, AccountDay.State.CONFLICT, row.total)
        for serial in elsewhere:
            del totals[serial]  # nothing here is no word against what it consumed there: it was moved
        for serial, entry in known.items():
            if entry.account_id == row.account_id and entry.points > 0:
                totals.setdefault(serial, ZERO)  # it was there and is not any more: corrected to nothing
        _keep_corrections(fetched, day, known, totals)
        _upsert(fetched, day, totals)
        return _mark(fetched, day, AccountDay.State.ANSWERED, row.total)


def ensure_month(day: date) -> None:
    """The month's partition exists (the gateway's role can't create tables; the owner's function does)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT flexgate_ensure_ledger_month(%s)", [day])


def _upsert(fetched: Fetched, day: date, totals: Mapping[str, Decimal]) -> None:
    parameters: dict[str, Any] = {
        "day": day,
        "program": fetched.row.program_serial,
        "account": fetched.row.account_id,
        "fetch": fetched.row.id,
        "serials": list(totals),
        "points": list(totals.values()),
    }
    with connection.cursor() as cursor:
        cursor.execute(UPSERT, parameters)


def _keep_corrections(
    fetched: Fetched, day: date, known: Mapping[str, LedgerEntry], totals: Mapping[str, Decimal]
) -> None:
    for serial, points in totals.items():
        entry = known.get(serial)
        if entry is None or entry.points == points:
            continue
        LedgerCorrection.objects.create(
            day=day,
            serial_number=serial,
            program_serial=fetched.row.program_serial,
            tenant_id=entry.tenant_id,
            old_points=entry.points,
            new_points=points,
            old_fetch_id=entry.fetch_id,
            new_fetch=fetched.row,
        )
        record_event(
            "points.corrected",
            subject_type="entitlement",
            subject_key=serial,
            tenant_id=entry.tenant_id,
            data={"day": day, "old_points": f"{entry.points:.4f}", "new_points": f"{points:.4f}"},
        )


def _mark(fetched: Fetched, day: date, state: AccountDay.State, total: Decimal) -> str:
    """An answered day stays answered when a later look fails or proves nothing: what FortiFlex said last is what is known."""
    row = fetched.row
    current = AccountDay.objects.filter(program_serial=row.program_serial, account_id=row.account_id, day=day).first()
    proves_nothing = state in {AccountDay.State.UNANSWERED, AccountDay.State.UNCALIBRATED}
    if current is not None and current.state == AccountDay.State.ANSWERED and proves_nothing:
        return current.state
    AccountDay.objects.update_or_create(
        program_serial=row.program_serial,
        account_id=row.account_id,
        day=day,
        defaults={"state": state, "fetch": row, "total": total, "fetched_at": row.answered_at},
    )
    return state
