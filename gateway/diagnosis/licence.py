"""Its licence token: unused, used, about to be another one. The token itself is no part of a diagnosis."""

from gateway.diagnosis.facts import Facts, Told
from gateway.diagnosis.owners import next_period
from gateway.models import Operation
from gateway.ownership.renewal import STATUSES, UNUSED

USED = "USED"  # FortiFlex's word for a licence token that was injected


def find_used_token(facts: Facts) -> Told | None:
    """One token activates one machine once (reference 3.3)."""
    if facts.entitlement.token_status != USED:
        return None
    return Told(
        "Its licence token is used and activates no other machine. For a rebuilt one ask for a new token first."
    )


def find_unused_and_charged(facts: Facts) -> Told | None:
    """Active with skip_pending, or with a token that was renewed and not injected: it is charged all the same (reference 5.1)."""
    entitlement = facts.entitlement
    if entitlement.status != "ACTIVE" or entitlement.token_status != UNUSED:
        return None
    return Told(
        "It is charged each day, and its licence token is unused. If no machine runs with an earlier one, inject it or stop the entitlement."
    )


def find_token_under_renewal(facts: Facts) -> Told | None:
    renewals = (row for row in facts.open_operations() if row.kind == Operation.Kind.RENEW_TOKEN)
    renewal = next(renewals, None)
    if renewal is None:
        return None
    return Told(
        "A new licence token is on its way. Wait for it: the one shown now may stop working.",
        since=renewal.created_at,
        details={"operation": renewal.id},
    )


def find_token_void_at_hand_over(facts: Facts) -> Told | None:
    """The next owner gets a token of its own (gateway.ownership.renewal)."""
    entitlement, change = facts.entitlement, next_period(facts)
    if change is None or entitlement.token_status != UNUSED or entitlement.status not in STATUSES:
        return None
    if entitlement.tenant_id is None:
        return None
    if facts.sees_all and change.slug is None:
        return None  # nobody's afterwards: nothing is renewed. A tenant is not told whose it becomes
    return Told(
        f"Its unused licence token is renewed when it changes hands on {change.from_day}: inject it before, or leave it.",
        details={"from_day": change.from_day},
    )
