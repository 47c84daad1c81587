"""The balance of prepaid programs: asked for only when it can be another one that matters."""

from datetime import datetime, timedelta

from gateway.days import today
from gateway.fortiflex.days import billing_day_at
from gateway.fortiflex.records import ProgramBalance
from gateway.models import Program

BALANCE_LIFE = timedelta(hours=6)


def is_balance_due(program: Program, *, now: datetime) -> bool:
    """Only prepaid programs have one; the prefix is a hint (reference 3.1), and a refusal costs an error, so postpaid ones are not asked.

    FortiFlex deducts once a day, and points that are bought only add: a positive balance is good until the next billing day or for six
    hours. One that forbids creations is asked for in every pass, since somebody may be buying points this moment.
    """
    if not program.is_prepaid:
        return False
    if program.balance_at is None or program.point_balance is None or program.point_balance <= 0:
        return True
    return billing_day_at(program.balance_at) != today() or program.balance_at < now - BALANCE_LIFE


def store_balance(program: Program, balance: ProgramBalance, *, asked_at: datetime) -> None:
    """Inside `acting_as(system(…))`."""
    program.point_balance, program.balance_at = balance.point_balance, asked_at
    program.save(update_fields=["point_balance", "balance_at"])
