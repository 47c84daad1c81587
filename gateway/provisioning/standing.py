"""Whether a planned write may still be sent: between plan and sending, what it is about may have changed hands."""

from gateway.models import Entitlement, Operation, UpstreamLane
from gateway.operations import OPEN
from gateway.provisioning.failures import NOT_AVAILABLE

Kind = Operation.Kind
ABOUT_ENTITLEMENTS = frozenset(
    {Kind.UPDATE_ENTITLEMENT, Kind.STOP, Kind.REACTIVATE, Kind.RENEW_TOKEN, Kind.TRANSFER, Kind.REMOVE_HARDWARE}
)
HANDED_OVER = "This entitlement was handed over before the change was sent; nothing was done."


def why_unsendable(operation: Operation) -> str | None:
    """The sentence that ends `operation` unsent; None = send it. In the transaction that claimed it, so that a hand-over waits or is seen."""
    if operation.kind in ABOUT_ENTITLEMENTS:
        rows = Entitlement.objects.select_for_update(of=("self",)).filter(serial_number__in=operation.serial_numbers)
        owners = {row.tenant_id for row in rows.order_by("pk")}
        return None if owners == {operation.tenant_id} else HANDED_OVER
    if operation.kind == Kind.CREATE_HARDWARE:
        return NOT_AVAILABLE if _is_taken(operation) else None
    return None


def _is_taken(operation: Operation) -> bool:
    """Whether somebody holds one of the serials or is registering it right now. Asked here and not before the plan: the refusal must look
    like FortiFlex's own, journal row and event included, or it would tell that another customer has it.
    """
    serials = list(operation.intent.get("serial_numbers", ()))
    # Of two at once, the second sees the first.
    UpstreamLane.objects.select_for_update().get(api_user=operation.api_user_id)
    others = Operation.objects.filter(kind=Kind.CREATE_HARDWARE, state__in=OPEN).exclude(state=Operation.State.PLANNED)
    asked = others.exclude(id=operation.id).values_list("intent", flat=True)
    if any(set(serials) & set(intent.get("serial_numbers", ())) for intent in asked):
        return True
    # Second: what settled between the two questions stands here now.
    return Entitlement.objects.filter(serial_number__in=serials, vanished_at__isnull=True).exists()
