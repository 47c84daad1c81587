"""The frame of every change of one entitlement: find it, lock it, refuse what can't be, plan, send."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from gateway.models import Entitlement, Operation
from gateway.operations import JOURNAL, Plan, refuse_if_in_progress
from gateway.provisioning import checks
from gateway.provisioning.idempotency import Outcome, carry_out, find_earlier, replay_of, start_operation
from gateway.provisioning.manner import AS_USUAL, Manner
from tenants.actors import Actor
from tenants.context import acting_as

Check = Callable[[Entitlement], Decimal | None]


def lock_entitlement(actor: Actor, serial: str) -> Entitlement:
    """The row that a path names, locked so that of two changes at once the second sees the first. Inside `acting_as(actor)`."""
    checks.find_entitlement(actor, serial)
    with acting_as(JOURNAL):
        row = Entitlement.objects.select_for_update(of=("self",)).select_related("config").get(serial_number=serial)
    checks.find_entitlement(actor, serial)  # again: while this waited for the lock it may have been handed over
    checks.refuse_vanished(row)
    return row


def change_entitlement(
    actor: Actor,
    serial: str,
    *,
    kind: Operation.Kind,
    check: Check,
    intent: Mapping[str, Any],
    before: Callable[[Entitlement], Mapping[str, Any]] = lambda _: {},
    manner: Manner = AS_USUAL,
) -> Outcome:
    """Plan and send one write about `serial`. `check` raises the Problem that refuses it, and then no row is left; it says how many
    points a day more it costs, as far as that is known.
    """
    earlier = find_earlier(actor, manner.key)
    if (replay := replay_of(earlier)) is not None:
        return replay
    with acting_as(actor):
        row = lock_entitlement(actor, serial)
        # Of two with one key the second waited for this lock.
        if manner.key and (replay := replay_of(find_earlier(actor, manner.key))) is not None:
            return replay
        points_per_day = check(row)
        refuse_if_in_progress(serial_numbers=[serial])
        api_user = checks.reader_of(row.program_id, row.account_id)
        plan = Plan(
            kind=kind,
            tenant_id=row.tenant_id,
            api_user_id=api_user.id,
            program_serial=row.program_id,
            account_id=row.account_id,
            config_id=row.config_id,
            serial_numbers=[serial],
            intent=intent,
            before=before(row),
            points_per_day=points_per_day,
        )
        outcome = start_operation(actor, plan, manner=manner, earlier=earlier)
    return carry_out(outcome, manner)
