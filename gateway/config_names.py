"""Config names upstream carry a suffix that API users never see: names are unique per FortiCloud account, and tenants share accounts."""

import base64
import re
from uuid import UUID

SUFFIX = re.compile(r" ~([a-z2-7]{26})\Z")


def join_suffix(name: str, operation_id: UUID) -> str:
    """`name ~<operation>`: unique, and findable after a lost answer."""
    return f"{name} ~{base64.b32encode(operation_id.bytes).decode().rstrip('=').lower()}"


def split_suffix(upstream_name: str) -> tuple[str, UUID | None]:
    """The name that API users see, and the operation that made the config (None = made elsewhere)."""
    match = SUFFIX.search(upstream_name)
    if match is None:
        return upstream_name, None
    try:
        return upstream_name[: match.start()], UUID(bytes=base64.b32decode(f"{match[1].upper()}======"))
    except ValueError:
        return upstream_name, None
