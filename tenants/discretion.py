"""What a tenant is told of who did something: its own tokens by name; the operator's people and machines as "operator"."""

from tenants.actors import Actor
from tenants.models import Token

OPERATOR = "operator"


def own_names(actor: Actor) -> frozenset[str] | None:
    """How the caller's own tokens are written down; None = the caller may know everybody. Inside `acting_as(actor)`."""
    if actor.sees_every_tenant:
        return None
    return frozenset(f"token {token_id}" for token_id in Token.objects.visible_to(actor).values_list("id", flat=True))


def is_hidden(name: str, own: frozenset[str] | None) -> bool:
    return own is not None and name not in own
