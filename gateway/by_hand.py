"""Programs and accounts that the operator enters, because FortiFlex does not reliably list them; and which API user reads an account."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import Q

from gateway.models import ApiUser, Operation, Program, ProgramAccount, Refusal
from gateway.operations import OPEN
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.problems import Problem, invalid, not_found


@dataclass(frozen=True, slots=True)
class ProgramFields:
    """What an operator knows of a program that FortiFlex does not list."""

    serial_number: str
    account_id: int
    api_user: str
    start_day: date | None = None
    end_day: date | None = None


def enter_program(actor: Actor, fields: ProgramFields) -> Program:
    """A program with its first account; read from the next pass on. Problem `state_conflict` if it is known, `invalid` names a field.

    When FortiFlex lists it later, it becomes an ordinary one.
    """
    if fields.start_day and fields.end_day and fields.end_day < fields.start_day:
        raise invalid("/end_date", "A program ends after it begins.")
    with acting_as(actor):
        api_user = _find_api_user(fields.api_user)
        row, created = Program.objects.get_or_create(
            serial_number=fields.serial_number,
            defaults={
                "account_id": fields.account_id,
                "start_day": fields.start_day,
                "end_day": fields.end_day,
                "entered_by_hand": True,
            },
        )
        if not created:
            raise Problem("state_conflict", "This program is known; enter further accounts under it.")
        account = ProgramAccount.objects.create(
            program=row, account_id=fields.account_id, api_user=api_user, entered_by_hand=True
        )
        after = describe_account(account) | {"start_day": fields.start_day, "end_day": fields.end_day}
        _write_down(actor, "program.entered", account, before=None, after=after)
    return row


def enter_account(actor: Actor, *, program_serial: str, account_id: int, api_user: str) -> tuple[ProgramAccount, bool]:
    """This API user reads the account from now on, whoever did before; (row, created). Safe to repeat.

    Problem `in_progress` while a write of that account is not settled: what came of it is looked up through the API user that sent it.
    The row's lock waits for those that are being planned (operations.readers), so that they are seen.
    """
    with acting_as(actor):
        reader = _find_api_user(api_user)
        program = _find_program(program_serial)
        row, created = ProgramAccount.objects.select_for_update(of=("self",)).get_or_create(
            program=program, account_id=account_id, defaults={"api_user": reader, "entered_by_hand": True}
        )
        before = None if created else describe_account(row)
        if row.api_user_id != reader.id:
            _refuse_while_unsettled(row)
            row.api_user = reader
            row.save(update_fields=["api_user"])
            Refusal.objects.filter(program_serial=program_serial, account_id=account_id).delete()
        after = describe_account(row)
        if after != before:
            _write_down(actor, "account.entered" if created else "account.moved", row, before=before, after=after)
    return row, created


def find_accounts_of(program_serial: str, *, beyond: int | None, upward: bool, count: int) -> list[dict[str, Any]]:
    """A page of a program's accounts with the last refusal of each, by number. Inside `acting_as` of the operator; `not_found`."""
    rows = ProgramAccount.objects.select_related("api_user").filter(program=_find_program(program_serial))
    if beyond is not None:
        rows = rows.filter(**{f"account_id__{'gt' if upward else 'lt'}": beyond})
    page = list(rows.order_by("account_id" if upward else "-account_id")[:count])
    refusals = _refusals_of(program_serial, page)
    return [describe_account(row) | {"refusal": refusals.get((row.api_user_id, row.account_id))} for row in page]


def describe_account(row: ProgramAccount) -> dict[str, Any]:
    return {
        "program": row.program_id,
        "account_id": row.account_id,
        "api_user": row.api_user.name,
        "entered_by_hand": row.entered_by_hand,
        "mirrored_at": row.mirrored_at,
    }


def _refusals_of(program_serial: str, rows: Sequence[ProgramAccount]) -> dict[tuple[Any, int], dict[str, Any]]:
    """What keeps each account from being read: its own list, or its program's configs."""
    named = Q(account_id__in=[row.account_id for row in rows], call="entitlements/list") | Q(
        account_id=0, call="configs/list"
    )
    found = {
        (refusal.api_user_id, refusal.account_id): {
            "call": refusal.call,
            "reason": refusal.reason,
            "times": refusal.times,
            "refused_at": refusal.refused_at,
            "ask_again_at": refusal.ask_again_at,
        }
        for refusal in Refusal.objects.filter(named, program_serial=program_serial)
    }
    keys = [(row.api_user_id, row.account_id) for row in rows]
    return {key: found.get((key[0], 0)) or found[key] for key in keys if key in found or (key[0], 0) in found}


def _refuse_while_unsettled(row: ProgramAccount) -> None:
    writes = Operation.objects.filter(program_serial=row.program_id, state__in=OPEN)
    if writes.filter(Q(account_id=row.account_id) | Q(intent__target_account=row.account_id)).exists():
        raise Problem(
            "in_progress",
            "A write of this account is under way or its outcome is not known yet. Try again when it is settled.",
            headers={"Retry-After": "10"},
        )


def _find_api_user(name: str) -> ApiUser:
    row = ApiUser.objects.filter(name=name).first()
    if row is None:
        raise invalid("/api_user", "There is no such API user.")
    return row


def _find_program(serial: str) -> Program:
    row = Program.objects.filter(serial_number=serial).first()
    if row is None:
        raise not_found()
    return row


def _write_down(
    actor: Actor, action: str, row: ProgramAccount, *, before: dict[str, Any] | None, after: dict[str, Any]
) -> None:
    record_audit(
        actor,
        action,
        subject_type="program",
        subject_key=row.program_id,
        tenant_id=None,  # how the operator reaches FortiFlex is no tenant's matter
        before=before,
        after=after,
    )
