"""The verbs that issue, rotate and revoke API tokens. How a token looks is in token_format, what it may be at most in token_bounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from tenants import clock, ids
from tenants.actors import Actor, system
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.models import Tenant, Token, TokenReach
from tenants.problems import Problem, not_found
from tenants.token_bounds import TokenWish, bound_token, is_within, refuse_beyond
from tenants.token_format import format_token, make_secret
from tenants.token_secrets import rehash

KEEPER = system("tokens")


@dataclass(frozen=True, slots=True, repr=False)
class IssuedToken:
    """A token just made: the row, and the text and secret that are shown this once."""

    row: Token
    text: str
    secret: str
    reach: Sequence[tuple[str, str]] = ()


def issue_token(actor: Actor, *, tenant: Tenant | None, **wish: Any) -> IssuedToken:
    """Make a token of `tenant` (None = operator), as TokenWish asks. No expiry = the maximum for a tenant, never for the operator.

    No token makes one with more scopes, serials, configs, networks or time than itself. What a tenant's token makes are its children
    and die with it; what an operator's token makes for a tenant is the tenant's and stays. Problem `invalid` names the field.
    """
    asked = TokenWish(**wish)
    with acting_as(actor):
        maker = lock_family(actor, tenant)
        bounded = bound_token(actor, asked, tenant=tenant, maker=maker)
        token_id, secret = ids.new_id(), make_secret()
        # What replaces a narrowed token is its sibling, which that token can't see: the gateway writes it, the bounds have decided.
        with acting_as(actor if asked.replaces is None else KEEPER):
            row = Token.objects.create(
                id=token_id,
                tenant=tenant,
                name=asked.name,
                created_by=actor.name,
                narrowed=bounded.reach is not None,
                scopes=bounded.scopes,
                expires_at=bounded.expires_at,
                allowed_ips=bounded.allowed_ips,
                **_kinship(token_id, asked, maker),
                **rehash(secret),
            )
            TokenReach.objects.bulk_create(
                TokenReach(token=row, tenant=tenant, kind=kind, key=key) for kind, key in bounded.reach or ()
            )
            record_audit(
                actor,
                "token.issued",
                subject_type="token",
                subject_key=token_id,
                tenant_id=tenant.id if tenant else None,
                after={"name": asked.name} | bounded.as_record(),
            )
    kind = "operator" if tenant is None else "tenant"
    text = format_token(kind=kind, environment=settings.FLEXGATE_ENVIRONMENT, token_id=token_id, secret=secret)
    return IssuedToken(row=row, text=text, secret=secret, reach=bounded.reach or ())


def lock_family(actor: Actor, tenant: Tenant | None) -> Token | None:
    """The token that asks, if one does, looked at again under the lock that revoking takes too: what ends meanwhile makes nothing more."""
    with acting_as(KEEPER):
        if tenant is not None:
            # Without the key: whoever only refers to the tenant need not wait.
            Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)
        maker = Token.objects.filter(id=actor.token_id).first() if actor.token_id else None
        if maker is not None and has_ended(maker):
            raise Problem("state_conflict", "The token that asks has just ended.")
    return maker


def has_ended(token: Token) -> bool:
    """Revoked, expired, or made by one that has ended. Inside an open context that sees its ancestors."""
    ended = Q(revoked_at__isnull=False) | Q(expires_at__lte=clock.now())
    return Token.objects.filter(ended, id__in=[token.id, *token.ancestors]).exists()


def _kinship(token_id: UUID, asked: TokenWish, maker: Token | None) -> dict[str, Any]:
    if asked.replaces is not None:
        return {"ancestors": asked.replaces.ancestors, "family": asked.replaces.family or asked.replaces.id}
    if maker is None or maker.tenant_id is None:
        return {"ancestors": [], "family": token_id}
    return {"ancestors": [*maker.ancestors, maker.id], "family": maker.family or maker.id}


def revoke_token(actor: Actor, *, tenant_slug: str | None, token_id: UUID) -> Token:
    """Refuse this token and its children from the next request on, in every process. Revoking twice changes nothing.

    `tenant_slug` None = an operator's token. Problem `not_found`, or `insufficient_scope` for a token that is not the actor's to end.
    """
    with acting_as(actor):
        token, maker = _lock_token(actor, tenant_slug, token_id)
        refuse_beyond(actor, token, maker)
        if token.revoked_at is None:
            _end(actor, token)
    return token


def revoke_all_tokens(actor: Actor, *, tenant: Tenant) -> tuple[int, int]:
    """Refuse every token of a tenant that the actor may revoke, its own included; how many were ended, and how many were not its to end."""
    with acting_as(actor):
        maker = lock_family(actor, tenant)
        rows = Token.objects.visible_to(actor).filter(tenant=tenant, revoked_at__isnull=True)
        live = list(rows.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=clock.now())).order_by("id"))
        mine = [token for token in live if is_within(actor, token, maker)]
        for token in mine:
            _end(actor, token)
    return len(mine), len(live) - len(mine)


def rotate_token(actor: Actor, *, tenant_slug: str, token_id: UUID, overlap: timedelta) -> IssuedToken:
    """A new token with the same name, scopes, networks and reach; the old one and its children end after `overlap`.

    It lives as long as the old one would have, and not longer than the token that asks. A tenant's token rotates itself and what it
    made: any other would outlive it.
    """
    with acting_as(actor):
        old, maker = _lock_token(actor, tenant_slug, token_id)
        refuse_beyond(actor, old, maker, to_copy=True)
        now = clock.now()
        if has_ended(old):
            raise Problem("state_conflict", "This token has ended; issue a new one instead.")
        reach = list(old.reach.all()) if old.narrowed else []
        issued = issue_token(
            actor,
            tenant=old.tenant,
            name=old.name,
            scopes=old.scopes,
            expires_at=old.expires_at,
            allowed_ips=old.allowed_ips,
            entitlements=[row.key for row in reach if row.kind == TokenReach.Kind.ENTITLEMENT]
            if old.narrowed
            else None,
            configs=[int(row.key) for row in reach if row.kind == TokenReach.Kind.CONFIG] if old.narrowed else None,
            replaces=old,
        )
        ends_at = now + overlap
        if old.expires_at is None or old.expires_at > ends_at:
            old.expires_at = ends_at
            old.save(update_fields=["expires_at"])
        record_audit(
            actor,
            "token.rotated",
            subject_type="token",
            subject_key=old.id,
            tenant_id=old.tenant_id,
            after={"new": issued.row.id, "ends_at": old.expires_at},
        )
    return issued


def _lock_token(actor: Actor, tenant_slug: str | None, token_id: UUID) -> tuple[Token, Token | None]:
    """The token that a path names, and the one that asks; read under the family's lock."""
    rows = Token.objects.visible_to(actor).select_related("tenant")
    rows = rows.filter(tenant__isnull=True) if tenant_slug is None else rows.filter(tenant__slug=tenant_slug)
    found = rows.filter(id=token_id).first()
    if found is None:
        raise not_found()
    maker = lock_family(actor, found.tenant)
    return rows.get(id=token_id), maker


def _end(actor: Actor, token: Token) -> None:
    token.revoked_at = clock.now()
    token.save(update_fields=["revoked_at"])
    record_audit(actor, "token.revoked", subject_type="token", subject_key=token.id, tenant_id=token.tenant_id)
