"""What a list lacks has moved or vanished; which of the two is known when every other account was read since.

Accounts are read one after another, each through its own API user: an entitlement that was transferred is gone here before it is there.
Call inside `acting_as(system(…))`.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, Q

from gateway.mirror.telling import happened
from gateway.models import Entitlement, ProgramAccount, Refusal
from tenants import clock
from tenants.events import record_events

LONGEST_DOUBT = timedelta(hours=24)  # an account that can't be read must not keep a serial in doubt for ever


def note_missed(program_serial: str, account_id: int, *, listed: Collection[str], asked_at: datetime) -> None:
    """Write down what this account's whole list of `asked_at` lacks. `listed`: what it has, and what is newer than it."""
    standing = Entitlement.objects.filter(
        program_id=program_serial,
        account_id=account_id,
        first_seen_at__lt=asked_at,
        missed_at__isnull=True,
        vanished_at__isnull=True,
    )
    missed = set(standing.values_list("serial_number", flat=True)).difference(listed)
    if missed:
        Entitlement.objects.filter(serial_number__in=missed).update(missed_at=asked_at)


def confirm_vanished() -> list[str]:
    """Tell of what was missed and is nowhere else: every other account that can be read was asked since. Their serials."""
    here = Q(program_id=OuterRef("program_id"), account_id=OuterRef("account_id"))
    refused = Refusal.objects.filter(
        Q(call="entitlements/list", account_id=OuterRef("account_id")) | Q(call="configs/list", account_id=0),
        ask_again_at__gt=clock.now(),  # what is asked again at once can be read for all that anybody knows
        api_user_id=OuterRef("api_user_id"),
        program_serial=OuterRef("program_id"),
    )
    unread = (
        ProgramAccount.objects.exclude(here)
        .filter(Q(mirrored_at__isnull=True) | Q(mirrored_at__lt=OuterRef("missed_at")), api_user__enabled=True)
        .exclude(Exists(refused))
    )
    # Two passes at once tell of it once: the second finds the rows taken.
    in_doubt = Entitlement.objects.select_for_update(skip_locked=True).filter(
        missed_at__isnull=False, vanished_at__isnull=True
    )
    gone = list(
        in_doubt.filter(~Exists(unread) | Q(missed_at__lt=clock.now() - LONGEST_DOUBT)).order_by("serial_number")
    )
    serials = [row.serial_number for row in gone]
    Entitlement.objects.filter(serial_number__in=serials).update(vanished_at=F("missed_at"))
    record_events([happened("entitlement.vanished", row, {}) for row in gone])
    return serials
