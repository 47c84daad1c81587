"""The tag in an upstream description: the user's text first, verbatim, then `[fxg:<tenant or ->:<operation>:<attempt>:<checksum>]`.

It helps people who look into the portal, and it finds the entitlement of a lost answer. It can be edited by anyone with portal access,
so it moves nothing by itself; the keyed checksum tells our tags from typed-in ones.
"""

import base64
import hmac
import re
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings

LOOKS_LIKE = re.compile(r"\[\s*fxg\s*:", re.IGNORECASE)
FORM = re.compile(r"\[fxg:(-|[a-z0-9-]{1,40}):([a-z2-7]{26}):(\d{1,3}):([a-z2-7]{8})\]\Z")


@dataclass(frozen=True, slots=True)
class Tag:
    """`tenant_slug` None = made for nobody (unassigned). `valid`: the checksum is ours."""

    tenant_slug: str | None
    operation_id: UUID
    attempt: int
    valid: bool


def make_tag(tenant_slug: str | None, operation_id: UUID, attempt: int) -> str:
    claim = f"{tenant_slug or '-'}:{_short(operation_id.bytes)}:{attempt}"
    return f"[fxg:{claim}:{_checksum(claim)}]"


def join_tag(text: str, tag: str) -> str:
    """What goes upstream: the text verbatim, a space, the tag."""
    return f"{text} {tag}" if text else tag


def split_tag(upstream: str) -> tuple[str, Tag | None]:
    """The user's text and the tag behind it; the whole text and None where there is no tag."""
    match = FORM.search(upstream)
    if match is None:
        return upstream, None
    slug, operation, attempt, checksum = match.groups()
    try:
        operation_id = UUID(bytes=base64.b32decode(f"{operation.upper()}======"))
    except ValueError:
        return upstream, None
    valid = hmac.compare_digest(checksum, _checksum(f"{slug}:{operation}:{attempt}"))
    tag = Tag(None if slug == "-" else slug, operation_id, int(attempt), valid)
    return upstream[: match.start()].removesuffix(" "), tag


def looks_like_tag(text: str) -> bool:
    """Users' texts may hold nothing that a reader, or we, could take for a tag."""
    return LOOKS_LIKE.search(text) is not None


def _short(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _checksum(claim: str) -> str:
    digest = hmac.digest(settings.FLEXGATE_TAG_KEY.encode(), claim.encode(), "sha256")
    return _short(digest[:5])
