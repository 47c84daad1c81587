"""One change of a thing at a time: who comes while another is open is told so."""

from collections.abc import Sequence

from django.db.models import Q

from gateway.models import Entitlement, Operation
from gateway.operations.journal import CONFIG_CHANGES, OPEN
from gateway.operations.settling import JOURNAL, State
from gateway.operations.traces import serials_led_to
from tenants.context import acting_as
from tenants.problems import Problem


def refuse_if_in_progress(*, serial_numbers: Sequence[str] = (), config_id: int | None = None) -> None:
    """Problem `in_progress` while another write on one of these is open; the caller holds their rows' locks."""
    with acting_as(JOURNAL):
        open_ones = Operation.objects.filter(state__in=OPEN)
        if serial_numbers:
            named = Q(serial_numbers__overlap=list(serial_numbers))
            for serial in serial_numbers:  # what follows a config that is being made concerns them already
                named |= Q(intent__entitlement__serial=serial) | Q(intent__transfer__contains=[serial])
            busy = open_ones.filter(named)
        else:
            busy = open_ones.filter(config_id=config_id, kind__in=CONFIG_CHANGES)
        # The new token of a hand-over goes out by itself some time, and nothing that the new owner asks for gets in its way.
        busy = busy.exclude(state=State.PLANNED, intent__contains={"because": "handover"})
        found = list(busy.values_list("state", "tenant_id"))
        if serial_numbers and found:
            rows = Entitlement.objects.filter(serial_number__in=serial_numbers)
            owners = set(rows.values_list("tenant_id", flat=True))
            # What an owner before had planned ends unsent.
            found = [(state, owner) for state, owner in found if state != State.PLANNED or owner in owners]
        if found:
            raise Problem(
                "in_progress",
                "Another change of this is under way or its outcome is not known yet. Try again when it is settled.",
                headers={"Retry-After": "10"},
            )


def refuse_while_sent(serial_numbers: Sequence[str]) -> None:
    """Problem `in_progress` while FortiFlex is being asked about one of these, or about the config of one: whose the outcome is must not
    change under way.

    Inside an open context of the operator or the gateway, which holds the entitlements' locks.
    """
    about, configs = set(serial_numbers), set[int]()
    for row in Operation.objects.filter(state=State.SENT):  # each API user has one at a time
        if about & {*row.serial_numbers, *serials_led_to(row.intent)}:
            raise _being_changed()
        if row.kind in CONFIG_CHANGES and row.config_id is not None:
            configs.add(row.config_id)
    if configs and Entitlement.objects.filter(serial_number__in=about, config_id__in=configs).exists():
        raise _being_changed()


def _being_changed() -> Problem:
    return Problem(
        "in_progress",
        "A change of one of these is being made right now. Try again when it is settled.",
        headers={"Retry-After": "10"},
    )
