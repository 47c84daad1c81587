"""The verbs that issue, check, rotate and revoke API tokens. How a token looks is in token_format."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID

from django.conf import settings

from tenants import clock, ids
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.keyrings import Keyring, parse_keyring
from tenants.models import Tenant, Token
from tenants.problems import Problem, invalid, not_found
from tenants.scopes import OPERATOR_SCOPES, TENANT_SCOPES, expand_scopes, unknown_scopes
from tenants.token_format import format_token, make_secret


@dataclass(frozen=True, slots=True, repr=False)
class IssuedToken:
    """A token just made: the row, and the text and secret that are shown this once."""

    row: Token
    text: str
    secret: str


@cache
def _peppers() -> Keyring:
    return parse_keyring(settings.FLEXGATE_TOKEN_PEPPERS, name="FLEXGATE_TOKEN_PEPPERS")


def _hash_secret(secret: str, *, pepper: str) -> bytes:
    return hmac.new(_peppers().keys[pepper], secret.encode(), hashlib.sha256).digest()


def secret_matches(token: Token, secret: str) -> bool:
    """Constant-time comparison with the stored keyed hash; False if its pepper is no longer configured."""
    if token.pepper not in _peppers().keys:
        return False
    return hmac.compare_digest(bytes(token.secret_hash), _hash_secret(secret, pepper=token.pepper))


def issue_token(
    actor: Actor,
    *,
    name: str,
    tenant: Tenant | None,
    scopes: Sequence[str] | None = None,
    expires_at: datetime | None = None,
    allowed_ips: Sequence[str] = (),
) -> IssuedToken:
    """Make a token of `tenant` (None = operator). No scopes = all of its kind; no expiry = the maximum for a tenant, never for the operator.

    Problem `invalid` names the field. A tenant's token may only make tokens with no more scopes than itself.
    """
    operator = tenant is None
    asked = sorted(set(scopes)) if scopes is not None else sorted(OPERATOR_SCOPES if operator else TENANT_SCOPES)
    _check_scopes(actor, asked, operator=operator)
    now = clock.now()
    latest = now + timedelta(days=settings.FLEXGATE_TOKEN_MAX_DAYS)
    if expires_at is None and not operator:
        expires_at = latest
    if expires_at is not None and expires_at <= now:
        raise invalid("/expires_at", "The expiry is in the past; name a later moment.")
    if expires_at is not None and not operator and expires_at > latest:
        raise invalid(
            "/expires_at",
            f"A token lives at most {settings.FLEXGATE_TOKEN_MAX_DAYS} days; name an earlier expiry or leave it out.",
        )
    token_id, pepper = ids.new_id(), _peppers().newest
    secret = make_secret()
    kind = "operator" if operator else "tenant"
    text = format_token(kind=kind, environment=settings.FLEXGATE_ENVIRONMENT, token_id=token_id, secret=secret)
    with acting_as(actor):
        row = Token.objects.create(
            id=token_id,
            tenant=tenant,
            name=name,
            scopes=asked,
            secret_hash=_hash_secret(secret, pepper=pepper),
            pepper=pepper,
            allowed_ips=list(allowed_ips),
            created_by=actor.name,
            expires_at=expires_at,
        )
        record_audit(
            actor,
            "token.issued",
            subject_type="token",
            subject_key=token_id,
            tenant_id=tenant.id if tenant else None,
            after={"name": name, "scopes": asked, "expires_at": expires_at, "allowed_ips": list(allowed_ips)},
        )
    return IssuedToken(row=row, text=text, secret=secret)


def _check_scopes(actor: Actor, asked: Sequence[str], *, operator: bool) -> None:
    if not asked:
        raise invalid("/scopes", "Name at least one scope, or leave scopes out for all of them.")
    unknown = unknown_scopes(asked, operator=operator)
    if unknown:
        kind = "an operator" if operator else "a tenant"
        raise invalid("/scopes", f"Unknown scope for {kind} token: {', '.join(unknown)}.")
    if not actor.sees_every_tenant and not expand_scopes(asked) <= actor.scopes:
        raise invalid("/scopes", "A token can only make tokens with no more scopes than its own.")


def revoke_token(actor: Actor, *, tenant_slug: str, token_id: UUID) -> Token:
    """Refuse this token from the next request on, in every process. Revoking twice changes nothing. Problem `not_found`."""
    with acting_as(actor):
        token = (
            Token.objects.visible_to(actor)
            .select_related("tenant")
            .select_for_update(of=("self",))
            .filter(id=token_id, tenant__slug=tenant_slug)
            .first()
        )
        if token is None:
            raise not_found()
        if token.revoked_at is None:
            token.revoked_at = clock.now()
            token.save(update_fields=["revoked_at"])
            record_audit(actor, "token.revoked", subject_type="token", subject_key=token.id, tenant_id=token.tenant_id)
    return token


def rotate_token(actor: Actor, *, tenant_slug: str, token_id: UUID, overlap: timedelta) -> IssuedToken:
    """A new token with the same name, scopes, networks and expiry; the old one ends after `overlap` (at once with zero)."""
    with acting_as(actor):
        old = (
            Token.objects.visible_to(actor)
            .select_related("tenant")
            .select_for_update(of=("self",))
            .filter(id=token_id, tenant__slug=tenant_slug)
            .first()
        )
        if old is None:
            raise not_found()
        now = clock.now()
        if old.revoked_at is not None or (old.expires_at is not None and old.expires_at <= now):
            raise Problem("state_conflict", "This token has ended; issue a new one instead.")
        issued = issue_token(
            actor,
            name=old.name,
            tenant=old.tenant,
            scopes=old.scopes,
            expires_at=old.expires_at,
            allowed_ips=old.allowed_ips,
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
