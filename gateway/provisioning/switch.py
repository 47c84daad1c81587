"""Stop and reactivate."""

from decimal import Decimal

from gateway.models import Config, Entitlement, Operation
from gateway.provisioning import checks
from gateway.provisioning.change import change_entitlement
from gateway.provisioning.estimates import learn_prices
from gateway.provisioning.guards import ENDED, guard_creation
from gateway.provisioning.idempotency import Outcome
from gateway.provisioning.manner import AS_USUAL, Manner
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.models import Tenant
from tenants.problems import Problem

# Certainly wrong (reference 3.3). What FortiFlex does with PENDING ones is not documented, so that goes upstream.
NOT_TO_STOP = frozenset({"STOPPED", "EXPIRED"})
NOT_TO_REACTIVATE = frozenset({"ACTIVE", "GRACE_PERIOD"})


def stop_entitlement(actor: Actor, serial: str, *, manner: Manner = AS_USUAL) -> Outcome:
    """It consumes points to the end of today. Problem `state_conflict` if it has ended already."""

    def check(row: Entitlement) -> None:
        if row.status in NOT_TO_STOP:
            raise Problem("state_conflict", f"This entitlement is {row.status.lower()} already.")

    return change_entitlement(
        actor,
        serial,
        kind=Operation.Kind.STOP,
        check=check,
        intent={},
        before=lambda row: {"status": row.status, "end_day": row.end_day.isoformat() if row.end_day else None},
        manner=manner,
    )


def reactivate_entitlement(actor: Actor, serial: str, *, manner: Manner = AS_USUAL) -> Outcome:
    """It consumes points from today. An end date that the stop overwrote is put back. Problem `state_conflict` if it is active."""

    def check(row: Entitlement) -> Decimal | None:
        if row.status in NOT_TO_REACTIVATE:
            raise Problem(
                "state_conflict", "This entitlement is active already; only a stopped one can be reactivated."
            )
        if row.status not in ENDED:
            return None
        # It counts again.
        owner = Tenant.objects.get(id=row.tenant_id) if row.tenant_id else None
        guard_creation(owner, count=1, points_per_day=row.config.points_per_day)
        return row.config.points_per_day

    _price(actor, serial)
    return change_entitlement(
        actor,
        serial,
        kind=Operation.Kind.REACTIVATE,
        check=check,
        intent={},
        before=lambda row: {"status": row.status},
        manner=manner,
    )


def _price(actor: Actor, serial: str) -> None:
    """Where a limit of points decides, FortiFlex is asked what this costs, before the row is locked."""
    with acting_as(actor):
        row = checks.find_entitlement(actor, serial)
        owner = Tenant.objects.filter(id=row.tenant_id).first() if row.tenant_id else None
        config = Config.objects.get(id=row.config_id)
    learn_prices(owner, config)
