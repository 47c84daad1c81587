"""The verbs that issue, rotate and revoke API tokens. How a token looks is in token_format, what it may be at most in token_bounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from tenants import clock, ids
from tenants.actors import Actor, ActorKind
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.models import Tenant, Token, TokenReach
from tenants.problems import Problem, not_found
from tenants.token_bounds import bound_token, refuse_beyond
from tenants.token_format import format_token, make_secret
from tenants.token_secrets import rehash


@dataclass(frozen=True, slots=True, repr=False)
class IssuedToken:
    """A token just made: the row, and the text and secret that are shown this once."""

    row: Token
    text: str
    secret: str


@dataclass(frozen=True, slots=True)
class TokenWish:
    """What somebody asks of a new token; None = as much as they may give. `entitlements` and `configs` narrow it to what they name."""

    name: str
    scopes: Sequence[str] | None = None
    expires_at: datetime | None = None
    allowed_ips: Sequence[str] | None = None
    entitlements: Sequence[str] | None = None
    configs: Sequence[int] | None = None
    ancestors: Sequence[UUID] | None = field(default=None)


def issue_token(actor: Actor, *, tenant: Tenant | None, **wish: Any) -> IssuedToken:
    """Make a token of `tenant` (None = operator), as TokenWish asks. No expiry = the maximum for a tenant, never for the operator.

    A tenant's token makes children only: no more scopes, serials, configs, networks or time than itself, and they die with it.
    Problem `invalid` names the field.
    """
    asked = TokenWish(**wish)
    with acting_as(actor):
        maker = find_maker(actor)
        bounded = bound_token(actor, asked, tenant=tenant, maker=maker)
        token_id, secret = ids.new_id(), make_secret()
        row = Token.objects.create(
            id=token_id,
            tenant=tenant,
            name=asked.name,
            created_by=actor.name,
            narrowed=bounded.reach is not None,
            scopes=bounded.scopes,
            expires_at=bounded.expires_at,
            allowed_ips=bounded.allowed_ips,
            ancestors=_ancestors(asked, maker),
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
    return IssuedToken(row=row, text=text, secret=secret)


def find_maker(actor: Actor) -> Token | None:
    """The tenant's token that asks; None for the operator, staff and the gateway itself."""
    if actor.kind is not ActorKind.TENANT or actor.token_id is None:
        return None
    return Token.objects.visible_to(actor).filter(id=actor.token_id).first()


def _ancestors(asked: TokenWish, maker: Token | None) -> list[UUID]:
    if asked.ancestors is not None:  # a rotated token takes its predecessor's place
        return list(asked.ancestors)
    return [] if maker is None else [*maker.ancestors, maker.id]


def revoke_token(actor: Actor, *, tenant_slug: str | None, token_id: UUID) -> Token:
    """Refuse this token and its children from the next request on, in every process. Revoking twice changes nothing.

    `tenant_slug` None = an operator's token. Problem `not_found`, or `insufficient_scope` for a token that may do more than the one that asks.
    """
    with acting_as(actor):
        token = _lock_token(actor, tenant_slug, token_id)
        refuse_beyond(actor, token, find_maker(actor))
        if token.revoked_at is None:
            _end(actor, token)
    return token


def revoke_all_tokens(actor: Actor, *, tenant: Tenant) -> int:
    """Refuse every token of a tenant that the actor may revoke, its own included; how many were ended."""
    with acting_as(actor):
        rows = Token.objects.visible_to(actor).filter(tenant=tenant, revoked_at__isnull=True)
        live = list(rows.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=clock.now())).select_for_update())
        for token in live:
            refuse_beyond(actor, token, find_maker(actor))
            _end(actor, token)
    return len(live)


def rotate_token(actor: Actor, *, tenant_slug: str, token_id: UUID, overlap: timedelta) -> IssuedToken:
    """A new token with the same name, scopes, networks and reach; the old one and its children end after `overlap`.

    It lives as long as the old one would have, and not longer than the token that asks.
    """
    with acting_as(actor):
        old = _lock_token(actor, tenant_slug, token_id)
        refuse_beyond(actor, old, find_maker(actor))
        now = clock.now()
        if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
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
            ancestors=old.ancestors,
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


def _lock_token(actor: Actor, tenant_slug: str | None, token_id: UUID) -> Token:
    rows = Token.objects.visible_to(actor).select_related("tenant").select_for_update(of=("self",))
    rows = rows.filter(tenant__isnull=True) if tenant_slug is None else rows.filter(tenant__slug=tenant_slug)
    token = rows.filter(id=token_id).first()
    if token is None:
        raise not_found()
    return token


def _end(actor: Actor, token: Token) -> None:
    token.revoked_at = clock.now()
    token.save(update_fields=["revoked_at"])
    record_audit(actor, "token.revoked", subject_type="token", subject_key=token.id, tenant_id=token.tenant_id)
