"""API tokens: their format, and the verbs that issue, check, rotate and revoke them.

Format: fxg_<tenant|operator>_<live|test>_<id as 32 hex>_<secret, 40 base62>_<checksum, 6 base62 of CRC-32>. Kind and environment can be read,
the checksum tells a typo from an attack without a look-up, and secret scanners can match `fxg_(tenant|operator)_(live|test)_[0-9a-f]{32}_\\w{40}_\\w{6}`.
"""

import hashlib
import hmac
import re
import secrets
import string
import zlib
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

BASE62 = string.digits + string.ascii_letters
SECRET_LENGTH = 40
FORMAT = re.compile(r"fxg_(tenant|operator)_(live|test)_([0-9a-f]{32})_([0-9A-Za-z]{40})_([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """What a well-formed token says of itself, before anything was looked up."""

    kind: str
    environment: str
    token_id: UUID
    secret: str

    def __repr__(self) -> str:
        return f"PresentedToken(kind={self.kind!r}, token_id={self.token_id})"


@dataclass(frozen=True, slots=True, repr=False)
class IssuedToken:
    """A token just made: the row, and the text and secret that are shown this once."""

    row: Token
    text: str
    secret: str


@cache
def _peppers() -> Keyring:
    return parse_keyring(settings.FLEXGATE_TOKEN_PEPPERS, name="FLEXGATE_TOKEN_PEPPERS")


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        digits = BASE62[rest] + digits
    return digits


def _hash_secret(secret: str, *, pepper: str) -> bytes:
    return hmac.new(_peppers().keys[pepper], secret.encode(), hashlib.sha256).digest()


def parse_token(text: str) -> PresentedToken | None:
    """What `text` says of itself; None for anything cut, mistyped or of another environment."""
    match = FORMAT.fullmatch(text)
    if match is None or not hmac.compare_digest(_checksum(text[: match.start(5) - 1]), match[5]):
        return None
    if match[2] != settings.FLEXGATE_ENVIRONMENT:
        return None
    return PresentedToken(match[1], match[2], UUID(hex=match[3]), match[4])


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
    secret = "".join(secrets.choice(BASE62) for _ in range(SECRET_LENGTH))
    body = f"fxg_{'operator' if operator else 'tenant'}_{settings.FLEXGATE_ENVIRONMENT}_{token_id.hex}_{secret}"
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
    return IssuedToken(row=row, text=f"{body}_{_checksum(body)}", secret=secret)


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
