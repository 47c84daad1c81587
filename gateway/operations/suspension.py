"""What a tenant asked for and what is not sent yet when the tenant is suspended: it ends unsent. What others want for the tenant is sent."""

from gateway.models import Operation
from gateway.operations.settling import JOURNAL, State, settle_failed
from tenants.context import acting_as
from tenants.models import Tenant, Token

SUSPENDED = "The customer was suspended before this was sent; nothing was done."


def is_the_tenants_own_wish(operation: Operation) -> bool:
    """Whether one of its tenant's tokens asked for it, or for what it is the second half of.

    Not what an operator or the staff asked for, nor what the gateway itself wants: a tag, an end date put back, a token renewed for whoever
    has it now. Inside an open `acting_as` of the gateway.
    """
    if "because" in operation.intent:
        return False
    while "follows" in operation.intent:
        operation = Operation.objects.get(id=operation.intent["follows"])
    kind, _, name = operation.asked_by.partition(" ")
    return kind == "token" and Token.objects.filter(id=name, tenant=operation.tenant_id).exists()


def end_planned_of_suspended() -> None:
    """What waits in the queue for a token that is refused by now: also where the gate is shut, and before the suspension is lifted."""
    with acting_as(JOURNAL):
        rows = Operation.objects.select_for_update(of=("self",)).filter(
            tenant__status=Tenant.Status.SUSPENDED, state=State.PLANNED
        )
        for row in rows.order_by("id"):
            if is_the_tenants_own_wish(row):
                settle_failed(row, code="not_available", detail=SUSPENDED)
