"""Refusals that matter, in the audit trail: somebody known tried what they may not. Once a minute each, so that nobody can flood it."""

from tenants.actors import AUTHENTICATOR, Actor, system
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.rate_limits import Rate, has_room

GUARD = system("guard")


def record_refusal(actor: Actor, code: str, *, method: str, path: str) -> None:
    """Write that `actor` was refused with `code`; the same refusal counts once a minute. Its own transaction: the refused one writes nothing."""
    with acting_as(AUTHENTICATOR):
        if not has_room(Rate("refusals", f"{code} {actor.name}"[:120], 1)):
            return
    with acting_as(GUARD):
        record_audit(
            actor,
            "request.refused",
            subject_type="route",
            subject_key=path[:100],
            tenant_id=actor.tenant_id,
            after={"code": code, "method": method},
        )
